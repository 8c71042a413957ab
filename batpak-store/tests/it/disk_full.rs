//! A disk that refuses: no space, a write or a sync that fails, at each call in turn.

use std::{
    io::ErrorKind,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use batpak_store::{
    AppendError, Durability, Granularity, Selector, ShredError, Store,
    segment::{DiskCall, DiskOp},
};

use crate::kit::{Place, append, event, payloads, sound};

/// What happens to a call that a test looks at.
type Which = fn(&DiskCall<'_>) -> bool;

fn in_log(call: &DiskCall<'_>) -> bool {
    call.path.extension().is_some_and(|extension| extension == "seg")
}

fn takes_space(call: &DiskCall<'_>) -> bool {
    matches!(call.op, DiskOp::Write { .. } | DiskOp::Create)
}

fn changes(call: &DiskCall<'_>) -> bool {
    !matches!(call.op, DiskOp::Open | DiskOp::Read)
}

/// Fails the calls from this number on, so many of them, counted from 0 among those that `which` picks. Tells how many failed.
fn fail(place: &Place, which: Which, from: u64, count: u64, why: ErrorKind) -> Arc<AtomicU64> {
    let failed = Arc::new(AtomicU64::new(0));
    let (told, mut seen) = (Arc::clone(&failed), 0);
    place.memory.as_ref().unwrap().fail(Box::new(move |call| {
        let hit = which(call) && {
            seen += 1;
            (from..from.saturating_add(count)).contains(&(seen - 1))
        };
        hit.then(|| {
            told.fetch_add(1, Ordering::Relaxed);
            why.into()
        })
    }));
    failed
}

fn clear(place: &Place) {
    place.memory.as_ref().unwrap().clear_hooks();
}

fn nth(n: u32) -> Vec<u8> {
    let mut payload = n.to_le_bytes().to_vec();
    payload.resize(if n % 9 == 4 { 3000 } else { 300 }, 7);
    payload
}

/// So many events are appended after a failure, to see that the store goes on.
const MORE: u32 = 8;

/// Events of a script that mints (a key an event, so that it publishes at its begin and in its middle) and rolls; every fifth
/// is a batch of two.
const SCRIPT: u32 = 30;

fn begin(place: &Place) -> Store {
    let config = place.config().granularity(Granularity::Event).segment_bytes(8 * 1024);
    Store::create(place.dir(), config).unwrap()
}

fn next(store: &Store, acknowledged: &mut Vec<Vec<u8>>, n: u32) -> Result<(), AppendError> {
    let group: Vec<Vec<u8>> = if n.is_multiple_of(5) { vec![nth(n), nth(n + SCRIPT)] } else { vec![nth(n)] };
    let events: Vec<_> = group.iter().map(|payload| event("a", payload)).collect();
    store.append_batch(&events)?;
    acknowledged.extend(group);
    Ok(())
}

/// Where the script ends: a little after the failure.
fn last(failed: &AtomicU64, n: u32, end: u32) -> u32 {
    if failed.load(Ordering::Relaxed) > 0 { end.min(n + MORE) } else { end }
}

#[test]
fn no_space_at_any_write_fails_that_append_alone_and_loses_nothing() {
    let (mut not_written, mut no_key, mut unnoticed) = (0, 0, 0);
    for number in 0.. {
        let place = Place::memory();
        let (store, mut acknowledged) = (begin(&place), Vec::new());
        let refused_before = not_written + no_key;
        let failed = fail(&place, takes_space, number, 1, ErrorKind::StorageFull);
        let (mut n, mut end) = (0, SCRIPT);
        while n < end {
            let before = (store.stats().events, store.stats().visible_mark);
            n += 1;
            match next(&store, &mut acknowledged, n) {
                Ok(()) => {
                    end = last(&failed, n, end);
                    continue;
                }
                Err(AppendError::NotWritten(why)) if why.kind() == ErrorKind::StorageFull => not_written += 1,
                Err(AppendError::KeyNotDurable(_)) => no_key += 1,
                Err(other) => panic!("write {number}, event {n}: {other:?}"),
            }
            assert_eq!((store.stats().events, store.stats().visible_mark), before);
            assert_eq!(payloads(&store), acknowledged, "write {number}: the log is as it was");
            next(&store, &mut acknowledged, n).unwrap();
        }
        clear(&place);
        assert_eq!(payloads(&store), acknowledged, "write {number}");
        if failed.load(Ordering::Relaxed) == 0 {
            break;
        }
        // Blocks written ahead, and a reservation published before it is needed, are not missed.
        unnoticed += u32::from(not_written + no_key == refused_before);
        place.memory.as_ref().unwrap().crash();
        drop(store);
        let store = place.open();
        assert_eq!(payloads(&store), acknowledged, "write {number}");
        sound(&store);
    }
    assert!(not_written > 25 && no_key >= 1 && unnoticed >= 2, "{not_written} {no_key} {unnoticed}");
}

#[test]
fn error_at_any_call_loses_nothing_that_was_acknowledged() {
    let (mut refused, mut poisoned) = (0, 0);
    for number in 0.. {
        let place = Place::memory();
        let (store, mut acknowledged) = (begin(&place), Vec::new());
        let failed = fail(&place, changes, number, 1, ErrorKind::Other);
        let mut poison = false;
        let (mut n, mut end) = (0, SCRIPT);
        while n < end {
            n += 1;
            end = last(&failed, n, end);
            match next(&store, &mut acknowledged, n) {
                Ok(()) => assert!(!poison, "call {number}: nothing is acknowledged after a poison"),
                Err(AppendError::Poisoned(_)) => poison = true,
                Err(AppendError::NotWritten(_) | AppendError::KeyNotDurable(_)) if !poison => refused += 1,
                Err(other) => panic!("call {number}, event {n}: {other:?}"),
            }
        }
        poisoned += u32::from(poison);
        clear(&place);
        place.memory.as_ref().unwrap().crash();
        drop(store);
        let store = place.open();
        let mut kept = payloads(&store);
        assert_eq!(kept.drain(..acknowledged.len()).collect::<Vec<_>>(), acknowledged, "call {number}");
        assert!(kept.is_empty() || poison, "call {number}: only a poison leaves it open whether an event is there");
        append(&store, "a", b"on it goes");
        sound(&store);
        if failed.load(Ordering::Relaxed) == 0 {
            break;
        }
    }
    assert!(refused > 25 && poisoned > 25, "{refused} {poisoned}");
}

/// Appends from six threads while `which` fails; returns what each got.
fn race(store: &Store) -> Vec<Result<u64, AppendError>> {
    std::thread::scope(|scope| {
        let racer = |thread: u8| move || store.append(&event("a", &[thread])).map(|receipt| receipt.position);
        let racers: Vec<_> = (0..6).map(|thread| scope.spawn(racer(thread))).collect();
        racers.into_iter().map(|racer| racer.join().unwrap()).collect()
    })
}

#[test]
fn failed_sync_poisons_for_all_who_wait_and_is_never_tried_again() {
    let place = Place::memory();
    let store = place.create();
    append(&store, "a", b"acknowledged");
    let syncs_log: Which = |call| in_log(call) && matches!(call.op, DiskOp::SyncData | DiskOp::SyncAll);
    let syncs = Arc::new(AtomicU64::new(0));
    let (count, on) = (Arc::clone(&syncs), Arc::new(AtomicBool::new(true)));
    place.memory.as_ref().unwrap().fail(Box::new(move |call| {
        let first = syncs_log(call) && count.fetch_add(1, Ordering::Relaxed) == 0 && on.swap(false, Ordering::Relaxed);
        first.then(|| ErrorKind::Other.into())
    }));
    for outcome in race(&store) {
        assert!(matches!(outcome, Err(AppendError::Poisoned(_))), "{outcome:?}");
    }
    for durability in [Durability::Synced, Durability::Buffered, Durability::Deferred] {
        let refused = store.append(&event("a", b"later").durability(durability)).unwrap_err();
        assert!(matches!(refused, AppendError::Poisoned(_)), "{refused:?}");
    }
    assert!(matches!(store.sync(), Err(AppendError::Poisoned(_))));
    assert_eq!(payloads(&store)[0], b"acknowledged");
    assert!(matches!(store.close(), Err(AppendError::Poisoned(_))));
    assert_eq!(syncs.load(Ordering::Relaxed), 1, "no sync of the log was tried again");
    clear(&place);
    place.memory.as_ref().unwrap().crash();
    let store = place.open();
    assert_eq!(payloads(&store), [b"acknowledged".to_vec()]);
    append(&store, "a", b"on it goes");
    sound(&store);
}

#[test]
fn poisoned_store_refuses_nothing_by_a_readmission_that_may_stand() {
    let place = Place::memory();
    let store = place.create();
    append(&store, "a", b"1");
    let scope = Selector::Entity("a".into());
    store.shred(std::slice::from_ref(&scope), 0, "").unwrap();
    let refused = |store: &Store| store.append(&event("a", b"2")).unwrap_err();
    assert!(matches!(refused(&store), AppendError::ScopeShredded));
    fail(&place, |call| in_log(call) && matches!(call.op, DiskOp::SyncData), 0, 1, ErrorKind::Other);
    let readmitted = store.readmit(&scope).unwrap_err();
    assert!(matches!(readmitted, ShredError::Append(AppendError::Poisoned(_))), "{readmitted:?}");
    let why = refused(&store);
    assert!(matches!(why, AppendError::Poisoned(_)), "{why:?}");
    clear(&place);
    drop(store);
    append(&place.open(), "a", b"2");
}

#[test]
fn failed_cut_poisons() {
    let place = Place::memory();
    let store = place.create();
    append(&store, "a", b"1");
    // The frame, and then what would put zeros over it.
    let failed = fail(&place, |call| in_log(call) && matches!(call.op, DiskOp::Write { .. }), 0, 2, ErrorKind::Other);
    let refused = store.append(&event("a", b"2")).unwrap_err();
    assert!(matches!(refused, AppendError::Poisoned(_)), "what the disk holds is not known: {refused:?}");
    assert_eq!(failed.load(Ordering::Relaxed), 2);
    let refused = store.append(&event("a", b"3")).unwrap_err();
    assert!(matches!(refused, AppendError::Poisoned(_)), "{refused:?}");
    assert_eq!(payloads(&store), [b"1".to_vec()]);
    clear(&place);
    drop(store);
    assert_eq!(payloads(&place.open()), [b"1".to_vec()]);
}

#[test]
fn deferred_append_whose_drain_fails_poisons() {
    for by_itself in [true, false] {
        let place = Place::memory();
        let delay = std::time::Duration::from_millis(if by_itself { 1 } else { 3_600_000 });
        let store = Store::create(place.dir(), place.config().deferred_buffer(1 << 20, delay)).unwrap();
        append(&store, "a", b"1");
        fail(&place, |call| in_log(call) && takes_space(call), 0, 1, ErrorKind::StorageFull);
        let new = event("a", b"2").durability(Durability::Deferred);
        let receipt = store.append(&new).unwrap();
        if !by_itself {
            assert!(matches!(store.sync(), Err(AppendError::Poisoned(_))));
        }
        let begun = std::time::Instant::now();
        while store.contains(receipt.id).unwrap() {
            assert!(begun.elapsed().as_secs() < 20, "it must be drained by itself");
            std::thread::yield_now();
        }
        let refused = store.append(&new).unwrap_err();
        assert!(matches!(refused, AppendError::Poisoned(_)), "{refused:?}");
        assert_eq!(payloads(&store), [b"1".to_vec()]);
        assert!(matches!(store.close(), Err(AppendError::Poisoned(_))));
        assert_eq!(payloads(&place.open()), [b"1".to_vec()]);
    }
}

#[test]
fn roll_that_fails_is_tried_again_by_the_next_append() {
    let place = Place::memory();
    let store = place.create();
    for _ in 0..21 {
        append(&store, "a", &[7; 500]);
    }
    let events = store.stats().events;
    let failed = fail(&place, |call| call.op == DiskOp::Create, 0, 3, ErrorKind::StorageFull);
    for _ in 0..3 {
        let refused = store.append(&event("a", &[8; 2500])).unwrap_err();
        assert!(matches!(refused, AppendError::NotWritten(_)), "{refused:?}");
        assert_eq!((store.stats().events, store.stats().segments), (events, 1));
    }
    assert_eq!(failed.load(Ordering::Relaxed), 3);
    append(&store, "a", b"small enough for the old segment");
    assert_eq!(store.stats().segments, 1);
    append(&store, "a", &[9; 2500]);
    assert_eq!((store.stats().events, store.stats().segments), (events + 2, 2));
    sound(&store);
    store.close().unwrap();
    sound(&place.open());
}

#[test]
fn segment_that_could_be_neither_made_nor_removed_does_not_stop_later_appends() {
    let place = Place::memory();
    let store = place.create();
    let second = |call: &DiskCall<'_>| {
        call.path.ends_with("segments/00000000000000000002.seg")
            && matches!(call.op, DiskOp::Write { .. } | DiskOp::Remove)
    };
    let failed = fail(&place, second, 0, 2, ErrorKind::Other);
    let large = [7; 9_000];
    append(&store, "a", &large);
    assert!(matches!(store.append(&event("a", &large)), Err(AppendError::NotWritten(_))));
    assert_eq!(failed.load(Ordering::Relaxed), 2, "its header was not written, and it was not removed");
    append(&store, "a", &large);
    assert_eq!(payloads(&store), [large.to_vec(), large.to_vec()]);
    place.memory.as_ref().unwrap().crash();
    drop(store);
    sound(&place.open());
}
