//! Records of keys: shreds, readmissions, holds, losses, rollbacks and new root secrets.
//!
//! Invariant: runs of key ids are sorted, disjoint, not empty, and each lies within one page.

use super::{
    KEY_SCOPE_BYTES_LIMIT, REFERENCE_BYTES_MAX, capped, put_count, put_optional, put_short, put_text, read_count,
    read_optional, read_short, read_text,
};
use crate::codec::{Reader, put_bytes, put_u8, put_u16, put_u32, put_u64};
use crate::encryption::KeyId;
use crate::error::RecordError;
use crate::time::Timestamp;

/// The most key scopes of one shred intent, in each of its two lists; a larger shred is a batch of intents. An intent of so many that
/// name next to nothing takes less than 1 MiB of memory more than it has bytes.
pub const SHRED_TARGETS_MAX: usize = 1 << 14;
/// The most runs of key ids in one list.
pub const KEY_RUNS_MAX: usize = 1 << 20;
const RUN_LEN: usize = 8 + 4;
const _: () = assert!(size_of::<KeyRun>() == RUN_LEN, "runs take no more memory than bytes");
const LEAVES_LIMIT: u64 = 1 << 24;

/// Consecutive key ids of one page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(clippy::exhaustive_structs, reason = "the two fields are the format of a run")]
pub struct KeyRun {
    /// The first key id.
    pub first: KeyId,
    /// How many there are, at least 1.
    pub count: u32,
}

/// A key scope and the keys of it that are destroyed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the two fields are the format of a target")]
pub struct ShredTarget {
    /// The key scope in its canonical bytes; empty for reserved leaves that no event names.
    pub key_scope: Box<[u8]>,
    /// Its keys, sorted and disjoint.
    pub runs: Vec<KeyRun>,
}

/// The decision to destroy keys. From here it can only be finished.
///
/// A shred of more key scopes than one intent takes is a batch of intents, which share everything but their lists.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "an intent cannot be made in part: a new field must break its makers")]
pub struct ShredIntent {
    /// Which events share a key, as the code of batpak-keyset.
    pub granularity: u8,
    /// Position of the last intent of the shred before this one; the same in each intent of a batch.
    pub previous_intent: Option<u64>,
    /// The keyset's epoch when the intent was written.
    pub epoch: u64,
    /// The caller's reason, as a code of its own.
    pub reason: u16,
    /// The caller's reference: at most 64 bytes, permanent and in clear.
    pub reference: String,
    /// What is destroyed.
    pub targets: Vec<ShredTarget>,
    /// The key scopes that were named as well and are kept, in their canonical bytes: they were held.
    pub withheld: Vec<Box<[u8]>>,
}

/// A shred is done.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a completion cannot be made in part: a new field must break its makers")]
pub struct ShredCompleted {
    /// Position of its intent, of the last one when they are a batch.
    pub intent: u64,
    /// The keyset's epoch that reflects it.
    pub epoch: u64,
    /// Who keeps the root secret, as the code of batpak-keyset.
    pub provider_kind: u8,
    /// What the destruction is worth, as a code of batpak-store.
    pub destruction: u8,
    /// Since when old copies are dead.
    pub effective_at: Option<Timestamp>,
    /// Keys that could not be reached.
    pub unreachable: u32,
}

/// A shredded key scope may take new keys.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the field is the format")]
pub struct ScopeReadmitted {
    /// The key scope in its canonical bytes.
    pub key_scope: Box<[u8]>,
}

/// A key scope, or every key scope under a coarser one, must not be shredded for now.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the two fields are the format")]
pub struct ScopeHeld {
    /// The key scope in its canonical bytes; its granularity may be coarser than the store's.
    pub key_scope: Box<[u8]>,
    /// The caller's reference: at most 64 bytes, permanent and in clear.
    pub reference: String,
}

/// What was held may be shredded again.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the two fields are the format")]
pub struct ScopeReleased {
    /// The key scope in its canonical bytes, as the hold names it.
    pub key_scope: Box<[u8]>,
    /// The caller's reference: at most 64 bytes, permanent and in clear.
    pub reference: String,
}

/// The loss of keys was accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the fields are the format")]
pub struct KeyLossAccepted {
    /// The first position of the events concerned.
    pub first_position: u64,
    /// The position behind the last of them.
    pub next_position: u64,
    /// The keys that are lost, sorted and disjoint.
    pub runs: Vec<KeyRun>,
}

/// What was older than expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RolledBack {
    /// The keyset.
    Keyset,
    /// The log.
    Log,
}

/// An older keyset or log than expected was accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the fields are the format")]
pub struct RollbackAccepted {
    /// Which of the two.
    pub what: RolledBack,
    /// The epoch of the keyset that was found.
    pub epoch: u64,
    /// Where the log ended.
    pub position: u64,
}

/// The keyset was sealed under a new root secret.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the fields are the format")]
pub struct Rekeyed {
    /// The epoch of the first image under it.
    pub epoch: u64,
    /// The new secret's public id.
    pub secret_id: [u8; 16],
}

impl ShredIntent {
    pub(super) fn put(&self, out: &mut Vec<u8>) -> Result<(), RecordError> {
        put_u8(out, self.granularity);
        put_optional(out, self.previous_intent);
        put_u64(out, self.epoch);
        put_u16(out, self.reason);
        put_text(out, &self.reference, REFERENCE_BYTES_MAX)?;
        put_count(out, self.targets.len(), SHRED_TARGETS_MAX)?;
        for target in &self.targets {
            put_short(out, &target.key_scope, KEY_SCOPE_BYTES_LIMIT)?;
            put_runs(out, &target.runs)?;
        }
        put_count(out, self.withheld.len(), SHRED_TARGETS_MAX)?;
        self.withheld.iter().try_for_each(|key_scope| put_short(out, key_scope, KEY_SCOPE_BYTES_LIMIT))
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, RecordError> {
        let (granularity, previous_intent) = (reader.u8()?, read_optional(reader)?);
        let (epoch, reason) = (reader.u64()?, reader.u16()?);
        let reference = read_text(reader, REFERENCE_BYTES_MAX)?;
        let count = read_count(reader, 2 + 4, SHRED_TARGETS_MAX)?;
        let mut targets = Vec::with_capacity(count);
        for _ in 0..count {
            targets.push(ShredTarget { key_scope: read_scope(reader)?, runs: read_runs(reader)? });
        }
        let count = read_count(reader, 2, SHRED_TARGETS_MAX)?;
        let mut withheld = Vec::with_capacity(count);
        for _ in 0..count {
            withheld.push(read_scope(reader)?);
        }
        Ok(Self { granularity, previous_intent, epoch, reason, reference, targets, withheld })
    }
}

impl ShredCompleted {
    pub(super) fn put(&self, out: &mut Vec<u8>) {
        put_u64(out, self.intent);
        put_u64(out, self.epoch);
        put_u8(out, self.provider_kind);
        put_u8(out, self.destruction);
        put_optional(out, self.effective_at.map(|time| u64::from_le_bytes(time.as_micros().to_le_bytes())));
        put_u32(out, self.unreachable);
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, RecordError> {
        let time = |micros: u64| Timestamp::from_micros(i64::from_le_bytes(micros.to_le_bytes()));
        Ok(Self {
            intent: reader.u64()?,
            epoch: reader.u64()?,
            provider_kind: reader.u8()?,
            destruction: reader.u8()?,
            effective_at: read_optional(reader)?.map(time),
            unreachable: reader.u32()?,
        })
    }
}

impl ScopeReadmitted {
    pub(super) fn put(&self, out: &mut Vec<u8>) -> Result<(), RecordError> {
        put_short(out, &self.key_scope, KEY_SCOPE_BYTES_LIMIT)
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, RecordError> {
        Ok(Self { key_scope: read_scope(reader)? })
    }
}

impl ScopeHeld {
    pub(super) fn put(&self, out: &mut Vec<u8>) -> Result<(), RecordError> {
        put_short(out, &self.key_scope, KEY_SCOPE_BYTES_LIMIT)?;
        put_text(out, &self.reference, REFERENCE_BYTES_MAX)
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, RecordError> {
        Ok(Self { key_scope: read_scope(reader)?, reference: read_text(reader, REFERENCE_BYTES_MAX)? })
    }
}

impl ScopeReleased {
    pub(super) fn put(&self, out: &mut Vec<u8>) -> Result<(), RecordError> {
        put_short(out, &self.key_scope, KEY_SCOPE_BYTES_LIMIT)?;
        put_text(out, &self.reference, REFERENCE_BYTES_MAX)
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, RecordError> {
        Ok(Self { key_scope: read_scope(reader)?, reference: read_text(reader, REFERENCE_BYTES_MAX)? })
    }
}

impl KeyLossAccepted {
    pub(super) fn put(&self, out: &mut Vec<u8>) -> Result<(), RecordError> {
        self.check()?;
        put_u64(out, self.first_position);
        put_u64(out, self.next_position);
        put_runs(out, &self.runs)
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, RecordError> {
        let loss = Self { first_position: reader.u64()?, next_position: reader.u64()?, runs: read_runs(reader)? };
        loss.check()?;
        Ok(loss)
    }

    const fn check(&self) -> Result<(), RecordError> {
        if self.first_position > self.next_position { Err(RecordError::NotCanonical) } else { Ok(()) }
    }
}

impl RollbackAccepted {
    pub(super) fn put(&self, out: &mut Vec<u8>) {
        put_u8(
            out,
            match self.what {
                RolledBack::Keyset => 1,
                RolledBack::Log => 2,
            },
        );
        put_u64(out, self.epoch);
        put_u64(out, self.position);
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, RecordError> {
        let what = match reader.u8()? {
            1 => RolledBack::Keyset,
            2 => RolledBack::Log,
            _ => return Err(RecordError::NotCanonical),
        };
        Ok(Self { what, epoch: reader.u64()?, position: reader.u64()? })
    }
}

impl Rekeyed {
    pub(super) fn put(&self, out: &mut Vec<u8>) {
        put_u64(out, self.epoch);
        put_bytes(out, &self.secret_id);
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, RecordError> {
        Ok(Self { epoch: reader.u64()?, secret_id: reader.array()? })
    }
}

pub(crate) fn read_scope(reader: &mut Reader<'_>) -> Result<Box<[u8]>, RecordError> {
    Ok(read_short(reader, KEY_SCOPE_BYTES_LIMIT)?.into())
}

pub(crate) fn put_runs(out: &mut Vec<u8>, runs: &[KeyRun]) -> Result<(), RecordError> {
    check_runs(runs)?;
    put_count(out, runs.len(), KEY_RUNS_MAX)?;
    for run in runs {
        put_u64(out, run.first.as_u64());
        put_u32(out, run.count);
    }
    Ok(())
}

pub(crate) fn read_runs(reader: &mut Reader<'_>) -> Result<Vec<KeyRun>, RecordError> {
    let count = read_count(reader, RUN_LEN, KEY_RUNS_MAX)?;
    let mut runs = Vec::with_capacity(count);
    for _ in 0..count {
        runs.push(KeyRun { first: KeyId::from_u64(reader.u64()?), count: reader.u32()? });
    }
    check_runs(&runs)?;
    Ok(runs)
}

/// Sorted, disjoint, not touching, not empty, each within one page.
fn check_runs(runs: &[KeyRun]) -> Result<(), RecordError> {
    capped(runs.len(), KEY_RUNS_MAX)?;
    let end = |run: &KeyRun| run.first.as_u64().saturating_add(u64::from(run.count));
    let within = |run: &KeyRun| run.count > 0 && u64::from(run.first.leaf()) + u64::from(run.count) <= LEAVES_LIMIT;
    let ordered = runs.iter().zip(runs.iter().skip(1)).all(|(run, next)| {
        end(run) < next.first.as_u64() || (end(run) == next.first.as_u64() && next.first.leaf() == 0)
    });
    if runs.iter().all(within) && ordered { Ok(()) } else { Err(RecordError::KeyRuns) }
}
