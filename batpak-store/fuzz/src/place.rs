//! A place for a store on the disk in memory, with a clock and randomness that are the same in every run.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use batpak_store::{
    Clock, Config, Durability, Encryption, Event, KeyFile, NewEvent, Query, Selector, Store, Timestamp,
    crypto::{Entropy, EntropyError},
    segment::{Access, Disk, MemoryDisk},
};

pub const DIR: &str = "/store";
const KEY_FILE: &str = "/root.key";

/// Gives other bytes at every call, and the same in every run.
#[derive(Debug, Default)]
struct FixedEntropy(AtomicU64);

impl Entropy for FixedEntropy {
    fn fill(&self, out: &mut [u8]) -> Result<(), EntropyError> {
        let call = self.0.fetch_add(1, Ordering::Relaxed);
        blake3::Hasher::new().update(&call.to_le_bytes()).finalize_xof().fill(out);
        Ok(())
    }
}

#[derive(Debug)]
struct FixedClock;

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(1)
    }
}

/// A disk, and how a store on it is opened.
#[derive(Clone)]
pub struct Place {
    pub disk: MemoryDisk,
    entropy: Arc<dyn Entropy>,
    sealed: bool,
}

impl Place {
    pub fn new(sealed: bool) -> Self {
        Self::on(MemoryDisk::new(), sealed)
    }

    pub fn on(disk: MemoryDisk, sealed: bool) -> Self {
        Self { disk, entropy: Arc::new(FixedEntropy::default()), sealed }
    }

    /// The same store on a disk of its own.
    pub fn copy(&self) -> Self {
        Self { disk: self.disk.copy(), ..self.clone() }
    }

    pub fn config(&self) -> Config {
        let encryption = if self.sealed { Encryption::sealed(KeyFile::new(KEY_FILE)) } else { Encryption::none() };
        Config::new(encryption)
            .disk(Arc::new(self.disk.clone()))
            .clock(Arc::new(FixedClock))
            .entropy(Arc::clone(&self.entropy))
            .segment_bytes(4096)
            .durability(Durability::Buffered)
    }

    /// Every file, by name, the key file too.
    pub fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut files = vec![];
        for dir in [DIR, "/store/segments", "/store/extents"] {
            for entry in self.disk.list(Path::new(dir)).unwrap_or_default() {
                let path = Path::new(dir).join(entry.name);
                files.extend((!entry.is_dir).then(|| (path.clone(), self.read(&path))));
            }
        }
        if self.sealed {
            files.push((PathBuf::from(KEY_FILE), self.read(Path::new(KEY_FILE))));
        }
        files
    }

    fn read(&self, path: &Path) -> Vec<u8> {
        let bytes = || {
            let file = self.disk.open(path, Access::Read)?;
            let mut bytes = vec![0; usize::try_from(file.len()?).unwrap_or(0)];
            file.read_exact_at(&mut bytes, 0).map(|()| bytes)
        };
        bytes().unwrap_or_default()
    }

    /// Puts other bytes in a file's place, or takes it away.
    pub fn put(&self, path: &Path, bytes: Option<&[u8]>) {
        let Some(bytes) = bytes else {
            drop(self.disk.remove(path));
            return;
        };
        let file = self.disk.open(path, Access::ReadWrite).or_else(|_| self.disk.create_new(path, 0o600));
        let put = file.and_then(|file| {
            file.set_len(0)?;
            file.write_all_at(bytes, 0)?;
            file.sync_all()
        });
        put.unwrap_or_else(|why| panic!("{why}"));
        let dir = path.parent().unwrap_or(Path::new("/"));
        self.disk.sync_dir(dir).unwrap_or_else(|why| panic!("{why}"));
    }
}

/// An event of an entity, with a key of its own.
pub fn event(entity: u8, number: u32, payload: &[u8]) -> NewEvent<'_> {
    let at = batpak_store::Coordinate::new(&format!("e{entity}"), "s");
    let kind = batpak_store::EventKind::new(1, 1);
    let (Ok(at), Ok(kind)) = (at, kind) else { panic!("the names are valid") };
    NewEvent::new(at, kind, payload).key(&number.to_le_bytes())
}

/// Every event that can be read, the store's own too.
pub fn events(store: &Store) -> Vec<Event> {
    let Ok(events) = store.read(&Query::all().include_system(true)) else { return Vec::new() };
    events.map_while(Result::ok).collect()
}

/// A small store with segments, a batch, a shred and a readmission; closed, or stopped as it is.
pub fn sample(sealed: bool, closed: bool) -> Place {
    let place = Place::new(sealed);
    let fill = || -> Result<Store, Box<dyn std::error::Error>> {
        let store = Store::create(DIR, place.config())?;
        store.append(&event(0, 0, &[1; 300]))?;
        store.append_batch(&[event(1, 1, &[2; 200]), event(0, 2, &[3; 100]).tag("red")])?;
        if sealed {
            store.shred(&[Selector::Entity("e1".into())], 1, "case")?;
            store.readmit(&Selector::Entity("e1".into()))?;
        }
        for number in 3..9 {
            let synced = event((number % 3) as u8, number, &[4; 500]).durability(Durability::Synced);
            store.append(&synced)?;
        }
        store.append(&event(1, 9, b"the last"))?;
        Ok(store)
    };
    let store = fill().unwrap_or_else(|why| panic!("{why}"));
    if closed {
        drop(store);
        place
    } else {
        let stopped = place.copy();
        drop(store);
        stopped
    }
}
