//! A source of randomness that two processes draw the same from.
//!
//! Invariant: what a draw leaves on the stack is masked; the bytes themselves stand only where they were asked for.

use std::sync::Mutex;

use batpak_store::crypto::{Entropy, EntropyError};

const MASK: u8 = 0xA5;

#[derive(Debug)]
pub struct Seeded {
    seed: [u8; 32],
    /// The length of each draw so far.
    lens: Mutex<Vec<usize>>,
}

impl Seeded {
    pub fn new(seed: u64) -> Self {
        Self { seed: *blake3::hash(&seed.to_le_bytes()).as_bytes(), lens: Mutex::default() }
    }

    /// The bytes of a draw, each masked.
    fn masked(&self, draw: u64, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        blake3::Hasher::new_keyed(&self.seed).update(&draw.to_le_bytes()).finalize_xof().fill(&mut bytes);
        bytes
    }

    /// Number and length of each draw so far.
    pub fn draws(&self) -> Vec<(u64, usize)> {
        (0..).zip(self.lens.lock().unwrap().iter().copied()).collect()
    }

    /// The bytes of a draw, for the process that searches.
    pub fn draw(&self, draw: u64, len: usize) -> Vec<u8> {
        self.masked(draw, len).into_iter().map(|byte| byte ^ MASK).collect()
    }
}

impl Entropy for Seeded {
    fn fill(&self, out: &mut [u8]) -> Result<(), EntropyError> {
        let draw = {
            let mut lens = self.lens.lock().unwrap();
            lens.push(out.len());
            lens.len() as u64 - 1
        };
        let masked = self.masked(draw, out.len());
        for (out, masked) in out.iter_mut().zip(masked) {
            *out = masked ^ MASK;
        }
        Ok(())
    }
}
