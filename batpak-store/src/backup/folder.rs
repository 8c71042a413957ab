//! One folder of a backup: what stands in it, and how files and the manifest come into it.
//!
//! Invariants: nothing is written into a folder that holds something else, or another store's backup. A manifest says what is whole;
//! a first backup that was cut short has left one that says begun. Every byte that a manifest names was synced before it, and is
//! never written again.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use batpak_format::StoreId;
use batpak_segment::{Access, Disk, DiskFile};

use super::{
    error::{BackupError, refused},
    manifest::{KEYSET_DIR, Manifest, Part},
    read_whole,
};
use crate::layout::Layout;

const DIR_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;
/// Zeros are written over files that go, in pieces of this size.
static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];

/// See the module.
#[derive(Debug)]
pub(crate) struct Folder<'a> {
    disk: &'a dyn Disk,
    dir: PathBuf,
    part: Part,
}

impl<'a> Folder<'a> {
    pub(crate) fn at(disk: &'a dyn Disk, dir: &Path, part: Part) -> Self {
        Self { disk, dir: dir.to_owned(), part }
    }

    /// The path of a file, by the name that the manifest gives it.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.dir.join(self.part.dir()).join(name)
    }

    /// Looks at the folder for a backup of a store, and returns the manifest that stands in it.
    pub(super) fn look(&self, store: StoreId) -> Result<Option<Manifest>, BackupError> {
        Layout::check_outside(self.disk, &self.dir).map_err(|why| match why {
            crate::OpenError::InsideStore { outer } => BackupError::InsideStore { outer },
            why => BackupError::Open(Box::new(why)),
        })?;
        match self.manifest()? {
            Some(manifest) if manifest.store != store => {
                Err(BackupError::ForeignBackup { dir: self.dir.clone(), found: manifest.store })
            }
            Some(manifest) => Ok(Some(manifest)),
            None => self.check_empty().map(|()| None),
        }
    }

    /// Returns the manifest of a whole backup.
    pub(crate) fn whole(&self) -> Result<Manifest, BackupError> {
        let nothing = || BackupError::NoBackup { dir: self.dir.clone(), part: self.part.name() };
        let manifest = self.manifest()?.ok_or_else(nothing)?;
        if manifest.whole { Ok(manifest) } else { Err(BackupError::Unfinished { dir: self.dir.clone() }) }
    }

    fn manifest(&self) -> Result<Option<Manifest>, BackupError> {
        let path = self.dir.join(self.part.manifest());
        let bytes = match read_whole(self.disk, &path) {
            Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(None),
            bytes => bytes.map_err(refused("read", &path))?,
        };
        match Manifest::decode(&bytes).filter(|manifest| manifest.part == self.part) {
            Some(manifest) => Ok(Some(manifest)),
            None => Err(BackupError::Manifest { path }),
        }
    }

    /// Refuses a folder that holds anything but the other part of a backup.
    fn check_empty(&self) -> Result<(), BackupError> {
        let listed = match self.disk.list(&self.dir) {
            Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(()),
            listed => listed.map_err(refused("list", &self.dir))?,
        };
        let other = match self.part {
            Part::Log => [Part::Keyset.manifest(), KEYSET_DIR],
            Part::Keyset => [Part::Log.manifest(), Part::Log.dir()],
        };
        for entry in listed {
            let name = entry.name.to_string_lossy().into_owned();
            if !other.contains(&name.as_str()) && !name.starts_with('.') && name != "lost+found" {
                return Err(BackupError::NotEmpty { dir: self.dir.clone(), name });
            }
        }
        Ok(())
    }

    /// Makes the folder, and what says that a backup was begun, which is returned.
    pub(super) fn begin(&self, manifest: &Manifest) -> Result<Manifest, BackupError> {
        let begun = manifest.begun();
        make_dir(self.disk, &self.dir)?;
        self.put_manifest(&begun)?;
        make_dir(self.disk, &self.dir.join(self.part.dir()))?;
        Ok(begun)
    }

    /// Puts a file into the folder as a whole, whatever stood under its name.
    pub(super) fn put(&self, name: &str, bytes: &[u8]) -> Result<(), BackupError> {
        put_whole(self.disk, &self.dir.join(self.part.dir()), name, bytes)
    }

    /// Opens a file of the folder to go on with it, or makes it.
    pub(super) fn extend(&self, name: &str) -> Result<Arc<dyn DiskFile>, BackupError> {
        let path = self.file(name);
        match self.disk.open(&path, Access::ReadWrite) {
            Err(why) if why.kind() == io::ErrorKind::NotFound => {
                self.disk.create_new(&path, FILE_MODE).map_err(refused("create", &path))
            }
            opened => opened.map_err(refused("open", &path)),
        }
    }

    /// Makes the names of the folder's files durable.
    pub(super) fn sync(&self) -> Result<(), BackupError> {
        let dir = self.dir.join(self.part.dir());
        self.disk.sync_dir(&dir).map_err(refused("sync", &dir))
    }

    /// Puts the manifest into its place: what it names is the backup from here on.
    pub(super) fn put_manifest(&self, manifest: &Manifest) -> Result<(), BackupError> {
        put_whole(self.disk, &self.dir, self.part.manifest(), &manifest.encode())
    }

    /// Writes zeros over every file that the manifest does not name, and removes it.
    pub(super) fn sweep(&self, manifest: &Manifest) -> Result<(), BackupError> {
        let dir = self.dir.join(self.part.dir());
        let named: Vec<String> = manifest.files.iter().map(|file| manifest.file_name(file)).collect();
        let listed = self.disk.list(&dir).map_err(refused("list", &dir))?;
        for entry in listed.iter().filter(|entry| !entry.is_dir) {
            let name = entry.name.to_string_lossy();
            let ours = name.starts_with("image.") || name.starts_with("extent.");
            if ours && !named.iter().any(|named| *named == name) {
                wipe(self.disk, &dir.join(&entry.name)).map_err(refused("remove", &dir.join(&entry.name)))?;
            }
        }
        self.disk.sync_dir(&dir).map_err(refused("sync", &dir))
    }
}

/// Makes a directory durably, unless it is there.
pub(crate) fn make_dir(disk: &dyn Disk, dir: &Path) -> Result<(), BackupError> {
    match disk.create_dir(dir, DIR_MODE) {
        Err(why) if why.kind() != io::ErrorKind::AlreadyExists => {
            return Err(refused("create the directory", dir)(why));
        }
        _ => {}
    }
    let above = dir.parent().unwrap_or(Path::new("."));
    disk.sync_dir(above).map_err(refused("sync", above))
}

/// Writes a file under a hidden name, syncs it, and gives it its own: what stands there is whole at every moment.
pub(crate) fn put_whole(disk: &dyn Disk, dir: &Path, name: &str, bytes: &[u8]) -> Result<(), BackupError> {
    let (path, new) = (dir.join(name), dir.join(format!(".{name}.new")));
    match disk.remove(&new) {
        Err(why) if why.kind() != io::ErrorKind::NotFound => return Err(refused("remove", &new)(why)),
        _ => {}
    }
    let file = disk.create_new(&new, FILE_MODE).map_err(refused("create", &new))?;
    file.write_all_at(bytes, 0).and_then(|()| file.sync_all()).map_err(refused("write", &new))?;
    disk.rename(&new, &path).and_then(|()| disk.sync_dir(dir)).map_err(refused("rename", &new))
}

/// Writes zeros over a file, and removes it.
pub(crate) fn wipe(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    let file = disk.open(path, Access::ReadWrite)?;
    let (len, mut at) = (file.len()?, 0);
    while at < len {
        let piece = usize::try_from(len - at).unwrap_or(ZEROS.len()).min(ZEROS.len());
        file.write_all_at(&ZEROS[..piece], at)?;
        at += piece as u64;
    }
    file.sync_all()?;
    disk.remove(path)
}
