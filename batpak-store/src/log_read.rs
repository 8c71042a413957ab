//! The read side of the segments.
//!
//! Invariants: rolled segments are read through maps, and so is what the active one begins with, in the process that writes it: bytes
//! that its writer has written whole and never cuts or changes. The rest of the active one is read by position. The reader of a rolled
//! segment is opened once, and found again without a lock; the lock around the active one's is not held while bytes are read or mapped.

use std::{ops::Deref, path::PathBuf, sync::Arc, sync::OnceLock};

use batpak_segment::{Disk, SegmentReader, segment_path};

use crate::{
    ReadError,
    sync::{RwLock, read, write},
};

/// Lists of readers, each twice as long as the one before, hold those of 2^40 segments.
const LISTS: usize = 40;

/// The active segment is mapped anew when a read lies so far behind what is mapped, and a part of that: it is mapped a few dozen times
/// until it is rolled, however it is read.
const MAPPED_STEP: u64 = 16 << 10;
const MAPPED_PART: u64 = 8;

/// Readers of rolled segments: a place is written once, and made only when a segment of its list is read.
#[derive(Debug)]
struct Rolled([OnceLock<Box<[OnceLock<SegmentReader>]>>; LISTS]);

impl Rolled {
    /// List `n` begins with segment 2^n.
    fn place(segment: u64) -> Option<(usize, usize)> {
        let list = segment.checked_ilog2()?;
        Some((list as usize, usize::try_from(segment - (1 << list)).ok()?))
    }

    fn get(&self, segment: u64) -> Option<&SegmentReader> {
        let (list, at) = Self::place(segment)?;
        self.0.get(list)?.get()?.get(at)?.get()
    }

    /// Keeps a reader, unless another thread was faster; none for a number that no segment has.
    fn keep(&self, segment: u64, reader: SegmentReader) -> Option<&SegmentReader> {
        let (list, at) = Self::place(segment)?;
        let list_len = 1 << list;
        let places = self.0.get(list)?.get_or_init(|| (0..list_len).map(|_| OnceLock::new()).collect());
        Some(places.get(at)?.get_or_init(|| reader))
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct LogRead {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    rolled: Rolled,
    active: RwLock<Option<Arc<SegmentReader>>>,
}

/// A reader of one segment, for now.
#[derive(Debug)]
pub(crate) enum Reader<'a> {
    Active(Arc<SegmentReader>),
    Rolled(&'a SegmentReader),
}

impl Deref for Reader<'_> {
    type Target = SegmentReader;

    fn deref(&self) -> &SegmentReader {
        match self {
            Self::Active(reader) => reader,
            Self::Rolled(reader) => reader,
        }
    }
}

impl LogRead {
    pub(crate) fn new(disk: Arc<dyn Disk>, dir: PathBuf) -> Self {
        let rolled = Rolled(std::array::from_fn(|_| OnceLock::new()));
        Self { disk, dir, rolled, active: RwLock::new(None) }
    }

    pub(crate) fn disk(&self) -> &dyn Disk {
        &*self.disk
    }

    /// Returns a segment's reader. Segments before `active`, which is asked for only when it matters, are rolled.
    pub(crate) fn reader(&self, segment: u64, active: impl FnOnce() -> u64) -> Result<Reader<'_>, ReadError> {
        if let Some(reader) = self.rolled.get(segment) {
            return Ok(Reader::Rolled(reader));
        }
        let rolled = segment < active();
        if !rolled && let Some(reader) = read(&self.active).as_ref().filter(|reader| reader.number() == segment) {
            return Ok(Reader::Active(Arc::clone(reader)));
        }
        let opened = SegmentReader::open(&*self.disk, &self.dir, segment, rolled);
        let opened = opened.map_err(|source| self.refused(segment, source))?;
        if rolled {
            let kept = self.rolled.keep(segment, opened).map(Reader::Rolled);
            return kept.ok_or_else(|| self.refused(segment, std::io::ErrorKind::NotFound.into()));
        }
        let reader = Arc::new(opened);
        *write(&self.active) = Some(Arc::clone(&reader));
        Ok(Reader::Active(reader))
    }

    /// Returns a reader with more of the active segment in its map, when a read up to `end` lies far enough behind what this one has:
    /// all up to where `written` says that whole frames end. None where the disk has no map to give: it is read by position then.
    pub(crate) fn mapped_more(
        &self,
        reader: &Reader<'_>,
        end: u64,
        written: impl FnOnce() -> Result<Option<u64>, ReadError>,
    ) -> Result<Option<Reader<'_>>, ReadError> {
        let Reader::Active(reader) = reader else { return Ok(None) };
        let mapped = reader.mapped_len();
        if end < mapped + MAPPED_STEP.max(mapped / MAPPED_PART) {
            return Ok(None);
        }
        let Some(Ok(more)) = written()?.map(|written| reader.mapped_below(written)) else { return Ok(None) };
        let more = Arc::new(more);
        let mut active = write(&self.active);
        let is_more =
            |kept: &Arc<SegmentReader>| kept.number() == more.number() && kept.mapped_len() < more.mapped_len();
        let before = active.as_ref().is_some_and(is_more).then(|| active.replace(Arc::clone(&more)));
        drop(active);
        // To give a map back takes the kernel long.
        drop(before);
        Ok(Some(Reader::Active(more)))
    }

    /// The error of a read that the disk refused.
    pub(crate) fn refused(&self, segment: u64, source: std::io::Error) -> ReadError {
        ReadError::Disk { path: segment_path(&self.dir, segment), source }
    }
}
