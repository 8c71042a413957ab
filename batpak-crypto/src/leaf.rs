//! A leaf of the key tree, and the payload key it becomes.
//!
//! The key is bound to the store and to the key id: the same leaf under another name is another key.

use core::fmt;

use zeroize::ZeroizeOnDrop;

use crate::expand::Expand;
use crate::secret::Secret;
use crate::{KeyCommitment, KeyRoom, PayloadKey};

/// The context of [`Leaf::derive`]; the context key below is its hash.
#[cfg(test)]
const CONTEXT: &str = "batpak v1 payload key and key commitment of a leaf";

/// BLAKE3's context key of `CONTEXT`, written out: a constant costs neither a hash at each mint nor a lock.
const CONTEXT_KEY: [u8; 32] = [
    0x24, 0x4b, 0x47, 0x39, 0x25, 0x31, 0x5d, 0xdf, 0x06, 0xd0, 0xdc, 0x4a, 0xad, 0x10, 0x2c, 0x31, 0x29, 0xad, 0x23,
    0x31, 0xad, 0xc5, 0x43, 0x8c, 0x7b, 0x49, 0x94, 0xf3, 0x99, 0x61, 0x74, 0x1b,
];

/// The secret of one leaf, 32 bytes at one place on the heap, wiped on drop.
pub struct Leaf(Secret);

impl Leaf {
    pub(crate) fn zeroed() -> Self {
        Self(Secret::zeroed())
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut [u8; 32] {
        self.0.bytes_mut()
    }

    /// Derives the payload key of this leaf and the commitment to it: the 64 bytes of BLAKE3 `derive_key` over leaf,
    /// store id and key id (little-endian), key first.
    #[must_use]
    pub fn derive(&self, store: &[u8; 16], key_id: u64) -> (PayloadKey, KeyCommitment) {
        Expand::scope(|expand| payload_key(expand, self.0.bytes(), store, key_id, KeyRoom::new()))
    }
}

/// Derives the payload key of the leaf with these bytes, and the commitment to it.
pub(crate) fn payload_key(
    expand: &mut Expand,
    leaf: &[u8; 32],
    store: &[u8; 16],
    key_id: u64,
    room: KeyRoom,
) -> (PayloadKey, KeyCommitment) {
    let block = expand.derived(&CONTEXT_KEY, &[leaf, store, &key_id.to_le_bytes()]);
    let (key, commitment) = block.split_at(32);
    let mut public = [0; 32];
    public.copy_from_slice(commitment);
    (PayloadKey::copied_to(room, key), KeyCommitment::from_bytes(public))
}

impl fmt::Debug for Leaf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Leaf(..)")
    }
}

impl ZeroizeOnDrop for Leaf {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn context_key_is_the_hash_of_the_context() {
        assert_eq!(CONTEXT_KEY, blake3::hazmat::hash_derive_key_context(CONTEXT));
    }
}
