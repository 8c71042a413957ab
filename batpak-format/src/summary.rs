//! The summary section of a footer: what the log is up to the end of its segment.
//!
//! Invariant: it speaks only for the bytes below its `log_len`.

use crate::codec::{Reader, put_bytes, put_u8, put_u64};
use crate::encryption::KeyId;
use crate::error::{CodecError, FooterError};
use crate::hash::ChainHash;

/// The version of the summary's layout.
pub const SUMMARY_VERSION: u16 = 1;
/// Bytes of an encoded summary.
pub const SUMMARY_LEN: usize = 1 + 1 + 6 + 8 + 8 + 8 + 32 + 8 + 8 + 8 + 8;

const HAS_KEY_ID: u8 = 1;
const HAS_INTENT: u8 = 2;
const _: () = assert!(SUMMARY_LEN == 96);

/// Why a segment ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a segment ends because the next begins, or because the log was closed")]
pub enum SegmentEnd {
    /// The next segment follows.
    Rolled,
    /// The log was closed cleanly here; it may go on in this segment later.
    Closed,
}

/// What a footer says of its segment and of the log up to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a summary cannot be made in part: a new field must break its makers")]
pub struct SegmentSummary {
    /// Why the segment ended.
    pub end: SegmentEnd,
    /// Where its frames end, in bytes from the start of the file.
    pub log_len: u64,
    /// The position of its first event.
    pub first_position: u64,
    /// The position behind its last event.
    pub next_position: u64,
    /// Chain hash of the last event of the log up to here.
    pub chain_hash: ChainHash,
    /// The keyset's epoch when the footer was written; 0 in a plaintext store.
    pub keyset_epoch: u64,
    /// The highest key id of the segment's frames.
    pub key_id_max: Option<KeyId>,
    /// The position of the segment's last shred intent.
    pub intent_position_last: Option<u64>,
    /// The highest keyset epoch that the segment names.
    pub epoch_max: u64,
}

impl SegmentSummary {
    /// Encodes the summary: [`SUMMARY_LEN`] bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(SUMMARY_LEN);
        put_u8(
            &mut out,
            match self.end {
                SegmentEnd::Rolled => 1,
                SegmentEnd::Closed => 2,
            },
        );
        let has = |present: bool, bit: u8| if present { bit } else { 0 };
        put_u8(
            &mut out,
            has(self.key_id_max.is_some(), HAS_KEY_ID) | has(self.intent_position_last.is_some(), HAS_INTENT),
        );
        put_bytes(&mut out, &[0; 6]);
        put_u64(&mut out, self.log_len);
        put_u64(&mut out, self.first_position);
        put_u64(&mut out, self.next_position);
        put_bytes(&mut out, self.chain_hash.as_bytes());
        put_u64(&mut out, self.keyset_epoch);
        put_u64(&mut out, self.key_id_max.map_or(0, KeyId::as_u64));
        put_u64(&mut out, self.intent_position_last.unwrap_or(0));
        put_u64(&mut out, self.epoch_max);
        out
    }

    /// Decodes a summary section of a version.
    ///
    /// # Errors
    /// [`FooterError::UnknownVersion`] for another version than [`SUMMARY_VERSION`], [`FooterError::Length`] for
    /// another length than [`SUMMARY_LEN`], [`FooterError::NotCanonical`] for fields that no encoder writes.
    pub fn decode(version: u16, bytes: &[u8]) -> Result<Self, FooterError> {
        if version != SUMMARY_VERSION {
            return Err(FooterError::UnknownVersion { version });
        }
        Self::read(bytes).map_err(|_: CodecError| FooterError::Length)?.ok_or(FooterError::NotCanonical)
    }

    fn read(bytes: &[u8]) -> Result<Option<Self>, CodecError> {
        let mut reader = Reader::new(bytes);
        let end = match reader.u8()? {
            1 => Some(SegmentEnd::Rolled),
            2 => Some(SegmentEnd::Closed),
            _ => None,
        };
        let (has, zeros): (u8, [u8; 6]) = (reader.u8()?, reader.array()?);
        let (log_len, first_position, next_position) = (reader.u64()?, reader.u64()?, reader.u64()?);
        let chain_hash = ChainHash::from_bytes(reader.array()?);
        let (keyset_epoch, key_id, intent, epoch_max) = (reader.u64()?, reader.u64()?, reader.u64()?, reader.u64()?);
        reader.finish()?;
        let optional = |bit: u8, value: u64| match (has & bit != 0, value) {
            (true, value) => Some(Some(value)),
            (false, 0) => Some(None),
            (false, _) => None,
        };
        let (Some(end), Some(key_id), Some(intent)) = (end, optional(HAS_KEY_ID, key_id), optional(HAS_INTENT, intent))
        else {
            return Ok(None);
        };
        let canonical = has & !(HAS_KEY_ID | HAS_INTENT) == 0 && zeros == [0; 6] && first_position <= next_position;
        Ok(canonical.then_some(Self {
            end,
            log_len,
            first_position,
            next_position,
            chain_hash,
            keyset_epoch,
            key_id_max: key_id.map(KeyId::from_u64),
            intent_position_last: intent,
            epoch_max,
        }))
    }
}
