//! A disk that loses, tears and reorders what is not synced, behind the shipped `Disk` trait.
//!
//! Invariants: one mutex holds everything, so a call happens at one instant. The watcher sees the disk as it is before each call
//! that changes it, with no lock held, so it may use the store that it watches. A handle that was opened before a crash fails.

use std::fmt;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use batpak_store::format::SEGMENT_HEADER_LEN;
use batpak_store::segment::{Access, DirEntryName, Disk, DiskFile, FileIdentity};
use bytes::Bytes;

use crate::lock;
use crate::random::Random;
use fault::{Does, Fault, Verdict};
use names::{Change, Entry};
pub(crate) use state::State;

pub(crate) mod crash;
pub(crate) mod fault;
pub(crate) mod file;
pub(crate) mod names;
mod state;
#[cfg(test)]
mod tests;

/// So many calls of one life are a caller that does not end.
const CALLS_MAX: u64 = 20_000;

/// What one opening of a file is known by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Handle {
    file: usize,
    number: u64,
    life: u64,
}

/// A call that changes the disk, as its watcher sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Op<'a> {
    Create,
    CreateDir,
    Remove,
    Rename,
    SetLen,
    Sync,
    SyncDir,
    Write { offset: u64, bytes: &'a [u8] },
}

/// Sees each call that changes the disk just before it takes effect.
pub(crate) trait Watch: Send + Sync {
    fn before(&self, op: Op<'_>, path: &Path, state: &State);
}

struct Inner {
    state: State,
    watch: Option<Arc<dyn Watch>>,
    fault: Option<Fault>,
    /// Calls since the life began, reads too; what a fault counts.
    calls: u64,
    /// Calls that change the disk, over all lives.
    changes: u64,
    struck: bool,
    hung: bool,
    /// Syncs of segments that failed in this life.
    failed_syncs: u64,
    life: u64,
    handles: u64,
    random: Random,
    trace: Option<Vec<String>>,
}

/// See the module; clones share it.
#[derive(Clone)]
pub(crate) struct SimDisk {
    inner: Arc<Mutex<Inner>>,
}

impl SimDisk {
    pub(crate) fn new(state: State, seed: u64) -> Self {
        let inner = Inner {
            changes: state.calls(),
            state,
            watch: None,
            fault: None,
            calls: 0,
            struck: false,
            hung: false,
            failed_syncs: 0,
            life: 0,
            handles: 0,
            random: Random::new(seed),
            trace: None,
        };
        Self { inner: Arc::new(Mutex::new(inner)) }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        lock(&self.inner)
    }

    pub(crate) fn watch(&self, watch: Option<Arc<dyn Watch>>) {
        self.lock().watch = watch;
    }

    /// Sets the fault to come, counted from here.
    pub(crate) fn fault(&self, fault: Option<Fault>) {
        let mut inner = self.lock();
        (inner.fault, inner.calls, inner.struck) = (fault, 0, false);
    }

    /// Calls since the fault was set or the disk was made, and whether the fault has struck.
    pub(crate) fn calls(&self) -> (u64, bool) {
        let inner = self.lock();
        (inner.calls, inner.struck)
    }

    /// Whether a caller did not end within a bound of calls.
    pub(crate) fn hung(&self) -> bool {
        self.lock().hung
    }

    /// How many syncs of segments have failed since the process began.
    pub(crate) fn failed_segment_syncs(&self) -> u64 {
        self.lock().failed_syncs
    }

    /// Notes that the store is opened anew.
    pub(crate) fn forget_failures(&self) {
        self.lock().failed_syncs = 0;
    }

    pub(crate) fn state(&self) -> State {
        self.lock().state.clone()
    }

    /// Ends the process that used the disk: its handles fail, and its locks are gone.
    pub(crate) fn kill(&self) {
        let mut inner = self.lock();
        inner.life += 1;
        inner.state.unlock_all();
        inner.fault = None;
    }

    pub(crate) fn trace(&self) {
        self.lock().trace = Some(Vec::new());
    }

    pub(crate) fn take_trace(&self) -> Vec<String> {
        self.lock().trace.take().unwrap_or_default()
    }

    /// Counts a call, shows it to the watcher and asks the fault.
    fn call(
        &self,
        op: Option<Op<'_>>,
        does: Does,
        path: &Path,
        handle: Option<Handle>,
    ) -> io::Result<(MutexGuard<'_, Inner>, bool)> {
        let mut inner = self.lock();
        if handle.is_some_and(|handle| handle.life != inner.life) {
            return Err(io::Error::other("opened before a crash"));
        }
        inner.calls += 1;
        if inner.calls > CALLS_MAX {
            inner.hung = true;
            return Err(io::Error::other("too many calls: the caller does not end"));
        }
        let call = inner.calls;
        let verdict = inner.fault.map_or(Verdict::Goes, |fault| fault.verdict(call, does));
        if let Some(trace) = &mut inner.trace {
            trace.push(shown(call, op, does, path, &verdict));
        }
        if let Some(op) = op
            && let Some(watch) = inner.watch.clone()
        {
            let state = inner.state.clone();
            drop(inner);
            watch.before(op, path, &state);
            inner = self.lock();
        }
        if op.is_some() {
            inner.changes += 1;
        }
        match verdict {
            Verdict::Goes => Ok((inner, false)),
            Verdict::Halved => {
                inner.struck = true;
                Ok((inner, true))
            }
            Verdict::Fails(why) => {
                inner.struck = true;
                if let Some(op) = op {
                    inner.fail(op, path, handle);
                }
                Err(why)
            }
        }
    }

    fn opened(&self, inner: &mut Inner, path: &Path, file: usize, access: Access) -> Arc<dyn DiskFile> {
        inner.handles += 1;
        let handle = Handle { file, number: inner.handles, life: inner.life };
        Arc::new(SimFile { disk: self.clone(), path: path.to_owned(), handle, access })
    }
}

impl Inner {
    /// What a failed call leaves: of a failed sync nobody knows.
    fn fail(&mut self, op: Op<'_>, path: &Path, handle: Option<Handle>) {
        let random = &mut self.random;
        match (op, handle) {
            (Op::Sync, Some(handle)) => {
                // One that is being created holds no event, and is removed again.
                let holds = self.state.file(handle.file).now.len > SEGMENT_HEADER_LEN as u64;
                let in_segments = path.parent().is_some_and(|dir| dir.ends_with("segments"));
                self.failed_syncs += u64::from(in_segments && holds);
                self.state.file_mut(handle.file).fail_sync(random);
            }
            (Op::SyncDir, _) => self.state.names_mut().fail_sync(path, random),
            // A write that fails may have written some of it.
            (Op::Write { offset, bytes }, Some(handle)) if random.below(2) == 0 => {
                let part = bytes.len() / 2;
                let within = self.state.file(handle.file).now.len.saturating_sub(offset);
                let part = part.min(usize::try_from(within).unwrap_or(part));
                let changes = self.changes;
                self.state.file_mut(handle.file).write(&bytes[..part], offset, changes);
            }
            _ => {}
        }
    }
}

fn shown(call: u64, op: Option<Op<'_>>, does: Does, path: &Path, verdict: &Verdict) -> String {
    let op = match op {
        Some(Op::Write { offset, bytes }) => format!("write {offset}+{}", bytes.len()),
        Some(op) => format!("{op:?}").to_lowercase(),
        None => format!("{does:?}").to_lowercase(),
    };
    let outcome = match verdict {
        Verdict::Goes => String::new(),
        Verdict::Halved => " (halved)".to_owned(),
        Verdict::Fails(why) => format!(" ({why})"),
    };
    format!("{call:6} {op} {}{outcome}", path.display())
}

impl fmt::Debug for SimDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimDisk").finish_non_exhaustive()
    }
}

impl Disk for SimDisk {
    fn create_new(&self, path: &Path, mode: u32) -> io::Result<Arc<dyn DiskFile>> {
        let (mut inner, _) = self.call(Some(Op::Create), Does::Create, path, None)?;
        let call = inner.changes;
        let file = inner.state.create(path, mode, call)?;
        Ok(self.opened(&mut inner, path, file, Access::ReadWrite))
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn DiskFile>> {
        let (mut inner, _) = self.call(None, Does::Other, path, None)?;
        let file = inner.state.find(path)?;
        Ok(self.opened(&mut inner, path, file, access))
    }

    fn create_dir(&self, path: &Path, mode: u32) -> io::Result<()> {
        let (mut inner, _) = self.call(Some(Op::CreateDir), Does::Create, path, None)?;
        let call = inner.changes;
        inner.state.check_free(path)?;
        inner.state.names_mut().change(Change::Put(path.to_owned(), Entry::Dir { mode }), call);
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntryName>> {
        let (inner, _) = self.call(None, Does::Other, dir, None)?;
        inner.state.list(dir)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let (mut inner, _) = self.call(Some(Op::Remove), Does::Other, path, None)?;
        let call = inner.changes;
        let file = inner.state.find(path)?;
        inner.state.bury(file);
        inner.state.names_mut().change(Change::Remove(path.to_owned()), call);
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let (mut inner, _) = self.call(Some(Op::SyncDir), Does::Sync, dir, None)?;
        inner.state.check_dir(dir)?;
        inner.state.names_mut().sync(dir);
        Ok(())
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        let (inner, _) = self.call(None, Does::Other, path, None)?;
        Ok(inner.state.exists(path))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let (mut inner, _) = self.call(Some(Op::Rename), Does::Other, from, None)?;
        let call = inner.changes;
        let entry = Entry::File(inner.state.find(from)?);
        inner.state.names_mut().change(Change::Rename(from.to_owned(), to.to_owned(), entry), call);
        Ok(())
    }

    fn mode(&self, path: &Path) -> io::Result<u32> {
        let (inner, _) = self.call(None, Does::Other, path, None)?;
        inner.state.mode(path)
    }

    fn canonical(&self, path: &Path) -> io::Result<PathBuf> {
        let (inner, _) = self.call(None, Does::Other, path, None)?;
        if inner.state.exists(path) { Ok(path.to_owned()) } else { Err(ErrorKind::NotFound.into()) }
    }
}

struct SimFile {
    disk: SimDisk,
    path: PathBuf,
    handle: Handle,
    access: Access,
}

impl SimFile {
    fn call(&self, op: Option<Op<'_>>, does: Does) -> io::Result<(MutexGuard<'_, Inner>, bool)> {
        if matches!(op, Some(Op::Write { .. } | Op::SetLen)) && self.access == Access::Read {
            return Err(ErrorKind::PermissionDenied.into());
        }
        self.disk.call(op, does, &self.path, Some(self.handle))
    }

    fn sync(&self) -> io::Result<()> {
        let (mut inner, _) = self.call(Some(Op::Sync), Does::Sync)?;
        inner.state.file_mut(self.handle.file).sync();
        Ok(())
    }
}

impl DiskFile for SimFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let (inner, halved) = self.call(None, Does::Read)?;
        let want = if halved { buf.len().div_ceil(2) } else { buf.len() };
        Ok(inner.state.file(self.handle.file).now.read(&mut buf[..want], offset))
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<usize> {
        let takes_space = offset + buf.len() as u64 > self.len()?;
        let (mut inner, halved) = self.call(Some(Op::Write { offset, bytes: buf }), Does::Write { takes_space })?;
        let want = if halved { buf.len().div_ceil(2) } else { buf.len() };
        let call = inner.changes;
        inner.state.file_mut(self.handle.file).write(&buf[..want], offset, call);
        Ok(want)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.sync()
    }

    fn sync_all(&self) -> io::Result<()> {
        self.sync()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let (mut inner, _) = self.call(Some(Op::SetLen), Does::Other)?;
        let call = inner.changes;
        inner.state.file_mut(self.handle.file).set_len(len, call);
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.disk.lock().state.file(self.handle.file).now.len)
    }

    fn identity(&self) -> io::Result<FileIdentity> {
        let (inner, _) = self.call(None, Does::Other)?;
        let identity = inner.state.file(self.handle.file).identity;
        Ok(FileIdentity { inode: identity, birth_ns: identity })
    }

    fn try_lock(&self) -> io::Result<bool> {
        let (mut inner, _) = self.call(None, Does::Other)?;
        let handle = self.handle;
        let file = inner.state.file_mut(handle.file);
        Ok(*file.locked_by.get_or_insert(handle) == handle)
    }

    fn map(&self, len: u64) -> io::Result<Bytes> {
        let (inner, _) = self.call(None, Does::Read)?;
        let now = &inner.state.file(self.handle.file).now;
        if now.len < len {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let mut bytes = vec![0; len as usize];
        now.read(&mut bytes, 0);
        Ok(bytes.into())
    }
}

impl Drop for SimFile {
    fn drop(&mut self) {
        let mut inner = self.disk.lock();
        let handle = self.handle;
        if inner.life == handle.life && inner.state.file(handle.file).locked_by == Some(handle) {
            inner.state.file_mut(handle.file).locked_by = None;
        }
    }
}

impl fmt::Debug for SimFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimFile").field("path", &self.path).finish_non_exhaustive()
    }
}
