//! Shreds that the keyset has applied stay in index files: what is read, refused and planned is what a store without these files says,
//! with the same intent as the proof.

use std::collections::BTreeMap;

use batpak_store::{
    AppendError, Durability, Encryption, EventId, Granularity, Local, NewEvent, OpenError, Payload, Query, ReadError,
    Selector, ShredError, Store,
    format::SHRED_TARGETS_MAX,
    segment::{DiskOp, SEGMENTS_DIR, segment_path},
};

use crate::kit::{Place, append, at, event, is_index_file, kind, sound};

const ENTITIES: usize = 40;

pub fn name(n: usize) -> String {
    format!("e{n}")
}

pub fn entity(n: usize) -> Selector {
    Selector::Entity(name(n))
}

/// What became of each event: where the intent stands, for one that is shredded.
pub type Fates = BTreeMap<EventId, Option<u64>>;

/// A store under way, and what it has to say.
struct Told {
    store: Store,
    fates: Fates,
    living: BTreeMap<usize, Vec<EventId>>,
    intents: Vec<u64>,
}

impl Told {
    fn append(&mut self, n: usize) {
        let payload = [n as u8; 60];
        let event = event(&name(n), &payload).durability(Durability::Buffered);
        let id = self.store.append(&event).unwrap().id;
        self.fates.insert(id, None);
        self.living.entry(n).or_default().push(id);
    }

    fn append_all(&mut self, which: impl Iterator<Item = usize>) {
        which.for_each(|n| self.append(n));
    }

    fn shred(&mut self, which: &[usize]) {
        let selectors: Vec<_> = which.iter().copied().map(entity).collect();
        let intent = self.store.shred(&selectors, 1, "").unwrap().intent;
        self.intents.push(intent);
        for n in which {
            for id in self.living.remove(n).unwrap_or_default() {
                self.fates.insert(id, Some(intent));
            }
        }
    }

    fn readmit(&self, n: usize) {
        self.store.readmit(&entity(n)).unwrap();
    }
}

/// Shreds over many segments, with all that may happen to a key scope; closed. Entities from 100 on never had an event.
pub fn fill(place: &Place, encryption: Encryption) -> (Fates, Vec<u64>) {
    let config = place.with(encryption).segment_bytes(4 << 10);
    let store = Store::create(place.dir(), config).unwrap();
    let mut told = Told { store, fates: Fates::new(), living: BTreeMap::new(), intents: Vec::new() };
    told.append_all(0..ENTITIES);
    // Ahead of the first event: one stays refused, one is readmitted and has events then, one is shredded after these.
    told.shred(&[100, 101, 102]);
    for n in [101, 102] {
        told.readmit(n);
        told.append(n);
    }
    told.shred(&[102]);
    for round in 0..6 {
        told.append_all((0..ENTITIES).filter(|n| n % 6 > round));
        told.shred(&(0..ENTITIES).filter(|n| n % 6 == round).collect::<Vec<_>>());
        // Readmitted and shredded twice; readmitted, with events since and without.
        for n in (0..6).map(|more| round + 6 * more).filter(|n| *n < ENTITIES).take(3) {
            told.readmit(n);
        }
        told.append(round);
        told.append(round + 6);
        told.shred(&[round]);
    }
    told.append_all(101..102);
    for n in 200..320 {
        told.append(n);
    }
    let Told { store, fates, intents, .. } = told;
    store.close().unwrap();
    (fates, intents)
}

/// Where the intent stands, for a payload that is shredded; none for one that opens.
pub fn proof(payload: &Payload) -> Option<u64> {
    match payload {
        Payload::Shredded(proof) => Some(proof.intent),
        Payload::Open(_) => None,
        other => panic!("{other:?}"),
    }
}

pub fn fates(store: &Store) -> Fates {
    let events = store.read(&Query::all()).unwrap().map(Result::unwrap);
    events.map(|event| (event.header.id, proof(&event.payload))).collect()
}

/// What an append to each key scope comes to, and what is left to shred.
pub fn refusals(store: &Store) -> Vec<String> {
    let everything = [Selector::Scope("scope-1".into())];
    let named: Vec<_> = (0..ENTITIES).chain(100..104).map(entity).collect();
    let plans = [&everything[..], &named].map(|selectors| {
        let plan = store.plan_shred(selectors).map_err(|why| format!("{why:?}"));
        format!("{plan:?}")
    });
    let mut said = plans.to_vec();
    for n in (0..ENTITIES).chain(100..104) {
        let appended = store.append(&event(&name(n), b"once more").durability(Durability::Buffered));
        said.push(format!("{n}: {:?}", appended.map(|receipt| (receipt.position, receipt.revision))));
    }
    said
}

pub fn without_index_files(place: &Place) -> Place {
    let bare = Place::on(place.memory.as_ref().unwrap().copy());
    let files = bare.files().into_iter().filter(|(path, _)| is_index_file(path));
    files.for_each(|(path, _)| bare.disk.remove(&path).unwrap());
    bare
}

pub fn opened(place: &Place, encryption: Encryption) -> Store {
    Store::open(place.dir(), place.with(encryption)).unwrap()
}

pub fn local() -> Encryption {
    Encryption::sealed(Local::new())
}

#[test]
fn shreds_in_index_files_answer_as_those_that_are_read_do() {
    let place = Place::memory();
    let (expected, _) = fill(&place, local());
    let copy = || Place::on(place.memory.as_ref().unwrap().copy());
    let reader = |place: &Place| Store::open_read_only(place.dir(), place.with(local())).unwrap();
    let (with, bare) = (reader(&place), without_index_files(&place));
    let without = reader(&bare);
    assert!(with.open_report().index_rebuilt.is_empty() && without.open_report().index_rebuilt.len() > 16);
    assert_eq!(fates(&with), expected);
    assert_eq!(fates(&without), expected);
    let said = refusals(&opened(&bare, local()));
    assert_eq!(refusals(&opened(&copy(), local())), said);
    // Each way there is: ahead, ahead and readmitted, shredded since; shredded; shredded, readmitted and shredded; readmitted.
    let refused = |n: usize| said.contains(&format!("{n}: Err(ScopeShredded)"));
    let expected =
        [(100, true), (101, false), (102, true), (103, false), (36, true), (0, true), (6, false), (12, false)];
    assert_eq!(expected.map(|(n, _)| (n, refused(n))), expected);
    // Made again, the files say the same, and so does an open after it.
    let made = opened(&bare, local());
    assert!(made.open_report().index_rebuilt.is_empty(), "the open before has made them");
    sound(&made);
    let said = fates(&made);
    made.close().unwrap();
    assert_eq!(fates(&opened(&bare, local())), said);
}

#[test]
fn shredded_key_scope_goes_on_being_shredded_readmitted_and_followed_after_an_open() {
    let place = Place::memory();
    let (mut expected, _) = fill(&place, local());
    let store = opened(&place, local());
    let follower = Store::open_read_only(place.dir(), place.with(local())).unwrap();
    assert_eq!(fates(&follower), expected);
    // 6 was readmitted and has an event since, 36 is shredded.
    assert!(matches!(store.append(&event(&name(36), b"no")), Err(AppendError::ScopeShredded)));
    store.readmit(&entity(36)).unwrap();
    let again = append(&store, &name(36), b"again").id;
    expected.insert(again, None);
    let intent = store.shred(&[entity(6), entity(36)], 1, "").unwrap().intent;
    let sixth: Vec<_> = store.read(&Query::all().entity(name(6))).unwrap().map(|event| event.unwrap()).collect();
    for event in sixth {
        expected.get_mut(&event.header.id).unwrap().get_or_insert(intent);
    }
    expected.insert(again, Some(intent));
    assert_eq!(fates(&store), expected);
    assert_eq!(fates(&follower), expected, "a reader whose keyset was older goes on in the log");
    store.close().unwrap();
    for place in [&place, &without_index_files(&place)] {
        let store = opened(place, local());
        assert_eq!(fates(&store), expected);
        assert!(
            [6, 36].iter().all(|n| matches!(store.append(&event(&name(*n), b"no")), Err(AppendError::ScopeShredded)))
        );
    }
}

#[test]
fn intents_that_an_older_keyset_has_not_applied_are_the_proof_before_its_keys() {
    let place = Place::memory();
    let config = || place.with(local()).segment_bytes(4 << 10);
    let store = Store::create(place.dir(), config()).unwrap();
    let fill = |store: &Store, n: usize| {
        (0..60).for_each(|_| drop(append(store, &name(n), &[7; 60])));
    };
    (0..4).for_each(|n| fill(&store, n));
    let first = store.shred(&[entity(0)], 1, "").unwrap().intent;
    fill(&store, 3);
    store.close().unwrap();
    let keyset = ["keyset.a", "keyset.b"].map(|name| place.dir().join(name));
    let older = keyset.clone().map(|path| place.read(&path));
    let store = Store::open(place.dir(), config()).unwrap();
    let second = store.shred(&[entity(1)], 1, "").unwrap().intent;
    fill(&store, 3);
    store.close().unwrap();
    keyset.iter().zip(&older).for_each(|(path, bytes)| place.put(path, bytes));
    let proofs = |store: &Store| [0, 1, 2].map(|n| proof(&store.latest(&name(n)).unwrap().unwrap().payload));
    let expected = [Some(first), Some(second), None];
    for place in [&place, &without_index_files(&place)] {
        let reader = Store::open_read_only(place.dir(), place.with(local())).unwrap();
        assert!(reader.open_report().keyset_rolled_back);
        assert_eq!(proofs(&reader), expected);
        let refused = Store::open(place.dir(), place.with(local()));
        assert!(matches!(refused, Err(OpenError::KeysetRolledBack { .. })), "{refused:?}");
        let store = Store::open(place.dir(), place.with(local()).accept_keyset_rollback()).unwrap();
        assert_eq!(proofs(&store), expected);
        store.close().unwrap();
        assert_eq!(proofs(&opened(place, local())), expected);
    }
}

#[test]
fn lost_key_is_told_from_a_shredded_one_by_the_index_files_alone() {
    let place = Place::memory();
    let config = || place.config().segment_bytes(4 << 10);
    let store = Store::create(place.dir(), config()).unwrap();
    (0..120).for_each(|n| drop(append(&store, &name(n % 3), &[7; 60])));
    let intent = store.shred(&[entity(0)], 1, "").unwrap().intent;
    (0..120).for_each(|n| drop(append(&store, &name(1 + n % 2), &[7; 60])));
    store.close().unwrap();
    ["keyset.a", "keyset.b"].iter().for_each(|name| place.disk.remove(&place.dir().join(name)).unwrap());
    Store::open(place.dir(), config().accept_key_loss()).unwrap().close().unwrap();
    for place in [&place, &without_index_files(&place)] {
        let store = place.open();
        for event in store.read(&Query::all()).unwrap().map(Result::unwrap) {
            match event.payload {
                Payload::Shredded(proof) => assert_eq!((event.header.coordinate, proof.intent), (at("e0"), intent)),
                Payload::KeyLost(_) => assert_ne!(event.header.coordinate, at("e0")),
                other => panic!("{other:?}"),
            }
        }
        assert!(matches!(store.append(&event("e0", b"no")), Err(AppendError::ScopeShredded)));
        assert!(matches!(store.append(&event("e1", b"no")), Err(AppendError::KeyLost { .. })));
        store.readmit(&entity(1)).unwrap();
        store.close().unwrap();
        let store = place.open();
        append(&store, "e1", b"readmitted before this open");
        assert!(matches!(store.append(&event("e2", b"no")), Err(AppendError::KeyLost { .. })));
    }
}

#[test]
fn damage_in_an_index_file_or_in_an_intent_never_opens_a_shredded_key_scope() {
    let place = Place::memory();
    let (expected, intents) = fill(&place, local());
    let files: Vec<_> = place.files().into_iter().filter(|(path, _)| is_index_file(path)).collect();
    let (path, bytes) = &files[0];
    let original = place.memory.clone().unwrap();
    let mut failed = 0;
    for begin in (0..bytes.len()).step_by(512) {
        let place = Place::on(original.copy());
        let mut damaged = bytes.clone();
        damaged.iter_mut().skip(begin).take(512).for_each(|byte| *byte ^= 0x40);
        place.put(path, &damaged);
        assert_eq!(fates(&Store::open_read_only(place.dir(), place.with(local())).unwrap()), expected);
        let store = opened(&place, local());
        match store.append(&event(&name(102), b"no")) {
            Err(AppendError::ScopeShredded) => {}
            Err(AppendError::Read(ReadError::IndexDamaged { .. })) => failed += 1,
            other => panic!("{other:?}"),
        }
        assert_eq!(fates(&store), expected);
        assert!(matches!(store.append(&event(&name(102), b"no")), Err(AppendError::ScopeShredded)));
    }
    assert_eq!(failed, 0, "it is made again by the look-up");
    // An intent itself that is damaged is a typed error, for whoever needs it and for nobody else.
    let store = opened(&place, local());
    let shredded = *expected.iter().find(|(_, intent)| **intent == Some(intents[2])).unwrap().0;
    let frame = store.at(intents[2]).unwrap().unwrap();
    // Who was shredded again since asks both intents which of them names its key.
    let named: Vec<String> = (0..ENTITIES).step_by(6).map(name).collect();
    let headers = store.read(&Query::all().headers_only(true)).unwrap().map(|event| event.unwrap().header);
    let others = headers.filter(|header| !named.iter().any(|name| name == header.coordinate.entity()));
    let others: Vec<EventId> = others.map(|header| header.id).collect();
    store.close().unwrap();
    let needle = frame.payload.open().unwrap().clone();
    let hit = (1..).map(|number| segment_path(&place.dir().join(SEGMENTS_DIR), number)).find_map(|path| {
        let bytes = place.read(&path);
        let at = bytes.windows(needle.len()).position(|window| *window == *needle)?;
        Some((path, bytes, at))
    });
    let (path, mut bytes, at) = hit.unwrap();
    bytes[at + 30] ^= 1;
    place.put(&path, &bytes);
    let store = opened(&place, local());
    let position = intents[2];
    match store.get(shredded) {
        Err(ReadError::Damaged { position: found, .. }) => assert_eq!(found, position),
        other => panic!("{other:?}"),
    }
    let proofs = others.iter().filter_map(|id| proof(&store.get(*id).unwrap().unwrap().payload));
    assert!(proofs.count() > 60);
}

#[test]
fn large_shred_is_looked_up_in_each_of_its_intents() {
    let place = Place::memory();
    let count = SHRED_TARGETS_MAX + 40;
    let config = || place.with(local()).granularity(Granularity::Event).segment_bytes(4 << 20);
    let store = Store::create(place.dir(), config()).unwrap();
    let new = || NewEvent::new(at("a"), kind(), b"x").durability(Durability::Buffered);
    let mut ids: Vec<EventId> = Vec::new();
    while ids.len() < count {
        let batch: Vec<_> = (0..500).map(|_| new()).collect();
        ids.extend(store.append_batch(&batch).unwrap().iter().map(|receipt| receipt.id));
    }
    let victims: Vec<_> = ids.iter().take(count).copied().map(Selector::Event).collect();
    let intent = store.shred(&victims, 1, "").unwrap().intent;
    let payload = vec![1; 1 << 20];
    (0..5).for_each(|_| drop(append(&store, "b", &payload)));
    store.close().unwrap();
    // The key scopes stand in the order of their bytes, which is that of the ids.
    let mut ordered: Vec<_> = ids.iter().take(count).map(|id| *id.as_bytes()).collect();
    ordered.sort_unstable();
    let last = ordered.split_off(SHRED_TARGETS_MAX);
    for place in [&place, &without_index_files(&place)] {
        let store = opened(place, local());
        for (n, id) in ids.iter().enumerate().step_by(7) {
            let proof = proof(&store.get(*id).unwrap().unwrap().payload);
            let of = if last.contains(id.as_bytes()) { intent } else { intent - 1 };
            assert_eq!(proof, (n < count).then_some(of));
        }
    }
}

/// Both copies of its blob damaged, a page cannot be read: a shred counts its keys as out of reach, and they are there again once the
/// extent is put back. What the log says of them is the answer then, also where the shred was cut short and an open has finished it.
#[test]
fn keys_that_a_shred_could_not_reach_read_as_shredded_when_they_are_back() {
    for cut_short in [false, true] {
        let place = Place::memory();
        let config = || place.with(local()).granularity(Granularity::Event).segment_bytes(64 << 10);
        let store = Store::create(place.dir(), config()).unwrap();
        let new = || NewEvent::new(at("a"), kind(), b"x").durability(Durability::Buffered);
        let batch: Vec<_> = (0..60).map(|_| new()).collect();
        let batches = (0..60).flat_map(|_| store.append_batch(&batch).unwrap());
        let ids: Vec<EventId> = batches.map(|receipt| receipt.id).collect();
        // Of so many keys every fifth destroyed leaves more nodes than an image takes.
        let fifth: Vec<_> = ids.iter().step_by(5).copied().map(Selector::Event).collect();
        store.shred(&fifth, 0, "").unwrap();
        store.close().unwrap();
        let extents = place.files().into_iter().filter(|(path, _)| path.parent().unwrap().ends_with("extents"));
        let [(path, whole)] = extents.collect::<Vec<_>>().try_into().unwrap();
        let mut damaged = whole.clone();
        [200, whole.len() / 2 + 200].into_iter().for_each(|at| damaged[at] ^= 4);
        place.put(&path, &damaged);
        let store = Store::open(place.dir(), config()).unwrap();
        assert!(matches!(store.get(ids[1]).unwrap().unwrap().payload, Payload::KeyLost(_)));
        let store = if cut_short {
            let disk = place.memory.as_ref().unwrap();
            let mut synced = false;
            disk.fail(Box::new(move |call| {
                let is_log = call.path.extension().is_some_and(|end| end == "seg");
                let refused = synced && !is_log && matches!(call.op, DiskOp::Write { .. });
                synced |= is_log && matches!(call.op, DiskOp::SyncData);
                refused.then(|| std::io::ErrorKind::StorageFull.into())
            }));
            let why = store.shred(&[Selector::Event(ids[1])], 0, "").unwrap_err();
            assert!(matches!(why, ShredError::Pending { .. }), "{why:?}");
            drop(store);
            disk.clear_hooks();
            Store::open(place.dir(), config()).unwrap()
        } else {
            assert_eq!(store.shred(&[Selector::Event(ids[1])], 0, "").unwrap().unreachable, 1);
            store
        };
        (0..60).for_each(|_| drop(store.append_batch(&batch).unwrap()));
        store.close().unwrap();
        place.put(&path, &whole);
        let read = |n: usize| proof(&reader(&place).get(ids[n]).unwrap().unwrap().payload).is_some();
        assert_eq!([0, 1, 2].map(read), [true, true, false], "cut short: {cut_short}");
    }
}

pub fn reader(place: &Place) -> Store {
    Store::open_read_only(place.dir(), place.with(local())).unwrap()
}
