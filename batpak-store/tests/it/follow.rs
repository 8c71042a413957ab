//! Reading on as the log grows, in the writing process and beside it.

use std::time::{Duration, Instant};

use batpak_store::{Durability, Query, Store};

use crate::kit::{Place, append, both, event, kind, open};

const SOON: Duration = Duration::from_secs(20);
const NOT_NOW: Duration = Duration::ZERO;

fn positions(store: &Store, query: &Query) -> Vec<u64> {
    let mut follow = store.follow(query);
    std::iter::from_fn(|| follow.next_timeout(NOT_NOW).unwrap()).map(|event| event.header.position).collect()
}

#[test]
fn follow_returns_what_is_there_and_then_what_comes() {
    both(|place| {
        let store = place.create();
        let reader = place.reader();
        for side in [&store, &reader] {
            append(&store, "a", b"1");
            let mut follow = side.follow(&Query::all().from(store.stats().events - 1));
            assert_eq!(open(&follow.next_timeout(SOON).unwrap().unwrap()), b"1");
            assert_eq!(follow.next_timeout(NOT_NOW).unwrap(), None);
            let later = append(&store, "b", b"later");
            assert_eq!(follow.next_timeout(SOON).unwrap().unwrap().header.id, later.id);
            assert_eq!(follow.next_timeout(NOT_NOW).unwrap(), None);
        }
    });
}

#[test]
fn follow_waits_as_long_as_it_is_told_and_loses_nothing_by_a_time_out() {
    both(|place| {
        let store = place.create();
        let reader = place.reader();
        for side in [&store, &reader] {
            let from = store.stats().events;
            let mut follow = side.follow(&Query::all().from(from));
            let begun = Instant::now();
            assert_eq!(follow.next_timeout(Duration::from_millis(60)).unwrap(), None);
            assert!(begun.elapsed() >= Duration::from_millis(60), "{:?}", begun.elapsed());
            append(&store, "a", b"1");
            append(&store, "a", b"2");
            assert_eq!(follow.next_timeout(SOON).unwrap().unwrap().header.position, from);
            assert_eq!(follow.next_timeout(SOON).unwrap().unwrap().header.position, from + 1);
        }
    });
}

#[test]
fn follow_wakes_when_another_thread_appends() {
    both(|place| {
        let store = place.create();
        let reader = place.reader();
        std::thread::scope(|scope| {
            let followers = [&store, &reader].map(|side| {
                scope.spawn(move || {
                    let mut follow = side.follow(&Query::all());
                    (0..60).map(|_| open(&follow.next_timeout(SOON).unwrap().unwrap())).collect::<Vec<_>>()
                })
            });
            let modes = [Durability::Synced, Durability::Buffered, Durability::Deferred];
            for n in 0..60_u8 {
                let payload = [n; 300];
                store.append(&event("a", &payload).durability(modes[usize::from(n) % 3])).unwrap();
            }
            store.sync().unwrap();
            let expected: Vec<_> = (0..60_u8).map(|n| vec![n; 300]).collect();
            for follower in followers {
                assert_eq!(follower.join().unwrap(), expected);
            }
        });
        assert!(store.stats().segments > 1, "the followers must have crossed a roll");
    });
}

#[test]
fn follow_honours_its_query_and_always_goes_forward() {
    let place = Place::memory();
    let store = place.create();
    for n in 0..20_u8 {
        append(&store, ["a", "b"][usize::from(n) % 2], &[n]);
    }
    assert_eq!(positions(&store, &Query::all().entity("a").from(4).to(12)), [5, 7, 9, 11]);
    assert_eq!(positions(&store, &Query::all().entity("b").reverse().limit(3)), [2, 4, 6]);
    assert_eq!(positions(&store, &Query::all().limit(0)), [0_u64; 0]);
    assert_eq!(positions(&store, &Query::all().to(0)), [0_u64; 0]);
    assert_eq!(positions(&store, &Query::all().kind(kind()).scope("scope-2")), [0_u64; 0]);
    assert_eq!(positions(&store, &Query::all().include_system(true).limit(2)), [0, 1]);
    assert_eq!(positions(&store, &Query::all()).len(), 20);
}

#[test]
fn follow_that_has_ended_does_not_wait() {
    both(|place| {
        let store = place.create();
        append(&store, "a", b"1");
        append(&store, "a", b"2");
        let begun = Instant::now();
        for side in [&store, &place.reader()] {
            let mut bounded = side.follow(&Query::all().to(2));
            assert!(bounded.next_timeout(SOON).unwrap().is_some());
            assert_eq!(bounded.next_timeout(SOON).unwrap(), None);
            let mut limited = side.follow(&Query::all().limit(1));
            assert!(limited.next_timeout(SOON).unwrap().is_some());
            assert_eq!(limited.next_timeout(SOON).unwrap(), None);
        }
        assert!(begun.elapsed() < SOON);
    });
}

#[test]
fn follow_from_beyond_the_end_waits_for_that_position() {
    both(|place| {
        let store = place.create();
        let mut follow = store.follow(&Query::all().from(3));
        append(&store, "a", b"1");
        append(&store, "a", b"2");
        assert_eq!(follow.next_timeout(NOT_NOW).unwrap(), None);
        append(&store, "a", b"3");
        assert_eq!(open(&follow.next_timeout(SOON).unwrap().unwrap()), b"3");
    });
}
