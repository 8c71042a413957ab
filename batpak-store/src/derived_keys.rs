//! Payload keys between two appends under them, so that a key scope that is appended to again costs no derivation.
//!
//! Invariants: bounded at [`SLOTS`] keys, each wiped when another takes its slot. A key is taken out to be lent and put back when it has
//! done its work, under the lock of the keyset that derived it; so it is in one place at a time. When new frontiers are put in place every
//! slot is emptied, and again when no victim is lent any more: so no key is left that the keyset no longer derives.

use batpak_crypto::{KeyCommitment, KeyRoom, PayloadKey};
use batpak_format::KeyId;

/// Keys that follow one another stand in different slots.
const SLOTS: usize = 64;

/// See the module.
#[derive(Debug)]
pub(crate) struct DerivedKeys {
    slots: Box<[Option<DerivedKey>]>,
    /// Wiped places of keys that gave way.
    rooms: Vec<KeyRoom>,
}

/// A key, and what stands in a frame that is sealed under it while it is provisional.
#[derive(Debug)]
pub(crate) struct DerivedKey {
    pub(crate) key_id: KeyId,
    pub(crate) key: PayloadKey,
    pub(crate) commitment: KeyCommitment,
    /// Whether another event may be sealed under it.
    pub(crate) shared: bool,
}

impl DerivedKeys {
    pub(crate) fn new() -> Self {
        Self { slots: (0..SLOTS).map(|_| None).collect(), rooms: Vec::new() }
    }

    fn slot(&mut self, key_id: KeyId) -> Option<&mut Option<DerivedKey>> {
        self.slots.get_mut(key_id.as_u64() as usize % SLOTS)
    }

    /// Takes a key out, if it is there.
    pub(crate) fn take(&mut self, key_id: KeyId) -> Option<DerivedKey> {
        self.slot(key_id)?.take_if(|derived| derived.key_id == key_id)
    }

    /// A place for a key that is derived now.
    pub(crate) fn room(&mut self) -> KeyRoom {
        self.rooms.pop().unwrap_or_default()
    }

    /// Takes a key back that has done its work, and keeps it for the next event if there may be one.
    pub(crate) fn put(&mut self, derived: DerivedKey) {
        let gone = match derived.shared {
            true => self.slot(derived.key_id).and_then(|slot| slot.replace(derived)),
            false => Some(derived),
        };
        if let Some(gone) = gone.filter(|_| self.rooms.len() < SLOTS) {
            self.rooms.push(gone.key.into_room());
        }
    }

    /// Wipes every key.
    pub(crate) fn forget(&mut self) {
        self.slots.fill_with(|| None);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    #![allow(clippy::unwrap_used, reason = "helpers of tests may fail where tests may")]

    use std::sync::Arc;

    use batpak_segment::MemoryDisk;

    use crate::{Config, Coordinate, Encryption, EventKind, Granularity, Local, NewEvent, Selector, Store, sync::lock};

    fn store() -> Store {
        store_with(Granularity::Entity)
    }

    fn store_with(granularity: Granularity) -> Store {
        let config =
            Config::new(Encryption::sealed(Local::new())).disk(Arc::new(MemoryDisk::new())).granularity(granularity);
        Store::create("/store", config).unwrap()
    }

    fn append(store: &Store, entity: usize) {
        let at = Coordinate::new(&format!("entity-{entity}"), "s").unwrap();
        store.append(&NewEvent::new(at, EventKind::new(1, 1).unwrap(), b"x")).unwrap();
    }

    fn kept(store: &Store) -> Vec<u32> {
        let state = lock(&store.keys().unwrap().state);
        state.derived.slots.iter().flatten().map(|derived| derived.key_id.leaf()).collect()
    }

    #[test]
    fn derived_keys_are_bounded_and_each_is_back_in_its_slot() {
        let store = store();
        (0..2 * super::SLOTS).for_each(|entity| append(&store, entity));
        let last: Vec<u32> = (super::SLOTS as u32..2 * super::SLOTS as u32).collect();
        assert_eq!(kept(&store), last);
        // Taken out and put back, once and again.
        (0..3).for_each(|_| append(&store, super::SLOTS));
        assert_eq!(kept(&store), last);
        append(&store, 0);
        assert_eq!(kept(&store)[0], 0);
    }

    #[test]
    fn derived_keys_of_one_event_each_are_not_kept() {
        let store = store_with(Granularity::Event);
        (0..3).for_each(|entity| append(&store, entity));
        assert!(kept(&store).is_empty());
    }

    #[test]
    fn derived_keys_are_gone_after_a_shred_and_after_a_rekey() {
        let store = store();
        (0..3).for_each(|entity| append(&store, entity));
        assert_eq!(kept(&store), [0, 1, 2]);
        store.shred(&[Selector::Entity("entity-1".into())], 1, "").unwrap();
        assert!(kept(&store).is_empty());
        append(&store, 2);
        assert_eq!(kept(&store), [2]);
        store.rekey().unwrap();
        assert!(kept(&store).is_empty());
    }
}
