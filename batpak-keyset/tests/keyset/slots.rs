//! The key file: whatever is cut or flipped, a secret is the one that was written or none.

use batpak_format::StoreId;
use batpak_keyset::{KEY_FILE_LEN, KeyFile, KeyFileError, SECTOR_LEN, Slot};

use crate::fixed::{STORE, root, secret_id};

fn slot(byte: u8) -> Slot {
    Slot { secret_id: secret_id(byte), secret: root(byte) }
}

fn one() -> KeyFile {
    KeyFile::new(STORE, slot(1))
}

fn two() -> KeyFile {
    let mut file = one();
    file.store_next(secret_id(1), slot(2)).unwrap();
    file
}

/// The first byte of each secret, current and next.
fn secrets(file: &KeyFile) -> (u8, Option<u8>) {
    let byte = |slot: &Slot| {
        assert_eq!(slot.secret_id, secret_id(slot.secret.expose()[0]));
        assert_eq!(slot.secret.expose(), &[slot.secret.expose()[0]; 32]);
        slot.secret.expose()[0]
    };
    (byte(file.current()), file.next().map(byte))
}

fn apply(bytes: &mut [u8], write: &batpak_keyset::SectorWrite) {
    bytes[write.offset as usize..][..SECTOR_LEN].copy_from_slice(&write.bytes);
}

#[test]
fn key_file_round_trips() {
    for (file, expected) in [(one(), (1, None)), (two(), (1, Some(2)))] {
        let decoded = KeyFile::decode(&file.encode(), Some(STORE)).unwrap();
        assert_eq!((secrets(&decoded), decoded.store(), decoded.is_damaged()), (expected, STORE, false));
    }
}

#[test]
fn key_file_moves_from_secret_to_secret_one_sector_at_a_time() {
    let mut file = one();
    let mut bytes = file.encode();
    for secret in 2..8 {
        let write = file.store_next(secret_id(secret - 1), slot(secret)).unwrap();
        apply(&mut bytes, &write);
        assert_eq!(secrets(&KeyFile::decode(&bytes, Some(STORE)).unwrap()), (secret - 1, Some(secret)));
        let write = file.destroy_current(secret_id(secret - 1)).unwrap();
        apply(&mut bytes, &write);
        assert_eq!(secrets(&KeyFile::decode(&bytes, Some(STORE)).unwrap()), (secret, None));
        assert_eq!(*bytes, *file.encode());
        let gone = [secret - 1; 32];
        assert!(!bytes.windows(32).any(|window| window == gone), "the old secret is in the file");
    }
}

#[test]
fn key_file_replaces_a_next_secret_and_destroys_it() {
    let mut file = two();
    let mut bytes = file.encode();
    apply(&mut bytes, &file.store_next(secret_id(1), slot(3)).unwrap());
    assert_eq!(secrets(&KeyFile::decode(&bytes, Some(STORE)).unwrap()), (1, Some(3)));
    assert!(file.find(secret_id(3)).is_some() && file.find(secret_id(2)).is_none());
    apply(&mut bytes, &file.destroy_next());
    assert_eq!(secrets(&KeyFile::decode(&bytes, Some(STORE)).unwrap()), (1, None));
}

#[test]
fn key_file_changes_only_behind_the_secret_that_was_named() {
    let mut file = one();
    assert!(matches!(file.store_next(secret_id(9), slot(2)), Err(KeyFileError::CurrentChanged)));
    assert!(matches!(file.destroy_current(secret_id(1)), Err(KeyFileError::NoNext)));
    assert!(matches!(two().destroy_current(secret_id(2)), Err(KeyFileError::CurrentChanged)));
    assert_eq!(secrets(&file), (1, None));
}

#[test]
fn every_bit_flip_of_a_slot_is_seen() {
    let mut bytes = two().encode();
    for bit in 0..KEY_FILE_LEN * 8 {
        bytes[bit / 8] ^= 1 << (bit % 8);
        let decoded = KeyFile::decode(&bytes, Some(STORE)).unwrap();
        let left = if bit / 8 < SECTOR_LEN { (2, None) } else { (1, None) };
        assert_eq!((secrets(&decoded), decoded.is_damaged()), (left, true), "bit {bit}");
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
    let mut bytes = one().encode();
    for bit in 0..SECTOR_LEN * 8 {
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(matches!(KeyFile::decode(&bytes, Some(STORE)), Err(KeyFileError::Corrupt)), "bit {bit}");
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
}

#[test]
fn every_truncation_of_a_key_file_is_refused() {
    let bytes = two().encode();
    for len in 0..bytes.len() {
        let refused = KeyFile::decode(&bytes[..len], Some(STORE));
        assert!(matches!(refused, Err(KeyFileError::WrongLength { bytes }) if bytes == len));
    }
    let longer = [&bytes[..], &[0]].concat();
    assert!(matches!(KeyFile::decode(&longer, None), Err(KeyFileError::WrongLength { bytes: 1025 })));
}

#[test]
fn every_cut_of_a_sector_write_leaves_a_secret_that_opens() {
    let mut file = one();
    let before = file.encode();
    let write = file.store_next(secret_id(1), slot(2)).unwrap();
    for cut in 0..SECTOR_LEN {
        let mut bytes = before.clone();
        bytes[write.offset as usize..][..cut].copy_from_slice(&write.bytes[..cut]);
        let decoded = KeyFile::decode(&bytes, Some(STORE)).unwrap();
        assert_eq!(secrets(&decoded), (1, None), "cut at {cut}");
    }
    let before = file.encode();
    let write = file.destroy_current(secret_id(1)).unwrap();
    for cut in 1..SECTOR_LEN {
        let mut bytes = before.clone();
        bytes[write.offset as usize..][..cut].copy_from_slice(&write.bytes[..cut]);
        let decoded = KeyFile::decode(&bytes, Some(STORE)).unwrap();
        assert_eq!(secrets(&decoded), (2, None), "cut at {cut}");
    }
}

#[test]
fn foreign_key_file_is_refused() {
    let other = StoreId::from_bytes([3; 16]);
    let refused = KeyFile::decode(&two().encode(), Some(other));
    assert!(matches!(refused, Err(KeyFileError::Foreign { found: STORE })));
    assert!(KeyFile::decode(&two().encode(), None).is_ok());
}

#[test]
fn slots_that_do_not_belong_together_are_corrupt() {
    let mut later = two();
    later.destroy_current(secret_id(1)).unwrap();
    later.store_next(secret_id(2), slot(3)).unwrap();
    later.destroy_current(secret_id(2)).unwrap();
    later.store_next(secret_id(3), slot(4)).unwrap();
    let mut bytes = later.encode();
    bytes[..SECTOR_LEN].copy_from_slice(&one().encode()[..SECTOR_LEN]);
    assert!(matches!(KeyFile::decode(&bytes, Some(STORE)), Err(KeyFileError::Corrupt)));
    let foreign = KeyFile::new(StoreId::from_bytes([3; 16]), slot(1)).encode();
    bytes.copy_from_slice(&two().encode());
    bytes[..SECTOR_LEN].copy_from_slice(&foreign[..SECTOR_LEN]);
    assert!(matches!(KeyFile::decode(&bytes, None), Err(KeyFileError::Corrupt)));
}

/// Changes the first slot and makes its check hold again.
fn forge(bytes: &mut [u8], change: impl FnOnce(&mut [u8])) {
    change(bytes);
    let check = blake3::derive_key("batpak v1 check of a key file slot", &bytes[..480]);
    bytes[480..512].copy_from_slice(&check);
}

#[test]
fn slot_in_the_wrong_sector_or_with_more_than_its_fields_is_damaged() {
    // Where the sequence begins, and both places that are zeros.
    for (at, byte) in [(16, 1), (10, 1), (15, 1), (88, 1), (479, 1)] {
        let mut bytes = two().encode();
        forge(&mut bytes, |bytes| bytes[at] ^= byte);
        let decoded = KeyFile::decode(&bytes, Some(STORE)).unwrap();
        assert_eq!((secrets(&decoded), decoded.is_damaged()), ((2, None), true), "byte {at}");
    }
    let mut untouched = two().encode();
    forge(&mut untouched, |_| {});
    assert_eq!(secrets(&KeyFile::decode(&untouched, Some(STORE)).unwrap()), (1, Some(2)));
}

#[test]
fn slot_of_an_unknown_version_is_refused() {
    let mut bytes = one().encode();
    forge(&mut bytes, |bytes| bytes[8] = 9);
    assert!(matches!(KeyFile::decode(&bytes, None), Err(KeyFileError::UnknownVersion { version: 9 })));
}

#[test]
fn empty_key_file_is_corrupt_and_prints_nothing_secret() {
    assert!(matches!(KeyFile::decode(&[0; KEY_FILE_LEN], None), Err(KeyFileError::Corrupt)));
    let shown = format!("{:?}", KeyFile::new(STORE, slot(0xAB)));
    assert!(shown.contains("RootSecret(..)") && !shown.contains("171, 171"));
}
