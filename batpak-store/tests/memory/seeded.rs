//! A source of randomness that two processes draw the same from.
//!
//! Invariant: what a draw leaves on the stack is masked; the bytes themselves stand only where they were asked for.

use std::sync::atomic::{AtomicU64, Ordering};

use batpak_store::crypto::{Entropy, EntropyError};

const MASK: u8 = 0xA5;

#[derive(Debug)]
pub struct Seeded {
    seed: [u8; 32],
    draws: AtomicU64,
}

impl Seeded {
    pub fn new(seed: u64) -> Self {
        Self { seed: *blake3::hash(&seed.to_le_bytes()).as_bytes(), draws: AtomicU64::new(0) }
    }

    /// The bytes of a draw, each masked.
    fn masked(&self, draw: u64, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        blake3::Hasher::new_keyed(&self.seed).update(&draw.to_le_bytes()).finalize_xof().fill(&mut bytes);
        bytes
    }

    /// The bytes of a draw, for the process that searches.
    pub fn draw(&self, draw: u64, len: usize) -> Vec<u8> {
        self.masked(draw, len).into_iter().map(|byte| byte ^ MASK).collect()
    }
}

impl Entropy for Seeded {
    fn fill(&self, out: &mut [u8]) -> Result<(), EntropyError> {
        let draw = self.draws.fetch_add(1, Ordering::Relaxed);
        println!("drew {draw} {}", out.len());
        let masked = self.masked(draw, out.len());
        for (out, masked) in out.iter_mut().zip(masked) {
            *out = masked ^ MASK;
        }
        Ok(())
    }
}
