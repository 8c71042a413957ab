//! Cutting an operation at every call of the disk in turn, by a crash or by an error, and looking at what the next opens find.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use batpak_store::{Store, segment::MemoryDisk};

use crate::kit::Place;

/// How an operation is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Every call from one on fails, and then the process and the machine stop.
    Crash,
    /// One call fails.
    ErrorOnce,
    /// Every call from one on fails until the store is closed.
    ErrorForGood,
}

impl Cut {
    pub const ALL: [Self; 3] = [Self::Crash, Self::ErrorOnce, Self::ErrorForGood];
}

/// Fails calls from the one of this number on, once or for good; tells whether one failed.
pub fn fail_from(disk: &MemoryDisk, call: u64, once: bool) -> Arc<AtomicBool> {
    let (mut left, fired) = (call, Arc::new(AtomicBool::new(false)));
    let note = Arc::clone(&fired);
    disk.fail(Box::new(move |_| {
        if left == 0 {
            left = if once { u64::MAX } else { 0 };
            note.store(true, Ordering::Relaxed);
            return Some(std::io::ErrorKind::StorageFull.into());
        }
        left -= 1;
        None
    }));
    fired
}

/// Does something to a copy of a store, cut at its first call, its second and so on until it is not cut any more. `act` says whether it
/// was done; `check` looks at the store opened again, twice, and is told the call and what `act` said. Returns how often it was cut.
pub fn everywhere(
    start: &MemoryDisk,
    cut: Cut,
    act: &dyn Fn(&Store) -> bool,
    check: &dyn Fn(&Store, u64, bool),
) -> u64 {
    for call in 0.. {
        let disk = start.copy();
        let place = Place::on(disk.clone());
        let store = place.open();
        let fired = fail_from(&disk, call, cut == Cut::ErrorOnce);
        let done = act(&store);
        if cut == Cut::Crash {
            disk.crash();
            disk.clear_hooks();
            drop(store);
        } else {
            disk.clear_hooks();
            drop(store.close());
        }
        for _ in 0..2 {
            let store = place.open();
            check(&store, call, done);
            store.close().unwrap();
        }
        if !fired.load(Ordering::Relaxed) {
            assert!(done, "{cut:?}: not cut, and not done");
            return call;
        }
    }
    unreachable!("the loop ends with an operation that is not cut")
}
