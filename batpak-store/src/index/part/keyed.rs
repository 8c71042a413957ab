//! One section of an index file for one kind of key: a hash table of keys, and for each key the list of its events.
//!
//! Behind the table stands where the lists of each entry of the file's segments begin, u32 each, and then the lists. Places in a list are
//! counted from the first event of its entry: so a merge copies lists as they are, and a key has one list in each entry with events of it.
//!
//! Invariant: the keys themselves are not in it: they stand in the frames of the events, which whoever looks one up reads to check.

use std::hash::Hasher;

use batpak_format::StoreId;
use siphasher::sip::SipHasher13;

use super::{
    list::{self, List},
    table::{self, Slots, Table, word},
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
    pub(super) hash: u64,
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

    /// The section, in a file with one entry; none without keys.
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
        let mut out = Vec::with_capacity(entries.len() * 9 + lists.len());
        table::put(&mut out, Slots::Wide, &mut entries);
        out.extend_from_slice(&0_u32.to_le_bytes());
        out.extend_from_slice(&lists);
        Some(out)
    }
}

/// A section as it stands in a file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Keyed<'a> {
    pub(super) table: Table<'a>,
    /// Where the lists of each entry begin.
    pub(super) begins: &'a [u8],
    pub(super) lists: &'a [u8],
    /// The place of each entry's first event.
    pub(super) first_places: &'a [u32],
}

impl<'a> Keyed<'a> {
    /// The section of a table, and of what stands behind it; none when that is too short.
    pub(super) fn new(table: Table<'a>, rest: &'a [u8], first_places: &'a [u32]) -> Option<Self> {
        let (begins, lists) = rest.split_at_checked(first_places.len() * 4)?;
        Some(Self { table, begins, lists, first_places })
    }

    fn list(self, at: u32) -> Option<List<'a>> {
        let begins = self.begins.as_chunks().0;
        let entry = begins.partition_point(|begin| u32::from_le_bytes(*begin) <= at).checked_sub(1)?;
        List::read(self.lists.get(at as usize..)?, *self.first_places.get(entry)?)
    }

    /// The lists of keys with this hash, or nearly; those of one key from the newest to the oldest.
    pub(super) fn find(self, key: Key) -> impl Iterator<Item = List<'a>> {
        self.table.find(key.hash).filter_map(move |at| self.list(at))
    }

    /// The lists of all keys; those of one key from the oldest to the newest.
    pub(super) fn all(self) -> impl Iterator<Item = List<'a>> {
        self.table.values().filter_map(move |at| self.list(at))
    }
}

/// Puts one section of what several files have, the oldest first; with each how many entries its file has.
pub(super) fn put_merged(sections: &[(Option<Keyed<'_>>, usize)], put: &mut dyn FnMut(&[u8])) {
    let (mut tables, mut begins, mut end) = (Vec::with_capacity(sections.len()), Vec::new(), 0_u32);
    for (section, entries) in sections {
        let begin = |entry: usize| section.as_ref().and_then(|section| word(section.begins, entry)).unwrap_or(0);
        begins.extend((0..*entries).map(|entry| end + begin(entry)));
        if let Some(section) = section {
            tables.push((section.table, end));
            end += section.lists.len() as u32;
        }
    }
    table::put_merged(&tables, Slots::Wide, end, put);
    begins.iter().for_each(|begin| put(&begin.to_le_bytes()));
    sections.iter().filter_map(|(section, _)| section.as_ref()).for_each(|section| put(section.lists));
}
