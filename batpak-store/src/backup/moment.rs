//! The moment that a backup holds: how far the log reaches, and the keyset that goes with exactly that.
//!
//! Invariants: every key that an event below the end names is known to the keyset, and the keyset has seen nothing at or behind the
//! end. In the process that writes, the publication turn is kept while both are looked at; beside it, both are looked at until the
//! keyset has not changed meanwhile. Everything below the end is durable at the source.

use std::{io, path::Path, time::Duration};

use batpak_crypto::SecretId;
use batpak_segment::{Access, Disk, SEGMENTS_DIR, segment_path};
use zeroize::Zeroizing;

use super::{
    error::{BackupError, refused},
    read_whole,
};
use crate::{
    ReadError, Store,
    keyset_files::EXTENTS_DIR,
    keyset_load::Copies,
    store::Side,
    sync::{lock, sleep},
};

/// A publication may run meanwhile; it is waited for so often.
const TRIES: u32 = 200;
const PAUSE: Duration = Duration::from_millis(2);

/// See the module.
#[derive(Debug)]
pub(super) struct Moment {
    pub(super) log: LogEnd,
    pub(super) keyset: Option<KeysetCopy>,
}

/// How far the log reaches.
#[derive(Clone, Copy, Debug)]
pub(super) struct LogEnd {
    pub(super) next_position: u64,
    pub(super) segment: u64,
    /// The byte behind the last frame.
    pub(super) offset: u64,
}

/// The keyset's files, as they were. The image is sealed; under `Local` its secret stands in it.
#[derive(Debug)]
pub(super) struct KeysetCopy {
    pub(super) epoch: u64,
    pub(super) secret_id: SecretId,
    pub(super) image: Zeroizing<Vec<u8>>,
    pub(super) extents: Vec<(u64, Vec<u8>)>,
}

impl Moment {
    pub(super) fn of(store: &Store) -> Result<Self, BackupError> {
        match (&store.side, store.info.encrypted) {
            (_, false) => Ok(Self { log: LogEnd::of(store)?, keyset: None }),
            (Side::Writer(writer), true) => match writer.keys.as_deref() {
                Some(keys) => keys.in_publication_turn(|_| Self::quiet(store)),
                None => Self::quiet(store),
            },
            (Side::Reader(_), true) => Self::beside_a_writer(store),
        }
    }

    /// While nothing is published.
    fn quiet(store: &Store) -> Result<Self, BackupError> {
        let (log, keyset) = (LogEnd::of(store)?, KeysetCopy::read(store)?);
        Ok(Self { log, keyset: Some(keyset) })
    }

    fn beside_a_writer(store: &Store) -> Result<Self, BackupError> {
        for _ in 0..TRIES {
            match Self::unless_published(store) {
                Ok(Some(moment)) => return Ok(moment),
                Ok(None) => {}
                Err(why) if may_pass(&why) => {}
                Err(why) => return Err(why),
            }
            sleep(PAUSE);
        }
        // What does not pass is said as it is.
        Self::unless_published(store)?.ok_or(BackupError::Unsettled)
    }

    /// The keyset and the log as they are, if the keyset is the same before and after.
    fn unless_published(store: &Store) -> Result<Option<Self>, BackupError> {
        let keyset = KeysetCopy::read(store)?;
        let log = LogEnd::of(store)?;
        let now = KeysetCopy::epoch(store)?;
        Ok((now == keyset.epoch).then_some(Self { log, keyset: Some(keyset) }))
    }
}

/// Whether a writer may be in the middle of it: both copies are seen half written, a provider has moved on, an extent is gone.
fn may_pass(why: &BackupError) -> bool {
    match why {
        BackupError::Open(_) | BackupError::Read(ReadError::Keyset(_)) => true,
        BackupError::Disk { source, .. } => source.kind() == io::ErrorKind::NotFound,
        _ => false,
    }
}

impl LogEnd {
    fn of(store: &Store) -> Result<Self, BackupError> {
        let next_position = match &store.side {
            Side::Writer(writer) => {
                writer.pipeline.sync_all()?;
                lock(&writer.pipeline.state).sync.durable
            }
            Side::Reader(_) => {
                store.refresh()?;
                store.view().visible()
            }
        };
        let last = next_position.saturating_sub(1);
        let Some((address, bytes)) = store.frame_bytes(last)? else {
            return Err(ReadError::Misplaced { position: last }.into());
        };
        let offset = address.offset + store.decode(last, address, &bytes)?.len() as u64;
        let end = Self { next_position, segment: address.segment, offset };
        if matches!(store.side, Side::Reader(_)) {
            // What a reader sees may not have reached the disk yet; the other segments were synced before this one was made.
            let path = segment_path(&store.dir.join(SEGMENTS_DIR), end.segment);
            let synced = store.config.disk.open(&path, Access::Read).and_then(|file| file.sync_data());
            synced.map_err(refused("sync", &path))?;
        }
        Ok(end)
    }
}

impl KeysetCopy {
    fn read(store: &Store) -> Result<Self, BackupError> {
        let (disk, dir) = (&*store.config.disk, &*store.dir);
        let copies = Copies::read(disk, dir).map_err(Box::new)?;
        let judged = copies.judge(store.info.store).map_err(Box::new)?;
        let (epoch, secret_id) = (judged.header().epoch, judged.header().secret_id);
        let image = copies.into_bytes(judged.winner());
        Ok(Self { epoch, secret_id, image, extents: read_extents(disk, dir)? })
    }

    fn epoch(store: &Store) -> Result<u64, BackupError> {
        let copies = Copies::read(&*store.config.disk, &store.dir).map_err(Box::new)?;
        Ok(copies.judge(store.info.store).map_err(Box::new)?.header().epoch)
    }
}

fn read_extents(disk: &dyn Disk, dir: &Path) -> Result<Vec<(u64, Vec<u8>)>, BackupError> {
    let dir = dir.join(EXTENTS_DIR);
    let listed = match disk.list(&dir) {
        Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        listed => listed.map_err(refused("list", &dir))?,
    };
    let mut extents = Vec::new();
    for entry in listed {
        let number = entry.name.to_str().filter(|name| name.len() == 20).and_then(|name| name.parse().ok());
        let Some(number) = number.filter(|_| !entry.is_dir) else { continue };
        let path = dir.join(&entry.name);
        extents.push((number, read_whole(disk, &path).map_err(refused("read", &path))?));
    }
    Ok(extents)
}
