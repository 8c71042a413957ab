//! A read-only store, alone and beside a writer of the same process.

use std::{
    io::ErrorKind,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use batpak_store::{
    AppendError, Durability, Encryption, Granularity, OpenError, Payload, Query, Selector, Store,
    segment::{DiskOp, SEGMENTS_DIR, segment_path},
};

use crate::kit::{Place, append, both, event, open, payloads, sound, unchanged};

#[test]
fn reader_sees_every_append_at_once_by_every_way_of_reading() {
    both(|place| {
        let store = place.create();
        let reader = || place.reader();
        let (by_id, by_position, by_header, by_query, by_latest) = (reader(), reader(), reader(), reader(), reader());
        for n in 0..50_u64 {
            let receipt = append(&store, "a", &[7; 500]);
            assert_eq!(by_id.get(receipt.id).unwrap().unwrap().header.position, n + 1);
            assert_eq!(by_position.at(n + 1).unwrap().unwrap().header.id, receipt.id);
            assert_eq!(by_header.header(receipt.id).unwrap().unwrap().position, n + 1);
            assert_eq!(by_query.read(&Query::all()).unwrap().count() as u64, n + 1);
            assert_eq!(by_latest.latest("a").unwrap().unwrap().header.revision, n);
        }
        assert!(store.stats().segments >= 3, "they must have gone across rolls");
        assert_eq!(payloads(&by_header).len(), 50);
        sound(&by_position);
    });
}

#[test]
fn reader_goes_on_when_another_writer_takes_over() {
    both(|place| {
        let store = place.create();
        let reader = place.reader();
        let mut expected = Vec::new();
        let mut store = Some(store);
        for round in 0..5_u8 {
            for n in 0..8_u8 {
                expected.push(vec![round, n]);
                append(store.as_ref().unwrap(), "a", &[round, n]);
            }
            store.take().unwrap().close().unwrap();
            assert_eq!(payloads(&reader), expected, "closed, round {round}");
            store = Some(place.open());
            assert_eq!(payloads(&reader), expected, "reopened, round {round}");
        }
    });
}

#[test]
fn reader_refuses_to_write_and_close_of_it_is_nothing() {
    both(|place| {
        place.create().close().unwrap();
        let files = place.files();
        let reader = place.reader();
        let new = event("a", b"x");
        assert!(matches!(reader.append(&new), Err(AppendError::ReadOnly)));
        assert!(matches!(reader.append_batch(&[new.clone(), new.clone()]), Err(AppendError::ReadOnly)));
        assert!(matches!(reader.append_batch(&[]), Err(AppendError::ReadOnly)));
        assert!(matches!(reader.submit(&new), Err(AppendError::ReadOnly)));
        assert!(matches!(reader.sync(), Err(AppendError::ReadOnly)));
        reader.close().unwrap();
        unchanged(place, &files);
    });
}

#[test]
fn writer_is_one_and_readers_keep_nobody_out() {
    both(|place| {
        let writer = place.create();
        let readers = [place.reader(), place.reader()];
        let second = Store::open(place.dir(), place.config()).unwrap_err();
        assert!(matches!(second, OpenError::Locked), "{second:?}");
        append(&writer, "a", b"1");
        writer.close().unwrap();
        let writer = place.open();
        let third = place.reader();
        append(&writer, "a", b"2");
        for reader in readers.iter().chain([&third]) {
            assert_eq!(payloads(reader), [b"1".to_vec(), b"2".to_vec()]);
        }
    });
}

#[test]
fn read_only_directory_is_read_and_its_refusals_are_typed() {
    let place = Place::memory();
    let store = place.create();
    let first = append(&store, "a", b"1");
    let memory = place.memory.clone().unwrap();
    let refuse = || {
        memory.fail(Box::new(|call| {
            // The writer's first file cannot be opened for writing; nothing can be made or changed.
            let lock = call.path.file_name().is_some_and(|name| name == "lock");
            let refused = if call.op == DiskOp::Open { lock } else { call.op != DiskOp::Read };
            refused.then(|| ErrorKind::PermissionDenied.into())
        }));
    };
    refuse();
    let refused = store.append(&event("a", b"2")).unwrap_err();
    assert!(matches!(&refused, AppendError::Poisoned(why) if why.kind() == ErrorKind::PermissionDenied), "{refused:?}");
    memory.clear_hooks();
    drop(store);
    place.open().close().unwrap();
    let files = place.files();
    refuse();
    let lock = place.dir().join("lock");
    let refused = Store::open(place.dir(), place.config()).unwrap_err();
    assert!(
        matches!(&refused, OpenError::Disk { path, source, .. } if *path == lock && source.kind() == ErrorKind::PermissionDenied),
        "{refused:?}"
    );
    let elsewhere = place.root().join("another");
    let refused = Store::create(&elsewhere, place.with(Encryption::none())).unwrap_err();
    assert!(
        matches!(&refused, OpenError::Disk { path, source, .. } if *path == elsewhere && source.kind() == ErrorKind::PermissionDenied),
        "{refused:?}"
    );
    let reader = place.reader();
    assert_eq!(open(&reader.get(first.id).unwrap().unwrap()), b"1");
    assert_eq!(payloads(&reader), [b"1".to_vec()]);
    sound(&reader);
    reader.close().unwrap();
    memory.clear_hooks();
    unchanged(&place, &files);
}

/// Every call by which something on the disk would change, or a lock be taken.
#[test]
fn reader_makes_no_call_that_changes_the_disk() {
    let place = Place::memory();
    let store = place.create();
    for _ in 0..60 {
        append(&store, "a", &[7; 500]);
    }
    drop(store);
    let memory = place.memory.as_ref().unwrap();
    let (changes, reads) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let (change, read) = (Arc::clone(&changes), Arc::clone(&reads));
    memory.observe(Box::new(move |call| {
        let lock = call.path.file_name().is_some_and(|name| name == "lock");
        let harmless = matches!(call.op, DiskOp::Open | DiskOp::Read) && !(lock && call.op == DiskOp::Open);
        (if harmless { &read } else { &change }).fetch_add(1, Ordering::Relaxed);
    }));
    let reader = place.reader();
    assert_eq!(payloads(&reader).len(), 60);
    sound(&reader);
    reader.close().unwrap();
    assert!(reads.load(Ordering::Relaxed) > 60, "the hook must have seen it");
    assert_eq!(changes.load(Ordering::Relaxed), 0);
    drop(place.open());
    assert_ne!(changes.load(Ordering::Relaxed), 0, "the control: a writer takes the lock");
}

#[test]
fn reader_changes_no_byte_of_a_log_that_needs_repair() {
    both(|place| {
        let store = place.create();
        append(&store, "a", b"1");
        store.close().unwrap();
        let segment = segment_path(&place.dir().join(SEGMENTS_DIR), 1);
        let mut torn = place.read(&segment);
        torn.truncate(torn.len() - 3);
        torn.extend_from_slice(&[0xAB; 77]);
        place.put(&segment, &torn);
        let files = place.files();
        let reader = place.reader();
        assert_eq!(payloads(&reader), [b"1".to_vec()]);
        reader.close().unwrap();
        unchanged(place, &files);
        drop(place.open());
        assert_ne!(place.read(&segment), torn, "the control: a writer repairs it");
    });
}

#[test]
fn batch_shows_whole_or_not_at_all_wherever_its_writing_stands() {
    both(|place| {
        let store = place.create();
        append(&store, "a", b"before");
        let segment = segment_path(&place.dir().join(SEGMENTS_DIR), 1);
        let without = place.read(&segment);
        store.append_batch(&[event("a", b"1"), event("b", b"2"), event("a", b"3")]).unwrap();
        let with = place.read(&segment);
        store.close().unwrap();
        let differs = |at: &usize| without.get(*at) != with.get(*at);
        let (first, last) = ((0..with.len()).find(differs).unwrap(), (0..with.len()).rfind(differs).unwrap());
        assert!(last - first > 300, "{first} {last}");
        place.put(&segment, &without);
        let beside = place.reader();
        let check = |written: &[u8], expected: usize| {
            place.put(&segment, written);
            assert_eq!(payloads(&beside).len(), expected);
            assert_eq!(beside.stats().visible_mark, expected as u64 + 1);
            let fresh = place.reader();
            assert_eq!((payloads(&fresh).len(), fresh.stats().visible_mark), (expected, expected as u64 + 1));
        };
        for cut in (first..last).step_by(67).chain([last]) {
            let mut written = without.clone();
            written[first..cut].copy_from_slice(&with[first..cut]);
            check(&written, 1);
            // A file that ends there, and pieces that arrive in another order.
            check(&with[..cut], 1);
            let mut tail_first = with.clone();
            tail_first[first..=cut].copy_from_slice(&without[first..=cut]);
            check(&tail_first, 1);
        }
        check(&with, 4);
    });
}

#[test]
fn reader_opens_what_was_sealed_under_keys_that_were_published_later() {
    let place = Place::memory();
    let store =
        Store::create(place.dir(), place.config().granularity(Granularity::Event).segment_bytes(1 << 20)).unwrap();
    let reader = place.reader();
    let mut follow = reader.follow(&Query::all());
    for n in 0..4_200_u32 {
        let payload = n.to_le_bytes();
        store.append(&event("a", &payload).durability(Durability::Buffered)).unwrap();
        if n.is_multiple_of(64) || n.abs_diff(4_096) < 4 {
            while let Some(event) = follow.next_timeout(std::time::Duration::ZERO).unwrap() {
                assert!(matches!(event.payload, Payload::Open(_)), "{event:?}");
            }
        }
    }
    assert!(store.stats().keyset.unwrap().pages >= 2, "a page must have been used up");
    assert_eq!(payloads(&reader), (0..4_200_u32).map(|n| n.to_le_bytes().to_vec()).collect::<Vec<_>>());
}

#[test]
fn reader_that_meets_a_fresh_shred_by_position_answers_shredded_and_never_lost() {
    both(|place| {
        let store = place.create();
        let victim = append(&store, "victim", b"x");
        let other = append(&store, "other", b"y");
        let reader = place.reader();
        assert!(reader.at(victim.position).unwrap().unwrap().payload.open().is_some());
        let shredding = store.shred(&[Selector::Entity("victim".into())], 1, "").unwrap();
        // No look at the log in between: the position was visible before.
        let payload = reader.at(victim.position).unwrap().unwrap().payload;
        assert!(matches!(payload, Payload::Shredded(proof) if proof.intent == shredding.intent), "{payload:?}");
        assert!(reader.at(other.position).unwrap().unwrap().payload.open().is_some());
    });
}
