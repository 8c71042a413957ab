//! A creation that is cut short, by an error or by a crash, at each of its calls of the disk.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use batpak_store::{Encryption, Local, OpenError, ProviderError, Store, segment::SEGMENTS_DIR};

use crate::kit::{Place, append, payloads, sound};

/// Who keeps the root secret of the store in a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kept {
    KeyFile,
    Local,
    Nowhere,
}

impl Kept {
    const ALL: [Self; 3] = [Self::KeyFile, Self::Local, Self::Nowhere];

    fn create(self, place: &Place) -> Result<Store, OpenError> {
        Store::create(place.dir(), self.config(place))
    }

    fn config(self, place: &Place) -> batpak_store::Config {
        match self {
            Self::KeyFile => place.config(),
            Self::Local => place.with(Encryption::sealed(Local::new())),
            Self::Nowhere => place.with(Encryption::none()),
        }
    }
}

/// Fails the call with this number, counted from 0; or that one and all after it. Says whether it came to that.
fn fail_at(place: &Place, number: u64, for_good: bool) -> Arc<AtomicBool> {
    let failed = Arc::new(AtomicBool::new(false));
    let (told, mut calls) = (Arc::clone(&failed), 0);
    place.memory.as_ref().unwrap().fail(Box::new(move |_| {
        calls += 1;
        let fails = if for_good { calls > number } else { calls == number + 1 };
        fails.then(|| {
            told.store(true, Ordering::Relaxed);
            io::ErrorKind::StorageFull.into()
        })
    }));
    failed
}

fn works(store: Store) {
    append(&store, "a", b"1");
    assert_eq!(payloads(&store), [b"1".to_vec()]);
    sound(&store);
    store.close().unwrap();
}

#[test]
fn creation_that_fails_at_any_call_leaves_a_place_where_create_works() {
    for kept in Kept::ALL {
        let mut refusals = 0;
        for number in 0.. {
            let place = Place::memory();
            let failed = fail_at(&place, number, false);
            let made = kept.create(&place);
            place.memory.as_ref().unwrap().clear_hooks();
            if !failed.load(Ordering::Relaxed) {
                works(made.unwrap());
                break;
            }
            match made {
                // What failed was not needed.
                Ok(store) => works(store),
                Err(refused) => {
                    refusals += 1;
                    let empty = !place.disk.exists(&place.dir()).unwrap() || place.files().is_empty();
                    assert!(empty, "{kept:?} {number}: {refused:?}");
                    assert!(!place.disk.exists(&place.key_file()).unwrap(), "{kept:?} {number}: {refused:?}");
                    let opened = Store::open(place.dir(), kept.config(&place)).unwrap_err();
                    assert!(matches!(opened, OpenError::NotAStore { .. }), "{kept:?} {number}: {opened:?}");
                    works(kept.create(&place).unwrap());
                }
            }
        }
        assert!(refusals >= 10, "{kept:?}: {refusals}");
    }
}

/// What stands where a creation was cut short, as open and create tell it. What open says can be removed is then removed, and
/// create must work.
fn judge(place: &Place, kept: Kept, number: u64) -> &'static str {
    let opened = Store::open(place.dir(), kept.config(place));
    let created = kept.create(place);
    let found = match (opened, &created) {
        (Ok(store), Err(OpenError::AlreadyExists { .. })) => {
            drop(store);
            works(Store::open(place.dir(), kept.config(place)).unwrap());
            return "a store";
        }
        (Err(OpenError::UnfinishedCreation { files }), Err(OpenError::UnfinishedCreation { files: same })) => {
            assert_eq!(&files, same);
            assert!(!files.is_empty());
            for name in &files {
                remove(place, name);
            }
            "unfinished"
        }
        (Err(OpenError::NotAStore { .. }), Err(OpenError::Provider(ProviderError::Exists { path }))) => {
            assert_eq!((path, kept), (&place.key_file(), Kept::KeyFile));
            "a key file"
        }
        (Err(OpenError::NotAStore { .. }), Ok(_)) => {
            works(created.unwrap());
            return "nothing";
        }
        other => panic!("{kept:?} {number}: {other:?}"),
    };
    if place.disk.exists(&place.key_file()).unwrap() {
        let refused = kept.create(place).unwrap_err();
        assert!(matches!(refused, OpenError::Provider(ProviderError::Exists { .. })), "{kept:?} {number}: {refused:?}");
        place.disk.remove(&place.key_file()).unwrap();
    }
    works(kept.create(place).unwrap());
    found
}

fn remove(place: &Place, name: &str) {
    let path = place.dir().join(name);
    if name == SEGMENTS_DIR {
        for entry in place.disk.list(&path).unwrap() {
            place.disk.remove(&path.join(entry.name)).unwrap();
        }
    } else {
        place.disk.remove(&path).unwrap();
    }
}

/// Ends the creation before each call, by a kill (what was written stays) or a power cut (what was synced stays).
fn cut_short(kept: Kept, power: bool) -> Vec<&'static str> {
    let mut found = Vec::new();
    for number in 0.. {
        let place = Place::memory();
        let memory = place.memory.clone().unwrap();
        let failed = fail_at(&place, number, true);
        let made = kept.create(&place);
        memory.clear_hooks();
        if !failed.load(Ordering::Relaxed) {
            if power {
                memory.crash();
            }
            drop(made.unwrap());
            works(Store::open(place.dir(), kept.config(&place)).unwrap());
            break;
        }
        // A creation whose last calls failed may be done all the same: it is not a creation that was acknowledged.
        drop(made);
        if power {
            memory.crash();
        }
        found.push(judge(&place, kept, number));
    }
    found
}

#[test]
fn creation_that_is_killed_at_any_call_is_refused_or_there_is_nothing() {
    for kept in Kept::ALL {
        let found = cut_short(kept, false);
        let count = |what| found.iter().filter(|found| **found == what).count();
        assert!(count("nothing") > 0 && count("unfinished") >= 5, "{kept:?}: {found:?}");
        assert_eq!(count("a key file"), 0, "the lock file is made before it");
        let first_store = found.iter().position(|found| *found == "a store").unwrap();
        assert!(found[first_store..].iter().all(|found| *found == "a store"), "{kept:?}: {found:?}");
    }
}

#[test]
fn creation_that_a_power_cut_ends_at_any_call_is_refused_or_there_is_nothing() {
    for kept in Kept::ALL {
        let found = cut_short(kept, true);
        let count = |what| found.iter().filter(|found| **found == what).count();
        assert!(count("nothing") > 0, "{kept:?}: {found:?}");
        assert!(count("unfinished") > 0, "the directory is durable before the genesis event: {kept:?}: {found:?}");
    }
}

#[test]
fn store_that_a_killed_creation_left_keeps_what_it_acknowledges() {
    for kept in Kept::ALL {
        let mut stores = 0;
        for number in 0.. {
            let place = Place::memory();
            let failed = fail_at(&place, number, true);
            let made = kept.create(&place);
            // The process ends here: what was written stays, synced or not, and the next one opens what it finds.
            let memory = place.memory.as_ref().unwrap();
            memory.clear_hooks();
            let left = Place::on(memory.copy());
            drop(made);
            if let Ok(store) = Store::open(left.dir(), kept.config(&left)) {
                stores += 1;
                append(&store, "a", b"acknowledged");
                left.memory.as_ref().unwrap().crash();
                drop(store);
                let store = Store::open(left.dir(), kept.config(&left)).unwrap();
                assert_eq!(payloads(&store), [b"acknowledged".to_vec()], "{kept:?} {number}");
            }
            if !failed.load(Ordering::Relaxed) {
                break;
            }
        }
        assert!(stores >= 2, "{kept:?}: a killed creation left a store, and one that was not killed");
    }
}
