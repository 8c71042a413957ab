//! Reading single frames of a segment: through a map when it is rolled, else by position, or through a map of those
//! that it begins with.
//!
//! Invariants: a frame is given out only after its check; no more is allocated than one frame that the file is long
//! enough to hold.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use batpak_format::layout::FIXED_LEN;
use batpak_format::{Frame, FrameError, FrameLen, FrameSeed, StoreId};
use bytes::Bytes;

use crate::disk::{Access, Disk, DiskFile};
use crate::error::{FooterReadError, ReadError};
use crate::footer::read_footer;
use crate::name::segment_path;

/// The first read of a frame by position: a payload of 4 KiB and its header in one.
const FIRST_READ_BYTES: usize = (4 << 10) + 512;

/// One frame and the buffer that holds it: a part of the segment's map, or memory of its own.
#[derive(Clone, Debug)]
pub struct OwnedFrame {
    bytes: Bytes,
    seed: FrameSeed,
}

impl OwnedFrame {
    /// The frame's bytes as stored.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The place the frame was read from, which seeds its check.
    #[must_use]
    pub fn seed(&self) -> FrameSeed {
        self.seed
    }

    /// Decodes the frame and checks it again.
    ///
    /// # Errors
    /// None, unless a mapped file was changed behind the store's back.
    pub fn frame(&self) -> Result<Frame<'_>, FrameError> {
        Frame::decode(&self.bytes, &self.seed)
    }
}

/// Reads frames of one segment; shared freely between threads.
pub struct SegmentReader {
    number: u64,
    source: Source,
}

/// Where the frames come from; a map of all of them needs its file no longer.
enum Source {
    /// The map holds the frames at the beginning, maybe none.
    File(Arc<dyn DiskFile>, Bytes),
    Map(Bytes),
}

impl SegmentReader {
    /// Opens a segment inside `dir`, the directory of segments; maps it when it is `rolled` and its footer is whole.
    ///
    /// # Errors
    /// `NotFound`, or what the disk says.
    pub fn open(disk: &dyn Disk, dir: &Path, number: u64, rolled: bool) -> io::Result<SegmentReader> {
        let file = disk.open(&segment_path(dir, number), Access::Read)?;
        let footer = match read_footer(file.as_ref()) {
            _ if !rolled => None,
            Ok(footer) => footer,
            Err(FooterReadError::Io(error)) => return Err(error),
            // A footer that is not understood promises nothing.
            Err(FooterReadError::RequiredSection { .. }) => None,
        };
        let source = match footer {
            Some(footer) => Source::Map(file.map(footer.summary.log_len)?),
            None => Source::File(file, Bytes::new()),
        };
        Ok(SegmentReader { number, source })
    }

    /// Reads through a file that is open already, such as a writer's, by position.
    #[must_use]
    pub fn active(file: Arc<dyn DiskFile>, number: u64) -> SegmentReader {
        SegmentReader { number, source: Source::File(file, Bytes::new()) }
    }

    /// Makes a reader of the same segment that has its first `end` bytes in a map, which must be frames and never change
    /// from now on: those of an active segment that this process's own writer has written whole.
    ///
    /// # Errors
    /// `UnexpectedEof` when the file is shorter, else what the disk says.
    pub fn mapped_below(&self, end: u64) -> io::Result<SegmentReader> {
        let source = match &self.source {
            Source::File(file, _) => Source::File(Arc::clone(file), file.map(end)?),
            Source::Map(map) => Source::Map(map.clone()),
        };
        Ok(SegmentReader { number: self.number, source })
    }

    /// The segment's number.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Whether frames are read from a map.
    #[must_use]
    pub fn is_mapped(&self) -> bool {
        self.map().is_some()
    }

    /// The segment's bytes up to its footer, when it is mapped.
    #[must_use]
    pub fn map(&self) -> Option<&Bytes> {
        match &self.source {
            Source::Map(map) => Some(map),
            Source::File(..) => None,
        }
    }

    /// The map that has the segment's bytes below `end`: one of the whole segment whatever the end, or one of its first
    /// frames when it reaches that far.
    #[must_use]
    pub fn map_below(&self, end: u64) -> Option<&Bytes> {
        match &self.source {
            Source::Map(map) => Some(map),
            Source::File(_, map) => (end <= map.len() as u64).then_some(map),
        }
    }

    /// The bytes at the segment's beginning that are in a map.
    #[must_use]
    pub fn mapped_len(&self) -> u64 {
        match &self.source {
            Source::Map(map) | Source::File(_, map) => map.len() as u64,
        }
    }

    /// Reads the frame that begins at `offset`.
    ///
    /// # Errors
    /// [`ReadError::Frame`] when none is there, else [`ReadError::Io`].
    pub fn read_frame_at(&self, offset: u64, store: StoreId) -> Result<OwnedFrame, ReadError> {
        let seed = self.seed(offset, store);
        let bytes = match &self.source {
            Source::Map(map) => {
                let start = map.len() - mapped(map, offset).len();
                map.slice(start..)
            }
            Source::File(..) => Bytes::from(self.load_at(offset, None)?),
        };
        let len = Frame::decode(&bytes, &seed).map_err(|source| self.refuse(offset, source))?.len();
        Ok(OwnedFrame { bytes: bytes.slice(..len), seed })
    }

    /// Copies the bytes of the frame at `offset`, if one is there, to a buffer of their own: nothing is checked. They
    /// take one read when the frame has at most `expected` bytes; without that, 4.5 KiB. Of a map the bytes can be looked
    /// at where they are ([`map`](Self::map)).
    ///
    /// # Errors
    /// What the disk says.
    pub fn load_at(&self, offset: u64, expected: Option<usize>) -> io::Result<Vec<u8>> {
        let first_read = expected.map_or(FIRST_READ_BYTES, |expected| expected.max(FIXED_LEN));
        match &self.source {
            Source::Map(map) => {
                let bytes = mapped(map, offset);
                let len = match Frame::peek_len(bytes) {
                    Ok(FrameLen::Len(len)) => len as usize,
                    _ => first_read,
                };
                Ok(bytes.get(..len).unwrap_or(bytes).to_vec())
            }
            Source::File(file, _) => {
                let mut buffer = Vec::new();
                fill(&**file, offset, first_read, &mut buffer)?;
                Ok(buffer)
            }
        }
    }

    /// Reads the segment's bytes from `offset` on over those of `buffer`, as far as it goes, and returns how many: frames
    /// that stand side by side, and at the end a part of one.
    ///
    /// # Errors
    /// What the disk says.
    pub fn read_piece(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        match &self.source {
            Source::Map(map) => {
                let bytes = mapped(map, offset);
                let len = bytes.len().min(buffer.len());
                if let (Some(to), Some(from)) = (buffer.get_mut(..len), bytes.get(..len)) {
                    to.copy_from_slice(from);
                }
                Ok(len)
            }
            Source::File(file, _) => file.read_full_at(buffer, offset),
        }
    }

    /// Decodes the frame that begins at `offset` once and lends it to `read`; `buffer` is used, and grows, only
    /// when the segment is not mapped. The way to read many frames.
    ///
    /// # Errors
    /// As [`SegmentReader::read_frame_at`].
    pub fn with_frame<R>(
        &self,
        offset: u64,
        store: StoreId,
        buffer: &mut Vec<u8>,
        read: impl FnOnce(&Frame<'_>) -> R,
    ) -> Result<R, ReadError> {
        let seed = self.seed(offset, store);
        let bytes = match &self.source {
            Source::Map(map) => mapped(map, offset),
            Source::File(file, _) => {
                fill(&**file, offset, FIRST_READ_BYTES, buffer)?;
                buffer
            }
        };
        Ok(read(&Frame::decode(bytes, &seed).map_err(|source| self.refuse(offset, source))?))
    }

    fn seed(&self, offset: u64, store: StoreId) -> FrameSeed {
        FrameSeed { store, segment: self.number, offset }
    }

    fn refuse(&self, offset: u64, source: FrameError) -> ReadError {
        ReadError::Frame { segment: self.number, offset, source }
    }
}

impl fmt::Debug for SegmentReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mapped = self.is_mapped();
        f.debug_struct("SegmentReader").field("number", &self.number).field("mapped", &mapped).finish_non_exhaustive()
    }
}

/// The map from `offset` on, nothing beyond its end.
fn mapped(map: &Bytes, offset: u64) -> &[u8] {
    usize::try_from(offset).ok().and_then(|offset| map.get(offset..)).unwrap_or_default()
}

/// Reads the bytes of the frame at `offset` into `buffer`, in one read when it is not long; no more is allocated than
/// `first_read` and what the file is long enough to hold.
fn fill(file: &dyn DiskFile, offset: u64, first_read: usize, buffer: &mut Vec<u8>) -> io::Result<()> {
    buffer.clear();
    buffer.resize(first_read, 0);
    let mut found = file.read_full_at(buffer, offset)?;
    let mut len = found;
    if let Ok(FrameLen::Len(claimed)) = Frame::peek_len(buffer.get(..found).unwrap_or_default()) {
        len = claimed as usize;
        if len > found && file.len()?.saturating_sub(offset) >= len as u64 {
            buffer.resize(len, 0);
            let rest = buffer.get_mut(found..).unwrap_or_default();
            found += file.read_full_at(rest, offset + found as u64)?;
        }
    }
    buffer.truncate(len.min(found));
    Ok(())
}
