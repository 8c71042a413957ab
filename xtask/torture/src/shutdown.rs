//! The power cut of a file system: ext4 stops writing to its device, at once.
//!
//! Invariant: what the file system had not written by then never reaches the device; what was synced is there.

use std::fs::File;
use std::path::Path;

use rustix::ioctl::{Opcode, Setter, ioctl};

use crate::Outcome;

/// `FS_IOC_SHUTDOWN`: `_IOR('X', 125, __u32)` of the kernel's `fs.h`.
const SHUTDOWN: Opcode = 0x8004_587d;

/// What becomes of the journal's transaction that is being made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Journal {
    /// It is committed first (`EXT4_GOING_FLAGS_LOGFLUSH`).
    Committed = 1,
    /// It is lost (`EXT4_GOING_FLAGS_NOLOGFLUSH`).
    Lost = 2,
}

/// Cuts the power of the file system that is mounted at `target`.
///
/// # Errors
///
/// When the file system knows no such call, or the caller has not the right to it.
pub(crate) fn cut(target: &Path, journal: Journal) -> Outcome {
    let root = File::open(target)?;
    #[expect(unsafe_code, reason = "no safe wrapper knows this call; it reads four bytes and keeps no pointer to them")]
    // SAFETY: the opcode is that of FS_IOC_SHUTDOWN, whose argument is a pointer to a u32, and the kernel only reads it.
    unsafe {
        ioctl(&root, Setter::<SHUTDOWN, u32>::new(journal as u32))?;
    }
    Ok(())
}
