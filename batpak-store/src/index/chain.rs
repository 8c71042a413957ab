//! Which events share a kind, or a scope: one list a key, in which every event stands once.
//!
//! Invariant: each event keeps the position of the key's event before it, so a list costs one table entry a key and four bytes an
//! event, and it is walked from its last event back. The key that came last is told by one comparison: most events have it again.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hash, Hasher},
};

use super::column::Column;

const NONE: u32 = u32::MAX;

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Chain<K> {
    /// By key, the last event: but for the recent key, which stands there with an earlier one.
    last: HashMap<K, u32, BuildHasherDefault<Spread>>,
    recent: Option<(K, u32)>,
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

impl<K: Copy + Eq + Hash> Chain<K> {
    pub(super) fn new() -> Self {
        Self { last: HashMap::default(), recent: None, previous: Column::new() }
    }

    /// Adds the event at the next position.
    pub(super) fn push(&mut self, key: K, position: u32) {
        let previous = match &mut self.recent {
            Some((recent, last)) if *recent == key => std::mem::replace(last, position),
            _ => {
                self.settle();
                self.recent = Some((key, position));
                self.last.insert(key, position).unwrap_or(NONE)
            }
        };
        self.previous.push(previous);
    }

    /// Puts the recent key's last event into the table, and has none recent.
    fn settle(&mut self) {
        if let Some((key, last)) = self.recent.take() {
            self.last.insert(key, last);
        }
    }

    /// Takes the last event back, which has this key.
    pub(super) fn pop(&mut self, key: K) {
        self.settle();
        match self.previous.pop() {
            None | Some(NONE) => drop(self.last.remove(&key)),
            Some(previous) => drop(self.last.insert(key, previous)),
        }
    }

    /// The position of a key's last event.
    fn last(&self, key: &K) -> Option<u32> {
        match self.recent {
            Some((recent, last)) if recent == *key => Some(last),
            _ => self.last.get(key).copied(),
        }
    }

    /// The positions of a key's events, the last one first.
    pub(super) fn newest_first(&self, key: &K) -> impl Iterator<Item = u32> + '_ {
        let before = |at: &u32| self.previous.get(*at as usize).filter(|previous| *previous != NONE);
        std::iter::successors(self.last(key), before)
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
