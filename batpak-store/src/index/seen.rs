//! Which keys the pieces of a segment may have: who asks for one that none of them has asks none of them.
//!
//! Four bits a key, all in one cache line, so that a key that is new to a segment costs one miss, and not one a piece. It moves from each
//! piece to the next: the newest one's knows the keys of all.
//!
//! Invariants: it never denies a key that was added. One that was moved away, or never made, denies none. 256 KiB; of 200,000 keys, more
//! than segments have, it denies nineteen of twenty that it has not.

use super::KeyHash;

const WORDS: usize = 1 << 15;
const LINE_WORDS: usize = 8;

/// See the module.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    words: Vec<u64>,
}

impl Seen {
    /// Of a segment that has no key yet.
    pub(super) fn new() -> Self {
        Self { words: vec![0; WORDS] }
    }

    /// The word and the bit of each of the four.
    fn places(hash: KeyHash) -> impl Iterator<Item = (usize, u64)> {
        let hash = hash.as_u64();
        let line = (hash >> 48) as usize % (WORDS / LINE_WORDS) * LINE_WORDS;
        (0..4).map(move |number| {
            let bits = (hash >> (number * 9)) as usize;
            (line + (bits >> 6) % LINE_WORDS, 1 << (bits % 64))
        })
    }

    pub(super) fn add(&mut self, hash: KeyHash) {
        for (at, bit) in Self::places(hash) {
            if let Some(word) = self.words.get_mut(at) {
                *word |= bit;
            }
        }
    }

    pub(super) fn may_hold(&self, hash: KeyHash) -> bool {
        Self::places(hash).all(|(at, bit)| self.words.get(at).is_none_or(|word| word & bit != 0))
    }

    pub(super) fn bytes(&self) -> usize {
        self.words.len() * size_of::<u64>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(n: u32) -> KeyHash {
        KeyHash::of(&n.to_le_bytes())
    }

    #[test]
    fn seen_denies_no_key_that_was_added_and_most_others() {
        let mut seen = Seen::new();
        assert!(!(0..1000).any(|n| seen.may_hold(hash(n))));
        (0..100_000).for_each(|n| seen.add(hash(n)));
        assert!((0..100_000).all(|n| seen.may_hold(hash(n))));
        let wrong = (100_000..200_000).filter(|n| seen.may_hold(hash(*n))).count();
        assert!(wrong < 5000, "{wrong}");
    }

    #[test]
    fn seen_that_was_moved_away_denies_nothing() {
        let mut seen = Seen::new();
        drop(std::mem::take(&mut seen));
        seen.add(hash(1));
        assert!((0..1000).all(|n| seen.may_hold(hash(n))));
    }
}
