//! Replay: what it shows is what a read returns, whatever the query, and wherever the frames stand.

use std::ops::ControlFlow;

use batpak_store::{Durability, Encryption, Event, EventKind, NewEvent, Payload, Query, ReadError, Selector, Store};

use crate::{
    kit::{Place, append, at, both, event, kind},
    meter::metered,
    spots::{segment_file, spots},
};

/// Longer than what is read of an active segment at a time.
const LONG: usize = 300_000;

fn config(place: &Place, sealed: bool) -> batpak_store::Config {
    if sealed { place.config() } else { place.with(Encryption::none()) }
}

/// Segments that are rolled, an active one with a long frame in it, and events that are only in the write buffer.
fn fill(place: &Place, sealed: bool) -> Store {
    let store = Store::create(place.dir(), config(place, sealed)).unwrap();
    for n in 0..60_u16 {
        let payload = vec![n as u8; usize::from(n) * 20];
        let entity = format!("e{}", n % 3);
        let new = NewEvent::new(at(&entity), EventKind::new(1, n % 4).unwrap(), &payload);
        store.append(&if n % 2 == 0 { new.tag("even") } else { new }).unwrap();
    }
    assert!(store.stats().segments > 2, "a replay must cross segments");
    append(&store, "long", &vec![3; LONG]);
    append(&store, "e0", b"behind it");
    for n in 0..5 {
        store.append(&event("e1", &[n; 50]).durability(Durability::Deferred)).unwrap();
    }
    store
}

fn shown(store: &Store, query: &Query) -> Result<(Vec<Event>, u64), (Vec<Event>, ReadError)> {
    let mut events = Vec::new();
    let ended = store.replay(query, |event| {
        let copy = event.to_event();
        assert_eq!((event.header().position(), event.event_hash()), (copy.header.position, copy.event_hash()));
        events.push(copy);
        ControlFlow::<()>::Continue(())
    });
    match ended {
        Ok(ControlFlow::Continue(next)) => Ok((events, next)),
        Ok(ControlFlow::Break(())) => panic!("nothing broke"),
        Err(why) => Err((events, why)),
    }
}

fn read(store: &Store, query: &Query) -> Vec<Event> {
    store.read(query).unwrap().collect::<Result<_, _>>().unwrap()
}

fn same(store: &Store, query: &Query) -> usize {
    let (events, _) = shown(store, query).unwrap();
    let expected = read(store, query);
    assert_eq!(events, expected, "{query:?}");
    for event in &expected {
        let got = store.at(event.header.position).unwrap().unwrap();
        assert_eq!(event.header, got.header);
        assert!(event.payload == got.payload || event.payload == Payload::Unread, "{query:?}");
        assert_eq!(store.get(event.header.id).unwrap(), Some(got));
    }
    let hashes = |events: &[Event]| events.iter().map(Event::event_hash).collect::<Vec<_>>();
    assert_eq!(hashes(&events), hashes(&expected), "{query:?}");
    events.len()
}

#[test]
fn replay_shows_what_a_read_returns() {
    for sealed in [false, true] {
        both(|place| {
            let store = fill(place, sealed);
            let all = Query::all;
            assert_eq!(same(&store, &all()), 67);
            assert_eq!(same(&store, &all().include_system(true)), 68);
            assert_eq!(same(&store, &all().headers_only(true)), 67);
            for (from, to) in [(0, 1), (0, 5), (7, 40), (30, 64), (61, 62), (62, 66), (66, 1000), (1000, 1001), (9, 3)]
            {
                same(&store, &all().from(from).to(to));
                same(&store, &all().from(from).to(to).reverse());
            }
            for limit in [0, 1, 7, 66, 1000] {
                same(&store, &all().limit(limit));
                same(&store, &all().limit(limit).reverse());
                same(&store, &all().limit(limit).kind(EventKind::new(1, 2).unwrap()));
            }
            assert_eq!(same(&store, &all().tag("even")), 30);
            assert_eq!(same(&store, &all().entity("e1")), 25);
            assert_eq!(same(&store, &all().entity("e1").reverse().limit(4)), 4);
            assert_eq!(same(&store, &all().entity("nobody")), 0);
            assert_eq!(shown(&store, &all()).unwrap().1, 68, "where a later replay goes on");
            assert_eq!(shown(&store, &all().to(9)).unwrap().1, 9);
            // Once more, from maps and the file alone.
            store.close().unwrap();
            let store = Store::open(place.dir(), config(place, sealed)).unwrap();
            assert_eq!(same(&store, &all()), 67);
            drop(store);
            let reader = Store::open_read_only(place.dir(), config(place, sealed)).unwrap();
            assert_eq!(same(&reader, &all()), 67);
        });
    }
}

#[test]
fn replay_ends_where_its_visitor_breaks_and_goes_on_from_there() {
    let place = Place::memory();
    let store = fill(&place, true);
    let mut seen = Vec::new();
    let mut visit = |event: batpak_store::EventView<'_>| {
        seen.push(event.header().position());
        if event.header().position() == 20 { ControlFlow::Break("enough") } else { ControlFlow::Continue(()) }
    };
    assert_eq!(store.replay(&Query::all(), &mut visit).unwrap(), ControlFlow::Break("enough"));
    assert_eq!(store.replay(&Query::all().from(21), visit).unwrap(), ControlFlow::Continue(68));
    assert_eq!(seen, (1..68).collect::<Vec<_>>());
}

#[test]
fn split_query_asks_for_the_same_events_in_order() {
    let place = Place::memory();
    let store = fill(&place, true);
    for query in [Query::all(), Query::all().from(5).to(50), Query::all().reverse(), Query::all().entity("e2")] {
        for parts in [0, 1, 2, 3, 7, 1000] {
            let split = store.split(&query, parts).unwrap();
            assert!((1..=parts.max(1)).contains(&split.len()), "{parts} parts, {}", split.len());
            let joined: Vec<Event> = split.iter().flat_map(|part| shown(&store, part).unwrap().0).collect();
            assert_eq!(joined, read(&store, &query), "{parts} parts of {query:?}");
        }
    }
    assert_eq!(store.split(&Query::all().limit(3), 4).unwrap().len(), 1, "a limit holds for all of it");
    assert_eq!(store.split(&Query::all().from(500), 4).unwrap().len(), 1);
    let split = store.split(&Query::all(), 4).unwrap();
    assert_eq!(split.len(), 4);
    let counts: Vec<usize> = std::thread::scope(|scope| {
        let threads: Vec<_> = split.iter().map(|part| scope.spawn(|| shown(&store, part).unwrap().0.len())).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(counts, [16, 17, 17, 17]);
}

#[test]
fn shred_in_the_middle_of_a_replay_opens_nothing_of_its_victim_any_more() {
    both(|place| {
        let store = place.create();
        for n in 0..9 {
            append(&store, ["victim", "other"][n % 2], b"x");
        }
        let mut payloads = Vec::new();
        let ended = store.replay(&Query::all(), |event| {
            payloads.push(event.to_event().payload);
            if payloads.len() == 3 {
                store.shred(&[Selector::Entity("victim".into())], 1, "").unwrap();
            }
            ControlFlow::<()>::Continue(())
        });
        assert_eq!(ended.unwrap(), ControlFlow::Continue(10));
        let open = |payload: &Payload| payload.open().is_some();
        assert_eq!(
            payloads.iter().map(open).collect::<Vec<_>>(),
            [true, true, true, true, false, true, false, true, false]
        );
        assert!(matches!(payloads[4], Payload::Shredded(proof) if proof.intent == 10), "{:?}", payloads[4]);
        // Nor does an iterator that began before.
        let mut events = store.read(&Query::all().entity("other")).unwrap();
        assert!(events.next().unwrap().unwrap().payload.open().is_some());
        store.shred(&[Selector::Entity("other".into())], 1, "").unwrap();
        assert!(events.all(|event| matches!(event.unwrap().payload, Payload::Shredded(_))));
    });
}

#[test]
fn damaged_frame_ends_a_replay_at_its_position() {
    for sealed in [false, true] {
        let place = Place::memory();
        drop(fill(&place, sealed));
        for position in [3, 30, 61, 62, 67] {
            let place = Place::on(place.memory.clone().unwrap().copy());
            let store = Store::open_read_only(place.dir(), config(&place, sealed)).unwrap();
            let spot = spots(&place)[position as usize];
            let path = segment_file(&place, spot.segment);
            let mut bytes = place.read(&path);
            bytes[(spot.offset + spot.len - 1) as usize] ^= 4;
            place.put(&path, &bytes);
            let (before, why) = shown(&store, &Query::all()).unwrap_err();
            assert!(matches!(why, ReadError::Damaged { position: at, .. } if at == position), "{why:?}");
            assert_eq!(before.len() as u64, position - 1);
            let (_, why) = shown(&store, &Query::all().reverse()).unwrap_err();
            assert!(matches!(why, ReadError::Damaged { position: at, .. } if at == position), "{why:?}");
            assert!(matches!(store.at(position), Err(ReadError::Damaged { .. })));
            let mut read = store.read(&Query::all()).unwrap();
            assert!(read.by_ref().take(before.len()).map(Result::unwrap).eq(before));
            let why = read.next().unwrap().unwrap_err();
            assert!(matches!(why, ReadError::Damaged { position: at, .. } if at == position), "{why:?}");
            assert!(read.next().is_none(), "a read ends with its first error");
            assert_eq!(shown(&store, &Query::all().from(position + 1)).unwrap().0.len() as u64, 67 - position);
        }
    }
}

#[test]
fn replay_allocates_nothing_for_an_event() {
    for sealed in [false, true] {
        let place = Place::memory();
        let store = Store::create(place.dir(), config(&place, sealed).segment_bytes(1 << 20)).unwrap();
        let payload = [7; 100];
        for _ in 0..50 {
            store.append_batch(&vec![event("a", &payload); 100]).unwrap();
        }
        assert!(store.stats().segments > 1);
        let bytes = || {
            let mut bytes = 0;
            let ended = store.replay(&Query::all().kind(kind()), |event| {
                bytes += event.payload().open().unwrap().len();
                ControlFlow::<()>::Continue(())
            });
            assert!(ended.is_ok());
            bytes
        };
        assert_eq!(bytes(), 500_000);
        let (again, allocated) = metered(bytes);
        assert_eq!(again, 500_000);
        assert!(allocated.count < 50, "{allocated:?}");
        let (events, allocated) = metered(|| store.read(&Query::all()).unwrap().count());
        assert_eq!(events, 5_000);
        assert!(allocated.count > 5_000, "the control: events of their own are allocated, {allocated:?}");
    }
}
