//! Where random bytes come from.
//!
//! A source either fills the whole buffer or fails; nothing here makes up for missing entropy.

use core::fmt::Debug;

use crate::EntropyError;

/// Gives cryptographically secure random bytes.
pub trait Entropy: Debug + Send + Sync {
    /// Fills the whole of `out`.
    ///
    /// # Errors
    /// [`EntropyError`] when the bytes cannot be had; `out` is then of no use to anyone.
    fn fill(&self, out: &mut [u8]) -> Result<(), EntropyError>;
}

/// Takes the bytes from the operating system, with one call for each fill.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsEntropy;

impl Entropy for OsEntropy {
    fn fill(&self, out: &mut [u8]) -> Result<(), EntropyError> {
        getrandom::fill(out).map_err(|error| EntropyError::new(error.raw_os_error()))
    }
}
