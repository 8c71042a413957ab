//! Numbers, bytes and times that look random and are the same for the same seed.
//!
//! Invariant: a run draws from its seed and from nothing else, so that it can be had again.

use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use batpak_store::crypto::{Entropy, EntropyError};
use batpak_store::{Clock, Timestamp};

use crate::lock;

/// Numbers that look random: SplitMix64 (G. Steele, D. Lea, C. Flood, 2014).
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, which is not zero.
    pub(crate) const fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }
}

/// One number that stands for several.
pub(crate) fn mix(numbers: &[u64]) -> u64 {
    numbers.iter().fold(0, |mixed, number| Random::new(mixed ^ number.rotate_left(17)).next())
}

/// Keys, nonces and ids of one life of a store.
#[derive(Debug)]
pub(crate) struct Stream(Mutex<Random>);

impl Stream {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(Mutex::new(Random::new(seed)))
    }
}

impl Entropy for Stream {
    fn fill(&self, out: &mut [u8]) -> Result<(), EntropyError> {
        let mut random = lock(&self.0);
        for piece in out.chunks_mut(8) {
            let bytes = random.next().to_le_bytes();
            piece.copy_from_slice(&bytes[..piece.len()]);
        }
        Ok(())
    }
}

/// A clock that goes on by a millisecond whenever it is asked.
#[derive(Debug)]
pub(crate) struct Ticks(AtomicI64);

impl Ticks {
    pub(crate) const fn new() -> Self {
        Self(AtomicI64::new(1_700_000_000_000_000))
    }
}

impl Clock for Ticks {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.fetch_add(1000, Ordering::Relaxed))
    }
}

/// Counts, shared by threads.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn add(&self, more: u64) -> u64 {
        self.0.fetch_add(more, Ordering::Relaxed)
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stream_repeats_with_its_seed_and_differs_with_another() {
        let drawn = |seed| {
            let mut bytes = [0; 20];
            Stream::new(seed).fill(&mut bytes).unwrap();
            bytes
        };
        assert_eq!(drawn(1), drawn(1));
        assert_ne!(drawn(1), drawn(2));
    }
}
