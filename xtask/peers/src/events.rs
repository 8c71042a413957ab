//! The events of a run: payloads that no one can compress, entities in turn, and random choices.
//!
//! Invariant: the n-th event is the same in every run and for every adapter.

use std::ops::Range;

use crate::request::Request;

const POOL_BYTES: usize = 1 << 20;
const SIZE_MIN: usize = 64;

/// Fast pseudo-random numbers (splitmix64), for payloads and for the order of reads.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// Starts from a seed.
    pub(crate) fn new(seed: u64) -> Random {
        Random(seed)
    }

    /// Returns the next number.
    pub(crate) fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ mixed >> 31
    }

    /// Returns a number below a bound.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.draw() % bound.max(1)
    }
}

/// The events that a run appends.
#[derive(Debug)]
pub(crate) struct Events {
    pool: Vec<u8>,
    payload: usize,
    mixed: bool,
    entities: u64,
    first: u64,
    count: u64,
}

impl Events {
    /// Makes the events of a request.
    pub(crate) fn new(request: &Request) -> Events {
        let mut random = Random::new(7);
        let bytes = POOL_BYTES.max(4 * request.payload);
        let pool = (0..bytes / 8).flat_map(|_| random.draw().to_le_bytes()).collect();
        let Request { payload, mixed, entities, first, events: count, .. } = *request;
        Events { pool, payload, mixed, entities, first, count }
    }

    /// Returns the n-th event of the run: its entity, and its payload.
    pub(crate) fn item(&self, n: u64) -> (u64, &[u8]) {
        let n = n + self.first;
        let entity = if self.entities == 0 { n } else { n % self.entities };
        let size = self.size(n);
        let at = (n as usize).wrapping_mul(61) % (self.pool.len() - size);
        (entity, &self.pool[at..at + size])
    }

    /// Returns the numbers of the entities that the run uses.
    pub(crate) fn entities(&self) -> Range<u64> {
        if self.entities == 0 { self.first..self.first + self.count } else { 0..self.entities }
    }

    /// Returns the size of an event's payload.
    fn size(&self, n: u64) -> usize {
        if !self.mixed {
            return self.payload;
        }
        let spread = 2 * self.payload as u64;
        SIZE_MIN + Random::new(n).below(spread.saturating_sub(SIZE_MIN as u64)) as usize
    }
}
