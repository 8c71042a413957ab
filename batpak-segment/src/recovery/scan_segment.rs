//! The frames of one segment: valid, dense, and whole batches.
//!
//! Invariant: a frame is shown once the frame, and the batch it belongs to, are known to be whole.

use std::sync::Arc;

use batpak_format::{BatchPart, Frame, SEGMENT_HEADER_LEN, SegmentHeader};

use super::walk::{BadPoint, Walk};
use super::{RecoveredFrame, SegmentInfo, TornReason};
use crate::defect::{Defect, seeded};
use crate::disk::DiskFile;
use crate::error::{FooterReadError, RecoveryError};
use crate::footer::{WholeFooter, content_end, read_footer};
use crate::scan::{ScanItem, Scanner};

/// A batch whose last frame has not come yet.
#[derive(Clone, Copy)]
struct OpenBatch {
    start: u64,
    seen: BatchPart,
}

/// What a valid frame does to the log.
enum Step {
    Refuse(TornReason),
    Single,
    Within(OpenBatch),
    Completes(OpenBatch),
}

impl<E> Walk<'_, E> {
    /// Reads a segment that continues the log. Returns what is wrong at its end, when it has no whole footer.
    pub(super) fn scan_segment(
        &mut self,
        header: &SegmentHeader,
        file: Arc<dyn DiskFile>,
    ) -> Result<Option<BadPoint>, RecoveryError<E>> {
        let number = header.number;
        let footer = self.footer(number, file.as_ref())?;
        if let Some(footer) = &footer {
            self.marks.raise(footer.summary.next_position);
        }
        let limit = footer.as_ref().map_or(u64::MAX, |footer| footer.summary.log_len);
        let from = self.skip_known(header, file.as_ref(), footer.as_ref())?;
        let begin = self.bad(number, from, from, TornReason::Unwritten);
        let (end, is_bad) = if from == limit {
            (begin, false)
        } else {
            let mut scanner = Scanner::new(Arc::clone(&file), header.store, number, from, limit)
                .map_err(|error| self.scan_error(number, error, &begin))?;
            self.read_frames(number, &mut scanner)?
        };
        if let Some(footer) = &footer
            && (is_bad || end.offset != limit || !self.agrees(header, footer))
        {
            return Err(end.corrupt());
        }
        self.segments.push(SegmentInfo {
            number,
            first_position: header.first_position,
            keyset_epoch: header.keyset_epoch,
            log_len: end.cut,
            end: footer.as_ref().map_or(end.cut, |footer| footer.end),
            footer: footer.as_ref().map(|footer| footer.summary),
        });
        if footer.is_some() {
            return Ok(None);
        }
        let content = file.len().and_then(|len| content_end(file.as_ref(), len));
        let content = content.map_err(|error| self.io(number, error))?;
        Ok((is_bad || content > end.offset).then_some(end))
    }

    /// Goes past what the visitor knows of a segment; returns where its first frame stands that is not known.
    fn skip_known(
        &mut self,
        header: &SegmentHeader,
        file: &dyn DiskFile,
        footer: Option<&WholeFooter>,
    ) -> Result<u64, RecoveryError<E>> {
        let first = SEGMENT_HEADER_LEN as u64;
        let limit = match footer.map(|footer| &footer.summary) {
            Some(footer) if footer.first_position != header.first_position => return Ok(first),
            Some(footer) => footer.log_len,
            None => file.len().map_err(|error| self.io(header.number, error))?,
        };
        let footer = footer.map(|footer| &footer.summary);
        let known = self.visitor.known(header, footer).map_err(RecoveryError::Visit)?;
        let Some(known) = known.filter(|known| (first..=limit).contains(&known.end)) else { return Ok(first) };
        (self.next_position, self.last_chain_hash) = (known.next_position, known.chain_hash);
        self.marks.raise(known.next_position);
        Ok(known.end)
    }

    pub(super) fn footer(&self, number: u64, file: &dyn DiskFile) -> Result<Option<WholeFooter>, RecoveryError<E>> {
        read_footer(file).map_err(|error| match error {
            FooterReadError::Io(error) => self.io(number, error),
            FooterReadError::RequiredSection { tag } => RecoveryError::RequiredSection { segment: number, tag },
        })
    }

    /// Whether a footer states the log that was read.
    fn agrees(&self, header: &SegmentHeader, footer: &WholeFooter) -> bool {
        footer.summary.first_position == header.first_position
            && footer.summary.next_position == self.next_position
            && footer.summary.chain_hash == self.last_chain_hash
    }

    /// Reads frames up to the first place that is not one. Returns that place, and whether something is wrong there
    /// beyond there being no frame.
    fn read_frames(&mut self, number: u64, scanner: &mut Scanner) -> Result<(BadPoint, bool), RecoveryError<E>> {
        let mut batch: Option<OpenBatch> = None;
        loop {
            let seen = batch.map_or(0, |open| u64::from(open.seen.index) + 1);
            let position = self.next_position + seen;
            let here = scanner.offset();
            let cut = batch.map_or(here, |open| open.start);
            let end = |reason| BadPoint { segment: number, cut, offset: here, position, reason };
            if batch.is_none() {
                scanner.hold();
            }
            let item = scanner.next().map_err(|e| self.scan_error(number, e, &end(TornReason::Unwritten)))?;
            let (offset, frame) = match item {
                ScanItem::Bad { error, .. } => return Ok((end(TornReason::Frame(error)), true)),
                ScanItem::End { .. } if batch.is_some() => return Ok((end(TornReason::Batch), true)),
                ScanItem::End { .. } => return Ok((end(TornReason::Unwritten), false)),
                ScanItem::Frame { offset, frame } => (offset, frame),
            };
            batch = match step(&frame, offset, position, batch) {
                Step::Refuse(reason) => return Ok((end(reason), true)),
                Step::Single => {
                    self.accept(number, offset, &frame)?;
                    None
                }
                Step::Within(open) => Some(open),
                Step::Completes(open) => {
                    self.accept_batch(number, scanner, open)?;
                    None
                }
            };
        }
    }

    /// Shows the frames of a batch that is whole, reading them again.
    fn accept_batch(&mut self, number: u64, scanner: &mut Scanner, open: OpenBatch) -> Result<(), RecoveryError<E>> {
        scanner.seek(open.start);
        for _ in 0..open.seen.count {
            let offset = scanner.offset();
            let bad = self.bad(number, open.start, offset, TornReason::Batch);
            let item = scanner.next().map_err(|error| self.scan_error(number, error, &bad))?;
            match item {
                ScanItem::Frame { frame, .. } if frame.header().position() == self.next_position => {
                    self.accept(number, offset, &frame)?;
                }
                // The file gave other bytes a moment ago.
                _ => return Err(bad.corrupt()),
            }
        }
        Ok(())
    }

    fn accept(&mut self, segment: u64, offset: u64, frame: &Frame<'_>) -> Result<(), RecoveryError<E>> {
        let header = frame.header();
        self.marks.frame(header.position(), header.durable_mark(), segment, offset);
        self.last_chain_hash = header.chain_hash();
        self.next_position = header.position() + 1;
        let len = header.frame_len();
        self.visitor.frame(RecoveredFrame { segment, offset, len, frame }).map_err(RecoveryError::Visit)
    }

    fn bad(&self, segment: u64, cut: u64, offset: u64, reason: TornReason) -> BadPoint {
        BadPoint { segment, cut, offset, position: self.next_position, reason }
    }
}

/// What a valid frame at `offset` does to the log, when `position` comes next and `batch` is open.
fn step(frame: &Frame<'_>, offset: u64, position: u64, batch: Option<OpenBatch>) -> Step {
    let header = frame.header();
    if header.position() != position {
        return Step::Refuse(TornReason::Position { found: header.position() });
    }
    if seeded(Defect::BatchEndUnchecked) {
        return Step::Single;
    }
    let (start, index) = batch.map_or((offset, 0), |open| (open.start, open.seen.index + 1));
    match (header.batch(), batch) {
        (None, None) => Step::Single,
        (Some(seen), _) if seen.index != index => Step::Refuse(TornReason::Batch),
        (Some(seen), Some(open)) if seen.count != open.seen.count => Step::Refuse(TornReason::Batch),
        (Some(seen), _) if seen.index + 1 == seen.count => Step::Completes(OpenBatch { start, seen }),
        (Some(seen), _) => Step::Within(OpenBatch { start, seen }),
        (None, Some(_)) => Step::Refuse(TornReason::Batch),
    }
}
