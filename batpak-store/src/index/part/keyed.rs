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

/// Gathers keys with their events.
#[derive(Debug, Default)]
pub(super) struct KeyedBuilder {
    entries: Vec<(u64, u32)>,
    lists: Vec<u8>,
}

impl KeyedBuilder {
    /// Adds a key by its hash; a key without events is none.
    pub(super) fn add(&mut self, hash: u64, base: u64, events: &[u32]) {
        if !events.is_empty() {
            self.entries
                .push((hash, u32::try_from(self.lists.len()).expect("the lists of 4 GiB of frames are below 4 GiB")));
            list::put(&mut self.lists, base, events);
        }
    }

    /// The section; none without keys.
    pub(super) fn finish(mut self) -> Option<Vec<u8>> {
        if self.entries.is_empty() {
            return None;
        }
        let mut out = Vec::with_capacity(self.entries.len() * 5 + self.lists.len());
        table::put(&mut out, &mut self.entries);
        out.extend_from_slice(&self.lists);
        Some(out)
    }
}

/// A section as it stands in a file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Keyed<'a> {
    table: Table<'a>,
    lists: &'a [u8],
}

impl<'a> Keyed<'a> {
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        let (table, lists) = Table::read(bytes)?;
        Some(Self { table, lists })
    }

    /// The lists of keys with this hash, or nearly.
    pub(super) fn find(self, hash: u64) -> impl Iterator<Item = List<'a>> {
        self.table.find(hash).filter_map(move |at| List::read(self.lists.get(at as usize..)?))
    }

    /// The lists of all keys.
    pub(super) fn all(self) -> impl Iterator<Item = List<'a>> {
        self.table.values().filter_map(move |at| List::read(self.lists.get(at as usize..)?))
    }
}
