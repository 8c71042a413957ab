//! Any bytes as a key file: refused, or slots that follow each other and encode to the same file.

use batpak_format_fuzz::{Seeds, bounded};
use batpak_keyset::{KEY_FILE_LEN, KeyFile, SECTOR_LEN, Slot};

use crate::sample::{STORE, root, secret_id};

const CHECK_AT: usize = 480;
const CONTEXT: &str = "batpak v1 check of a key file slot";

/// The first byte says whether the checks of the two sectors are made to hold.
pub fn look(data: &[u8]) {
    let Some((choice, rest)) = data.split_first() else { return };
    let mut bytes = rest.to_vec();
    for (n, sector) in bytes.chunks_exact_mut(SECTOR_LEN).enumerate() {
        if choice >> n & 1 == 1 {
            let check = blake3::Hasher::new_derive_key(CONTEXT).update(&sector[..CHECK_AT]).finalize();
            sector[CHECK_AT..].copy_from_slice(check.as_bytes());
        }
    }
    bounded(8 * bytes.len(), || key_file(&bytes, choice & 4 != 0));
}

fn key_file(bytes: &[u8], any_store: bool) {
    let Ok(mut slots) = KeyFile::decode(bytes, (!any_store).then_some(STORE)) else { return };
    let again = slots.encode();
    assert!(slots.is_damaged() || again[..] == *bytes, "what is whole has one form");
    let current = slots.current().secret_id;
    let had_next = slots.next().is_some();
    assert!(slots.find(current).is_some());
    if let Ok(write) = slots.store_next(current, Slot { secret_id: secret_id(9), secret: root() }) {
        let mut file = again.to_vec();
        let at = write.offset as usize;
        file[at..at + SECTOR_LEN].copy_from_slice(&write.bytes);
        let reread = KeyFile::decode(&file, None).map(|slots| slots.next().map(|slot| slot.secret_id));
        assert_eq!(reread.ok().flatten(), Some(secret_id(9)), "had a next one: {had_next}");
        assert!(slots.destroy_current(current).is_ok());
        assert_eq!(slots.current().secret_id, secret_id(9));
    }
    assert_eq!(slots.encode().len(), KEY_FILE_LEN);
}

/// A file with one slot, with two, and with one damaged; short and long ones.
pub fn seeds() -> Seeds {
    let mut slots = KeyFile::new(STORE, Slot { secret_id: secret_id(1), secret: root() });
    let one = slots.encode().to_vec();
    drop(slots.store_next(secret_id(1), Slot { secret_id: secret_id(2), secret: root() }));
    let two = slots.encode().to_vec();
    let mut damaged = two.clone();
    damaged[600] ^= 1;
    let files = [("one", 0, one.clone()), ("two", 0, two.clone()), ("two-checked", 3, two), ("damaged", 0, damaged)];
    let mut seeds: Seeds = files.map(|(name, choice, file)| (name.to_owned(), [&[choice], &file[..]].concat())).into();
    seeds.push(("short".to_owned(), one[..700].to_vec()));
    seeds
}
