//! The backend over `ring`: its ChaCha20-Poly1305 under the subkey of [`crate::hchacha`].
//!
//! XChaCha20-Poly1305 is that cipher under HChaCha20 of the key and the first 16 bytes of the nonce, with four zeros
//! and the last eight bytes as its nonce (draft-irtf-cfrg-xchacha-03, section 2.3).
//!
//! Invariant: no key outlives a call. `ring` wipes nothing, neither its key object nor the frames of its assembly. The
//! subkey and the key object live in the frames of the call only, never on the heap, and have nothing to drop: so the
//! wiping of that stack wipes them, and takes no unsafe code.

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce as RingNonce, UnboundKey};
use zeroize::Zeroize;

use crate::aead::{Aead, TAG_LEN, Tag};
use crate::{Nonce, OpenFailed, SealFailed, hchacha, stack};

/// Bytes of stack that a call leaves behind at most: `ring` builds and moves key objects of half a KiB, and its
/// assembly takes as much again.
const STACK_BYTES: usize = if cfg!(debug_assertions) { 32 << 10 } else { 4 << 10 };

const _: () = assert!(size_of::<LessSafeKey>() <= 640 && !core::mem::needs_drop::<LessSafeKey>());

/// The backend over `ring`: the fastest where it has assembly, on x86-64 and AArch64. Its build needs a C compiler.
#[derive(Clone, Copy, Debug)]
pub struct Ring;

impl Aead for Ring {
    fn seal_in_place(key: &[u8; 32], nonce: &Nonce, aad: &[u8], buffer: &mut [u8]) -> Result<Tag, SealFailed> {
        stack::wiped::<STACK_BYTES, _>(|| {
            with_subkey(key, nonce, |key, nonce| {
                let tag = key.seal_in_place_separate_tag(nonce, Aad::from(aad), buffer).ok()?;
                tag.as_ref().try_into().ok()
            })
        })
        .ok_or(SealFailed)
    }

    fn open_in_place(
        key: &[u8; 32],
        nonce: &Nonce,
        aad: &[u8],
        buffer: &mut [u8],
        tag: &Tag,
    ) -> Result<(), OpenFailed> {
        stack::wiped::<STACK_BYTES, _>(|| {
            with_subkey(key, nonce, |key, nonce| {
                key.open_in_place_separate_tag(nonce, Aad::from(aad), (*tag).into(), buffer, 0..).ok().map(|_| ())
            })
        })
        .ok_or(OpenFailed)
    }
}

/// Does the work under the key and the nonce that ChaCha20-Poly1305 takes. `None` when the cipher refuses.
fn with_subkey<R>(key: &[u8; 32], nonce: &Nonce, work: impl FnOnce(&LessSafeKey, RingNonce) -> Option<R>) -> Option<R> {
    let (input, rest) = nonce.as_bytes().split_first_chunk::<16>()?;
    let mut short = [0; 12];
    short[4..].copy_from_slice(rest);
    let mut subkey = [0; 32];
    hchacha::subkey(key, input, &mut subkey);
    let made = UnboundKey::new(&CHACHA20_POLY1305, &subkey).ok();
    subkey.zeroize();
    work(&LessSafeKey::new(made?), RingNonce::assume_unique_for_key(short))
}

const _: () = assert!(TAG_LEN == ring::aead::MAX_TAG_LEN);
