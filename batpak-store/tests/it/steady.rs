//! What an append costs once everything is in place: no allocation, one write, and for a synced one one sync.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use batpak_store::{Durability, Encryption, NewEvent, Query, Store, segment::DiskOp};

use crate::{
    kit::{Place, at, kind},
    meter::metered,
};

const MODES: [Durability; 3] = [Durability::Deferred, Durability::Buffered, Durability::Synced];

fn store(place: &Place, sealed: bool) -> Store {
    let config = if sealed { place.config() } else { place.with(Encryption::none()) };
    Store::create(place.dir(), config.segment_bytes(64 << 20)).unwrap()
}

#[test]
fn append_allocates_nothing_but_where_the_index_grows() {
    for (mode, sealed) in MODES.into_iter().flat_map(|mode| [(mode, false), (mode, true)]) {
        let place = Place::real();
        let store = store(&place, sealed);
        let coordinates = ["a", "b", "c"].map(at);
        let append = |n: usize, payload: &[u8]| {
            let event = NewEvent::new(coordinates[n % 3].clone(), kind(), payload).durability(mode);
            metered(|| store.append(&event).unwrap()).1.largest
        };
        for payload in [vec![7; 256], vec![7; 4096]] {
            // Deferred appends fill several buffers before the first is written and comes back.
            let warm = if mode == Durability::Deferred { 600 } else { 60 };
            (0..warm).for_each(|n| {
                append(n, &payload);
            });
            let silent = (0..200).filter(|n| append(*n, &payload) == 0).count();
            assert!(silent >= 180, "{mode:?}, sealed {sealed}, {} bytes: {silent} of 200", payload.len());
        }
        // The measurement sees what there is: a batch has a list of its receipts.
        let pair = [0, 1].map(|n| NewEvent::new(coordinates[n].clone(), kind(), b"x").durability(mode));
        assert!(metered(|| store.append_batch(&pair).unwrap()).1.largest > 0);
    }
}

#[test]
fn append_is_one_write_and_when_synced_one_sync() {
    for (mode, writes, syncs) in
        [(Durability::Buffered, 40, 0), (Durability::Synced, 40, 40), (Durability::Deferred, 0, 0)]
    {
        let place = Place::memory();
        let store = store(&place, true);
        let append = |durability| {
            store.append(&NewEvent::new(at("a"), kind(), b"x").durability(durability)).unwrap();
        };
        // The key is durable, and the first blocks are written ahead.
        append(Durability::Synced);
        let counts: [Arc<AtomicUsize>; 3] = Default::default();
        let [written, synced, other] = counts.clone();
        place.memory.as_ref().unwrap().observe(Box::new(move |call| {
            let count = match call.op {
                DiskOp::Write { .. } => &written,
                DiskOp::SyncData => &synced,
                _ => &other,
            };
            count.fetch_add(1, Ordering::Relaxed);
        }));
        // The store's own thread writes what is deferred when its time has come, and everything then in one piece.
        (0..40).for_each(|_| append(mode));
        let [written, synced, other] = counts.map(|count| count.load(Ordering::Relaxed));
        if mode == Durability::Deferred {
            assert!(written < 40 && synced == 0 && other == 0, "{written} writes, {synced} syncs, {other} others");
        } else {
            assert_eq!((written, synced, other), (writes, syncs, 0), "{mode:?}");
        }
    }
}

#[test]
fn large_batch_keeps_its_order_and_its_payloads() {
    for sealed in [false, true] {
        let place = Place::memory();
        let store = store(&place, sealed);
        let payloads: Vec<Vec<u8>> = (0..37_usize).map(|n| vec![n as u8; 1 + 1000 * n]).collect();
        let events: Vec<_> = payloads
            .iter()
            .zip(["a", "b"].into_iter().cycle())
            .map(|(payload, entity)| NewEvent::new(at(entity), kind(), payload).durability(Durability::Buffered))
            .collect();
        let receipts = store.append_batch(&events).unwrap();
        let read: Vec<_> = store.read(&Query::all()).unwrap().map(Result::unwrap).collect();
        assert_eq!(read.len(), payloads.len());
        for ((event, receipt), payload) in read.iter().zip(&receipts).zip(&payloads) {
            assert_eq!((event.header.id, event.header.position), (receipt.id, receipt.position));
            assert_eq!(event.payload.open().unwrap(), payload);
        }
        let parts: Vec<u32> = read.iter().map(|event| event.header.batch.unwrap().index).collect();
        assert_eq!(parts, (0..37).collect::<Vec<_>>());
    }
}
