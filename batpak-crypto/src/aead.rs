//! The AEAD, behind a trait of two functions.
//!
//! Every backend makes the same bytes: XChaCha20-Poly1305 with a detached tag, in place. The portable one is the
//! oracle for any other.

use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};

use crate::{Nonce, OpenFailed, SealFailed};

/// Bytes of an authentication tag.
pub const TAG_LEN: usize = 16;

/// An authentication tag of Poly1305.
pub type Tag = [u8; TAG_LEN];

/// The backend that payload keys and root secrets use.
pub type DefaultAead = Portable;

/// Seals and opens under raw key bytes, in place: no second buffer is needed.
pub trait Aead {
    /// Turns the plaintext in `buffer` into ciphertext and returns the tag over it and `aad`.
    ///
    /// # Errors
    /// [`SealFailed`] when the message is longer than the cipher can take (about 256 GiB). The buffer may then still
    /// hold plaintext: the caller wipes it.
    fn seal_in_place(key: &[u8; 32], nonce: &Nonce, aad: &[u8], buffer: &mut [u8]) -> Result<Tag, SealFailed>;

    /// Checks the tag and turns the ciphertext in `buffer` into plaintext.
    ///
    /// # Errors
    /// [`OpenFailed`] when the tag does not belong to key, nonce, AAD and ciphertext. The buffer then holds no
    /// plaintext.
    fn open_in_place(key: &[u8; 32], nonce: &Nonce, aad: &[u8], buffer: &mut [u8], tag: &Tag)
    -> Result<(), OpenFailed>;
}

/// The backend in plain Rust, on every target; it wipes its key schedule.
#[derive(Clone, Copy, Debug)]
pub struct Portable;

impl Aead for Portable {
    fn seal_in_place(key: &[u8; 32], nonce: &Nonce, aad: &[u8], buffer: &mut [u8]) -> Result<Tag, SealFailed> {
        let tag = XChaCha20Poly1305::new(key.into())
            .encrypt_inout_detached(&XNonce::from(*nonce.as_bytes()), aad, buffer.into())
            .map_err(|_| SealFailed)?;
        Ok(tag.into())
    }

    fn open_in_place(
        key: &[u8; 32],
        nonce: &Nonce,
        aad: &[u8],
        buffer: &mut [u8],
        tag: &Tag,
    ) -> Result<(), OpenFailed> {
        XChaCha20Poly1305::new(key.into())
            .decrypt_inout_detached(&XNonce::from(*nonce.as_bytes()), aad, buffer.into(), tag.into())
            .map_err(|_| OpenFailed)
    }
}
