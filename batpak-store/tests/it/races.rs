//! Real threads: a key scope's first append beside its shred, many times.

use batpak_store::{AppendError, Durability, Granularity, Selector, Store, VerifyOptions};

use crate::{
    kit::{both, event, sound},
    shred::fate,
};

const THREADS: u64 = 3;

/// One round: threads append first events of a fresh entity while it is shredded. Each acknowledged one reads as shredded, if its place
/// is before the intent; none opens. Tells how many were acknowledged.
fn round(store: &Store, entity: &str, spin: u64, granularity: Granularity) -> u64 {
    let selector = match granularity {
        Granularity::Coordinate => Selector::Coordinate(crate::kit::at(entity)),
        _ => Selector::Entity(entity.into()),
    };
    let (acked, shredding) = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                scope.spawn(move || {
                    for _ in 0..spin * thread {
                        std::hint::spin_loop();
                    }
                    store.append(&event(entity, &thread.to_le_bytes()).durability(Durability::Buffered))
                })
            })
            .collect();
        let shredding = store.shred(&[selector], 0, "").unwrap();
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
            let acked: u64 = (0..rounds).map(|n| round(&store, &format!("e{n}"), n % 40 * 50, granularity)).sum();
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
