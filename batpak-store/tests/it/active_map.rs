//! The active segment through a map of what it begins with: the same events, found with hardly a call of the disk, also while it grows.

use std::{
    io,
    ops::ControlFlow,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use batpak_store::{
    AppendError, Durability, Encryption, Event, Query, Receipt, Store,
    segment::{DiskOp, MemoryDisk},
};

use crate::kit::{Place, append, both, event, open};

/// Counts the reads of segments, maps among them.
fn count_reads(memory: &MemoryDisk) -> Arc<AtomicUsize> {
    let reads = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&reads);
    memory.observe(Box::new(move |call| {
        let is_segment = call.path.extension().is_some_and(|extension| extension == "seg");
        if is_segment && matches!(call.op, DiskOp::Read) {
            counted.fetch_add(1, Ordering::Relaxed);
        }
    }));
    reads
}

fn get_all(store: &Store, appended: &[Receipt]) {
    for (n, receipt) in appended.iter().enumerate() {
        let event = store.get(receipt.id).unwrap().unwrap();
        assert_eq!((event.header.position, open(&event)), (receipt.position, vec![n as u8; 1000]));
    }
}

#[test]
fn active_segment_is_mapped_by_who_writes_it_and_by_nobody_else() {
    let place = Place::memory();
    let config = place.config().segment_bytes(1 << 20);
    let store = Store::create(place.dir(), config.clone()).unwrap();
    let appended: Vec<Receipt> = (0..200_u8).map(|n| append(&store, "a", &[n; 1000])).collect();
    let reads = count_reads(place.memory.as_ref().unwrap());
    let so_many = |store: &Store, appended: &[Receipt]| {
        reads.store(0, Ordering::Relaxed);
        get_all(store, appended);
        reads.load(Ordering::Relaxed)
    };
    let first = so_many(&store, &appended);
    assert!(first < 20, "{first} reads: one a get at first, and then one map");
    assert_eq!(so_many(&store, &appended), 0);
    // What is little behind the map is read by position; more of it is mapped.
    let mut appended = appended;
    appended.extend((200..205_u8).map(|n| append(&store, "a", &[n; 1000])));
    assert_eq!(so_many(&store, &appended), 5);
    appended.extend((205..250_u8).map(|n| append(&store, "a", &[n; 1000])));
    let more = so_many(&store, &appended);
    assert!((5..40).contains(&more), "{more}");
    assert_eq!((so_many(&store, &appended), store.stats().segments), (0, 1));
    let reader = Store::open_read_only(place.dir(), config).unwrap();
    assert!(so_many(&reader, &appended) >= 250, "the control: a get is a read");
}

#[test]
fn active_segment_shows_each_event_as_it_grows_and_rolls() {
    both(|place| {
        for (name, config) in [("sealed", place.config()), ("plain", place.with(Encryption::none()))] {
            let (dir, config) = (place.root().join(name), config.segment_bytes(64 * 1024));
            let store = Store::create(&dir, config.clone()).unwrap();
            let payload = |n: usize| vec![n as u8; n * 37 % 1400];
            let (mut appended, mut kept): (Vec<Receipt>, Vec<(usize, Event)>) = (Vec::new(), Vec::new());
            for n in 0..300 {
                appended.push(append(&store, ["a", "b"][n % 2], &payload(n)));
                for at in [n, n / 2, n * 31 % (n + 1)] {
                    let event = store.get(appended[at].id).unwrap().unwrap();
                    assert_eq!(open(&event), payload(at));
                    kept.push((at, event));
                }
            }
            assert!(store.stats().segments > 2);
            // Maps that were replaced are whole as long as an event is a part of them.
            assert!(kept.iter().all(|(at, event)| open(event) == payload(*at)));
            let check = |store: &Store| {
                let read: Vec<Event> = store.read(&Query::all()).unwrap().collect::<Result<_, _>>().unwrap();
                assert!(read.iter().enumerate().all(|(n, event)| open(event) == payload(n)));
                let mut replayed = Vec::new();
                let ended = store.replay(&Query::all(), |event| {
                    replayed.push(event.to_event());
                    ControlFlow::<()>::Continue(())
                });
                assert_eq!(ended.unwrap(), ControlFlow::Continue(appended.last().unwrap().position + 1));
                assert_eq!((read.len(), &read), (300, &replayed));
            };
            check(&store);
            store.close().unwrap();
            check(&Store::open(&dir, config.clone()).unwrap());
            check(&Store::open_read_only(&dir, config).unwrap());
        }
    });
}

#[test]
fn active_segment_is_mapped_no_further_than_it_is_written() {
    let place = Place::memory();
    let store = Store::create(place.dir(), place.config().segment_bytes(1 << 20)).unwrap();
    let mut appended: Vec<Receipt> = (0..60_u8).map(|n| append(&store, "a", &[n; 1000])).collect();
    // A map of this disk is a copy: one that held bytes of a write that failed would show them.
    let fails = Arc::new(AtomicBool::new(true));
    let failing = Arc::clone(&fails);
    place.memory.as_ref().unwrap().fail(Box::new(move |call| {
        let fails = matches!(call.op, DiskOp::Write { .. }) && failing.swap(false, Ordering::Relaxed);
        fails.then(|| io::ErrorKind::Other.into())
    }));
    let refused = store.append(&event("a", &[77; 30_000]));
    assert!(matches!(refused, Err(AppendError::NotWritten(_))), "{refused:?}");
    get_all(&store, &appended);
    assert!(!fails.load(Ordering::Relaxed));
    for n in 60..120_u8 {
        appended.push(store.append(&event("a", &[n; 1000]).durability(Durability::Deferred)).unwrap());
        get_all(&store, &appended);
    }
    store.sync().unwrap();
    get_all(&store, &appended);
    assert_eq!(store.stats().segments, 1);
}
