//! Which segments a directory holds.
//!
//! Invariant: the numbers returned are 1, 2, 3 and so on without a gap, and nothing else stands in the directory.

use std::path::Path;

use super::RecoveryMode;
use crate::disk::Disk;
use crate::error::RecoveryError;
use crate::name::{FIRST_SEGMENT, parse_segment_name};

/// A directory is listed so often for a reader: one that is read while segments are created may show the
/// later of two only.
const READER_LISTINGS: u32 = 8;

/// Lists the segments.
pub(super) fn list_segments<E>(disk: &dyn Disk, dir: &Path, mode: RecoveryMode) -> Result<Vec<u64>, RecoveryError<E>> {
    let listings = if mode == RecoveryMode::ReadOnly { READER_LISTINGS } else { 1 };
    let mut answer = list_once(disk, dir);
    for _ in 1..listings {
        if !matches!(answer, Err(RecoveryError::SegmentGap { .. })) {
            break;
        }
        answer = list_once(disk, dir);
    }
    answer
}

fn list_once<E>(disk: &dyn Disk, dir: &Path) -> Result<Vec<u64>, RecoveryError<E>> {
    let entries = disk.list(dir).map_err(|source| RecoveryError::Io { path: dir.to_owned(), source })?;
    let mut numbers = Vec::with_capacity(entries.len());
    for entry in entries {
        match parse_segment_name(&entry.name).filter(|_| !entry.is_dir) {
            Some(number) => numbers.push(number),
            None => return Err(RecoveryError::ForeignFile { name: entry.name }),
        }
    }
    numbers.sort_unstable();
    for (expected, found) in (FIRST_SEGMENT..).zip(numbers.iter().copied()) {
        if expected != found {
            return Err(RecoveryError::SegmentGap { expected, found });
        }
    }
    if numbers.is_empty() { Err(RecoveryError::NoSegments) } else { Ok(numbers) }
}
