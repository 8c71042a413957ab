//! Readers beside a writer: none waits for a disk that is slow to take a write.

use std::{
    io,
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, mpsc},
    time::Duration,
};

use batpak_store::{
    Durability, Encryption, Event, Query, Receipt, Store, VerifyOptions,
    segment::{Access, Disk, DiskFile, FileIdentity, MemoryDisk},
};
use bytes::Bytes;

use crate::kit::{Place, append, event, open};

/// Nothing here takes long: whoever has not come by then waits for the writer.
const LONG: Duration = Duration::from_secs(60);

/// Holds up every write to a segment while it is shut.
#[derive(Debug, Default)]
struct Gate {
    state: Mutex<(bool, u32)>,
    changed: Condvar,
}

impl Gate {
    fn set(&self, shut: bool) {
        self.state.lock().unwrap().0 = shut;
        self.changed.notify_all();
    }

    /// Waits until a write is held up.
    fn until_held(&self) {
        drop(self.changed.wait_while(self.state.lock().unwrap(), |(_, held)| *held == 0).unwrap());
    }

    fn pass(&self) {
        let mut state = self.state.lock().unwrap();
        state.1 += 1;
        self.changed.notify_all();
        state = self.changed.wait_while(state, |(shut, _)| *shut).unwrap();
        state.1 -= 1;
    }
}

/// A disk in memory, slow when it is told to be.
#[derive(Debug)]
struct SlowDisk {
    memory: MemoryDisk,
    gate: Arc<Gate>,
}

#[derive(Debug)]
struct SlowFile {
    file: Arc<dyn DiskFile>,
    gate: Option<Arc<Gate>>,
}

impl SlowDisk {
    fn file(&self, path: &Path, file: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        let is_segment = path.extension().is_some_and(|extension| extension == "seg");
        Arc::new(SlowFile { file, gate: is_segment.then(|| Arc::clone(&self.gate)) })
    }
}

impl Disk for SlowDisk {
    fn create_new(&self, path: &Path, mode: u32) -> io::Result<Arc<dyn DiskFile>> {
        Ok(self.file(path, self.memory.create_new(path, mode)?))
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn DiskFile>> {
        Ok(self.file(path, self.memory.open(path, access)?))
    }

    fn create_dir(&self, path: &Path, mode: u32) -> io::Result<()> {
        self.memory.create_dir(path, mode)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<batpak_store::segment::DirEntryName>> {
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

impl DiskFile for SlowFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buf, offset)
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<usize> {
        if let Some(gate) = &self.gate {
            gate.pass();
        }
        self.file.write_at(buf, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        if let Some(gate) = &self.gate {
            gate.pass();
        }
        self.file.sync_data()
    }

    fn sync_all(&self) -> io::Result<()> {
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

/// Reads in every way there is what was appended before.
fn read_all(store: &Store, appended: &[Receipt]) -> usize {
    for receipt in appended {
        let event = store.get(receipt.id).unwrap().unwrap();
        assert_eq!((event.header.position, event.event_hash()), (receipt.position, receipt.event_hash));
        assert_eq!(open(&event), [receipt.position as u8; 200]);
        assert!(store.contains(receipt.id).unwrap());
    }
    let last = appended.last().unwrap();
    assert_eq!(store.latest("a").unwrap().unwrap().header.id, last.id);
    assert!(store.follow(&Query::all()).next_timeout(Duration::ZERO).unwrap().is_some());
    let streamed: Vec<Event> = store.stream("a", 0).unwrap().collect::<Result<_, _>>().unwrap();
    let mut replayed = Vec::new();
    let ended = store.replay(&Query::all(), |event| {
        replayed.push(event.to_event());
        ControlFlow::<()>::Continue(())
    });
    assert_eq!(ended.unwrap(), ControlFlow::Continue(last.position + 1));
    assert_eq!(streamed, replayed);
    replayed.len()
}

fn readers_go_on(sealed: bool, held: Durability) {
    let gate = Arc::new(Gate::default());
    let place = Place::memory();
    let disk = Arc::new(SlowDisk { memory: place.memory.clone().unwrap(), gate: Arc::clone(&gate) });
    let config = if sealed { place.config() } else { place.with(Encryption::none()) };
    let store = Store::create(place.dir(), config.disk(disk)).unwrap();
    let mut appended: Vec<Receipt> = (1..120_u8).map(|n| append(&store, "a", &[n; 200])).collect();
    // The last one is visible and only in the write buffer.
    appended.push(store.append(&event("a", &[120; 200]).durability(Durability::Deferred)).unwrap());
    assert!(store.stats().segments > 1);
    gate.set(true);
    let (store, appended) = (&store, &appended);
    std::thread::scope(|scope| {
        let writer = scope.spawn(move || store.append(&event("b", &[9; 200]).durability(held)).unwrap());
        gate.until_held();
        let (done, read) = mpsc::channel();
        let reader = scope.spawn(move || done.send(read_all(store, appended)));
        let read = read.recv_timeout(LONG);
        let waited = writer.is_finished();
        gate.set(false);
        assert_eq!(read, Ok(120));
        assert!(!waited, "the control: the write was held up all the while");
        reader.join().unwrap().unwrap();
        assert_eq!(writer.join().unwrap().position, 121);
    });
    let report = store.verify(VerifyOptions::full(), &mut |_| {}).unwrap();
    assert!(report.is_sound() && report.events == 121, "{report:?}");
}

#[test]
fn readers_do_not_wait_for_a_write_that_the_disk_is_slow_to_take() {
    for sealed in [false, true] {
        readers_go_on(sealed, Durability::Synced);
        readers_go_on(sealed, Durability::Buffered);
    }
}
