//! Making a store's directory of a backup.
//!
//! Invariants: it goes into an empty or new directory only, and only once both manifests were read and every file was found. Each
//! byte is held against the manifest's hash on its way. The first segment gets its name last, so a directory that was cut short is no
//! store.

use std::path::Path;

use batpak_format::StoreId;
use batpak_keyset::Copy;
use batpak_segment::{Access, Disk, DiskFile, FIRST_SEGMENT, SEGMENTS_DIR, segment_file_name};

use crate::{
    BackupError, BackupFolders, OpenError, Store,
    backup::{
        each_piece,
        error::refused,
        folder::Folder,
        manifest::{FileEntry, FileKind, Manifest, Part},
    },
    keyset_files::EXTENTS_DIR,
    layout::{LOCK_FILE, Layout},
};

const FILE_MODE: u32 = 0o600;
/// The name that the first segment has until everything else is there.
const LAST_NAME: &str = ".first.new";

/// What was restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RestoreReport {
    /// The store.
    pub store: StoreId,
    /// The position behind the last event.
    pub next_position: u64,
    /// The epoch of the keyset; none when only a log was restored.
    pub epoch: Option<u64>,
    /// Segments.
    pub segments: u64,
    /// Bytes of log and keyset.
    pub bytes: u64,
}

impl Store {
    /// Makes a store's directory of a backup, in an empty or new directory; `progress` is told the bytes done and how many there are.
    /// Without a folder for the keyset the log alone is restored, which can be verified without keys.
    ///
    /// A log and a keyset that were not backed up together can be restored together; opening the store then says which is older. The
    /// directory is a copy: it takes new keys from a fresh page, and beside a living original it needs a key file of its own.
    ///
    /// # Errors
    /// [`BackupError`]; what stands in the directory then is no store.
    pub fn restore(
        from: &BackupFolders,
        dir: impl AsRef<Path>,
        disk: &dyn Disk,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<RestoreReport, BackupError> {
        let dir = dir.as_ref();
        let source = Source::look(from, disk)?;
        check_empty(disk, dir)?;
        let total = source.parts().map(|(_, manifest)| manifest.bytes_total()).sum();
        let mut run = Run { disk, dir, progress, done: 0, total };
        Layout::create(disk, dir).map_err(Box::new)?;
        for (folder, manifest) in source.parts() {
            for file in &manifest.files {
                run.file(folder, manifest, file)?;
            }
        }
        run.finish()?;
        Ok(RestoreReport {
            store: source.log.1.store,
            next_position: source.log.1.next_position,
            epoch: source.keyset.as_ref().map(|(_, manifest)| manifest.epoch),
            segments: source.log.1.files.len() as u64,
            bytes: total,
        })
    }
}

/// The folders of a backup with what their manifests say.
struct Source<'a> {
    log: (Folder<'a>, Manifest),
    keyset: Option<(Folder<'a>, Manifest)>,
}

impl<'a> Source<'a> {
    fn look(from: &BackupFolders, disk: &'a dyn Disk) -> Result<Self, BackupError> {
        let at = |dir: &Path, part| {
            let folder = Folder::at(disk, dir, part);
            let manifest = folder.whole()?;
            Ok::<_, BackupError>((folder, manifest))
        };
        let log = at(&from.log, Part::Log)?;
        let keyset = from.keyset_source().map(|dir| at(dir, Part::Keyset)).transpose()?;
        if let (Some(dir), Some((_, manifest))) = (from.keyset_source(), &keyset)
            && manifest.store != log.1.store
        {
            return Err(BackupError::ForeignBackup { dir: dir.to_owned(), found: manifest.store });
        }
        let source = Self { log, keyset };
        for (folder, manifest) in source.parts() {
            for file in &manifest.files {
                let path = folder.file(&manifest.file_name(file));
                let len = disk.open(&path, Access::Read).and_then(|file| file.len()).unwrap_or(0);
                if len < file.len {
                    return Err(BackupError::Incomplete { path });
                }
            }
        }
        Ok(source)
    }

    fn parts(&self) -> impl Iterator<Item = &(Folder<'a>, Manifest)> {
        self.keyset.iter().chain([&self.log])
    }
}

/// One restoring.
struct Run<'a> {
    disk: &'a dyn Disk,
    dir: &'a Path,
    progress: &'a mut dyn FnMut(u64, u64),
    done: u64,
    total: u64,
}

impl Run<'_> {
    /// Copies one file to wherever it belongs.
    fn file(&mut self, folder: &Folder<'_>, manifest: &Manifest, file: &FileEntry) -> Result<(), BackupError> {
        let from = folder.file(&manifest.file_name(file));
        let (segments, extents) = (self.dir.join(SEGMENTS_DIR), self.dir.join(EXTENTS_DIR));
        let to = match file.kind {
            FileKind::Segment { .. } if file.number == FIRST_SEGMENT => vec![segments.join(LAST_NAME)],
            FileKind::Segment { .. } => vec![segments.join(segment_file_name(file.number))],
            FileKind::Image => Copy::BOTH.map(|copy| self.dir.join(copy.file_name())).to_vec(),
            FileKind::Extent => vec![extents.join(format!("{:020}", file.number))],
        };
        let source = self.disk.open(&from, Access::Read).map_err(refused("open", &from))?;
        for to in to {
            let target = self.disk.create_new(&to, FILE_MODE).map_err(refused("create", &to))?;
            let hash = self.copy(&*source, file.len, &*target).map_err(refused("write", &to))?;
            if hash != file.hash {
                return Err(BackupError::Damaged { path: from });
            }
            target.sync_all().map_err(refused("sync", &to))?;
        }
        self.done += file.len;
        Ok(())
    }

    fn copy(&mut self, source: &dyn DiskFile, len: u64, target: &dyn DiskFile) -> std::io::Result<blake3::Hash> {
        let mut hasher = blake3::Hasher::new();
        let (done, total, progress) = (self.done, self.total, &mut *self.progress);
        each_piece(source, 0..len, &mut |at, piece| {
            hasher.update(piece);
            progress(done + at, total);
            target.write_all_at(piece, at)
        })?;
        Ok(hasher.finalize())
    }

    /// Makes the names durable, that of the first segment last.
    fn finish(self) -> Result<(), BackupError> {
        let (disk, dir, segments) = (self.disk, self.dir, self.dir.join(SEGMENTS_DIR));
        let lock = dir.join(LOCK_FILE);
        disk.create_new(&lock, FILE_MODE).map_err(refused("create", &lock))?;
        for dir in [dir.join(EXTENTS_DIR), segments.clone(), dir.to_owned()] {
            disk.sync_dir(&dir).map_err(refused("sync", &dir))?;
        }
        let above = dir.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
        disk.sync_dir(above).map_err(refused("sync", above))?;
        let first = segments.join(segment_file_name(FIRST_SEGMENT));
        let named = disk.rename(&segments.join(LAST_NAME), &first).and_then(|()| disk.sync_dir(&segments));
        named.map_err(refused("rename", &first))?;
        (self.progress)(self.total, self.total);
        Ok(())
    }
}

/// Refuses a directory that holds anything, or lies inside a store.
fn check_empty(disk: &dyn Disk, dir: &Path) -> Result<(), BackupError> {
    Layout::check_outside(disk, dir).map_err(|why| match why {
        OpenError::InsideStore { outer } => BackupError::InsideStore { outer },
        why => BackupError::Open(Box::new(why)),
    })?;
    let listed = match disk.list(dir) {
        Err(why) if why.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        listed => listed.map_err(refused("list", dir))?,
    };
    match listed.into_iter().find(|entry| entry.name != "lost+found") {
        Some(entry) => {
            let name = entry.name.to_string_lossy().into_owned();
            Err(BackupError::NotEmpty { dir: dir.to_owned(), name })
        }
        None => Ok(()),
    }
}
