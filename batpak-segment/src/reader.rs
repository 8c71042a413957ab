//! Reading single frames of a segment: through a map when it is rolled, else by position.
//!
//! Invariants: a frame is given out only after its check; no more is allocated than one frame that the file is long
//! enough to hold.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

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
    file: Arc<dyn DiskFile>,
    number: u64,
    map: Option<Bytes>,
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
        let map = footer.map(|footer| file.map(footer.summary.log_len)).transpose()?;
        Ok(SegmentReader { file, number, map })
    }

    /// Reads through a file that is open already, such as a writer's, by position.
    #[must_use]
    pub fn active(file: Arc<dyn DiskFile>, number: u64) -> SegmentReader {
        SegmentReader { file, number, map: None }
    }

    /// The segment's number.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Whether frames are read from a map.
    #[must_use]
    pub fn is_mapped(&self) -> bool {
        self.map.is_some()
    }

    /// Reads the frame that begins at `offset`.
    ///
    /// # Errors
    /// [`ReadError::Frame`] when none is there, else [`ReadError::Io`].
    pub fn read_frame_at(&self, offset: u64, store: StoreId) -> Result<OwnedFrame, ReadError> {
        let seed = self.seed(offset, store);
        if let Some(map) = &self.map {
            let len = Frame::decode(mapped(map, offset), &seed).map_err(|source| self.refuse(offset, source))?.len();
            let start = map.len() - mapped(map, offset).len();
            return Ok(OwnedFrame { bytes: map.slice(start..start + len), seed });
        }
        let mut buffer = Vec::new();
        let len = self.load(offset, &mut buffer, &seed)?.len();
        buffer.truncate(len);
        Ok(OwnedFrame { bytes: Bytes::from(buffer), seed })
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
        let Some(map) = &self.map else { return Ok(read(&self.load(offset, buffer, &seed)?)) };
        let frame = Frame::decode(mapped(map, offset), &seed).map_err(|source| self.refuse(offset, source))?;
        Ok(read(&frame))
    }

    fn seed(&self, offset: u64, store: StoreId) -> FrameSeed {
        FrameSeed { store, segment: self.number, offset }
    }

    fn refuse(&self, offset: u64, source: FrameError) -> ReadError {
        ReadError::Frame { segment: self.number, offset, source }
    }

    /// Reads a frame by position into `buffer`, in one read when it is not long.
    fn load<'a>(&self, offset: u64, buffer: &'a mut Vec<u8>, seed: &FrameSeed) -> Result<Frame<'a>, ReadError> {
        buffer.resize(FIRST_READ_BYTES, 0);
        let mut found = self.file.read_full_at(buffer, offset)?;
        let start = buffer.get(..found).unwrap_or_default();
        if let FrameLen::Len(len) = Frame::peek_len(start).map_err(|source| self.refuse(offset, source))? {
            let len = len as usize;
            let room = if len > found { self.file.len()?.saturating_sub(offset) } else { len as u64 };
            if room >= len as u64 && len > found {
                buffer.resize(len, 0);
                let rest = buffer.get_mut(found..).unwrap_or_default();
                found += self.file.read_full_at(rest, offset + found as u64)?;
            }
        }
        buffer.truncate(found);
        Frame::decode(buffer, seed).map_err(|source| self.refuse(offset, source))
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
