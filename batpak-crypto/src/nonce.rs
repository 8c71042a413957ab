//! Nonces, and the small buffer they come from.
//!
//! Every nonce is 24 bytes of the entropy source and is handed out once, as are the other public random bytes that are
//! drawn beside them: a buffer is dropped when the process id changes and when a refill fails, and what was handed out is
//! zeroed in it.

use core::fmt;

use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::{Entropy, EntropyError, hex};

/// Bytes of a nonce of XChaCha20-Poly1305.
pub const NONCE_LEN: usize = 24;

/// A refill of this size is one short call, and there are few of them.
const BUFFER_LEN: usize = 1024;

/// The most nonces that wait in a buffer of 1,024 bytes.
pub const NONCES_BUFFERED_MAX: usize = BUFFER_LEN / NONCE_LEN;

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

/// Hands out nonces, drawn up to [`NONCES_BUFFERED_MAX`] at a time, and other public random bytes beside them.
#[derive(ZeroizeOnDrop)]
pub struct NonceBuffer {
    bytes: [u8; BUFFER_LEN],
    /// So many of the bytes are not handed out, from the first on.
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
        Self { bytes: [0; BUFFER_LEN], left: 0, mode, process: None }
    }

    /// Hands out the next nonce. `process` is the caller's process id now: what was drawn under another is dropped,
    /// so that a parent and the child of a fork never hand out the same.
    ///
    /// # Errors
    /// [`EntropyError`] when the source fails; the buffer is then empty and no nonce was handed out.
    pub fn next(&mut self, entropy: &dyn Entropy, process: u32) -> Result<Nonce, EntropyError> {
        self.draw(entropy, process).map(Nonce)
    }

    /// Hands out random bytes that are no nonce and no secret, as [`next`](Self::next) does nonces: those of an event's
    /// id. Up to 1,024 bytes.
    ///
    /// # Errors
    /// [`EntropyError`] when the source fails; the buffer is then empty and nothing was handed out.
    pub fn draw<const LEN: usize>(&mut self, entropy: &dyn Entropy, process: u32) -> Result<[u8; LEN], EntropyError> {
        const { assert!(LEN <= BUFFER_LEN, "a buffer has so many bytes") };
        let mut drawn = [0; LEN];
        if self.mode == NonceMode::PerCall {
            entropy.fill(&mut drawn)?;
            return Ok(drawn);
        }
        if self.process != Some(process) {
            self.clear();
        }
        if self.left < LEN {
            if let Err(error) = entropy.fill(&mut self.bytes) {
                self.clear();
                return Err(error);
            }
            self.left = BUFFER_LEN;
            self.process = Some(process);
        }
        let at = self.left - LEN;
        let place = &mut self.bytes[at..self.left];
        drawn.copy_from_slice(place);
        place.zeroize();
        self.left = at;
        Ok(drawn)
    }

    /// Returns how many nonces wait in the buffer.
    #[must_use]
    pub const fn buffered(&self) -> usize {
        self.left / NONCE_LEN
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
        f.debug_struct("NonceBuffer").field("mode", &self.mode).field("left", &self.buffered()).finish_non_exhaustive()
    }
}
