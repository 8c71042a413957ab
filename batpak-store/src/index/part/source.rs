//! Where index files lie, and the segments that they lead to.

use std::{
    ffi::{OsStr, OsString},
    path::PathBuf,
    sync::{Arc, OnceLock},
};

use batpak_format::{Frame, StoreId};
use batpak_keyset::{Granularity, KeyScope, scope_for};
use batpak_segment::{Disk, ReadError as SegmentError, SegmentReader, segment_path};

use crate::{
    ReadError,
    index::{Address, Entry},
    sync::Mutex,
};

/// The directory of index files, inside the directory of a store.
pub(crate) const INDEX_DIR: &str = "index";
const SUFFIX: &str = ".idx";
const DIGITS: usize = 20;

/// What the index files of one store have in common.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) disk: Arc<dyn Disk>,
    /// The directory of index files.
    pub(crate) dir: PathBuf,
    /// The directory of segments.
    pub(crate) segments: PathBuf,
    pub(crate) store: StoreId,
    /// Whether this process may write and remove index files.
    pub(crate) writable: bool,
    /// The turn to write: one file is written and put in its place at a time, so that nobody takes away what another is writing. It is
    /// taken before the lock around the index, never with it. With it, the names of files that an earlier process began and did not end:
    /// removing a large one takes some ms, which no open has to wait for.
    pub(crate) writing: Mutex<Vec<OsString>>,
    /// Which events share a key; none when no two do.
    pub(crate) shared: Option<Granularity>,
}

impl Source {
    pub(crate) fn new(
        disk: Arc<dyn Disk>,
        store_dir: &std::path::Path,
        store: StoreId,
        granularity: Option<Granularity>,
        writable: bool,
    ) -> Self {
        Self {
            disk,
            dir: store_dir.join(INDEX_DIR),
            segments: store_dir.join(batpak_segment::SEGMENTS_DIR),
            store,
            writable,
            writing: Mutex::new(Vec::new()),
            shared: granularity.filter(|granularity| *granularity != Granularity::Event),
        }
    }

    /// The path of the file of a segment's events from a position on.
    pub(crate) fn path(&self, segment: u64, first: u64) -> PathBuf {
        self.dir.join(format!("{segment:020}-{first:020}{SUFFIX}"))
    }

    /// The segment and the first position that a file name stands for.
    pub(crate) fn parse(name: &OsStr) -> Option<(u64, u64)> {
        let (segment, first) = name.to_str()?.strip_suffix(SUFFIX)?.split_once('-')?;
        let number = |digits: &str| {
            (digits.len() == DIGITS && digits.bytes().all(|byte| byte.is_ascii_digit())).then(|| digits.parse().ok())?
        };
        Some((number(segment)?, number(first)?))
    }

    /// Shows a frame as the index takes it.
    pub(crate) fn with_entry<R>(&self, frame: &Frame<'_>, address: Address, take: impl FnOnce(&Entry<'_>) -> R) -> R {
        let header = frame.header();
        let causes: Vec<_> = header.causes().collect();
        let tags: Vec<_> = header.tags().collect();
        let key_scope = self.key_scope(frame);
        take(&Entry {
            position: header.position(),
            revision: header.revision(),
            id: header.id(),
            address,
            len: header.frame_len(),
            entity: header.entity(),
            scope: header.scope(),
            kind: header.kind(),
            correlation: header.correlation(),
            causes: &causes,
            tags: &tags,
            time: header.time(),
            chain_hash: header.chain_hash(),
            key_id: header.encryption().map(|encryption| encryption.key_id),
            key_scope: key_scope.as_ref(),
        })
    }

    /// The key scope of a frame whose key others share, and may use again.
    pub(crate) fn key_scope(&self, frame: &Frame<'_>) -> Option<KeyScope> {
        let header = frame.header();
        header.encryption()?;
        Some(scope_for(self.shared?, &header.coordinate(), header.kind(), header.id()))
    }
}

/// The frames of one segment.
#[derive(Debug)]
pub(super) struct Frames {
    pub(super) source: Arc<Source>,
    pub(super) segment: u64,
    reader: OnceLock<SegmentReader>,
}

impl Frames {
    pub(super) const fn new(source: Arc<Source>, segment: u64) -> Self {
        Self { source, segment, reader: OnceLock::new() }
    }

    /// Lends the frame at an offset, checked; `position` is the one that belongs there.
    pub(super) fn with<R>(
        &self,
        position: u64,
        offset: u64,
        read: impl FnOnce(&Frame<'_>) -> R,
    ) -> Result<R, ReadError> {
        let refused = |why| match why {
            SegmentError::Frame { source, .. } => ReadError::Damaged { position, source },
            SegmentError::Io(source) => {
                ReadError::Disk { path: segment_path(&self.source.segments, self.segment), source }
            }
            _ => ReadError::Misplaced { position },
        };
        let reader = match self.reader.get() {
            Some(reader) => reader,
            None => {
                let opened = SegmentReader::open(&*self.source.disk, &self.source.segments, self.segment, true);
                let opened = opened.map_err(|why| refused(SegmentError::Io(why)))?;
                self.reader.get_or_init(|| opened)
            }
        };
        let here = |frame: &Frame<'_>| (frame.header().position() == position).then(|| read(frame));
        reader
            .with_frame(offset, self.source.store, &mut Vec::new(), here)
            .map_err(refused)?
            .ok_or(ReadError::Misplaced { position })
    }
}
