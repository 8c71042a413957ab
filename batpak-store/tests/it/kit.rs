//! What the tests share: a place to put a store, on either disk, and events.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use batpak_store::{
    Config, Coordinate, Encryption, Event, EventKind, Granularity, Indexing, KeyFile, NewEvent, Query, Receipt, Store,
    segment::{Disk, MemoryDisk, RealDisk},
};
use tempfile::TempDir;

/// A directory for a store, and a key file beside it.
pub struct Place {
    pub disk: Arc<dyn Disk>,
    pub memory: Option<MemoryDisk>,
    root: PathBuf,
    _scratch: Option<TempDir>,
}

impl Place {
    pub fn real() -> Self {
        let scratch = tempfile::tempdir().unwrap();
        Self { disk: Arc::new(RealDisk), memory: None, root: scratch.path().to_owned(), _scratch: Some(scratch) }
    }

    pub fn memory() -> Self {
        Self::on(MemoryDisk::new())
    }

    pub fn on(memory: MemoryDisk) -> Self {
        let root = PathBuf::from("/place");
        if !memory.exists(&root).unwrap() {
            memory.create_dir(&root, 0o700).unwrap();
            memory.sync_dir(Path::new("/")).unwrap();
        }
        Self { disk: Arc::new(memory.clone()), memory: Some(memory), root, _scratch: None }
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    pub fn dir(&self) -> PathBuf {
        self.root.join("store")
    }

    pub fn key_file(&self) -> PathBuf {
        self.root.join("root.key")
    }

    /// Sealed with a key file, small segments.
    pub fn config(&self) -> Config {
        self.with(Encryption::sealed(KeyFile::new(self.key_file())))
    }

    pub fn with(&self, encryption: Encryption) -> Config {
        Config::new(encryption).disk(Arc::clone(&self.disk)).segment_bytes(16 * 1024).indexing(Indexing::Inline)
    }

    pub fn create(&self) -> Store {
        Store::create(self.dir(), self.config()).unwrap()
    }

    pub fn create_per(&self, granularity: Granularity) -> Store {
        Store::create(self.dir(), self.config().granularity(granularity)).unwrap()
    }

    pub fn open(&self) -> Store {
        Store::open(self.dir(), self.config()).unwrap()
    }

    pub fn reader(&self) -> Store {
        Store::open_read_only(self.dir(), self.config()).unwrap()
    }

    /// Every file below the store's directory, with its bytes.
    pub fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut files = Vec::new();
        self.collect(&self.dir(), &mut files);
        files
    }

    fn collect(&self, dir: &Path, files: &mut Vec<(PathBuf, Vec<u8>)>) {
        for entry in self.disk.list(dir).unwrap() {
            let path = dir.join(&entry.name);
            if entry.is_dir {
                self.collect(&path, files);
            } else {
                files.push((path.clone(), self.read(&path)));
            }
        }
    }

    pub fn read(&self, path: &Path) -> Vec<u8> {
        let file = self.disk.open(path, batpak_store::segment::Access::Read).unwrap();
        let mut bytes = vec![0; usize::try_from(file.len().unwrap()).unwrap()];
        file.read_exact_at(&mut bytes, 0).unwrap();
        bytes
    }

    /// Replaces a file's bytes, and syncs them.
    pub fn put(&self, path: &Path, bytes: &[u8]) {
        let file = match self.disk.open(path, batpak_store::segment::Access::ReadWrite) {
            Ok(file) => file,
            Err(_) => self.disk.create_new(path, 0o600).unwrap(),
        };
        file.set_len(0).unwrap();
        file.write_all_at(bytes, 0).unwrap();
        file.sync_all().unwrap();
        self.disk.sync_dir(path.parent().unwrap()).unwrap();
    }

    /// Copies a directory file by file, as `cp -r` does.
    pub fn copy_dir(&self, from: &Path, to: &Path) {
        self.disk.create_dir(to, 0o700).unwrap();
        for entry in self.disk.list(from).unwrap() {
            let (from, to) = (from.join(&entry.name), to.join(&entry.name));
            if entry.is_dir {
                self.copy_dir(&from, &to);
            } else {
                self.put(&to, &self.read(&from));
            }
        }
    }
}

/// Runs a test on both disks.
pub fn both(test: impl Fn(&Place)) {
    test(&Place::memory());
    test(&Place::real());
}

pub fn kind() -> EventKind {
    EventKind::new(1, 7).unwrap()
}

pub fn at(entity: &str) -> Coordinate {
    Coordinate::new(entity, "scope-1").unwrap()
}

pub fn event<'a>(entity: &str, payload: &'a [u8]) -> NewEvent<'a> {
    NewEvent::new(at(entity), kind(), payload)
}

pub fn is_index_file(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "idx")
}

pub fn append(store: &Store, entity: &str, payload: &[u8]) -> Receipt {
    store.append(&event(entity, payload)).unwrap()
}

/// The payloads of all events of callers, in order.
pub fn payloads(store: &Store) -> Vec<Vec<u8>> {
    store.read(&Query::all()).unwrap().map(|event| open(&event.unwrap())).collect()
}

pub fn open(event: &Event) -> Vec<u8> {
    match event.payload.open() {
        Some(bytes) => bytes.to_vec(),
        None => panic!("not open: {:?}", event.payload),
    }
}

pub fn sound(store: &Store) {
    let report = store.verify(batpak_store::VerifyOptions::full(), &mut |_| {}).unwrap();
    assert!(report.is_sound(), "{report:?}");
    assert_eq!(report.events + report.system_events, store.stats().visible_mark);
}

/// Checks that no file of the store is another than before; names those that are.
pub fn unchanged(place: &Place, before: &[(PathBuf, Vec<u8>)]) {
    let now = place.files();
    let changed =
        now.iter().filter(|file| !before.contains(file)).chain(before.iter().filter(|file| !now.contains(file)));
    assert_eq!(changed.map(|(path, _)| path).collect::<Vec<_>>(), Vec::<&PathBuf>::new());
}
