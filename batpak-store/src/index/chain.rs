//! Which events share a kind, or a scope: one list a key, in which every event stands once.
//!
//! Invariant: each event keeps the position of the key's event before it, so a list costs one table entry a key and four bytes an
//! event, and it is walked from its last event back.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hash, Hasher},
};

use super::column::Column;

const NONE: u32 = u32::MAX;

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Chain<K> {
    last: HashMap<K, u32, BuildHasherDefault<Spread>>,
    /// By position.
    previous: Column<u32>,
}

/// The hash of a kind or of a scope's number: nobody chooses many of these, and they differ.
#[derive(Clone, Copy, Debug, Default)]
struct Spread(u64);

impl Spread {
    fn mix(&mut self, number: u64) {
        // 2^64 divided by the golden ratio.
        let mixed = (self.0 ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ mixed >> 32;
    }
}

impl Hasher for Spread {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.mix(u64::from(*byte)));
    }

    fn write_u16(&mut self, number: u16) {
        self.mix(u64::from(number));
    }

    fn write_u32(&mut self, number: u32) {
        self.mix(u64::from(number));
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

impl<K: Eq + Hash> Chain<K> {
    pub(super) fn new() -> Self {
        Self { last: HashMap::default(), previous: Column::new() }
    }

    /// Adds the event at the next position.
    pub(super) fn push(&mut self, key: K, position: u32) {
        self.previous.push(self.last.insert(key, position).unwrap_or(NONE));
    }

    /// Takes the last event back, which has this key.
    pub(super) fn pop(&mut self, key: K) {
        match self.previous.pop() {
            None | Some(NONE) => drop(self.last.remove(&key)),
            Some(previous) => drop(self.last.insert(key, previous)),
        }
    }

    /// The positions of a key's events, the last one first.
    pub(super) fn newest_first(&self, key: &K) -> impl Iterator<Item = u32> + '_ {
        let before = |at: &u32| self.previous.get(*at as usize).filter(|previous| *previous != NONE);
        std::iter::successors(self.last.get(key).copied(), before)
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &K> {
        self.last.keys()
    }

    pub(super) fn bytes(&self) -> usize {
        self.previous.bytes() + self.last.capacity() * (size_of::<(K, u32)>() + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chain_lists_newest_first_and_takes_back_the_last_event() {
        let mut chain = Chain::new();
        for (position, key) in ["a", "b", "a", "a"].into_iter().enumerate() {
            chain.push(key, position as u32);
        }
        let list = |chain: &Chain<&str>, key| chain.newest_first(&key).collect::<Vec<_>>();
        assert_eq!((list(&chain, "a"), list(&chain, "b"), list(&chain, "c")), (vec![3, 2, 0], vec![1], vec![]));
        chain.pop("a");
        chain.pop("a");
        chain.pop("b");
        assert_eq!((list(&chain, "a"), list(&chain, "b")), (vec![0], vec![]));
        chain.push("b", 1);
        assert_eq!(list(&chain, "b"), [1]);
    }
}
