//! A disk with so many bytes of room: a write takes what there is, then there is no space; what stands can be written over.

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use batpak_store::{
    AppendError, Durability, EventId, EventKind, Granularity, PublishError, Query, Selector, ShredError, Store,
    segment::{Access, DirEntryName, Disk, DiskFile, FileIdentity, MemoryDisk},
};
use bytes::Bytes;

use crate::{
    kit::{Place, append, event, open, payloads, sound},
    shred::fate,
};

#[derive(Clone)]
struct Tight {
    disk: MemoryDisk,
    room: Arc<AtomicU64>,
    /// Writes that got less than they asked for, and writes that got nothing.
    short: Arc<AtomicU64>,
    none: Arc<AtomicU64>,
}

impl Tight {
    fn on(place: &Place) -> Self {
        let room = Arc::new(AtomicU64::new(u64::MAX));
        Self { disk: place.memory.clone().unwrap(), room, short: Arc::default(), none: Arc::default() }
    }

    fn leave(&self, bytes: u64) {
        self.room.store(bytes, Ordering::Relaxed);
    }

    fn file(&self, file: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        Arc::new(TightFile { file, disk: self.clone() })
    }

    /// Gives as much of `bytes` of new space as there is.
    fn take(&self, bytes: u64) -> u64 {
        let room = self.room.load(Ordering::Relaxed);
        let taken = bytes.min(room);
        self.leave(room - taken);
        taken
    }
}

impl fmt::Debug for Tight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tight")
    }
}

impl Disk for Tight {
    fn create_new(&self, path: &Path, mode: u32) -> io::Result<Arc<dyn DiskFile>> {
        self.disk.create_new(path, mode).map(|file| self.file(file))
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn DiskFile>> {
        self.disk.open(path, access).map(|file| self.file(file))
    }

    fn create_dir(&self, path: &Path, mode: u32) -> io::Result<()> {
        self.disk.create_dir(path, mode)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntryName>> {
        self.disk.list(dir)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.disk.remove(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.disk.sync_dir(dir)
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        self.disk.exists(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn mode(&self, path: &Path) -> io::Result<u32> {
        self.disk.mode(path)
    }

    fn canonical(&self, path: &Path) -> io::Result<PathBuf> {
        self.disk.canonical(path)
    }
}

#[derive(Debug)]
struct TightFile {
    file: Arc<dyn DiskFile>,
    disk: Tight,
}

impl DiskFile for TightFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buf, offset)
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<usize> {
        let (len, asked) = (self.file.len()?, buf.len() as u64);
        let stands = len.saturating_sub(offset).min(asked);
        let taken = stands + self.disk.take(asked - stands);
        if taken < asked {
            (if taken == 0 { &self.disk.none } else { &self.disk.short }).fetch_add(1, Ordering::Relaxed);
        }
        match usize::try_from(taken).unwrap() {
            0 if asked > 0 => Err(io::ErrorKind::StorageFull.into()),
            taken => self.file.write_at(&buf[..taken], offset),
        }
    }

    fn sync_data(&self) -> io::Result<()> {
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

#[test]
fn frame_that_half_fits_is_cut_back_and_goes_in_when_there_is_room() {
    for granularity in [Granularity::Entity, Granularity::Event] {
        let mut refusals = 0;
        for room in (0..4_000).step_by(97) {
            let place = Place::memory();
            let disk = Tight::on(&place);
            let config = || place.config().granularity(granularity).disk(Arc::new(disk.clone()));
            // Without blocks written ahead, so that every frame needs room.
            let store = Store::create(place.dir(), config().durability(Durability::Buffered)).unwrap();
            let mut acknowledged = Vec::new();
            disk.leave(room);
            for n in 0..12_u8 {
                let payload = [n; 600];
                match store.append(&event("a", &payload)) {
                    Ok(_) => acknowledged.push(payload.to_vec()),
                    Err(AppendError::NotWritten(why)) if why.kind() == io::ErrorKind::StorageFull => {
                        refusals += 1;
                        assert_eq!(payloads(&store), acknowledged, "{room}");
                        // What stood in its place was cut: as much as was there is still free for a smaller one.
                        disk.leave(u64::from(n) * 50);
                    }
                    Err(other) => panic!("{room}: {other:?}"),
                }
            }
            disk.leave(u64::MAX);
            append(&store, "a", b"room again");
            acknowledged.push(b"room again".to_vec());
            assert_eq!(payloads(&store), acknowledged, "{room}");
            sound(&store);
            store.close().unwrap();
            let store = Store::open(place.dir(), config()).unwrap();
            assert_eq!((payloads(&store), store.open_report().clean), (acknowledged, true), "{room}");
            sound(&store);
        }
        assert!(refusals > 100, "{refusals}");
    }
}

#[test]
fn disk_that_stays_full_refuses_every_append_and_reads_go_on() {
    let place = Place::memory();
    let disk = Tight::on(&place);
    let config = place.config().durability(Durability::Buffered).disk(Arc::new(disk.clone()));
    let store = Store::create(place.dir(), config).unwrap();
    let first = append(&store, "a", b"1");
    disk.leave(100);
    for entity in ["a", "b", "a"] {
        for durability in [Durability::Synced, Durability::Buffered] {
            let refused = store.append(&event(entity, &[7; 300]).durability(durability)).unwrap_err();
            assert!(matches!(refused, AppendError::NotWritten(_)), "{refused:?}");
            let batch = [event(entity, b"1").durability(durability), event("a", &[7; 300]).durability(durability)];
            let refused = store.append_batch(&batch).unwrap_err();
            assert!(matches!(refused, AppendError::NotWritten(_)), "{refused:?}");
        }
    }
    let counts = (disk.short.load(Ordering::Relaxed), disk.none.load(Ordering::Relaxed));
    assert!(counts.0 >= 1 && counts.1 >= 11, "{counts:?}");
    assert_eq!(open(&store.get(first.id).unwrap().unwrap()), b"1");
    assert_eq!(payloads(&place.reader()), [b"1".to_vec()]);
    sound(&store);
    store.close().unwrap_err();
    disk.leave(u64::MAX);
    let store = place.open();
    append(&store, "b", b"2");
    assert_eq!(payloads(&store), [b"1".to_vec(), b"2".to_vec()]);
    sound(&store);
}

/// What a shred of `victims` does with so much room: done, or refused with nothing changed. Tells which.
fn shred_with(room: u64, durability: Durability, events: u64) -> bool {
    let place = Place::memory();
    let disk = Tight::on(&place);
    let config = || place.config().durability(durability).disk(Arc::new(disk.clone()));
    let store = Store::create(place.dir(), config()).unwrap();
    let ids: Vec<EventId> = (0..events).map(|n| append(&store, &format!("e{n}"), b"x").id).collect();
    store.sync().unwrap();
    let victims: Vec<Selector> = (0..events).step_by(3).map(|n| Selector::Entity(format!("e{n}"))).collect();
    let before = store.stats();
    let intents =
        |store: &Store| store.read(&Query::all().kind(EventKind::SHRED_INTENT).include_system(true)).unwrap().count();
    disk.leave(room);
    let outcome = store.shred(&victims, 0, "");
    let fates = |done: bool, store: &Store| {
        for (n, id) in ids.iter().enumerate() {
            assert_eq!(fate(store, *id), if done && n % 3 == 0 { "shredded" } else { "open" }, "{room}: {n}");
        }
    };
    let done = match outcome {
        Ok(shredding) => {
            assert_eq!(shredding.keys, victims.len() as u64);
            true
        }
        Err(ShredError::Prepare(PublishError::Disk(why))) if why.kind() == io::ErrorKind::StorageFull => false,
        Err(ShredError::Append(AppendError::NotWritten(why))) if why.kind() == io::ErrorKind::StorageFull => false,
        Err(why) => panic!("{room} with {events} events: {why:?}"),
    };
    assert_eq!(store.stats().pending, None);
    assert_eq!(intents(&store), usize::from(done), "{room}");
    assert_eq!(done, store.stats().events > before.events);
    fates(done, &store);
    disk.leave(u64::MAX);
    if !done {
        // Nothing is in the way of the next one, nor of appends.
        append(&store, "e0", b"goes on");
        store.shred(&victims, 0, "").unwrap();
    }
    fates(true, &store);
    sound(&store);
    store.close().unwrap();
    let store = Store::open(place.dir(), config()).unwrap();
    assert!(store.open_report().clean);
    fates(true, &store);
    done
}

#[test]
fn shred_with_no_room_or_little_is_done_or_refused_with_nothing_changed() {
    let (mut done, mut refused) = (0, 0);
    for durability in [Durability::Synced, Durability::Buffered] {
        // The last segment is filled to its end by some of them.
        for events in [1, 67, 68, 69, 70, 200] {
            for room in [0, 1, 400, 600, 3_000, 10_000, 40_000, 1 << 20] {
                *(if shred_with(room, durability, events) { &mut done } else { &mut refused }) += 1;
            }
        }
    }
    assert!(done > 20 && refused > 20, "{done} done, {refused} refused");
    // Blocks are there already where appends are synced: a shred needs none.
    assert!(shred_with(0, Durability::Synced, 1));
    assert!(!shred_with(0, Durability::Buffered, 1));
}
