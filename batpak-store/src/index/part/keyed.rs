//! One section of an index file for one kind of key: a hash table of keys, and for each key the list of its events.
//!
//! Invariant: the keys themselves are not in it: they stand in the frames of the events, which whoever looks one up reads to check.

use std::hash::Hasher;

use batpak_format::StoreId;
use siphasher::sip::SipHasher13;

use super::{
    list::{self, List},
    table::{self, Table},
};

/// Hashes a key: SipHash-1-3 under the store's id, so that a file is read on any machine.
pub(super) fn hash(store: &StoreId, key: &[u8]) -> u64 {
    let mut hasher = SipHasher13::new_with_key(store.as_bytes());
    hasher.write(key);
    hasher.finish()
}

/// A key that is looked up, hashed once for all files.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key {
    hash: u64,
}

impl Key {
    pub(crate) fn new(store: &StoreId, key: &[u8]) -> Self {
        Self { hash: hash(store, key) }
    }
}

/// Gathers keys with their events, in any order: the same keys make the same section.
#[derive(Debug, Default)]
pub(super) struct KeyedBuilder {
    /// The hash of each key, and where its list ends; it begins where the one before ends.
    keys: Vec<(u64, usize)>,
    lists: Vec<u8>,
}

impl KeyedBuilder {
    /// Adds a key by its hash; a key without events is none.
    pub(super) fn add(&mut self, hash: u64, base: u64, events: &[u32]) {
        if !events.is_empty() {
            list::put(&mut self.lists, base, events);
            self.keys.push((hash, self.lists.len()));
        }
    }

    /// The section; none without keys.
    ///
    /// # Panics
    /// When the lists pass 4 GiB, which those of a segment do not.
    pub(super) fn finish(self) -> Option<Vec<u8>> {
        if self.keys.is_empty() {
            return None;
        }
        let mut begin = 0;
        let mut keys: Vec<(u64, &[u8])> = Vec::with_capacity(self.keys.len());
        for (hash, end) in &self.keys {
            keys.push((*hash, &self.lists[begin..*end]));
            begin = *end;
        }
        keys.sort_unstable();
        let (mut entries, mut lists) = (Vec::with_capacity(keys.len()), Vec::with_capacity(self.lists.len()));
        for (hash, list) in keys {
            entries.push((hash, u32::try_from(lists.len()).expect("a segment below 4 GiB has shorter lists")));
            lists.extend_from_slice(list);
        }
        let mut out = Vec::with_capacity(entries.len() * 5 + lists.len());
        table::put(&mut out, &mut entries);
        out.extend_from_slice(&lists);
        Some(out)
    }
}

/// A section as it stands in a file; the lists are behind the table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Keyed<'a> {
    pub(super) table: Table<'a>,
    pub(super) lists: &'a [u8],
}

impl<'a> Keyed<'a> {
    /// What may stand under a key: places, where there are no lists.
    pub(super) fn values(self, key: Key) -> impl Iterator<Item = u32> + 'a {
        self.table.find(key.hash)
    }

    /// The lists of keys with this hash, or nearly.
    pub(super) fn find(self, key: Key) -> impl Iterator<Item = List<'a>> {
        self.table.find(key.hash).filter_map(move |at| List::read(self.lists.get(at as usize..)?))
    }

    /// The lists of all keys.
    pub(super) fn all(self) -> impl Iterator<Item = List<'a>> {
        self.table.values().filter_map(move |at| List::read(self.lists.get(at as usize..)?))
    }
}
