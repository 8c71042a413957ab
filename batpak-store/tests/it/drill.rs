//! The drill of a backup, and the report of keys.

use batpak_store::{Encryption, OpenError, Pending, ProviderError, Selector, Store, segment::DiskOp};

use crate::{
    backup::{back_up, filled, folders},
    kit::{Place, both},
};

#[test]
fn drill_counts_and_tells_what_it_finds() {
    both(|place| {
        let store = filled(place);
        store.shred(&[Selector::Entity("odd".into())], 1, "").unwrap();
        back_up(place, &store, "one");
        let drill = |name: &str, config: &batpak_store::Config| {
            let trial = place.root().join(name);
            let drill = Store::drill(&folders(place, "one"), &trial, config, &mut |_, _| {}).unwrap();
            assert!(!place.disk.exists(&trial.join("keyset.a")).unwrap(), "the keyset does not stay behind");
            drill
        };
        let sound = drill("t1", &place.config());
        let with = sound.with_keys.as_ref().unwrap().as_ref().unwrap();
        assert!(sound.is_sound() && !sound.keyset_rolled_back);
        assert_eq!((with.events, with.opened, with.shredded, with.lost), (100, 50, 50, 0));
        assert_eq!(sound.without_keys.as_ref().unwrap().events, 100);
        let closed = drill("t2", &place.with(Encryption::none()).without_keys());
        assert!(closed.is_sound() && closed.with_keys.is_none());
        // The root secret moves: what was backed up opens no more, and the drill says so.
        store.rekey().unwrap();
        let dead = drill("t3", &place.config());
        assert!(!dead.is_sound() && dead.without_keys.is_ok());
        let why = dead.with_keys.unwrap().unwrap_err();
        assert!(matches!(*why, OpenError::Provider(ProviderError::Missing)), "{why:?}");
    });
}

#[test]
fn key_report_counts_pages_and_tells_what_is_pending() {
    both(|place| {
        let store = filled(place);
        let report = store.key_report().unwrap().unwrap();
        assert_eq!((report.pending, report.secret_moving, report.applied), (None, false, None));
        assert_eq!(report.copies.map(|copy| copy.unwrap().epoch), [report.epoch; 2]);
        let [page] = report.pages.as_slice() else { panic!("{report:?}") };
        assert_eq!((page.number, page.pages, page.keys, page.reserved), (1, 1, 4096, 64));
        assert_eq!((page.named, page.destroyed, page.nodes), (2, Some(0), Some(1)));
        let shredding = store.shred(&[Selector::Entity("odd".into())], 1, "").unwrap();
        let report = store.key_report().unwrap().unwrap();
        assert_eq!((report.pages[0].destroyed, report.pages[0].nodes), (Some(1), Some(28)));
        assert_eq!(report.applied, Some(shredding.intent));
        let closed = Store::open_read_only(place.dir(), place.with(Encryption::none()).without_keys()).unwrap();
        assert_eq!(closed.key_report().unwrap(), None);
        store.close().unwrap();
    });
}

#[test]
fn key_report_shows_a_shred_that_was_cut_short() {
    let place = Place::memory();
    let store = filled(&place);
    let disk = place.memory.as_ref().unwrap();
    // The image that carries the intent out reaches one copy and no further.
    let mut writes = 0;
    disk.fail(Box::new(move |call| {
        let is_copy = call.path.ends_with("keyset.a") || call.path.ends_with("keyset.b");
        let is_write = is_copy && matches!(call.op, DiskOp::Write { .. });
        writes += u32::from(is_write);
        (is_write && writes > 1).then(|| std::io::ErrorKind::StorageFull.into())
    }));
    let cut = store.shred(&[Selector::Entity("odd".into())], 1, "");
    assert!(matches!(cut, Err(batpak_store::ShredError::Pending { .. })), "{cut:?}");
    disk.clear_hooks();
    drop(store);
    let report = place.reader().key_report().unwrap().unwrap();
    assert!(matches!(report.pending, Some(Pending::Shred { .. })) && report.secret_moving, "{report:?}");
    place.open().close().unwrap();
    let report = place.reader().key_report().unwrap().unwrap();
    assert_eq!((report.pending, report.secret_moving), (None, false));
}
