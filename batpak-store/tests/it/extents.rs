//! Extents: those that no image names are removed once both copies are whole, their numbers never used again; those that are damaged are
//! healed from their own second copy, or their keys are lost.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU64, Ordering},
};

use batpak_store::{
    AppendError, Durability, EventId, Granularity, Payload, Selector, ShredError, Store, VerifyOptions,
    keyset::Finding,
    segment::{DiskOp, MemoryDisk},
};

use crate::kit::{Place, event};

/// So many keys that every fifth of them destroyed leaves more nodes than an image takes.
const EVENTS: u32 = 3_600;

fn filled(place: &Place) -> Vec<EventId> {
    let store = place.create_per(Granularity::Event);
    let payloads: Vec<_> = (0..EVENTS).map(u32::to_le_bytes).collect();
    let events: Vec<_> = payloads.iter().map(|payload| event("a", payload).durability(Durability::Buffered)).collect();
    let ids =
        events.chunks(50).flat_map(|batch| store.append_batch(batch).unwrap()).map(|receipt| receipt.id).collect();
    store.close().unwrap();
    ids
}

fn every_fifth(ids: &[EventId], from: usize) -> Vec<Selector> {
    ids.iter().skip(from).step_by(5).copied().map(Selector::Event).collect()
}

fn extents(place: &Place) -> Vec<String> {
    let names = place.disk.list(&place.dir().join("extents")).unwrap();
    names.into_iter().map(|entry| entry.name.into_string().unwrap()).collect()
}

fn numbered(numbers: &[u64]) -> Vec<String> {
    numbers.iter().map(|number| format!("{number:020}")).collect()
}

/// How many payloads are shredded and how many are lost.
fn fates(store: &Store) -> (u64, u64) {
    let report = store.verify(VerifyOptions::full(), &mut |_| {}).unwrap();
    assert!(report.is_sound(), "{report:?}");
    assert_eq!(report.opened + report.shredded + report.lost, u64::from(EVENTS));
    (report.shredded, report.lost)
}

/// A shred whose extent is written and whose provider then refuses.
fn refused_after_its_extent(place: &Place, victims: &[Selector]) {
    let disk = place.memory.as_ref().unwrap();
    let store = place.open();
    let key_file = place.key_file();
    disk.fail(Box::new(move |call| {
        let refused = call.path == key_file && matches!(call.op, DiskOp::Write { .. });
        refused.then(|| std::io::ErrorKind::StorageFull.into())
    }));
    let why = store.shred(victims, 0, "").unwrap_err();
    assert!(matches!(why, ShredError::Provider(_)), "{why:?}");
    disk.crash();
    disk.clear_hooks();
}

#[test]
fn extent_of_a_shred_that_came_to_nothing_is_removed_and_its_number_not_used_again() {
    let place = Place::memory();
    let ids = filled(&place);
    let victims = every_fifth(&ids, 0);
    refused_after_its_extent(&place, &victims);
    assert_eq!(extents(&place), numbered(&[1]), "it is there, and a crash leaves it");
    drop(place.reader());
    assert_eq!(extents(&place), numbered(&[1]), "a reader removes nothing");
    let store = place.open();
    assert_eq!(extents(&place), [""; 0]);
    store.shred(&victims, 0, "").unwrap();
    assert_eq!(extents(&place), numbered(&[2]));
    assert_eq!(fates(&store), (victims.len() as u64, 0));
    store.close().unwrap();
    // Files that are none of the keyset's are let be.
    let own = place.dir().join("extents/note");
    place.put(&own, b"the user's");
    let store = place.open();
    assert_eq!((extents(&place), fates(&store)), ([numbered(&[2]), vec!["note".into()]].concat(), (720, 0)));
}

/// A store whose second shred was cut between the two copies: one names extent 2, the other extent 1.
fn between_two_extents() -> (MemoryDisk, Vec<EventId>) {
    let place = Place::memory();
    let disk = place.memory.clone().unwrap();
    let ids = filled(&place);
    let store = place.open();
    store.shred(&every_fifth(&ids, 0), 0, "").unwrap();
    assert_eq!(extents(&place), numbered(&[1]));
    let syncs = Arc::new(AtomicU64::new(0));
    disk.fail(Box::new(move |call| {
        let keyset = call.path.file_stem().is_some_and(|stem| stem == "keyset");
        let synced = syncs.fetch_add(u64::from(keyset && call.op == DiskOp::SyncData), Ordering::Relaxed);
        (synced > 0 && !matches!(call.op, DiskOp::Read | DiskOp::Open)).then(|| std::io::ErrorKind::StorageFull.into())
    }));
    let why = store.shred(&every_fifth(&ids, 1), 0, "").unwrap_err();
    assert!(matches!(why, ShredError::Pending { .. }), "{why:?}");
    disk.crash();
    disk.clear_hooks();
    assert_eq!(extents(&place), numbered(&[1, 2]));
    (disk.copy(), ids)
}

#[test]
fn extents_are_swept_after_both_copies_are_whole_whatever_cuts_the_open() {
    let (start, ids) = between_two_extents();
    let mut cuts = 0;
    for call in 0.. {
        let place = Place::on(start.copy());
        let disk = place.memory.clone().unwrap();
        let copies = ["keyset.a", "keyset.b"].map(|name| place.dir().join(name));
        let removals = Arc::new(Mutex::new(Vec::new()));
        let (seen, mut left) = (Arc::clone(&removals), call);
        disk.fail(Box::new(move |call| {
            if matches!(call.op, DiskOp::Read | DiskOp::Open) {
                return None;
            }
            if left == 0 {
                return Some(std::io::ErrorKind::StorageFull.into());
            }
            left -= 1;
            if call.op == DiskOp::Remove {
                let [a, b] = copies.each_ref().map(|copy| call.durable(copy).map(<[u8]>::to_vec));
                seen.lock().unwrap().push((call.path.file_name().unwrap().to_owned(), a.is_some() && a == b));
            }
            None
        }));
        let whole = Store::open(place.dir(), place.config()).is_ok();
        disk.crash();
        disk.clear_hooks();
        for (name, both) in removals.lock().unwrap().iter() {
            assert_eq!((name.to_str().unwrap(), *both), (&*numbered(&[1])[0], true), "call {call}");
        }
        let store = place.open();
        let open = |id: &EventId| matches!(store.get(*id).unwrap().unwrap().payload, Payload::Open(_));
        let opened: Vec<bool> = ids[1_000..1_010].iter().map(open).collect();
        assert_eq!(opened, [false, false, true, true, true, false, false, true, true, true], "call {call}");
        assert_eq!(extents(&place), numbered(&[2]), "call {call}");
        if whole {
            assert_eq!(fates(&store), (2 * u64::from(EVENTS / 5), 0));
            assert_eq!(removals.lock().unwrap().len(), 1);
            break;
        }
        cuts += 1;
    }
    assert!(cuts > 10, "{cuts}");
}

#[test]
fn extent_that_is_damaged_once_is_healed_and_twice_has_lost_its_keys() {
    let place = Place::memory();
    let store = place.create();
    let payload = |n: u32| n.to_le_bytes();
    let names: Vec<String> = (0..EVENTS).map(|n| format!("e{n}")).collect();
    let payloads: Vec<_> = (0..EVENTS).map(payload).collect();
    let events: Vec<_> = (names.iter().zip(&payloads))
        .map(|(name, payload)| event(name, payload).durability(Durability::Buffered))
        .collect();
    events.chunks(50).for_each(|batch| drop(store.append_batch(batch).unwrap()));
    let victims: Vec<_> = names.iter().step_by(5).cloned().map(Selector::Entity).collect();
    store.shred(&victims, 0, "").unwrap();
    store.close().unwrap();
    let path = place.dir().join("extents").join(&numbered(&[1])[0]);
    let whole = place.read(&path);
    let of = |store: &Store, entity: &str| store.latest(entity).unwrap().unwrap().payload;
    // A header, then the same region twice.
    let halves = [200, whole.len() / 2 + 200];
    for damaged in halves {
        let mut bytes = whole.clone();
        bytes[damaged] ^= 4;
        place.put(&path, &bytes);
        for store in [place.reader(), place.open()] {
            assert_eq!(store.open_report().keyset, [Finding::BlobDamaged { extent: 1, page: 1 }]);
            assert_eq!(of(&store, "e7").open().unwrap().as_ref(), payload(7));
        }
    }
    // The next new extent is written from the half that reads.
    let store = place.open();
    store.rekey().unwrap();
    assert_eq!(extents(&place), numbered(&[2]));
    store.close().unwrap();
    let store = place.open();
    assert!(store.open_report().clean && store.open_report().keyset.is_empty());
    store.close().unwrap();
    let path = place.dir().join("extents").join(&numbered(&[2])[0]);
    let mut bytes = place.read(&path);
    halves.into_iter().for_each(|damaged| bytes[damaged] ^= 4);
    place.put(&path, &bytes);
    let store = place.open();
    assert_eq!(store.open_report().keyset, [Finding::PageLost { extent: 2, page: 1 }]);
    assert!(matches!(of(&store, "e7"), Payload::KeyLost(_)));
    assert!(matches!(of(&store, "e5"), Payload::Shredded(_)), "what the log says was shredded is not lost");
    assert!(matches!(store.append(&event("e7", b"x")), Err(AppendError::KeyLost { .. })));
    store.append(&event("another", b"x")).unwrap();
    store.readmit(&Selector::Entity("e7".into())).unwrap();
    store.append(&event("e7", b"again")).unwrap();
    assert_eq!(of(&store, "e7").open().unwrap().as_ref(), b"again");
}
