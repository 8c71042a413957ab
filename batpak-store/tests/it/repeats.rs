//! An id that is in the log already: the first receipt again, or a conflict.

use batpak_store::{
    AppendError, ContentType, Coordinate, Durability, Encryption, EventId, EventKind, NewEvent, Receipt, Repeat, Store,
    Timestamp, segment::DiskOp,
};

use crate::kit::{Place, append, at, both, event, payloads, sound, unchanged};

fn keyed<'a>(payload: &'a [u8]) -> NewEvent<'a> {
    event("a", payload).key(b"key").tag("t")
}

/// The first receipt, as a repeat returns it.
fn again(first: &Receipt) -> Receipt {
    Receipt { repeat: Some(Repeat::SameContent), ..first.clone() }
}

#[test]
fn same_content_under_the_same_id_returns_the_first_receipt() {
    both(|place| {
        let store = place.create();
        let new = keyed(b"1").payload_version(3).content_type(ContentType::TEXT);
        let first = store.append(&new).unwrap();
        assert_eq!((first.repeat, first.id), (None, EventId::from_key(b"key")));
        append(&store, "a", b"between");
        let files = place.files();
        for durability in [Durability::Synced, Durability::Buffered, Durability::Deferred] {
            assert_eq!(store.append(&new.clone().durability(durability)).unwrap(), again(&first));
            assert_eq!(store.submit(&new.clone().durability(durability)).unwrap().wait().unwrap(), again(&first));
            assert_eq!(store.append_batch(std::slice::from_ref(&new)).unwrap(), [again(&first)]);
        }
        // A retry has another time; that is no other content.
        assert_eq!(store.append(&new.clone().time(Timestamp::from_micros(1))).unwrap(), again(&first));
        unchanged(place, &files);
        sound(&store);
    });
}

#[test]
fn other_content_under_the_same_id_is_a_conflict() {
    both(|place| {
        let store = place.create();
        let (cause, other) = (append(&store, "c", b"c").id, append(&store, "c", b"d").id);
        let new = keyed(b"1").cause(cause);
        let first = store.append(&new).unwrap();
        let kind = EventKind::new(1, 8).unwrap();
        let elsewhere = |entity, scope| {
            let coordinate = Coordinate::new(entity, scope).unwrap();
            NewEvent::new(coordinate, crate::kit::kind(), b"1").key(b"key").tag("t").cause(cause)
        };
        let differing = [
            ("payload", keyed(b"2").cause(cause)),
            ("shorter payload", keyed(b"").cause(cause)),
            ("more tags", new.clone().tag("u")),
            ("no tag", event("a", b"1").key(b"key").cause(cause)),
            ("more causes", new.clone().cause(other)),
            ("no cause", keyed(b"1")),
            ("external cause", keyed(b"1").external_cause(cause)),
            ("kind", NewEvent::new(at("a"), kind, b"1").key(b"key").tag("t").cause(cause)),
            ("entity", elsewhere("b", "scope-1")),
            ("scope", elsewhere("a", "scope-2")),
            ("correlation", new.clone().correlation(cause)),
            ("payload version", new.clone().payload_version(1)),
            ("content type", new.clone().content_type(ContentType::JSON)),
        ];
        let files = place.files();
        for (name, differing) in differing {
            let refused = store.append(&differing);
            assert!(matches!(&refused, Err(AppendError::Conflict { id }) if *id == first.id), "{name}: {refused:?}");
            let refused = store.append_batch(&[differing]);
            assert!(matches!(&refused, Err(AppendError::Conflict { id }) if *id == first.id), "{name}: {refused:?}");
        }
        unchanged(place, &files);
        assert_eq!(store.append(&elsewhere("a", "scope-1")).unwrap(), again(&first), "the control: nothing differs");
    });
}

#[test]
fn batch_whose_ids_are_all_there_is_answered_with_the_first_receipts() {
    both(|place| {
        let store = place.create();
        let batch = [event("a", b"1").key(b"1"), event("b", b"2").key(b"2"), event("a", b"3").key(b"3")];
        let first = store.append_batch(&batch).unwrap();
        let files = place.files();
        let expected: Vec<_> = first.iter().map(again).collect();
        assert_eq!(store.append_batch(&batch).unwrap(), expected);
        // Its events may come alone, in another order, or together with another batch's.
        assert_eq!(store.append(&batch[1]).unwrap(), expected[1]);
        let turned = [batch[2].clone(), batch[0].clone()];
        assert_eq!(store.append_batch(&turned).unwrap(), [expected[2].clone(), expected[0].clone()]);
        let other = [batch[0].clone(), event("b", b"other").key(b"2")];
        let refused = store.append_batch(&other);
        assert!(matches!(refused, Err(AppendError::Conflict { id }) if id == first[1].id), "{refused:?}");
        unchanged(place, &files);
    });
}

#[test]
fn batch_of_which_some_ids_are_there_is_refused_whole() {
    both(|place| {
        let store = place.create();
        let there = store.append(&event("a", b"1").key(b"1")).unwrap();
        let files = place.files();
        let batches = [
            [event("a", b"1").key(b"1"), event("a", b"2").key(b"2")],
            [event("a", b"2").key(b"2"), event("a", b"1").key(b"1")],
            [event("a", b"other").key(b"1"), event("a", b"2").key(b"2")],
        ];
        for batch in &batches {
            let refused = store.append_batch(batch);
            assert!(matches!(refused, Err(AppendError::PartlyRepeated { id }) if id == there.id), "{refused:?}");
        }
        unchanged(place, &files);
        assert_eq!(store.append_batch(&batches[0][1..]).unwrap()[0].position, 2, "the control: the rest goes in");
    });
}

#[test]
fn id_that_stands_twice_in_a_batch_is_refused() {
    both(|place| {
        let store = place.create();
        let twice = event("a", b"1").key(b"twice");
        let refused = store.append_batch(&[twice.clone(), event("a", b"2"), twice.clone()]);
        let id = EventId::from_key(b"twice");
        assert!(matches!(refused, Err(AppendError::DuplicateInBatch { id: named }) if named == id), "{refused:?}");
        assert_eq!(store.stats().events, 1);
        assert_eq!(store.append(&twice).unwrap().repeat, None);
    });
}

#[test]
fn threads_that_race_with_one_id_get_one_fresh_receipt() {
    both(|place| {
        let store = place.create();
        for round in 0..20_u8 {
            let payload = [round];
            let race = |durability| {
                let new = event("a", &payload).key(&[round]).durability(durability);
                store.append(&new).unwrap()
            };
            let receipts: Vec<Receipt> = std::thread::scope(|scope| {
                let modes = [Durability::Synced, Durability::Deferred, Durability::Buffered, Durability::Synced];
                let racers: Vec<_> = modes.map(|mode| scope.spawn(move || race(mode))).into_iter().collect();
                racers.into_iter().map(|racer| racer.join().unwrap()).collect()
            });
            let fresh: Vec<_> = receipts.iter().filter(|receipt| receipt.repeat.is_none()).collect();
            assert_eq!(fresh.len(), 1);
            assert_eq!(receipts.iter().filter(|receipt| **receipt == again(fresh[0])).count(), 3);
        }
        store.sync().unwrap();
        assert_eq!(payloads(&store), (0..20_u8).map(|n| vec![n]).collect::<Vec<_>>());
        sound(&store);
    });
}

#[test]
fn threads_that_race_with_one_id_and_other_contents_leave_one_of_them() {
    both(|place| {
        let store = place.create();
        for round in 0..20_u8 {
            let outcomes: Vec<Result<Receipt, AppendError>> = std::thread::scope(|scope| {
                let store = &store;
                let racers: Vec<_> = (0..3_u8)
                    .map(|n| scope.spawn(move || store.append(&event("a", &[round, n]).key(&[round]))))
                    .collect();
                racers.into_iter().map(|racer| racer.join().unwrap()).collect()
            });
            let placed =
                outcomes.iter().filter(|outcome| outcome.as_ref().is_ok_and(|receipt| receipt.repeat.is_none()));
            assert_eq!(placed.count(), 1);
            let conflicts = outcomes.iter().filter(|outcome| matches!(outcome, Err(AppendError::Conflict { .. })));
            assert_eq!(conflicts.count(), 2);
        }
        assert_eq!(store.stats().events, 21);
    });
}

#[test]
fn repeat_is_known_after_reopen_and_after_a_crash() {
    both(|place| {
        let store = place.create();
        let first = store.append(&keyed(b"1")).unwrap();
        let batch = [event("a", b"2").key(b"2"), event("a", b"3").key(b"3")];
        let batched = store.append_batch(&batch).unwrap();
        store.close().unwrap();
        let check = |store: &Store| {
            assert_eq!(store.append(&keyed(b"1")).unwrap(), again(&first));
            assert_eq!(store.append_batch(&batch).unwrap(), batched.iter().map(again).collect::<Vec<_>>());
            let refused = store.append(&keyed(b"2"));
            assert!(matches!(refused, Err(AppendError::Conflict { id }) if id == first.id), "{refused:?}");
        };
        let store = place.open();
        check(&store);
        if let Some(memory) = &place.memory {
            memory.crash();
            drop(store);
            check(&place.open());
        }
    });
}

#[test]
fn repeat_is_as_durable_as_it_asks() {
    let place = Place::memory();
    let config = place.config().deferred_buffer(1 << 20, std::time::Duration::from_secs(3600));
    let store = Store::create(place.dir(), config).unwrap();
    let new = keyed(b"1");
    let first = store.append(&new.clone().durability(Durability::Deferred)).unwrap();
    assert_eq!(first.repeat, None);
    assert_eq!(store.append(&new.clone().durability(Durability::Synced)).unwrap(), again(&first));
    place.memory.as_ref().unwrap().crash();
    drop(store);
    assert_eq!(payloads(&place.open()), [b"1".to_vec()]);
}

/// Two threads append the same batch while writes fail now and then: who is told that it is there finds all of it there.
#[test]
fn threads_that_race_while_writes_fail_are_never_told_of_what_was_taken_back() {
    let place = Place::memory();
    let store = Store::create(place.dir(), place.with(Encryption::none())).unwrap();
    let mut writes = 0_u64;
    place.memory.as_ref().unwrap().fail(Box::new(move |call| {
        let frame = matches!(call.op, DiskOp::Write { bytes, .. } if bytes.iter().any(|byte| *byte != 0));
        writes += u64::from(frame);
        (frame && writes % 2 == 1).then(|| std::io::ErrorKind::StorageFull.into())
    }));
    let (mut failed, mut repeated) = (0, 0);
    for round in 0..600_u32 {
        let key = |part: u32| (round * 2 + part).to_le_bytes();
        let (first, second) = (key(0), key(1));
        let batch = [event("a", b"1").key(&first), event("b", b"2").key(&second)];
        let race = || match store.append_batch(&batch) {
            Ok(receipts) => {
                assert_eq!(receipts.len(), 2);
                let there = batch.iter().zip(&receipts).all(|(_, receipt)| store.contains(receipt.id).unwrap());
                assert!(there, "{receipts:?}");
                (0, u32::from(receipts[0].repeat.is_some()))
            }
            Err(AppendError::NotWritten(_)) => (1, 0),
            Err(other) => panic!("{other:?}"),
        };
        std::thread::scope(|scope| {
            let racers = [(); 3].map(|()| scope.spawn(race));
            for (not_written, repeat) in racers.map(|racer| racer.join().unwrap()) {
                (failed, repeated) = (failed + not_written, repeated + repeat);
            }
        });
    }
    assert!(failed > 20 && repeated > 20, "{failed} {repeated}");
    sound(&store);
}
