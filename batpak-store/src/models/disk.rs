//! A disk whose every call is a step of the model: it is made under a lock of the shim.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use batpak_segment::{Access, DirEntryName, Disk, DiskFile, FileIdentity, MemoryDisk};
use bytes::Bytes;

use crate::sync::{Mutex, lock};

/// A [`MemoryDisk`] behind a lock that loom sees.
#[derive(Clone, Debug)]
pub(super) struct ModelDisk {
    pub(super) memory: MemoryDisk,
    step: Arc<Mutex<()>>,
}

impl ModelDisk {
    pub(super) fn new(memory: MemoryDisk) -> Self {
        Self { memory, step: Arc::new(Mutex::new(())) }
    }

    fn file(&self, file: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        Arc::new(ModelFile { file, step: Arc::clone(&self.step) })
    }
}

impl Disk for ModelDisk {
    fn create_new(&self, path: &Path, mode: u32) -> io::Result<Arc<dyn DiskFile>> {
        let _step = lock(&self.step);
        Ok(self.file(self.memory.create_new(path, mode)?))
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn DiskFile>> {
        Ok(self.file(self.memory.open(path, access)?))
    }

    fn create_dir(&self, path: &Path, mode: u32) -> io::Result<()> {
        self.memory.create_dir(path, mode)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntryName>> {
        self.memory.list(dir)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.memory.remove(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.memory.sync_dir(dir)
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        self.memory.exists(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.memory.rename(from, to)
    }

    fn mode(&self, path: &Path) -> io::Result<u32> {
        self.memory.mode(path)
    }

    fn canonical(&self, path: &Path) -> io::Result<PathBuf> {
        self.memory.canonical(path)
    }
}

#[derive(Debug)]
struct ModelFile {
    file: Arc<dyn DiskFile>,
    step: Arc<Mutex<()>>,
}

impl DiskFile for ModelFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buf, offset)
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<usize> {
        let _step = lock(&self.step);
        self.file.write_at(buf, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        let _step = lock(&self.step);
        self.file.sync_data()
    }

    fn sync_all(&self) -> io::Result<()> {
        let _step = lock(&self.step);
        self.file.sync_all()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn identity(&self) -> io::Result<FileIdentity> {
        self.file.identity()
    }

    fn try_lock(&self) -> io::Result<bool> {
        self.file.try_lock()
    }

    fn map(&self, len: u64) -> io::Result<Bytes> {
        self.file.map(len)
    }
}
