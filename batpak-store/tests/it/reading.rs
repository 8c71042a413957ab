//! Reading by id, position, entity and query.

use std::sync::atomic::{AtomicI64, Ordering};

use batpak_store::{
    Clock, Coordinate, Encryption, Event, EventId, EventKind, NewEvent, Payload, Query, Store, Timestamp,
};

use crate::kit::{Place, append, both, event, open};

const EVENTS: u64 = 40;

/// Event `n` stands at position `n + 1`, and everything about it follows from `n`.
fn nth(n: u64, payload: &[u8]) -> NewEvent<'_> {
    let coordinate = Coordinate::new(&format!("e{}", n % 3), &format!("s{}", n % 2)).unwrap();
    let kind = kind_of(n);
    let new = NewEvent::new(coordinate, kind, payload).key(&n.to_le_bytes());
    let new = new.time(Timestamp::from_micros(time_of(n))).tag(if n.is_multiple_of(2) { "even" } else { "odd" });
    if n.is_multiple_of(5) { new.tag("fifth") } else { new }
}

fn kind_of(n: u64) -> EventKind {
    EventKind::new(1, u16::try_from(n % 4).unwrap()).unwrap()
}

/// Times go down twice, so they are in no way the order of the log.
fn time_of(n: u64) -> i64 {
    i64::try_from(n % 15).unwrap() * 1000
}

fn payload_of(n: u64) -> Vec<u8> {
    let mut payload = n.to_le_bytes().to_vec();
    payload.resize(600, 7);
    payload
}

fn fill(place: &Place) -> Store {
    let store = place.create();
    for n in 0..EVENTS {
        assert_eq!(store.append(&nth(n, &payload_of(n))).unwrap().position, n + 1);
    }
    assert!(store.stats().segments >= 2, "reads must cross segments");
    store
}

fn numbers(store: &Store, query: &Query) -> Vec<u64> {
    store.read(query).unwrap().map(|event| event.unwrap().header.position - 1).collect()
}

/// One condition of a query, and the same said of a number.
struct Case {
    name: &'static str,
    query: fn(Query) -> Query,
    holds: fn(u64) -> bool,
}

const CASES: [Case; 14] = [
    Case { name: "all", query: |query| query, holds: |_| true },
    Case { name: "entity", query: |query| query.entity("e1"), holds: |n| n % 3 == 1 },
    Case { name: "no such entity", query: |query| query.entity("e3"), holds: |_| false },
    Case { name: "scope", query: |query| query.scope("s1"), holds: |n| n % 2 == 1 },
    Case { name: "no such scope", query: |query| query.scope("e1"), holds: |_| false },
    Case { name: "kind", query: |query| query.kind(kind_of(2)), holds: |n| n % 4 == 2 },
    Case {
        name: "kinds",
        query: |query| query.kind(kind_of(0)).kind(kind_of(3)),
        holds: |n| n.is_multiple_of(4) || n % 4 == 3,
    },
    Case { name: "tag", query: |query| query.tag("fifth"), holds: |n| n.is_multiple_of(5) },
    Case { name: "tags", query: |query| query.tag("odd").tag("fifth"), holds: |n| n % 10 == 5 },
    Case { name: "no such tag", query: |query| query.tag("fift"), holds: |_| false },
    Case { name: "since", query: |query| query.since(Timestamp::from_micros(9000)), holds: |n| n % 15 >= 9 },
    Case { name: "until", query: |query| query.until(Timestamp::from_micros(9000)), holds: |n| n % 15 < 9 },
    Case {
        name: "between",
        query: |query| query.since(Timestamp::from_micros(3000)).until(Timestamp::from_micros(3001)),
        holds: |n| n % 15 == 3,
    },
    Case {
        name: "everything",
        query: |query| {
            query.entity("e0").scope("s0").kind(kind_of(0)).tag("even").until(Timestamp::from_micros(12_001))
        },
        holds: |n| n.is_multiple_of(12) && n % 15 <= 12,
    },
];

#[test]
fn read_returns_exactly_what_each_filter_asks_for_in_both_directions() {
    both(|place| {
        let store = fill(place);
        for case in &CASES {
            let expected: Vec<u64> = (0..EVENTS).filter(|n| (case.holds)(*n)).collect();
            let query = (case.query)(Query::all());
            assert_eq!(numbers(&store, &query), expected, "{}", case.name);
            let backwards: Vec<u64> = expected.iter().rev().copied().collect();
            assert_eq!(numbers(&store, &query.reverse()), backwards, "{}", case.name);
        }
    });
}

#[test]
fn read_combines_filters_with_ranges_and_limits() {
    let place = Place::memory();
    let store = fill(&place);
    let ends = [None, Some(0), Some(1), Some(8), Some(31), Some(EVENTS + 1), Some(EVENTS + 2), Some(u64::MAX)];
    for case in &CASES {
        for (from, to) in [0, 1, 7, 31, EVENTS + 1, u64::MAX].into_iter().flat_map(|from| ends.map(|to| (from, to))) {
            let inside = |n: &u64| (from..to.unwrap_or(u64::MAX)).contains(&(n + 1)) && (case.holds)(*n);
            let expected: Vec<u64> = (0..EVENTS).filter(inside).collect();
            for limit in [0, 1, 3, u64::MAX] {
                let query = (case.query)(Query::all()).from(from).limit(limit).headers_only(true);
                let query = to.map_or(query.clone(), |to| query.to(to));
                let take = usize::try_from(limit).unwrap();
                let forwards: Vec<u64> = expected.iter().take(take).copied().collect();
                assert_eq!(numbers(&store, &query), forwards, "{} {from} {to:?} {limit}", case.name);
                let backwards: Vec<u64> = expected.iter().rev().take(take).copied().collect();
                assert_eq!(numbers(&store, &query.reverse()), backwards, "{} {from} {to:?} {limit}", case.name);
            }
        }
    }
}

#[test]
fn get_at_header_and_position_of_agree_on_every_event() {
    both(|place| {
        let store = fill(place);
        for n in 0..EVENTS {
            let id = EventId::from_key(&n.to_le_bytes());
            let event = store.get(id).unwrap().unwrap();
            assert_eq!((event.header.position, event.header.revision), (n + 1, n / 3));
            assert_eq!((event.header.id, event.header.time), (id, Timestamp::from_micros(time_of(n))));
            assert_eq!(open(&event), payload_of(n));
            assert_eq!(store.at(n + 1).unwrap().as_ref(), Some(&event));
            assert_eq!(store.header(id).unwrap(), Some(event.header));
            assert_eq!(store.position_of(id).unwrap(), Some(n + 1));
            assert!(store.contains(id).unwrap());
        }
    });
}

#[test]
fn what_is_not_there_is_none_and_no_error() {
    both(|place| {
        let store = fill(place);
        let reader = place.reader();
        for store in [&store, &reader] {
            let unknown = EventId::from_key(b"never appended");
            assert_eq!(store.get(unknown).unwrap(), None);
            assert_eq!(store.header(unknown).unwrap(), None);
            assert_eq!(store.position_of(unknown).unwrap(), None);
            assert!(!store.contains(unknown).unwrap());
            for position in [EVENTS + 1, EVENTS + 2, 1 << 40, u64::MAX] {
                assert_eq!(store.at(position).unwrap(), None);
            }
            assert!(store.at(EVENTS).unwrap().is_some(), "the control: the last one is there");
            assert_eq!(store.latest("e3").unwrap(), None);
            assert_eq!(store.stream("e3", 0).unwrap().count(), 0);
        }
    });
}

#[test]
fn stream_returns_one_entity_by_revision_and_latest_its_last_event() {
    both(|place| {
        let store = fill(place);
        for from in [0, 1, 5, 13, 14, u64::MAX] {
            let seen: Vec<_> = store.stream("e1", from).unwrap().map(|event| event.unwrap().header.revision).collect();
            assert_eq!(seen, (from..13).collect::<Vec<_>>(), "from {from}");
        }
        let latest = store.latest("e0").unwrap().unwrap();
        assert_eq!((latest.header.position, latest.header.revision), (40, 13));
        assert_eq!(latest, store.stream("e0", 13).unwrap().next().unwrap().unwrap());
    });
}

#[test]
fn headers_only_and_a_store_without_keys_leave_payloads_unread() {
    both(|place| {
        let store = fill(place);
        let unread: Vec<Event> =
            store.read(&Query::all().headers_only(true)).unwrap().collect::<Result<_, _>>().unwrap();
        let whole: Vec<Event> = store.read(&Query::all()).unwrap().collect::<Result<_, _>>().unwrap();
        assert_eq!((unread.len(), whole.len()), (40, 40));
        for (unread, whole) in unread.iter().zip(&whole) {
            assert_eq!(unread.payload, Payload::Unread);
            assert_eq!((&unread.header, unread.event_hash()), (&whole.header, whole.event_hash()));
        }
        let keyless = Store::open_read_only(place.dir(), place.with(Encryption::none()).without_keys()).unwrap();
        let seen: Vec<Event> = keyless.read(&Query::all()).unwrap().collect::<Result<_, _>>().unwrap();
        assert_eq!(seen, unread);
    });
}

/// A clock that stands where it is put.
#[derive(Debug, Default)]
struct Standing(AtomicI64);

impl Clock for Standing {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::Relaxed))
    }
}

#[test]
fn an_event_without_a_time_has_the_clocks() {
    let place = Place::memory();
    let clock = std::sync::Arc::new(Standing::default());
    let config = place.config().clock(std::sync::Arc::clone(&clock) as std::sync::Arc<dyn Clock>);
    let store = Store::create(place.dir(), config).unwrap();
    clock.0.store(-77, Ordering::Relaxed);
    let first = append(&store, "a", b"x").id;
    clock.0.store(88, Ordering::Relaxed);
    let second = store.append(&event("a", b"y").time(Timestamp::from_micros(5))).unwrap().id;
    let time = |id| store.header(id).unwrap().unwrap().time.as_micros();
    assert_eq!((time(first), time(second)), (-77, 5));
    assert_eq!(numbers(&store, &Query::all().until(Timestamp::from_micros(0))), [0]);
}

#[test]
fn a_read_ends_where_the_log_ended_when_it_began() {
    both(|place| {
        let store = place.create();
        append(&store, "a", b"1");
        let mut events = store.read(&Query::all()).unwrap();
        append(&store, "a", b"2");
        assert_eq!(open(&events.next().unwrap().unwrap()), b"1");
        assert!(events.next().is_none());
        assert_eq!(store.read(&Query::all()).unwrap().count(), 2);
    });
}
