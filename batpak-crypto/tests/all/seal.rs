//! Payload keys: what opens is what was sealed, and nothing else does.

use batpak_crypto::{Aead, DefaultAead, KeyCommitment, Nonce, OpenFailed, PayloadKey, Tree};

use crate::entropy::Counting;

const STORE: [u8; 16] = [0x51; 16];
const NONCE: Nonce = Nonce::from_bytes([0x24; 24]);

fn keys() -> (PayloadKey, PayloadKey) {
    let page = Tree::generate(4, &Counting::new()).unwrap();
    (page.key(0, &STORE, 0).unwrap().0, page.key(1, &STORE, 1).unwrap().0)
}

#[test]
fn payload_key_opens_what_it_sealed() {
    let (key, _) = keys();
    for bytes in [0, 1, 15, 16, 17, 63, 64, 65, 255, 4096, 65_537] {
        let plaintext: Vec<u8> = (0..bytes).map(|at| at as u8).collect();
        let mut buffer = plaintext.clone();
        let tag = key.seal(&NONCE, b"aad", &mut buffer).unwrap();
        assert!(bytes < 15 || buffer != plaintext);
        assert_eq!(key.open(&NONCE, b"aad", &mut buffer, &tag), Ok(()));
        assert_eq!(buffer, plaintext);
    }
}

#[test]
fn payload_key_refuses_every_flipped_bit() {
    let (key, _) = keys();
    let plaintext = *b"a payload that is not shown";
    let mut sealed = plaintext;
    let tag = key.seal(&NONCE, b"kind and id", &mut sealed).unwrap();
    let mut flips = 0;
    let mut refuses = |nonce: [u8; 24], aad: &[u8], mut buffer: [u8; 27], tag: [u8; 16]| {
        let before = buffer;
        assert_eq!(key.open(&Nonce::from_bytes(nonce), aad, &mut buffer, &tag), Err(OpenFailed));
        // Nothing of it is shown: the buffer is as it was, or zeroed.
        assert!(buffer == before || buffer == [0; 27]);
        flips += 1;
    };
    for bit in 0..24 * 8 {
        refuses(flipped(*NONCE.as_bytes(), bit), b"kind and id", sealed, tag);
    }
    for bit in 0..11 * 8 {
        refuses(*NONCE.as_bytes(), &flipped(*b"kind and id", bit), sealed, tag);
    }
    for bit in 0..27 * 8 {
        refuses(*NONCE.as_bytes(), b"kind and id", flipped(sealed, bit), tag);
    }
    for bit in 0..16 * 8 {
        refuses(*NONCE.as_bytes(), b"kind and id", sealed, flipped(tag, bit));
    }
    assert_eq!(flips, (24 + 11 + 27 + 16) * 8);
}

fn flipped<const N: usize>(mut bytes: [u8; N], bit: usize) -> [u8; N] {
    bytes[bit / 8] ^= 1 << (bit % 8);
    bytes
}

#[test]
fn payload_key_refuses_what_another_sealed() {
    let (key, other) = keys();
    let mut buffer = *b"payload";
    let tag = key.seal(&NONCE, b"", &mut buffer).unwrap();
    assert_eq!(other.open(&NONCE, b"", &mut { buffer }, &tag), Err(OpenFailed));
    assert_eq!(key.open(&NONCE, b"", &mut { buffer }[..6], &tag), Err(OpenFailed));
    assert_eq!(key.open(&NONCE, b"", &mut buffer, &tag), Ok(()));
}

#[test]
fn leaf_gives_another_key_to_each_store_and_key_id() {
    let page = Tree::generate(4, &Counting::new()).unwrap();
    let leaf = page.leaf(9).unwrap();
    let (key, commitment) = leaf.derive(&STORE, 9);
    let mut buffer = *b"payload";
    let tag = key.seal(&NONCE, b"", &mut buffer).unwrap();
    for (store, key_id) in [([0x52; 16], 9), (STORE, 10), (STORE, 9 << 24), (STORE, 9 | 1 << 63)] {
        let (other, other_commitment) = leaf.derive(&store, key_id);
        assert_ne!(other_commitment, commitment);
        assert_eq!(other.open(&NONCE, b"", &mut { buffer }, &tag), Err(OpenFailed));
    }
    let (again, same_commitment) = leaf.derive(&STORE, 9);
    assert_eq!(same_commitment, commitment);
    assert_eq!(again.open(&NONCE, b"", &mut buffer, &tag), Ok(()));
}

#[test]
fn commitment_is_not_the_key() {
    let page = Tree::generate(4, &Counting::new()).unwrap();
    let (key, commitment) = page.key(0, &STORE, 0).unwrap();
    let mut buffer = *b"payload";
    let tag = key.seal(&NONCE, b"", &mut buffer).unwrap();
    assert_eq!(DefaultAead::open_in_place(commitment.as_bytes(), &NONCE, b"", &mut buffer, &tag), Err(OpenFailed));
}

#[test]
fn errors_and_debug_tell_nothing() {
    let page = Tree::generate(4, &Counting::new()).unwrap();
    let (key, _) = page.key(0, &STORE, 0).unwrap();
    assert_eq!(format!("{key:?}"), "PayloadKey(..)");
    assert_eq!(format!("{:?}", page.leaf(0).unwrap()), "Leaf(..)");
    assert_eq!(format!("{page:?}"), "Tree { depth: 4, nodes: 1, .. }");
    assert_eq!(format!("{:?}", page.frontier().next().unwrap().1), "Node(..)");
    assert_eq!(format!("{:?}", batpak_crypto::TreeCursor::new()), "TreeCursor(..)");
    assert_eq!(OpenFailed.to_string(), "opening failed");
    assert_eq!(batpak_crypto::SealFailed.to_string(), "sealing failed");
    assert_eq!(format!("{:?}", KeyCommitment::from_bytes([0xCD; 32])), "cd".repeat(32));
}
