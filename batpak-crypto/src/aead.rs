//! The AEAD, behind a trait of two functions.
//!
//! Every backend makes the same bytes: XChaCha20-Poly1305 with a detached tag, in place. The portable one is the
//! oracle for any other. Invariant: no backend leaves a key, nor what the cipher makes of it, on heap or stack.
//!
//! For 256 bytes on one x86-64 machine, built without flags for it, a call takes: `chacha20poly1305` 1.8 us, because
//! its choice of AVX2 at run time calls each step of Poly1305 out of line; `ring` under HChaCha20 0.40 us, the wiping of
//! its stack included (0.36 without); `aws-lc-rs` alike, at the price of a build of half a minute; `graviola` 0.8 us,
//! without a C compiler. So `ring` is the default (Apache-2.0 and ISC), where a C compiler is at hand, as nearly
//! everywhere; without its feature everything is plain Rust. `cargo bench -p batpak-crypto --bench backends` compares.

use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};

use crate::{Nonce, OpenFailed, SealFailed, stack};

#[cfg(test)]
mod tests;

/// Bytes of an authentication tag.
pub const TAG_LEN: usize = 16;

/// An authentication tag of Poly1305.
pub type Tag = [u8; TAG_LEN];

/// The backend that payload keys and root secrets use: `ring` where that feature is on, as it is by default.
#[cfg(feature = "ring")]
pub type DefaultAead = crate::Ring;
/// The backend that payload keys and root secrets use.
#[cfg(not(feature = "ring"))]
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
    /// plaintext, and not always the ciphertext still.
    fn open_in_place(key: &[u8; 32], nonce: &Nonce, aad: &[u8], buffer: &mut [u8], tag: &Tag)
    -> Result<(), OpenFailed>;
}

/// Bytes of stack that the portable cipher leaves behind at most. It wipes its key schedule, and not every copy of the
/// subkey that it was made from.
const STACK_BYTES: usize = if cfg!(debug_assertions) { 32 << 10 } else { 4 << 10 };

/// The backend in plain Rust, on every target.
#[derive(Clone, Copy, Debug)]
pub struct Portable;

impl Aead for Portable {
    fn seal_in_place(key: &[u8; 32], nonce: &Nonce, aad: &[u8], buffer: &mut [u8]) -> Result<Tag, SealFailed> {
        let sealed = stack::wiped::<STACK_BYTES, _>(|| {
            let cipher = XChaCha20Poly1305::new(key.into());
            cipher.encrypt_inout_detached(&XNonce::from(*nonce.as_bytes()), aad, buffer.into())
        });
        sealed.map(Tag::from).map_err(|_| SealFailed)
    }

    fn open_in_place(
        key: &[u8; 32],
        nonce: &Nonce,
        aad: &[u8],
        buffer: &mut [u8],
        tag: &Tag,
    ) -> Result<(), OpenFailed> {
        let opened = stack::wiped::<STACK_BYTES, _>(|| {
            let cipher = XChaCha20Poly1305::new(key.into());
            cipher.decrypt_inout_detached(&XNonce::from(*nonce.as_bytes()), aad, buffer.into(), tag.into())
        });
        opened.map_err(|_| OpenFailed)
    }
}
