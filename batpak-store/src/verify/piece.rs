//! A piece of a segment as verification takes it: frames that stand side by side, read and checked, most of them hashed already.
//!
//! Invariants: a piece needs nothing that stands before it, so that the next one is read while this one is walked. What is no frame, and
//! a frame that is longer than a piece, is what the [`Scanner`] says it is.

use std::sync::Arc;

use batpak_format::{Frame, FrameError, FrameSeed, SEGMENT_HEADER_LEN, StatementDigest, StoreId};
use batpak_segment::{DiskFile, ScanError, ScanItem, Scanner};

/// What is read at a time: it stays in a core's cache.
const PIECE_BYTES: usize = 256 << 10;

/// One frame in so many is left to be hashed by whoever walks the piece: walking is less work than reading and hashing. Of a long frame
/// the hash is most of the work, so that each does half of them.
const LEFT_ONE_IN: usize = 4;
const LEFT_ONE_IN_LONG: usize = 2;
const LONG_FRAME_BYTES: usize = 1 << 10;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Piece {
    bytes: Vec<u8>,
    frames: Vec<Checked>,
    /// What comes behind its frames, where the segment is walked no further.
    pub(super) end: Option<PieceEnd>,
}

/// Why a segment is walked no further.
#[derive(Debug)]
pub(super) enum PieceEnd {
    /// All that was asked for is here, or nothing was written behind it.
    Whole,
    /// Bytes that are no frame.
    Bad {
        offset: u64,
        error: FrameError,
    },
    Refused(ScanError),
}

#[derive(Debug)]
struct Checked {
    offset: u64,
    /// Where it begins in the piece.
    at: usize,
    digest: Option<StatementDigest>,
}

impl Piece {
    /// The frames in order: where each begins in its segment, its bytes and more, and its digest where it is known.
    pub(super) fn frames(&self) -> impl Iterator<Item = (u64, &[u8], Option<StatementDigest>)> {
        let bytes = |at: usize| self.bytes.get(at..).unwrap_or_default();
        self.frames.iter().map(move |checked| (checked.offset, bytes(checked.at), checked.digest))
    }
}

/// Reads the pieces of one segment.
#[derive(Debug)]
pub(super) struct Pieces {
    file: Arc<dyn DiskFile>,
    scanner: Scanner,
    /// The file's length when the segment was begun.
    limit: u64,
    store: StoreId,
    segment: u64,
    /// How many frames are still asked for.
    left: u64,
    /// Whether some frames are left to be hashed.
    shares: bool,
}

impl Pieces {
    /// Begins with the first frame of a segment, and ends after so many at most.
    pub(super) fn new(
        file: Arc<dyn DiskFile>,
        store: StoreId,
        segment: u64,
        frames: u64,
        shares: bool,
    ) -> Result<Self, ScanError> {
        let scanner = Scanner::new(Arc::clone(&file), store, segment, SEGMENT_HEADER_LEN as u64, u64::MAX)?;
        let limit = file.len().map_err(ScanError::Io)?;
        Ok(Self { file, scanner, limit, store, segment, left: frames, shares })
    }

    /// Reads the next piece over an earlier one.
    pub(super) fn next(&mut self, mut piece: Piece) -> Piece {
        piece.frames.clear();
        if self.left == 0 {
            piece.end = Some(PieceEnd::Whole);
            return piece;
        }
        piece.end = self.fill(&mut piece).unwrap_or_else(|why| Some(PieceEnd::Refused(why)));
        if self.left == 0 {
            piece.end.get_or_insert(PieceEnd::Whole);
        }
        piece
    }

    fn fill(&mut self, piece: &mut Piece) -> Result<Option<PieceEnd>, ScanError> {
        let start = self.scanner.offset();
        let room = usize::try_from(self.limit.saturating_sub(start)).unwrap_or(usize::MAX);
        piece.bytes.resize(PIECE_BYTES.min(room), 0);
        let read = self.file.read_full_at(&mut piece.bytes, start)?;
        let mut at = 0;
        while self.left > 0 {
            let offset = start + at as u64;
            let seed = FrameSeed { store: self.store, segment: self.segment, offset };
            let bytes = piece.bytes.get(at..read).unwrap_or_default();
            let Ok(frame) = Frame::decode(bytes, &seed) else { break };
            let digest = self.digest(&frame, piece.frames.len());
            piece.frames.push(Checked { offset, at, digest });
            at += frame.len();
            self.left -= 1;
        }
        self.scanner.seek(start + at as u64);
        if at > 0 || self.left == 0 { Ok(None) } else { self.scan(piece) }
    }

    /// Takes what stands at the scanner's place, where reading it in passing found no frame.
    fn scan(&mut self, piece: &mut Piece) -> Result<Option<PieceEnd>, ScanError> {
        let (offset, digest) = match self.scanner.next()? {
            ScanItem::Frame { offset, frame } => {
                piece.bytes.clear();
                piece.bytes.extend_from_slice(frame.bytes());
                (offset, frame.digest())
            }
            ScanItem::Bad { offset, error } => return Ok(Some(PieceEnd::Bad { offset, error })),
            _ => return Ok(Some(PieceEnd::Whole)),
        };
        piece.frames.push(Checked { offset, at: 0, digest: Some(digest) });
        self.left -= 1;
        Ok(None)
    }

    fn digest(&self, frame: &Frame<'_>, number: usize) -> Option<StatementDigest> {
        let one_in = if frame.len() < LONG_FRAME_BYTES { LEFT_ONE_IN } else { LEFT_ONE_IN_LONG };
        let left = self.shares && number.is_multiple_of(one_in);
        (!left).then(|| frame.digest())
    }
}
