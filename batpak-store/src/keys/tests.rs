//! Who is refused while a key is condemned: the appends under it, and no others. How often a key is lent: each is counted for itself.

use batpak_segment::MemoryDisk;

use super::*;
use crate::{Config, Encryption, Local, NewEvent, Receipt, Store, sync::write};

fn append(store: &Store, entity: &str) -> Result<Receipt, AppendError> {
    let coordinate = Coordinate::new(entity, "s").expect("the name is short");
    store.append(&NewEvent::new(coordinate, EventKind::new(1, 1).expect("the category is a caller's"), b"x"))
}

#[test]
fn condemned_key_keeps_no_append_under_another_from_being_placed() {
    let config = Config::new(Encryption::sealed(Local::new())).disk(Arc::new(MemoryDisk::new()));
    let store = Store::create("/store", config).unwrap();
    let [a, _] = ["a", "b"].map(|entity| append(&store, entity).unwrap());
    let key = store.get(a.id).unwrap().unwrap().header.encryption.unwrap().key_id;
    let keys = store.keys().unwrap();
    write(&keys.condemned).insert(key);
    assert!(matches!(append(&store, "a"), Err(AppendError::ScopeShredded)));
    append(&store, "b").unwrap();
    write(&keys.condemned).clear();
    append(&store, "a").unwrap();
}

#[test]
fn lent_keys_are_counted_each_for_itself() {
    let config = Config::new(Encryption::sealed(Local::new())).disk(Arc::new(MemoryDisk::new()));
    let store = Store::create("/store", config).unwrap();
    let keys = store.keys().unwrap();
    let [a, b] = [1, 2].map(|leaf| KeyId::new(0, 1, leaf));
    let [one, other, two] = [a, b, a].map(|key_id| lock(&keys.state).lease(keys, key_id));
    let lent = || lock(&keys.state).lent.clone();
    assert_eq!(lent(), [(a, 2), (b, 1)]);
    drop(one);
    assert_eq!(lent(), [(a, 1), (b, 1)]);
    drop(two);
    assert_eq!(lent(), [(b, 1)]);
    drop(other);
    assert_eq!(lent(), []);
}
