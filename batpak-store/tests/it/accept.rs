//! Losses that the caller accepts: on record, and never more than was named.

use batpak_store::{
    Config, Event, EventKind, OpenError, Payload, Query, Store,
    format::{Record, RolledBack},
    segment::MemoryDisk,
};

use crate::kit::{Place, append, event, payloads, sound};

fn copies(place: &Place) -> [Vec<u8>; 2] {
    ["keyset.a", "keyset.b"].map(|name| place.read(&place.dir().join(name)))
}

fn put_back(place: &Place, copies: &[Vec<u8>; 2]) {
    for (name, bytes) in ["keyset.a", "keyset.b"].iter().zip(copies) {
        place.put(&place.dir().join(name), bytes);
    }
}

/// The records of a kind, in order.
fn records(store: &Store, kind: EventKind) -> Vec<Record> {
    let decode = |event: Event| Record::decode(kind, event.payload.open().unwrap()).unwrap();
    store.read(&Query::all().kind(kind).include_system(true)).unwrap().map(|event| decode(event.unwrap())).collect()
}

fn page(store: &Store, entity: &str) -> u32 {
    let header = store.latest(entity).unwrap().unwrap().header;
    header.encryption.unwrap().key_id.page()
}

/// A store whose keyset was used for some entities and is gone.
fn keyset_gone() -> Place {
    let place = Place::memory();
    let store = place.create();
    for entity in ["a", "b", "c"] {
        append(&store, entity, b"lost");
    }
    store.close().unwrap();
    for name in ["keyset.a", "keyset.b"] {
        place.disk.remove(&place.dir().join(name)).unwrap();
    }
    place.disk.sync_dir(&place.dir()).unwrap();
    place
}

#[test]
fn an_accepted_key_loss_is_on_record_and_new_keys_stand_above_the_lost_ones() {
    let place = keyset_gone();
    assert!(matches!(Store::open(place.dir(), place.config()), Err(OpenError::KeysetMissing)));
    let others = place.config().accept_keyset_rollback().accept_log_rollback();
    assert!(matches!(Store::open(place.dir(), others), Err(OpenError::KeysetMissing)));
    let store = Store::open(place.dir(), place.config().accept_key_loss()).unwrap();
    let lost: Vec<_> = store.read(&Query::all()).unwrap().map(|event| event.unwrap().payload).collect();
    assert!(lost.len() == 3 && lost.iter().all(|payload| matches!(payload, Payload::KeyLost(_))), "{lost:?}");
    let on_record = records(&store, EventKind::KEY_LOSS_ACCEPTED);
    let [Record::KeyLossAccepted(record)] = on_record.as_slice() else { panic!("{on_record:?}") };
    assert_eq!((record.first_position, record.next_position), (0, 4));
    assert_eq!(
        record.runs.iter().map(|run| (run.first.page(), run.first.leaf(), run.count)).collect::<Vec<_>>(),
        [(1, 0, 3)]
    );
    // The key scope of a lost key takes nothing new; others do, under pages that no lost key can have.
    assert!(matches!(store.append(&event("a", b"x")), Err(batpak_store::AppendError::KeyLost { .. })));
    append(&store, "new", b"kept");
    assert!(page(&store, "new") > 2, "a random gap is skipped");
    store.close().unwrap();
    let store = place.open();
    assert_eq!(
        store.get(store.latest("new").unwrap().unwrap().header.id).unwrap().unwrap().payload.open().unwrap().as_ref(),
        b"kept"
    );
    assert_eq!(records(&store, EventKind::KEY_LOSS_ACCEPTED).len(), 1);
}

#[test]
fn an_accepted_keyset_rollback_is_on_record_and_keeps_what_the_old_keys_open() {
    let place = Place::memory();
    let store = place.create();
    append(&store, "a", b"old");
    store.close().unwrap();
    let old = copies(&place);
    // Past the page that the old keyset knows.
    let store = place.open();
    for n in 0..4200 {
        store.append(&event(&format!("e{n}"), b"x").durability(batpak_store::Durability::Buffered)).unwrap();
    }
    let last_page = page(&store, "e4199");
    store.close().unwrap();
    put_back(&place, &old);
    assert!(matches!(Store::open(place.dir(), place.config()), Err(OpenError::KeysetRolledBack { .. })));
    assert!(matches!(
        Store::open(place.dir(), place.config().accept_key_loss().accept_log_rollback()),
        Err(OpenError::KeysetRolledBack { .. })
    ));
    let reader = place.reader();
    assert!(reader.open_report().keyset_rolled_back);
    let store = Store::open(place.dir(), place.config().accept_keyset_rollback()).unwrap();
    let a = store.latest("a").unwrap().unwrap();
    assert_eq!(a.payload.open().unwrap().as_ref(), b"old");
    assert!(matches!(store.latest("e4199").unwrap().unwrap().payload, Payload::KeyLost(_)));
    let on_record = records(&store, EventKind::ROLLBACK_ACCEPTED);
    assert!(matches!(on_record.as_slice(), [Record::RollbackAccepted(record)] if record.what == RolledBack::Keyset));
    append(&store, "new", b"kept");
    assert!(page(&store, "new") > last_page);
    store.close().unwrap();
    let store = place.open();
    assert!(!store.open_report().keyset_rolled_back);
    assert_eq!(store.latest("new").unwrap().unwrap().payload.open().unwrap().as_ref(), b"kept");
}

#[test]
fn an_accepted_log_rollback_is_on_record_and_serves_what_is_there() {
    let place = Place::memory();
    let store = place.create();
    append(&store, "a", b"1");
    store.close().unwrap();
    let segment = place.dir().join("segments/00000000000000000001.seg");
    let old = place.read(&segment);
    let store = place.open();
    for n in 0..80 {
        append(&store, &format!("e{n}"), b"gone");
    }
    store.close().unwrap();
    place.put(&segment, &old);
    let extra = place.dir().join("segments/00000000000000000002.seg");
    if place.disk.exists(&extra).unwrap() {
        place.disk.remove(&extra).unwrap();
    }
    assert!(matches!(Store::open(place.dir(), place.config()), Err(OpenError::LogRolledBack { found: 2, .. })));
    let store = Store::open(place.dir(), place.config().accept_log_rollback()).unwrap();
    assert_eq!(payloads(&store), [b"1".to_vec()]);
    let on_record = records(&store, EventKind::ROLLBACK_ACCEPTED);
    assert!(matches!(on_record.as_slice(), [Record::RollbackAccepted(record)] if record.what == RolledBack::Log));
    append(&store, "new", b"kept");
    assert!(page(&store, "new") > 1, "leaves of the lost events are never taken again");
    sound(&store);
    store.close().unwrap();
    sound(&place.open());
}

#[test]
fn an_acceptance_cut_at_any_call_is_finished_by_the_next() {
    let start = keyset_gone();
    let start_disk = start.memory.as_ref().unwrap();
    let accept = |disk: &MemoryDisk| -> (Place, Config) {
        let place = Place::on(disk.clone());
        let config = place.config().accept_key_loss();
        (place, config)
    };
    let mut cut = 0;
    for call in 0.. {
        let disk = start_disk.copy();
        let (place, config) = accept(&disk);
        let mut left = call;
        disk.fail(Box::new(move |_| {
            if left == 0 {
                return Some(std::io::ErrorKind::StorageFull.into());
            }
            left -= 1;
            None
        }));
        let whole = Store::open(place.dir(), config).is_ok();
        disk.clear_hooks();
        disk.crash();
        let (place, config) = accept(&disk);
        let store = Store::open(place.dir(), config).unwrap_or_else(|why| panic!("call {call}: {why:?}"));
        assert!(!records(&store, EventKind::KEY_LOSS_ACCEPTED).is_empty(), "call {call}");
        append(&store, "new", b"kept");
        if whole {
            break;
        }
        cut += 1;
    }
    assert!(cut > 40, "{cut} calls were cut");
}
