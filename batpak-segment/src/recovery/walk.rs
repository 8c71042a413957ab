//! One pass over the segments: whether each continues the log, and where the log ends.
//!
//! Invariant: at every step the log read so far is whole, and all of it has been shown to the visitor.

use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::Arc;

use batpak_format::{ChainHash, SEGMENT_HEADER_LEN, SegmentEnd, SegmentHeader, SegmentHeaderError, StoreId};

use super::marks::Marks;
use super::{LogVisitor, Recovered, RecoveryMode, SegmentInfo, Torn, TornReason};
use crate::disk::{Access, Disk, DiskFile};
use crate::error::{RecoveryError, ScanError};
use crate::footer::{content_end, read_range};
use crate::name::{FIRST_SEGMENT, segment_path};

/// Where the log cannot go on.
#[derive(Clone, Copy)]
pub(super) struct BadPoint {
    pub(super) segment: u64,
    /// Where the log would be cut: the first bad byte, or the begin of its batch, or 0 for the whole segment.
    pub(super) cut: u64,
    /// The first bad byte.
    pub(super) offset: u64,
    /// The position that should stand there.
    pub(super) position: u64,
    pub(super) reason: TornReason,
}

impl BadPoint {
    pub(super) fn corrupt<E>(&self) -> RecoveryError<E> {
        RecoveryError::Corrupt { segment: self.segment, offset: self.offset, position: self.position }
    }

    fn is_header(&self) -> bool {
        self.cut == 0
    }
}

/// The log as far as it has been read.
pub(super) struct Walk<'a, E> {
    disk: &'a dyn Disk,
    dir: &'a Path,
    pub(super) store: Option<StoreId>,
    mode: RecoveryMode,
    pub(super) visitor: &'a mut dyn LogVisitor<Error = E>,
    pub(super) next_position: u64,
    pub(super) last_chain_hash: ChainHash,
    pub(super) marks: Marks,
    pub(super) segments: Vec<SegmentInfo>,
}

impl<'a, E> Walk<'a, E> {
    pub(super) fn new(
        disk: &'a dyn Disk,
        dir: &'a Path,
        store: Option<StoreId>,
        mode: RecoveryMode,
        visitor: &'a mut dyn LogVisitor<Error = E>,
    ) -> Walk<'a, E> {
        let last_chain_hash = ChainHash::from_bytes([0; 32]);
        let (marks, segments) = (Marks::default(), Vec::new());
        Walk { disk, dir, store, mode, visitor, next_position: 0, last_chain_hash, marks, segments }
    }

    /// Reads all segments and decides where the log ends.
    pub(super) fn run(mut self, numbers: &[u64]) -> Result<Recovered, RecoveryError<E>> {
        // What is wrong at the end of the segment before, unless the next one shows that nothing is.
        let mut open_end: Option<BadPoint> = None;
        let mut at = 0;
        while let Some(number) = numbers.get(at).copied() {
            let unopened = if open_end.is_none() { self.go_past_known(at, numbers)? } else { 0 };
            if unopened > 0 {
                at += unopened;
                continue;
            }
            at += 1;
            let later = numbers.len() - at;
            let Some(file) = self.open(number)? else {
                // A writer's recovery has removed it since the directory was listed.
                return self.end(open_end.is_some(), None, Vec::new());
            };
            let Some(header) = self.read_header(number, file.as_ref())? else {
                if number == FIRST_SEGMENT && later == 0 && self.is_unfinished(number, file.as_ref())? {
                    return Err(RecoveryError::NoSegments);
                }
                let bad = open_end.unwrap_or(self.bad_header(number));
                return self.judge(bad, numbers);
            };
            if let Some(bad) = self.misfit(&header, open_end) {
                return self.judge(bad, numbers);
            }
            open_end = self.scan_segment(&header, file)?;
            self.check_footer(later)?;
        }
        match open_end {
            Some(bad) => self.judge(bad, numbers),
            None => self.end(false, None, Vec::new()),
        }
    }

    /// Opens a segment; `None` when a reader finds that it was removed meanwhile.
    pub(super) fn open(&self, number: u64) -> Result<Option<Arc<dyn DiskFile>>, RecoveryError<E>> {
        match self.disk.open(&segment_path(self.dir, number), Access::Read) {
            Ok(file) => Ok(Some(file)),
            Err(error)
                if error.kind() == ErrorKind::NotFound
                    && self.mode == RecoveryMode::ReadOnly
                    && number != FIRST_SEGMENT =>
            {
                Ok(None)
            }
            Err(error) => Err(self.io(number, error)),
        }
    }

    pub(super) fn io(&self, number: u64, source: io::Error) -> RecoveryError<E> {
        RecoveryError::Io { path: segment_path(self.dir, number), source }
    }

    pub(super) fn scan_error(&self, number: u64, error: ScanError, bad: &BadPoint) -> RecoveryError<E> {
        match error {
            ScanError::Io(source) => self.io(number, source),
            ScanError::BudgetExhausted => bad.corrupt(),
        }
    }

    /// Reads a header; `None` when its bytes are bad.
    pub(super) fn read_header(
        &mut self,
        segment: u64,
        file: &dyn DiskFile,
    ) -> Result<Option<SegmentHeader>, RecoveryError<E>> {
        let bytes = read_range(file, 0, SEGMENT_HEADER_LEN as u64).map_err(|error| self.io(segment, error))?;
        let header = match SegmentHeader::decode(&bytes) {
            Ok(header) => header,
            Err(SegmentHeaderError::UnknownVersion { version }) => {
                return Err(RecoveryError::UnknownVersion { segment, version });
            }
            Err(SegmentHeaderError::UnknownRequiredFlags { flags }) => {
                return Err(RecoveryError::RequiredFlag { segment, flags });
            }
            Err(_) => return Ok(None),
        };
        let store = *self.store.get_or_insert(header.store);
        if header.number != segment || header.store != store {
            return Err(RecoveryError::ForeignSegment { segment, number: header.number, store: header.store });
        }
        Ok(Some(header))
    }

    fn is_unfinished(&self, number: u64, file: &dyn DiskFile) -> Result<bool, RecoveryError<E>> {
        let content = file.len().and_then(|len| content_end(file, len)).map_err(|error| self.io(number, error))?;
        Ok(content <= SEGMENT_HEADER_LEN as u64)
    }

    fn bad_header(&self, segment: u64) -> BadPoint {
        BadPoint { segment, cut: 0, offset: 0, position: self.next_position, reason: TornReason::Creation }
    }

    /// What is wrong when a segment with this header comes next; nothing when it continues the log. Then bad bytes
    /// at the end of the segment before are no events: they are what was written of its footer.
    fn misfit(&self, header: &SegmentHeader, open_end: Option<BadPoint>) -> Option<BadPoint> {
        if header.first_position == self.next_position && header.previous_chain_hash == self.last_chain_hash {
            return None;
        }
        let before = self.segments.last().filter(|info| info.footer.is_none());
        let missing = before.filter(|_| header.first_position > self.next_position).map(|info| BadPoint {
            segment: info.number,
            cut: info.log_len,
            offset: info.log_len,
            position: self.next_position,
            reason: TornReason::Missing,
        });
        open_end.or(missing).or(Some(self.bad_header(header.number)))
    }

    /// Refuses a segment without a whole footer when more than one comes after it.
    fn check_footer(&self, later: usize) -> Result<(), RecoveryError<E>> {
        match self.segments.last() {
            Some(info) if info.footer.is_none() && later > 1 => {
                Err(RecoveryError::Corrupt { segment: info.number, offset: info.log_len, position: self.next_position })
            }
            _ => Ok(()),
        }
    }

    /// Decides what bad bytes are: corrupt, torn, or for a reader the end.
    fn judge(self, bad: BadPoint, numbers: &[u64]) -> Result<Recovered, RecoveryError<E>> {
        let is_last = numbers.last() == Some(&bad.segment);
        if bad.is_header() && (!is_last || bad.segment == FIRST_SEGMENT) {
            return Err(bad.corrupt());
        }
        if self.is_stated_durable(&bad, numbers)? && (self.mode == RecoveryMode::Repair || !self.is_good_now(&bad)?) {
            return Err(bad.corrupt());
        }
        if self.mode == RecoveryMode::ReadOnly {
            return self.end(true, None, Vec::new());
        }
        let dropped = |number: &u64| *number > bad.segment || bad.is_header() && *number == bad.segment;
        let removed: Vec<u64> = numbers.iter().copied().rev().filter(dropped).collect();
        let mut torn = Torn { segment: bad.segment, offset: bad.cut, bytes: 0, reason: bad.reason };
        for number in numbers.iter().copied().filter(|number| *number >= bad.segment) {
            let Some(file) = self.open(number)? else { continue };
            let content = file.len().and_then(|len| content_end(file.as_ref(), len));
            let content = content.map_err(|error| self.io(number, error))?;
            let kept = if number == bad.segment { bad.cut } else { 0 };
            torn.bytes += content.saturating_sub(kept);
        }
        self.end(true, Some(torn), removed)
    }

    /// The answer; `cut` says that something stands after the end.
    fn end(self, cut: bool, torn: Option<Torn>, removed: Vec<u64>) -> Result<Recovered, RecoveryError<E>> {
        let (Some(store), Some(last)) = (self.store, self.segments.last()) else {
            return Err(RecoveryError::NoSegments);
        };
        let (active, end_offset) = (last.number, last.log_len);
        let all_ended = self.segments.iter().all(|info| info.footer.is_some());
        let closed = last.footer.filter(|summary| !cut && all_ended && summary.end == SegmentEnd::Closed);
        Ok(Recovered {
            store,
            active,
            end_offset,
            next_position: self.next_position,
            last_chain_hash: self.last_chain_hash,
            durable_mark_max: self.marks.highest(),
            clean_close: closed,
            torn,
            unsynced_from: self.marks.first_uncovered().unwrap_or((active, end_offset)),
            segments: self.segments,
            mode: self.mode,
            removed,
        })
    }
}
