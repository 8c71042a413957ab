//! A key scope in a certificate: its keys, the events that they sealed, and the commitments that stand on these.
//!
//! Invariant: commitments are sorted by key id, one for each, and only of keys that the target names.

use crate::certificate::CERTIFICATE_LIST_MAX;
use crate::certificate::position::{self, PositionRun};
use crate::codec::{Reader, put_bytes, put_u64};
use crate::encryption::KeyId;
use crate::error::CertificateFormatError;
use crate::record::{KEY_SCOPE_BYTES_LIMIT, KeyRun, put_count, put_runs, put_short, read_count, read_runs, read_scope};

/// The least bytes of a target: four empty lists.
pub(super) const TARGET_BYTES_MIN: usize = 2 + 4 + 4 + 4;
const COMMITMENT_LEN: usize = 8 + 32;

/// The commitment to a key, as frames carry it that were sealed while the key was provisional.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the two fields are the format")]
pub struct KeyCommitment {
    /// The key.
    pub key_id: KeyId,
    /// The commitment to it.
    pub commitment: [u8; 32],
}

/// What was destroyed of one key scope.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "a target cannot be certified in part: a new field must break its makers"
)]
pub struct CertifiedTarget {
    /// The key scope in its canonical bytes; empty for reserved leaves that no event names.
    pub key_scope: Box<[u8]>,
    /// Its keys, sorted and disjoint.
    pub runs: Vec<KeyRun>,
    /// Positions of the events that they sealed, all before the first intent.
    pub events: Vec<PositionRun>,
    /// The commitments that the events carry, by key id, one for each key.
    pub commitments: Vec<KeyCommitment>,
}

impl CertifiedTarget {
    /// Makes the target of a key scope whose events are still to be named.
    #[must_use]
    pub const fn new(key_scope: Box<[u8]>, runs: Vec<KeyRun>) -> Self {
        Self { key_scope, runs, events: Vec::new(), commitments: Vec::new() }
    }

    /// Names an event behind all that were named.
    pub fn push_event(&mut self, position: u64) {
        position::push(&mut self.events, position);
    }

    /// Tells whether a key is among the target's.
    #[must_use]
    pub fn has_key(&self, key_id: KeyId) -> bool {
        let behind = self.runs.partition_point(|run| run.first <= key_id);
        let run = behind.checked_sub(1).and_then(|at| self.runs.get(at));
        run.is_some_and(|run| key_id.as_u64() - run.first.as_u64() < u64::from(run.count))
    }

    /// Returns how many keys are named.
    #[must_use]
    pub fn keys(&self) -> u64 {
        self.runs.iter().map(|run| u64::from(run.count)).fold(0, u64::saturating_add)
    }

    /// Returns how many events are named.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.events.iter().map(|run| run.count).fold(0, u64::saturating_add)
    }

    pub(super) fn put(&self, out: &mut Vec<u8>) -> Result<(), CertificateFormatError> {
        put_short(out, &self.key_scope, KEY_SCOPE_BYTES_LIMIT)?;
        put_runs(out, &self.runs)?;
        position::put(out, &self.events)?;
        self.check()?;
        put_count(out, self.commitments.len(), CERTIFICATE_LIST_MAX)?;
        for commitment in &self.commitments {
            put_u64(out, commitment.key_id.as_u64());
            put_bytes(out, &commitment.commitment);
        }
        Ok(())
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, CertificateFormatError> {
        let mut target = Self::new(read_scope(reader)?, read_runs(reader)?);
        target.events = position::read(reader)?;
        let count = read_count(reader, COMMITMENT_LEN, CERTIFICATE_LIST_MAX)?;
        target.commitments.reserve_exact(count);
        for _ in 0..count {
            let key_id = KeyId::from_u64(reader.u64()?);
            target.commitments.push(KeyCommitment { key_id, commitment: reader.array()? });
        }
        target.check()?;
        Ok(target)
    }

    fn check(&self) -> Result<(), CertificateFormatError> {
        let commitments = self.commitments.iter();
        let sorted = commitments.clone().zip(commitments.clone().skip(1)).all(|(one, next)| one.key_id < next.key_id);
        let known = commitments.clone().all(|commitment| self.has_key(commitment.key_id));
        if sorted && known { Ok(()) } else { Err(CertificateFormatError::NotCanonical) }
    }
}
