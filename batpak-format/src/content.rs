//! How a payload is to be read.
//!
//! Invariant: an unknown content type is carried as it is, never refused.

/// Says how a payload is encoded, as a hint for readers. The store does not look at it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentType(u16);

impl ContentType {
    /// Nothing was said.
    pub const UNKNOWN: Self = Self(0);
    /// Bytes without a structure that the store should name.
    pub const BYTES: Self = Self(1);
    /// UTF-8 text.
    pub const TEXT: Self = Self(2);
    /// JSON (RFC 8259).
    pub const JSON: Self = Self(3);
    /// MessagePack.
    pub const MSGPACK: Self = Self(4);
    /// A record of the store itself.
    pub const SYSTEM: Self = Self(5);

    /// Takes a content type as it stands on disk.
    #[must_use]
    pub const fn from_u16(value: u16) -> Self {
        Self(value)
    }

    /// Returns the content type as it stands on disk.
    #[must_use]
    pub const fn as_u16(self) -> u16 {
        self.0
    }
}
