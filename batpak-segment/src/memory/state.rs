//! What the disk in memory holds: files by number, and names, each as it is now and as it was last synced.
//!
//! Invariant: the synced side changes only in `sync`, `sync_dir` and `copy`.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use crate::disk::{DirEntryName, FileIdentity};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Entry {
    Dir { mode: u32 },
    File(usize),
}

/// What one opening of a file is known by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Handle {
    file: usize,
    number: u64,
    generation: u64,
}

/// One file; it stays when its last name is removed, for whoever has it open.
#[derive(Clone, Default)]
pub(super) struct File {
    data: Vec<u8>,
    synced: Vec<u8>,
    mode: u32,
    identity: u64,
    locked_by: Option<Handle>,
}

impl File {
    pub(super) fn read(&self, buf: &mut [u8], offset: u64) -> usize {
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(self.data.len());
        let found = self.data.get(start..).unwrap_or_default();
        let count = found.len().min(buf.len());
        let (to, from) = (buf.split_at_mut(count).0, found.split_at(count).0);
        to.copy_from_slice(from);
        count
    }

    pub(super) fn write(&mut self, buf: &[u8], offset: u64) -> io::Result<usize> {
        let start = usize::try_from(offset).map_err(|_| ErrorKind::FileTooLarge)?;
        let end = start.checked_add(buf.len()).ok_or(ErrorKind::FileTooLarge)?;
        if self.data.len() < end {
            self.data.resize(end, 0);
        }
        if let Some(place) = self.data.get_mut(start..end) {
            place.copy_from_slice(buf);
        }
        Ok(buf.len())
    }

    pub(super) fn sync(&mut self) {
        self.synced.clone_from(&self.data);
    }

    pub(super) fn set_len(&mut self, len: u64) -> io::Result<()> {
        self.data.resize(usize::try_from(len).map_err(|_| ErrorKind::FileTooLarge)?, 0);
        Ok(())
    }

    pub(super) fn len(&self) -> u64 {
        self.data.len() as u64
    }

    pub(super) fn identity(&self) -> FileIdentity {
        FileIdentity { inode: self.identity, birth_ns: self.identity }
    }

    pub(super) fn try_lock(&mut self, holder: Handle) -> bool {
        *self.locked_by.get_or_insert(holder) == holder
    }

    pub(super) fn unlock(&mut self, holder: Handle) {
        self.locked_by.take_if(|by| *by == holder);
    }

    pub(super) fn prefix(&self, len: u64) -> io::Result<&[u8]> {
        let len = usize::try_from(len).map_err(|_| ErrorKind::UnexpectedEof)?;
        self.data.get(..len).ok_or_else(|| ErrorKind::UnexpectedEof.into())
    }
}

/// Everything on the disk.
#[derive(Default)]
pub(super) struct State {
    files: Vec<File>,
    names: BTreeMap<PathBuf, Entry>,
    synced_names: BTreeMap<PathBuf, Entry>,
    handles: u64,
    crashes: u64,
}

impl State {
    /// The file of a handle, unless the disk has crashed since it was opened.
    pub(super) fn file(&mut self, handle: Handle) -> io::Result<&mut File> {
        let alive = handle.generation == self.crashes;
        self.files.get_mut(handle.file).filter(|_| alive).ok_or_else(|| io::Error::other("opened before a crash"))
    }

    fn handle(&mut self, file: usize) -> Handle {
        self.handles += 1;
        Handle { file, number: self.handles, generation: self.crashes }
    }

    pub(super) fn open(&mut self, path: &Path) -> io::Result<Handle> {
        let file = self.find(path)?;
        Ok(self.handle(file))
    }

    pub(super) fn create(&mut self, path: &Path, mode: u32) -> io::Result<Handle> {
        self.check_free(path)?;
        let number = self.files.len();
        let identity = number as u64 + 1;
        self.files.push(File { mode: mode & 0o7777, identity, ..File::default() });
        self.names.insert(path.to_owned(), Entry::File(number));
        Ok(self.handle(number))
    }

    pub(super) fn create_dir(&mut self, path: &Path, mode: u32) -> io::Result<()> {
        self.check_free(path)?;
        self.names.insert(path.to_owned(), Entry::Dir { mode: mode & 0o7777 });
        Ok(())
    }

    fn find(&self, path: &Path) -> io::Result<usize> {
        match self.names.get(path) {
            Some(Entry::File(number)) => Ok(*number),
            Some(Entry::Dir { .. }) => Err(ErrorKind::InvalidInput.into()),
            None => Err(ErrorKind::NotFound.into()),
        }
    }

    pub(super) fn list(&self, dir: &Path) -> io::Result<Vec<DirEntryName>> {
        self.check_dir(dir)?;
        let children = self.names.iter().filter(|(path, _)| path.parent() == Some(dir));
        let names = children.filter_map(|(path, entry)| {
            let name: OsString = path.file_name()?.to_owned();
            Some(DirEntryName { name, is_dir: matches!(entry, Entry::Dir { .. }) })
        });
        Ok(names.collect())
    }

    pub(super) fn remove(&mut self, path: &Path) -> io::Result<()> {
        self.find(path)?;
        self.names.remove(path);
        Ok(())
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let number = self.find(from)?;
        self.check_dir(to.parent().ok_or(ErrorKind::InvalidInput)?)?;
        if matches!(self.names.get(to), Some(Entry::Dir { .. })) {
            return Err(ErrorKind::IsADirectory.into());
        }
        self.names.remove(from);
        self.names.insert(to.to_owned(), Entry::File(number));
        Ok(())
    }

    pub(super) fn exists(&self, path: &Path) -> bool {
        is_root(path) || self.names.contains_key(path)
    }

    pub(super) fn mode(&self, path: &Path) -> io::Result<u32> {
        match self.names.get(path) {
            Some(Entry::Dir { mode }) => Ok(*mode),
            Some(Entry::File(number)) => {
                self.files.get(*number).map(|file| file.mode).ok_or_else(|| ErrorKind::NotFound.into())
            }
            None if is_root(path) => Ok(0o755),
            None => Err(ErrorKind::NotFound.into()),
        }
    }

    pub(super) fn sync_dir(&mut self, dir: &Path) -> io::Result<()> {
        self.check_dir(dir)?;
        let child = |path: &Path| path.parent() == Some(dir);
        self.synced_names.retain(|path, _| !child(path));
        let now = self.names.iter().filter(|(path, _)| child(path));
        self.synced_names.extend(now.map(|(path, entry)| (path.clone(), *entry)));
        Ok(())
    }

    pub(super) fn durable(&self, path: &Path) -> Option<&[u8]> {
        let reachable = path.ancestors().skip(1).all(|dir| is_root(dir) || self.synced_names.contains_key(dir));
        match self.synced_names.get(path).filter(|_| reachable)? {
            Entry::File(number) => self.files.get(*number).map(|file| file.synced.as_slice()),
            Entry::Dir { .. } => None,
        }
    }

    pub(super) fn crash(&mut self) {
        self.crashes += 1;
        for file in &mut self.files {
            file.data.clone_from(&file.synced);
            file.locked_by = None;
        }
        let synced = self.synced_names.clone();
        let reachable = |path: &PathBuf, _: &mut Entry| {
            path.ancestors().skip(1).all(|dir| is_root(dir) || synced.contains_key(dir))
        };
        self.synced_names.retain(reachable);
        self.names.clone_from(&self.synced_names);
    }

    pub(super) fn copy(&self) -> State {
        let mut files = self.files.clone();
        for file in &mut files {
            file.locked_by = None;
        }
        let (names, synced_names) = (self.names.clone(), self.synced_names.clone());
        State { files, names, synced_names, ..State::default() }
    }

    fn check_free(&self, path: &Path) -> io::Result<()> {
        if self.exists(path) {
            return Err(ErrorKind::AlreadyExists.into());
        }
        self.check_dir(path.parent().ok_or(ErrorKind::InvalidInput)?)
    }

    fn check_dir(&self, dir: &Path) -> io::Result<()> {
        match self.names.get(dir) {
            Some(Entry::Dir { .. }) => Ok(()),
            Some(Entry::File(_)) => Err(ErrorKind::NotADirectory.into()),
            None if is_root(dir) => Ok(()),
            None => Err(ErrorKind::NotFound.into()),
        }
    }
}

fn is_root(path: &Path) -> bool {
    path.as_os_str().is_empty() || path == Path::new(".") || path == Path::new("/")
}
