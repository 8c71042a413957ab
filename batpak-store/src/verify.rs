//! Verification: every frame, hash and chain from the first byte of the log to the last, and that each sealed payload opens, is
//! shredded on record, or is reported lost.
//!
//! Invariants: it trusts no index: it reads the segments in order. Without keys it shows as much as anyone can show who has only a
//! copy of the log. Whatever is said of the log is said in its order, by one thread; another one reads and hashes ahead of it.

mod piece;

use std::{collections::HashMap, ops::ControlFlow, sync::Arc};

use batpak_format::{
    ChainHash, EventId, Frame, FrameError, FrameSeed, Record, SEGMENT_HEADER_LEN, SegmentHeader, StatementDigest,
    chain_hash, entity_root,
};
use batpak_segment::{Access, DiskFile, FIRST_SEGMENT, SEGMENTS_DIR, ScanError, read_footer, segment_path};
use zeroize::Zeroizing;

use crate::{Payload, ReadError, Store, ids_seen::IdsSeen, keys::Keys, sync::ahead};
use piece::{Piece, PieceEnd, Pieces};

/// So many problems are listed; all are counted.
const PROBLEMS_LISTED: usize = 1000;

/// Pieces of a segment that are in memory at a time, at most: one is walked, the others were read or are.
const PIECES: usize = 3;

/// What a verification looks at.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct VerifyOptions {
    /// Whether payloads are opened, which needs the keys.
    pub keys: bool,
}

impl VerifyOptions {
    /// Frames, hashes and chains, and each payload.
    pub const fn full() -> Self {
        Self { keys: true }
    }

    /// Frames, hashes and chains: what needs no key.
    pub const fn without_keys() -> Self {
        Self { keys: false }
    }
}

/// What a verification found.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct VerifyReport {
    /// Events of callers.
    pub events: u64,
    /// Events of the store itself.
    pub system_events: u64,
    /// Bytes of segments that were read.
    pub bytes: u64,
    /// Sealed payloads that opened.
    pub opened: u64,
    /// Sealed payloads whose key was destroyed, on record.
    pub shredded: u64,
    /// Sealed payloads whose key is lost.
    pub lost: u64,
    /// What does not hold: the first thousand.
    pub problems: Vec<Problem>,
    /// How many things do not hold.
    pub problems_total: u64,
    /// Segments whose index file is damaged. It follows from the segments, and is made again; by a read-only store in memory.
    pub index_damaged: Vec<u64>,
    /// Chain hash of the last event.
    pub chain_hash: Option<ChainHash>,
}

impl VerifyReport {
    /// Whether everything holds, and no key is lost.
    pub const fn is_sound(&self) -> bool {
        self.problems_total == 0 && self.lost == 0
    }
}

/// One thing that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The segment.
    pub segment: u64,
    /// Byte offset in it.
    pub offset: u64,
    /// The position that stands there, or should.
    pub position: u64,
    /// What it is.
    pub kind: ProblemKind,
}

/// What does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProblemKind {
    /// The chain hash of an entity's event does not follow from the one before it.
    #[error("the entity's chain is broken: this event, or one before it, was changed")]
    Chain,
    /// The bytes are no frame.
    #[error("no valid frame stands here: {0}")]
    Frame(FrameError),
    /// The footer of a rolled segment is missing or does not agree with its frames.
    #[error("the segment's footer is missing or does not agree with its frames")]
    Footer,
    /// The segment's header is missing or does not agree with what stands before it.
    #[error("the segment's header does not agree with the log before it")]
    SegmentHeader,
    /// A position is not the one that comes next.
    #[error("position {found} stands where {expected} comes next")]
    Position {
        /// The next one.
        expected: u64,
        /// The one that stands there.
        found: u64,
    },
    /// A revision is not the one that comes next in its entity.
    #[error("revision {found} stands where {expected} comes next")]
    Revision {
        /// The next one.
        expected: u64,
        /// The one that stands there.
        found: u64,
    },
    /// An id stands twice.
    #[error("event {0} stands in the log twice")]
    Repeated(EventId),
    /// A cause that is not marked external does not stand before its event.
    #[error("cause {0} does not stand before this event")]
    UnknownCause(EventId),
    /// The key is there and the payload does not open under it; or it stands in clear in an encrypted store.
    #[error("the payload was tampered with")]
    Tampered,
    /// A record of the store itself cannot be read.
    #[error("the store's own record cannot be read")]
    Record,
    /// The log ends before what was acknowledged to this process.
    #[error("the log ends at position {found}, and {expected} is visible")]
    End {
        /// Where it should end.
        expected: u64,
        /// Where it ends.
        found: u64,
    },
}

impl Store {
    /// Verifies the whole log as the disk has it now, calling `progress` with the number of events done.
    ///
    /// Whatever does not hold is in the report, with its place. A log cut at its end is not seen by this: that takes a witness
    /// outside.
    ///
    /// # Errors
    /// [`ReadError::Disk`] when the log cannot be read.
    pub fn verify(&self, options: VerifyOptions, progress: &mut dyn FnMut(u64)) -> Result<VerifyReport, ReadError> {
        let report = self.verify_until(options, &mut |_| ControlFlow::Continue(()), progress)?;
        Ok(VerifyReport { index_damaged: self.view().check_files()?, ..report })
    }

    /// Verifies the log from its first byte, and hands out each frame once it was looked at, until it is told to stop.
    pub(crate) fn verify_until(
        &self,
        options: VerifyOptions,
        look: &mut dyn FnMut(&Frame<'_>) -> ControlFlow<()>,
        progress: &mut dyn FnMut(u64),
    ) -> Result<VerifyReport, ReadError> {
        self.refresh()?;
        if let Ok(writer) = self.writer() {
            // What is in the write buffer belongs to the log; if it cannot be written, the end shows it.
            drop(writer.pipeline.drain());
        }
        let (walk, report) = (Walk::default(), VerifyReport::default());
        let _reading = self.keys().filter(|_| options.keys).map(Keys::read_on);
        let mut verifier = Verifier { store: self, options, look, walk, opened: Zeroizing::default(), report };
        let visible = self.view().visible();
        let mut segment = FIRST_SEGMENT;
        while verifier.walk.position < visible && verifier.segment(segment, visible, progress)? {
            segment += 1;
        }
        verifier.finish(visible);
        Ok(verifier.report)
    }
}

/// What the log said so far.
#[derive(Debug, Default)]
struct Walk {
    position: u64,
    segment: u64,
    offset: u64,
    chain: Option<ChainHash>,
    heads: HashMap<Box<str>, (u64, ChainHash)>,
    ids: IdsSeen,
    /// Whoever looks at the frames has seen enough.
    enough: bool,
}

struct Verifier<'a> {
    store: &'a Store,
    options: VerifyOptions,
    look: &'a mut dyn FnMut(&Frame<'_>) -> ControlFlow<()>,
    walk: Walk,
    /// The payload that was opened last.
    opened: Zeroizing<Vec<u8>>,
    report: VerifyReport,
}

impl Verifier<'_> {
    /// Verifies one segment; false when the log cannot be walked any further.
    fn segment(&mut self, number: u64, visible: u64, progress: &mut dyn FnMut(u64)) -> Result<bool, ReadError> {
        let path = segment_path(&self.store.dir.join(SEGMENTS_DIR), number);
        let refused = |source| ReadError::Disk { path: path.clone(), source };
        let file = match self.store.segments.disk().open(&path, Access::Read) {
            Err(why) if why.kind() == std::io::ErrorKind::NotFound => return Ok(false),
            opened => opened.map_err(refused)?,
        };
        self.walk.segment = number;
        self.header(number, &*file).map_err(refused)?;
        let good = self.frames(number, &file, visible, progress).map_err(|why| why.at(&path))?;
        let end = self.walk.offset;
        self.report.bytes += end;
        // A walk that reached its end may have left frames behind it that were appended meanwhile.
        if good && !self.walk.enough && self.walk.position < visible && number < self.store.active_segment() {
            self.footer(number, &*file, end).map_err(refused)?;
        }
        progress(self.walk.position);
        Ok(good && !self.walk.enough)
    }

    /// Walks the frames of a segment, each piece while the next one is read; false when something else stands there.
    fn frames(
        &mut self,
        number: u64,
        file: &Arc<dyn DiskFile>,
        visible: u64,
        progress: &mut dyn FnMut(u64),
    ) -> Result<bool, Refused> {
        self.walk.offset = SEGMENT_HEADER_LEN as u64;
        let frames = visible - self.walk.position;
        // To open payloads is work enough for whoever walks.
        let shares = !self.options.keys || !self.store.info.encrypted;
        let mut pieces = Pieces::new(Arc::clone(file), self.store.info.store, number, frames, shares)?;
        let mut walk = |piece: &mut Piece| match self.piece(number, piece, progress) {
            Err(why) => Some(Err(why)),
            Ok(()) if self.walk.enough => Some(Ok(true)),
            Ok(()) => Some(self.end(number, file, piece.end.take()?)),
        };
        let mut first = pieces.next(Piece::default());
        // What fits into one piece is walked when it was read.
        if let Some(walked) = walk(&mut first) {
            return walked;
        }
        let spares = (0..PIECES).map(|_| Piece::default()).collect();
        ahead(spares, |spare| pieces.next(spare), walk).unwrap_or(Ok(true))
    }

    /// Says what the end of a segment's frames means for the walk.
    fn end(&mut self, number: u64, file: &Arc<dyn DiskFile>, end: PieceEnd) -> Result<bool, Refused> {
        match end {
            PieceEnd::Bad { offset, error } if !is_footer(&**file, offset) => {
                self.problem(number, offset, ProblemKind::Frame(error));
                Ok(false)
            }
            PieceEnd::Refused(why) => Err(why.into()),
            PieceEnd::Whole | PieceEnd::Bad { .. } => Ok(true),
        }
    }

    fn piece(&mut self, number: u64, piece: &Piece, progress: &mut dyn FnMut(u64)) -> Result<(), Refused> {
        for (offset, bytes, digest) in piece.frames() {
            if self.walk.enough {
                break;
            }
            let seed = FrameSeed { store: self.store.info.store, segment: number, offset };
            // It was checked when it was read: only a memory that does not keep what it is given is told here.
            let frame =
                Frame::decode(bytes, &seed).map_err(|_| ScanError::Io(std::io::ErrorKind::InvalidData.into()))?;
            self.frame(number, offset, &frame, digest)?;
            self.walk.offset = offset + frame.len() as u64;
            if self.walk.position.is_multiple_of(1024) {
                progress(self.walk.position);
            }
        }
        Ok(())
    }

    fn header(&mut self, number: u64, file: &dyn DiskFile) -> std::io::Result<()> {
        let mut bytes = [0; SEGMENT_HEADER_LEN];
        let read = file.read_full_at(&mut bytes, 0)?;
        let header = SegmentHeader::decode(bytes.get(..read).unwrap_or_default());
        let holds = header.is_ok_and(|header| {
            header.store == self.store.info.store
                && header.number == number
                && header.first_position == self.walk.position
                && header.previous_chain_hash == self.walk.chain.unwrap_or(ChainHash::from_bytes([0; 32]))
        });
        if !holds {
            self.problem(number, 0, ProblemKind::SegmentHeader);
        }
        Ok(())
    }

    fn footer(&mut self, number: u64, file: &dyn DiskFile, end: u64) -> std::io::Result<()> {
        let footer = read_footer(file).unwrap_or(None);
        let holds = footer.is_some_and(|footer| {
            footer.summary.log_len == end
                && footer.summary.next_position == self.walk.position
                && Some(footer.summary.chain_hash) == self.walk.chain
        });
        if !holds {
            self.problem(number, end, ProblemKind::Footer);
        }
        Ok(())
    }

    fn frame(
        &mut self,
        segment: u64,
        offset: u64,
        frame: &Frame<'_>,
        digest: Option<StatementDigest>,
    ) -> Result<(), ReadError> {
        let header = frame.header();
        let expected = self.walk.position;
        if header.position() != expected {
            self.problem(segment, offset, ProblemKind::Position { expected, found: header.position() });
        }
        let is = (header.revision(), header.chain_hash());
        let (revision, previous) = match self.walk.heads.get_mut(header.entity()) {
            Some(head) => {
                let (revision, chain) = std::mem::replace(head, is);
                (revision + 1, chain)
            }
            None => {
                self.walk.heads.insert(header.entity().into(), is);
                (0, entity_root(self.store.info.store, header.entity()))
            }
        };
        if header.revision() != revision {
            let kind = ProblemKind::Revision { expected: revision, found: header.revision() };
            self.problem(segment, offset, kind);
        }
        let digest = digest.unwrap_or_else(|| frame.digest());
        let chain = chain_hash(&previous, &digest, header.position(), header.revision(), header.time());
        if chain != header.chain_hash() {
            self.problem(segment, offset, ProblemKind::Chain);
        }
        for cause in header.causes().filter(|cause| !cause.external) {
            if !self.walk.ids.contains(&cause.id) {
                self.problem(segment, offset, ProblemKind::UnknownCause(cause.id));
            }
        }
        if !self.walk.ids.insert(header.id()) {
            self.problem(segment, offset, ProblemKind::Repeated(header.id()));
        }
        self.walk.chain = Some(header.chain_hash());
        self.walk.position += 1;
        self.payload(segment, offset, frame)?;
        self.walk.enough = (self.look)(frame).is_break();
        Ok(())
    }

    fn payload(&mut self, segment: u64, offset: u64, frame: &Frame<'_>) -> Result<(), ReadError> {
        let header = frame.header();
        if header.kind().is_reserved() {
            self.report.system_events += 1;
            let record = frame.payload().map(|payload| Record::decode(header.kind(), payload));
            if !matches!(record, Some(Ok(_))) {
                self.problem(segment, offset, ProblemKind::Record);
            }
            return Ok(());
        }
        self.report.events += 1;
        if header.encryption().is_some() != self.store.info.encrypted {
            self.problem(segment, offset, ProblemKind::Tampered);
            return Ok(());
        }
        if !self.options.keys || header.encryption().is_none() {
            return Ok(());
        }
        match self.store.lend_payload(frame, &mut self.opened, true) {
            Ok(Payload::Open(_)) => self.report.opened += 1,
            Ok(Payload::Shredded(_)) => self.report.shredded += 1,
            Ok(Payload::KeyLost(_)) => self.report.lost += 1,
            Ok(Payload::Unread) => {}
            Err(ReadError::Tampered { .. }) => self.problem(segment, offset, ProblemKind::Tampered),
            Err(why) => return Err(why),
        }
        Ok(())
    }

    fn finish(&mut self, visible: u64) {
        self.report.chain_hash = self.walk.chain;
        let found = self.walk.position;
        if found < visible && !self.walk.enough {
            self.problem(self.walk.segment, self.walk.offset, ProblemKind::End { expected: visible, found });
        }
    }

    fn problem(&mut self, segment: u64, offset: u64, kind: ProblemKind) {
        self.report.problems_total += 1;
        if self.report.problems.len() < PROBLEMS_LISTED {
            self.report.problems.push(Problem { segment, offset, position: self.walk.position, kind });
        }
    }
}

/// Whether the footer of the segment begins here.
fn is_footer(file: &dyn DiskFile, offset: u64) -> bool {
    matches!(read_footer(file), Ok(Some(footer)) if footer.summary.log_len == offset)
}

/// Why a segment could not be walked.
enum Refused {
    Scan(ScanError),
    Read(ReadError),
}

impl Refused {
    fn at(self, path: &std::path::Path) -> ReadError {
        let source = match self {
            Self::Read(why) => return why,
            Self::Scan(ScanError::Io(source)) => source,
            Self::Scan(_) => std::io::ErrorKind::InvalidData.into(),
        };
        ReadError::Disk { path: path.to_owned(), source }
    }
}

impl From<ScanError> for Refused {
    fn from(why: ScanError) -> Self {
        Self::Scan(why)
    }
}

impl From<ReadError> for Refused {
    fn from(why: ReadError) -> Self {
        Self::Read(why)
    }
}
