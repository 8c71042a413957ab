//! What a read-only store makes of a writer that acts between two of its calls of the disk.

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use batpak_store::{
    Durability, Granularity, OpenError, Payload, Query, Store,
    segment::{Access, DirEntryName, Disk, DiskFile, MemoryDisk, SEGMENTS_DIR},
};

use crate::kit::{Place, append, both, event, open, payloads};

type Act = Box<dyn FnMut(&Path) + Send>;

/// A disk in memory that lets a test act before a file is opened or a directory listed; the act may use the disk.
struct Between {
    disk: MemoryDisk,
    act: Mutex<Option<Act>>,
}

impl Between {
    fn on(place: &Place) -> Arc<Self> {
        Arc::new(Self { disk: place.memory.clone().unwrap(), act: Mutex::new(None) })
    }

    fn act(&self, act: Act) {
        *self.act.lock().unwrap() = Some(act);
    }

    fn before(&self, path: &Path) {
        let act = self.act.lock().unwrap().take();
        if let Some(mut act) = act {
            act(path);
            self.act.lock().unwrap().get_or_insert(act);
        }
    }
}

impl fmt::Debug for Between {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Between")
    }
}

impl Disk for Between {
    fn create_new(&self, path: &Path, mode: u32) -> io::Result<Arc<dyn DiskFile>> {
        self.disk.create_new(path, mode)
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn DiskFile>> {
        self.before(path);
        self.disk.open(path, access)
    }

    fn create_dir(&self, path: &Path, mode: u32) -> io::Result<()> {
        self.disk.create_dir(path, mode)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntryName>> {
        self.before(dir);
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

fn is(path: &Path, name: &str) -> bool {
    path.file_name().is_some_and(|file| file == name)
}

/// So many mints need more than one publication.
const MINTS: u32 = 70;

fn mint(store: &Store) {
    for n in 0..MINTS {
        append(store, "a", &n.to_le_bytes());
    }
}

fn open_with(place: &Place, disk: Arc<Between>) -> Result<Store, OpenError> {
    Store::open_read_only(place.dir(), place.config().disk(disk))
}

#[test]
fn reader_that_opens_while_keys_are_published_reads_both_again() {
    let place = Place::memory();
    let store = Arc::new(place.create_per(Granularity::Event));
    let between = Between::on(&place);
    let (writer, mut loading, mut acted) = (Arc::clone(&store), false, false);
    between.act(Box::new(move |path| {
        loading |= is(path, "keyset.b");
        if loading && !acted && is(path, SEGMENTS_DIR) {
            acted = true;
            mint(&writer);
        }
    }));
    let reader = open_with(&place, between).unwrap();
    assert_eq!(payloads(&reader).len(), MINTS as usize);
}

#[test]
fn reader_that_opens_on_an_older_keyset_reads_both_again_once_and_finds_no_key() {
    // The control of the one above: nothing newer ever comes.
    let place = Place::memory();
    let store = place.create_per(Granularity::Event);
    let older = ["keyset.a", "keyset.b"].map(|name| (place.dir().join(name), place.read(&place.dir().join(name))));
    mint(&store);
    store.close().unwrap();
    for (path, bytes) in &older {
        place.put(path, bytes);
    }
    let refused = Store::open(place.dir(), place.config()).unwrap_err();
    assert!(matches!(refused, OpenError::KeysetRolledBack { .. }), "{refused:?}");
    let reader = open_with(&place, Between::on(&place)).unwrap();
    let all: Vec<_> = reader.read(&Query::all()).unwrap().map(Result::unwrap).collect();
    assert_eq!(all.len(), MINTS as usize);
    assert!(all.iter().all(|event| matches!(event.payload, Payload::KeyLost(_))));
}

#[test]
fn reader_shows_no_event_before_it_has_its_key() {
    let place = Place::memory();
    let store = place.create_per(Granularity::Event);
    let between = Between::on(&place);
    let reader = Arc::new(open_with(&place, Arc::clone(&between)).unwrap());
    mint(&store);
    let met = Arc::new(Mutex::new(Vec::new()));
    let (other_thread, seen) = (Arc::downgrade(&reader), Arc::clone(&met));
    between.act(Box::new(move |path| {
        if is(path, "keyset.a") {
            let reader = other_thread.upgrade().unwrap();
            seen.lock().unwrap().push(reader.stats().visible_mark);
        }
    }));
    let all: Vec<_> = reader.read(&Query::all()).unwrap().map(Result::unwrap).collect();
    assert!(all.iter().all(|event| matches!(event.payload, Payload::Open(_))));
    let met = met.lock().unwrap().clone();
    assert!(!met.is_empty() && met.iter().all(|mark| *mark == 1), "{met:?}");
    assert_eq!(reader.stats().visible_mark, u64::from(MINTS) + 1);
}

#[test]
fn get_of_an_event_that_was_seen_loads_the_newer_keyset_first() {
    let place = Place::memory();
    let store = place.create_per(Granularity::Event);
    let first = append(&store, "a", b"1");
    let reader = place.reader();
    let epoch = || reader.stats().keyset.unwrap().epoch;
    let before = epoch();
    mint(&store);
    assert_eq!(epoch(), before, "nothing was looked at yet");
    assert!(reader.get(first.id).unwrap().is_some());
    assert!(epoch() > before, "{} {before}", epoch());
    // A newer keyset may lack a key that a shred destroyed: the log that says so was looked at with it.
    assert_eq!(reader.stats().visible_mark, store.stats().visible_mark);
}

/// Reader threads of one read-only store, and opens of new ones, while a writer mints a key an event and rolls.
#[test]
fn readers_beside_a_busy_writer_never_meet_a_lost_key_or_a_refusal() {
    both(|place| {
        let store = place.create_per(Granularity::Event);
        let (done, shared) = (AtomicBool::new(false), place.reader());
        std::thread::scope(|scope| {
            let readers: Vec<_> = (0..2)
                .map(|_| {
                    scope.spawn(|| {
                        while !done.load(Ordering::Relaxed) {
                            let Some(event) = shared.latest("a").unwrap() else { continue };
                            assert!(matches!(event.payload, Payload::Open(_)), "{event:?}");
                        }
                    })
                })
                .collect();
            let opener = scope.spawn(|| {
                let mut seen = 0;
                while !done.load(Ordering::Relaxed) {
                    let fresh = Store::open_read_only(place.dir(), place.config()).unwrap();
                    let all: Vec<_> = fresh.read(&Query::all()).unwrap().map(|event| open(&event.unwrap())).collect();
                    assert!(all.len() >= seen, "{} after {seen}", all.len());
                    assert!(all.iter().zip(0_u32..).all(|(payload, n)| *payload == n.to_le_bytes()));
                    seen = all.len();
                }
            });
            for n in 0..600_u32 {
                store.append(&event("a", &n.to_le_bytes()).durability(Durability::Buffered)).unwrap();
                if readers.iter().any(|reader| reader.is_finished()) || opener.is_finished() {
                    break;
                }
            }
            done.store(true, Ordering::Relaxed);
            for thread in readers.into_iter().chain([opener]) {
                thread.join().unwrap();
            }
        });
        assert_eq!(payloads(&shared).len(), 600);
        assert!(store.stats().keyset.unwrap().publications >= 3);
    });
}
