//! The rules that a worker breaks when it is told to: each tier shows with one of them that it would notice.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use batpak_store::segment::{Access, DirEntryName, Disk, DiskFile, FileIdentity, RealDisk};
use std::io;

/// The rule that is broken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Breakage {
    /// None.
    #[default]
    None,
    /// Appends are acknowledged before they are made.
    Early,
    /// What failed is acknowledged.
    Swallow,
    /// The disk says that it has synced, and has not.
    Unsynced,
}

impl Breakage {
    const ALL: [(&str, Breakage); 4] = [
        ("none", Breakage::None),
        ("early", Breakage::Early),
        ("swallow", Breakage::Swallow),
        ("unsynced", Breakage::Unsynced),
    ];

    /// The word for it on the command line.
    pub(crate) fn name(self) -> &'static str {
        Breakage::ALL.iter().find(|(_, it)| *it == self).map_or("none", |(name, _)| name)
    }
}

impl FromStr for Breakage {
    type Err = String;

    fn from_str(word: &str) -> Result<Breakage, String> {
        let found = Breakage::ALL.iter().find(|(name, _)| *name == word);
        found.map(|(_, it)| *it).ok_or_else(|| format!("{word} names no rule to break"))
    }
}

/// The real disk, whose syncs do nothing.
#[derive(Debug, Default)]
pub(crate) struct Unsynced(RealDisk);

#[derive(Debug)]
struct UnsyncedFile(Arc<dyn DiskFile>);

fn unsynced(file: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
    Arc::new(UnsyncedFile(file))
}

impl Disk for Unsynced {
    fn create_new(&self, path: &Path, mode: u32) -> io::Result<Arc<dyn DiskFile>> {
        self.0.create_new(path, mode).map(unsynced)
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn DiskFile>> {
        self.0.open(path, access).map(unsynced)
    }

    fn create_dir(&self, path: &Path, mode: u32) -> io::Result<()> {
        self.0.create_dir(path, mode)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntryName>> {
        self.0.list(dir)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.0.remove(path)
    }

    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        self.0.exists(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.rename(from, to)
    }

    fn mode(&self, path: &Path) -> io::Result<u32> {
        self.0.mode(path)
    }

    fn canonical(&self, path: &Path) -> io::Result<PathBuf> {
        self.0.canonical(path)
    }
}

impl DiskFile for UnsyncedFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(buf, offset)
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<usize> {
        self.0.write_at(buf, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn sync_all(&self) -> io::Result<()> {
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn identity(&self) -> io::Result<FileIdentity> {
        self.0.identity()
    }

    fn try_lock(&self) -> io::Result<bool> {
        self.0.try_lock()
    }

    fn map(&self, len: u64) -> io::Result<bytes::Bytes> {
        self.0.map(len)
    }
}
