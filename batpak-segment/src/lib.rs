//! Segments of the batpak event store: bytes on disk, written, mapped, scanned and recovered.
//!
//! You probably want `batpak-store`, which puts events, keys and segments in their order. This crate is the floor
//! under it and useful alone for whoever reads, checks or repairs the files of a log. Start with [`recover`]: it reads
//! a directory of segments, shows every frame that stays, and says where the log ends.
//!
//! ```
//! use std::path::Path;
//! use batpak_segment::{MemoryDisk, RecoveryError, RecoveryMode, recover};
//! use batpak_segment::Disk;
//!
//! let disk = MemoryDisk::new();
//! disk.create_dir(Path::new("segments"), 0o700)?;
//! let answer = recover::<()>(&disk, Path::new("segments"), None, RecoveryMode::Repair, &mut |_| Ok(()));
//! assert!(matches!(answer, Err(RecoveryError::NoSegments)));
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! # What it is made of
//!
//! - [`Disk`] and [`DiskFile`]: every durable effect of batpak is a call of these two traits. [`RealDisk`] is the
//!   machine's file system; [`MemoryDisk`] is one in memory that can fail and crash.
//! - [`Tail`] places byte ranges, [`SegmentWriter`] writes them and ends a segment with a footer.
//! - [`SegmentReader`] reads single frames, [`Scanner`] reads them in order.
//! - [`recover`] applies the rule of the durable mark, and [`make_durable`] makes true what it read.
//!
//! # The rule of the durable mark
//!
//! Each frame says below which position the log was known synced when it was written. Bad bytes below the highest
//! such mark, bytes below the length that a whole footer states, and anything missing there, are *corrupt*: open is
//! refused with file and offset. All other bad bytes are *torn*: the log ends at the first of them.
//!
//! A writer keeps these duties, which the rule leans on:
//! - Segments and their footers are made in order. Whoever creates segment N + 1 finishes segment N, also when its
//!   footer was already there at open, and the footer of N is synced before segment N + 2 is created. So at most one
//!   segment before the last lacks a footer, and a whole footer says that all before it is durable.
//! - A durable mark states only positions for which a sync has returned.
//! - After a failed sync nothing more is written, no footer either, until [`recover`] and [`make_durable`] have run.
//!
//! # Memory maps
//!
//! Segments whose footer is whole are mapped, and by the process that writes it the frames that the active one begins
//! with: its writer cuts and changes nothing below what was written whole, and holds the store's lock against any other.
//! The files of a store belong to it: a process that cuts or changes a segment while it is mapped can kill the process
//! that reads it.
//! Where writing back fails, the operating system may drop pages that were not synced, also mapped ones: bytes that were
//! checked and handed out of the active segment before can then read as others. The writer is poisoned by then.
#![deny(unsafe_code)]

#[cfg(batpak_defects)]
pub use defect::{Defect, seed};
pub use disk::{Access, DirEntryName, Disk, DiskFile, FileIdentity, RealDisk};
pub use error::{FinishError, FooterReadError, ReadError, RecoveryError, ScanError};
pub use footer::{WholeFooter, read_footer};
pub use fork::ForkMark;
pub use memory::{DiskCall, DiskOp, MemoryDisk};
pub use name::{FIRST_SEGMENT, SEGMENTS_DIR, parse_segment_name, segment_file_name, segment_path};
pub use reader::{OwnedFrame, SegmentReader};
pub use recovery::{
    Known, KnownSegment, LogVisitor, Recovered, RecoveredFrame, RecoveryMode, SegmentInfo, Torn, TornReason, Unopened,
    make_durable, recover, recover_from,
};
pub use scan::{ResyncBudget, ScanItem, Scanner};
pub use tail::{Place, Tail};
pub use writer::SegmentWriter;

mod defect;
mod disk;
mod error;
mod footer;
mod fork;
mod growth;
mod map;
mod memory;
mod name;
mod reader;
mod recovery;
mod scan;
mod tail;
mod writer;
