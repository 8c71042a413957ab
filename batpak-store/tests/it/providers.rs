//! What providers of the root secret refuse: each with its own reason, and without a change to the store.

use std::path::Path;

use batpak_store::{
    Encryption, KeyFile, Local, OpenError, Passphrase, ProviderError, ProviderKind, Store,
    crypto::{OsEntropy, RootSecret, SecretId, passphrase::Argon2Params},
    keyset::{KEY_FILE_LEN, KeyFile as Slots, KeyFileError, Slot},
};

use crate::kit::{Place, append, both, payloads};

const CHEAP: Argon2Params = Argon2Params { m_kib: 8 << 10, t: 1, p: 1 };

fn passphrase(words: &str) -> Encryption {
    Encryption::sealed(Passphrase::new(words.as_bytes().to_vec()).params(CHEAP))
}

fn passphrase_and_file(words: &str, path: &Path) -> Encryption {
    Encryption::sealed(Passphrase::with_key_file(words.as_bytes().to_vec(), path).params(CHEAP))
}

fn key_file(path: &Path) -> Encryption {
    Encryption::sealed(KeyFile::new(path))
}

/// Opens for writing and for reading; the provider must refuse both for one reason, and nothing may change.
fn refused(place: &Place, encryption: &Encryption, reason: impl Fn(&ProviderError) -> bool) {
    let files = place.files();
    let config = || place.with(encryption.clone());
    for opened in [Store::open(place.dir(), config()), Store::open_read_only(place.dir(), config())] {
        match opened.unwrap_err() {
            OpenError::Provider(why) => assert!(reason(&why), "{why:?}"),
            why => panic!("{why:?}"),
        }
    }
    assert_eq!(place.files(), files, "a refusal changes nothing");
}

/// Refuses a creation, of which nothing may be left.
fn create_refused(place: &Place, encryption: Encryption, reason: impl Fn(&ProviderError) -> bool) {
    match Store::create(place.dir(), place.with(encryption)).unwrap_err() {
        OpenError::Provider(why) => assert!(reason(&why), "{why:?}"),
        why => panic!("{why:?}"),
    }
    assert_eq!(place.files(), [], "nothing of the store is left");
}

fn filled(place: &Place) {
    let store = place.create();
    append(&store, "a", b"one");
    store.close().unwrap();
}

fn opens(place: &Place) {
    assert_eq!(payloads(&place.open()), [b"one".to_vec()]);
}

#[test]
fn key_file_that_is_missing_is_named() {
    both(|place| {
        filled(place);
        let (path, bytes) = (place.key_file(), place.read(&place.key_file()));
        place.disk.remove(&path).unwrap();
        refused(
            place,
            &key_file(&path),
            |why| matches!(why, ProviderError::KeyFileMissing { path } if *path == place.key_file()),
        );
        place.put(&path, &bytes);
        opens(place);
    });
}

#[test]
fn key_file_that_others_may_read_is_refused_with_its_mode() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = Place::real();
    filled(&place);
    let path = place.key_file();
    let set = |mode| std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    for mode in [0o640, 0o604, 0o610, 0o602] {
        set(mode);
        refused(
            &place,
            &key_file(&path),
            |why| matches!(why, ProviderError::Exposed { mode: found, .. } if found & 0o777 == mode),
        );
    }
    set(0o600);
    opens(&place);
}

#[test]
fn key_file_is_made_for_its_owner_alone() {
    both(|place| {
        filled(place);
        assert_eq!(place.disk.mode(&place.key_file()).unwrap() & 0o777, 0o600);
    });
}

#[test]
fn key_file_inside_the_store_is_refused_at_create_and_at_open() {
    both(|place| {
        let inside = place.dir().join("root.key");
        create_refused(place, key_file(&inside), |why| matches!(why, ProviderError::InsideStore { .. }));
        create_refused(place, passphrase_and_file("words", &inside), |why| {
            matches!(why, ProviderError::InsideStore { .. })
        });
        filled(place);
        for inside in [inside, place.dir().join("segments/root.key")] {
            refused(place, &key_file(&inside), |why| matches!(why, ProviderError::InsideStore { .. }));
        }
        opens(place);
    });
}

#[test]
fn key_file_inside_the_store_by_a_link_is_refused() {
    let place = Place::real();
    filled(&place);
    let link = place.root().join("elsewhere");
    std::os::unix::fs::symlink(place.dir(), &link).unwrap();
    refused(&place, &key_file(&link.join("root.key")), |why| matches!(why, ProviderError::InsideStore { .. }));
}

#[test]
fn key_file_is_in_use_while_a_writer_is_open() {
    both(|place| {
        filled(place);
        let copy = place.root().join("copy");
        place.copy_dir(&place.dir(), &copy);
        let writer = place.open();
        let refused = Store::open(&copy, place.config()).unwrap_err();
        assert!(matches!(refused, OpenError::Provider(ProviderError::InUse { .. })), "{refused:?}");
        // A reader takes no lock.
        assert_eq!(payloads(&Store::open_read_only(&copy, place.config()).unwrap()), [b"one".to_vec()]);
        writer.close().unwrap();
        Store::open(&copy, place.config()).unwrap();
    });
}

#[test]
fn key_file_of_another_length_is_none() {
    both(|place| {
        filled(place);
        let (path, whole) = (place.key_file(), place.read(&place.key_file()));
        for len in [0, 1, 511, 512, KEY_FILE_LEN - 1, KEY_FILE_LEN + 1] {
            let mut bytes = whole.clone();
            bytes.resize(len, 0);
            place.put(&path, &bytes);
            refused(
                place,
                &key_file(&path),
                |why| matches!(why, ProviderError::KeyFile { source: KeyFileError::WrongLength { bytes }, .. } if *bytes == len),
            );
        }
        place.put(&path, &whole);
        opens(place);
    });
}

#[test]
fn key_file_that_is_damaged_is_refused() {
    let place = Place::memory();
    filled(&place);
    let (path, whole) = (place.key_file(), place.read(&place.key_file()));
    for at in (0..512).step_by(3) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        place.put(&path, &bytes);
        refused(&place, &key_file(&path), |why| {
            matches!(why, ProviderError::KeyFile { source: KeyFileError::Corrupt, .. })
        });
    }
    // What is damaged in the empty slot takes nothing away.
    let mut bytes = whole;
    bytes[700] ^= 0x10;
    place.put(&path, &bytes);
    opens(&place);
}

#[test]
fn key_file_of_another_store_is_foreign() {
    both(|place| {
        filled(place);
        let other = place.root().join("other");
        let other_file = place.root().join("other.key");
        let store = Store::create(&other, place.with(key_file(&other_file))).unwrap();
        let foreign = store.info().store;
        store.close().unwrap();
        refused(
            place,
            &key_file(&other_file),
            |why| matches!(why, ProviderError::ForeignKeyFile { found, .. } if *found == foreign),
        );
        opens(place);
    });
}

#[test]
fn key_file_with_another_secret_lacks_the_one_of_the_keyset() {
    both(|place| {
        filled(place);
        let path = place.key_file();
        let slots = |secret_id| {
            let secret = RootSecret::generate(&OsEntropy).unwrap();
            let store = Store::inspect(place.dir(), &*place.disk).unwrap().store;
            Slots::new(store, Slot { secret_id, secret }).encode()
        };
        let own = Slots::decode(&place.read(&path), None).unwrap().current().secret_id;
        place.put(&path, &slots(SecretId::generate(&OsEntropy).unwrap()));
        refused(place, &key_file(&path), |why| matches!(why, ProviderError::Missing));
        place.put(&path, &slots(own));
        refused(place, &key_file(&path), |why| matches!(why, ProviderError::Wrong));
    });
}

#[test]
fn key_file_that_exists_is_never_written_over() {
    both(|place| {
        let path = place.key_file();
        place.put(&path, b"something of the user's");
        create_refused(place, key_file(&path), |why| matches!(why, ProviderError::Exists { .. }));
        create_refused(place, passphrase_and_file("words", &path), |why| matches!(why, ProviderError::Exists { .. }));
        assert_eq!(place.read(&path), b"something of the user's");
        place.disk.remove(&path).unwrap();
        filled(place);
    });
}

#[test]
fn wrong_passphrase_is_refused_alone_and_beside_a_key_file() {
    let place = Place::memory();
    Store::create(place.dir(), place.with(passphrase("right"))).unwrap().close().unwrap();
    refused(&place, &passphrase("wrong"), |why| matches!(why, ProviderError::Wrong));
    Store::open(place.dir(), place.with(passphrase("right"))).unwrap();

    let place = Place::memory();
    let path = place.key_file();
    Store::create(place.dir(), place.with(passphrase_and_file("right", &path))).unwrap().close().unwrap();
    refused(&place, &passphrase_and_file("wrong", &path), |why| matches!(why, ProviderError::Wrong));
    let missing = place.root().join("gone.key");
    refused(&place, &passphrase_and_file("right", &missing), |why| matches!(why, ProviderError::KeyFileMissing { .. }));
    Store::open(place.dir(), place.with(passphrase_and_file("right", &path))).unwrap();
}

#[test]
fn provider_of_another_kind_is_refused_for_every_pair() {
    let all = |place: &Place| {
        [
            (ProviderKind::Local, Encryption::sealed(Local::new())),
            (ProviderKind::KeyFile, key_file(&place.key_file())),
            (ProviderKind::Passphrase, passphrase("words")),
            (ProviderKind::PassphraseKeyFile, passphrase_and_file("words", &place.key_file())),
        ]
    };
    for made in 0..4 {
        let place = Place::memory();
        let (kind, encryption) = all(&place)[made].clone();
        Store::create(place.dir(), place.with(encryption)).unwrap().close().unwrap();
        for (asked, encryption) in all(&place) {
            if asked == kind {
                Store::open(place.dir(), place.with(encryption)).unwrap();
            } else {
                refused(&place, &encryption, |why| matches!(why, ProviderError::WrongKind { found } if *found == kind));
            }
        }
    }
}
