//! What stands in a store's directory: `lock`, `keyset.a` and `keyset.b`, `extents/`, `segments/`, `index/` once a
//! segment has its index file and, after a backup, `backup.note`.
//!
//! Invariant: a file that is none of the store's is refused by name; hidden files and `lost+found` are left alone.

use std::{
    io,
    path::{Path, PathBuf},
};

use batpak_keyset::Copy;
use batpak_segment::{Disk, SEGMENTS_DIR};

use crate::{OpenError, index::INDEX_DIR, keyset_files::EXTENTS_DIR};

/// The file that a writer locks.
pub(crate) const LOCK_FILE: &str = "lock";
/// The note of the last backup, which may be deleted.
pub(crate) const BACKUP_NOTE: &str = "backup.note";
const DIR_MODE: u32 = 0o700;

/// What was found in a store's directory.
#[derive(Debug, Default)]
pub(crate) struct Layout {
    /// Files of the store, and its directories that are not empty, by name.
    pub(crate) files: Vec<String>,
    pub(crate) lock: bool,
    pub(crate) keyset: bool,
    pub(crate) segments: bool,
    /// The first file that is none of the store's.
    foreign: Option<String>,
}

impl Layout {
    /// Looks at a directory; one that is not there is like an empty one.
    pub(crate) fn look(disk: &dyn Disk, dir: &Path) -> Result<Self, OpenError> {
        let mut layout = Self::default();
        for entry in list(disk, dir)? {
            let name = entry.name.to_string_lossy().into_owned();
            match (name.as_str(), entry.is_dir) {
                (LOCK_FILE, false) => layout.lock = true,
                (SEGMENTS_DIR, true) => layout.segments = !list(disk, &dir.join(SEGMENTS_DIR))?.is_empty(),
                (EXTENTS_DIR | INDEX_DIR, true) => {}
                (BACKUP_NOTE, false) => continue,
                (name, false) if Copy::BOTH.iter().any(|copy| copy.file_name() == name) => layout.keyset = true,
                (name, _) if name.starts_with('.') || name == "lost+found" => continue,
                _ => {
                    layout.foreign.get_or_insert(name);
                    continue;
                }
            }
            if !entry.is_dir || (name == SEGMENTS_DIR && layout.segments) {
                layout.files.push(name);
            }
        }
        Ok(layout)
    }

    /// Refuses a directory that holds a file which is none of the store's.
    pub(crate) fn check_foreign(&self) -> Result<(), OpenError> {
        match &self.foreign {
            Some(name) => Err(OpenError::ForeignFile { name: name.clone() }),
            None => Ok(()),
        }
    }

    /// Refuses a place inside another store: that store would find a foreign file.
    pub(crate) fn check_outside(disk: &dyn Disk, dir: &Path) -> Result<(), OpenError> {
        let above = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
        for outer in above.ancestors().skip(1) {
            let holds = |name: &str| disk.exists(&outer.join(name)).unwrap_or(false);
            if holds(LOCK_FILE) && holds(SEGMENTS_DIR) && holds(EXTENTS_DIR) {
                return Err(OpenError::InsideStore { outer: outer.to_owned() });
            }
        }
        Ok(())
    }

    /// Makes the directories of a new store.
    pub(crate) fn create(disk: &dyn Disk, dir: &Path) -> Result<(), OpenError> {
        for path in [dir.to_owned(), dir.join(SEGMENTS_DIR), dir.join(EXTENTS_DIR)] {
            match disk.create_dir(&path, DIR_MODE) {
                Err(why) if why.kind() != io::ErrorKind::AlreadyExists => {
                    return Err(refused("create the directory", &path)(why));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn list(disk: &dyn Disk, dir: &Path) -> Result<Vec<batpak_segment::DirEntryName>, OpenError> {
    match disk.list(dir) {
        Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        listed => listed.map_err(refused("list", dir)),
    }
}

/// Names what the disk refused.
pub(crate) fn refused(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> OpenError {
    let path = PathBuf::from(path);
    move |source| OpenError::Disk { what, path, source }
}
