//! Opening a log: every segment read in order, the rule of the durable mark applied, the end made durable.
//!
//! Invariants: [`recover`] changes no byte, and shows only frames that stay. What is durable by the rule is never cut:
//! damage to it is refused. [`make_durable`] may be interrupted anywhere and run again.

use std::path::Path;

use batpak_format::{ChainHash, Frame, FrameError, SegmentHeader, SegmentSummary, StoreId};

use crate::disk::Disk;
use crate::error::RecoveryError;
use walk::Walk;

pub use durable::make_durable;

mod durable;
mod evidence;
mod listing;
mod marks;
mod scan_segment;
mod unopened;
mod walk;

/// Who opens the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "one either owns the log or does not")]
pub enum RecoveryMode {
    /// A reader, maybe beside a writer. Bad bytes at the tail may be frames that are being written, or a footer that
    /// is being overwritten, so they are the end of what this reader sees; nothing is torn, and the last segment
    /// may be without a header. Bytes that a frame after them states to be durable are read once more before
    /// they are called corrupt: they were durable before that frame was written, so by then they are good or damaged.
    ReadOnly,
    /// The one writer, which holds the store's lock.
    Repair,
}

/// A frame that stays in the log, as [`recover`] shows it, in the order of positions.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct RecoveredFrame<'a> {
    /// The number of its segment.
    pub segment: u64,
    /// Where it begins, in bytes from the start of the segment's file.
    pub offset: u64,
    /// Its bytes.
    pub len: u32,
    /// The frame, checked.
    pub frame: &'a Frame<'a>,
}

/// How much of a segment is known without reading its frames, from its beginning on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "who knows the frames knows where they end")]
pub struct Known {
    /// Where the frames that are known end, in bytes from the start of the segment's file.
    pub end: u64,
    /// The position behind the last of them.
    pub next_position: u64,
    /// The chain hash of the last of them.
    pub chain_hash: ChainHash,
}

/// A rolled segment as its header and its footer state it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "who knows a segment knows all that a recovery asks of it")]
pub struct KnownSegment {
    /// Its header.
    pub header: SegmentHeader,
    /// The summary of its footer.
    pub footer: SegmentSummary,
    /// The end of the footer, in bytes from the start of the file.
    pub footer_end: u64,
}

/// Which segments may be known without being opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "it is where a log goes on, and no more")]
pub struct Unopened {
    /// The number of the segment that comes next.
    pub segment: u64,
    /// The position of its first event.
    pub first_position: u64,
    /// The number of the first segment that must be opened; those before it are in the directory.
    pub limit: u64,
}

/// What a recovery shows the log to.
pub trait LogVisitor {
    /// Why a visit fails.
    type Error;

    /// Offers segments that need not be opened, since the visitor knows them whole from the next one on, in order; none by default.
    ///
    /// It is asked again with a lower limit when they do not lead to the header of the segment behind them.
    fn offer(&mut self, unopened: Unopened) -> Vec<KnownSegment> {
        let _ = unopened;
        Vec::new()
    }

    /// Takes in what was offered last, which the log holds, and returns how many segments it took, from the first one on.
    ///
    /// # Errors
    /// The visitor's own, which end the recovery.
    fn take_offered(&mut self) -> Result<usize, Self::Error> {
        Ok(0)
    }

    /// Says, before the frames of a segment are read, how many of them need not be, since it knows them; they are not shown. With a
    /// whole footer they were durable when that was written. Without one, the visitor must have learnt of them after a sync of the
    /// segment, and must have seen in the file that the last of them stands where it says: they count as durable.
    ///
    /// # Errors
    /// The visitor's own, which end the recovery.
    fn known(&mut self, segment: &SegmentHeader, footer: Option<&SegmentSummary>)
    -> Result<Option<Known>, Self::Error>;

    /// Takes a frame that stays in the log; they come in the order of positions.
    ///
    /// # Errors
    /// The visitor's own, which end the recovery.
    fn frame(&mut self, frame: RecoveredFrame<'_>) -> Result<(), Self::Error>;
}

/// A visitor that knows nothing and is shown every frame.
struct EveryFrame<'a, E>(&'a mut dyn FnMut(RecoveredFrame<'_>) -> Result<(), E>);

impl<E> LogVisitor for EveryFrame<'_, E> {
    type Error = E;

    fn known(&mut self, _: &SegmentHeader, _: Option<&SegmentSummary>) -> Result<Option<Known>, E> {
        Ok(None)
    }

    fn frame(&mut self, frame: RecoveredFrame<'_>) -> Result<(), E> {
        (self.0)(frame)
    }
}

/// One segment of a recovered log.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SegmentInfo {
    /// Its number.
    pub number: u64,
    /// The position of its first event.
    pub first_position: u64,
    /// The keyset's epoch when it was created.
    pub keyset_epoch: u64,
    /// The end of the frames that stay, in bytes from the start of the file.
    pub log_len: u64,
    /// The end of the footer, or of the frames when there is no whole footer.
    pub end: u64,
    /// What its footer states, when that is whole. A segment before the active one that has none is finished by its
    /// writer before a next one is created.
    pub footer: Option<SegmentSummary>,
}

/// What was wrong where the log is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TornReason {
    /// A batch is not complete.
    Batch,
    /// The last segment's creation was cut short.
    Creation,
    /// The bytes are not a valid frame.
    Frame(FrameError),
    /// A later segment begins at a later position.
    Missing,
    /// A valid frame has another position than the one that comes next.
    Position {
        /// The position it has.
        found: u64,
    },
    /// Nothing was written here, but something after it.
    Unwritten,
}

/// A tail that is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Torn {
    /// The segment that is cut; one cut at 0 is removed whole.
    pub segment: u64,
    /// Where it is cut, in bytes from the start of its file.
    pub offset: u64,
    /// Bytes that are dropped, here and in later segments, the zeros at the end of each file not counted.
    pub bytes: u64,
    /// Why.
    pub reason: TornReason,
}

/// What a log holds, and where it ends.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Recovered {
    /// The store that the log belongs to.
    pub store: StoreId,
    /// The segments that stay, in order.
    pub segments: Vec<SegmentInfo>,
    /// The number of the last of them.
    pub active: u64,
    /// The end of the frames in it.
    pub end_offset: u64,
    /// The position that the next event takes.
    pub next_position: u64,
    /// The chain hash of the last event, zeros when there is none.
    pub last_chain_hash: ChainHash,
    /// All positions below this are known durable, from the frames and footers that stay.
    pub durable_mark_max: u64,
    /// What the active segment's footer states, when the log was closed and not touched since.
    pub clean_close: Option<SegmentSummary>,
    /// What is cut, when anything is; never in [`RecoveryMode::ReadOnly`].
    pub torn: Option<Torn>,
    /// Segment and offset of the first byte not known durable; the end of the log when all is.
    pub unsynced_from: (u64, u64),
    mode: RecoveryMode,
    removed: Vec<u64>,
}

/// Reads the segments in `dir`, the directory of segments, in order, and shows every frame that stays to `visit`.
///
/// A `store` that is given must be the one in every segment; else the first segment's is taken. The frames of a batch
/// are shown when its last one was found. Nothing is written; [`make_durable`] does that, before anything is
/// appended.
///
/// # Errors
/// [`RecoveryError::Corrupt`] by the rule of the durable mark (the crate's front page); the other variants as they
/// say. When one is returned, some frames may have been shown.
pub fn recover<E>(
    disk: &dyn Disk,
    dir: &Path,
    store: Option<StoreId>,
    mode: RecoveryMode,
    visit: &mut dyn FnMut(RecoveredFrame<'_>) -> Result<(), E>,
) -> Result<Recovered, RecoveryError<E>> {
    recover_from(disk, dir, store, mode, &mut EveryFrame(visit))
}

/// Recovers as [`recover`] does, and leaves out the frames that the visitor knows.
///
/// # Errors
/// As [`recover`].
pub fn recover_from<E>(
    disk: &dyn Disk,
    dir: &Path,
    store: Option<StoreId>,
    mode: RecoveryMode,
    visitor: &mut dyn LogVisitor<Error = E>,
) -> Result<Recovered, RecoveryError<E>> {
    let numbers = listing::list_segments(disk, dir, mode)?;
    Walk::new(disk, dir, store, mode, visitor).run(&numbers)
}
