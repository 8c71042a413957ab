//! A store and a keyset, a directory or a configuration that do not belong together.

use std::path::PathBuf;

use batpak_store::{
    Encryption, Granularity, Local, OpenError, Payload, Query, Store, VerifyOptions,
    keyset::{Copy, Finding},
};

use crate::kit::{Place, append, both, event, payloads, sound};

const SEGMENT: &str = "segments/00000000000000000001.seg";

fn filled(place: &Place) {
    let store = place.create();
    append(&store, "a", b"one");
    append(&store, "b", b"two");
    store.close().unwrap();
}

/// Opens for writing and for reading, both of which must be refused without a change.
fn refused(place: &Place, what: impl Fn(&OpenError) -> bool) {
    let files = place.files();
    for opened in [Store::open(place.dir(), place.config()), Store::open_read_only(place.dir(), place.config())] {
        let why = opened.unwrap_err();
        assert!(what(&why), "{why:?}");
    }
    assert_eq!(place.files(), files, "a refusal changes nothing");
}

fn paths(place: &Place) -> [PathBuf; 2] {
    Copy::BOTH.map(|copy| place.dir().join(copy.file_name()))
}

fn page_of(store: &Store, entity: &str) -> u32 {
    let id = append(store, entity, b"x").id;
    store.header(id).unwrap().unwrap().encryption.unwrap().key_id.page()
}

#[test]
fn keyset_that_is_deleted_is_missing_and_never_made_anew() {
    both(|place| {
        filled(place);
        let whole = paths(place).map(|path| place.read(&path));
        for path in paths(place) {
            place.disk.remove(&path).unwrap();
        }
        refused(place, |why| matches!(why, OpenError::KeysetMissing));
        place.put(&paths(place)[1], &whole[1]);
        let store = place.open();
        assert_eq!(store.open_report().keyset, [Finding::CopyMissing(Copy::A)]);
        assert_eq!(payloads(&store), [b"one".to_vec(), b"two".to_vec()]);
    });
}

#[test]
fn keyset_of_another_store_is_foreign() {
    both(|place| {
        filled(place);
        let other = if place.memory.is_some() { Place::memory() } else { Place::real() };
        filled(&other);
        let id = |place: &Place| Store::inspect(place.dir(), &*place.disk).unwrap().store;
        let (own, foreign) = (id(place), id(&other));
        let whole = paths(place).map(|path| place.read(&path));
        for (to, from) in paths(place).iter().zip(paths(&other)) {
            place.put(to, &other.read(&from));
            refused(
                place,
                |why| matches!(why, OpenError::ForeignKeyset { expected, found } if (*expected, *found) == (own, foreign)),
            );
        }
        for (path, bytes) in paths(place).iter().zip(&whole) {
            place.put(path, bytes);
        }
        assert_eq!(payloads(&place.open()).len(), 2);
    });
}

#[test]
fn copied_directory_is_reported_and_mints_on_a_fresh_page() {
    both(|place| {
        filled(place);
        let copy = place.root().join("copy");
        place.copy_dir(&place.dir(), &copy);
        let store = place.open();
        assert!(!store.open_report().copied);
        assert_eq!(page_of(&store, "new"), 1, "the control: the first directory goes on in its page");
        store.close().unwrap();
        let store = Store::open(&copy, place.config()).unwrap();
        assert!(store.open_report().copied);
        assert_eq!(payloads(&store), [b"one".to_vec(), b"two".to_vec()]);
        assert_eq!(page_of(&store, "a"), 1, "an existing key scope goes on under its key");
        store.close().unwrap();
        let store = Store::open(&copy, place.config()).unwrap();
        assert!(!store.open_report().copied, "the open that found it has told the keyset");
        assert_eq!(page_of(&store, "new"), 2, "its page is a fresh one all the same");
        sound(&store);
        store.close().unwrap();
        let store = Store::open(&copy, place.config()).unwrap();
        assert!(!store.open_report().copied);
        assert_eq!(page_of(&store, "newer"), 2);
    });
}

#[test]
fn wrong_granularity_is_refused_and_named() {
    both(|place| {
        filled(place);
        let asked = || place.config().granularity(Granularity::Scope);
        for opened in [Store::open(place.dir(), asked()), Store::open_read_only(place.dir(), asked())] {
            let why = opened.unwrap_err();
            assert!(
                matches!(why, OpenError::WrongGranularity { asked: Granularity::Scope, found: Granularity::Entity }),
                "{why:?}"
            );
        }
        Store::open(place.dir(), place.config().granularity(Granularity::Entity)).unwrap();
    });
}

#[test]
fn encrypted_store_is_not_opened_as_plaintext() {
    both(|place| {
        filled(place);
        let files = place.files();
        let plain = || place.with(Encryption::none());
        for opened in [
            Store::open(place.dir(), plain()),
            Store::open_read_only(place.dir(), plain()),
            // Without keys there is nothing to seal with, so nothing may be written.
            Store::open(place.dir(), plain().without_keys()),
        ] {
            let why = opened.unwrap_err();
            assert!(matches!(why, OpenError::EncryptionExpected), "{why:?}");
        }
        assert_eq!(place.files(), files);
    });
}

#[test]
fn plaintext_store_is_not_opened_with_keys() {
    both(|place| {
        let store = Store::create(place.dir(), place.with(Encryption::none())).unwrap();
        append(&store, "a", b"in clear");
        store.close().unwrap();
        let files = place.files();
        for config in [place.config(), place.with(Encryption::sealed(Local::new()))] {
            let opened = Store::open_read_only(place.dir(), config.clone());
            assert!(matches!(opened, Err(OpenError::PlaintextStore)));
            assert!(matches!(Store::open(place.dir(), config), Err(OpenError::PlaintextStore)));
        }
        assert_eq!(place.files(), files);
        let store = Store::open(place.dir(), place.with(Encryption::none())).unwrap();
        assert_eq!(payloads(&store), [b"in clear".to_vec()]);
    });
}

#[test]
fn read_only_without_keys_shows_headers_and_verifies_a_bare_copy_of_the_log() {
    both(|place| {
        filled(place);
        for path in paths(place).iter().chain([&place.key_file()]) {
            place.disk.remove(path).unwrap();
        }
        let config = place.with(Encryption::none()).without_keys();
        let store = Store::open_read_only(place.dir(), config.clone()).unwrap();
        let events: Vec<_> = store.read(&Query::all()).unwrap().map(Result::unwrap).collect();
        let seen: Vec<_> = events.iter().map(|event| (event.header.position, &event.payload)).collect();
        assert_eq!(seen, [(1, &Payload::Unread), (2, &Payload::Unread)]);
        assert!(store.append(&event("a", b"x")).is_err());
        for options in [VerifyOptions::without_keys(), VerifyOptions::full()] {
            let report = store.verify(options, &mut |_| {}).unwrap();
            assert!(report.is_sound(), "{report:?}");
            assert_eq!((report.events, report.system_events, report.opened), (2, 1, 0));
        }
        // The control: it does find a changed bit.
        let mut log = place.read(&place.dir().join(SEGMENT));
        let scope = b"scope-1";
        let at = log.windows(scope.len()).rposition(|bytes| bytes == scope).unwrap();
        log[at] ^= 1;
        place.put(&place.dir().join(SEGMENT), &log);
        assert!(!store.verify(VerifyOptions::without_keys(), &mut |_| {}).unwrap().is_sound());
    });
}
