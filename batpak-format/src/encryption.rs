//! Which key sealed a payload, and with which nonce.
//!
//! Invariant: only names of keys stand here; key bytes never reach this crate.

use std::fmt;

/// The highest leaf number within a page, plus one.
const LEAVES_MAX: u32 = 1 << LEAF_BITS;
const LEAF_BITS: u32 = 24;
const PAGE_BITS: u32 = 32;

/// Names one payload key for ever: compartment (8 bits), page (32) and leaf (24).
///
/// It stands on halves of its number, so that a list of runs takes no more memory than it takes bytes on disk.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId {
    // Compared first.
    high: u32,
    low: u32,
}

impl KeyId {
    /// Joins compartment, page and leaf.
    ///
    /// # Panics
    /// When `leaf` is 2^24 or more: no page has so many leaves.
    #[must_use]
    pub const fn new(compartment: u8, page: u32, leaf: u32) -> Self {
        assert!(leaf < LEAVES_MAX, "a leaf has 24 bits");
        Self::from_u64((compartment as u64) << (PAGE_BITS + LEAF_BITS) | (page as u64) << LEAF_BITS | leaf as u64)
    }

    /// Takes a key id as it stands on disk.
    #[must_use]
    pub const fn from_u64(value: u64) -> Self {
        Self { high: (value >> u32::BITS) as u32, low: value as u32 }
    }

    /// Returns the key id as it stands on disk.
    #[must_use]
    pub const fn as_u64(self) -> u64 {
        (self.high as u64) << u32::BITS | self.low as u64
    }

    /// Returns the compartment; 0 for now.
    #[must_use]
    pub const fn compartment(self) -> u8 {
        (self.as_u64() >> (PAGE_BITS + LEAF_BITS)) as u8
    }

    /// Returns the page number.
    #[must_use]
    pub const fn page(self) -> u32 {
        (self.as_u64() >> LEAF_BITS) as u32
    }

    /// Returns the leaf number within the page, below 2^24.
    #[must_use]
    pub const fn leaf(self) -> u32 {
        self.low & (LEAVES_MAX - 1)
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.compartment() != 0 {
            write!(f, "{}:", self.compartment())?;
        }
        write!(f, "{}/{}", self.page(), self.leaf())
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

/// Says that a payload is ciphertext: which key sealed it, and with which nonce. Both are public.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(
    clippy::exhaustive_structs,
    reason = "the two fields are the format; another would be another part of the frame"
)]
pub struct PayloadEncryption {
    /// The key's name.
    pub key_id: KeyId,
    /// The nonce of XChaCha20-Poly1305.
    pub nonce: [u8; 24],
}
