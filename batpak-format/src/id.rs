//! Ids of events and stores, written as UUIDs (RFC 9562).
//!
//! Invariant: an id made here carries its UUID version and variant; an id read from disk is taken as it is.

use std::fmt;
use std::str::FromStr;

use crate::error::IdError;
use crate::newtype::byte_newtype;

const FROM_KEY_CONTEXT: &str = "batpak-format v1 event id from the caller's key";

byte_newtype! {
    /// Names one event for ever: 128 bits, ordered by its bytes.
    EventId, 16
}

byte_newtype! {
    /// Names one store: 128 random bits.
    StoreId, 16
}

impl EventId {
    /// Makes an id that orders by time: UUID version 7.
    ///
    /// `millis` are milliseconds since 1970 UTC, of which the low 48 bits count; of `random`, 74 bits are kept.
    #[must_use]
    pub fn time_ordered(millis: u64, random: [u8; 10]) -> Self {
        let [_, _, m0, m1, m2, m3, m4, m5] = millis.to_be_bytes();
        let [r0, r1, r2, r3, r4, r5, r6, r7, r8, r9] = random;
        Self(with_version([m0, m1, m2, m3, m4, m5, r0, r1, r2, r3, r4, r5, r6, r7, r8, r9], 7))
    }

    /// Makes the id that belongs to a caller's own key, for idempotent appends: UUID version 8.
    ///
    /// The same key gives the same id in every store. The bytes come from BLAKE3's key derivation mode.
    #[must_use]
    pub fn from_key(caller_key: &[u8]) -> Self {
        let [b0, b1, b2, b3, b4, b5, b6, b7, b8, b9, b10, b11, b12, b13, b14, b15, ..] =
            blake3::derive_key(FROM_KEY_CONTEXT, caller_key);
        Self(with_version([b0, b1, b2, b3, b4, b5, b6, b7, b8, b9, b10, b11, b12, b13, b14, b15], 8))
    }
}

impl StoreId {
    /// Makes a store id from 16 random bytes: UUID version 4.
    #[must_use]
    pub const fn random(random: [u8; 16]) -> Self {
        Self(with_version(random, 4))
    }
}

/// Sets the version and the variant of a UUID.
const fn with_version(mut bytes: [u8; 16], version: u8) -> [u8; 16] {
    bytes[6] = bytes[6] & 0x0F | version << 4;
    bytes[8] = bytes[8] & 0x3F | 0x80;
    bytes
}

/// Writes 16 bytes as 8-4-4-4-12 hex digits.
fn write_uuid(f: &mut fmt::Formatter<'_>, bytes: &[u8; 16]) -> fmt::Result {
    for (at, byte) in bytes.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            f.write_str("-")?;
        }
        write!(f, "{byte:02x}")?;
    }
    Ok(())
}

/// Reads 8-4-4-4-12 hex digits.
fn parse_uuid(text: &str) -> Result<[u8; 16], IdError> {
    let mut bytes = [0; 16];
    let mut digits = text.bytes();
    for (at, byte) in bytes.iter_mut().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) && digits.next() != Some(b'-') {
            return Err(IdError::Malformed);
        }
        *byte = hex_digit(digits.next())? << 4 | hex_digit(digits.next())?;
    }
    match digits.next() {
        None => Ok(bytes),
        Some(_) => Err(IdError::Malformed),
    }
}

/// Reads one hex digit.
const fn hex_digit(digit: Option<u8>) -> Result<u8, IdError> {
    match digit {
        Some(digit @ b'0'..=b'9') => Ok(digit - b'0'),
        Some(digit @ b'a'..=b'f') => Ok(digit - b'a' + 10),
        Some(digit @ b'A'..=b'F') => Ok(digit - b'A' + 10),
        _ => Err(IdError::Malformed),
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_uuid(f, &self.0)
    }
}

impl FromStr for EventId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        parse_uuid(text).map(Self)
    }
}

impl fmt::Display for StoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_uuid(f, &self.0)
    }
}

impl FromStr for StoreId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        parse_uuid(text).map(Self)
    }
}
