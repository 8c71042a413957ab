//! Bodies under a root secret or the key of an extent.

use batpak_crypto::{Kek, Nonce, OpenFailed, RootSecret, SecretId, open_body, seal_body};
use zeroize::Zeroizing;

use crate::entropy::Counting;

const NONCE: Nonce = Nonce::from_bytes([0x24; 24]);

fn root(byte: u8) -> RootSecret {
    RootSecret::from_bytes(Zeroizing::new([byte; 32]))
}

fn body(bytes: usize) -> Zeroizing<Vec<u8>> {
    Zeroizing::new((0..bytes).map(|at| at as u8).collect())
}

#[test]
fn body_opens_under_the_root_secret_that_sealed_it() {
    for bytes in [0, 1, 64, 4096, 70_000] {
        let sealed = seal_body(&root(1), &NONCE, b"header", body(bytes)).unwrap();
        assert_eq!(sealed.len(), bytes + 16);
        assert_eq!(open_body(&root(1), &NONCE, b"header", &sealed).unwrap(), body(bytes));
    }
}

#[test]
fn body_keeps_shut_under_anything_else() {
    let sealed = seal_body(&root(1), &NONCE, b"header", body(64)).unwrap();
    assert!(matches!(open_body(&root(2), &NONCE, b"header", &sealed), Err(OpenFailed)));
    assert!(matches!(open_body(&root(1), &NONCE, b"Header", &sealed), Err(OpenFailed)));
    assert!(matches!(open_body(&root(1), &Nonce::from_bytes([0x25; 24]), b"header", &sealed), Err(OpenFailed)));
    for len in 0..sealed.len() {
        assert!(matches!(open_body(&root(1), &NONCE, b"header", &sealed[..len]), Err(OpenFailed)));
    }
    for bit in 0..sealed.len() * 8 {
        let mut changed = sealed.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(matches!(open_body(&root(1), &NONCE, b"header", &changed), Err(OpenFailed)));
    }
}

#[test]
fn kek_and_root_secret_of_equal_bytes_are_two_keys() {
    let kek = Kek::from_bytes(Zeroizing::new([1; 32]));
    let sealed = seal_body(&kek, &NONCE, b"", body(64)).unwrap();
    assert!(matches!(open_body(&root(1), &NONCE, b"", &sealed), Err(OpenFailed)));
    assert_eq!(open_body(&kek, &NONCE, b"", &sealed).unwrap(), body(64));
}

#[test]
fn body_is_sealed_under_the_documented_key() {
    let mut expected = body(64).to_vec();
    let key = blake3::derive_key("batpak v1 root secret, key of the body of a keyset image", &[1; 32]);
    let tag =
        <batpak_crypto::DefaultAead as batpak_crypto::Aead>::seal_in_place(&key, &NONCE, b"header", &mut expected)
            .unwrap();
    expected.extend(tag);
    assert_eq!(seal_body(&root(1), &NONCE, b"header", body(64)).unwrap(), expected);

    let mut expected = body(64).to_vec();
    let key = blake3::derive_key("batpak v1 key of an extent, key of its body", &[1; 32]);
    let tag = <batpak_crypto::DefaultAead as batpak_crypto::Aead>::seal_in_place(&key, &NONCE, b"row", &mut expected)
        .unwrap();
    expected.extend(tag);
    let kek = Kek::from_bytes(Zeroizing::new([1; 32]));
    assert_eq!(seal_body(&kek, &NONCE, b"row", body(64)).unwrap(), expected);
}

#[test]
fn mix_is_blake3_keyed_by_the_first_over_the_rotating_part() {
    let mixed = root(1).mix(&[2; 32]);
    assert_eq!(mixed.expose(), blake3::keyed_hash(&[1; 32], &[2; 32]).as_bytes());
    assert_ne!(mixed.expose(), root(2).mix(&[1; 32]).expose());
}

#[test]
fn root_secret_shows_the_bytes_it_was_made_of() {
    assert_eq!(root(3).expose(), &[3; 32]);
    assert_eq!(Kek::from_bytes(Zeroizing::new([4; 32])).expose(), &[4; 32]);
    assert_eq!(format!("{:?}", root(3)), "RootSecret(..)");
    assert_eq!(format!("{:?}", Kek::from_bytes(Zeroizing::new([4; 32]))), "Kek(..)");
}

#[test]
fn secret_id_is_public_and_random() {
    let source = Counting::new();
    let id = SecretId::generate(&source).unwrap();
    assert_ne!(id, SecretId::generate(&source).unwrap());
    assert_eq!(SecretId::from_bytes(*id.as_bytes()), id);
    assert_eq!(SecretId::from_bytes([0xEF; 16]).to_string(), "ef".repeat(16));
    assert_eq!(format!("{:?}", SecretId::from_bytes([0xEF; 16])), "ef".repeat(16));
}
