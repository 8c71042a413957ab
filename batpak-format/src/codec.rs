//! A bounded little-endian cursor over bytes, and the functions that write what it reads.
//!
//! Invariant: no read passes the end, and no count read from bytes leads to an allocation that the bytes
//! themselves could not fill: a decoder asks [`Reader::count`] before it reserves memory.

use crate::error::CodecError;

/// Reads integers and byte strings from a slice, front to back.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    left: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Starts at the first byte of `bytes`.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { left: bytes }
    }

    /// Returns how many bytes are left.
    #[must_use]
    pub const fn remaining(&self) -> usize {
        self.left.len()
    }

    /// Reads an array of `N` bytes.
    ///
    /// # Errors
    /// [`CodecError::Truncated`] when fewer are left.
    #[inline]
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], CodecError> {
        let (head, left) = self.left.split_first_chunk::<N>().ok_or(CodecError::Truncated)?;
        self.left = left;
        Ok(*head)
    }

    /// Reads one byte.
    ///
    /// # Errors
    /// [`CodecError::Truncated`] when none is left.
    #[inline]
    pub fn u8(&mut self) -> Result<u8, CodecError> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// Reads a little-endian `u16`.
    ///
    /// # Errors
    /// [`CodecError::Truncated`] when fewer than 2 bytes are left.
    #[inline]
    pub fn u16(&mut self) -> Result<u16, CodecError> {
        self.array().map(u16::from_le_bytes)
    }

    /// Reads a little-endian `u32`.
    ///
    /// # Errors
    /// [`CodecError::Truncated`] when fewer than 4 bytes are left.
    #[inline]
    pub fn u32(&mut self) -> Result<u32, CodecError> {
        self.array().map(u32::from_le_bytes)
    }

    /// Reads a little-endian `u64`.
    ///
    /// # Errors
    /// [`CodecError::Truncated`] when fewer than 8 bytes are left.
    #[inline]
    pub fn u64(&mut self) -> Result<u64, CodecError> {
        self.array().map(u64::from_le_bytes)
    }

    /// Reads a little-endian `i64`.
    ///
    /// # Errors
    /// [`CodecError::Truncated`] when fewer than 8 bytes are left.
    #[inline]
    pub fn i64(&mut self) -> Result<i64, CodecError> {
        self.array().map(i64::from_le_bytes)
    }

    /// Reads `len` bytes without copying them.
    ///
    /// # Errors
    /// [`CodecError::Truncated`] when fewer are left.
    #[inline]
    pub fn bytes(&mut self, len: usize) -> Result<&'a [u8], CodecError> {
        let (head, left) = self.left.split_at_checked(len).ok_or(CodecError::Truncated)?;
        self.left = left;
        Ok(head)
    }

    /// Reads a `u32` count of elements that take at least `element_len` bytes each.
    ///
    /// # Errors
    /// [`CodecError::Truncated`] when the bytes left cannot hold that many: a caller may reserve memory for the
    /// count that it gets.
    #[inline]
    pub fn count(&mut self, element_len: usize) -> Result<usize, CodecError> {
        let count = usize::try_from(self.u32()?).map_err(|_| CodecError::Truncated)?;
        let needed = count.checked_mul(element_len).ok_or(CodecError::Truncated)?;
        if needed > self.left.len() {
            return Err(CodecError::Truncated);
        }
        Ok(count)
    }

    /// Takes all that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.left)
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// [`CodecError::TrailingBytes`] when bytes are left.
    pub const fn finish(self) -> Result<(), CodecError> {
        if self.left.is_empty() { Ok(()) } else { Err(CodecError::TrailingBytes) }
    }
}

/// Appends one byte.
#[inline]
pub fn put_u8(out: &mut Vec<u8>, value: u8) {
    out.push(value);
}

/// Appends a little-endian `u16`.
#[inline]
pub fn put_u16(out: &mut Vec<u8>, value: u16) {
    out.extend_from_slice(&value.to_le_bytes());
}

/// Appends a little-endian `u32`.
#[inline]
pub fn put_u32(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_le_bytes());
}

/// Appends a little-endian `u64`.
#[inline]
pub fn put_u64(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(&value.to_le_bytes());
}

/// Appends a little-endian `i64`.
#[inline]
pub fn put_i64(out: &mut Vec<u8>, value: i64) {
    out.extend_from_slice(&value.to_le_bytes());
}

/// Appends bytes as they are.
#[inline]
pub fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(bytes);
}
