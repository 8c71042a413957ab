//! Records of gates, checkpoints and dropped payloads.
//!
//! Invariant: none of them holds a payload, nor a message that a caller wrote about one.

use super::{RECORD_TEXT_BYTES_MAX, put_count, put_text, read_count, read_text};
use crate::codec::{Reader, put_bytes, put_u16, put_u64};
use crate::coordinate::{Coordinate, NAME_BYTES_MAX};
use crate::error::RecordError;
use crate::hash::ChainHash;
use crate::id::EventId;
use crate::kind::EventKind;

/// The most gates that one bypass names.
pub const BYPASS_GATES_MAX: usize = 64;

/// A gate refused an append.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the fields are the format")]
pub struct Denial {
    /// The gate's name.
    pub gate: String,
    /// The gate's code for the reason.
    pub code: String,
    /// The kind of the event that was refused.
    pub kind: EventKind,
    /// Where it would have stood.
    pub coordinate: Coordinate,
}

/// An append went past gates.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the fields are the format")]
pub struct Bypass {
    /// The event.
    pub event: EventId,
    /// The gates that were not asked.
    pub gates: Vec<String>,
    /// The caller's reason, permanent and in clear.
    pub reason: String,
}

/// The root of the Merkle log at a position.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the fields are the format")]
pub struct Checkpoint {
    /// The number of leaves: all events below this position.
    pub position: u64,
    /// The root over them.
    pub merkle_root: [u8; 32],
    /// Chain hash of the last of them.
    pub chain_hash: ChainHash,
}

/// Events whose payloads were dropped after a shred.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the fields are the format")]
pub struct Tombstone {
    /// The first position.
    pub first_position: u64,
    /// How many events, at least 1.
    pub count: u64,
}

impl Denial {
    pub(super) fn put(&self, out: &mut Vec<u8>) -> Result<(), RecordError> {
        put_u16(out, self.kind.as_u16());
        put_text(out, self.coordinate.entity(), NAME_BYTES_MAX)?;
        put_text(out, self.coordinate.scope(), NAME_BYTES_MAX)?;
        put_text(out, &self.gate, RECORD_TEXT_BYTES_MAX)?;
        put_text(out, &self.code, RECORD_TEXT_BYTES_MAX)
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, RecordError> {
        let kind = EventKind::from_u16(reader.u16()?);
        let entity = read_text(reader, NAME_BYTES_MAX)?;
        let scope = read_text(reader, NAME_BYTES_MAX)?;
        Ok(Self {
            kind,
            coordinate: Coordinate::new(&entity, &scope)?,
            gate: read_text(reader, RECORD_TEXT_BYTES_MAX)?,
            code: read_text(reader, RECORD_TEXT_BYTES_MAX)?,
        })
    }
}

impl Bypass {
    pub(super) fn put(&self, out: &mut Vec<u8>) -> Result<(), RecordError> {
        put_bytes(out, self.event.as_bytes());
        put_text(out, &self.reason, RECORD_TEXT_BYTES_MAX)?;
        put_count(out, self.gates.len(), BYPASS_GATES_MAX)?;
        self.gates.iter().try_for_each(|gate| put_text(out, gate, RECORD_TEXT_BYTES_MAX))
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, RecordError> {
        let event = EventId::from_bytes(reader.array()?);
        let reason = read_text(reader, RECORD_TEXT_BYTES_MAX)?;
        let count = read_count(reader, 2, BYPASS_GATES_MAX)?;
        let gates = (0..count).map(|_| read_text(reader, RECORD_TEXT_BYTES_MAX)).collect::<Result<_, _>>()?;
        Ok(Self { event, gates, reason })
    }
}

impl Checkpoint {
    pub(super) fn put(&self, out: &mut Vec<u8>) {
        put_u64(out, self.position);
        put_bytes(out, &self.merkle_root);
        put_bytes(out, self.chain_hash.as_bytes());
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, RecordError> {
        Ok(Self {
            position: reader.u64()?,
            merkle_root: reader.array()?,
            chain_hash: ChainHash::from_bytes(reader.array()?),
        })
    }
}

impl Tombstone {
    pub(super) fn put(&self, out: &mut Vec<u8>) -> Result<(), RecordError> {
        self.check()?;
        put_u64(out, self.first_position);
        put_u64(out, self.count);
        Ok(())
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, RecordError> {
        let tombstone = Self { first_position: reader.u64()?, count: reader.u64()? };
        tombstone.check()?;
        Ok(tombstone)
    }

    /// At least one event, and every position of them is a u64.
    const fn check(&self) -> Result<(), RecordError> {
        let last = self.first_position.checked_add(self.count);
        if self.count == 0 || last.is_none() { Err(RecordError::NotCanonical) } else { Ok(()) }
    }
}
