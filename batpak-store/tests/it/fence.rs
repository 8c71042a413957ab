//! The durability fence, at the calls of the disk.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use batpak_store::{
    AppendError, Durability, Granularity, NewEvent, Store,
    crypto::{Entropy, EntropyError, OsEntropy, RootSecret},
    format::{Frame, FrameLen, FrameSeed, SEGMENT_HEADER_LEN},
    keyset::{CopyBytes, Keyset, LoadInput, candidates},
    segment::{DiskOp, MemoryDisk},
};
use zeroize::Zeroizing;

use crate::kit::{Place, append, event, payloads, sound};

/// A store whose every sealed frame is looked at as it reaches the disk: its leaf must be reserved in, and derivable from, what a crash
/// at that instant would leave of the keyset (I1).
struct Watched {
    place: Place,
    memory: MemoryDisk,
    frames: Arc<AtomicU64>,
    orphans: Arc<AtomicU64>,
}

impl Watched {
    fn new() -> Self {
        let place = Place::memory();
        let memory = place.memory.clone().unwrap();
        Self { place, memory, frames: Arc::default(), orphans: Arc::default() }
    }

    fn watch(&self, store: &Store) {
        let (frames, orphans) = (Arc::clone(&self.frames), Arc::clone(&self.orphans));
        let (dir, id) = (self.place.dir(), store.info().store);
        let key_file = self.place.read(&self.place.key_file());
        let secret = batpak_store::keyset::KeyFile::decode(&key_file, Some(id)).unwrap();
        let secret = *secret.current().secret.expose();
        self.memory.observe(Box::new(move |call| {
            let DiskOp::Write { offset, bytes } = call.op else { return };
            if call.path.extension().is_none_or(|extension| extension != "seg") || offset < SEGMENT_HEADER_LEN as u64 {
                return;
            }
            let segment = call.path.file_stem().unwrap().to_str().unwrap().parse().unwrap();
            let durable = |name: &str| call.durable(&dir.join(name)).map(<[u8]>::to_vec);
            let keyset = load(durable("keyset.a"), durable("keyset.b"), &secret);
            let mut at = 0;
            while let Ok(FrameLen::Len(_)) = Frame::peek_len(&bytes[at..]) {
                let seed = FrameSeed { store: id, segment, offset: offset + at as u64 };
                let Ok(frame) = Frame::decode(&bytes[at..], &seed) else { break };
                if let Some(encryption) = frame.header().encryption() {
                    frames.fetch_add(1, Ordering::Relaxed);
                    let key_id = encryption.key_id;
                    let reserved = keyset.as_ref().is_some_and(|keyset| {
                        let page = keyset.pages().find(|page| page.first == key_id.page());
                        page.is_some_and(|page| key_id.leaf() < page.reserved) && keyset.key(key_id).is_ok()
                    });
                    if !reserved {
                        orphans.fetch_add(1, Ordering::Relaxed);
                    }
                }
                at += frame.len();
            }
        }));
    }

    fn seen(&self) -> (u64, u64) {
        (self.frames.load(Ordering::Relaxed), self.orphans.load(Ordering::Relaxed))
    }
}

fn load(a: Option<Vec<u8>>, b: Option<Vec<u8>>, secret: &[u8; 32]) -> Option<Keyset> {
    let input = LoadInput {
        store: None,
        a: a.as_deref().map_or(CopyBytes::Absent, CopyBytes::Bytes),
        b: b.as_deref().map_or(CopyBytes::Absent, CopyBytes::Bytes),
    };
    let root = RootSecret::from_bytes(Zeroizing::new(*secret));
    Some(candidates(&input).ok()?.open(&root).ok()?.keyset)
}

#[test]
fn every_leaf_is_durable_before_its_first_frame_in_every_mode() {
    for granularity in [Granularity::Entity, Granularity::Event] {
        for durability in [Durability::Synced, Durability::Buffered, Durability::Deferred] {
            let watched = Watched::new();
            let store = watched.place.create_per(granularity);
            watched.watch(&store);
            for n in 0..300_u32 {
                let payload = n.to_le_bytes();
                let entity = format!("e{n}");
                let new = event(&entity, &payload).durability(durability);
                match n % 3 {
                    0 => drop(store.append(&new).unwrap()),
                    1 => drop(store.submit(&new).unwrap()),
                    _ => drop(store.append_batch(&[new, event("old", b"x").durability(durability)]).unwrap()),
                }
            }
            store.close().unwrap();
            assert_eq!(watched.seen(), (400, 0), "{granularity:?} {durability:?}");
        }
    }
}

#[test]
fn the_watch_finds_a_frame_whose_leaf_is_not_durable() {
    // The control: a keyset put back to before the mints makes every frame an orphan.
    let watched = Watched::new();
    let store = watched.place.create();
    let before = watched.place.read(&watched.place.dir().join("keyset.a"));
    append(&store, "a", b"x");
    watched.place.put(&watched.place.dir().join("keyset.a"), &before);
    watched.place.put(&watched.place.dir().join("keyset.b"), &before);
    watched.watch(&store);
    append(&store, "a", b"y");
    assert_eq!(watched.seen(), (1, 1));
}

/// Fails every write or sync of a keyset copy while it is switched on.
fn refuse_keyset(memory: &MemoryDisk) -> Arc<AtomicBool> {
    let on = Arc::new(AtomicBool::new(false));
    let switch = Arc::clone(&on);
    memory.fail(Box::new(move |call| {
        let keyset = call.path.file_stem().is_some_and(|stem| stem == "keyset");
        let writes = matches!(call.op, DiskOp::Write { .. } | DiskOp::SyncData | DiskOp::SyncAll);
        (keyset && writes && switch.load(Ordering::Relaxed)).then(|| std::io::ErrorKind::StorageFull.into())
    }));
    on
}

#[test]
fn a_failed_publication_fails_the_append_closed_and_the_next_mint_publishes_again() {
    let place = Place::memory();
    let store = place.create_per(Granularity::Entity);
    append(&store, "covered", b"1");
    // Use up the first reservation, so that the next mint needs a publication.
    let mut n = 0;
    let refusing = refuse_keyset(place.memory.as_ref().unwrap());
    refusing.store(true, Ordering::Relaxed);
    let refused = loop {
        match store.append(&event(&format!("e{n}"), b"x")) {
            Ok(_) => n += 1,
            Err(refused) => break refused,
        }
    };
    assert!(matches!(refused, AppendError::KeyNotDurable(_)), "{refused:?}");
    assert_eq!(n, 63, "the first reservation has 64 leaves, one of them taken before");
    let events = store.stats().events;
    let log = place.read(&place.dir().join("segments/00000000000000000001.seg"));
    for durability in [Durability::Synced, Durability::Buffered, Durability::Deferred] {
        let new = event("another", b"x").durability(durability);
        assert!(matches!(store.append(&new), Err(AppendError::KeyNotDurable(_))));
        let batch = [event("covered", b"x"), event("another", b"x").durability(durability)];
        assert!(matches!(store.append_batch(&batch), Err(AppendError::KeyNotDurable(_))));
    }
    assert_eq!(store.stats().events, events);
    assert_eq!(place.read(&place.dir().join("segments/00000000000000000001.seg")), log, "nothing was framed");
    append(&store, "covered", b"2");
    refusing.store(false, Ordering::Relaxed);
    append(&store, "another", b"y");
    sound(&store);
    store.close().unwrap();
    sound(&place.open());
}

/// Randomness that can be switched off.
#[derive(Debug, Default)]
struct Switched {
    off: AtomicBool,
    calls: Mutex<u64>,
}

impl Entropy for Switched {
    fn fill(&self, out: &mut [u8]) -> Result<(), EntropyError> {
        *self.calls.lock().unwrap() += 1;
        if self.off.load(Ordering::Relaxed) {
            return Err(EntropyError::new(Some(5)));
        }
        OsEntropy.fill(out)
    }
}

#[test]
fn a_csprng_that_fails_writes_nothing() {
    let place = Place::memory();
    let entropy = Arc::new(Switched::default());
    let config = place.config().entropy(Arc::clone(&entropy) as Arc<dyn Entropy>);
    let store = Store::create(place.dir(), config.nonce_mode(batpak_store::crypto::NonceMode::PerCall)).unwrap();
    append(&store, "a", b"1");
    let before = place.files();
    entropy.off.store(true, Ordering::Relaxed);
    let new: NewEvent<'_> = event("a", b"2").key(b"own id");
    assert!(matches!(store.append(&new), Err(AppendError::SealFailed)));
    assert!(matches!(store.append_batch(&[new.clone(), event("b", b"3").key(b"other")]), Err(AppendError::SealFailed)));
    assert_eq!(place.files(), before);
    entropy.off.store(false, Ordering::Relaxed);
    store.append(&new).unwrap();
    assert_eq!(payloads(&store), [b"1".to_vec(), b"2".to_vec()]);
}

#[test]
fn open_and_close_mint_nothing() {
    let place = Place::memory();
    place.create().close().unwrap();
    let reserved = |store: &Store| store.stats().keyset.unwrap().leaves_reserved;
    for _ in 0..3 {
        let store = place.open();
        assert_eq!((reserved(&store), store.stats().keyset.unwrap().publications), (0, 0));
        store.close().unwrap();
    }
    let store = place.open();
    append(&store, "a", b"x");
    assert_eq!(reserved(&store), 64, "the control: a mint reserves");
}
