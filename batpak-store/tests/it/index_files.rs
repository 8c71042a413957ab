//! Index files: what a store answers with them is what it answers without them, an open reads no event of a segment that has one, and
//! they are merged as they become many, and made again from their segments when they are missing, damaged or left over.

use std::{
    collections::BTreeSet,
    io,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use batpak_store::{
    AppendCondition, AppendError, Durability, Encryption, EventId, EventKind, Indexing, NewEvent, OpenError, Query,
    QueryItem, ReadError, Selector, Store,
    segment::{DiskOp, RecoveryError, SEGMENTS_DIR, segment_path},
};

use crate::kit::{Place, append, at, event, is_index_file, payloads, sound};

/// Several segments with everything that an index knows; closed.
fn fill(place: &Place) -> u64 {
    fill_with(place, 8 << 10, 400)
}

fn fill_with(place: &Place, segment_bytes: u64, events: u64) -> u64 {
    let config = place.config().durability(Durability::Buffered).segment_bytes(segment_bytes);
    let store = Store::create(place.dir(), config).unwrap();
    let mut last = None;
    for n in 0..events {
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
pub fn answers(store: &Store) -> Vec<String> {
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

/// How many files so many rolled segments have, when each was of one segment first: the digits to the base of 4.
fn merged(segments: u64) -> u64 {
    segments % 4 + segments / 4 % 4 + segments / 16 % 4 + segments / 64
}

pub fn index_files(place: &Place) -> Vec<(PathBuf, Vec<u8>)> {
    place.files().into_iter().filter(|(path, _)| is_index_file(path)).collect()
}

pub fn remove_index_files(place: &Place) {
    index_files(place).iter().for_each(|(path, _)| place.disk.remove(path).unwrap());
}

#[test]
fn store_answers_with_index_files_as_it_does_without_them() {
    // Files of one and of four segments; and of 64.
    for (segment_bytes, events) in [(8 << 10, 400), (4 << 10, 1100)] {
        let place = Place::memory();
        let segments = fill_with(&place, segment_bytes, events);
        same_without_files(&place, segments);
    }
}

fn same_without_files(place: &Place, segments: u64) {
    assert_eq!(index_files(place).len() as u64, merged(segments - 1), "four of a level are one of the next");
    assert!(merged(segments - 1) < segments - 1);
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
    assert_eq!(index_files(&bare), index_files(place), "the same log makes the same files");
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

/// The segments that a reader's open opens.
fn opened(place: &Place) -> BTreeSet<PathBuf> {
    let opened = Arc::new(Mutex::new(BTreeSet::new()));
    let (noted, disk) = (Arc::clone(&opened), place.memory.clone().unwrap());
    disk.observe(Box::new(move |call| {
        if matches!(call.op, DiskOp::Open) && call.path.parent().is_some_and(|dir| dir.ends_with(SEGMENTS_DIR)) {
            noted.lock().unwrap().insert(call.path.to_owned());
        }
    }));
    drop(place.reader());
    disk.observe(Box::new(|_| {}));
    std::mem::take(&mut opened.lock().unwrap())
}

#[test]
fn open_opens_no_segment_that_an_index_file_tells_of_and_misses_one_that_is_gone() {
    let place = Place::memory();
    let segments = fill(&place);
    let all: BTreeSet<_> =
        (1..=segments).map(|segment| segment_path(&place.dir().join(SEGMENTS_DIR), segment)).collect();
    let with = opened(&place);
    assert!(with.contains(&segment_path(&place.dir().join(SEGMENTS_DIR), segments - 1)), "its footer is looked at");
    // The first one holds the genesis event, and one the event that the keyset saw last.
    assert!(with.len() <= 5, "{with:?}");
    let gone = all.iter().find(|path| !with.contains(*path)).unwrap();
    let missing = Place::on(place.memory.as_ref().unwrap().copy());
    missing.disk.remove(gone).unwrap();
    match Store::open(missing.dir(), missing.config()).unwrap_err() {
        OpenError::Recovery(why) => assert!(matches!(*why, RecoveryError::SegmentGap { .. }), "{why:?}"),
        why => panic!("{why:?}"),
    }
    remove_index_files(&place);
    assert_eq!(opened(&place), all, "the control");
}

/// Two logs that were one: the files of each tell of segments that the other has too, with other events.
#[test]
fn index_files_of_a_log_that_went_another_way_are_not_used() {
    let origin = Place::memory();
    let config = |place: &Place| place.with(Encryption::none()).durability(Durability::Buffered).segment_bytes(4 << 10);
    let store = Store::create(origin.dir(), config(&origin)).unwrap();
    (0..40).for_each(|n: u64| drop(append(&store, &format!("e{}", n % 7), b"before they part")));
    store.close().unwrap();
    let went = |payload: &[u8]| {
        let place = Place::on(origin.memory.as_ref().unwrap().copy());
        let store = Store::open(place.dir(), config(&place)).unwrap();
        (0..300).for_each(|n: u64| drop(append(&store, &format!("e{}", n % 7), payload)));
        store.close().unwrap();
        place
    };
    let (one, other) = (went(b"one way, "), went(b"or other."));
    let said = |place: &Place| {
        let store = Store::open_read_only(place.dir(), config(place)).unwrap();
        let ids: Vec<_> = store.read(&Query::all()).unwrap().map(|event| event.unwrap().header.id).collect();
        let found = |id: &EventId| store.position_of(*id).unwrap();
        (payloads(&store), ids.iter().map(found).collect::<Vec<_>>(), store.open_report().index_rebuilt.len())
    };
    let expected = said(&other);
    assert_eq!(expected.2, 0, "the control");
    let own = index_files(&other);
    remove_index_files(&other);
    index_files(&one).iter().for_each(|(path, bytes)| other.put(path, bytes));
    let found = said(&other);
    assert_eq!((&found.0, &found.1), (&expected.0, &expected.1));
    assert!(found.2 > 0, "they are made again");
    let store = Store::open(other.dir(), config(&other)).unwrap();
    sound(&store);
    store.close().unwrap();
    assert_eq!(index_files(&other), own);
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
    assert_eq!(
        store.open_report().index_rebuilt,
        (1..=8).collect::<Vec<_>>(),
        "the two first are of four segments each"
    );
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
        let (path, bytes) = &whole[1];
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
            store.verify(batpak_store::VerifyOptions::full(), &mut |_| {}).unwrap().index_damaged,
            if damaged { vec![5, 6, 7, 8] } else { vec![] }
        );
        assert_eq!(place.read(path) == *bytes, !damaged, "a writer makes one for each segment");
        assert_eq!(answers(&store), expected);
        store.close().unwrap();
        assert_eq!(index_files(&place), whole, "and merges them");
    }
}

/// A merge names the merged file, which is the first one's name, and then removes the others: each state between is one to open.
#[test]
fn open_after_any_step_of_a_merge_answers_the_same_and_ends_it() {
    let place = Place::memory();
    fill(&place);
    let whole = index_files(&place);
    let said = answers(&place.reader());
    let mut damaged = whole[1].1.clone();
    let at = damaged.len() / 4;
    damaged[at] ^= 1;
    place.put(&whole[1].0, &damaged);
    let store = place.open();
    sound(&store);
    let single = index_files(&place);
    assert_eq!(single.len(), whole.len() + 3, "one for each of the four segments");
    store.close().unwrap();
    assert_eq!(index_files(&place), whole);
    // Of the files of the four segments, so many are left when the process ends; before the merged one has its name, all are.
    for left in 0..=4_usize {
        let place = Place::on(place.memory.as_ref().unwrap().copy());
        single[5 - left..5].iter().filter(|(path, _)| left == 4 || *path != whole[1].0).for_each(|(path, bytes)| {
            place.put(path, bytes);
        });
        if left == 4 {
            place.put(&whole[1].0.with_extension("tmp"), &whole[1].1[..100]);
        }
        assert_eq!(index_files(&place).len(), whole.len() + left.min(3));
        let reader = place.reader();
        assert_eq!(reader.open_report().index_rebuilt, [0_u64; 0]);
        assert_eq!(answers(&reader), said);
        drop(reader);
        let store = place.open();
        assert_eq!(store.open_report().index_rebuilt, [0_u64; 0]);
        assert_eq!(answers(&store), said);
        assert_eq!(index_files(&place), whole, "{left} left");
        let unfinished = place.files().into_iter().filter(|(path, _)| path.extension().is_some_and(|end| end == "tmp"));
        assert_eq!(unfinished.count(), 0);
    }
}

/// A crash may take the segment behind one whose file already says how it ended: that one goes on, and its file is no part of a merge.
#[test]
fn file_of_a_segment_that_is_the_last_again_is_not_merged() {
    let place = Place::memory();
    let config = |place: &Place| place.with(Encryption::none()).durability(Durability::Buffered).segment_bytes(4 << 10);
    let killed = |place: &Place| Place::on(place.memory.as_ref().unwrap().copy());
    let store = Store::create(place.dir(), config(&place)).unwrap();
    let last = segment_path(&place.dir().join(SEGMENTS_DIR), 5);
    let (fifth, mut has_ended) = (last.clone(), false);
    place.memory.as_ref().unwrap().fail(Box::new(move |call| {
        has_ended |= call.path == fifth;
        // The file of the first segment, made again when the fourth has ended: that is the merge.
        let is_merge = has_ended && call.path.ends_with("index/00000000000000000001-00000000000000000000.tmp");
        is_merge.then(|| io::ErrorKind::Other.into())
    }));
    let mut n = 0_u64;
    while index_files(&place).len() < 4 || store.stats().segments < 5 {
        append(&store, &format!("e{}", n % 7), &n.to_le_bytes());
        n += 1;
        assert!(n < 10_000);
    }
    let mut place = killed(&place);
    place.put(&last, &[]);
    let before = index_files(&place);
    assert_eq!(before.len(), 4);
    for _ in 0..2 {
        let store = Store::open(place.dir(), config(&place)).unwrap();
        assert_eq!(store.stats().segments, 4);
        assert_eq!(store.open_report().index_rebuilt, [0_u64; 0]);
        let next = killed(&place);
        assert_eq!(index_files(&next), before);
        assert!(!next.disk.exists(&last).unwrap());
        place = next;
    }
    // The control: when the next segment is there, they are.
    let store = Store::open(place.dir(), config(&place)).unwrap();
    append(&store, "more", &[0; 600]);
    store.close().unwrap();
    assert_eq!(index_files(&place).len(), 1);
}

#[test]
fn append_that_needs_a_damaged_index_file_fails_and_the_next_one_succeeds() {
    let place = Place::memory();
    fill(&place);
    let whole = index_files(&place);
    let (path, bytes) = whole[1].clone();
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
            Err(AppendError::Read(ReadError::IndexDamaged { segment: 5, .. })) => {
                failed += 1;
                assert_eq!(index_files(&place).len(), whole.len() + 3, "it was made again, one for each segment");
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
    assert_eq!(index_files(&place).len() as u64, merged(segments - 1));
    let store = Store::open(place.dir(), config()).unwrap();
    assert_eq!(store.open_report().index_rebuilt, [0_u64; 0]);
    for (thread, n) in (0..writers).flat_map(|thread| (0..each).map(move |n| (thread, n))) {
        assert_eq!(store.get(id(thread, n)).unwrap().unwrap().header.revision, n / 5);
    }
}
