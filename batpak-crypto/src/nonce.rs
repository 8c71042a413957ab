//! Nonces, and the small buffer they come from.
//!
//! Every nonce is 24 bytes of the entropy source and is handed out once: a buffer is dropped when the process id
//! changes and when a refill fails, and what was handed out is zeroed in it.

use core::fmt;

use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::{Entropy, EntropyError, hex};

/// Bytes of a nonce of XChaCha20-Poly1305.
pub const NONCE_LEN: usize = 24;

/// The most nonces that wait in a buffer: 384 bytes, so that a refill is one short call.
pub const NONCES_BUFFERED_MAX: usize = 16;

/// A value used once with a key; public, and stored beside the ciphertext.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Nonce([u8; NONCE_LEN]);

impl Nonce {
    /// Takes the bytes as they stand in a header.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; NONCE_LEN]) -> Self {
        Self(bytes)
    }

    /// Draws one nonce straight from the entropy source.
    ///
    /// # Errors
    /// [`EntropyError`] when the source fails.
    pub fn generate(entropy: &dyn Entropy) -> Result<Self, EntropyError> {
        let mut bytes = [0; NONCE_LEN];
        entropy.fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// Returns the bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; NONCE_LEN] {
        &self.0
    }
}

impl fmt::Debug for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex::write(&self.0, f)
    }
}

/// Says how nonces are drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum NonceMode {
    /// Up to [`NONCES_BUFFERED_MAX`] at a time.
    #[default]
    Buffered,
    /// One call of the entropy source for each: for machines that are cloned while they run.
    PerCall,
}

/// Hands out nonces, drawn up to [`NONCES_BUFFERED_MAX`] at a time.
#[derive(ZeroizeOnDrop)]
pub struct NonceBuffer {
    bytes: [u8; NONCE_LEN * NONCES_BUFFERED_MAX],
    left: usize,
    #[zeroize(skip)]
    mode: NonceMode,
    #[zeroize(skip)]
    process: Option<u32>,
}

impl NonceBuffer {
    /// Makes an empty buffer.
    #[must_use]
    pub const fn new(mode: NonceMode) -> Self {
        Self { bytes: [0; NONCE_LEN * NONCES_BUFFERED_MAX], left: 0, mode, process: None }
    }

    /// Hands out the next nonce. `process` is the caller's process id now: what was drawn under another is dropped,
    /// so that a parent and the child of a fork never hand out the same.
    ///
    /// # Errors
    /// [`EntropyError`] when the source fails; the buffer is then empty and no nonce was handed out.
    pub fn next(&mut self, entropy: &dyn Entropy, process: u32) -> Result<Nonce, EntropyError> {
        if self.mode == NonceMode::PerCall {
            return Nonce::generate(entropy);
        }
        if self.process != Some(process) {
            self.clear();
        }
        if self.left == 0 {
            if let Err(error) = entropy.fill(&mut self.bytes) {
                self.clear();
                return Err(error);
            }
            self.left = NONCES_BUFFERED_MAX;
            self.process = Some(process);
        }
        self.left -= 1;
        let at = self.left * NONCE_LEN;
        let mut nonce = [0; NONCE_LEN];
        nonce.copy_from_slice(&self.bytes[at..at + NONCE_LEN]);
        self.bytes[at..at + NONCE_LEN].zeroize();
        Ok(Nonce(nonce))
    }

    /// Returns how many nonces wait in the buffer.
    #[must_use]
    pub const fn buffered(&self) -> usize {
        self.left
    }

    /// Drops every nonce that waits.
    pub fn clear(&mut self) {
        self.bytes.zeroize();
        self.left = 0;
        self.process = None;
    }
}

impl fmt::Debug for NonceBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NonceBuffer").field("mode", &self.mode).field("left", &self.left).finish_non_exhaustive()
    }
}
