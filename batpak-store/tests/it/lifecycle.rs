//! Create, append, read, close, open again.

use batpak_store::{
    Durability, Encryption, Granularity, Local, Passphrase, Query, Store, crypto::passphrase::Argon2Params,
};

use crate::kit::{Place, append, both, event, open, payloads, sound};

#[test]
fn store_reads_back_what_was_appended() {
    both(|place| {
        let store = place.create();
        let receipt = append(&store, "a", b"first");
        assert_eq!((receipt.position, receipt.revision, receipt.repeat), (1, 0, None));
        let second = append(&store, "a", b"second");
        assert_eq!((second.position, second.revision), (2, 1));
        assert_eq!(open(&store.get(receipt.id).unwrap().unwrap()), b"first");
        assert_eq!(payloads(&store), [b"first".to_vec(), b"second".to_vec()]);
        sound(&store);
    });
}

#[test]
fn store_survives_close_and_open() {
    both(|place| {
        let store = place.create();
        for n in 0..200_u32 {
            append(&store, &format!("entity-{}", n % 7), &n.to_le_bytes());
        }
        assert!(store.stats().segments > 1, "the test must roll");
        store.close().unwrap();
        let store = place.open();
        assert!(store.open_report().clean);
        let expected: Vec<_> = (0..200_u32).map(|n| n.to_le_bytes().to_vec()).collect();
        assert_eq!(payloads(&store), expected);
        assert_eq!(append(&store, "entity-0", b"more").position, 201);
        sound(&store);
    });
}

#[test]
fn open_after_a_clean_close_changes_no_byte_and_appends_no_event() {
    both(|place| {
        let store = place.create();
        append(&store, "a", b"one");
        store.close().unwrap();
        let before = place.files();
        let store = place.open();
        assert_eq!(store.stats().events, 2);
        store.close().unwrap();
        assert_eq!(place.files(), before);
        // The control: an append does change it.
        append(&place.open(), "a", b"two");
        assert_ne!(place.files(), before);
    });
}

#[test]
fn every_granularity_reads_back_after_reopen() {
    for granularity in [
        Granularity::Entity,
        Granularity::Coordinate,
        Granularity::Scope,
        Granularity::Category,
        Granularity::Kind,
        Granularity::Event,
    ] {
        let place = Place::memory();
        let store = place.create_per(granularity);
        for n in 0..40_u8 {
            append(&store, &format!("e{}", n % 3), &[n]);
        }
        store.close().unwrap();
        let store = place.open();
        assert_eq!(store.info().granularity, Some(granularity));
        append(&store, "e0", &[40]);
        assert_eq!(payloads(&store), (0..=40_u8).map(|n| vec![n]).collect::<Vec<_>>(), "{granularity:?}");
        sound(&store);
    }
}

#[test]
fn every_provider_reads_back_after_reopen() {
    let cheap = Argon2Params { m_kib: 8 << 10, t: 1, p: 1 };
    let secret = || zeroize::Zeroizing::new(b"correct horse".to_vec());
    type Choose<'a> = &'a dyn Fn(&Place) -> Encryption;
    let make: [(&str, Choose<'_>); 4] = [
        ("local", &|_| Encryption::sealed(Local::new())),
        ("key file", &|place| Encryption::sealed(batpak_store::KeyFile::new(place.key_file()))),
        ("passphrase", &|_| Encryption::sealed(Passphrase::new(secret()).params(cheap))),
        ("both", &|place| Encryption::sealed(Passphrase::with_key_file(secret(), place.key_file()).params(cheap))),
    ];
    for (name, encryption) in make {
        both(|place| {
            let store = Store::create(place.dir(), place.with(encryption(place))).unwrap();
            append(&store, "a", b"one");
            store.close().unwrap();
            let store = Store::open(place.dir(), place.with(encryption(place))).unwrap();
            assert_eq!(payloads(&store), [b"one".to_vec()], "{name}");
        });
    }
}

#[test]
fn plaintext_store_holds_frames_that_the_format_alone_encodes() {
    use batpak_store::format::{Frame, FrameBuf, FrameSeed, Placement, SEGMENT_HEADER_LEN, Statement};
    let place = Place::memory();
    let config = place.with(Encryption::none());
    let store = Store::create(place.dir(), config).unwrap();
    let receipt = store.append(&event("a", b"in clear").tag("t")).unwrap();
    let header = store.header(receipt.id).unwrap().unwrap();
    let info = store.info().clone();
    store.close().unwrap();
    let bytes = place.read(&place.dir().join("segments/00000000000000000001.seg"));
    let first = FrameSeed { store: info.store, segment: 1, offset: SEGMENT_HEADER_LEN as u64 };
    let genesis = Frame::decode(&bytes[SEGMENT_HEADER_LEN..], &first).unwrap().len();
    let offset = (SEGMENT_HEADER_LEN + genesis) as u64;
    let statement: Statement<'_> = header.statement();
    let placement: Placement = header.placement();
    let frame = FrameBuf::new(&statement, b"in clear").unwrap().seal_finished();
    let alone = frame.place(&placement, &FrameSeed { offset, ..first });
    assert_eq!(&bytes[offset as usize..][..alone.len()], alone);
}

#[test]
fn a_canary_in_payloads_is_in_no_file() {
    const CANARY: &[u8] = b"canary-4f1c7a90-in-a-payload";
    both(|place| {
        let store = place.create();
        for durability in [Durability::Synced, Durability::Buffered, Durability::Deferred] {
            store.append(&event("a", CANARY).durability(durability)).unwrap();
        }
        store.append_batch(&[event("a", CANARY), event("b", CANARY)]).unwrap();
        store.close().unwrap();
        let holds = |files: Vec<(_, Vec<u8>)>| {
            files
                .iter()
                .filter(|(_, bytes): &&(std::path::PathBuf, Vec<u8>)| {
                    bytes.windows(CANARY.len()).any(|at| at == CANARY)
                })
                .count()
        };
        assert_eq!(holds(place.files()), 0);
    });
    // The control: a plaintext store holds it.
    let place = Place::memory();
    let store = Store::create(place.dir(), place.with(Encryption::none())).unwrap();
    append(&store, "a", CANARY);
    store.close().unwrap();
    assert!(place.files().iter().any(|(_, bytes)| bytes.windows(CANARY.len()).any(|at| at == CANARY)));
}

#[test]
fn batch_is_one_unit_with_dense_positions_and_may_name_its_own_events_as_causes() {
    both(|place| {
        let store = place.create();
        let first = event("a", b"1").key(b"first");
        let id = batpak_store::EventId::from_key(b"first");
        let receipts = store.append_batch(&[first, event("b", b"2").cause(id), event("a", b"3").cause(id)]).unwrap();
        let places: Vec<_> = receipts.iter().map(|receipt| (receipt.position, receipt.revision)).collect();
        assert_eq!(places, [(1, 0), (2, 0), (3, 1)]);
        let header = store.header(receipts[2].id).unwrap().unwrap();
        assert_eq!(header.batch.map(|batch| (batch.index, batch.count)), Some((2, 3)));
        sound(&store);
    });
}

#[test]
fn tickets_keep_the_order_of_their_calls() {
    both(|place| {
        let store = place.create();
        let syncs = store.stats().syncs;
        let tickets: Vec<_> = (0..50_u8).map(|n| store.submit(&event("a", &[n])).unwrap()).collect();
        for (n, ticket) in tickets.into_iter().enumerate() {
            assert_eq!(ticket.wait().unwrap().revision, n as u64);
        }
        assert_eq!(store.stats().syncs - syncs, 1, "one sync serves all that were placed before it");
    });
}

#[test]
fn deferred_events_are_readable_at_once_and_drained_by_sync() {
    both(|place| {
        let config = place.config().deferred_buffer(1 << 20, std::time::Duration::from_secs(3600));
        let store = Store::create(place.dir(), config).unwrap();
        let receipt = store.append(&event("a", b"soon").durability(Durability::Deferred)).unwrap();
        assert!(store.stats().in_flight_bytes > 0, "it must be in the write buffer");
        assert_eq!(open(&store.get(receipt.id).unwrap().unwrap()), b"soon");
        assert_eq!(place.reader().get(receipt.id).unwrap(), None);
        store.sync().unwrap();
        assert_eq!(store.stats().in_flight_bytes, 0);
        assert_eq!(open(&place.reader().get(receipt.id).unwrap().unwrap()), b"soon");
    });
}

#[test]
fn deferred_events_are_drained_by_time() {
    let place = Place::real();
    let config = place.config().deferred_buffer(1 << 20, std::time::Duration::from_millis(1));
    let store = Store::create(place.dir(), config).unwrap();
    let receipt = store.append(&event("a", b"soon").durability(Durability::Deferred)).unwrap();
    let reader = place.reader();
    let mut follow = reader.follow(&Query::all());
    let seen = follow.next_timeout(std::time::Duration::from_secs(20)).unwrap().unwrap();
    assert_eq!(seen.header.id, receipt.id);
}

#[test]
fn eight_threads_append_and_every_event_is_there_once() {
    both(|place| {
        let store = place.create();
        std::thread::scope(|scope| {
            for thread in 0..8_u8 {
                let store = &store;
                scope.spawn(move || {
                    for n in 0..25_u8 {
                        let durability =
                            [Durability::Synced, Durability::Buffered, Durability::Deferred][n as usize % 3];
                        let payload = [thread, n];
                        let event = event(&format!("t{}", thread % 3), &payload).durability(durability);
                        store.append(&event).unwrap();
                    }
                });
            }
        });
        store.sync().unwrap();
        let mut all = payloads(&store);
        for thread in 0..8_u8 {
            let own: Vec<_> = all.iter().filter(|payload| payload[0] == thread).map(|payload| payload[1]).collect();
            assert_eq!(own, (0..25_u8).collect::<Vec<_>>(), "a thread's own events are in its order");
        }
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 200);
        sound(&store);
    });
}

#[test]
fn payload_of_exactly_the_cap_is_taken_and_one_byte_more_is_not() {
    for encrypted in [true, false] {
        let place = Place::memory();
        let encryption = if encrypted { place.config() } else { place.with(Encryption::none()) };
        let store = Store::create(place.dir(), encryption.plaintext_bytes_max(70_000)).unwrap();
        let payload = vec![7; 70_001];
        let receipt = append(&store, "a", &payload[..70_000]);
        assert_eq!(open(&store.get(receipt.id).unwrap().unwrap()), &payload[..70_000]);
        let refused = store.append(&event("a", &payload)).unwrap_err();
        assert!(matches!(refused, batpak_store::AppendError::PayloadTooLarge { bytes: 70_001, bytes_max: 70_000 }));
        assert_eq!(store.stats().events, 2);
    }
}

#[test]
fn system_events_are_left_out_unless_asked_for() {
    let place = Place::memory();
    let store = place.create();
    append(&store, "a", b"x");
    assert_eq!(store.read(&Query::all()).unwrap().count(), 1);
    let all: Vec<_> = store.read(&Query::all().include_system(true)).unwrap().map(Result::unwrap).collect();
    assert_eq!(all.len(), 2);
    assert_eq!(all[0].header.kind, batpak_store::EventKind::GENESIS);
    assert_eq!(all[0].header.encryption, None, "the store's own events are never sealed");
}

#[test]
fn segment_is_read_as_rolled_only_when_it_is() {
    both(|place| {
        let config = || place.config().deferred_buffer(1 << 20, std::time::Duration::from_secs(3600));
        let store = Store::create(place.dir(), config()).unwrap();
        let first = append(&store, "a", b"1");
        store.close().unwrap();
        let store = Store::open(place.dir(), config()).unwrap();
        // Both are only placed: behind the footer of the close, and in a segment that is not there yet.
        let behind = store.append(&event("a", b"2").durability(Durability::Deferred)).unwrap();
        let payload = vec![7; 17_000];
        let beyond = store.append(&event("a", &payload).durability(Durability::Deferred)).unwrap();
        assert_eq!(open(&store.get(first.id).unwrap().unwrap()), b"1");
        store.sync().unwrap();
        assert_eq!(store.stats().segments, 2);
        assert_eq!(open(&store.get(behind.id).unwrap().unwrap()), b"2");
        assert_eq!(open(&store.get(beyond.id).unwrap().unwrap()), payload);
        sound(&store);
    });
}
