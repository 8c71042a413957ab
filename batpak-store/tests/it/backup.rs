//! Backups: taken while the store is used, whole or not there, and never into what is something else's.

use std::{
    ops::Range,
    path::PathBuf,
    sync::{Arc, Mutex},
};

use batpak_store::{
    BackupError, BackupFolders, BackupReport, Durability, Encryption, Local, OpenError, Selector, Store,
    segment::{DiskOp, MemoryDisk},
};

use crate::kit::{Place, append, both, event, payloads, sound, unchanged};

/// The folders of a backup beside the store, by a name.
pub fn folders(place: &Place, name: &str) -> BackupFolders {
    BackupFolders::new(log(place, name)).keyset(keys(place, name))
}

pub fn log(place: &Place, name: &str) -> PathBuf {
    place.root().join(format!("{name}.log"))
}

pub fn keys(place: &Place, name: &str) -> PathBuf {
    place.root().join(format!("{name}.keys"))
}

pub fn back_up(place: &Place, store: &Store, name: &str) -> BackupReport {
    store.backup(&folders(place, name), &mut |_, _| {}).unwrap()
}

/// Restores into a directory of its own and returns it.
pub fn restored(place: &Place, from: &BackupFolders, name: &str) -> PathBuf {
    let dir = place.root().join(name);
    Store::restore(from, &dir, &*place.disk, &mut |_, _| {}).unwrap();
    dir
}

/// Three segments and a bit, two entities.
pub fn filled(place: &Place) -> Store {
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
fn keyset_that_is_replaced_is_overwritten_before_it_is_removed() {
    let place = Place::memory();
    let store = filled(&place);
    back_up(&place, &store, "one");
    let dir = keys(&place, "one").join("keyset");
    let old = dir.join(&place.disk.list(&dir).unwrap()[0].name);
    let len = place.read(&old).len();
    store.shred(&[Selector::Entity("odd".into())], 1, "").unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (calls, path) = (Arc::clone(&seen), old.clone());
    place.memory.as_ref().unwrap().observe(Box::new(move |call| {
        if call.path == path {
            calls.lock().unwrap().push(match call.op {
                DiskOp::Write { bytes, .. } if bytes.iter().all(|byte| *byte == 0) => ("zeros", bytes.len()),
                DiskOp::SyncAll => ("sync", 0),
                DiskOp::Remove => ("remove", 0),
                _ => return,
            });
        }
    }));
    back_up(&place, &store, "one");
    place.memory.as_ref().unwrap().clear_hooks();
    assert_eq!(*seen.lock().unwrap(), [("zeros", len), ("sync", 0), ("remove", 0)]);
    assert!(!place.disk.exists(&old).unwrap());
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
