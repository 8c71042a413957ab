//! The errors of this crate.
//!
//! Invariant: they name files, offsets and positions, never bytes of a payload.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;

use batpak_format::{FrameError, StoreId};

use crate::name::segment_file_name;

/// Why a scan stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScanError {
    /// The search for a valid frame after bad bytes would cost more than its budget.
    #[error("the search for a valid frame has used up its budget")]
    BudgetExhausted,
    /// The disk refused.
    #[error("the disk refused a read")]
    Io(#[from] io::Error),
}

/// Why the footer of a segment could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FooterReadError {
    /// The disk refused.
    #[error("the disk refused a read")]
    Io(#[from] io::Error),
    /// The footer has a section without which it must not be used, and this version does not know it.
    #[error("the footer needs unknown section {tag}")]
    RequiredSection {
        /// The section's tag.
        tag: u16,
    },
}

/// Why a segment could not be ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FinishError {
    /// A sync failed: what the disk holds is not known.
    #[error("the disk refused a sync")]
    Sync(#[source] io::Error),
    /// The footer could not be written; the frames are as they were.
    #[error("the disk refused a write")]
    Write(#[source] io::Error),
}

/// Why a frame could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The bytes at this offset are not a frame of this store and segment.
    #[error("no valid frame in {} at {offset}", segment_file_name(*segment))]
    Frame {
        /// The segment's number.
        segment: u64,
        /// Where in its file.
        offset: u64,
        /// What is wrong with the bytes.
        source: FrameError,
    },
    /// The disk refused.
    #[error("the disk refused a read")]
    Io(#[from] io::Error),
}

/// Why a log is not opened. `E` is the error of the visitor.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecoveryError<E> {
    /// Durable bytes are damaged or missing; nothing was changed. Restore the file from a copy.
    #[error("{} is corrupt at {offset}, at position {position}", segment_file_name(*segment))]
    Corrupt {
        /// The segment's number.
        segment: u64,
        /// The first bad byte range begins here, in bytes from the start of the file.
        offset: u64,
        /// The position that should stand there.
        position: u64,
    },
    /// The directory holds something that is not a segment.
    #[error("{} is not a segment", name.display())]
    ForeignFile {
        /// Its name in the directory.
        name: OsString,
    },
    /// A segment belongs to another store, or stands under another number than its own.
    #[error("{} holds segment {number} of store {store}", segment_file_name(*segment))]
    ForeignSegment {
        /// The number in the file's name.
        segment: u64,
        /// The number in the file.
        number: u64,
        /// The store in the file.
        store: StoreId,
    },
    /// The disk refused.
    #[error("the disk refused {}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the disk said.
        source: io::Error,
    },
    /// There is no segment, or only a first one whose creation was cut short.
    #[error("the log has no segment")]
    NoSegments,
    /// A segment needs a feature that this version does not know.
    #[error("{} needs unknown features {flags:#x}", segment_file_name(*segment))]
    RequiredFlag {
        /// The segment's number.
        segment: u64,
        /// The unknown flags.
        flags: u32,
    },
    /// A segment's footer needs a section that this version does not know.
    #[error("{} needs unknown section {tag}", segment_file_name(*segment))]
    RequiredSection {
        /// The segment's number.
        segment: u64,
        /// The section's tag.
        tag: u16,
    },
    /// A segment is missing.
    #[error("segment {expected} is missing, {found} is the next")]
    SegmentGap {
        /// The number that should come next.
        expected: u64,
        /// The number that comes next.
        found: u64,
    },
    /// A segment was written by a later version.
    #[error("{} has unknown version {version}", segment_file_name(*segment))]
    UnknownVersion {
        /// The segment's number.
        segment: u64,
        /// Its version.
        version: u16,
    },
    /// The visitor refused an event.
    #[error("an event was refused")]
    Visit(#[source] E),
}
