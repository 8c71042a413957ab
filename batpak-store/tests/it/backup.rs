//! Backups: taken while the store is used, whole or not there, and what an old log and an old keyset are worth.

use std::{
    ops::Range,
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
};

use batpak_store::{
    BackupError, BackupFolders, BackupReport, Durability, Encryption, Local, OpenError, Payload, ProviderError, Query,
    Selector, Store, segment::MemoryDisk,
};

use crate::kit::{Place, append, both, event, open, payloads, sound, unchanged};

/// The folders of a backup beside the store, by a name.
pub fn folders(place: &Place, name: &str) -> BackupFolders {
    BackupFolders::new(log(place, name)).keyset(keys(place, name))
}

fn log(place: &Place, name: &str) -> PathBuf {
    place.root().join(format!("{name}.log"))
}

fn keys(place: &Place, name: &str) -> PathBuf {
    place.root().join(format!("{name}.keys"))
}

pub fn back_up(place: &Place, store: &Store, name: &str) -> BackupReport {
    store.backup(&folders(place, name), &mut |_, _| {}).unwrap()
}

/// Restores into a directory of its own and returns it.
fn restored(place: &Place, from: &BackupFolders, name: &str) -> PathBuf {
    let dir = place.root().join(name);
    Store::restore(from, &dir, &*place.disk, &mut |_, _| {}).unwrap();
    dir
}

/// Three segments and a bit, two entities.
fn filled(place: &Place) -> Store {
    let store = place.create();
    fill(&store, 0..100);
    store
}

fn fill(store: &Store, numbers: Range<usize>) {
    for n in numbers {
        append(store, if n % 2 == 0 { "even" } else { "odd" }, format!("{n:0400}").as_bytes());
    }
}

#[test]
fn backup_restores_to_the_same_events_and_holds_no_root_secret() {
    both(|place| {
        let store = filled(place);
        let mut last = (0, 0);
        let report = store.backup(&folders(place, "one"), &mut |done, total| last = (done, total)).unwrap();
        assert_eq!((report.next_position, report.segments, report.segments_copied, report.noted), (101, 4, 4, true));
        assert_eq!(report.epoch, Some(store.stats().keyset.unwrap().epoch));
        assert_eq!((report.bytes, last.0), (report.bytes_copied, last.1));
        let search = store.leak_search(&[]).unwrap();
        let mut files = Vec::new();
        for dir in [
            log(place, "one"),
            log(place, "one").join("segments"),
            keys(place, "one"),
            keys(place, "one").join("keyset"),
        ] {
            for entry in place.disk.list(&dir).unwrap().into_iter().filter(|entry| !entry.is_dir) {
                files.push(entry.name.to_string_lossy().into_owned());
                let bytes = place.read(&dir.join(&entry.name));
                search.search(&mut &bytes[..], &mut |hit| panic!("{}: {hit:?}", entry.name.display())).unwrap();
            }
        }
        assert_eq!(files.len(), 4 + 1 + 1 + 1, "{files:?}");
        let before = payloads(&store);
        store.close().unwrap();
        let dir = restored(place, &folders(place, "one"), "again");
        let store = Store::open(&dir, place.config()).unwrap();
        assert_eq!(payloads(&store), before);
        assert!(store.open_report().copied && store.open_report().torn.is_none());
        append(&store, "new", b"goes on");
        sound(&store);
    });
}

#[test]
fn backup_beside_a_writer_needs_no_key_and_takes_what_is_visible() {
    both(|place| {
        let store = filled(place);
        let reader = Store::open_read_only(place.dir(), place.with(Encryption::none()).without_keys()).unwrap();
        append(&store, "late", b"after the reader was opened");
        let report = reader.backup(&folders(place, "one"), &mut |_, _| {}).unwrap();
        assert_eq!(report.next_position, 102);
        let before = payloads(&store);
        store.close().unwrap();
        let dir = restored(place, &folders(place, "one"), "again");
        let store = Store::open(&dir, place.config()).unwrap();
        assert_eq!(payloads(&store), before);
        sound(&store);
    });
}

#[test]
fn backup_again_copies_what_is_new_and_leaves_the_rest() {
    both(|place| {
        let store = filled(place);
        let first = back_up(place, &store, "one");
        let rolled = log(place, "one").join("segments/00000000000000000001.seg");
        let bytes = place.read(&rolled);
        assert_eq!(back_up(place, &store, "one").segments_copied, 1, "the active segment is looked at");
        fill(&store, 100..200);
        let second = back_up(place, &store, "one");
        assert_eq!(second.segments - first.segments + 1, second.segments_copied);
        assert_eq!(place.read(&rolled), bytes);
        let names = place.disk.list(&keys(place, "one").join("keyset")).unwrap();
        assert_eq!(names.len(), 1, "one image, the latest: {names:?}");
        let before = payloads(&store);
        store.close().unwrap();
        let store = Store::open(restored(place, &folders(place, "one"), "again"), place.config()).unwrap();
        assert_eq!(payloads(&store), before);
    });
}

#[test]
fn folder_of_something_else_is_refused_and_left_alone() {
    both(|place| {
        let store = filled(place);
        let run = |to: &BackupFolders| store.backup(to, &mut |_, _| {});
        assert!(matches!(run(&BackupFolders::new(log(place, "x"))), Err(BackupError::KeysetFolderNeeded)));
        let same = BackupFolders::new(log(place, "x")).keyset(log(place, "x"));
        assert!(matches!(run(&same), Err(BackupError::SameFolder { .. })));
        let inside = BackupFolders::new(log(place, "x")).keyset(log(place, "x").join("keys"));
        assert!(matches!(run(&inside), Err(BackupError::SameFolder { .. })));
        let in_store = BackupFolders::new(place.dir().join("backup")).keyset(keys(place, "x"));
        assert!(matches!(run(&in_store), Err(BackupError::InsideStore { .. })));
        let is_store = BackupFolders::new(place.dir()).keyset(keys(place, "x"));
        assert!(matches!(run(&is_store), Err(BackupError::NotEmpty { .. })));
        place.disk.create_dir(&log(place, "full"), 0o700).unwrap();
        place.put(&log(place, "full").join("letter"), b"mine");
        let full = run(&folders(place, "full"));
        assert!(matches!(full, Err(BackupError::NotEmpty { name, .. }) if name == "letter"));
        assert!(!place.disk.exists(&keys(place, "full")).unwrap() && !place.disk.exists(&log(place, "x")).unwrap());
        // Asked for, one folder it is.
        run(&BackupFolders::new(log(place, "x")).same_folder()).unwrap();
        restored(place, &BackupFolders::new(log(place, "x")).same_folder(), "together");
        // Another store's.
        back_up(place, &store, "one");
        let other_dir = place.root().join("other");
        let config = place.with(Encryption::sealed(Local::new()));
        let other_store = Store::create(&other_dir, config).unwrap();
        let foreign = other_store.backup(&folders(place, "one"), &mut |_, _| {});
        assert!(matches!(foreign, Err(BackupError::ForeignBackup { found, .. }) if found == store.info().store));
    });
}

#[test]
fn log_that_does_not_go_on_from_the_backup_is_refused() {
    both(|place| {
        let store = filled(place);
        store.close().unwrap();
        let early = place.root().join("early");
        place.copy_dir(&place.dir(), &early);
        let store = place.open();
        fill(&store, 100..200);
        back_up(place, &store, "one");
        store.close().unwrap();
        // The same store, set back and gone on otherwise, longer than the backup.
        let config = place.config().accept_log_rollback();
        for name in ["keyset.a", "keyset.b"] {
            place.put(&early.join(name), &place.read(&place.dir().join(name)));
        }
        let store = Store::open(&early, config).unwrap();
        let refused = |store: &Store| store.backup(&folders(place, "one"), &mut |_, _| {});
        assert!(matches!(refused(&store), Err(BackupError::Diverged { .. })), "it is shorter");
        fill(&store, 0..100);
        fill(&store, 0..100);
        assert!(matches!(refused(&store), Err(BackupError::Diverged { .. })), "it is another history");
    });
}

#[test]
fn backup_cut_at_any_call_is_begun_again_and_what_was_whole_stays_whole() {
    let start = Place::memory();
    let store = start.create();
    fill(&store, 0..30);
    store.close().unwrap();
    for earlier in [false, true] {
        let begin = Place::on(start.memory.as_ref().unwrap().copy());
        if earlier {
            let store = begin.open();
            back_up(&begin, &store, "one");
            fill(&store, 30..50);
            store.close().unwrap();
        }
        let mut cuts = 0;
        for call in 0.. {
            let disk = begin.memory.as_ref().unwrap().copy();
            let place = Place::on(disk.clone());
            let store = place.reader();
            let mut left = call;
            disk.fail(Box::new(move |_| {
                if left == 0 {
                    return Some(std::io::ErrorKind::StorageFull.into());
                }
                left -= 1;
                None
            }));
            let whole = store.backup(&folders(&place, "one"), &mut |_, _| {});
            disk.clear_hooks();
            drop(store);
            disk.crash();
            let trial = place.root().join("trial");
            let back = Store::restore(&folders(&place, "one"), &trial, &*place.disk, &mut |_, _| {});
            match (&whole, earlier) {
                (Ok(report), _) => assert_eq!(back.unwrap().next_position, report.next_position),
                // One of the two manifests may be new already: the log is the old one or the new one, and it opens as what it is.
                (Err(_), true) => {
                    let next = back.unwrap().next_position;
                    assert!([31, 51].contains(&next), "call {call}: {next}");
                    let closed = place.with(Encryption::none()).without_keys();
                    sound_without_keys(&Store::open_read_only(&trial, closed).unwrap());
                }
                (Err(_), false) => assert!(
                    matches!(back, Err(BackupError::NoBackup { .. } | BackupError::Unfinished { .. })),
                    "call {call}: {back:?}"
                ),
            }
            // Begun again, it is whole.
            let store = place.reader();
            back_up(&place, &store, "one");
            drop(store);
            sound(&Store::open(restored(&place, &folders(&place, "one"), "again"), place.config()).unwrap());
            cuts += 1;
            if whole.is_ok_and(|report| report.noted) {
                break;
            }
        }
        assert!(cuts > 40, "{cuts} calls were cut");
    }
}

fn sound_without_keys(store: &Store) {
    let report = store.verify(batpak_store::VerifyOptions::without_keys(), &mut |_| {}).unwrap();
    assert!(report.is_sound(), "{report:?}");
}

#[test]
fn restore_cut_at_any_call_leaves_no_store() {
    let begin = Place::memory();
    let store = filled(&begin);
    back_up(&begin, &store, "one");
    store.close().unwrap();
    let mut cuts = 0;
    for call in 0.. {
        let disk = begin.memory.as_ref().unwrap().copy();
        let place = Place::on(disk.clone());
        let mut left = call;
        disk.fail(Box::new(move |_| {
            if left == 0 {
                return Some(std::io::ErrorKind::StorageFull.into());
            }
            left -= 1;
            None
        }));
        let trial = place.root().join("trial");
        let whole = Store::restore(&folders(&place, "one"), &trial, &*place.disk, &mut |_, _| {});
        disk.clear_hooks();
        disk.crash();
        let opened = Store::open(&trial, place.config());
        if whole.is_ok() {
            sound(&opened.unwrap());
            break;
        }
        // The last call makes the name of the first segment durable; a disk may have done it all the same.
        assert!(
            matches!(
                opened,
                Err(OpenError::NotAStore { .. }
                    | OpenError::UnfinishedCreation { .. }
                    | OpenError::Recovery(_)
                    | OpenError::LogRolledBack { .. })
            ),
            "call {call}: {opened:?}"
        );
        cuts += 1;
    }
    assert!(cuts > 40, "{cuts} calls were cut");
}

#[test]
fn damaged_backup_is_named_and_not_restored() {
    let begin = Place::memory();
    let store = filled(&begin);
    back_up(&begin, &store, "one");
    store.close().unwrap();
    let files = [
        log(&begin, "one").join("log.manifest"),
        log(&begin, "one").join("segments/00000000000000000002.seg"),
        log(&begin, "one").join("segments/00000000000000000004.seg"),
        keys(&begin, "one").join("keyset.manifest"),
        keys(&begin, "one").join(format!("keyset/image.{:020}", 1)),
    ];
    for path in &files {
        let path = match begin.disk.exists(path).unwrap() {
            true => path.clone(),
            false => {
                let dir = keys(&begin, "one").join("keyset");
                dir.join(&begin.disk.list(&dir).unwrap()[0].name)
            }
        };
        let is_manifest = path.extension().is_some_and(|extension| extension == "manifest");
        let bytes = begin.read(&path);
        let attempt = |bytes: &[u8]| {
            let place = Place::on(begin.memory.as_ref().unwrap().copy());
            place.put(&path, bytes);
            Store::restore(&folders(&place, "one"), place.root().join("trial"), &*place.disk, &mut |_, _| {})
        };
        for at in [0, bytes.len() / 2, bytes.len() - 1] {
            let mut flipped = bytes.clone();
            flipped[at] ^= 0x10;
            match attempt(&flipped) {
                Err(BackupError::Manifest { path: named }) if is_manifest => assert_eq!(named, path),
                Err(BackupError::Damaged { path: named }) if !is_manifest => assert_eq!(named, path),
                other => panic!("{} at {at}: {other:?}", path.display()),
            }
        }
        match attempt(&bytes[..bytes.len() - 1]) {
            Err(BackupError::Manifest { .. }) if is_manifest => {}
            Err(BackupError::Incomplete { path: named }) if !is_manifest => assert_eq!(named, path),
            other => panic!("{} cut: {other:?}", path.display()),
        }
    }
    let place = Place::on(begin.memory.as_ref().unwrap().copy());
    let nothing = Store::restore(&folders(&place, "none"), place.root().join("trial"), &*place.disk, &mut |_, _| {});
    assert!(matches!(nothing, Err(BackupError::NoBackup { .. })));
    let full = Store::restore(&folders(&place, "one"), place.dir(), &*place.disk, &mut |_, _| {});
    assert!(matches!(full, Err(BackupError::NotEmpty { .. })));
}

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

/// Threads append and shred, and segments roll, while backups are taken by `take`.
fn backups_while_written(place: &Place, take: impl Fn(&Store, usize) + Sync) {
    let config = || place.with(Encryption::sealed(Local::new())).segment_bytes(4096);
    let store = Store::create(place.dir(), config()).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for thread in 0..2 {
            let (store, done) = (&store, &done);
            scope.spawn(move || {
                for n in 0_u64.. {
                    let entity = format!("t{thread}-{}", n / 4);
                    append(store, &entity, &[7; 300]);
                    if n % 16 == 15 {
                        store.shred(&[Selector::Entity(entity)], 1, "").unwrap();
                    }
                    if done.load(Ordering::Relaxed) {
                        break;
                    }
                }
            });
        }
        for round in 0..8 {
            take(&store, round);
        }
        done.store(true, Ordering::Relaxed);
    });
    store.close().unwrap();
    let mut positions = Vec::new();
    for round in 0..8 {
        let dir = restored(place, &folders(place, &format!("b{}", round / 2)), &format!("again{round}"));
        let store = Store::open(&dir, config()).unwrap();
        let report = store.verify(batpak_store::VerifyOptions::full(), &mut |_| {}).unwrap();
        assert!(report.is_sound() && report.lost == 0, "{report:?}");
        assert!(store.open_report().torn.is_none() && !store.open_report().keyset_rolled_back);
        positions.push(report.events);
    }
    assert!(positions.windows(2).all(|pair| pair[0] <= pair[1]) && positions[0] < positions[7], "{positions:?}");
}

#[test]
fn backup_in_the_process_that_writes_opens_and_verifies() {
    both(|place| {
        backups_while_written(place, |store, round| {
            store.backup(&folders(place, &format!("b{}", round / 2)), &mut |_, _| {}).unwrap();
        });
    });
}

#[test]
fn backup_beside_threads_that_write_opens_and_verifies() {
    both(|place| {
        let closed = || place.with(Encryption::none()).without_keys();
        backups_while_written(place, |_, round| {
            let reader = Store::open_read_only(place.dir(), closed()).unwrap();
            reader.backup(&folders(place, &format!("b{}", round / 2)), &mut |_, _| {}).unwrap();
        });
    });
}

#[test]
fn last_backup_is_noted_and_stale_after_a_shred_or_a_rekey() {
    both(|place| {
        let store = filled(place);
        assert_eq!(store.last_backup(), None);
        let report = back_up(place, &store, "one");
        let note = store.last_backup().unwrap();
        assert_eq!((note.next_position, note.epoch, note.keyset_stale), (101, report.epoch, false));
        append(&store, "new", b"x");
        assert!(!store.last_backup().unwrap().keyset_stale);
        store.shred(&[Selector::Entity("odd".into())], 1, "").unwrap();
        assert!(store.last_backup().unwrap().keyset_stale && place.reader().last_backup().unwrap().keyset_stale);
        back_up(place, &store, "one");
        assert!(!store.last_backup().unwrap().keyset_stale);
        store.rekey().unwrap();
        assert!(store.last_backup().unwrap().keyset_stale);
        store.close().unwrap();
        // It is advice: damaged or gone, it is none, and the store does not mind.
        let path = place.dir().join("backup.note");
        let bytes = place.read(&path);
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1;
            place.put(&path, &flipped);
            assert_eq!(place.reader().last_backup(), None, "byte {at}");
        }
        place.disk.remove(&path).unwrap();
        let before = place.files();
        assert_eq!(place.reader().last_backup(), None);
        unchanged(place, &before);
        sound(&place.open());
    });
}

#[test]
fn plaintext_store_is_backed_up_without_a_keyset() {
    both(|place| {
        let config = || place.with(Encryption::none());
        let store = Store::create(place.dir(), config()).unwrap();
        append(&store, "a", b"in clear");
        let to = BackupFolders::new(log(place, "one"));
        let report = store.backup(&to, &mut |_, _| {}).unwrap();
        assert_eq!((report.epoch, report.next_position), (None, 2));
        assert_eq!(store.last_backup().unwrap().epoch, None);
        let store = Store::open(restored(place, &to, "again"), config()).unwrap();
        assert_eq!(payloads(&store), [b"in clear".to_vec()]);
    });
}

#[test]
fn extents_are_in_the_backup() {
    let place = Place::memory();
    let store = place.create();
    for n in 0..400 {
        store.append(&event(&format!("e{n}"), b"x").durability(Durability::Buffered)).unwrap();
    }
    // Every other one of many: more frontier than the image takes inline.
    let mut selectors: Vec<_> = (0..400).step_by(2).map(|n| Selector::Entity(format!("e{n}"))).collect();
    for n in 400..6000 {
        store.append(&event(&format!("e{n}"), b"x").durability(Durability::Buffered)).unwrap();
        if n % 2 == 0 {
            selectors.push(Selector::Entity(format!("e{n}")));
        }
    }
    store.shred(&selectors, 1, "").unwrap();
    let report = store.key_report().unwrap().unwrap();
    assert!(!report.extents.is_empty(), "{report:?}");
    back_up(&place, &store, "one");
    store.close().unwrap();
    let store = Store::open(restored(&place, &folders(&place, "one"), "again"), place.config()).unwrap();
    let verified = store.verify(batpak_store::VerifyOptions::full(), &mut |_| {}).unwrap();
    assert_eq!((verified.opened, verified.shredded, verified.lost), (3000, 3000, 0));
    assert!(store.open_report().keyset.is_empty(), "{:?}", store.open_report());
}

#[test]
fn disk_that_refuses_is_named() {
    let place = Place::memory();
    let store = filled(&place);
    let disk: &MemoryDisk = place.memory.as_ref().unwrap();
    disk.fail(Box::new(|call| call.path.ends_with("one.log").then(|| std::io::ErrorKind::PermissionDenied.into())));
    let refused = store.backup(&folders(&place, "one"), &mut |_, _| {});
    assert!(matches!(refused, Err(BackupError::Disk { path, .. }) if path == log(&place, "one")));
}
