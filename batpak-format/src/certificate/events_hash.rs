//! The hash over the events of a certificate.
//!
//! Invariant: it is taken over chain hashes in the order of positions, each of 32 bytes, so no two lists of events share it.

use crate::hash::ChainHash;

/// Takes in the events whose keys were destroyed, by position.
#[derive(Clone, Debug, Default)]
pub struct EventsHasher(blake3::Hasher);

impl EventsHasher {
    /// Takes in the next event.
    pub fn push(&mut self, chain_hash: &ChainHash) {
        self.0.update(chain_hash.as_bytes());
    }

    /// Returns the hash over the events taken in.
    #[must_use]
    pub fn finish(&self) -> [u8; 32] {
        *self.0.finalize().as_bytes()
    }
}
