//! What only the page cache shows when a process ends is not taken for durable by the next one.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use batpak_store::{
    Selector, ShredError, Store,
    keyset::{Copy, SECTOR_LEN},
    segment::{DiskOp, MemoryDisk},
};

use crate::kit::{Place, append, payloads, sound};

/// Fails the syncs of a file from here on, and all calls behind the first of them: the process is at its end.
fn end_at_sync_of(memory: &MemoryDisk, name: &'static str) -> Arc<AtomicBool> {
    let ended = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&ended);
    memory.fail(Box::new(move |call| {
        let sync = matches!(call.op, DiskOp::SyncData | DiskOp::SyncAll);
        if sync && call.path.ends_with(name) {
            told.store(true, Ordering::Relaxed);
        }
        told.load(Ordering::Relaxed).then(|| io::ErrorKind::Other.into())
    }));
    ended
}

/// The same disk, seen by the next process: what was written is there, synced or not.
fn next_process(place: &Place) -> Place {
    let memory = place.memory.as_ref().unwrap();
    memory.clear_hooks();
    Place::on(memory.copy())
}

/// How many secrets the key file holds after a power cut.
fn secrets(place: &Place) -> usize {
    place.memory.as_ref().unwrap().crash();
    place.read(&place.key_file()).chunks(SECTOR_LEN).filter(|sector| sector.iter().any(|byte| *byte != 0)).count()
}

#[test]
fn old_secret_whose_destruction_was_not_synced_is_destroyed_by_the_next_open() {
    let place = Place::memory();
    let store = place.create();
    append(&store, "a", b"victim");
    append(&store, "b", b"other");
    // Of the two syncs of the key file the second is that of the destruction.
    let memory = place.memory.clone().unwrap();
    let mut syncs = 0;
    memory.fail(Box::new(move |call| {
        syncs += u32::from(matches!(call.op, DiskOp::SyncData) && call.path.ends_with("root.key"));
        (syncs >= 2).then(|| io::ErrorKind::Other.into())
    }));
    let shred = store.shred(&[Selector::Entity("a".into())], 1, "");
    assert!(matches!(shred, Err(ShredError::Pending { .. })), "{shred:?}");
    let next = next_process(&place);
    drop(store);
    let control = Place::on(next.memory.as_ref().unwrap().copy());
    assert_eq!(secrets(&control), 2, "the control: the disk has both, whatever the page cache shows");
    drop(next.open());
    assert_eq!(secrets(&next), 1);
    sound(&next.open());
}

#[test]
fn copy_that_was_healed_in_the_page_cache_only_is_healed_again() {
    for (copy, name) in Copy::BOTH.into_iter().zip(["keyset.a", "keyset.b"]) {
        let place = Place::memory();
        let store = place.create();
        append(&store, "a", b"1");
        // The clean close states this epoch.
        store.close().unwrap();
        let path = place.dir().join(copy.file_name());
        let mut bytes = place.read(&path);
        bytes[40] ^= 1;
        place.put(&path, &bytes);
        let ended = end_at_sync_of(place.memory.as_ref().unwrap(), name);
        assert!(Store::open(place.dir(), place.config()).is_err());
        assert!(ended.load(Ordering::Relaxed));
        let next = next_process(&place);
        drop(next.open());
        next.memory.as_ref().unwrap().crash();
        let [a, b] = Copy::BOTH.map(|copy| next.read(&next.dir().join(copy.file_name())));
        assert!(a == b, "{copy:?}: both copies are on the disk");
        assert_eq!(payloads(&next.open()), [b"1".to_vec()]);
    }
}

#[test]
fn clean_close_does_not_vouch_for_a_copy_whose_sync_failed() {
    let place = Place::memory();
    let store = place.create();
    let memory = place.memory.clone().unwrap();
    let mut failed = false;
    memory.fail(Box::new(move |call| {
        let strikes = !failed && matches!(call.op, DiskOp::SyncData) && call.path.ends_with("keyset.b");
        failed |= strikes;
        strikes.then(|| io::ErrorKind::Other.into())
    }));
    // The first copy is the durable point, so the append goes on.
    append(&store, "a", b"1");
    store.close().unwrap();
    let next = next_process(&place);
    let copies = |place: &Place| Copy::BOTH.map(|copy| place.read(&place.dir().join(copy.file_name())));
    let control = Place::on(next.memory.as_ref().unwrap().copy());
    let [a, b] = copies(&control);
    assert!(a == b, "the control: the page cache shows two whole copies");
    control.memory.as_ref().unwrap().crash();
    let [a, b] = copies(&control);
    assert!(a != b, "and the disk has one");
    drop(next.open());
    next.memory.as_ref().unwrap().crash();
    let [a, b] = copies(&next);
    assert!(a == b, "both copies are on the disk");
    assert_eq!(payloads(&next.open()), [b"1".to_vec()]);
}
