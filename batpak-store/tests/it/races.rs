//! Real threads: a key scope's first append beside its shred, many times.

use std::sync::atomic::{AtomicBool, Ordering};

use batpak_store::{AppendError, Durability, Granularity, Selector, Store, VerifyOptions};

use crate::{
    kit::{both, event, sound},
    shred::fate,
};

const THREADS: u64 = 3;

/// Who goes first; most rounds leave it to the scheduler, and some make sure that either order is met.
#[derive(Clone, Copy, PartialEq)]
enum Start {
    /// All at once.
    Race,
    /// The shred begins when an append has returned.
    AppendFirst,
    /// The appends begin when the shred has returned.
    ShredFirst,
}

impl Start {
    fn of_round(n: u64) -> Self {
        match n % 10 {
            3 => Self::AppendFirst,
            7 => Self::ShredFirst,
            _ => Self::Race,
        }
    }
}

/// Waits for the other side.
fn until(flag: &AtomicBool) {
    while !flag.load(Ordering::Acquire) {
        std::thread::yield_now();
    }
}

/// One round: threads append first events of a fresh entity while it is shredded. Each acknowledged one reads as shredded, if its place
/// is before the intent; none opens. Tells how many were acknowledged.
fn round(store: &Store, entity: &str, n: u64, granularity: Granularity) -> u64 {
    let (start, spin) = (Start::of_round(n), n % 40 * 50);
    let (appended, shredded) = (&AtomicBool::new(false), &AtomicBool::new(false));
    let selector = match granularity {
        Granularity::Coordinate => Selector::Coordinate(crate::kit::at(entity)),
        _ => Selector::Entity(entity.into()),
    };
    let (acked, shredding) = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                scope.spawn(move || {
                    if start == Start::ShredFirst {
                        until(shredded);
                    }
                    for _ in 0..spin * thread {
                        std::hint::spin_loop();
                    }
                    let end = store.append(&event(entity, &thread.to_le_bytes()).durability(Durability::Buffered));
                    appended.store(true, Ordering::Release);
                    end
                })
            })
            .collect();
        if start == Start::AppendFirst {
            until(appended);
        }
        let shredding = store.shred(&[selector], 0, "").unwrap();
        shredded.store(true, Ordering::Release);
        let ended = threads.into_iter().map(|thread| thread.join().unwrap());
        let mut acked = Vec::new();
        for end in ended {
            match end {
                Ok(receipt) => acked.push(receipt),
                Err(AppendError::ScopeShredded) => {}
                Err(why) => panic!("{why:?}"),
            }
        }
        (acked, shredding)
    });
    for receipt in &acked {
        assert!(receipt.position < shredding.intent, "{entity}: an event behind the intent");
        assert_eq!(fate(store, receipt.id), "shredded", "{entity}");
    }
    assert!(matches!(store.append(&event(entity, b"later")), Err(AppendError::ScopeShredded)), "{entity}");
    acked.len() as u64
}

#[test]
fn first_append_of_a_key_scope_beside_its_shred_is_shredded_or_refused() {
    for granularity in [Granularity::Entity, Granularity::Coordinate] {
        both(|place| {
            let config = place.config().granularity(granularity);
            let store = Store::create(place.dir(), config).unwrap();
            let rounds = if place.memory.is_some() { 300 } else { 40 };
            let acked: u64 = (0..rounds).map(|n| round(&store, &format!("e{n}"), n, granularity)).sum();
            sound(&store);
            store.close().unwrap();
            let store = place.open();
            let report = store.verify(VerifyOptions::full(), &mut |_| {}).unwrap();
            assert_eq!((report.is_sound(), report.shredded, report.opened), (true, acked, 0));
            println!("{granularity}: {acked} of {} first appends came before the shred", rounds * THREADS);
            assert!(acked > 0 && acked < rounds * THREADS, "{acked}: both orders must have been met");
        });
    }
}
