//! Planted secrets are found across the blocks that are read; a sealed store holds none.
#![allow(clippy::unwrap_used, reason = "helpers of tests may fail where tests may")]

use std::sync::Arc;

use batpak_crypto::RootSecret;
use batpak_segment::{Disk, MemoryDisk, RealDisk};

use super::*;
use crate::{Config, Coordinate, Encryption, EventKind, KeyFile, Local, NewEvent, Selector};

const CANARY: &[u8] = b"a canary of the caller, thirty-nine byt";

/// A store with three entities.
fn store(encryption: Encryption, disk: Arc<dyn Disk>, dir: &std::path::Path) -> Store {
    let store = Store::create(dir, Config::new(encryption).disk(disk)).unwrap();
    for entity in ["a", "b", "c"] {
        let at = Coordinate::new(entity, "s").unwrap();
        store.append(&NewEvent::new(at, EventKind::new(1, 1).unwrap(), CANARY)).unwrap();
    }
    store
}

fn hits(search: &LeakSearch, bytes: &[u8]) -> Vec<LeakHit> {
    let mut hits = Vec::new();
    let read = search.search(&mut &bytes[..], &mut |hit| hits.push(hit)).unwrap();
    assert_eq!(read, bytes.len() as u64);
    hits
}

/// Every secret of the store as it would stand in a leak: one of each kind, in the clear, for tests alone.
fn secrets_of(store: &Store) -> Vec<(SecretKind, Vec<u8>)> {
    let keys = store.keys().unwrap();
    let root = lock(&keys.state).root.expose().to_vec();
    let image = |root: &[u8]| {
        let mut bytes = Zeroizing::new([0; 32]);
        bytes.copy_from_slice(root);
        let root = RootSecret::from_bytes(bytes);
        let bytes = store.config.disk.open(&store.dir.join("keyset.a"), batpak_segment::Access::Read).unwrap();
        let mut image = vec![0; usize::try_from(bytes.len().unwrap()).unwrap()];
        bytes.read_exact_at(&mut image, 0).unwrap();
        open_image(&image, &root)
    };
    vec![(SecretKind::Node, image(&root)), (SecretKind::RootSecret, root)]
}

/// The root of the first page: the body of an image holds it behind 32 bytes of its own and 16 of the row.
fn open_image(image: &[u8], root: &RootSecret) -> Vec<u8> {
    let body_len = u32::from_le_bytes(image[12..16].try_into().unwrap()) as usize;
    let header_len = u32::from_le_bytes(image[8..12].try_into().unwrap()) as usize;
    let nonce = batpak_crypto::Nonce::from_bytes(image[200..224].try_into().unwrap());
    let sealed = &image[header_len..header_len + body_len];
    let body = batpak_crypto::open_body(root, &nonce, &image[..header_len], sealed).unwrap();
    body[48..80].to_vec()
}

#[test]
fn a_clean_sealed_store_has_no_hit_and_planted_secrets_are_found_across_every_border() {
    let scratch = tempfile::tempdir().unwrap();
    let (dir, key_file) = (scratch.path().join("s"), scratch.path().join("k"));
    let store = store(Encryption::sealed(KeyFile::new(&key_file)), Arc::new(RealDisk), &dir);
    let search = store.leak_search(&[CANARY]).unwrap();
    let secrets = search.secrets();
    assert_eq!((secrets.root_secrets, secrets.payload_keys, secrets.texts, secrets.keks), (1, 3, 1, 0));
    // One root, three nodes on the way to the first leaf, and the leaves themselves.
    assert_eq!(secrets.nodes, 1 + 3 + 3);
    for path in ["keyset.a", "keyset.b", "lock", "segments/00000000000000000001.seg"] {
        assert_eq!(hits(&search, &std::fs::read(dir.join(path)).unwrap()), [], "{path}");
    }
    // The control of that: the key file holds the root secret, and is no place of the store.
    let found = hits(&search, &std::fs::read(&key_file).unwrap());
    assert!(found.len() == 1 && found[0].kind == SecretKind::RootSecret && !found[0].expected, "{found:?}");
    let mut planted = secrets_of(&store);
    planted.push((SecretKind::Text(0), CANARY.to_vec()));
    planted.push((LeakSearch::CONTROL, search.control().to_vec()));
    for (kind, secret) in planted {
        // The first block that is searched ends here.
        let border = BLOCK_BYTES + SecretSearch::BEFORE;
        for at in [border - secret.len() - 1, border - 20, border - 8, border - 1, border] {
            let mut bytes = vec![0x20; border + 4096];
            bytes[at..at + secret.len()].copy_from_slice(&secret);
            let found = hits(&search, &bytes);
            let [hit] = found.as_slice() else { panic!("{kind:?} at {at}: {found:?}") };
            assert_eq!((hit.kind, hit.offset, hit.bytes, hit.whole), (kind, at as u64, secret.len(), true));
        }
    }
}

#[test]
fn a_plaintext_store_has_its_canary_found() {
    let disk = MemoryDisk::new();
    let store = store(Encryption::none(), Arc::new(disk.clone()), "/s".as_ref());
    store.sync().unwrap();
    let search = store.leak_search(&[CANARY]).unwrap();
    assert_eq!(search.secrets(), LeakSecrets { texts: 1, ..LeakSecrets::default() });
    let file = disk.open("/s/segments/00000000000000000001.seg".as_ref(), batpak_segment::Access::Read).unwrap();
    let bytes = file.map(file.len().unwrap()).unwrap();
    assert_eq!(hits(&search, &bytes).iter().filter(|hit| hit.whole).count(), 3);
}

#[test]
fn the_root_secret_of_a_local_store_is_expected_in_its_image_and_nowhere_else() {
    let disk = MemoryDisk::new();
    let store = store(Encryption::sealed(Local::new()), Arc::new(disk.clone()), "/s".as_ref());
    let search = store.leak_search(&[]).unwrap();
    let file = disk.open("/s/keyset.a".as_ref(), batpak_segment::Access::Read).unwrap();
    let image = file.map(file.len().unwrap()).unwrap().to_vec();
    let found = hits(&search, &image);
    assert!(found.len() == 1 && found[0].expected && found[0].kind == SecretKind::RootSecret, "{found:?}");
    let moved = [&[0; 8][..], &image].concat();
    assert!(!hits(&search, &moved)[0].expected);
}

#[test]
fn a_shredded_key_is_searched_for_no_more() {
    let disk = MemoryDisk::new();
    let store = store(Encryption::sealed(Local::new()), Arc::new(disk), "/s".as_ref());
    let before = store.leak_search(&[]).unwrap().secrets();
    store.shred(&[Selector::Entity("b".into())], 1, "").unwrap();
    let after = store.leak_search(&[]).unwrap().secrets();
    assert_eq!((before.payload_keys, after.payload_keys), (3, 2));
}

#[test]
fn a_canary_that_anything_may_hold_is_refused() {
    let store = store(Encryption::none(), Arc::new(MemoryDisk::new()), "/s".as_ref());
    assert!(matches!(store.leak_search(&[b"short"]), Err(LeakError::CanaryTooPlain)));
    assert!(matches!(store.leak_search(&[&[7; 100]]), Err(LeakError::CanaryTooPlain)));
    let long = vec![1; CANARY_BYTES_MAX + 1];
    assert!(matches!(store.leak_search(&[&long]), Err(LeakError::CanaryTooLong { bytes: 65_537 })));
}
