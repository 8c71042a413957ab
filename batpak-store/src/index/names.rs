//! Names that many events share, each kept once under a small number.
//!
//! Invariant: the number that was asked for last is told by one comparison: an append asks several times for the same name.

use std::sync::Arc;

use hashbrown::HashTable;

use super::{KeyHash, seen::Seen};

/// A table of names.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    numbers: HashTable<u32>,
    names: Vec<Arc<str>>,
    /// The number of the last event's name.
    recent: u32,
    bytes: usize,
    /// The names of this part and of those before it in the segment.
    pub(super) seen: Seen,
}

impl Names {
    pub(super) fn with_capacity(names: usize) -> Self {
        Self {
            numbers: HashTable::with_capacity(names),
            names: Vec::with_capacity(names),
            recent: 0,
            bytes: 0,
            seen: Seen::default(),
        }
    }

    /// Returns the number of a name, giving it one when it is new.
    pub(super) fn number(&mut self, name: &str) -> u32 {
        if let Some(number) = self.recent(name) {
            return number;
        }
        let hash = KeyHash::of(name.as_bytes());
        if let Some(number) = self.find_hashed(name, hash) {
            self.recent = number;
            return number;
        }
        let number = u32::try_from(self.names.len()).expect("four billion names do not fit in memory");
        let name: Arc<str> = name.into();
        self.bytes += name.len() + 16;
        self.names.push(name);
        self.seen.add(hash);
        let names = &self.names;
        let hash_of =
            |number: &u32| names.get(*number as usize).map_or(0, |name| KeyHash::of(name.as_bytes()).as_u64());
        self.numbers.insert_unique(hash.as_u64(), number, hash_of);
        self.recent = number;
        number
    }

    /// The number that was asked for last, if it is this name's.
    fn recent(&self, name: &str) -> Option<u32> {
        self.name(self.recent).filter(|recent| ***recent == *name).map(|_| self.recent)
    }

    pub(super) fn find(&self, name: &str) -> Option<u32> {
        self.recent(name).or_else(|| self.find_hashed(name, KeyHash::of(name.as_bytes())))
    }

    /// As [`Names::find`], with the name's hash at hand.
    pub(super) fn find_hashed(&self, name: &str, hash: KeyHash) -> Option<u32> {
        let is = |number: &u32| self.names.get(*number as usize).is_some_and(|known| **known == *name);
        self.numbers.find(hash.as_u64(), is).copied()
    }

    /// As [`Names::find`], for a name that will be asked for again at once.
    pub(super) fn recall(&mut self, name: &str) -> Option<u32> {
        let number = self.find(name)?;
        self.recent = number;
        Some(number)
    }

    pub(super) fn name(&self, number: u32) -> Option<&Arc<str>> {
        self.names.get(number as usize)
    }

    /// The names in the order of their numbers.
    pub(super) fn iter(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(|name| &**name)
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes + self.seen.bytes() + self.names.capacity() * size_of::<Arc<str>>() + self.numbers.allocation_size()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_their_numbers_whichever_was_asked_for_last() {
        let mut names = Names::default();
        assert_eq!((names.find("a"), names.recall("a")), (None, None));
        assert_eq!(["a", "b", "a", "c"].map(|name| names.number(name)), [0, 1, 0, 2]);
        for recent in ["a", "b", "c"] {
            names.recall(recent);
            assert_eq!(["a", "b", "c", "d"].map(|name| names.find(name)), [Some(0), Some(1), Some(2), None]);
        }
        assert_eq!(names.iter().collect::<Vec<_>>(), ["a", "b", "c"]);
    }
}
