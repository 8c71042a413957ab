//! What is begun is finished in the process that began it, without opening the store again.

use batpak_store::{
    AppendError, Durability, EventId, EventKind, Pending, Query, Selector, ShredError, Store, Unfinished,
    segment::{DiskCall, DiskOp, MemoryDisk},
};

use crate::{
    cuts::fail_from,
    kit::{Place, append, event, sound},
    shred::fate,
};

/// What takes the shred turn.
type Later<'a> = (&'a str, &'a dyn Fn(&Store) -> Result<(), ShredError>);

fn entity(name: &str) -> Selector {
    Selector::Entity(name.into())
}

fn count(store: &Store, kind: EventKind) -> usize {
    store.read(&Query::all().kind(kind).include_system(true)).unwrap().count()
}

fn is_log(call: &DiskCall<'_>) -> bool {
    call.path.extension().is_some_and(|end| end == "seg")
}

fn changes(call: &DiskCall<'_>) -> bool {
    matches!(call.op, DiskOp::Write { .. } | DiskOp::SyncData | DiskOp::SyncAll)
}

/// Fails what `which` picks among the calls behind the first sync of the log.
fn fail_after_intent(disk: &MemoryDisk, which: impl Fn(&DiskCall<'_>) -> bool + Send + 'static) {
    let mut synced = false;
    disk.fail(Box::new(move |call| {
        let refused = synced && which(call);
        synced |= matches!(call.op, DiskOp::SyncData) && is_log(call);
        refused.then(|| std::io::ErrorKind::StorageFull.into())
    }));
}

fn filled() -> (Place, Store, EventId, EventId) {
    let place = Place::memory();
    let store = place.create();
    let (victim, other) = (append(&store, "a", b"victim").id, append(&store, "b", b"other").id);
    (place, store, victim, other)
}

/// A shred whose keyset cannot be published.
fn pending(place: &Place, store: &Store) -> u64 {
    fail_after_intent(place.memory.as_ref().unwrap(), |call| !is_log(call) && changes(call));
    let why = store.shred(&[entity("a")], 0, "").unwrap_err();
    place.memory.as_ref().unwrap().clear_hooks();
    match why {
        ShredError::Pending { intent, source: Unfinished::Publication(_) } => intent,
        why => panic!("{why:?}"),
    }
}

#[test]
fn pending_shred_is_told_and_finished_by_resume() {
    let (place, store, victim, other) = filled();
    assert_eq!(store.resume().unwrap(), None, "nothing is pending");
    let intent = pending(&place, &store);
    assert_eq!(store.stats().pending, Some(Pending::Shred { intent }));
    assert_eq!(place.reader().stats().pending, Some(Pending::Shred { intent }));
    assert_eq!((fate(&store, victim), fate(&store, other)), ("shredded", "open"));
    assert!(matches!(store.append(&event("a", b"x")), Err(AppendError::ScopeShredded)));
    append(&store, "b", b"others go on");
    append(&store, "c", b"new keys too");
    assert_eq!(count(&store, EventKind::SHRED_COMPLETED), 0);
    let finished = store.resume().unwrap().unwrap();
    assert_eq!(finished.what, Pending::Shred { intent });
    assert_eq!(store.at(finished.completion).unwrap().unwrap().header.kind, EventKind::SHRED_COMPLETED);
    assert_eq!((store.stats().pending, store.resume().unwrap()), (None, None));
    assert_eq!(place.reader().stats().pending, None);
    store.close().unwrap();
    let store = place.open();
    assert!(store.open_report().clean);
    assert_eq!((fate(&store, victim), store.open_report().shred_finished), ("shredded", None));
    sound(&store);
}

#[test]
fn completion_or_provider_that_failed_is_made_good_by_resume() {
    // The provider's file, and the log behind the intent.
    let provider = |call: &DiskCall<'_>| call.path.ends_with("root.key") && changes(call);
    let completion = |call: &DiskCall<'_>| is_log(call) && matches!(call.op, DiskOp::Write { .. });
    let (place, store, victim, other) = filled();
    fail_after_intent(place.memory.as_ref().unwrap(), provider);
    let why = store.shred(&[entity("a")], 0, "").unwrap_err();
    assert!(matches!(why, ShredError::Pending { source: Unfinished::Provider(_), .. }), "{why:?}");
    fail_after_intent(place.memory.as_ref().unwrap(), provider);
    place.memory.as_ref().unwrap().clear_hooks();
    assert!(store.resume().unwrap().is_some());
    store.readmit(&entity("a")).unwrap();
    append(&store, "a", b"again");
    let once = std::sync::atomic::AtomicBool::new(false);
    fail_after_intent(place.memory.as_ref().unwrap(), move |call| {
        completion(call) && !once.swap(true, std::sync::atomic::Ordering::Relaxed)
    });
    let why = store.shred(&[entity("a")], 0, "").unwrap_err();
    assert!(
        matches!(why, ShredError::Pending { source: Unfinished::Completion(AppendError::NotWritten(_)), .. }),
        "{why:?}"
    );
    place.memory.as_ref().unwrap().clear_hooks();
    assert!(store.resume().unwrap().is_some());
    assert_eq!(count(&store, EventKind::SHRED_COMPLETED), 2);
    assert_eq!((fate(&store, victim), fate(&store, other)), ("shredded", "open"));
    sound(&store);
    store.close().unwrap();
    assert!(place.open().open_report().clean);
}

#[test]
fn whatever_takes_the_shred_turn_finishes_what_is_pending_first() {
    let later: [Later; 5] = [
        ("shred", &|store| store.shred(&[entity("b")], 0, "").map(drop)),
        ("readmit", &|store| store.readmit(&entity("a"))),
        ("rekey", &|store| store.rekey().map(drop)),
        ("hold", &|store| store.hold(&entity("a"), "").map(drop)),
        ("planned", &|store| {
            let plan = store.plan_shred(&[entity("b")])?;
            store.shred_planned(&[entity("b")], &plan.hash, 0, "").map(drop)
        }),
    ];
    for (what, act) in later {
        let (place, store, victim, _) = filled();
        let intent = pending(&place, &store);
        // While it cannot be finished nothing else begins.
        fail_from(place.memory.as_ref().unwrap(), 0, false);
        let why = act(&store).unwrap_err();
        assert!(matches!(why, ShredError::Pending { intent: found, .. } if found == intent), "{what}: {why:?}");
        place.memory.as_ref().unwrap().clear_hooks();
        act(&store).unwrap();
        assert_eq!((store.stats().pending, fate(&store, victim)), (None, "shredded"), "{what}");
        let first = store.read(&Query::all().kind(EventKind::SHRED_COMPLETED).include_system(true)).unwrap().next();
        assert_eq!(first.unwrap().unwrap().header.position, intent + 1, "{what}: completed before it began");
        sound(&store);
        store.close().unwrap();
        let store = place.open();
        assert!(store.open_report().clean, "{what}");
        assert_eq!(fate(&store, victim), "shredded", "{what}");
    }
}

#[test]
fn pending_rekey_is_finished_by_resume() {
    let (place, store, victim, other) = filled();
    let disk = place.memory.as_ref().unwrap();
    let before = store.header(victim).unwrap().unwrap().encryption.unwrap().key_id.page();
    disk.fail(Box::new(|call| {
        let refused = call.path.ends_with("keyset.b") && changes(call);
        refused.then(|| std::io::ErrorKind::StorageFull.into())
    }));
    let why = store.rekey().unwrap_err();
    assert!(matches!(why, ShredError::RekeyPending(Unfinished::Publication(_))), "{why:?}");
    assert_eq!(store.stats().pending, Some(Pending::Rekey));
    disk.clear_hooks();
    let finished = store.resume().unwrap().unwrap();
    assert_eq!((finished.what, store.stats().pending), (Pending::Rekey, None));
    assert_eq!(count(&store, EventKind::REKEYED), 1);
    let fresh = append(&store, "new", b"x").id;
    assert_ne!(store.header(fresh).unwrap().unwrap().encryption.unwrap().key_id.page(), before);
    assert_eq!((fate(&store, victim), fate(&store, other), fate(&store, fresh)), ("open", "open", "open"));
    let slots = batpak_store::keyset::KeyFile::decode(&place.read(&place.key_file()), None).unwrap();
    assert!(slots.next().is_none());
    store.close().unwrap();
    assert!(place.open().open_report().clean);
}

/// What each call of a resume can be cut by: the shred is finished by another resume, or by the next open.
#[test]
fn resume_cut_at_any_call_is_finished_by_the_next_one_or_the_next_open() {
    for (crash, rekey) in [(false, false), (true, false), (false, true), (true, true)] {
        let mut cuts = 0;
        for call in 0.. {
            let (place, store, victim, other) = filled();
            let disk = place.memory.clone().unwrap();
            if rekey {
                disk.fail(Box::new(|call| {
                    let refused = call.path.ends_with("keyset.a") && changes(call);
                    refused.then(|| std::io::ErrorKind::StorageFull.into())
                }));
                store.rekey().unwrap_err();
                disk.clear_hooks();
            } else {
                pending(&place, &store);
            }
            fail_from(&disk, call, !crash);
            let whole = store.resume().is_ok();
            let expected = (if rekey { "open" } else { "shredded" }, "open");
            if crash {
                disk.crash();
                disk.clear_hooks();
                drop(store);
            } else {
                disk.clear_hooks();
                match store.resume() {
                    Ok(_) => assert_eq!(store.stats().pending, None, "call {call}"),
                    // Its completion's sync failed: nobody but the next open knows.
                    Err(why) => {
                        let poisoned =
                            |source: &Unfinished| matches!(source, Unfinished::Completion(AppendError::Poisoned(_)));
                        assert!(
                            matches!(&why, ShredError::Pending { source, .. } | ShredError::RekeyPending(source) if poisoned(source)),
                            "call {call}: {why:?}"
                        );
                    }
                }
                assert_eq!((fate(&store, victim), fate(&store, other)), expected, "call {call}");
                drop(store.close());
            }
            let store = place.open();
            assert_eq!((fate(&store, victim), fate(&store, other)), expected, "crash {crash}, call {call}");
            let completions = count(&store, EventKind::SHRED_COMPLETED);
            assert_eq!(completions, usize::from(!rekey), "crash {crash}, call {call}");
            store.append(&event("b", b"on").durability(Durability::Synced)).unwrap();
            sound(&store);
            if whole {
                break;
            }
            cuts += 1;
        }
        assert!(cuts > 5, "crash {crash}, rekey {rekey}: {cuts}");
    }
}
