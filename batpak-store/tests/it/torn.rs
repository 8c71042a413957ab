//! What a stop in the middle leaves: a tail that is cut, a creation that is refused, and an open that may itself be stopped.

use batpak_store::{
    Durability, Encryption, OpenError, Store,
    segment::{DiskOp, Torn, TornReason},
};

use crate::{
    kit::{Place, append, both, event, payloads, sound},
    spots::{Spot, in_segment, segment_file, spots},
};

/// Ends the process without a close: the files are left as they are now.
fn kill(place: &Place, store: Store) {
    let files = place.files();
    drop(store);
    for (path, bytes) in files {
        place.put(&path, &bytes);
    }
}

fn buffered(place: &Place) -> Store {
    Store::create(place.dir(), place.config().durability(Durability::Buffered)).unwrap()
}

fn reopen(place: &Place) -> Store {
    Store::open(place.dir(), place.config().durability(Durability::Buffered)).unwrap()
}

/// What an open says of a log whose only segment has these bytes.
fn expected(frames: &[Spot], bytes: &[u8]) -> (u64, Option<(u64, u64)>) {
    let whole = frames.iter().take_while(|spot| spot.end() <= bytes.len() as u64).count();
    let end = frames[whole - 1].end();
    let content = bytes.iter().rposition(|byte| *byte != 0).unwrap() as u64 + 1;
    (whole as u64, (content > end).then(|| (end, content - end)))
}

fn cut_of(torn: Option<Torn>) -> Option<(u64, u64)> {
    torn.map(|torn| (torn.offset, torn.bytes))
}

#[test]
fn every_truncation_opens_to_a_prefix_or_says_what_is_missing() {
    for (sealed, closed) in [(false, false), (false, true), (true, false), (true, true)] {
        let place = Place::memory();
        let config = |place: &Place| {
            let config = if sealed { place.config() } else { place.with(Encryption::none()) };
            config.durability(Durability::Buffered)
        };
        let store = Store::create(place.dir(), config(&place)).unwrap();
        let written: Vec<_> = (1..=4_u8).map(|n| vec![n; 40]).collect();
        for payload in &written {
            append(&store, "a", payload);
        }
        if closed {
            store.close().unwrap()
        } else {
            kill(&place, store)
        }
        let frames = spots(&place);
        let whole = place.read(&segment_file(&place, 1));
        // A sealed store takes longer to open: every fifth length, and around the end of each frame.
        let near = |len: usize| frames.iter().any(|spot| spot.end().abs_diff(len as u64) < 6);
        for len in (0..whole.len()).filter(|len| !sealed || len % 5 == 0 || near(*len)) {
            let place = Place::on(place.memory.clone().unwrap().copy());
            place.put(&segment_file(&place, 1), &whole[..len]);
            if (len as u64) < frames[0].end() {
                let files = place.files();
                match Store::open(place.dir(), config(&place)).unwrap_err() {
                    OpenError::UnfinishedCreation { files } => assert!(!sealed && files.contains(&"lock".to_owned())),
                    // The keyset has seen the store whole.
                    OpenError::LogRolledBack { found: 0, seen: 1 } => assert!(sealed),
                    why => panic!("{len}: {why:?}"),
                }
                assert_eq!(place.files(), files, "a refusal changes nothing");
                continue;
            }
            let (events, cut) = expected(&frames, &whole[..len]);
            let store = Store::open(place.dir(), config(&place)).unwrap();
            assert_eq!(cut_of(store.open_report().torn), cut, "{len}");
            assert_eq!(store.stats().events, events, "{len}");
            assert_eq!(payloads(&store), written[..events as usize - 1]);
            assert_eq!(append(&store, "a", b"on").position, events);
            if len % 32 == 0 {
                sound(&store);
                kill(&place, store);
                assert_eq!(Store::open(place.dir(), config(&place)).unwrap().open_report().torn, None);
            }
        }
    }
}

#[test]
fn batch_that_is_cut_goes_as_a_whole() {
    let place = Place::memory();
    let store = buffered(&place);
    append(&store, "a", b"before");
    store.append_batch(&[event("a", b"1"), event("b", b"2"), event("a", b"3")]).unwrap();
    kill(&place, store);
    let frames = spots(&place);
    let path = segment_file(&place, 1);
    let whole = place.read(&path);
    let batch = &frames[2..];
    let ends = [batch[1].offset, batch[2].offset];
    for len in (batch[0].offset + 1..batch[2].end()).filter(|len| len % 3 == 0 || ends.contains(len)) {
        let place = Place::on(place.memory.clone().unwrap().copy());
        place.put(&path, &whole[..len as usize]);
        let store = reopen(&place);
        assert_eq!(payloads(&store), [b"before".to_vec()], "{len}");
        let torn = store.open_report().torn.unwrap();
        assert_eq!((torn.segment, torn.offset), (1, batch[0].offset));
        assert_eq!(torn.reason == TornReason::Batch, ends.contains(&len), "{len}: {torn:?}");
    }
    assert_eq!(payloads(&reopen(&place)).len(), 4, "the control: whole, it stays");
}

#[test]
fn bytes_after_the_end_are_counted_and_zeroed() {
    both(|place| {
        let store = buffered(place);
        append(&store, "a", b"one");
        kill(place, store);
        let end = spots(place)[1].end();
        let path = segment_file(place, 1);
        let kept = place.read(&path);
        for (tail, bytes) in [(vec![0xa5; 300], 300), ([vec![0; 50], vec![9], vec![0; 9]].concat(), 51)] {
            place.put(&path, &[&kept[..], &tail].concat());
            let store = reopen(place);
            assert_eq!(
                store.open_report().torn.map(|torn| (torn.segment, torn.offset, torn.bytes)),
                Some((1, end, bytes))
            );
            assert_eq!(payloads(&store), [b"one".to_vec()]);
            kill(place, store);
            let left = place.read(&path);
            assert_eq!(left[..kept.len()], kept);
            assert!(left[kept.len()..].iter().all(|byte| *byte == 0), "what is cut is zeroed");
        }
    });
}

#[test]
fn segment_whose_creation_was_cut_short_is_taken_away() {
    both(|place| {
        let store = place.create();
        append(&store, "a", b"one");
        kill(place, store);
        for begun in [vec![], vec![0; 128], b"BATPAKSG".to_vec(), vec![0x5a; 128]] {
            let content = begun.iter().rposition(|byte| *byte != 0).map_or(0, |last| last as u64 + 1);
            let path = segment_file(place, 2);
            place.put(&path, &begun);
            let store = reopen(place);
            let torn = store.open_report().torn.unwrap();
            assert_eq!((torn.segment, torn.offset, torn.bytes), (2, 0, content));
            assert_eq!(torn.reason, TornReason::Creation);
            assert!(!place.disk.exists(&path).unwrap());
            assert_eq!(payloads(&store), [b"one".to_vec()]);
            kill(place, store);
        }
    });
}

/// What a stop may leave beside a tail: here the last frame is torn and a copy of the keyset is behind.
fn stopped(place: &Place) {
    let store = place.create();
    append(&store, "a", b"one");
    let behind = place.read(&place.dir().join("keyset.b"));
    store.close().unwrap();
    let store = place.open();
    for n in 0..70_u8 {
        append(&store, &format!("e{}", n % 3), &[n; 200]);
    }
    append(&store, "a", b"torn");
    kill(place, store);
    let last = *spots(place).last().unwrap();
    let path = segment_file(place, last.segment);
    let mut bytes = place.read(&path);
    bytes[last.end() as usize - 1] ^= 1;
    place.put(&path, &bytes);
    place.put(&place.dir().join("keyset.b"), &behind);
}

#[test]
fn recovery_is_idempotent() {
    both(|place| {
        stopped(place);
        let store = place.open();
        assert!(store.open_report().torn.is_some() && store.open_report().keyset.len() == 1, "there must be work");
        let events = payloads(&store);
        assert_eq!(events.len(), 71);
        kill(place, store);
        let recovered = place.files();
        let store = place.open();
        assert_eq!(store.open_report().torn, None);
        kill(place, store);
        assert_eq!(place.files(), recovered, "a second recovery changes no byte");
        place.open().close().unwrap();
        let closed = place.files();
        let store = place.open();
        assert!(store.open_report().clean);
        assert_eq!(payloads(&store), events);
        store.close().unwrap();
        assert_eq!(place.files(), closed, "an open after a clean close changes no byte");
    });
}

#[test]
fn recovery_that_is_cut_at_any_call_is_done_by_the_next() {
    let place = Place::memory();
    stopped(&place);
    let disk = place.memory.clone().unwrap();
    let expected = payloads(&Place::on(disk.copy()).open());
    let mut calls = 0;
    loop {
        let place = Place::on(disk.copy());
        let memory = place.memory.clone().unwrap();
        let mut left = calls;
        memory.fail(Box::new(move |call| {
            let changes = !matches!(call.op, DiskOp::Open | DiskOp::Read);
            let cut = changes && left == 0;
            left -= u32::from(changes && left > 0);
            cut.then(|| std::io::ErrorKind::Other.into())
        }));
        let opened = Store::open(place.dir(), place.config());
        let whole = opened.is_ok();
        memory.crash();
        memory.clear_hooks();
        drop(opened);
        let store = place.open();
        assert_eq!(payloads(&store), expected, "cut before call {calls}");
        append(&store, "a", b"on");
        sound(&store);
        if whole {
            break;
        }
        calls += 1;
    }
    assert!(calls > 6, "an open that mends makes some calls: {calls}");
    assert_eq!(in_segment(&spots(&place), 1)[0].position, 0);
}
