//! A compact hash index: finds the number of a key that stands in a column elsewhere.
//!
//! Invariant: holds five bytes a slot and no key. Keys are compared by the caller, in its own column, and
//! hashes are seeded at random, so that whoever chooses the ids cannot choose their collisions.

use std::hash::{BuildHasher, RandomState};

/// Slots in use stay at or under four of five.
const LOAD_NUMERATOR: usize = 4;
const LOAD_DENOMINATOR: usize = 5;
const SLOTS_MIN: usize = 16;
/// The tag of a slot that holds nothing.
const FREE: u8 = 0;

/// A tag and a number, side by side without padding: one cache line tells both.
#[derive(Debug, Clone, Copy)]
struct Slot {
    tag: u8,
    number: [u8; 4],
}

impl Slot {
    const EMPTY: Slot = Slot { tag: FREE, number: [0; 4] };

    fn number(self) -> u32 {
        u32::from_le_bytes(self.number)
    }
}

/// An open-addressing table from a hash to a number (linear probing, one tag byte a slot).
#[derive(Debug, Clone)]
pub(crate) struct Index {
    slots: Vec<Slot>,
    len: usize,
}

impl Index {
    pub(crate) const fn new() -> Index {
        Index { slots: Vec::new(), len: 0 }
    }

    /// The number under `hash` for which `is` holds.
    pub(crate) fn find(&self, hash: u64, is: impl Fn(u32) -> bool) -> Option<u32> {
        if self.slots.is_empty() {
            return None;
        }
        let tag = tag_of(hash);
        let mut at = self.home(hash);
        loop {
            let slot = self.slots[at];
            match slot.tag {
                FREE => return None,
                found if found == tag && is(slot.number()) => return Some(slot.number()),
                _ => at = self.after(at),
            }
        }
    }

    /// Puts the next number under `hash`. The caller has looked: no equal key is there.
    ///
    /// Numbers are put in from zero on. `hash_of` gives the hash of one put in before, for when the table grows.
    pub(crate) fn insert(&mut self, hash: u64, number: u32, hash_of: impl Fn(u32) -> u64) {
        debug_assert_eq!(number as usize, self.len);
        if (self.len + 1) * LOAD_DENOMINATOR > self.slots.len() * LOAD_NUMERATOR {
            self.grow(hash_of);
        }
        self.place(hash, number);
        self.len += 1;
    }

    /// Heap bytes held.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.slots.capacity() * size_of::<Slot>()
    }

    /// Grows by a quarter. Goes by number and not by slot, so that the keys are read in the order they lie in.
    fn grow(&mut self, hash_of: impl Fn(u32) -> u64) {
        let len = (self.slots.len() + self.slots.len() / 4).max(SLOTS_MIN);
        self.slots = vec![Slot::EMPTY; len];
        for number in 0..self.len as u32 {
            self.place(hash_of(number), number);
        }
    }

    fn place(&mut self, hash: u64, number: u32) {
        let mut at = self.home(hash);
        while self.slots[at].tag != FREE {
            at = self.after(at);
        }
        self.slots[at] = Slot { tag: tag_of(hash), number: number.to_le_bytes() };
    }

    /// Maps the low half of the hash onto the slots by a multiplication, so that their count need not be a
    /// power of two (D. Lemire, "Fast random integer generation in an interval", 2019).
    fn home(&self, hash: u64) -> usize {
        let slots = self.slots.len() as u64;
        (((hash & 0xffff_ffff) * slots) >> 32) as usize
    }

    fn after(&self, at: usize) -> usize {
        if at + 1 == self.slots.len() { 0 } else { at + 1 }
    }
}

fn tag_of(hash: u64) -> u8 {
    ((hash >> 56) as u8).max(1)
}

/// Seeded hashing of ids and names.
#[derive(Debug, Clone)]
pub(crate) struct Hashing {
    low: u64,
    high: u64,
    names: RandomState,
}

impl Hashing {
    pub(crate) fn new() -> Hashing {
        Hashing {
            low: RandomState::new().hash_one(1_u8),
            high: RandomState::new().hash_one(2_u8),
            names: RandomState::new(),
        }
    }

    /// The hash of 16 bytes: both halves under secret seeds, multiplied to 128 bits and folded twice.
    pub(crate) fn id(&self, id: &[u8; 16]) -> u64 {
        let whole = u128::from_le_bytes(*id);
        let first = fold(whole as u64 ^ self.low, (whole >> 64) as u64 ^ self.high);
        fold(first ^ self.high, self.low | 1)
    }

    /// The hash of an entity and a scope.
    pub(crate) fn names(&self, entity: &str, scope: &str) -> u64 {
        self.names.hash_one((entity, scope))
    }

    /// The hash of one name.
    pub(crate) fn name(&self, name: &str) -> u64 {
        self.names.hash_one(name)
    }
}

fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::{Hashing, Index};

    #[test]
    fn index_finds_every_key_and_no_other() {
        let hashing = Hashing::new();
        let key = |number: u32| (u128::from(number) << 40).to_le_bytes();
        let mut index = Index::new();
        for number in 0..50_000 {
            let hash = hashing.id(&key(number));
            assert_eq!(index.find(hash, |found| found == number), None);
            index.insert(hash, number, |found| hashing.id(&key(found)));
        }
        for number in 0..50_000 {
            assert_eq!(index.find(hashing.id(&key(number)), |found| found == number), Some(number));
        }
        assert_eq!(index.find(hashing.id(&key(50_000)), |found| found == 50_000), None);
        assert!(index.memory_bytes() <= 50_000 * 10, "{} bytes", index.memory_bytes());
    }

    #[test]
    fn index_survives_equal_hashes() {
        let mut index = Index::new();
        for number in 0..100 {
            index.insert(7, number, |_| 7);
        }
        for number in 0..100 {
            assert_eq!(index.find(7, |found| found == number), Some(number));
        }
    }
}
