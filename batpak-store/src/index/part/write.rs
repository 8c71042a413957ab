//! Writing index files.
//!
//! Invariant: a file has its name only when it is whole and synced; what a crash leaves has another name, and is removed by the next
//! open.

use std::{
    ffi::OsStr,
    io::{self, ErrorKind},
    path::Path,
    sync::Arc,
};

use batpak_segment::Disk;

use super::{MappedPart, Source};
use crate::{index::MemoryPart, sync::lock};

const UNFINISHED: &str = ".tmp";
const DIR_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;

impl Source {
    /// Gives a part in memory its file, in the place of one that stands there.
    pub(crate) fn write(self: &Arc<Self>, part: &MemoryPart) -> io::Result<MappedPart> {
        let bytes = part.encode(&self.store).ok_or(ErrorKind::InvalidInput)?;
        let _turn = lock(&self.writing);
        let path = self.path(part.segment(), part.first());
        let unfinished = path.with_extension(UNFINISHED.trim_start_matches('.'));
        let file = match create(&*self.disk, &unfinished) {
            Err(why) if why.kind() == ErrorKind::NotFound => {
                self.disk.create_dir(&self.dir, DIR_MODE)?;
                create(&*self.disk, &unfinished)?
            }
            created => created?,
        };
        file.write_all_at(&bytes, 0)?;
        file.sync_all()?;
        self.disk.rename(&unfinished, &path)?;
        MappedPart::open(self, part.segment(), part.first())?.ok_or_else(|| ErrorKind::InvalidData.into())
    }

    /// Removes an index file, or what is left of one. It is derived: one that stays is of no harm.
    pub(crate) fn remove(&self, name: &OsStr) {
        drop(self.disk.remove(&self.dir.join(name)));
    }

    /// Whether a file was being written when its process ended.
    pub(crate) fn is_unfinished(name: &OsStr) -> bool {
        name.to_str().is_some_and(|name| name.ends_with(UNFINISHED))
    }
}

fn create(disk: &dyn Disk, path: &Path) -> io::Result<Arc<dyn batpak_segment::DiskFile>> {
    match disk.create_new(path, FILE_MODE) {
        Err(why) if why.kind() == ErrorKind::AlreadyExists => {
            disk.remove(path)?;
            disk.create_new(path, FILE_MODE)
        }
        created => created,
    }
}
