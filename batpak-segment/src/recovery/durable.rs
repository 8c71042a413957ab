//! Making true what recovery read: the kept tail written again, the cut zeroed, all of it synced.
//!
//! Invariant: a crash at any point leaves a log that recovers to the same end, or, when the page cache showed bytes that
//! the disk did not have, to an earlier one that still holds everything durable.

use std::io;
use std::path::Path;

use super::{Recovered, RecoveryMode, SegmentInfo};
use crate::disk::{Access, Disk, DiskFile};
use crate::footer::read_range;
use crate::name::segment_path;
use crate::writer::{AHEAD_BYTES, write_zeros};
use batpak_format::SEGMENT_HEADER_LEN;

/// Makes the end that [`super::recover`] found durable, before anything is built on it: after a failed sync the page cache may
/// show what the disk does not have. Does nothing after a clean close: its footer was written after a sync, and where the
/// disk lacks the footer itself, the log is the same.
///
/// In this order:
/// 1. Segments that are torn whole are removed, from the highest down, and the directory is synced. A crash here: the
///    log is cut at the same place again, since nothing in what is gone stated more to be durable.
/// 2. In the last two segments, lower first: every byte that no durable mark covers is written again, as it is,
///    a footer too; the active segment's header likewise. After the end zeros are written for one piece of 256 KiB,
///    whether or not zeros are seen there, and a longer file is cut behind them. Then the file is synced. A crash
///    here: each sector holds what it held or what was written, so the kept bytes are as good as before, and what is
///    left of the cut is still not a frame that comes next.
/// 3. The directory is synced, for the name of an active segment whose creation did not return.
///
/// Run again, it writes the same bytes, and no byte changes.
///
/// # Errors
/// `InvalidInput` when `recovered` comes from a reader, else what the disk says. After a failure nothing may be
/// appended; recover again.
pub fn make_durable(disk: &dyn Disk, dir: &Path, recovered: &Recovered) -> io::Result<()> {
    if recovered.mode != RecoveryMode::Repair {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    if recovered.clean_close.is_some() {
        return Ok(());
    }
    for number in &recovered.removed {
        disk.remove(&segment_path(dir, *number))?;
    }
    if !recovered.removed.is_empty() {
        disk.sync_dir(dir)?;
    }
    for info in recovered.segments.iter().filter(|info| info.number + 1 >= recovered.active) {
        let file = disk.open(&segment_path(dir, info.number), Access::ReadWrite)?;
        let from = unsynced_in(recovered, info);
        write_again(file.as_ref(), from, info.end)?;
        if info.number == recovered.active {
            write_again(file.as_ref(), 0, SEGMENT_HEADER_LEN as u64)?;
            zero_after(file.as_ref(), info.end)?;
        }
        file.sync_all()?;
    }
    disk.sync_dir(dir)
}

/// Where in a segment the first byte stands that is not known durable; its footer never is.
fn unsynced_in(recovered: &Recovered, info: &SegmentInfo) -> u64 {
    let (segment, offset) = recovered.unsynced_from;
    match info.number.cmp(&segment) {
        std::cmp::Ordering::Less => info.log_len,
        std::cmp::Ordering::Equal => offset,
        std::cmp::Ordering::Greater => SEGMENT_HEADER_LEN as u64,
    }
}

/// Writes a range over itself.
fn write_again(file: &dyn DiskFile, from: u64, to: u64) -> io::Result<()> {
    let mut at = from;
    while at < to {
        let bytes = read_range(file, at, (to - at).min(AHEAD_BYTES))?;
        if bytes.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        file.write_all_at(&bytes, at)?;
        at += bytes.len() as u64;
    }
    Ok(())
}

/// Zeros what stands after `end`, and cuts the file where that would be more than a piece.
fn zero_after(file: &dyn DiskFile, end: u64) -> io::Result<()> {
    let len = file.len()?;
    let keep = len.min(end.saturating_add(AHEAD_BYTES));
    write_zeros(file, end, keep)?;
    if keep < len { file.set_len(keep) } else { Ok(()) }
}
