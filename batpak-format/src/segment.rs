//! The header of a segment file.
//!
//! Invariant: a [`SegmentHeader`] that was decoded is of a known version, needs no unknown feature, and its check
//! holds.

use crate::codec::{Reader, put_bytes, put_u16, put_u32, put_u64};
use crate::error::{CodecError, SegmentHeaderError};
use crate::hash::ChainHash;
use crate::id::StoreId;

/// The first 8 bytes of a segment.
pub const SEGMENT_MAGIC: [u8; 8] = *b"BATPAKSG";
/// The version that is written.
pub const SEGMENT_VERSION: u16 = 1;
/// Features without which a segment cannot be read; none so far.
pub const SEGMENT_REQUIRED_FLAGS_KNOWN: u32 = 0;

/// Magic, 8 bytes.
pub const SEGMENT_MAGIC_AT: usize = 0;
/// Version, u16.
pub const SEGMENT_VERSION_AT: usize = SEGMENT_MAGIC_AT + 8;
/// Length of the header, u16.
pub const SEGMENT_HEADER_LEN_AT: usize = SEGMENT_VERSION_AT + 2;
/// Required features, u32.
pub const SEGMENT_REQUIRED_FLAGS_AT: usize = SEGMENT_HEADER_LEN_AT + 2;
/// Optional features, u32.
pub const SEGMENT_OPTIONAL_FLAGS_AT: usize = SEGMENT_REQUIRED_FLAGS_AT + 4;
/// Zeros, 4 bytes.
pub const SEGMENT_RESERVED_AT: usize = SEGMENT_OPTIONAL_FLAGS_AT + 4;
/// Store id, 16 bytes.
pub const SEGMENT_STORE_AT: usize = SEGMENT_RESERVED_AT + 4;
/// Number, u64.
pub const SEGMENT_NUMBER_AT: usize = SEGMENT_STORE_AT + 16;
/// First position, u64.
pub const SEGMENT_FIRST_POSITION_AT: usize = SEGMENT_NUMBER_AT + 8;
/// Chain hash of the last event before the segment, 32 bytes.
pub const SEGMENT_PREVIOUS_AT: usize = SEGMENT_FIRST_POSITION_AT + 8;
/// Keyset epoch, u64.
pub const SEGMENT_EPOCH_AT: usize = SEGMENT_PREVIOUS_AT + 32;
/// Zeros up to the check.
pub const SEGMENT_PAD_AT: usize = SEGMENT_EPOCH_AT + 8;
/// CRC-32 of all bytes before it, u32.
pub const SEGMENT_CHECK_AT: usize = SEGMENT_HEADER_LEN - 4;
/// Bytes of the header; the first frame begins here.
pub const SEGMENT_HEADER_LEN: usize = 128;

const PAD_LEN: usize = SEGMENT_CHECK_AT - SEGMENT_PAD_AT;
const _: () = assert!(SEGMENT_PAD_AT == 96 && PAD_LEN == 28);

/// What the start of a segment says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a segment cannot be begun in part: a new field must break its makers")]
pub struct SegmentHeader {
    /// The store it belongs to.
    pub store: StoreId,
    /// Its number, from 1.
    pub number: u64,
    /// The position of its first event.
    pub first_position: u64,
    /// Chain hash of the last event before it, whatever its entity; zeros when there is none.
    pub previous_chain_hash: ChainHash,
    /// The keyset's epoch when it was created; 0 in a plaintext store.
    pub keyset_epoch: u64,
    /// Features without which it cannot be read.
    pub required_flags: u32,
    /// Features that may be ignored.
    pub optional_flags: u32,
}

impl SegmentHeader {
    /// Encodes the header.
    #[must_use]
    pub fn encode(&self) -> [u8; SEGMENT_HEADER_LEN] {
        let mut out = Vec::with_capacity(SEGMENT_HEADER_LEN);
        put_bytes(&mut out, &SEGMENT_MAGIC);
        put_u16(&mut out, SEGMENT_VERSION);
        put_u16(&mut out, SEGMENT_HEADER_LEN as u16);
        put_u32(&mut out, self.required_flags);
        put_u32(&mut out, self.optional_flags);
        put_u32(&mut out, 0);
        put_bytes(&mut out, self.store.as_bytes());
        put_u64(&mut out, self.number);
        put_u64(&mut out, self.first_position);
        put_bytes(&mut out, self.previous_chain_hash.as_bytes());
        put_u64(&mut out, self.keyset_epoch);
        put_bytes(&mut out, &[0; PAD_LEN]);
        let check = crc32fast::hash(&out);
        put_u32(&mut out, check);
        let mut header = [0; SEGMENT_HEADER_LEN];
        header.copy_from_slice(&out);
        header
    }

    /// Decodes the header that begins with these bytes; more may follow.
    ///
    /// # Errors
    /// [`SegmentHeaderError`], in this order: truncated, magic, version, check, required flags, canonical form.
    pub fn decode(bytes: &[u8]) -> Result<Self, SegmentHeaderError> {
        let bytes = bytes.get(..SEGMENT_HEADER_LEN).ok_or(SegmentHeaderError::Truncated)?;
        Self::read(bytes).map_err(|_: CodecError| SegmentHeaderError::Truncated)?
    }

    fn read(bytes: &[u8]) -> Result<Result<Self, SegmentHeaderError>, CodecError> {
        let mut reader = Reader::new(bytes);
        if reader.array()? != SEGMENT_MAGIC {
            return Ok(Err(SegmentHeaderError::BadMagic));
        }
        let version = reader.u16()?;
        if version != SEGMENT_VERSION {
            return Ok(Err(SegmentHeaderError::UnknownVersion { version }));
        }
        let covered = bytes.get(..SEGMENT_CHECK_AT).unwrap_or_default();
        let header_len = reader.u16()?;
        let (required_flags, optional_flags, reserved) = (reader.u32()?, reader.u32()?, reader.u32()?);
        let header = Self {
            required_flags,
            optional_flags,
            store: StoreId::from_bytes(reader.array()?),
            number: reader.u64()?,
            first_position: reader.u64()?,
            previous_chain_hash: ChainHash::from_bytes(reader.array()?),
            keyset_epoch: reader.u64()?,
        };
        let pad: [u8; PAD_LEN] = reader.array()?;
        if reader.u32()? != crc32fast::hash(covered) {
            return Ok(Err(SegmentHeaderError::Check));
        }
        let unknown = required_flags & !SEGMENT_REQUIRED_FLAGS_KNOWN;
        if unknown != 0 {
            return Ok(Err(SegmentHeaderError::UnknownRequiredFlags { flags: unknown }));
        }
        if usize::from(header_len) != SEGMENT_HEADER_LEN || reserved != 0 || pad != [0; PAD_LEN] {
            return Ok(Err(SegmentHeaderError::NotCanonical));
        }
        Ok(Ok(header))
    }
}
