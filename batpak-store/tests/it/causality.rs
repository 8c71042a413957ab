//! What an event caused, what belongs together, and the edges that the causal graph is read from.

use std::{
    ops::ControlFlow,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use batpak_store::{
    AppendError, Durability, EventId, NewEvent, Store,
    format::{EdgeSource, EventEdges},
    segment::DiskOp,
};

use crate::kit::{Place, append, both, event, kind};

fn id(n: u32) -> EventId {
    EventId::from_key(&n.to_le_bytes())
}

/// Event `n` has the key `n`, names `n - 1` and `n / 2`, and for every fifth one outside the store; sevens are one undertaking.
fn nth(n: u32) -> NewEvent<'static> {
    let entity = ["a", "b", "c"][n as usize % 3];
    let new = event(entity, b"x").key(&n.to_le_bytes()).correlation(id(n / 7 * 7 + 1_000_000));
    let new = if n > 0 { new.cause(id(n - 1)) } else { new };
    let new = if n > 2 { new.cause(id(n / 2)) } else { new };
    if n.is_multiple_of(5) { new.external_cause(id(2_000_000 + n % 10)) } else { new }
}

const EVENTS: u32 = 100;

fn fill(store: &Store) {
    for n in 0..EVENTS {
        assert_eq!(store.append(&nth(n)).unwrap().position, u64::from(n) + 1);
    }
}

fn positions(which: impl Fn(u32) -> bool) -> Vec<u64> {
    (0..EVENTS).filter(|n| which(*n)).map(|n| u64::from(n) + 1).collect()
}

/// Checks every answer against what follows from the numbers.
fn check(store: &Store) {
    for n in 0..EVENTS {
        let effects = positions(|effect| effect == n + 1 || (effect > 2 && effect / 2 == n && n > 0));
        assert_eq!(store.caused_by(id(n)).unwrap(), effects, "{n}");
    }
    for outside in [0, 5] {
        assert_eq!(store.caused_by(id(2_000_000 + outside)).unwrap(), positions(|n| n % 10 == outside));
    }
    for group in 0..=EVENTS / 7 {
        assert_eq!(store.correlated(id(group * 7 + 1_000_000)).unwrap(), positions(|n| n / 7 == group));
    }
    let unknown = EventId::from_key(b"unknown");
    assert_eq!((store.caused_by(unknown).unwrap(), store.correlated(unknown).unwrap()), (vec![], vec![]));
    assert_eq!(edges(store, 0), (0..EVENTS).map(edge).collect::<Vec<_>>());
}

type Edge = (u64, EventId, String, Option<EventId>, Vec<(EventId, bool)>);

fn seen(edges: &EventEdges<'_>) -> Edge {
    assert_eq!((edges.kind, edges.scope), (kind(), "scope-1"));
    let causes = edges.causes.iter().map(|cause| (cause.id, cause.external)).collect();
    (edges.position, edges.id, edges.entity.to_owned(), edges.correlation, causes)
}

fn edge(n: u32) -> Edge {
    let mut causes = Vec::new();
    causes.extend((n > 0).then(|| (id(n - 1), false)));
    causes.extend((n > 2).then(|| (id(n / 2), false)));
    causes.extend((n.is_multiple_of(5)).then(|| (id(2_000_000 + n % 10), true)));
    let entity = ["a", "b", "c"][n as usize % 3].to_owned();
    (u64::from(n) + 1, id(n), entity, Some(id(n / 7 * 7 + 1_000_000)), causes)
}

fn edges(store: &Store, from: u64) -> Vec<Edge> {
    let mut all = Vec::new();
    let next = store
        .edges(from, &mut |edges| {
            all.push(seen(&edges));
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(next, from.max(store.stats().visible_mark));
    all
}

#[test]
fn causes_and_correlations_are_found_live_after_reopen_and_from_a_reader() {
    both(|place| {
        let store = place.create();
        fill(&store);
        check(&store);
        check(&place.reader());
        store.close().unwrap();
        check(&place.open());
        check(&place.reader());
    });
}

#[test]
fn edges_go_on_from_the_position_that_was_returned() {
    let place = Place::memory();
    let store = place.create();
    fill(&store);
    for from in [0, 1, 2, 50, 100, 101, 102, u64::MAX] {
        let after: Vec<_> = (0..EVENTS).map(edge).filter(|edge| edge.0 >= from).collect();
        assert_eq!(edges(&store, from), after, "{from}");
    }
    // Broken off after every so many, and taken up again, each is shown once.
    for step in [1, 7, 99, 100] {
        let (mut all, mut from) = (Vec::new(), 0);
        while from < store.stats().visible_mark {
            let mut left = step;
            let next = store
                .edges(from, &mut |edges| {
                    all.push(seen(&edges));
                    left -= 1;
                    if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
                })
                .unwrap();
            assert!(next > from);
            from = next;
        }
        assert_eq!(all, (0..EVENTS).map(edge).collect::<Vec<_>>(), "{step}");
    }
    let first = append(&store, "later", b"x").position;
    let next = store
        .edges(first, &mut |edges| {
            assert_eq!((edges.position, edges.entity, edges.causes.len()), (first, "later", 0));
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(next, first + 1);
}

#[test]
fn visitor_may_append_and_sees_what_was_visible_when_it_began() {
    let place = Place::memory();
    let store = place.create();
    // More than are copied at a time.
    for n in 0..600_u32 {
        store.append(&event("a", &n.to_le_bytes()).durability(Durability::Buffered)).unwrap();
    }
    let mut count = 0;
    let next = store
        .edges(0, &mut |_| {
            count += 1;
            append(&store, "b", b"meanwhile");
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!((count, next, store.stats().events), (600, 601, 1201));
}

#[test]
fn batch_may_name_its_own_earlier_events() {
    both(|place| {
        let store = place.create();
        let batch: Vec<_> = (0..EVENTS).map(nth).collect();
        store.append_batch(&batch).unwrap();
        check(&store);
        check(&place.reader());
        store.close().unwrap();
        check(&place.open());
    });
}

#[test]
fn failed_write_takes_its_edges_back() {
    let place = Place::memory();
    let store = place.create();
    let cause = append(&store, "a", b"cause").id;
    let failing = Arc::new(AtomicBool::new(true));
    let fails = Arc::clone(&failing);
    place.memory.as_ref().unwrap().fail(Box::new(move |call| {
        let frame = matches!(call.op, DiskOp::Write { bytes, .. } if bytes.iter().any(|byte| *byte != 0));
        let in_log = call.path.extension().is_some_and(|extension| extension == "seg");
        (frame && in_log && fails.load(Ordering::Relaxed)).then(|| std::io::ErrorKind::StorageFull.into())
    }));
    let group = EventId::from_key(b"group");
    let new = event("b", b"effect").key(b"effect").cause(cause).correlation(group);
    let then = event("b", b"then").cause(EventId::from_key(b"effect")).correlation(group);
    for _ in 0..3 {
        assert!(matches!(store.append(&new), Err(AppendError::NotWritten(_))));
        assert!(matches!(store.append_batch(&[new.clone(), then.clone()]), Err(AppendError::NotWritten(_))));
        assert_eq!((store.caused_by(cause).unwrap(), store.correlated(group).unwrap()), (vec![], vec![]));
        let unknown = store.append(&then).unwrap_err();
        assert!(matches!(unknown, AppendError::UnknownCause { .. }), "{unknown:?}");
    }
    failing.store(false, Ordering::Relaxed);
    assert_eq!(store.append(&new).unwrap().repeat, None);
    store.append(&then).unwrap();
    assert_eq!((store.caused_by(cause).unwrap(), store.correlated(group).unwrap()), (vec![2], vec![2, 3]));
    assert_eq!(store.caused_by(EventId::from_key(b"effect")).unwrap(), [3]);
    drop(store);
    assert_eq!(place.open().correlated(group).unwrap(), [2, 3]);
}

#[test]
fn reader_takes_new_edges_in_with_its_next_look() {
    both(|place| {
        let store = place.create();
        let reader = place.reader();
        fill(&store);
        assert_eq!(reader.caused_by(id(3)).unwrap(), [5, 7, 8]);
        check(&reader);
        let effect = store.append(&event("z", b"x").cause(id(3))).unwrap();
        assert_eq!(reader.caused_by(id(3)).unwrap(), [5, 7, 8, effect.position]);
    });
}
