//! Backups taken while threads append and shred and segments roll: each opens and verifies.

use std::sync::atomic::{AtomicBool, Ordering};

use batpak_store::{Encryption, Local, Selector, Store};

use crate::{
    backup::{folders, restored},
    kit::{Place, append, both},
};

/// Threads append and shred, and segments roll, while backups are taken by `take`.
fn backups_while_written(place: &Place, take: impl Fn(&Store, usize) + Sync) {
    let config = || place.with(Encryption::sealed(Local::new())).segment_bytes(4096);
    let store = Store::create(place.dir(), config()).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for thread in 0..2 {
            let (store, done) = (&store, &done);
            scope.spawn(move || {
                for n in 0_u64.. {
                    let entity = format!("t{thread}-{}", n / 4);
                    append(store, &entity, &[7; 300]);
                    if n % 16 == 15 {
                        store.shred(&[Selector::Entity(entity)], 1, "").unwrap();
                    }
                    if done.load(Ordering::Relaxed) {
                        break;
                    }
                }
            });
        }
        for round in 0..8 {
            take(&store, round);
        }
        done.store(true, Ordering::Relaxed);
    });
    store.close().unwrap();
    let mut positions = Vec::new();
    for round in 0..8 {
        let dir = restored(place, &folders(place, &format!("b{}", round / 2)), &format!("again{round}"));
        let store = Store::open(&dir, config()).unwrap();
        let report = store.verify(batpak_store::VerifyOptions::full(), &mut |_| {}).unwrap();
        assert!(report.is_sound() && report.lost == 0, "{report:?}");
        assert!(store.open_report().torn.is_none() && !store.open_report().keyset_rolled_back);
        positions.push(report.events);
    }
    assert!(positions.windows(2).all(|pair| pair[0] <= pair[1]) && positions[0] < positions[7], "{positions:?}");
}

#[test]
fn backup_in_the_process_that_writes_opens_and_verifies() {
    both(|place| {
        backups_while_written(place, |store, round| {
            store.backup(&folders(place, &format!("b{}", round / 2)), &mut |_, _| {}).unwrap();
        });
    });
}

#[test]
fn backup_beside_threads_that_write_opens_and_verifies() {
    both(|place| {
        let closed = || place.with(Encryption::none()).without_keys();
        backups_while_written(place, |_, round| {
            let reader = Store::open_read_only(place.dir(), closed()).unwrap();
            reader.backup(&folders(place, &format!("b{}", round / 2)), &mut |_, _| {}).unwrap();
        });
    });
}
