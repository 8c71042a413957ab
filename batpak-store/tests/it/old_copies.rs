//! Backups of different times put together: which one is older is told, and what was shredded since stays closed.

use batpak_store::{
    BackupFolders, Durability, Encryption, Local, OpenError, Payload, ProviderError, Query, Selector, Store,
};

use crate::{
    backup::{back_up, folders, keys, log, restored},
    kit::{Place, append, both, event, open, payloads, sound},
};

#[test]
fn old_log_with_the_current_keyset_is_refused_and_accepted_serves_the_living_alone() {
    both(|place| {
        let store = place.create();
        append(&store, "victim", b"of the victim");
        append(&store, "other", b"of another");
        back_up(place, &store, "old");
        store.shred(&[Selector::Entity("victim".into())], 7, "").unwrap();
        append(&store, "other", b"after the shred");
        back_up(place, &store, "new");
        store.close().unwrap();
        let mixed = BackupFolders::new(log(place, "old")).keyset(keys(place, "new"));
        let dir = restored(place, &mixed, "mixed");
        assert!(matches!(Store::open(&dir, place.config()), Err(OpenError::LogRolledBack { found: 3, .. })));
        assert!(matches!(Store::open_read_only(&dir, place.config()), Err(OpenError::LogRolledBack { .. })));
        let store = Store::open(&dir, place.config().accept_log_rollback()).unwrap();
        let all: Vec<_> = store.read(&Query::all()).unwrap().map(|event| event.unwrap()).collect();
        // The intent stands in the log that was lost, so nothing says that it was shredded; but it opens no more.
        assert!(matches!(all[0].payload, Payload::KeyLost(_)), "{:?}", all[0].payload);
        assert_eq!((all.len(), open(&all[1])), (2, b"of another".to_vec()));
        append(&store, "other", b"goes on");
    });
}

#[test]
fn old_keyset_with_the_current_log_is_refused_and_after_a_shred_dead() {
    both(|place| {
        let store = place.create();
        append(&store, "a", b"early");
        back_up(place, &store, "old");
        // Past the page that the old keyset knows.
        for n in 0..4200 {
            store.append(&event(&format!("e{n}"), b"x").durability(Durability::Buffered)).unwrap();
        }
        back_up(place, &store, "new");
        let mixed = BackupFolders::new(log(place, "new")).keyset(keys(place, "old"));
        let dir = restored(place, &mixed, "mixed");
        // The key file is the living store's, and its lock.
        store.close().unwrap();
        assert!(matches!(Store::open(&dir, place.config()), Err(OpenError::KeysetRolledBack { .. })));
        let store = place.open();
        store.shred(&[Selector::Entity("e7".into())], 1, "").unwrap();
        back_up(place, &store, "newest");
        store.close().unwrap();
        for (number, keyset) in ["old", "new"].iter().enumerate() {
            let mixed = BackupFolders::new(log(place, "newest")).keyset(keys(place, keyset));
            let dir = restored(place, &mixed, &format!("dead{number}"));
            let dead = Store::open(&dir, place.config());
            assert!(matches!(dead, Err(OpenError::Provider(ProviderError::Missing))), "{dead:?}");
        }
        sound(&Store::open(restored(place, &folders(place, "newest"), "alive"), place.config()).unwrap());
    });
}

#[test]
fn old_keyset_of_a_local_store_opens_and_is_seen_to_be_old() {
    let place = Place::memory();
    let config = || place.with(Encryption::sealed(Local::new()));
    let store = Store::create(place.dir(), config()).unwrap();
    append(&store, "victim", b"x");
    back_up(&place, &store, "old");
    store.shred(&[Selector::Entity("victim".into())], 1, "").unwrap();
    back_up(&place, &store, "new");
    let mixed = BackupFolders::new(log(&place, "new")).keyset(keys(&place, "old"));
    let dir = restored(&place, &mixed, "mixed");
    assert!(matches!(Store::open(&dir, config()), Err(OpenError::KeysetRolledBack { .. })));
    // The whole old pair opens what it held: that is what the documentation says of Local.
    let store = Store::open(restored(&place, &folders(&place, "old"), "old"), config()).unwrap();
    assert_eq!(payloads(&store), [b"x".to_vec()]);
}
