//! A disk in memory, with a crash, and hooks that see or fail each call.
//!
//! Invariant: one mutex holds everything, so each call happens at one instant, and a crash leaves exactly what was
//! synced: bytes and size by the file's sync, names by the directory's.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::disk::{Access, DirEntryName, Disk, DiskFile, FileIdentity};
use state::{Handle, State};

mod state;

/// What a call does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DiskOp<'a> {
    /// A file is created.
    Create,
    /// A directory is created.
    CreateDir,
    /// A file is opened.
    Open,
    /// Bytes are read.
    Read,
    /// A file is removed.
    Remove,
    /// A file is renamed; the path of the call is the old one.
    Rename,
    /// A file is cut or extended.
    SetLen,
    /// [`DiskFile::sync_all`].
    SyncAll,
    /// [`DiskFile::sync_data`].
    SyncData,
    /// [`Disk::sync_dir`]; the path of the call is the directory.
    SyncDir,
    /// Bytes are written.
    Write {
        /// Where in the file.
        offset: u64,
        /// What is written.
        bytes: &'a [u8],
    },
}

/// A call as the hooks of a [`MemoryDisk`] see it, just before it takes effect.
pub struct DiskCall<'a> {
    /// What it does.
    pub op: DiskOp<'a>,
    /// The file or directory it is about (of a renamed file, the name it was opened under).
    pub path: &'a Path,
    state: &'a State,
}

impl DiskCall<'_> {
    /// The bytes that a crash at this instant would leave at `path`, or `None` when it would leave no such file.
    #[must_use]
    pub fn durable(&self, path: &Path) -> Option<&[u8]> {
        self.state.durable(path)
    }
}

impl fmt::Debug for DiskCall<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DiskCall").field("op", &self.op).field("path", &self.path).finish_non_exhaustive()
    }
}

type Observe = Box<dyn FnMut(&DiskCall<'_>) + Send>;
type Fail = Box<dyn FnMut(&DiskCall<'_>) -> Option<io::Error> + Send>;

#[derive(Default)]
struct Inner {
    state: State,
    observe: Option<Observe>,
    fail: Option<Fail>,
}

impl Inner {
    fn call(&mut self, op: DiskOp<'_>, path: &Path) -> io::Result<()> {
        let call = DiskCall { op, path, state: &self.state };
        if let Some(error) = self.fail.as_mut().and_then(|fail| fail(&call)) {
            return Err(error);
        }
        if let Some(observe) = self.observe.as_mut() {
            observe(&call);
        }
        Ok(())
    }
}

/// A disk in memory; clones share it.
///
/// Its root (`/`) and the current directory always exist; other directories are created first, as on a real disk.
#[derive(Clone, Default)]
pub struct MemoryDisk {
    inner: Arc<Mutex<Inner>>,
}

impl MemoryDisk {
    /// An empty disk.
    #[must_use]
    pub fn new() -> MemoryDisk {
        MemoryDisk::default()
    }

    /// Shows every call that is carried out, in order, to `observe`, which must not use the disk itself.
    pub fn observe(&self, observe: Observe) {
        self.lock().observe = Some(observe);
    }

    /// Asks `fail` before every call: an error it gives is the call's answer, and nothing is changed. It must
    /// not use the disk itself.
    pub fn fail(&self, fail: Fail) {
        self.lock().fail = Some(fail);
    }

    /// Takes both hooks away.
    pub fn clear_hooks(&self) {
        let mut inner = self.lock();
        inner.observe = None;
        inner.fail = None;
    }

    /// Loses everything that is not synced, and every lock. Files opened before answer every later call with an error.
    pub fn crash(&self) {
        self.lock().state.crash();
    }

    /// A disk of its own with the same content, synced and not; without hooks, locks or open files.
    #[must_use]
    pub fn copy(&self) -> MemoryDisk {
        let state = self.lock().state.copy();
        MemoryDisk { inner: Arc::new(Mutex::new(Inner { state, observe: None, fail: None })) }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A hook that panicked did so before the call took effect.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn handle(&self, path: &Path, handle: Handle, access: Access) -> Arc<dyn DiskFile> {
        Arc::new(MemoryFile { disk: self.clone(), path: path.to_owned(), handle, access })
    }
}

impl fmt::Debug for MemoryDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryDisk").finish_non_exhaustive()
    }
}

impl Disk for MemoryDisk {
    fn create_new(&self, path: &Path, mode: u32) -> io::Result<Arc<dyn DiskFile>> {
        let mut inner = self.lock();
        inner.call(DiskOp::Create, path)?;
        let handle = inner.state.create(path, mode)?;
        Ok(self.handle(path, handle, Access::ReadWrite))
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn DiskFile>> {
        let mut inner = self.lock();
        inner.call(DiskOp::Open, path)?;
        let handle = inner.state.open(path)?;
        Ok(self.handle(path, handle, access))
    }

    fn create_dir(&self, path: &Path, mode: u32) -> io::Result<()> {
        let mut inner = self.lock();
        inner.call(DiskOp::CreateDir, path)?;
        inner.state.create_dir(path, mode)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntryName>> {
        let mut inner = self.lock();
        inner.call(DiskOp::Read, dir)?;
        inner.state.list(dir)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut inner = self.lock();
        inner.call(DiskOp::Remove, path)?;
        inner.state.remove(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut inner = self.lock();
        inner.call(DiskOp::SyncDir, dir)?;
        inner.state.sync_dir(dir)
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        let mut inner = self.lock();
        inner.call(DiskOp::Read, path)?;
        Ok(inner.state.exists(path))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut inner = self.lock();
        inner.call(DiskOp::Rename, from)?;
        inner.state.rename(from, to)
    }

    fn mode(&self, path: &Path) -> io::Result<u32> {
        let mut inner = self.lock();
        inner.call(DiskOp::Read, path)?;
        inner.state.mode(path)
    }

    /// There are no symbolic links here, so a path is its own.
    fn canonical(&self, path: &Path) -> io::Result<PathBuf> {
        let mut inner = self.lock();
        inner.call(DiskOp::Read, path)?;
        inner.state.mode(path).map(|_| path.to_owned())
    }
}

struct MemoryFile {
    disk: MemoryDisk,
    path: PathBuf,
    handle: Handle,
    access: Access,
}

impl MemoryFile {
    fn with<R>(&self, op: DiskOp<'_>, work: impl FnOnce(&mut state::File) -> io::Result<R>) -> io::Result<R> {
        let mut inner = self.disk.lock();
        inner.call(op, &self.path)?;
        if matches!(op, DiskOp::Write { .. } | DiskOp::SetLen) && self.access == Access::Read {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        work(inner.state.file(self.handle)?)
    }
}

impl DiskFile for MemoryFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.with(DiskOp::Read, |file| Ok(file.read(buf, offset)))
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<usize> {
        self.with(DiskOp::Write { offset, bytes: buf }, |file| file.write(buf, offset))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.with(DiskOp::SyncData, |file| {
            file.sync();
            Ok(())
        })
    }

    fn sync_all(&self) -> io::Result<()> {
        self.with(DiskOp::SyncAll, |file| {
            file.sync();
            Ok(())
        })
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.with(DiskOp::SetLen, |file| file.set_len(len))
    }

    fn len(&self) -> io::Result<u64> {
        self.with(DiskOp::Read, |file| Ok(file.len()))
    }

    fn identity(&self) -> io::Result<FileIdentity> {
        self.with(DiskOp::Read, |file| Ok(file.identity()))
    }

    fn try_lock(&self) -> io::Result<bool> {
        self.with(DiskOp::Open, |file| Ok(file.try_lock(self.handle)))
    }

    fn map(&self, len: u64) -> io::Result<Bytes> {
        self.with(DiskOp::Read, |file| file.prefix(len).map(Bytes::copy_from_slice))
    }
}

impl Drop for MemoryFile {
    fn drop(&mut self) {
        if let Ok(file) = self.disk.lock().state.file(self.handle) {
            file.unlock(self.handle);
        }
    }
}

impl fmt::Debug for MemoryFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryFile").field("path", &self.path).finish_non_exhaustive()
    }
}
