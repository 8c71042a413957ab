//! A fresh directory on either disk, and the macro that runs a test on both.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use batpak_segment::{Access, Disk, MemoryDisk, RealDisk, segment_path};

pub struct Place {
    pub disk: Arc<dyn Disk>,
    pub dir: PathBuf,
    _temporary: Option<tempfile::TempDir>,
}

impl Place {
    pub fn real() -> Place {
        let temporary = tempfile::tempdir().unwrap();
        let dir = temporary.path().join("segments");
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        disk.create_dir(&dir, 0o700).unwrap();
        Place { disk, dir, _temporary: Some(temporary) }
    }

    pub fn memory() -> Place {
        Place::on(Arc::new(MemoryDisk::new()))
    }

    pub fn on(disk: Arc<dyn Disk>) -> Place {
        let dir = PathBuf::from("/segments");
        disk.create_dir(&dir, 0o700).unwrap();
        disk.sync_dir(Path::new("/")).unwrap();
        Place { disk, dir, _temporary: None }
    }

    /// The directory that [`Place::on`] has made on this disk, or on one that it was copied from.
    pub fn again(disk: Arc<dyn Disk>) -> Place {
        Place { disk, dir: PathBuf::from("/segments"), _temporary: None }
    }

    pub fn read(&self, number: u64) -> Vec<u8> {
        let file = self.disk.open(&segment_path(&self.dir, number), Access::Read).unwrap();
        let mut bytes = vec![0; usize::try_from(file.len().unwrap()).unwrap()];
        file.read_exact_at(&mut bytes, 0).unwrap();
        bytes
    }

    /// Puts a file's bytes in place, synced, whatever was there.
    pub fn put(&self, number: u64, bytes: &[u8]) {
        self.put_named(&segment_path(&self.dir, number), bytes);
    }

    pub fn put_named(&self, path: &Path, bytes: &[u8]) {
        if self.disk.exists(path).unwrap() {
            self.disk.remove(path).unwrap();
        }
        let file = self.disk.create_new(path, 0o600).unwrap();
        file.write_all_at(bytes, 0).unwrap();
        file.sync_all().unwrap();
        self.disk.sync_dir(&self.dir).unwrap();
    }

    /// Cuts the file of segment `number` at `len`.
    pub fn truncate(&self, number: u64, len: u64) {
        let bytes = self.read(number);
        self.put(number, &bytes[..usize::try_from(len).unwrap()]);
    }

    /// Zeros a range of a segment.
    pub fn zero(&self, number: u64, from: u64, to: u64) {
        let mut bytes = self.read(number);
        bytes[usize::try_from(from).unwrap()..usize::try_from(to).unwrap()].fill(0);
        self.put(number, &bytes);
    }

    pub fn remove(&self, number: u64) {
        self.disk.remove(&segment_path(&self.dir, number)).unwrap();
    }

    /// All files and their bytes.
    pub fn snapshot(&self) -> BTreeMap<String, Vec<u8>> {
        let mut files = BTreeMap::new();
        for entry in self.disk.list(&self.dir).unwrap() {
            let file = self.disk.open(&self.dir.join(&entry.name), Access::Read).unwrap();
            let mut bytes = vec![0; usize::try_from(file.len().unwrap()).unwrap()];
            file.read_exact_at(&mut bytes, 0).unwrap();
            files.insert(entry.name.into_string().unwrap(), bytes);
        }
        files
    }

    /// A fresh directory in memory with the same files.
    pub fn duplicate(&self) -> Place {
        let copy = Place::memory();
        for (name, bytes) in self.snapshot() {
            copy.put_named(&copy.dir.join(name), &bytes);
        }
        copy
    }
}

/// Runs tests, functions of a [`Place`], on the real disk and on the one in memory.
macro_rules! on_both_disks {
    ($($name:ident),+ $(,)?) => {
        mod real { $(#[test] fn $name() { super::$name(&crate::place::Place::real()); })+ }
        mod memory { $(#[test] fn $name() { super::$name(&crate::place::Place::memory()); })+ }
    };
}
pub(crate) use on_both_disks;
