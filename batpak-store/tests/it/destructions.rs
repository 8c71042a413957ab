//! An open whose provider cannot destroy the old root secret: only the destruction is missing, so the store serves, and says so.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use batpak_store::{
    Payload, Pending, Selector, ShredError,
    segment::{DiskOp, MemoryDisk},
};

use crate::kit::{Place, append, sound};

/// Refuses writes to the key file behind the first ones, until it is told to let them through.
fn refuse_key_file(disk: &MemoryDisk, after: u32) -> Arc<AtomicBool> {
    let refuse = Arc::new(AtomicBool::new(true));
    let (still, mut left) = (Arc::clone(&refuse), after);
    disk.fail(Box::new(move |call| {
        if !call.path.ends_with("root.key") || !matches!(call.op, DiskOp::Write { .. }) {
            return None;
        }
        let through = left > 0;
        left = left.saturating_sub(1);
        (!through && still.load(Ordering::Relaxed)).then(|| std::io::ErrorKind::PermissionDenied.into())
    }));
    refuse
}

#[test]
fn an_open_that_cannot_destroy_the_old_secret_serves_and_resume_finishes_it() {
    let place = Place::memory();
    let memory = place.memory.clone().unwrap();
    let store = place.create();
    let victim = append(&store, "victim", b"x");
    let other = append(&store, "other", b"y");
    // The next secret is stored, the old one cannot be destroyed.
    let refuse = refuse_key_file(&memory, 1);
    let shred = store.shred(&[Selector::Entity("victim".into())], 1, "");
    let Err(ShredError::Pending { intent, .. }) = shred else { panic!("not pending: {shred:?}") };
    drop(store);

    let store = place.open();
    assert_eq!(store.open_report().shred_finished, None);
    assert_eq!(store.stats().pending, Some(Pending::Shred { intent }));
    assert!(matches!(store.get(victim.id).unwrap().unwrap().payload, Payload::Shredded(_)));
    assert!(matches!(store.get(other.id).unwrap().unwrap().payload, Payload::Open(_)));
    append(&store, "other", b"z");
    assert!(matches!(store.resume(), Err(ShredError::Pending { .. })));

    refuse.store(false, Ordering::Relaxed);
    let finished = store.resume().unwrap().unwrap();
    assert_eq!(finished.what, Pending::Shred { intent });
    assert_eq!((store.stats().pending, store.resume().unwrap()), (None, None));
    sound(&store);
    drop(store);
    let store = place.open();
    assert_eq!((store.open_report().shred_finished, store.stats().pending), (None, None));
}

#[test]
fn an_open_that_cannot_destroy_the_secret_of_a_cut_rekey_serves_and_the_next_shred_finishes_it() {
    let place = Place::memory();
    let memory = place.memory.clone().unwrap();
    let store = place.create();
    append(&store, "victim", b"x");
    let refuse = refuse_key_file(&memory, 1);
    assert!(matches!(store.rekey(), Err(ShredError::RekeyPending(_))));
    drop(store);
    let store = place.open();
    assert_eq!(store.stats().pending, Some(Pending::Rekey));
    append(&store, "other", b"y");
    let victim = [Selector::Entity("victim".into())];
    assert!(matches!(store.shred(&victim, 1, ""), Err(ShredError::RekeyPending(_))));
    refuse.store(false, Ordering::Relaxed);
    store.shred(&victim, 1, "").unwrap();
    assert_eq!(store.stats().pending, None);
    sound(&store);
}
