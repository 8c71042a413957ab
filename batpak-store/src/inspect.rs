//! What a store says of itself before any key is asked for: its genesis event.
//!
//! Invariant: nothing is changed and no secret is needed.

use std::{io, path::Path};

use batpak_format::{
    EventKind, Frame, FrameLen, FrameSeed, Genesis, Record, SEGMENT_HEADER_LEN, SegmentHeader, SegmentHeaderError,
};
use batpak_keyset::{Granularity, ProviderKind};
use batpak_segment::{Access, Disk, FIRST_SEGMENT, RecoveryError, SEGMENTS_DIR, parse_segment_name, segment_path};

use crate::{
    OpenError, Store, StoreInfo,
    keyset_load::log_seen,
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
    describe(genesis(disk, dir)?.ok_or_else(|| OpenError::UnfinishedCreation { files: layout.files.clone() })?)
}

/// Makes what a caller is told of a genesis event.
pub(crate) fn describe(genesis: Genesis) -> Result<StoreInfo, OpenError> {
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

/// How a log begins.
enum Begin {
    /// With a whole genesis event.
    Genesis(Genesis),
    /// Nothing whole stands in the first segment from this offset on.
    CutShort { offset: u64 },
    /// There is no first segment.
    Absent,
}

/// Reads the genesis event; none when its writing was cut short, and nothing shows that the store was ever whole.
pub(crate) fn genesis(disk: &dyn Disk, dir: &Path) -> Result<Option<Genesis>, OpenError> {
    let corrupt = match begin(disk, dir)? {
        Begin::Genesis(genesis) => return Ok(Some(genesis)),
        Begin::CutShort { offset } => Some(RecoveryError::Corrupt { segment: FIRST_SEGMENT, offset, position: 0 }),
        Begin::Absent => None,
    };
    if let Some(found) = later_segment(disk, dir)? {
        let gap = RecoveryError::SegmentGap { expected: FIRST_SEGMENT, found };
        return Err(OpenError::Recovery(Box::new(corrupt.unwrap_or(gap))));
    }
    match log_seen(disk, dir) {
        0 => Ok(None),
        seen => Err(OpenError::LogRolledBack { found: 0, seen }),
    }
}

/// The lowest segment after the first one, if there is any: a creation that was cut short leaves none.
fn later_segment(disk: &dyn Disk, dir: &Path) -> Result<Option<u64>, OpenError> {
    let segments = dir.join(SEGMENTS_DIR);
    let entries = match disk.list(&segments) {
        Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(None),
        listed => listed.map_err(refused("list", &segments))?,
    };
    let numbers = entries.iter().filter_map(|entry| parse_segment_name(&entry.name));
    Ok(numbers.filter(|number| *number > FIRST_SEGMENT).min())
}

/// Reads the first segment up to the end of the genesis event.
fn begin(disk: &dyn Disk, dir: &Path) -> Result<Begin, OpenError> {
    let path = segment_path(&dir.join(SEGMENTS_DIR), FIRST_SEGMENT);
    let file = match disk.open(&path, Access::Read) {
        Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(Begin::Absent),
        opened => opened.map_err(refused("open", &path))?,
    };
    let mut start = vec![0; GENESIS_BYTES_MAX];
    let read = file.read_full_at(&mut start, 0).map_err(refused("read", &path))?;
    start.truncate(read);
    let Some(header) = start.get(..SEGMENT_HEADER_LEN) else { return Ok(Begin::CutShort { offset: 0 }) };
    let frames = &start[SEGMENT_HEADER_LEN..];
    let unfinished = frames.iter().all(|byte| *byte == 0);
    let header = match SegmentHeader::decode(header) {
        Err(SegmentHeaderError::UnknownVersion { version }) => {
            let later = RecoveryError::UnknownVersion { segment: FIRST_SEGMENT, version };
            return Err(OpenError::Recovery(Box::new(later)));
        }
        Err(SegmentHeaderError::UnknownRequiredFlags { flags }) => {
            let later = RecoveryError::RequiredFlag { segment: FIRST_SEGMENT, flags };
            return Err(OpenError::Recovery(Box::new(later)));
        }
        Err(_) if unfinished => return Ok(Begin::CutShort { offset: 0 }),
        decoded => decoded.map_err(|_| OpenError::Genesis(None))?,
    };
    let offset = SEGMENT_HEADER_LEN as u64;
    if unfinished || matches!(Frame::peek_len(frames), Ok(FrameLen::NeedsMore)) {
        return Ok(Begin::CutShort { offset });
    }
    let seed = FrameSeed { store: header.store, segment: FIRST_SEGMENT, offset };
    match Frame::decode(frames, &seed) {
        Ok(frame) => decode(&frame).map(Begin::Genesis),
        // A genesis frame that was cut short is the last thing in the log.
        Err(_) if is_last(frames) => Ok(Begin::CutShort { offset }),
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
