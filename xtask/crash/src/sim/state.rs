//! Everything that stands on the simulated disk. A clone is cheap: files and names are shared until one is changed.
//!
//! Invariant: a file stays when its last name is gone, for whoever has it open, and its sectors stay known, for a crash may show
//! them again where blocks were used anew.

use std::ffi::OsString;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use batpak_store::segment::DirEntryName;

use crate::sim::file::{Content, File};
use crate::sim::names::{Change, Entry, Names, is_root};

/// See the module.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    files: Vec<Arc<File>>,
    names: Arc<Names>,
    /// What the file held that was removed last.
    buried: Option<Arc<Content>>,
}

impl State {
    /// An empty disk with one directory, durably there.
    pub(crate) fn with_dir(dir: &Path) -> Self {
        let mut state = Self::default();
        let names = state.names_mut();
        names.now.insert(dir.to_owned(), Entry::Dir { mode: 0o700 });
        names.base.insert(dir.to_owned(), Entry::Dir { mode: 0o700 });
        state
    }

    pub(crate) fn of(files: Vec<File>, names: Names, buried: Option<Arc<Content>>) -> Self {
        Self { files: files.into_iter().map(Arc::new).collect(), names: Arc::new(names), buried }
    }

    pub(crate) fn file(&self, number: usize) -> &File {
        &self.files[number]
    }

    pub(crate) fn files(&self) -> &[Arc<File>] {
        &self.files
    }

    pub(crate) fn file_mut(&mut self, number: usize) -> &mut File {
        Arc::make_mut(&mut self.files[number])
    }

    pub(crate) fn names(&self) -> &Names {
        &self.names
    }

    pub(crate) fn names_mut(&mut self) -> &mut Names {
        Arc::make_mut(&mut self.names)
    }

    pub(crate) fn buried(&self) -> Option<&Arc<Content>> {
        self.buried.as_ref()
    }

    pub(crate) fn bury(&mut self, file: usize) {
        self.buried = Some(Arc::new(self.file(file).now.clone()));
    }

    /// A number above that of every call which is remembered.
    pub(crate) fn calls(&self) -> u64 {
        let dated = |file: &Arc<File>| {
            let sectors = file.pending.values().flatten().map(|dated| dated.call);
            sectors.chain(file.lengths.iter().map(|dated| dated.call)).max()
        };
        let files = self.files.iter().filter_map(dated);
        files.chain(self.names.pending.iter().map(|made| made.call)).max().map_or(0, |call| call + 1)
    }

    pub(crate) fn unlock_all(&mut self) {
        for number in 0..self.files.len() {
            if self.files[number].locked_by.is_some() {
                self.file_mut(number).locked_by = None;
            }
        }
    }

    pub(crate) fn find(&self, path: &Path) -> io::Result<usize> {
        match self.names.now.get(path) {
            Some(Entry::File(number)) => Ok(*number),
            Some(Entry::Dir { .. }) => Err(ErrorKind::InvalidInput.into()),
            None => Err(ErrorKind::NotFound.into()),
        }
    }

    /// The file that is under a name for sure.
    pub(crate) fn durable(&self, path: &Path) -> Option<&File> {
        match self.names.base.get(path) {
            Some(Entry::File(number)) => Some(self.file(*number)),
            _ => None,
        }
    }

    pub(crate) fn create(&mut self, path: &Path, mode: u32, call: u64) -> io::Result<usize> {
        self.check_free(path)?;
        let number = self.files.len();
        self.files.push(Arc::new(File { mode, identity: number as u64 + 1, ..File::default() }));
        self.names_mut().change(Change::Put(path.to_owned(), Entry::File(number)), call);
        Ok(number)
    }

    pub(crate) fn exists(&self, path: &Path) -> bool {
        is_root(path) || self.names.now.contains_key(path)
    }

    pub(crate) fn mode(&self, path: &Path) -> io::Result<u32> {
        match self.names.now.get(path) {
            Some(Entry::Dir { mode }) => Ok(*mode),
            Some(Entry::File(number)) => Ok(self.file(*number).mode),
            None => Err(ErrorKind::NotFound.into()),
        }
    }

    pub(crate) fn list(&self, dir: &Path) -> io::Result<Vec<DirEntryName>> {
        self.check_dir(dir)?;
        let children = self.names.now.iter().filter(|(path, _)| path.parent() == Some(dir));
        let names = children.filter_map(|(path, entry)| {
            let name: OsString = path.file_name()?.to_owned();
            Some(DirEntryName { name, is_dir: matches!(entry, Entry::Dir { .. }) })
        });
        Ok(names.collect())
    }

    pub(crate) fn check_free(&self, path: &Path) -> io::Result<()> {
        if self.exists(path) {
            return Err(ErrorKind::AlreadyExists.into());
        }
        self.check_dir(path.parent().ok_or(ErrorKind::InvalidInput)?)
    }

    pub(crate) fn check_dir(&self, dir: &Path) -> io::Result<()> {
        match self.names.now.get(dir) {
            Some(Entry::Dir { .. }) => Ok(()),
            _ if is_root(dir) => Ok(()),
            _ => Err(ErrorKind::NotFound.into()),
        }
    }

    /// Every file with what reads see of it.
    pub(crate) fn visible(&self) -> impl Iterator<Item = (&PathBuf, &File)> {
        self.names.now.iter().filter_map(|(path, entry)| match entry {
            Entry::File(number) => Some((path, self.file(*number))),
            Entry::Dir { .. } => None,
        })
    }

    /// BLAKE3 over all files, by name: what reads see, and what is durable where that is something else.
    pub(crate) fn hash(&self) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new();
        for (path, file) in self.visible() {
            hasher.update(path.as_os_str().as_encoded_bytes()).update(&[0]);
            file.now.hash(&mut hasher);
            if file.base != file.now {
                file.base.hash(&mut hasher);
            }
        }
        hasher.finalize()
    }

    /// Whether reads see the same files with the same bytes on both; names what differs.
    pub(crate) fn difference(&self, other: &Self) -> Option<PathBuf> {
        let mut a = self.visible();
        let mut b = other.visible();
        loop {
            match (a.next(), b.next()) {
                (None, None) => return None,
                (Some((path, one)), Some((same, two))) if path == same && one.now.len == two.now.len => {
                    let sectors = one.now.sectors.len().max(two.now.sectors.len());
                    if (0..sectors).any(|index| one.now.sector(index) != two.now.sector(index)) {
                        return Some(path.clone());
                    }
                }
                (Some((path, _)), _) | (None, Some((path, _))) => return Some(path.clone()),
            }
        }
    }
}
