//! The hashes that tell whole from torn.
//!
//! Each is over bytes that may hold a secret, so the hash state is wiped; none of them authenticates anything: that is
//! what the AEAD does.

use blake3::Hasher;
use zeroize::Zeroize;

/// Bytes of a check.
pub(crate) const CHECK_LEN: usize = 32;

/// The context of a slot's check, so that it is no plain hash of a secret.
const SLOT_CONTEXT: &str = "batpak v1 check of a key file slot";

/// BLAKE3 of an image or of the header of an extent.
pub(crate) fn image_check(bytes: &[u8]) -> [u8; CHECK_LEN] {
    finish(Hasher::new(), bytes)
}

/// BLAKE3 `derive_key` of a slot of a key file.
pub(crate) fn slot_check(bytes: &[u8]) -> [u8; CHECK_LEN] {
    finish(Hasher::new_derive_key(SLOT_CONTEXT), bytes)
}

fn finish(mut hasher: Hasher, bytes: &[u8]) -> [u8; CHECK_LEN] {
    hasher.update(bytes);
    let check = *hasher.finalize().as_bytes();
    hasher.zeroize();
    check
}
