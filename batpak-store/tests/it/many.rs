//! Shreds of many key scopes: in one call, in a batch of intents, and one after the other.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use batpak_store::{
    AppendError, Durability, EventKind, Query, Selector, ShredError, Store, VerifyOptions,
    format::{KeyRun, Record, SHRED_TARGETS_MAX, ShredIntent},
    segment::{DiskOp, MemoryDisk},
};

use crate::kit::{Place, append, event};

fn entities(count: usize) -> Vec<Selector> {
    (0..count).map(|n| Selector::Entity(format!("e{n}"))).collect()
}

/// The intents of the log, each with its position.
fn intents(store: &Store) -> Vec<(u64, ShredIntent)> {
    let query = Query::all().kind(EventKind::SHRED_INTENT).include_system(true);
    let read = |event: batpak_store::Event| match Record::decode(event.header.kind, event.payload.open().unwrap()) {
        Ok(Record::ShredIntent(intent)) => (event.header.position, intent),
        other => panic!("{other:?}"),
    };
    store.read(&query).unwrap().map(|event| read(event.unwrap())).collect()
}

/// Appends an event to each of so many entities, and returns their names.
fn append_all(store: &Store, count: usize) -> Vec<String> {
    let names: Vec<String> = (0..count).map(|n| format!("e{n}")).collect();
    for names in names.chunks(500) {
        let events: Vec<_> = names.iter().map(|name| event(name, b"x")).collect();
        store.append_batch(&events).unwrap();
    }
    names
}

/// The bytes and the syncs that a disk sees from here on.
fn counted(disk: &MemoryDisk) -> (Arc<AtomicU64>, Arc<AtomicU64>) {
    let (bytes, syncs) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let told = (Arc::clone(&bytes), Arc::clone(&syncs));
    // Index files are not a shred's matter: the events before it have ended a piece or two.
    disk.observe(Box::new(move |call| match call.op {
        _ if call.path.parent().is_some_and(|dir| dir.ends_with("index")) => {}
        DiskOp::Write { bytes: written, .. } => _ = told.0.fetch_add(written.len() as u64, Ordering::Relaxed),
        DiskOp::SyncData | DiskOp::SyncAll | DiskOp::SyncDir => _ = told.1.fetch_add(1, Ordering::Relaxed),
        _ => {}
    }));
    (bytes, syncs)
}

/// Key scopes that are one batch of two intents, some with keys; and one that is left.
const BATCH: usize = SHRED_TARGETS_MAX + 4_464;
const WITH_KEYS: usize = 100;

fn filled() -> (Place, Store) {
    let place = Place::memory();
    let store = place.create();
    for selector in entities(BATCH).into_iter().step_by(BATCH / WITH_KEYS).take(WITH_KEYS) {
        let Selector::Entity(entity) = selector else { panic!("an entity") };
        store.append(&event(&entity, b"x").durability(Durability::Buffered)).unwrap();
    }
    append(&store, "left", b"left");
    (place, store)
}

#[test]
fn shred_of_more_key_scopes_than_an_intent_takes_is_one_batch_of_intents() {
    let (place, store) = filled();
    store.hold(&Selector::Entity("e7".into()), "").unwrap();
    let first = store.shred(&[Selector::Entity("before".into())], 0, "").unwrap();
    let shredding = store.shred(&entities(BATCH), 5, "ref").unwrap();
    assert_eq!((shredding.key_scopes.len(), shredding.withheld.len()), (BATCH - 1, 1));
    assert_eq!(shredding.keys, WITH_KEYS as u64);
    let intents = intents(&store);
    let [_, (one, full), (two, rest)] = intents.as_slice() else { panic!("{}", intents.len()) };
    assert_eq!((*two, *two), (one + 1, shredding.intent));
    assert_eq!((full.targets.len(), rest.targets.len()), (SHRED_TARGETS_MAX, BATCH - 1 - SHRED_TARGETS_MAX));
    assert_eq!((full.withheld.len(), rest.withheld.len()), (1, 0));
    for part in [full, rest] {
        assert_eq!((part.previous_intent, part.reason, part.reference.as_str()), (Some(first.intent), 5, "ref"));
    }
    let part = |position| store.at(position).unwrap().unwrap().header.batch.map(|batch| (batch.index, batch.count));
    assert_eq!((part(*one), part(*two)), (Some((0, 2)), Some((1, 2))));
    let check = |store: &Store| {
        let report = store.verify(VerifyOptions::full(), &mut |_| {}).unwrap();
        assert!(report.is_sound());
        assert_eq!((report.shredded, report.opened, report.lost), (WITH_KEYS as u64, 1, 0));
    };
    check(&store);
    store.close().unwrap();
    let store = place.open();
    assert!(store.open_report().clean);
    check(&store);
    for refused in ["e0".to_owned(), format!("e{}", BATCH - 1)] {
        assert!(matches!(store.append(&event(&refused, b"x")), Err(AppendError::ScopeShredded)));
    }
    // The one after it follows the batch's last intent.
    let last = store.shred(&[Selector::Entity("left".into())], 0, "").unwrap();
    assert_eq!(
        self::intents(&store).last().map(|(position, intent)| (*position, intent.previous_intent)),
        Some((last.intent, Some(shredding.intent)))
    );
}

#[test]
fn batch_of_intents_that_is_cut_anywhere_is_all_there_or_nothing() {
    let (place, store) = filled();
    store.close().unwrap();
    let start = place.memory.clone().unwrap();
    // The batch is larger than a segment, so it stands alone in a new one, and that is never synced: how much of it is left is luck.
    let store = place.open();
    let before = store.stats().visible_mark;
    let segments = || place.disk.list(&place.dir().join("segments")).unwrap();
    let names: Vec<std::ffi::OsString> = segments().into_iter().map(|entry| entry.name).collect();
    let old = names.clone();
    start.fail(Box::new(move |call| {
        let log =
            call.path.extension().is_some_and(|end| end == "seg") && !old.iter().any(|name| call.path.ends_with(name));
        (log && matches!(call.op, DiskOp::SyncData)).then(|| std::io::ErrorKind::Other.into())
    }));
    let why = store.shred(&entities(BATCH), 0, "").unwrap_err();
    assert!(matches!(why, ShredError::Append(AppendError::Poisoned(_))), "{why:?}");
    drop(store.close());
    start.clear_hooks();
    let new = segments().into_iter().find(|entry| !names.contains(&entry.name)).unwrap();
    let last = place.dir().join("segments").join(new.name);
    let whole = place.read(&last);
    let end = whole.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    let (mut nothing, mut all) = (0, 0);
    // In the first frame's header, in the first intent, in the second, before its last byte that is not zero, and behind it.
    for cut in [200, end / 2, end * 97 / 100, end - 1, whole.len()] {
        let place = Place::on(start.copy());
        place.put(&last, &whole[..cut]);
        for _ in 0..2 {
            let store = place.open();
            let report = store.verify(VerifyOptions::full(), &mut |_| {}).unwrap();
            assert!(report.is_sound());
            match intents(&store).len() {
                0 => {
                    assert_eq!((report.shredded, report.opened), (0, WITH_KEYS as u64 + 1), "{cut} of {end}");
                    assert_eq!(store.stats().visible_mark, before);
                    nothing += 1;
                }
                2 => {
                    assert_eq!((report.shredded, report.opened), (WITH_KEYS as u64, 1), "{cut} of {end}");
                    assert_eq!(
                        store
                            .read(&Query::all().kind(EventKind::SHRED_COMPLETED).include_system(true))
                            .unwrap()
                            .count(),
                        1
                    );
                    all += 1;
                }
                parts => panic!("{parts} intents of two, cut at {cut} of {end}"),
            }
            store.close().unwrap();
        }
    }
    assert_eq!((nothing, all), (8, 2));
}

#[test]
fn ten_thousand_scattered_key_scopes_are_eight_syncs_and_one_extent() {
    let place = Place::memory();
    let store = Store::create(place.dir(), place.config().segment_bytes(64 << 20)).unwrap();
    let names = append_all(&store, 20_000);
    let victims: Vec<Selector> = names.iter().step_by(2).cloned().map(Selector::Entity).collect();
    let (bytes, syncs) = counted(place.memory.as_ref().unwrap());
    assert_eq!(store.shred(&victims, 0, "").unwrap().keys, 10_000);
    let (bytes, syncs) = (bytes.load(Ordering::Relaxed), syncs.load(Ordering::Relaxed));
    println!("10,000 scattered key scopes: {syncs} syncs, {bytes} bytes written");
    // Extent and its directory, the provider's next, intent, two copies, the provider's old one, completion.
    assert_eq!(syncs, 8);
    assert!(bytes < 8 << 20, "{bytes}");
    assert_eq!(place.disk.list(&place.dir().join("extents")).unwrap().len(), 1);
    let check = |store: &Store| {
        let report = store.verify(VerifyOptions::full(), &mut |_| {}).unwrap();
        assert_eq!((report.is_sound(), report.shredded, report.opened), (true, 10_000, 10_000));
    };
    check(&store);
    store.close().unwrap();
    let store = place.open();
    check(&store);
    // One more: the control of what a small one costs.
    let (bytes, syncs) = counted(place.memory.as_ref().unwrap());
    store.shred(&[Selector::Entity("e1".into())], 0, "").unwrap();
    let (bytes, syncs) = (bytes.load(Ordering::Relaxed), syncs.load(Ordering::Relaxed));
    assert!(syncs <= 8 && bytes < 1 << 20, "{syncs} syncs, {bytes} bytes");
}

/// Shreds one by one, each of another key scope, after so many that the frontiers stand in an extent: what the keyset takes stays within
/// its bounds. `cargo xtask shreds` does it a hundred thousand times.
#[test]
fn shreds_one_by_one_keep_image_and_extents_within_bounds() {
    let place = Place::memory();
    let store = Store::create(place.dir(), place.config().segment_bytes(64 << 20)).unwrap();
    let names = append_all(&store, 9_000);
    let scattered: Vec<Selector> = names.iter().step_by(4).cloned().map(Selector::Entity).collect();
    store.shred(&scattered, 0, "").unwrap();
    let removals = Arc::new(AtomicU64::new(0));
    let told = Arc::clone(&removals);
    place.memory.as_ref().unwrap().observe(Box::new(move |call| {
        if matches!(call.op, DiskOp::Remove) {
            told.fetch_add(1, Ordering::Relaxed);
        }
    }));
    let (mut image_max, mut extents_max) = (0, 0);
    for name in names.iter().skip(1).step_by(90) {
        removals.store(0, Ordering::Relaxed);
        store.shred(&[Selector::Entity(name.clone())], 0, "").unwrap();
        // An extent that is gone is not removed for ever after.
        let removed = removals.load(Ordering::Relaxed);
        assert!(removed <= 8, "{removed} removals in one shred");
        image_max = image_max.max(place.read(&place.dir().join("keyset.a")).len());
        extents_max = extents_max.max(place.disk.list(&place.dir().join("extents")).unwrap().len());
    }
    println!("100 shreds one by one: image at most {image_max} bytes, at most {extents_max} extents");
    assert!(image_max <= 128 << 10, "{image_max}");
    assert!((1..=4).contains(&extents_max), "{extents_max}");
    store.close().unwrap();
    let store = place.open();
    assert!(store.open_report().clean);
    let report = store.verify(VerifyOptions::full(), &mut |_| {}).unwrap();
    assert_eq!((report.is_sound(), report.shredded, report.opened), (true, 2_350, 6_650));
}

/// An earlier process stops with leaves that it took and never framed under: the next shred destroys them, and no event reads otherwise.
#[test]
fn leaves_of_a_stopped_process_that_no_event_names_go_with_the_next_shred() {
    let place = Place::memory();
    let store = place.create();
    let (victim, other) = (append(&store, "a", b"1").id, append(&store, "b", b"2").id);
    // Sealed, and never in the log.
    let disk = place.memory.clone().unwrap();
    disk.fail(Box::new(|call| {
        let log = call.path.extension().is_some_and(|end| end == "seg");
        (log && matches!(call.op, DiskOp::Write { .. })).then(|| std::io::ErrorKind::StorageFull.into())
    }));
    assert!(matches!(store.append(&event("c", b"never framed")), Err(AppendError::Poisoned(_))));
    disk.crash();
    disk.clear_hooks();
    drop(store);
    let derivable = |place: &Place| {
        use batpak_store::keyset::{CopyBytes, KeyFile, LoadInput, candidates};
        let [a, b] = ["keyset.a", "keyset.b"].map(|name| place.read(&place.dir().join(name)));
        let input = LoadInput { store: None, a: CopyBytes::Bytes(&a), b: CopyBytes::Bytes(&b) };
        let slots = KeyFile::decode(&place.read(&place.key_file()), None).unwrap();
        let keyset = candidates(&input).unwrap().open(&slots.current().secret).unwrap().keyset;
        let reserved = keyset.pages().next().unwrap().reserved;
        let derived = |leaf| keyset.key(batpak_store::KeyId::new(0, 1, leaf)).is_ok();
        (0..reserved).filter(|leaf| derived(*leaf)).collect::<Vec<u32>>()
    };
    let store = place.open();
    let left = append(&store, "d", b"of this process").id;
    let of_this = store.header(left).unwrap().unwrap().encryption.unwrap().key_id.leaf();
    // The control: before the shred the leaf that was sealed under, and those that were only reserved, can be derived.
    let all = derivable(&place);
    assert!((0..of_this).all(|leaf| all.contains(&leaf)) && of_this == 64, "{of_this}: {all:?}");
    let shredding = store.shred(&[Selector::Entity("a".into())], 0, "").unwrap();
    assert_eq!((shredding.keys, shredding.key_scopes.len()), (1, 1), "they count for nobody");
    let named = store.header(other).unwrap().unwrap().encryption.unwrap().key_id.leaf();
    assert!(derivable(&place).iter().all(|leaf| *leaf == named || *leaf >= of_this));
    assert_eq!(derivable(&place)[..2], [named, of_this]);
    let targets = &intents(&store)[0].1.targets;
    let runs: u32 = targets
        .iter()
        .filter(|target| target.key_scope.is_empty())
        .flat_map(|target| &target.runs)
        .map(|run: &KeyRun| run.count)
        .sum();
    assert_eq!((targets.len(), runs), (2, 62));
    // The next shred has nothing more of the kind to do, in this process and in the next.
    store.shred(&[Selector::Entity("nobody".into())], 0, "").unwrap();
    assert_eq!(intents(&store)[1].1.targets.len(), 1);
    let fates = [victim, other, left].map(|id| crate::shred::fate(&store, id));
    assert_eq!(fates, ["shredded", "open", "open"]);
    store.close().unwrap();
    let store = place.open();
    assert!(store.verify(VerifyOptions::full(), &mut |_| {}).unwrap().is_sound());
    store.shred(&[Selector::Entity("b".into())], 0, "").unwrap();
    assert_eq!(crate::shred::fate(&store, left), "open");
}
