//! Reads by scope, kind, tag and time: the events that a look at every event finds, and few others are read for them.

use std::{cell::Cell, ops::ControlFlow};

use batpak_store::{Coordinate, Encryption, Event, EventKind, NewEvent, Query, Store, Timestamp};
use proptest::prelude::*;

use crate::{
    kit::Place,
    spots::{Spot, segment_file, spots},
};

const EVENTS: u64 = 1500;

fn kind(n: u64) -> EventKind {
    EventKind::new(2, n as u16).unwrap()
}

/// Scope, kind and tags of the event at a position: some common, some rare, one of each of no event at all.
fn facts(position: u64) -> (String, EventKind, Vec<String>) {
    let rare = |every: u64| u64::from(position.is_multiple_of(every));
    let tags = [13, 41].iter().filter(|every| position.is_multiple_of(**every)).map(|every| format!("t{every}"));
    (format!("s{}", 2 * rare(37) + rare(3)), kind(rare(29) * 2 + position % 2), tags.collect())
}

/// Behind the time at which the store is created. Times go up, but for every tenth, which is a hundred events late.
fn time(position: u64) -> Timestamp {
    moment(position - if position.is_multiple_of(10) { position.min(100) } else { 0 })
}

fn moment(position: u64) -> Timestamp {
    Timestamp::from_micros(4_000_000_000_000_000 + position as i64)
}

/// Many rolled segments, with index files and one without, and an active one.
fn fill(place: &Place) -> Store {
    let store = Store::create(place.dir(), place.with(Encryption::none())).unwrap();
    while store.stats().visible_mark < EVENTS {
        let position = store.stats().visible_mark;
        let (scope, kind, tags) = facts(position);
        let coordinate = Coordinate::new(&format!("e{}", position % 5), &scope).unwrap();
        let event = NewEvent::new(coordinate, kind, b"payload").time(time(position));
        store.append(&tags.iter().fold(event, |event, tag| event.tag(tag))).unwrap();
    }
    assert!(store.stats().segments > 10);
    store
}

fn read(store: &Store, query: &Query) -> Vec<u64> {
    store.read(query).unwrap().map(|event| event.unwrap().header.position).collect()
}

fn replayed(store: &Store, query: &Query) -> (Vec<u64>, u64) {
    let mut positions = Vec::new();
    let ended = store.replay(query, |event| {
        positions.push(event.header().position());
        ControlFlow::<()>::Continue(())
    });
    match ended.unwrap() {
        ControlFlow::Continue(next) => (positions, next),
        ControlFlow::Break(()) => panic!("nothing broke"),
    }
}

/// What a look at every event finds.
fn plain(all: &[Event], asked: &Asked) -> Vec<u64> {
    let fits = |event: &&Event| {
        let header = &event.header;
        (asked.from..asked.to).contains(&header.position)
            && asked.scope.is_none_or(|scope| header.coordinate.scope() == format!("s{scope}"))
            && (asked.kinds.is_empty() || asked.kinds.iter().any(|n| header.kind == kind(*n)))
            && asked.since.is_none_or(|since| header.time >= time(since))
            && asked.until.is_none_or(|until| header.time < time(until))
            && asked.tags.iter().all(|tag| header.tags.iter().any(|has| has == format!("t{tag}")))
    };
    let mut found: Vec<u64> = all.iter().filter(fits).map(|event| event.header.position).collect();
    if asked.reverse {
        found.reverse();
    }
    found.truncate(asked.limit);
    found
}

#[derive(Clone, Debug)]
struct Asked {
    scope: Option<u8>,
    kinds: Vec<u64>,
    tags: Vec<u64>,
    /// Positions whose times are asked for.
    since: Option<u64>,
    until: Option<u64>,
    from: u64,
    to: u64,
    reverse: bool,
    limit: usize,
}

impl Asked {
    fn query(&self) -> Query {
        let query = Query::all().from(self.from).to(self.to).limit(self.limit as u64);
        let query = self.scope.iter().fold(query, |query, scope| query.scope(format!("s{scope}")));
        let query = self.kinds.iter().fold(query, |query, n| query.kind(kind(*n)));
        let query = self.tags.iter().fold(query, |query, tag| query.tag(format!("t{tag}")));
        let query = self.since.iter().fold(query, |query, since| query.since(time(*since)));
        let query = self.until.iter().fold(query, |query, until| query.until(time(*until)));
        if self.reverse { query.reverse() } else { query }
    }
}

fn asked() -> impl Strategy<Value = Asked> {
    (
        proptest::option::of(0..5_u8),
        proptest::collection::vec(0..5_u64, 0..3),
        proptest::collection::btree_set(prop_oneof![Just(13), Just(41), Just(99)], 0..3),
        (prop_oneof![Just(0), 0..EVENTS], prop_oneof![Just(EVENTS + 9), 0..EVENTS]),
        (proptest::option::weighted(0.3, 0..EVENTS + 200), proptest::option::weighted(0.3, 0..EVENTS + 200)),
        any::<bool>(),
        prop_oneof![Just(usize::MAX), 0..20_usize],
    )
        .prop_map(|(scope, kinds, tags, (from, to), (since, until), reverse, limit)| {
            let tags = tags.into_iter().collect();
            Asked { scope, kinds, tags, since, until, from, to, reverse, limit }
        })
}

#[test]
fn reads_by_name_find_what_a_look_at_every_event_finds() {
    let place = Place::memory();
    let store = fill(&place);
    let all: Vec<Event> = store.read(&Query::all()).unwrap().collect::<Result<_, _>>().unwrap();
    let follower = Store::open_read_only(place.dir(), place.with(Encryption::none())).unwrap();
    let found = Cell::new(0);
    proptest!(ProptestConfig::with_cases(400), |(asked in asked())| {
        let expected = plain(&all, &asked);
        let query = asked.query();
        for store in [&store, &follower] {
            prop_assert_eq!(&read(store, &query), &expected);
            prop_assert_eq!(&replayed(store, &query).0, &expected);
        }
        found.set(found.get() + expected.len());
    });
    assert!(found.get() > 1000, "the questions have answers");
}

#[test]
fn read_by_a_rare_name_reads_no_other_events() {
    let place = Place::memory();
    let store = fill(&place);
    let rare = Query::all().tag("t41");
    let expected = read(&store, &rare);
    assert_eq!(expected.len() as u64, EVENTS / 41, "position 0 is the store's own");
    store.close().unwrap();
    // Every other event of the rolled segments is damaged where its payload is; a few of each are read to tell keys apart.
    let spots = spots(&place);
    let rolled = |spot: &&Spot| spot.segment < spots[spots.len() - 1].segment && spot.position > 200;
    for spot in spots.iter().filter(rolled).filter(|spot| !expected.contains(&spot.position)) {
        let path = segment_file(&place, spot.segment);
        let mut bytes = place.read(&path);
        let last = (spot.end() - 1) as usize;
        bytes[last] ^= 1;
        place.put(&path, &bytes);
    }
    let store = Store::open(place.dir(), place.with(Encryption::none())).unwrap();
    assert_eq!(read(&store, &rare), expected);
    let failed = store.read(&Query::all()).unwrap().find_map(Result::err);
    assert!(failed.is_some(), "the control: a read of all meets the damage");
}

#[test]
fn read_by_a_rare_name_meets_damage_where_it_stands() {
    let place = Place::memory();
    fill(&place).close().unwrap();
    let (spots, rare) = (spots(&place), Query::all().tag("t41"));
    // The last one of a rolled segment's list, by which the index tells whose list it is.
    let segment = spots[spots.len() / 2].segment;
    let tagged = |spot: &&Spot| spot.segment == segment && spot.position.is_multiple_of(41);
    let last = spots.iter().rfind(tagged).unwrap();
    let path = segment_file(&place, segment);
    let mut bytes = place.read(&path);
    bytes[(last.end() - 1) as usize] ^= 1;
    place.put(&path, &bytes);
    let store = Store::open(place.dir(), place.with(Encryption::none())).unwrap();
    let before: Vec<u64> = (1..last.position.div_ceil(41)).map(|n| n * 41).collect();
    assert!(spots.iter().any(|spot| spot.segment == segment && before.contains(&spot.position)), "one in its list");
    let mut events = store.read(&rare).unwrap();
    let found: Vec<u64> = events.by_ref().map_while(Result::ok).map(|event| event.header.position).collect();
    assert_eq!(found, before);
    assert_eq!(read(&store, &rare.clone().to(last.position)), before);
    let behind: Vec<u64> = (last.position / 41 + 1..=(EVENTS - 1) / 41).map(|n| n * 41).collect();
    assert_eq!(read(&store, &rare.from(last.position + 1)), behind);
}

#[test]
fn read_of_a_range_of_times_reads_no_other_segments() {
    let place = Place::memory();
    fill(&place).close().unwrap();
    let spots = spots(&place);
    let middle = spots[spots.len() / 2];
    let whole: Vec<&Spot> = spots.iter().filter(|spot| spot.segment == middle.segment).collect();
    // A hundred events late reach into the segment behind, and that is as far as it goes.
    let (since, until) = (moment(whole[1].position), moment(whole[20].position));
    let damaged = |spot: &&Spot| spot.segment + 1 < middle.segment && spot.segment > 1;
    for spot in spots.iter().filter(damaged) {
        let path = segment_file(&place, spot.segment);
        let mut bytes = place.read(&path);
        bytes[(spot.end() - 1) as usize] ^= 1;
        place.put(&path, &bytes);
    }
    let store = Store::open(place.dir(), place.with(Encryption::none())).unwrap();
    let within = Query::all().since(since).until(until);
    let found = read(&store, &within);
    assert_eq!(found, replayed(&store, &within).0);
    let expected: Vec<u64> = (0..EVENTS).filter(|at| (since..until).contains(&time(*at)) && *at > 0).collect();
    assert_eq!(found, expected);
    assert!(found.iter().any(|at| at.is_multiple_of(10)), "a late one is among them");
    let failed = store.read(&Query::all()).unwrap().find_map(Result::err);
    assert!(failed.is_some(), "the control: a read of all meets the damage");
}

#[test]
fn replay_by_a_rare_name_goes_on_behind_all_that_it_looked_at() {
    let place = Place::memory();
    let store = fill(&place);
    let (found, next) = replayed(&store, &Query::all().tag("t99"));
    assert_eq!((found, next), (vec![], store.stats().visible_mark));
    let (found, next) = replayed(&store, &Query::all().tag("t41").limit(2));
    assert_eq!(next, found[1] + 1, "a limit ends it");
}
