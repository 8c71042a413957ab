//! Expected revisions and append conditions: what a caller knew when it decided still holds at the commit.

use std::{sync::Arc, thread};

use batpak_store::{
    AppendCondition, AppendError, Coordinate, Durability, EventKind, Expect, NewEvent, Query, QueryItem, Store,
};

use crate::kit::{Place, append, at, both, event, kind, payloads};

fn expecting<'a>(entity: &str, expect: Expect) -> NewEvent<'a> {
    event(entity, b"expected").expect(expect).durability(Durability::Buffered)
}

fn refused(store: &Store, entity: &str, expect: Expect, actual: Option<u64>) {
    let events = store.stats().events;
    match store.append(&expecting(entity, expect)) {
        Err(AppendError::UnexpectedRevision { event: 0, expected, actual: found }) => {
            assert_eq!((expected, found), (expect, actual));
        }
        other => panic!("not refused: {other:?}"),
    }
    assert_eq!(store.stats().events, events);
}

#[test]
fn an_expected_revision_is_compared_with_that_of_the_stream() {
    both(|place| {
        let store = place.create();
        refused(&store, "a", Expect::Exists, None);
        refused(&store, "a", Expect::Exactly(0), None);
        assert_eq!(store.append(&expecting("a", Expect::NoStream)).unwrap().revision, 0);
        refused(&store, "a", Expect::NoStream, Some(0));
        refused(&store, "a", Expect::Exactly(1), Some(0));
        assert_eq!(store.append(&expecting("a", Expect::Exactly(0))).unwrap().revision, 1);
        assert_eq!(store.append(&expecting("a", Expect::Exists)).unwrap().revision, 2);
        assert_eq!(store.append(&expecting("a", Expect::Any)).unwrap().revision, 3);
        // Another stream has revisions of its own.
        assert_eq!(store.append(&expecting("b", Expect::NoStream)).unwrap().revision, 0);
        drop(store);
        refused(&place.open(), "a", Expect::Exactly(4), Some(3));
    });
}

#[test]
fn a_batch_counts_its_own_earlier_events_and_is_refused_whole() {
    both(|place| {
        let store = place.create();
        let batch =
            [expecting("a", Expect::NoStream), expecting("b", Expect::NoStream), expecting("a", Expect::Exactly(0))];
        let revisions: Vec<_> = store.append_batch(&batch).unwrap().iter().map(|receipt| receipt.revision).collect();
        assert_eq!(revisions, [0, 0, 1]);
        let late = [expecting("c", Expect::NoStream), expecting("c", Expect::NoStream)];
        let refusal = store.append_batch(&late);
        assert!(
            matches!(
                refusal,
                Err(AppendError::UnexpectedRevision { event: 1, expected: Expect::NoStream, actual: Some(0) })
            ),
            "{refusal:?}"
        );
        assert_eq!(store.stream("c", 0).unwrap().count(), 0);
    });
}

#[test]
fn a_repeat_is_answered_whatever_is_expected_now() {
    let store = Place::memory().create();
    let first = store.append(&expecting("a", Expect::NoStream).key(b"once")).unwrap();
    let again = store.append(&expecting("a", Expect::NoStream).key(b"once")).unwrap();
    assert_eq!((again.position, again.repeat.is_some()), (first.position, true));
}

#[test]
fn of_racing_creators_exactly_one_wins() {
    for round in 0..20 {
        let store = Arc::new(Place::memory().create());
        let entity = format!("entity-{round}");
        let race = |_| {
            let (store, entity) = (Arc::clone(&store), entity.clone());
            thread::spawn(move || store.append(&expecting(&entity, Expect::NoStream)).map(drop))
        };
        let threads: Vec<_> = (0..8).map(race).collect();
        let results: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
        let lost = |result: &&Result<(), AppendError>| {
            matches!(result, Err(AppendError::UnexpectedRevision { actual: Some(0), .. }))
        };
        assert_eq!(results.iter().filter(lost).count(), 7);
    }
}

#[test]
fn a_revision_that_a_failed_write_gave_out_is_not_expected_any_more() {
    let place = Place::memory();
    let store = place.create();
    append(&store, "a", b"kept");
    let memory = place.memory.clone().unwrap();
    memory.fail(Box::new(|call| {
        let log = call.path.extension().is_some_and(|extension| extension == "seg");
        // Zeros are what a write that failed is cut back with.
        let event = |bytes: &[u8]| bytes.iter().any(|byte| *byte != 0);
        (log && matches!(call.op, batpak_store::segment::DiskOp::Write { bytes, .. } if event(bytes)))
            .then(|| std::io::ErrorKind::StorageFull.into())
    }));
    assert!(matches!(store.append(&expecting("a", Expect::Exactly(0))), Err(AppendError::NotWritten(_))));
    memory.fail(Box::new(|_| None));
    assert_eq!(store.append(&expecting("a", Expect::Exactly(0))).unwrap().revision, 1);
}

fn tagged<'a>(entity: &str, tag: &str) -> NewEvent<'a> {
    event(entity, b"tagged").tag(tag).durability(Durability::Buffered)
}

fn fails(store: &Store, condition: AppendCondition, at: u64) {
    match store.append(&event("z", b"conditional").condition(condition)) {
        Err(AppendError::ConditionFailed { position }) => assert_eq!(position, at),
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn a_condition_names_the_last_match_after_what_the_caller_has_seen() {
    both(|place| {
        let store = place.create();
        let first = store.append(&tagged("a", "red")).unwrap().position;
        let second = store.append(&tagged("b", "red")).unwrap().position;
        let other_kind = EventKind::new(2, 2).unwrap();
        let elsewhere = Coordinate::new("c", "scope-2").unwrap();
        let third = store.append(&NewEvent::new(elsewhere, other_kind, b"x").tag("blue")).unwrap().position;
        let check = |store: &Store| {
            let red = || QueryItem::any().tag("red");
            fails(store, AppendCondition::fail_if(red()), second);
            fails(store, AppendCondition::fail_if(red()).after(first), second);
            fails(store, AppendCondition::fail_if(red().entity("a")), first);
            fails(store, AppendCondition::fail_if(QueryItem::any().kind(other_kind)), third);
            fails(store, AppendCondition::fail_if(QueryItem::any().scope("scope-2")).after(second), third);
            fails(store, AppendCondition::fail_if(red().tag("blue")).or(QueryItem::any().entity("b")), second);
        };
        check(&store);
        drop(store);
        let store = place.open();
        check(&store);
        let red = || QueryItem::any().tag("red");
        let holds = [
            AppendCondition::fail_if(red()).after(second),
            AppendCondition::fail_if(red().kind(other_kind)),
            AppendCondition::fail_if(red().entity("nobody")),
            AppendCondition::fail_if(QueryItem::any().kind(kind())).after(third),
        ];
        for condition in holds {
            store.append(&NewEvent::new(at("z"), other_kind, b"x").condition(condition)).unwrap();
        }
        // The store's own events count where their kind is named, and not else.
        fails(&store, AppendCondition::fail_if(QueryItem::any().kind(EventKind::GENESIS)), 0);
    });
}

#[test]
fn a_user_name_is_taken_once_by_racing_threads() {
    let store = Arc::new(Place::memory().create());
    let register = |n: usize| {
        let store = Arc::clone(&store);
        thread::spawn(move || {
            let free = AppendCondition::fail_if(QueryItem::any().kind(kind()).tag("name:ada"));
            store.append(&tagged(&format!("user-{n}"), "name:ada").condition(free)).map(drop)
        })
    };
    let threads: Vec<_> = (0..8).map(register).collect();
    let won = threads.into_iter().map(|thread| thread.join().unwrap()).filter(Result::is_ok).count();
    assert_eq!(won, 1);
    assert_eq!(store.read(&Query::all().tag("name:ada")).unwrap().count(), 1);
}

#[test]
fn the_events_of_a_batch_do_not_fail_each_other_s_conditions() {
    let store = Place::memory().create();
    let free = AppendCondition::fail_if(QueryItem::any().tag("pair"));
    let pair = [tagged("a", "pair").condition(free.clone()), tagged("b", "pair").condition(free)];
    store.append_batch(&pair).unwrap();
    assert!(matches!(store.append_batch(&pair), Err(AppendError::ConditionFailed { position: 2 })));
    assert_eq!(payloads(&store).len(), 2);
}
