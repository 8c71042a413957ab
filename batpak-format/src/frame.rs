//! A frame as it is read: one encoded event, checked.
//!
//! Invariant: a [`Frame`] exists only for bytes whose check matches the place they were read from. Nothing is
//! allocated.

use crate::defect::{Defect, seeded};
use crate::error::FrameError;
use crate::hash::{EventHash, StatementDigest, event_hash};
use crate::header::{Fixed, Header};
use crate::layout::{
    CHECK_AT, CHECK_LEN, FIXED_LEN, FLAG_HOLLOW, FLAGS_AT, FLAGS_LEN, FRAME_LEN_AT, FRAME_LEN_LEN, HOLLOW_LEN, ID_AT,
};
use crate::statement::FrameSeed;

/// Seed and header up to this length are checked in one piece.
const ONE_PIECE_LEN: usize = 256;

/// A frame up to about this length is copied to be checked in one piece.
const SMALL_FRAME_LEN: usize = 512;

/// Header and event hash up to this length are hashed in one piece, which needs no hash state to be set up.
const DIGEST_PIECE_LEN: usize = 512;

/// Where the flags stand in what the digest covers.
const FLAGS: usize = FLAGS_AT - ID_AT;

/// What the first bytes of a place say of the frame there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a place holds a frame, holds none, or is not seen far enough")]
pub enum FrameLen {
    /// Nothing was written here: the length is 0.
    Empty,
    /// A frame of so many bytes, lengths and caps checked.
    Len(u32),
    /// The fixed part is not there yet.
    NeedsMore,
}

/// One encoded event, checked, borrowed from its bytes.
#[derive(Clone, Copy)]
pub struct Frame<'a> {
    bytes: &'a [u8],
    header: Header<'a>,
}

impl<'a> Frame<'a> {
    /// Returns the length of the frame that begins with these bytes, before the frame's check is looked at.
    ///
    /// # Errors
    /// [`FrameError::Length`], [`FrameError::PayloadTooLarge`] and [`FrameError::SealTooShort`] for lengths that
    /// cannot be, [`FrameError::UnknownFlags`] and [`FrameError::CommitmentWithoutSeal`] for flags.
    pub fn peek_len(bytes: &[u8]) -> Result<FrameLen, FrameError> {
        let Some(len) = bytes.first_chunk::<FRAME_LEN_LEN>() else { return Ok(FrameLen::NeedsMore) };
        if u32::from_le_bytes(*len) == 0 {
            return Ok(FrameLen::Empty);
        }
        if bytes.len() < FIXED_LEN {
            return Ok(FrameLen::NeedsMore);
        }
        Ok(FrameLen::Len(Fixed::read(bytes)?.frame_len()))
    }

    /// Decodes and checks the frame that begins with these bytes; more may follow.
    ///
    /// # Errors
    /// [`FrameError::Empty`] where nothing was written, [`FrameError::Truncated`] when the bytes end too early,
    /// [`FrameError::Check`] when they are not what was written at this place, and the other variants for bytes that no
    /// encoder writes.
    // Inlined, the header is built where the caller keeps it; moving it costs as much as reading it.
    #[inline]
    pub fn decode(bytes: &'a [u8], seed: &FrameSeed) -> Result<Self, FrameError> {
        if bytes.first_chunk::<FRAME_LEN_LEN>().is_some_and(|len| u32::from_le_bytes(*len) == 0) {
            return Err(FrameError::Empty);
        }
        let fixed = Fixed::read(bytes)?;
        let frame = bytes
            .get(..fixed.frame_len() as usize)
            .ok_or(FrameError::Truncated { needed: u64::from(fixed.frame_len()), found: bytes.len() as u64 })?;
        let (header, payload) = frame
            .split_at_checked(frame.len() - fixed.stored_len() as usize)
            .ok_or(FrameError::Length { frame_len: fixed.frame_len() })?;
        if frame_check(payload, seed, header) != fixed.check() && !seeded(Defect::CheckSkipped) {
            return Err(FrameError::Check);
        }
        Ok(Self { bytes: frame, header: Header::read(fixed, frame)? })
    }

    /// Returns the header.
    #[must_use]
    pub const fn header(&self) -> &Header<'a> {
        &self.header
    }

    /// Returns the payload as stored; none when it was dropped.
    #[must_use]
    pub fn payload(&self) -> Option<&'a [u8]> {
        if self.header.is_hollow() { None } else { self.bytes.get(self.header.header_len..) }
    }

    /// Returns the frame's length in bytes.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a frame is never empty")]
    pub const fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Returns the frame's bytes.
    #[must_use]
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Returns the hash of the payload as stored: computed, or the one that a hollow frame keeps.
    #[must_use]
    pub fn event_hash(&self) -> EventHash {
        match (self.header.hollow_hash(), self.payload()) {
            (Some(kept), _) => kept,
            (None, payload) => event_hash(payload.unwrap_or_default()),
        }
    }

    /// Returns the digest of all that was known before the commit; the payload is hashed for it.
    #[must_use]
    pub fn digest(&self) -> StatementDigest {
        self.digest_with(&self.event_hash())
    }

    /// Returns the digest, with an event hash that is known already.
    #[must_use]
    pub fn digest_with(&self, event_hash: &EventHash) -> StatementDigest {
        let hollow = if self.header.is_hollow() { HOLLOW_LEN } else { 0 };
        let end = self.header.header_len - hollow;
        statement_digest(self.bytes.get(ID_AT..end).unwrap_or_default(), event_hash)
    }
}

/// Prints no payload: it may be plaintext.
impl std::fmt::Debug for Frame<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Frame").field("header", &self.header).finish_non_exhaustive()
    }
}

/// Hashes the header from the id on, its hollow flag cleared, and the event hash.
///
/// A header of usual length is joined with the hash first: BLAKE3 is faster over one piece.
pub(crate) fn statement_digest(statement: &[u8], event_hash: &EventHash) -> StatementDigest {
    let mut piece = [0; DIGEST_PIECE_LEN];
    let len = statement.len() + event_hash.as_bytes().len();
    let Some((place, hash_place)) = piece.get_mut(..len).and_then(|piece| piece.split_at_mut_checked(statement.len()))
    else {
        return statement_digest_in_parts(statement, event_hash);
    };
    place.copy_from_slice(statement);
    hash_place.copy_from_slice(event_hash.as_bytes());
    if let Some(flags) = place.get_mut(FLAGS..).and_then(|rest| rest.first_chunk_mut::<FLAGS_LEN>()) {
        *flags = without_hollow(flags);
    }
    StatementDigest::from_bytes(*blake3::hash(piece.get(..len).unwrap_or_default()).as_bytes())
}

/// The digest of a header that is too long to be joined with the event hash.
fn statement_digest_in_parts(statement: &[u8], event_hash: &EventHash) -> StatementDigest {
    let mut hasher = blake3::Hasher::new();
    if let Some((before, rest)) = statement.split_at_checked(FLAGS)
        && let Some((flags, after)) = rest.split_first_chunk::<FLAGS_LEN>()
    {
        hasher.update(before);
        hasher.update(&without_hollow(flags));
        hasher.update(after);
    }
    hasher.update(event_hash.as_bytes());
    StatementDigest::from_bytes(*hasher.finalize().as_bytes())
}

fn without_hollow(flags: &[u8; FLAGS_LEN]) -> [u8; FLAGS_LEN] {
    (u16::from_le_bytes(*flags) & !FLAG_HOLLOW).to_le_bytes()
}

/// The check of a whole frame.
fn frame_check(payload: &[u8], seed: &FrameSeed, header: &[u8]) -> u32 {
    let mut piece = [0; SMALL_FRAME_LEN];
    let len = payload.len() + FrameSeed::LEN + FRAME_LEN_LEN + header.len().saturating_sub(CHECK_AT + CHECK_LEN);
    let joined = piece.get_mut(..len).and_then(|place| join(place, payload, seed, header));
    match joined {
        Some(()) => crc32fast::hash(piece.get(..len).unwrap_or_default()),
        None => header_check(payload_check(payload), seed, header),
    }
}

/// Puts side by side what is checked, into a place of just that length; only payload and names have no fixed one.
fn join(place: &mut [u8], payload: &[u8], seed: &FrameSeed, header: &[u8]) -> Option<()> {
    let (payload_place, place) = place.split_at_mut_checked(payload.len())?;
    let (seed_place, place) = place.split_first_chunk_mut()?;
    let (frame_len_place, behind_place) = place.split_first_chunk_mut::<FRAME_LEN_LEN>()?;
    payload_place.copy_from_slice(payload);
    *seed_place = seed.to_bytes();
    *frame_len_place = *header.get(FRAME_LEN_AT..)?.first_chunk()?;
    behind_place
        .copy_from_slice(header.get(CHECK_AT + CHECK_LEN..).filter(|behind| behind.len() == behind_place.len())?);
    Some(())
}

/// The part of the check that needs no place: over the payload.
pub(crate) fn payload_check(payload: &[u8]) -> crc32fast::Hasher {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(payload);
    hasher
}

/// The rest of the check: seed, frame length, and the header behind the check itself.
///
/// A header of usual length is joined with the seed first: CRC-32 is faster over one piece.
pub(crate) fn header_check(mut payload: crc32fast::Hasher, seed: &FrameSeed, header: &[u8]) -> u32 {
    let seed = seed.to_bytes();
    let frame_len = header.get(FRAME_LEN_AT..CHECK_AT).unwrap_or_default();
    let behind = header.get(CHECK_AT + CHECK_LEN..).unwrap_or_default();
    let mut piece = [0; ONE_PIECE_LEN];
    let (seed_place, left) = piece.split_at_mut(seed.len());
    let (frame_len_place, left) = left.split_at_mut(frame_len.len());
    match left.get_mut(..behind.len()) {
        Some(behind_place) => {
            seed_place.copy_from_slice(&seed);
            frame_len_place.copy_from_slice(frame_len);
            behind_place.copy_from_slice(behind);
            payload.update(piece.get(..seed.len() + frame_len.len() + behind.len()).unwrap_or_default());
        }
        None => [&seed, frame_len, behind].iter().for_each(|part| payload.update(part)),
    }
    payload.finalize()
}
