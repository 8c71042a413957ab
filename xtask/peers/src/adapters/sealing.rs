//! Sealing for the floors: XChaCha20-Poly1305 by two libraries that make the same bytes.
//!
//! Invariant: nothing beyond the cipher: no wiping, no fence, no key tree. The nonce counts from a random start.

use chacha20::hchacha;
use chacha20poly1305::aead::{AeadInOut, KeyInit};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};

use crate::Outcome;

/// Bytes of a key.
pub(crate) const KEY: usize = 32;
/// Bytes of a nonce.
pub(crate) const NONCE: usize = 24;
/// Bytes of a tag.
pub(crate) const TAG: usize = 16;

/// Which library seals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Aead {
    /// `ring`, under the subkey of HChaCha20.
    Ring,
    /// The `chacha20poly1305` crate, as it is built by default.
    Portable,
}

/// Seals and opens in place.
pub(crate) trait Seal: Send + Sync {
    /// Seals a buffer; returns the tag.
    fn seal(&self, key: &[u8; KEY], nonce: &[u8; NONCE], data: &[u8], buffer: &mut [u8]) -> Outcome<[u8; TAG]>;

    /// Opens a buffer that is followed by its tag; what it opens to stands at its beginning.
    fn open(&self, key: &[u8; KEY], nonce: &[u8; NONCE], data: &[u8], buffer: &mut [u8]) -> Outcome;
}

impl Aead {
    /// Returns the library's sealing.
    pub(crate) fn sealing(self) -> Box<dyn Seal> {
        match self {
            Aead::Ring => Box::new(RingAead),
            Aead::Portable => Box::new(PortableAead),
        }
    }
}

/// `ring`.
#[derive(Debug)]
pub(crate) struct RingAead;

impl RingAead {
    fn key(key: &[u8; KEY], nonce: &[u8; NONCE]) -> Outcome<(LessSafeKey, Nonce)> {
        let (long, short) = nonce.split_at(16);
        let input: [u8; 16] = long.try_into()?;
        let subkey = hchacha::<chacha20::R20>(&(*key).into(), &input.into());
        let mut last = [0; 12];
        last[4..].copy_from_slice(short);
        let unbound = UnboundKey::new(&CHACHA20_POLY1305, &subkey).map_err(|_| "a key has 32 bytes")?;
        Ok((LessSafeKey::new(unbound), Nonce::assume_unique_for_key(last)))
    }
}

impl Seal for RingAead {
    fn seal(&self, key: &[u8; KEY], nonce: &[u8; NONCE], data: &[u8], buffer: &mut [u8]) -> Outcome<[u8; TAG]> {
        let (key, nonce) = RingAead::key(key, nonce)?;
        let tag = key.seal_in_place_separate_tag(nonce, Aad::from(data), buffer).map_err(|_| "not sealed")?;
        Ok(tag.as_ref().try_into()?)
    }

    fn open(&self, key: &[u8; KEY], nonce: &[u8; NONCE], data: &[u8], buffer: &mut [u8]) -> Outcome {
        let (key, nonce) = RingAead::key(key, nonce)?;
        key.open_in_place(nonce, Aad::from(data), buffer).map_err(|_| "not opened")?;
        Ok(())
    }
}

/// The `chacha20poly1305` crate.
#[derive(Debug)]
struct PortableAead;

impl Seal for PortableAead {
    fn seal(&self, key: &[u8; KEY], nonce: &[u8; NONCE], data: &[u8], buffer: &mut [u8]) -> Outcome<[u8; TAG]> {
        let cipher = XChaCha20Poly1305::new(key.into());
        let tag = cipher.encrypt_inout_detached(&XNonce::from(*nonce), data, buffer.into());
        Ok(tag.map_err(|_| "not sealed")?.into())
    }

    fn open(&self, key: &[u8; KEY], nonce: &[u8; NONCE], data: &[u8], buffer: &mut [u8]) -> Outcome {
        let cipher = XChaCha20Poly1305::new(key.into());
        let (sealed, tag) = buffer.split_last_chunk_mut::<TAG>().ok_or("sealed bytes end with a tag")?;
        let tag = (*tag).into();
        let opened = cipher.decrypt_inout_detached(&XNonce::from(*nonce), data, sealed.into(), &tag);
        Ok(opened.map_err(|_| "not opened")?)
    }
}
