//! Reading the frames of a segment in order, and finding the next valid frame after bad bytes.
//!
//! Invariants: a scanner allocates one window of 256 KiB, or one frame that the file is long enough to hold. The search
//! after bad bytes costs at most its budget, whatever the bytes are.

use std::fmt;
use std::io;
use std::sync::Arc;

use batpak_format::layout::{
    ENTITY_LEN_AT, FIXED_LEN, FLAG_HOLLOW, FLAGS_AT, FLAGS_KNOWN, FRAME_LEN_AT, HEADER_BYTES_MAX, PAYLOAD_LEN_AT,
    SCOPE_LEN_AT,
};
use batpak_format::{Frame, FrameError, FrameLen, FrameSeed, NAME_BYTES_MAX, StoreId};

use crate::disk::DiskFile;
use crate::error::ScanError;

const WINDOW_BYTES: usize = 256 << 10;

/// What stands at the place a scanner has come to.
#[derive(Debug)]
#[non_exhaustive]
pub enum ScanItem<'a> {
    /// Bytes that are not a frame; the scanner stays before them.
    Bad {
        /// Where they begin.
        offset: u64,
        /// What is wrong with them.
        error: FrameError,
    },
    /// Nothing was written here, or the scanner's limit is reached; it stays.
    End {
        /// Where.
        offset: u64,
    },
    /// A valid frame; the scanner has passed it.
    Frame {
        /// Where it begins.
        offset: u64,
        /// The frame, checked.
        frame: Frame<'a>,
    },
}

/// How many bytes a search for valid frames may still check.
#[derive(Debug)]
pub struct ResyncBudget {
    left: u64,
}

impl ResyncBudget {
    /// A budget for searching `len` bytes: eight times as many are checked, and 16 MiB.
    ///
    /// A frame-like place costs its length. Ciphertext has practically none; frames kept as payloads inside a frame
    /// cost their sum once for each time they are nested.
    #[must_use]
    pub fn for_bytes(len: u64) -> ResyncBudget {
        ResyncBudget { left: len.saturating_mul(8).saturating_add(16 << 20) }
    }

    fn take(&mut self, bytes: u64) -> Result<(), ScanError> {
        self.left = self.left.checked_sub(bytes).ok_or(ScanError::BudgetExhausted)?;
        Ok(())
    }
}

/// Reads a segment's frames in order, through a window.
pub struct Scanner {
    file: Arc<dyn DiskFile>,
    store: StoreId,
    segment: u64,
    offset: u64,
    limit: u64,
    window: Window,
    /// What stands from here on is kept in the window, if it has the room.
    held: u64,
}

impl Scanner {
    /// Starts at byte `from` of a segment's file, and passes neither `limit` nor the file's length of this moment.
    ///
    /// # Errors
    /// [`ScanError::Io`].
    pub fn new(
        file: Arc<dyn DiskFile>,
        store: StoreId,
        segment: u64,
        from: u64,
        limit: u64,
    ) -> Result<Scanner, ScanError> {
        let limit = limit.min(file.len()?);
        Ok(Scanner { file, store, segment, offset: from, limit, window: Window::default(), held: from })
    }

    /// Where the next item begins, in bytes from the start of the file.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Will go back to where it is, and keeps the bytes until then if they and what is read behind them fit into a window.
    pub(crate) fn hold(&mut self) {
        self.held = self.offset;
    }

    /// Goes to another place; the next item is what stands there.
    pub fn seek(&mut self, offset: u64) {
        self.offset = offset;
    }

    /// Reads what stands at the scanner's place, and passes it when it is a frame.
    ///
    /// # Errors
    /// [`ScanError::Io`].
    #[expect(clippy::should_implement_trait, reason = "the item borrows the scanner's window, an iterator's cannot")]
    pub fn next(&mut self) -> Result<ScanItem<'_>, ScanError> {
        let offset = self.offset;
        match self.measure(offset)? {
            Measure::Bad(error) => Ok(ScanItem::Bad { offset, error }),
            Measure::Empty => Ok(ScanItem::End { offset }),
            Measure::Whole(len) => {
                let bytes = self.window.from(offset);
                match Frame::decode(bytes, &FrameSeed { store: self.store, segment: self.segment, offset }) {
                    Ok(frame) => {
                        self.offset = offset + len as u64;
                        Ok(ScanItem::Frame { offset, frame })
                    }
                    Err(error) => Ok(ScanItem::Bad { offset, error }),
                }
            }
        }
    }

    /// Searches from byte `from` on for the first valid frame, and goes there; `None` when there is none.
    ///
    /// # Errors
    /// [`ScanError::BudgetExhausted`] when frame-like places ask for more checking than the budget has, or
    /// [`ScanError::Io`].
    pub fn resync(&mut self, from: u64, budget: &mut ResyncBudget) -> Result<Option<u64>, ScanError> {
        let mut at = from;
        while let Some(candidate) = self.next_plausible(at)? {
            let frame = self.bytes(candidate, FIXED_LEN)?;
            let len = read_u32(frame, FRAME_LEN_AT) as usize;
            budget.take(len as u64)?;
            let seed = FrameSeed { store: self.store, segment: self.segment, offset: candidate };
            if Frame::decode(self.bytes(candidate, len)?, &seed).is_ok() {
                self.offset = candidate;
                return Ok(Some(candidate));
            }
            at = candidate + 1;
        }
        Ok(None)
    }

    /// The next place at or after `from` whose fixed part could be a frame's.
    fn next_plausible(&mut self, from: u64) -> Result<Option<u64>, ScanError> {
        let mut at = from;
        loop {
            let limit = self.limit;
            let window = self.bytes(at, FIXED_LEN)?;
            if window.len() < FIXED_LEN {
                return Ok(None);
            }
            let mut skip = 0;
            while let Some(fixed) = window.get(skip..).filter(|rest| rest.len() >= FIXED_LEN) {
                let room = limit - (at + skip as u64);
                if is_plausible(fixed, room) {
                    return Ok(Some(at + skip as u64));
                }
                // Eight zeros: no frame length can begin in the first five of them.
                skip += if fixed.starts_with(&[0; 8]) { 5 } else { 1 };
            }
            at += skip as u64;
        }
    }

    fn measure(&mut self, offset: u64) -> Result<Measure, ScanError> {
        let room = self.limit.saturating_sub(offset);
        let start = self.bytes(offset, FIXED_LEN)?;
        if start.is_empty() {
            return Ok(Measure::Empty);
        }
        let found = start.len() as u64;
        // All of it is in the window: decoding it looks at everything.
        let claimed = read_u32(start, FRAME_LEN_AT) as usize;
        if (FIXED_LEN..=start.len()).contains(&claimed) {
            return Ok(Measure::Whole(claimed));
        }
        match Frame::peek_len(start) {
            Err(error) => Ok(Measure::Bad(error)),
            Ok(FrameLen::Empty) => Ok(Measure::Empty),
            Ok(FrameLen::NeedsMore) if start.iter().all(|byte| *byte == 0) => Ok(Measure::Empty),
            Ok(FrameLen::NeedsMore) => Ok(Measure::Bad(FrameError::Truncated { needed: FIXED_LEN as u64, found })),
            Ok(FrameLen::Len(len)) if u64::from(len) > room => {
                Ok(Measure::Bad(FrameError::Truncated { needed: u64::from(len), found: room }))
            }
            Ok(FrameLen::Len(len)) => {
                let found = self.bytes(offset, len as usize)?.len() as u64;
                if found < u64::from(len) {
                    return Ok(Measure::Bad(FrameError::Truncated { needed: u64::from(len), found }));
                }
                Ok(Measure::Whole(len as usize))
            }
        }
    }

    /// The window from `offset` on: at least `need` bytes unless the limit comes before.
    fn bytes(&mut self, offset: u64, need: usize) -> io::Result<&[u8]> {
        let have = self.window.from(offset).len();
        if have < need {
            let behind = offset.checked_sub(self.held).and_then(|behind| usize::try_from(behind).ok());
            let fits =
                |behind: &usize| need + behind <= WINDOW_BYTES && self.window.from(self.held).len() == behind + have;
            let behind = behind.filter(fits).unwrap_or(0);
            self.fill(offset - behind as u64, need + behind, have + behind)?;
        }
        Ok(self.window.from(offset))
    }

    /// Moves the window to `offset`, keeping the `have` bytes of it that are there, and reads on.
    fn fill(&mut self, offset: u64, need: usize, have: usize) -> io::Result<()> {
        let room = usize::try_from(self.limit.saturating_sub(offset)).unwrap_or(usize::MAX);
        let want = need.max(WINDOW_BYTES).min(room);
        let Window { at, bytes, valid } = &mut self.window;
        bytes.copy_within(*valid - have..*valid, 0);
        (*at, *valid) = (offset, have);
        if bytes.len() < want || bytes.len() > want.max(4 * WINDOW_BYTES) {
            bytes.resize(want, 0);
            bytes.shrink_to_fit();
        }
        let unread = bytes.get_mut(have..want).unwrap_or_default();
        *valid += self.file.read_full_at(unread, offset + have as u64)?;
        Ok(())
    }
}

/// The bytes of the file that are in memory; its buffer is zeroed once and used again.
#[derive(Default)]
struct Window {
    at: u64,
    bytes: Vec<u8>,
    valid: usize,
}

impl Window {
    /// What is in memory from `offset` on; nothing when the window does not hold that byte.
    fn from(&self, offset: u64) -> &[u8] {
        let skip = offset.checked_sub(self.at).and_then(|skip| usize::try_from(skip).ok());
        skip.and_then(|skip| self.bytes.get(skip..self.valid)).unwrap_or_default()
    }
}

impl fmt::Debug for Scanner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scanner").field("segment", &self.segment).field("offset", &self.offset).finish_non_exhaustive()
    }
}

enum Measure {
    Bad(FrameError),
    Empty,
    Whole(usize),
}

/// Whether a fixed part could begin a frame of at most `room` bytes; true for every valid frame.
///
/// Random bytes pass about once in 2^40 places, so that checking costs nothing beside searching.
fn is_plausible(fixed: &[u8], room: u64) -> bool {
    let frame_len = read_u32(fixed, FRAME_LEN_AT);
    let (entity, scope) = (read_u16(fixed, ENTITY_LEN_AT), read_u16(fixed, SCOPE_LEN_AT));
    let flags = read_u16(fixed, FLAGS_AT);
    let stored = if flags & FLAG_HOLLOW == 0 { read_u32(fixed, PAYLOAD_LEN_AT) } else { 0 };
    let Some(header_len) = frame_len.checked_sub(stored).map(|len| len as usize) else { return false };
    let names = usize::from(entity) + usize::from(scope);
    u64::from(frame_len) <= room
        && flags & !FLAGS_KNOWN == 0
        && (1..=NAME_BYTES_MAX).contains(&usize::from(entity))
        && (1..=NAME_BYTES_MAX).contains(&usize::from(scope))
        && (FIXED_LEN + names..=HEADER_BYTES_MAX).contains(&header_len)
}

fn read_u16(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |field| u16::from_le_bytes(*field))
}

fn read_u32(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |field| u32::from_le_bytes(*field))
}

#[cfg(test)]
mod tests;
