//! Index files: what a store answers with them is what it answers without them, an open reads no event of a segment that has one, and
//! they are made again from their segment when they are missing, damaged or left over.

use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use batpak_store::{
    AppendCondition, AppendError, Durability, EventId, EventKind, Indexing, NewEvent, Query, QueryItem, ReadError,
    Selector, Store,
    segment::{DiskOp, SEGMENTS_DIR},
};

use crate::kit::{Place, append, at, event, is_index_file, payloads, sound};

/// Several segments with everything that an index knows; closed.
fn fill(place: &Place) -> u64 {
    let store =
        Store::create(place.dir(), place.config().durability(Durability::Buffered).segment_bytes(8 << 10)).unwrap();
    let mut last = None;
    for n in 0..400_u64 {
        let entity = format!("e{}", n % 37);
        let payload = n.to_le_bytes();
        let kind = EventKind::new(1, (n % 5) as u16 + 1).unwrap();
        let mut event = NewEvent::new(at(&entity), kind, &payload);
        if n % 3 == 0 {
            event = event.tag(format!("tag{}", n % 7)).key(&n.to_le_bytes());
        }
        if let Some(cause) = last.filter(|_| n % 4 == 0) {
            event = event.cause(cause).correlation(cause);
        }
        last = Some(store.append(&event).unwrap().id);
    }
    store.shred(&[Selector::Entity("e5".into())], 1, "").unwrap();
    append(&store, "late", b"in the last segment");
    let segments = store.stats().segments;
    assert!(segments >= 8, "{segments}");
    store.close().unwrap();
    segments
}

/// Everything that a store says of its events, by every way to ask.
fn answers(store: &Store) -> Vec<String> {
    let events: Vec<_> = store.read(&Query::all().include_system(true)).unwrap().map(Result::unwrap).collect();
    let mut said: Vec<String> = events.iter().map(|event| format!("{event:?}")).collect();
    let entities: BTreeSet<_> = events.iter().map(|event| event.header.coordinate.entity().to_owned()).collect();
    for entity in &entities {
        let stream: Vec<_> = store.stream(entity, 0).unwrap().map(|event| event.unwrap().header.position).collect();
        let late: Vec<_> = store.stream(entity, 3).unwrap().map(|event| event.unwrap().header.revision).collect();
        let below = store.read(&Query::all().entity(entity.as_str()).from(100).to(300).reverse()).unwrap();
        let below: Vec<_> = below.map(|event| event.unwrap().header.position).collect();
        let latest = store.latest(entity).unwrap().map(|event| event.header.position);
        said.push(format!("{entity}: {stream:?} {late:?} {below:?} {latest:?}"));
    }
    for event in &events {
        let id = event.header.id;
        said.push(format!("{:?} {:?}", store.caused_by(id).unwrap(), store.correlated(id).unwrap()));
        assert_eq!(store.position_of(id).unwrap(), Some(event.header.position));
    }
    said.push(format!("{:?}", store.position_of(EventId::from_key(b"not there")).unwrap()));
    said.push(format!("{} entities", store.stats().entities));
    let plan = store.plan_shred(&[Selector::Entity("e1".into()), Selector::Entity("late".into())]).unwrap();
    said.push(format!("{:?}", plan.key_scopes));
    said
}

fn index_files(place: &Place) -> Vec<(PathBuf, Vec<u8>)> {
    place.files().into_iter().filter(|(path, _)| is_index_file(path)).collect()
}

fn remove_index_files(place: &Place) {
    index_files(place).iter().for_each(|(path, _)| place.disk.remove(path).unwrap());
}

#[test]
fn store_answers_with_index_files_as_it_does_without_them() {
    let place = Place::memory();
    let segments = fill(&place);
    assert_eq!(index_files(&place).len() as u64, segments - 1, "one for each rolled segment");
    let with = place.reader();
    assert_eq!(with.open_report().index_rebuilt, [0_u64; 0]);
    let said = answers(&with);
    let bare = Place::on(place.memory.as_ref().unwrap().copy());
    remove_index_files(&bare);
    let without = bare.reader();
    assert_eq!(without.open_report().index_rebuilt, (1..segments).collect::<Vec<_>>());
    assert_eq!(answers(&without), said);
    assert_eq!(index_files(&bare), [], "a reader makes none");
    drop(without);
    let made = bare.open();
    assert_eq!(made.open_report().index_rebuilt, (1..segments).collect::<Vec<_>>());
    assert_eq!(answers(&made), said);
    assert_eq!(index_files(&bare), index_files(&place), "the same log makes the same files");
}

#[test]
fn open_reads_no_event_of_a_segment_that_has_its_index_file() {
    let place = Place::memory();
    let segments = fill(&place);
    let reads = Arc::new(AtomicU64::new(0));
    let (counted, disk) = (Arc::clone(&reads), place.memory.clone().unwrap());
    let rolled: Vec<u64> = (1..segments).collect();
    let opens = |rebuilt: &[u64]| {
        reads.store(0, Ordering::Relaxed);
        let store = place.open();
        assert_eq!(store.open_report().index_rebuilt, rebuilt);
        store.close().unwrap();
        reads.load(Ordering::Relaxed)
    };
    disk.observe(Box::new(move |call| {
        let in_segments = call.path.parent().is_some_and(|dir| dir.ends_with(SEGMENTS_DIR));
        if matches!(call.op, DiskOp::Read) && in_segments {
            counted.fetch_add(1, Ordering::Relaxed);
        }
    }));
    let with = opens(&[]);
    remove_index_files(&place);
    let without = opens(&rolled);
    assert!(without >= with + segments - 1, "{with} reads of segments with index files, {without} without");
}

#[test]
fn damaged_unfinished_and_foreign_index_files_are_replaced() {
    let place = Place::memory();
    let segments = fill(&place);
    let whole = index_files(&place);
    let (first, second, third) = (&whole[0], &whole[1], &whole[2]);
    place.put(&first.0, &first.1[..first.1.len() - 1]);
    place.put(&second.0, &third.1);
    let unfinished = first.0.with_extension("tmp");
    place.put(&unfinished, b"half");
    let after = first.0.with_file_name(format!("{:020}-{:020}.idx", segments + 9, 100_000));
    place.put(&after, &third.1);
    let store = place.open();
    assert_eq!(store.open_report().index_rebuilt, [1, 2]);
    sound(&store);
    assert_eq!(index_files(&place), whole);
    assert!(!place.disk.exists(&unfinished).unwrap(), "what was left of a file is removed");
}

/// The control of the one below: without the damage nothing is made again.
#[test]
fn damage_inside_an_index_file_is_found_by_the_lookup_that_needs_it() {
    for damaged in [false, true] {
        let place = Place::memory();
        fill(&place);
        let whole = index_files(&place);
        let (path, bytes) = &whole[3];
        let expected: Vec<_> = answers(&place.reader());
        if damaged {
            // The first half holds the offsets and the ids.
            let mut bytes = bytes.clone();
            let at = bytes.len() / 4;
            bytes[at] ^= 1;
            place.put(path, &bytes);
        }
        let reader = place.reader();
        assert_eq!(reader.open_report().index_rebuilt, [0_u64; 0]);
        assert_eq!(answers(&reader), expected);
        assert_eq!(place.read(path) == *bytes, !damaged, "a reader mends nothing");
        let store = place.open();
        assert_eq!(
            store.verify(batpak_store::VerifyOptions::full(), &mut |_| {}).unwrap().index_damaged.len(),
            usize::from(damaged)
        );
        assert_eq!(place.read(path), *bytes, "a writer makes it again");
        assert_eq!(answers(&store), expected);
    }
}

#[test]
fn append_that_needs_a_damaged_index_file_fails_and_the_next_one_succeeds() {
    let place = Place::memory();
    fill(&place);
    let (path, bytes) = index_files(&place).swap_remove(2);
    let conditional = |store: &Store, tag: &str| {
        let condition = AppendCondition::fail_if(QueryItem::any().tag(tag));
        store.append(&event("x", b"only once").condition(condition)).map(|receipt| receipt.position)
    };
    let (original, mut failed) = (place.memory.clone().unwrap(), 0);
    for begin in (0..bytes.len()).step_by(64) {
        let place = Place::on(original.copy());
        let mut damaged = bytes.clone();
        damaged.iter_mut().skip(begin).take(64).for_each(|byte| *byte ^= 0x40);
        place.put(&path, &damaged);
        let store = place.open();
        let next = store.stats().visible_mark;
        match conditional(&store, "nobody has this tag") {
            Err(AppendError::Read(ReadError::IndexDamaged { segment: 3, .. })) => {
                failed += 1;
                assert_eq!(place.read(&path), bytes, "it was made again");
                assert_eq!(conditional(&store, "nobody has this tag").unwrap(), next);
            }
            answer => assert_eq!(answer.unwrap(), next, "what is damaged is not needed"),
        }
        sound(&store);
    }
    assert!(failed > 0, "the lists by tag were damaged once");
}

#[test]
fn segment_that_is_closed_again_and_again_keeps_few_files() {
    let place = Place::memory();
    let config = || place.config().durability(Durability::Buffered).segment_bytes(64 << 20);
    Store::create(place.dir(), config()).unwrap().close().unwrap();
    let mut events = 1;
    for round in 0..12 {
        let store = Store::open(place.dir(), config()).unwrap();
        let batch: Vec<_> = (0..1100).map(|_| event("a", b"x")).collect();
        store.append_batch(&batch).unwrap();
        events += 1100;
        store.close().unwrap();
        assert!((1..=5).contains(&index_files(&place).len()), "round {round}: {}", index_files(&place).len());
    }
    let store = Store::open(place.dir(), config()).unwrap();
    assert_eq!((store.stats().events, payloads(&store).len() as u64), (events, events - 1));
    assert_eq!(store.latest("a").unwrap().unwrap().header.revision, events - 2);
    assert_eq!(store.open_report().index_rebuilt, [0_u64; 0]);
    assert!(store.stats().index_bytes < 100_000, "nothing but the rest of the segment is in memory");
    assert_eq!(append(&store, "a", b"on").revision, events - 1);
    assert_eq!(store.stream(at("a").entity(), 13_000).unwrap().count() as u64, events - 13_000);
    sound(&store);
}

/// The files are made by a thread of the store's own while appends roll segment after segment and readers look everything up.
#[test]
fn store_answers_while_its_own_thread_makes_index_files() {
    let place = Place::real();
    let config =
        || place.config().durability(Durability::Buffered).segment_bytes(4 << 10).indexing(Indexing::Background);
    let store = Store::create(place.dir(), config()).unwrap();
    let (writers, each) = (3_u64, 250_u64);
    let id = |thread: u64, n: u64| EventId::from_key(&[thread.to_le_bytes(), n.to_le_bytes()].concat());
    let ended = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for thread in 0..writers {
            let (store, ended) = (&store, &ended);
            scope.spawn(move || {
                for n in 0..each {
                    let entity = format!("{thread}-{}", n % 5);
                    let receipt = store.append(&event(&entity, &[1; 60]).id(id(thread, n))).unwrap();
                    assert_eq!((receipt.revision, receipt.repeat), (n / 5, None));
                    let again =
                        store.append(&event(&format!("{thread}-{}", n / 2 % 5), &[1; 60]).id(id(thread, n / 2)));
                    assert_eq!(again.unwrap().revision, n / 2 / 5, "the repeat is found wherever it is indexed");
                }
                ended.fetch_add(1, Ordering::Relaxed);
            });
        }
        scope.spawn(|| {
            while ended.load(Ordering::Relaxed) < writers {
                for thread in 0..writers {
                    let found = (0..5).filter_map(|n| store.latest(&format!("{thread}-{n}")).unwrap()).next_back();
                    if let Some(latest) = found {
                        assert_eq!(store.position_of(latest.header.id).unwrap(), Some(latest.header.position));
                        let stream = store.stream(latest.header.coordinate.entity(), latest.header.revision).unwrap();
                        assert_eq!(stream.take(1).map(Result::unwrap).next().unwrap(), latest);
                    }
                }
            }
        });
    });
    sound(&store);
    assert_eq!(store.stats().entities, writers * 5 + 1, "the store's own entity is one");
    let segments = store.stats().segments;
    store.close().unwrap();
    assert_eq!(index_files(&place).len() as u64, segments - 1);
    let store = Store::open(place.dir(), config()).unwrap();
    assert_eq!(store.open_report().index_rebuilt, [0_u64; 0]);
    for (thread, n) in (0..writers).flat_map(|thread| (0..each).map(move |n| (thread, n))) {
        assert_eq!(store.get(id(thread, n)).unwrap().unwrap().header.revision, n / 5);
    }
}
