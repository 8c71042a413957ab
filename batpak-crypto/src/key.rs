//! The key of a payload, and the public value that commits to it.
//!
//! A payload key seals and opens and does nothing else: its bytes cannot be read, copied, compared or printed.

use core::fmt;

use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::secret::Secret;
use crate::{Aead, DefaultAead, Nonce, OpenFailed, SealFailed, Tag, hex};

#[cfg(test)]
mod tests;

/// Seals and opens payloads with XChaCha20-Poly1305. Made by [`Leaf::derive`](crate::Leaf::derive); 32 bytes at one
/// place on the heap, wiped on drop.
pub struct PayloadKey(Secret);

impl PayloadKey {
    pub(crate) fn copied_to(room: KeyRoom, bytes: &[u8]) -> Self {
        let KeyRoom(mut secret) = room;
        secret.bytes_mut().copy_from_slice(bytes);
        Self(secret)
    }

    /// Wipes the key and leaves its place on the heap, for the next one.
    #[must_use]
    pub fn into_room(self) -> KeyRoom {
        let Self(mut secret) = self;
        secret.zeroize();
        KeyRoom(secret)
    }

    /// The bytes, for a [`SecretSet`](crate::SecretSet) and nothing else.
    pub(crate) fn bytes(&self) -> &[u8; 32] {
        self.0.bytes()
    }

    /// Turns the plaintext in `buffer` into ciphertext and returns its tag. A nonce is used once with a key.
    ///
    /// # Errors
    /// [`SealFailed`] when the AEAD refuses the message. The buffer may then still hold plaintext: the caller wipes
    /// it and writes nothing of it.
    pub fn seal(&self, nonce: &Nonce, aad: &[u8], buffer: &mut [u8]) -> Result<Tag, SealFailed> {
        DefaultAead::seal_in_place(self.0.bytes(), nonce, aad, buffer)
    }

    /// Checks the tag and turns the ciphertext in `buffer` into plaintext.
    ///
    /// # Errors
    /// [`OpenFailed`] when the tag does not belong to key, nonce, AAD and ciphertext. The buffer then holds no
    /// plaintext, and not always the ciphertext still.
    pub fn open(&self, nonce: &Nonce, aad: &[u8], buffer: &mut [u8], tag: &Tag) -> Result<(), OpenFailed> {
        DefaultAead::open_in_place(self.0.bytes(), nonce, aad, buffer, tag)
    }
}

/// A place on the heap for a payload key, with 32 zeros in it: so that keys which follow one another are allocated once. It seals and
/// opens nothing.
#[derive(Default)]
pub struct KeyRoom(Secret);

impl KeyRoom {
    /// Makes an empty place.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl fmt::Debug for KeyRoom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyRoom(..)")
    }
}

impl fmt::Debug for PayloadKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PayloadKey(..)")
    }
}

impl ZeroizeOnDrop for PayloadKey {}

/// Commits to a payload key without telling anything of it: public, 32 bytes, stored in the frames that need it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyCommitment([u8; 32]);

impl KeyCommitment {
    /// Takes the bytes as they stand in a header.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Returns the bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for KeyCommitment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex::write(&self.0, f)
    }
}
