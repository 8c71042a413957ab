//! Positions as runs.
//!
//! Invariant: runs are sorted, disjoint, not empty, and no two could be one, so a set of positions has one list of runs.

use crate::certificate::CERTIFICATE_LIST_MAX;
use crate::codec::{Reader, put_u64};
use crate::error::CertificateFormatError;
use crate::record::{put_count, read_count};

const RUN_LEN: usize = 8 + 8;

/// Consecutive positions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(clippy::exhaustive_structs, reason = "the two fields are the format of a run")]
pub struct PositionRun {
    /// The first position.
    pub first: u64,
    /// How many there are, at least 1.
    pub count: u64,
}

impl PositionRun {
    /// Returns the position behind the run.
    pub(super) fn end(&self) -> Option<u64> {
        self.first.checked_add(self.count)
    }
}

/// Adds a position behind all others.
pub(super) fn push(runs: &mut Vec<PositionRun>, position: u64) {
    match runs.last_mut() {
        Some(run) if run.end() == Some(position) => run.count += 1,
        _ => runs.push(PositionRun { first: position, count: 1 }),
    }
}

pub(super) fn put(out: &mut Vec<u8>, runs: &[PositionRun]) -> Result<(), CertificateFormatError> {
    check(runs)?;
    put_count(out, runs.len(), CERTIFICATE_LIST_MAX)?;
    for run in runs {
        put_u64(out, run.first);
        put_u64(out, run.count);
    }
    Ok(())
}

pub(super) fn read(reader: &mut Reader<'_>) -> Result<Vec<PositionRun>, CertificateFormatError> {
    let count = read_count(reader, RUN_LEN, CERTIFICATE_LIST_MAX)?;
    let mut runs = Vec::with_capacity(count);
    for _ in 0..count {
        runs.push(PositionRun { first: reader.u64()?, count: reader.u64()? });
    }
    check(&runs)?;
    Ok(runs)
}

fn check(runs: &[PositionRun]) -> Result<(), CertificateFormatError> {
    let whole = runs.iter().all(|run| run.count > 0 && run.end().is_some());
    let ordered = runs.iter().zip(runs.iter().skip(1)).all(|(run, next)| run.end().is_some_and(|end| end < next.first));
    if whole && ordered { Ok(()) } else { Err(CertificateFormatError::PositionRuns) }
}
