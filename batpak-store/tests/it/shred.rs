//! Keys destroyed: durably, on the record, and nothing else with them.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use batpak_store::{
    AppendError, Config, Coordinate, Destruction, Encryption, EventId, EventKind, Granularity, KeyFile, Local,
    OpenError, Passphrase, Payload, ProviderError, Query, Selector, ShredError, Store, VerifyOptions,
    crypto::passphrase::Argon2Params,
    segment::{DiskOp, MemoryDisk},
};

use crate::kit::{Place, append, at, both, event, kind, sound};

/// What became of a payload.
pub fn fate(store: &Store, id: EventId) -> &'static str {
    match store.get(id).unwrap().unwrap().payload {
        Payload::Open(_) => "open",
        Payload::Shredded(_) => "shredded",
        Payload::KeyLost(_) => "lost",
        _ => "unread",
    }
}

/// A store with two entities that have keys of their own under every granularity.
fn filled(place: &Place, config: Config) -> (Store, EventId, EventId) {
    let store = Store::create(place.dir(), config).unwrap();
    let (other_kind, other_at) = (EventKind::new(2, 9).unwrap(), Coordinate::new("b", "scope-2").unwrap());
    let victim = append(&store, "a", b"victim").id;
    let other = store.append(&batpak_store::NewEvent::new(other_at, other_kind, b"other")).unwrap().id;
    (store, victim, other)
}

fn selector(granularity: Granularity, victim: EventId) -> Selector {
    match granularity {
        Granularity::Entity => Selector::Entity("a".into()),
        Granularity::Coordinate => Selector::Coordinate(at("a")),
        Granularity::Scope => Selector::Scope("scope-1".into()),
        Granularity::Category => Selector::Category(1),
        Granularity::Kind => Selector::Kind(kind()),
        _ => Selector::Event(victim),
    }
}

const GRANULARITIES: [Granularity; 6] = [
    Granularity::Entity,
    Granularity::Coordinate,
    Granularity::Scope,
    Granularity::Category,
    Granularity::Kind,
    Granularity::Event,
];

#[test]
fn shred_destroys_what_it_names_and_nothing_else_under_every_granularity() {
    for granularity in GRANULARITIES {
        both(|place| {
            let (store, victim, other) = filled(place, place.config().granularity(granularity));
            let shredding = store.shred(&[selector(granularity, victim)], 7, "ticket 12").unwrap();
            assert_eq!(
                (shredding.keys, shredding.key_scopes.len(), shredding.intent, shredding.completion),
                (1, 1, 3, 4)
            );
            let check = |store: &Store| {
                assert_eq!((fate(store, victim), fate(store, other)), ("shredded", "open"), "{granularity}");
                let report = store.verify(VerifyOptions::full(), &mut |_| {}).unwrap();
                assert!(report.is_sound(), "{report:?}");
                assert_eq!((report.shredded, report.lost), (1, 0));
                assert!(store.verify(VerifyOptions::without_keys(), &mut |_| {}).unwrap().is_sound());
            };
            check(&store);
            check(&place.reader());
            store.close().unwrap();
            let store = place.open();
            assert!(store.open_report().clean);
            check(&store);
        });
    }
}

#[test]
fn shredded_key_scope_takes_no_event_until_it_is_readmitted() {
    for granularity in GRANULARITIES.into_iter().filter(|granularity| *granularity != Granularity::Event) {
        let place = Place::memory();
        let (store, victim, _) = filled(&place, place.config().granularity(granularity));
        let selector = selector(granularity, victim);
        store.shred(std::slice::from_ref(&selector), 0, "").unwrap();
        assert!(matches!(store.append(&event("a", b"x")), Err(AppendError::ScopeShredded)), "{granularity}");
        store.close().unwrap();
        let store = place.open();
        assert!(matches!(store.append_batch(&[event("a", b"x")]), Err(AppendError::ScopeShredded)));
        store.readmit(&selector).unwrap();
        let fresh = append(&store, "a", b"fresh").id;
        assert_eq!((fate(&store, victim), fate(&store, fresh)), ("shredded", "open"));
        store.close().unwrap();
        let store = place.open();
        let more = append(&store, "a", b"more").id;
        assert_eq!((fate(&store, victim), fate(&store, fresh), fate(&store, more)), ("shredded", "open", "open"));
        sound(&store);
        // Its new keys can be destroyed as well.
        store.shred(&[selector], 0, "").unwrap();
        assert_eq!((fate(&store, fresh), fate(&store, more)), ("shredded", "shredded"));
    }
}

#[test]
fn key_scope_without_a_key_is_refused_ahead() {
    let place = Place::memory();
    let store = place.create();
    let shredding = store.shred(&[Selector::Entity("nobody".into())], 0, "").unwrap();
    assert_eq!((shredding.keys, shredding.key_scopes.len()), (0, 1));
    assert!(matches!(store.append(&event("nobody", b"x")), Err(AppendError::ScopeShredded)));
    append(&store, "somebody", b"x");
}

#[test]
fn coarser_selector_covers_every_key_scope_under_it_and_others_are_refused() {
    let place = Place::memory();
    let store = place.create_per(Granularity::Coordinate);
    let ids: Vec<_> = ["s1", "s2"]
        .iter()
        .map(|scope| {
            let at = Coordinate::new("a", scope).unwrap();
            store.append(&batpak_store::NewEvent::new(at, kind(), b"x")).unwrap().id
        })
        .collect();
    let kept = append(&store, "b", b"kept").id;
    for refused in [Selector::Kind(kind()), Selector::Category(1), Selector::Event(ids[0])] {
        let why = store.shred(&[refused], 0, "").unwrap_err();
        assert!(matches!(why, ShredError::WrongGranularity { granularity: Granularity::Coordinate, .. }), "{why:?}");
    }
    let shredding = store.shred(&[Selector::Entity("a".into())], 0, "").unwrap();
    assert_eq!((shredding.keys, shredding.key_scopes.len()), (2, 2));
    assert_eq!((fate(&store, ids[0]), fate(&store, ids[1]), fate(&store, kept)), ("shredded", "shredded", "open"));
}

#[test]
fn lost_key_is_named_as_unreachable_by_a_shred_of_its_key_scope() {
    let place = Place::memory();
    let (store, victim, other) = filled(&place, place.config());
    store.close().unwrap();
    for name in ["keyset.a", "keyset.b"] {
        place.disk.remove(&place.dir().join(name)).unwrap();
    }
    let store = Store::open(place.dir(), place.config().accept_key_loss()).unwrap();
    assert_eq!((fate(&store, victim), fate(&store, other)), ("lost", "lost"));
    let shredding = store.shred(&[Selector::Entity("a".into())], 0, "").unwrap();
    assert_eq!((shredding.keys, shredding.unreachable), (0, 1));
    assert_eq!((fate(&store, victim), fate(&store, other)), ("shredded", "lost"));
    store.close().unwrap();
    assert_eq!(fate(&place.open(), victim), "shredded");
}

#[test]
fn shred_that_cannot_be_is_a_typed_error_and_changes_nothing() {
    let place = Place::memory();
    let (store, victim, _) = filled(&place, place.config().granularity(Granularity::Event));
    let before = place.files();
    let long = "x".repeat(65);
    let selectors = [Selector::Entity("a".into())];
    assert!(matches!(store.shred(&selectors, 0, &long), Err(ShredError::ReferenceTooLong { bytes: 65 })));
    assert!(matches!(store.shred(&[Selector::Entity("nobody".into())], 0, ""), Err(ShredError::Nothing)));
    assert!(matches!(store.shred(&[Selector::Entity(String::new())], 0, ""), Err(ShredError::Name(_))));
    for own in [
        Selector::Category(0),
        Selector::Category(16),
        Selector::Entity("$batpak".into()),
        Selector::Kind(EventKind::GENESIS),
    ] {
        assert!(matches!(store.shred(&[own], 0, ""), Err(ShredError::Reserved)));
    }
    assert_eq!(place.files(), before);
    assert_eq!(fate(&store, victim), "open");
    let plain = Place::memory();
    let store = Store::create(plain.dir(), plain.with(Encryption::none())).unwrap();
    assert!(matches!(store.shred(&selectors, 0, ""), Err(ShredError::Plaintext)));
    assert!(matches!(place.reader().shred(&selectors, 0, ""), Err(ShredError::Append(AppendError::ReadOnly))));
}

/// The copy of the directory that was taken before a shred, opened with what the provider has after it.
fn old_copy_after_a_shred(make: &dyn Fn(&Place) -> Encryption) -> (Destruction, Result<&'static str, OpenError>) {
    let place = Place::memory();
    let (store, victim, _) = filled(&place, place.with(make(&place)));
    let copy = place.root().join("copy");
    place.copy_dir(&place.dir(), &copy);
    let destruction = store.shred(&[Selector::Entity("a".into())], 0, "").unwrap().destruction;
    store.close().unwrap();
    assert_eq!(fate(&Store::open(place.dir(), place.with(make(&place))).unwrap(), victim), "shredded");
    let opened = Store::open_read_only(&copy, place.with(make(&place)));
    (destruction, opened.map(|store| fate(&store, victim)))
}

#[test]
fn copy_of_the_directory_taken_before_a_shred_opens_nothing_where_the_provider_says_so() {
    let cheap = Argon2Params { m_kib: 8 << 10, t: 1, p: 1 };
    let secret = || zeroize::Zeroizing::new(b"correct horse".to_vec());
    let (worth, opened) = old_copy_after_a_shred(&|place| Encryption::sealed(KeyFile::new(place.key_file())));
    assert!(matches!(worth, Destruction::OldCopiesDeadFrom(_)));
    assert!(matches!(opened, Err(OpenError::Provider(ProviderError::Missing))), "{opened:?}");
    let both = |place: &Place| Encryption::sealed(Passphrase::with_key_file(secret(), place.key_file()).params(cheap));
    let (worth, opened) = old_copy_after_a_shred(&both);
    assert!(matches!(worth, Destruction::OldCopiesDeadFrom(_)));
    assert!(matches!(opened, Err(OpenError::Provider(ProviderError::Missing))), "{opened:?}");
    // The controls: these providers promise nothing of old copies, and the copy does open.
    let (worth, opened) = old_copy_after_a_shred(&|_| Encryption::sealed(Passphrase::new(secret()).params(cheap)));
    assert_eq!((worth, opened.unwrap()), (Destruction::OldCopiesNotCovered, "open"));
    let (worth, opened) = old_copy_after_a_shred(&|_| Encryption::sealed(Local::new()));
    assert_eq!((worth, opened.unwrap()), (Destruction::LiveFilesOnly, "open"));
}

#[test]
fn keyset_from_before_a_shred_is_refused_and_accepted_it_opens_nothing_of_the_victim() {
    let place = Place::memory();
    let config = || place.with(Encryption::sealed(Local::new()));
    let (store, victim, other) = filled(&place, config());
    let old = ["keyset.a", "keyset.b"].map(|name| place.read(&place.dir().join(name)));
    store.shred(&[Selector::Entity("a".into())], 0, "").unwrap();
    store.close().unwrap();
    for (name, bytes) in ["keyset.a", "keyset.b"].iter().zip(&old) {
        place.put(&place.dir().join(name), bytes);
    }
    assert!(matches!(Store::open(place.dir(), config()), Err(OpenError::KeysetRolledBack { .. })));
    let reader = Store::open_read_only(place.dir(), config()).unwrap();
    assert_eq!((fate(&reader, victim), fate(&reader, other)), ("shredded", "open"));
    let store = Store::open(place.dir(), config().accept_keyset_rollback()).unwrap();
    assert_eq!((fate(&store, victim), fate(&store, other)), ("shredded", "open"));
    assert!(matches!(store.append(&event("a", b"x")), Err(AppendError::ScopeShredded)));
    sound(&store);
    store.close().unwrap();
    let store = Store::open(place.dir(), config()).unwrap();
    assert_eq!((fate(&store, victim), fate(&store, other)), ("shredded", "open"));
}

/// Cuts a shred at every call of the disk, with a crash, an error once, or an error for good, and looks at what the next open finds.
fn cut(crash: bool, for_good: bool) -> (u64, u64) {
    let start = Place::memory();
    let (store, victim, other) = filled(&start, start.config());
    store.close().unwrap();
    let start: &MemoryDisk = start.memory.as_ref().unwrap();
    let (mut nothing, mut finished) = (0, 0);
    for call in 0.. {
        let disk = start.copy();
        let place = Place::on(disk.clone());
        let store = place.open();
        let (mut left, fired) = (call, Arc::new(AtomicBool::new(false)));
        let note = Arc::clone(&fired);
        disk.fail(Box::new(move |_| {
            if left == 0 {
                left = if for_good { 0 } else { u64::MAX };
                note.store(true, Ordering::Relaxed);
                return Some(std::io::ErrorKind::StorageFull.into());
            }
            left -= 1;
            None
        }));
        let whole = store.shred(&[Selector::Entity("a".into())], 0, "").is_ok();
        if crash {
            disk.crash();
            disk.clear_hooks();
            drop(store);
        } else {
            disk.clear_hooks();
            drop(store.close());
        }
        for round in ["first", "second"] {
            let store = place.open();
            assert_eq!(fate(&store, other), "open", "call {call}, {round} open");
            let fate = fate(&store, victim);
            let on_record =
                store.read(&Query::all().kind(EventKind::SHRED_INTENT).include_system(true)).unwrap().next().is_some();
            assert_eq!(fate, if on_record { "shredded" } else { "open" }, "call {call}, {round} open");
            assert!(on_record || !whole, "call {call}: a shred that returned is on record");
            let completions =
                store.read(&Query::all().kind(EventKind::SHRED_COMPLETED).include_system(true)).unwrap().count();
            assert_eq!(completions, usize::from(on_record), "call {call}, {round} open");
            sound(&store);
            if round == "first" {
                *(if on_record { &mut finished } else { &mut nothing }) += 1;
            }
            store.close().unwrap();
        }
        if !fired.load(Ordering::Relaxed) {
            return (nothing, finished);
        }
    }
    unreachable!("the loop ends with a shred that is not cut")
}

#[test]
fn shred_cut_by_a_crash_at_any_call_did_nothing_or_is_finished_by_the_next_open() {
    let (nothing, finished) = cut(true, true);
    assert!(nothing > 5 && finished > 10, "{nothing} did nothing, {finished} were finished");
}

#[test]
fn shred_cut_by_an_error_at_any_call_did_nothing_or_is_finished_by_the_next_open() {
    for for_good in [false, true] {
        let (nothing, finished) = cut(false, for_good);
        assert!(nothing > 2 && finished > 2, "{nothing} did nothing, {finished} were finished");
    }
}

#[test]
fn open_that_finishes_a_shred_may_itself_be_cut_anywhere() {
    let start = Place::memory();
    let (store, victim, other) = filled(&start, start.config());
    let memory = start.memory.clone().unwrap();
    // Every call after the intent fails: the shred is pending.
    let mut synced = false;
    memory.fail(Box::new(move |call| {
        let refused = synced && !matches!(call.op, DiskOp::Read | DiskOp::Open);
        synced |= matches!(call.op, DiskOp::SyncData) && call.path.extension().is_some_and(|end| end == "seg");
        refused.then(|| std::io::ErrorKind::StorageFull.into())
    }));
    let why = store.shred(&[Selector::Entity("a".into())], 0, "").unwrap_err();
    assert!(matches!(why, ShredError::Pending { .. }), "{why:?}");
    assert_eq!((fate(&store, victim), fate(&store, other)), ("shredded", "open"));
    memory.crash();
    memory.clear_hooks();
    drop(store);
    let mut cuts = 0;
    for call in 0.. {
        let disk = memory.copy();
        let place = Place::on(disk.clone());
        let mut left = call;
        disk.fail(Box::new(move |_| {
            if left == 0 {
                return Some(std::io::ErrorKind::StorageFull.into());
            }
            left -= 1;
            None
        }));
        let whole = Store::open(place.dir(), place.config()).is_ok();
        disk.crash();
        disk.clear_hooks();
        let store = place.open();
        assert_eq!((fate(&store, victim), fate(&store, other)), ("shredded", "open"), "call {call}");
        let completions =
            store.read(&Query::all().kind(EventKind::SHRED_COMPLETED).include_system(true)).unwrap().count();
        assert!(completions >= 1, "call {call}");
        sound(&store);
        if whole {
            break;
        }
        cuts += 1;
    }
    assert!(cuts > 30, "{cuts}");
}

#[test]
fn appends_beside_shreds_are_shredded_or_refused_and_never_lost() {
    both(|place| {
        let store = place.create();
        let acked: Vec<(u64, EventId)> = std::thread::scope(|scope| {
            let appenders: Vec<_> = (0..4_u8)
                .map(|thread| {
                    let store = &store;
                    scope.spawn(move || {
                        let mut acked = Vec::new();
                        for n in 0..60_u8 {
                            let payload = [thread, n];
                            match store.append(&event("a", &payload).durability(batpak_store::Durability::Buffered)) {
                                Ok(receipt) => acked.push((receipt.position, receipt.id)),
                                Err(AppendError::ScopeShredded) => {}
                                Err(why) => panic!("{why:?}"),
                            }
                        }
                        acked
                    })
                })
                .collect();
            for _ in 0..6 {
                store.shred(&[Selector::Entity("a".into())], 0, "").unwrap();
                store.readmit(&Selector::Entity("a".into())).unwrap();
            }
            appenders.into_iter().flat_map(|appender| appender.join().unwrap()).collect()
        });
        let last = store.shred(&[Selector::Entity("a".into())], 0, "").unwrap();
        for (position, id) in &acked {
            assert_eq!(fate(&store, *id), "shredded", "position {position}");
        }
        assert!(acked.iter().all(|(position, _)| *position < last.intent));
        sound(&store);
        store.close().unwrap();
        let store = place.open();
        assert_eq!(store.verify(VerifyOptions::full(), &mut |_| {}).unwrap().shredded, acked.len() as u64);
        sound(&store);
    });
}

#[test]
fn rekey_kills_old_copies_of_the_keyset_and_keeps_every_payload() {
    both(|place| {
        let (store, first, other) = filled(place, place.config());
        let copy = place.root().join("copy");
        place.copy_dir(&place.dir(), &copy);
        assert!(matches!(store.rekey().unwrap(), Destruction::OldCopiesDeadFrom(_)));
        let page = |id| store.header(id).unwrap().unwrap().encryption.unwrap().key_id.page();
        let fresh = append(&store, "new", b"fresh").id;
        assert_eq!((page(first), page(fresh)), (1, 2), "new keys come from a fresh page");
        let old = Store::open_read_only(&copy, place.config());
        assert!(matches!(old, Err(OpenError::Provider(ProviderError::Missing))), "{old:?}");
        store.close().unwrap();
        let store = place.open();
        assert!(store.open_report().clean);
        assert_eq!((fate(&store, first), fate(&store, other), fate(&store, fresh)), ("open", "open", "open"));
        assert_eq!(store.read(&Query::all().kind(EventKind::REKEYED).include_system(true)).unwrap().count(), 1);
        sound(&store);
    });
}

#[test]
fn rekey_cut_at_any_call_loses_no_payload_and_is_finished_by_the_next_open() {
    let start = Place::memory();
    let (store, first, other) = filled(&start, start.config());
    store.close().unwrap();
    let mut cuts = 0;
    for call in 0.. {
        let place = Place::on(start.memory.as_ref().unwrap().copy());
        let disk = place.memory.clone().unwrap();
        let store = place.open();
        let mut left = call;
        disk.fail(Box::new(move |_| {
            if left == 0 {
                return Some(std::io::ErrorKind::StorageFull.into());
            }
            left -= 1;
            None
        }));
        let whole = store.rekey().is_ok();
        disk.crash();
        disk.clear_hooks();
        drop(store);
        let store = place.open();
        assert_eq!((fate(&store, first), fate(&store, other)), ("open", "open"), "call {call}");
        sound(&store);
        // One secret is left, and it is the keyset's.
        let slots = batpak_store::keyset::KeyFile::decode(&place.read(&place.key_file()), None).unwrap();
        assert!(slots.next().is_none(), "call {call}");
        store.rekey().unwrap();
        if whole {
            break;
        }
        cuts += 1;
    }
    assert!(cuts > 10, "{cuts}");
}

#[test]
fn old_root_secret_and_old_image_are_in_no_file_after_a_shred() {
    both(|place| {
        let (store, ..) = filled(place, place.config());
        let secret = |place: &Place| {
            let file = place.read(&place.key_file());
            *batpak_store::keyset::KeyFile::decode(&file, None).unwrap().current().secret.expose()
        };
        let old = secret(place);
        let image = place.read(&place.dir().join("keyset.a"))[256..320].to_vec();
        let holds = |place: &Place, what: &[u8]| {
            let mut files = place.files();
            files.push((place.key_file(), place.read(&place.key_file())));
            files.iter().filter(|(_, bytes)| bytes.windows(what.len()).any(|window| window == what)).count()
        };
        // The control: before the shred both are found.
        assert_eq!((holds(place, &old), holds(place, &image)), (1, 2));
        store.shred(&[Selector::Entity("a".into())], 0, "").unwrap();
        assert_eq!((holds(place, &old), holds(place, &image)), (0, 0));
        assert_ne!(secret(place), old);
    });
}
