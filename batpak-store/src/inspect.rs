//! What a store says of itself before any key is asked for: its genesis event.
//!
//! Invariant: nothing is changed and no secret is needed.

use std::{io, path::Path};

use batpak_format::{EventKind, Frame, FrameLen, FrameSeed, Genesis, Record, SEGMENT_HEADER_LEN, SegmentHeader};
use batpak_keyset::{Granularity, ProviderKind};
use batpak_segment::{Access, Disk, FIRST_SEGMENT, SEGMENTS_DIR, segment_path};

use crate::{
    OpenError, Store, StoreInfo,
    layout::{Layout, refused},
};

/// A genesis frame is small: names, sizes and a hint of at most 1 KiB.
const GENESIS_BYTES_MAX: usize = 8 * 1024;

impl Store {
    /// Reads what the genesis event says, without a key and without changing anything.
    ///
    /// # Errors
    /// [`OpenError::NotAStore`], [`OpenError::UnfinishedCreation`], [`OpenError::Genesis`], [`OpenError::Disk`].
    pub fn inspect(dir: impl AsRef<Path>, disk: &dyn Disk) -> Result<StoreInfo, OpenError> {
        inspect(disk, dir.as_ref(), &Layout::look(disk, dir.as_ref())?)
    }
}

/// Reads what the genesis event says of a store whose directory was looked at.
pub(crate) fn inspect(disk: &dyn Disk, dir: &Path, layout: &Layout) -> Result<StoreInfo, OpenError> {
    if layout.files.is_empty() {
        return Err(OpenError::NotAStore { dir: dir.to_owned() });
    }
    layout.check_foreign()?;
    let genesis = genesis(disk, dir)?.ok_or_else(|| OpenError::UnfinishedCreation { files: layout.files.clone() })?;
    let granularity = Granularity::from_code(genesis.granularity).ok().filter(|_| genesis.encrypted);
    let provider = ProviderKind::from_code(genesis.provider_kind).filter(|_| genesis.encrypted);
    if genesis.encrypted && (granularity.is_none() || provider.is_none()) {
        return Err(OpenError::Genesis(None));
    }
    Ok(StoreInfo {
        store: genesis.store,
        created: genesis.created,
        encrypted: genesis.encrypted,
        granularity,
        provider,
        provider_hint: genesis.provider_hint,
        plaintext_bytes_max: genesis.plaintext_bytes_max,
        segment_bytes: genesis.segment_bytes,
    })
}

/// Reads the genesis event; none when the log does not hold a whole frame at its start and nothing behind it either.
pub(crate) fn genesis(disk: &dyn Disk, dir: &Path) -> Result<Option<Genesis>, OpenError> {
    let path = segment_path(&dir.join(SEGMENTS_DIR), FIRST_SEGMENT);
    let file = match disk.open(&path, Access::Read) {
        Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(refused("open", &path))?,
    };
    let mut start = vec![0; GENESIS_BYTES_MAX];
    let read = file.read_full_at(&mut start, 0).map_err(refused("read", &path))?;
    start.truncate(read);
    let Some(header) = start.get(..SEGMENT_HEADER_LEN) else { return Ok(None) };
    let frames = &start[SEGMENT_HEADER_LEN..];
    let unfinished = frames.iter().all(|byte| *byte == 0);
    let header = match SegmentHeader::decode(header) {
        Err(_) if unfinished => return Ok(None),
        decoded => decoded.map_err(|_| OpenError::Genesis(None))?,
    };
    if unfinished || matches!(Frame::peek_len(frames), Ok(FrameLen::NeedsMore)) {
        return Ok(None);
    }
    let seed = FrameSeed { store: header.store, segment: FIRST_SEGMENT, offset: SEGMENT_HEADER_LEN as u64 };
    match Frame::decode(frames, &seed) {
        Ok(frame) => decode(&frame).map(Some),
        // A genesis frame that was cut short is the last thing in the log.
        Err(_) if is_last(frames) => Ok(None),
        Err(_) => Err(OpenError::Genesis(None)),
    }
}

fn decode(frame: &Frame<'_>) -> Result<Genesis, OpenError> {
    let (kind, payload) = (frame.header().kind(), frame.payload());
    let (EventKind::GENESIS, Some(payload)) = (kind, payload) else { return Err(OpenError::Genesis(None)) };
    match Record::decode(kind, payload) {
        Ok(Record::Genesis(genesis)) => Ok(genesis),
        Ok(_) => Err(OpenError::Genesis(None)),
        Err(why) => Err(OpenError::Genesis(Some(why))),
    }
}

/// Whether nothing but zeros stands behind the frame that begins here.
fn is_last(frames: &[u8]) -> bool {
    match Frame::peek_len(frames) {
        Ok(FrameLen::Len(len)) => frames.get(len as usize..).is_none_or(|rest| rest.iter().all(|byte| *byte == 0)),
        _ => false,
    }
}
