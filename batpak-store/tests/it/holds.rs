//! Holds: what is held is left out of a shred, on the record, until it is released.

use batpak_store::{
    AppendError, Coordinate, Encryption, EventId, EventKind, Granularity, NewEvent, Query, Selector, ShredError, Store,
    format::Record, keyset::KeyScope,
};

use crate::{
    cuts::{Cut, everywhere},
    kit::{Place, append, both, kind, sound},
    shred::fate,
};

fn entity(name: &str) -> Selector {
    Selector::Entity(name.into())
}

/// The last intent of the log.
pub fn intent(store: &Store) -> batpak_store::format::ShredIntent {
    let query = Query::all().kind(EventKind::SHRED_INTENT).include_system(true);
    let event = store.read(&query).unwrap().last().unwrap().unwrap();
    match Record::decode(event.header.kind, event.payload.open().unwrap()).unwrap() {
        Record::ShredIntent(intent) => intent,
        other => panic!("{other:?}"),
    }
}

fn names(scopes: &[KeyScope]) -> Vec<String> {
    scopes.iter().map(ToString::to_string).collect()
}

fn events(store: &Store, kind: EventKind) -> usize {
    store.read(&Query::all().kind(kind).include_system(true)).unwrap().count()
}

#[test]
fn held_key_scope_is_left_out_of_a_shred_and_named_in_its_intent() {
    both(|place| {
        let store = place.create();
        let (a, b) = (append(&store, "a", b"1").id, append(&store, "b", b"2").id);
        let held = store.hold(&entity("a"), "case 9").unwrap();
        let shredding = store.shred(&[entity("a"), entity("b")], 0, "").unwrap();
        let check = |store: &Store| {
            assert_eq!((fate(store, a), fate(store, b)), ("open", "shredded"));
            let holds = store.holds().unwrap();
            assert_eq!(holds.len(), 1);
            assert_eq!((holds[0].position, holds[0].reference.as_str()), (held, "case 9"));
            assert_eq!(names(&[holds[0].key_scope.clone()]), ["entity a"]);
            let intent = intent(store);
            assert_eq!(intent.withheld, [holds[0].key_scope.as_bytes().into()]);
            assert_eq!(intent.targets.len(), 1);
            assert_eq!(store.stats().holds, 1);
            sound(store);
        };
        assert_eq!(
            (names(&shredding.key_scopes), names(&shredding.withheld)),
            (vec!["entity b".into()], vec!["entity a".into()])
        );
        check(&store);
        check(&place.reader());
        store.close().unwrap();
        let store = place.open();
        check(&store);
        append(&store, "a", b"a hold keeps nobody from appending");
        // Alone it is all there is.
        let before = store.stats().events;
        let why = store.shred(&[entity("a")], 0, "").unwrap_err();
        assert!(matches!(&why, ShredError::Withheld { key_scopes } if names(key_scopes) == ["entity a"]), "{why:?}");
        assert_eq!(store.stats().events, before, "nothing was written");
        // The control: released, it is shredded like every other.
        store.release(&entity("a"), "case 9 closed").unwrap();
        assert_eq!((store.holds().unwrap().len(), place.reader().holds().unwrap().len()), (0, 0));
        store.shred(&[entity("a")], 0, "").unwrap();
        assert_eq!((fate(&store, a), intent(&store).withheld.len()), ("shredded", 0));
    });
}

#[test]
fn hold_on_a_coarser_name_covers_every_key_scope_under_it_also_those_to_come() {
    let place = Place::memory();
    let store = place.create_per(Granularity::Coordinate);
    let put = |entity: &str, scope: &str| {
        store.append(&NewEvent::new(Coordinate::new(entity, scope).unwrap(), kind(), b"x")).unwrap().id
    };
    let first = put("a", "s1");
    store.hold(&entity("a"), "").unwrap();
    let (later, free) = (put("a", "s2"), put("b", "s2"));
    let shredding = store.shred(&[Selector::Scope("s1".into()), Selector::Scope("s2".into())], 0, "").unwrap();
    assert_eq!(names(&shredding.withheld), ["coordinate a@s1", "coordinate a@s2"]);
    assert_eq!((fate(&store, first), fate(&store, later), fate(&store, free)), ("open", "open", "shredded"));
    // Also one that has no event yet, and one that a finer hold names as well: it stays held by that.
    let ahead = Selector::Coordinate(Coordinate::new("a", "s9").unwrap());
    assert!(matches!(store.shred(std::slice::from_ref(&ahead), 0, ""), Err(ShredError::Withheld { .. })));
    store.hold(&ahead, "").unwrap();
    store.release(&entity("a"), "").unwrap();
    let shredding = store.shred(&[entity("a"), ahead], 0, "").unwrap();
    assert_eq!(names(&shredding.withheld), ["coordinate a@s9"]);
    assert_eq!((fate(&store, first), fate(&store, later)), ("shredded", "shredded"));
}

#[test]
fn hold_with_a_key_for_each_event_looks_at_where_the_event_belongs() {
    let place = Place::memory();
    let store = place.create_per(Granularity::Event);
    let [a, b, one, last] = ["a", "b", "c", "c"].map(|name| append(&store, name, b"x").id);
    for held in [entity("a"), Selector::Event(one)] {
        store.hold(&held, "").unwrap();
    }
    // By ids, and by what is coarser: the two ways that events are found.
    let by_id: Vec<_> = [a, one, last].map(Selector::Event).into();
    let shredding = store.shred(&by_id, 0, "").unwrap();
    assert_eq!((shredding.withheld.len(), shredding.key_scopes.len()), (2, 1));
    let shredding = store.shred(&[Selector::Category(1)], 0, "").unwrap();
    assert_eq!((shredding.withheld.len(), shredding.key_scopes.len()), (2, 1));
    let fates = [a, b, one, last].map(|id: EventId| fate(&store, id));
    assert_eq!(fates, ["open", "shredded", "open", "shredded"]);
}

#[test]
fn hold_that_cannot_be_is_a_typed_error_and_changes_nothing() {
    let place = Place::memory();
    let store = place.create();
    append(&store, "a", b"x");
    let position = store.hold(&entity("a"), "first").unwrap();
    let before = place.files();
    let why = store.hold(&entity("a"), "second").unwrap_err();
    assert!(matches!(why, ShredError::AlreadyHeld { position: found } if found == position), "{why:?}");
    assert!(matches!(store.release(&entity("b"), ""), Err(ShredError::NotHeld)));
    let finer = Selector::Event(EventId::from_key(b"x"));
    for refused in [finer, Selector::Scope("scope-1".into()), Selector::Kind(kind())] {
        assert!(matches!(store.hold(&refused, ""), Err(ShredError::WrongGranularity { .. })));
        assert!(matches!(store.release(&refused, ""), Err(ShredError::WrongGranularity { .. })));
    }
    assert!(matches!(store.hold(&Selector::Category(0), ""), Err(ShredError::Reserved)));
    assert!(matches!(store.hold(&entity("b"), &"x".repeat(65)), Err(ShredError::ReferenceTooLong { bytes: 65 })));
    assert!(matches!(place.reader().hold(&entity("b"), ""), Err(ShredError::Append(AppendError::ReadOnly))));
    assert_eq!(place.files(), before);
    assert_eq!(store.holds().unwrap()[0].reference, "first");
    let plain = Place::memory();
    let store = Store::create(plain.dir(), plain.with(Encryption::none())).unwrap();
    assert!(matches!(store.hold(&entity("a"), ""), Err(ShredError::Plaintext)));
    assert!(store.holds().unwrap().is_empty());
}

#[test]
fn holds_of_a_growing_log_are_known_to_a_reader_with_and_without_keys() {
    let place = Place::memory();
    let store = place.create();
    append(&store, "a", b"x");
    let reader = place.reader();
    let blind = Store::open_read_only(place.dir(), place.with(Encryption::none()).without_keys()).unwrap();
    assert!(reader.holds().unwrap().is_empty() && blind.holds().unwrap().is_empty());
    store.hold(&entity("a"), "").unwrap();
    assert_eq!((reader.holds().unwrap(), blind.holds().unwrap()), (store.holds().unwrap(), store.holds().unwrap()));
    assert!(matches!(blind.plan_shred(&[entity("a")]), Err(ShredError::WithoutKeys)));
    assert_eq!(reader.plan_shred(&[entity("a")]).unwrap().withheld.len(), 1);
    store.release(&entity("a"), "").unwrap();
    assert!(reader.holds().unwrap().is_empty() && blind.holds().unwrap().is_empty());
}

#[test]
fn hold_and_release_cut_at_any_call_are_there_or_not_and_never_half() {
    let start = Place::memory();
    let store = start.create();
    append(&store, "a", b"x");
    store.hold(&entity("b"), "").unwrap();
    store.close().unwrap();
    let memory = start.memory.clone().unwrap();
    for cut in Cut::ALL {
        let held = |store: &Store| store.holds().unwrap().iter().any(|hold| hold.key_scope.to_string() == "entity a");
        let cuts = everywhere(&memory, cut, &|store| store.hold(&entity("a"), "r").is_ok(), &|store, call, done| {
            assert_eq!(events(store, EventKind::SCOPE_HELD), 1 + usize::from(held(store)), "{cut:?} {call}");
            assert!(held(store) || !done, "{cut:?} {call}: a hold that returned is in force");
            sound(store);
            let shred = store.plan_shred(&[entity("a"), entity("b")]).unwrap();
            assert_eq!(shred.withheld.len(), 1 + usize::from(held(store)));
        });
        assert!(cuts >= 2, "{cut:?}: {cuts}");
        let held = |store: &Store| !store.holds().unwrap().is_empty();
        let cuts = everywhere(&memory, cut, &|store| store.release(&entity("b"), "r").is_ok(), &|store, call, done| {
            assert_eq!(events(store, EventKind::SCOPE_RELEASED), usize::from(!held(store)), "{cut:?} {call}");
            assert!(!held(store) || !done, "{cut:?} {call}: a release that returned holds no more");
            sound(store);
        });
        assert!(cuts >= 2, "{cut:?}: {cuts}");
    }
}

#[test]
fn hold_beside_shreds_stands_before_or_behind_each_and_never_in_one() {
    for round in 0..60 {
        let place = Place::memory();
        let store = place.create();
        let (a, b) = (append(&store, "a", b"1").id, append(&store, "b", b"2").id);
        let (held, shredding) = std::thread::scope(|scope| {
            let hold = scope.spawn(|| store.hold(&entity("a"), "").unwrap());
            let shred = scope.spawn(|| store.shred(&[entity("a"), entity("b")], 0, "").unwrap());
            (hold.join().unwrap(), shred.join().unwrap())
        });
        assert_eq!(fate(&store, b), "shredded");
        let withheld = shredding.withheld.len() == 1;
        assert_eq!(withheld, held < shredding.intent, "round {round}");
        assert_eq!(fate(&store, a), if withheld { "open" } else { "shredded" }, "round {round}");
        assert!(held < shredding.intent || held > shredding.completion, "round {round}");
    }
}
