//! Records: the payloads of the reserved kinds, which only the store itself writes.
//!
//! Invariant: each begins with a version byte, has one encoding, and is decoded only when every count is below its
//! cap and the bytes for it are there.

mod destruction;
mod genesis;
mod other;

use crate::codec::{Reader, put_bytes, put_u16, put_u32};
use crate::error::RecordError;
use crate::kind::EventKind;

pub use destruction::{
    KEY_RUNS_MAX, KeyLossAccepted, KeyRun, Rekeyed, RollbackAccepted, RolledBack, SHRED_TARGETS_MAX, ScopeHeld,
    ScopeReadmitted, ScopeReleased, ShredCompleted, ShredIntent, ShredTarget,
};
pub(crate) use destruction::{put_runs, read_runs, read_scope};
pub use genesis::Genesis;
pub use other::{BYPASS_GATES_MAX, Bypass, Checkpoint, Denial, Tombstone};

/// The version byte that every record begins with.
pub const RECORD_VERSION: u8 = 1;
/// The longest text of a record that has no cap of its own, in bytes.
pub const RECORD_TEXT_BYTES_MAX: usize = 1024;
/// The longest reference that a caller gives to a shred or a hold, in bytes. It is permanent and in clear.
pub const REFERENCE_BYTES_MAX: usize = 64;
/// The longest canonical key scope, in bytes: a code and two names with their lengths.
pub const KEY_SCOPE_BYTES_LIMIT: usize = 4096;

/// A record, by its kind.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Record {
    /// [`EventKind::BYPASS`]
    Bypass(Bypass),
    /// [`EventKind::CHECKPOINT`]
    Checkpoint(Checkpoint),
    /// [`EventKind::DENIAL`]
    Denial(Denial),
    /// [`EventKind::GENESIS`]
    Genesis(Genesis),
    /// [`EventKind::KEY_LOSS_ACCEPTED`]
    KeyLossAccepted(KeyLossAccepted),
    /// [`EventKind::REKEYED`]
    Rekeyed(Rekeyed),
    /// [`EventKind::ROLLBACK_ACCEPTED`]
    RollbackAccepted(RollbackAccepted),
    /// [`EventKind::SCOPE_HELD`]
    ScopeHeld(ScopeHeld),
    /// [`EventKind::SCOPE_READMITTED`]
    ScopeReadmitted(ScopeReadmitted),
    /// [`EventKind::SCOPE_RELEASED`]
    ScopeReleased(ScopeReleased),
    /// [`EventKind::SHRED_COMPLETED`]
    ShredCompleted(ShredCompleted),
    /// [`EventKind::SHRED_INTENT`]
    ShredIntent(ShredIntent),
    /// [`EventKind::TOMBSTONE`]
    Tombstone(Tombstone),
}

impl Record {
    /// Returns the kind of event that carries it.
    #[must_use]
    pub const fn kind(&self) -> EventKind {
        match self {
            Self::Bypass(_) => EventKind::BYPASS,
            Self::Checkpoint(_) => EventKind::CHECKPOINT,
            Self::Denial(_) => EventKind::DENIAL,
            Self::Genesis(_) => EventKind::GENESIS,
            Self::KeyLossAccepted(_) => EventKind::KEY_LOSS_ACCEPTED,
            Self::Rekeyed(_) => EventKind::REKEYED,
            Self::RollbackAccepted(_) => EventKind::ROLLBACK_ACCEPTED,
            Self::ScopeHeld(_) => EventKind::SCOPE_HELD,
            Self::ScopeReadmitted(_) => EventKind::SCOPE_READMITTED,
            Self::ScopeReleased(_) => EventKind::SCOPE_RELEASED,
            Self::ShredCompleted(_) => EventKind::SHRED_COMPLETED,
            Self::ShredIntent(_) => EventKind::SHRED_INTENT,
            Self::Tombstone(_) => EventKind::TOMBSTONE,
        }
    }

    /// Encodes the record.
    ///
    /// # Errors
    /// [`RecordError::TooLong`] when a text, a key scope or a list passes its cap; [`RecordError::KeyRuns`] and
    /// [`RecordError::NotCanonical`] for what the decoder would refuse.
    pub fn encode(&self) -> Result<Vec<u8>, RecordError> {
        let mut out = vec![RECORD_VERSION];
        match self {
            Self::Bypass(record) => record.put(&mut out)?,
            Self::Checkpoint(record) => record.put(&mut out),
            Self::Denial(record) => record.put(&mut out)?,
            Self::Genesis(record) => record.put(&mut out)?,
            Self::KeyLossAccepted(record) => record.put(&mut out)?,
            Self::Rekeyed(record) => record.put(&mut out),
            Self::RollbackAccepted(record) => record.put(&mut out),
            Self::ScopeHeld(record) => record.put(&mut out)?,
            Self::ScopeReadmitted(record) => record.put(&mut out)?,
            Self::ScopeReleased(record) => record.put(&mut out)?,
            Self::ShredCompleted(record) => record.put(&mut out),
            Self::ShredIntent(record) => record.put(&mut out)?,
            Self::Tombstone(record) => record.put(&mut out)?,
        }
        Ok(out)
    }

    /// Decodes the payload of an event of a reserved kind.
    ///
    /// # Errors
    /// [`RecordError::UnknownKind`] for a kind that carries no record, [`RecordError::UnknownVersion`], and the other
    /// variants for bytes that no encoder writes.
    pub fn decode(kind: EventKind, bytes: &[u8]) -> Result<Self, RecordError> {
        let mut reader = Reader::new(bytes);
        let version = reader.u8()?;
        if version != RECORD_VERSION {
            return Err(RecordError::UnknownVersion { version });
        }
        let record = Self::read(kind, &mut reader)?;
        reader.finish()?;
        Ok(record)
    }

    fn read(kind: EventKind, reader: &mut Reader<'_>) -> Result<Self, RecordError> {
        Ok(match kind {
            EventKind::BYPASS => Self::Bypass(Bypass::read(reader)?),
            EventKind::CHECKPOINT => Self::Checkpoint(Checkpoint::read(reader)?),
            EventKind::DENIAL => Self::Denial(Denial::read(reader)?),
            EventKind::GENESIS => Self::Genesis(Genesis::read(reader)?),
            EventKind::KEY_LOSS_ACCEPTED => Self::KeyLossAccepted(KeyLossAccepted::read(reader)?),
            EventKind::REKEYED => Self::Rekeyed(Rekeyed::read(reader)?),
            EventKind::ROLLBACK_ACCEPTED => Self::RollbackAccepted(RollbackAccepted::read(reader)?),
            EventKind::SCOPE_HELD => Self::ScopeHeld(ScopeHeld::read(reader)?),
            EventKind::SCOPE_READMITTED => Self::ScopeReadmitted(ScopeReadmitted::read(reader)?),
            EventKind::SCOPE_RELEASED => Self::ScopeReleased(ScopeReleased::read(reader)?),
            EventKind::SHRED_COMPLETED => Self::ShredCompleted(ShredCompleted::read(reader)?),
            EventKind::SHRED_INTENT => Self::ShredIntent(ShredIntent::read(reader)?),
            EventKind::TOMBSTONE => Self::Tombstone(Tombstone::read(reader)?),
            kind => return Err(RecordError::UnknownKind { kind }),
        })
    }
}

/// Refuses what is above its cap.
fn capped(len: usize, max: usize) -> Result<usize, RecordError> {
    if len > max { Err(RecordError::TooLong { len, max }) } else { Ok(len) }
}

/// Appends a text with its length, u16.
pub(crate) fn put_text(out: &mut Vec<u8>, text: &str, max: usize) -> Result<(), RecordError> {
    put_short(out, text.as_bytes(), max)
}

pub(crate) fn read_text(reader: &mut Reader<'_>, max: usize) -> Result<String, RecordError> {
    let bytes = read_short(reader, max)?;
    Ok(std::str::from_utf8(bytes).map_err(|_| RecordError::NotUtf8)?.to_owned())
}

/// Appends bytes with their length, u16.
pub(crate) fn put_short(out: &mut Vec<u8>, bytes: &[u8], max: usize) -> Result<(), RecordError> {
    let len = u16::try_from(capped(bytes.len(), max)?).expect("every cap of a short field is below 65,536");
    put_u16(out, len);
    put_bytes(out, bytes);
    Ok(())
}

fn read_short<'a>(reader: &mut Reader<'a>, max: usize) -> Result<&'a [u8], RecordError> {
    let len = capped(usize::from(reader.u16()?), max)?;
    Ok(reader.bytes(len)?)
}

/// Appends a count, u32.
pub(crate) fn put_count(out: &mut Vec<u8>, count: usize, max: usize) -> Result<(), RecordError> {
    put_u32(out, u32::try_from(capped(count, max)?).expect("every cap of a list is below 2^32"));
    Ok(())
}

/// Reads a count of elements, each of at least `element_len` bytes, for which the bytes are there.
pub(crate) fn read_count(reader: &mut Reader<'_>, element_len: usize, max: usize) -> Result<usize, RecordError> {
    capped(reader.count(element_len)?, max)
}

/// Appends an optional u64: a byte 0 or 1, then the value or zero.
pub(crate) fn put_optional(out: &mut Vec<u8>, value: Option<u64>) {
    out.push(u8::from(value.is_some()));
    put_bytes(out, &value.unwrap_or(0).to_le_bytes());
}

pub(crate) fn read_optional(reader: &mut Reader<'_>) -> Result<Option<u64>, RecordError> {
    match (reader.u8()?, reader.u64()?) {
        (0, 0) => Ok(None),
        (1, value) => Ok(Some(value)),
        _ => Err(RecordError::NotCanonical),
    }
}
