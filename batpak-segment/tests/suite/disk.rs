//! Both disks answer alike.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::{Arc, Mutex};

use batpak_segment::{Access, Disk, DiskFile, DiskOp, MemoryDisk};

use crate::place::{Place, on_both_disks};

on_both_disks!(
    create_new_takes_a_free_path_only,
    open_refuses_what_is_no_file,
    file_has_the_mode_it_was_created_with,
    write_beyond_the_end_leaves_zeros,
    set_len_cuts_and_extends_with_zeros,
    read_only_handle_does_not_write,
    list_is_sorted_and_tells_directories,
    rename_replaces,
    removed_file_is_gone,
    lock_is_exclusive_until_dropped,
    identity_is_the_files_own,
    map_equals_the_file_and_is_never_longer,
);

fn kind<T: std::fmt::Debug>(result: std::io::Result<T>) -> ErrorKind {
    result.unwrap_err().kind()
}

fn create_new_takes_a_free_path_only(place: &Place) {
    let path = place.dir.join("file");
    place.disk.create_new(&path, 0o600).unwrap();
    assert_eq!(kind(place.disk.create_new(&path, 0o600)), ErrorKind::AlreadyExists);
    assert_eq!(kind(place.disk.create_dir(&path, 0o700)), ErrorKind::AlreadyExists);
    assert_eq!(kind(place.disk.create_new(&place.dir.join("no/file"), 0o600)), ErrorKind::NotFound);
}

fn open_refuses_what_is_no_file(place: &Place) {
    assert_eq!(kind(place.disk.open(&place.dir.join("file"), Access::Read)), ErrorKind::NotFound);
    assert_eq!(kind(place.disk.open(&place.dir, Access::Read)), ErrorKind::InvalidInput);
}

fn file_has_the_mode_it_was_created_with(place: &Place) {
    let (file, dir) = (place.dir.join("file"), place.dir.join("dir"));
    place.disk.create_new(&file, 0o600).unwrap();
    place.disk.create_dir(&dir, 0o700).unwrap();
    assert_eq!(place.disk.mode(&file).unwrap(), 0o600);
    assert_eq!(place.disk.mode(&dir).unwrap(), 0o700);
}

fn write_beyond_the_end_leaves_zeros(place: &Place) {
    let file = place.disk.create_new(&place.dir.join("file"), 0o600).unwrap();
    file.write_all_at(b"end", 5).unwrap();
    let mut bytes = [9; 8];
    file.read_exact_at(&mut bytes, 0).unwrap();
    assert_eq!(&bytes, b"\0\0\0\0\0end");
    assert_eq!(kind(file.read_exact_at(&mut bytes, 1)), ErrorKind::UnexpectedEof);
    assert_eq!(file.read_full_at(&mut bytes, 6).unwrap(), 2);
    assert_eq!(file.read_full_at(&mut bytes, 99).unwrap(), 0);
}

fn set_len_cuts_and_extends_with_zeros(place: &Place) {
    let file = place.disk.create_new(&place.dir.join("file"), 0o600).unwrap();
    file.write_all_at(b"abcdef", 0).unwrap();
    file.set_len(2).unwrap();
    file.set_len(4).unwrap();
    let mut bytes = [9; 4];
    file.read_exact_at(&mut bytes, 0).unwrap();
    assert_eq!(&bytes, b"ab\0\0");
    assert_eq!(file.len().unwrap(), 4);
}

fn read_only_handle_does_not_write(place: &Place) {
    let path = place.dir.join("file");
    place.disk.create_new(&path, 0o600).unwrap();
    let file = place.disk.open(&path, Access::Read).unwrap();
    assert!(file.write_all_at(b"a", 0).is_err());
    assert!(file.set_len(3).is_err());
    assert_eq!(file.len().unwrap(), 0);
}

fn list_is_sorted_and_tells_directories(place: &Place) {
    for name in ["b", "a"] {
        place.disk.create_new(&place.dir.join(name), 0o600).unwrap();
    }
    place.disk.create_dir(&place.dir.join("c"), 0o700).unwrap();
    place.disk.create_new(&place.dir.join("c/inner"), 0o600).unwrap();
    let names = place.disk.list(&place.dir).unwrap();
    let names: Vec<_> = names.iter().map(|entry| (entry.name.to_str().unwrap(), entry.is_dir)).collect();
    assert_eq!(names, [("a", false), ("b", false), ("c", true)]);
    assert_eq!(kind(place.disk.list(&place.dir.join("d"))), ErrorKind::NotFound);
}

fn rename_replaces(place: &Place) {
    let (from, to) = (place.dir.join("from"), place.dir.join("to"));
    place.put_named(&from, b"new");
    place.put_named(&to, b"old");
    place.disk.rename(&from, &to).unwrap();
    assert!(!place.disk.exists(&from).unwrap());
    assert_eq!(place.snapshot().get("to").unwrap(), b"new");
    assert_eq!(kind(place.disk.rename(&from, &to)), ErrorKind::NotFound);
}

fn removed_file_is_gone(place: &Place) {
    let path = place.dir.join("file");
    let file = place.disk.create_new(&path, 0o600).unwrap();
    file.write_all_at(b"abc", 0).unwrap();
    place.disk.remove(&path).unwrap();
    assert_eq!(kind(place.disk.remove(&path)), ErrorKind::NotFound);
    let mut bytes = [0; 3];
    file.read_exact_at(&mut bytes, 0).unwrap();
    assert_eq!(&bytes, b"abc");
}

fn lock_is_exclusive_until_dropped(place: &Place) {
    let path = place.dir.join("lock");
    let first = place.disk.create_new(&path, 0o600).unwrap();
    let second = place.disk.open(&path, Access::ReadWrite).unwrap();
    assert!(first.try_lock().unwrap());
    assert!(!second.try_lock().unwrap());
    drop(first);
    assert!(second.try_lock().unwrap());
}

fn identity_is_the_files_own(place: &Place) {
    let (one, other) = (place.dir.join("one"), place.dir.join("other"));
    let created = place.disk.create_new(&one, 0o600).unwrap().identity().unwrap();
    place.disk.create_new(&other, 0o600).unwrap();
    let again = place.disk.open(&one, Access::Read).unwrap().identity().unwrap();
    assert_eq!(created, again);
    assert_ne!(created, place.disk.open(&other, Access::Read).unwrap().identity().unwrap());
}

fn map_equals_the_file_and_is_never_longer(place: &Place) {
    let file = place.disk.create_new(&place.dir.join("file"), 0o600).unwrap();
    file.write_all_at(&[42; 10_000], 0).unwrap();
    assert_eq!(file.map(10_000).unwrap(), vec![42; 10_000]);
    assert_eq!(file.map(1).unwrap().len(), 1);
    assert!(file.map(0).unwrap().is_empty());
    assert_eq!(kind(file.map(10_001)), ErrorKind::UnexpectedEof);
}

#[test]
fn memory_crash_keeps_what_was_synced() {
    let disk = MemoryDisk::new();
    let (kept, lost) = (Path::new("/kept"), Path::new("/lost"));
    let file = disk.create_new(kept, 0o600).unwrap();
    file.write_all_at(b"synced", 0).unwrap();
    file.sync_data().unwrap();
    disk.sync_dir(Path::new("/")).unwrap();
    file.write_all_at(b"SYNCED and more", 0).unwrap();
    disk.create_new(lost, 0o600).unwrap().sync_all().unwrap();
    assert!(file.try_lock().unwrap());

    disk.crash();
    assert!(!disk.exists(lost).unwrap());
    let again = disk.open(kept, Access::ReadWrite).unwrap();
    let mut bytes = [0; 6];
    again.read_exact_at(&mut bytes, 0).unwrap();
    assert_eq!((&bytes, again.len().unwrap()), (b"synced", 6));
    assert!(again.try_lock().unwrap());
    assert_eq!(kind(file.write_at(b"late", 0)), ErrorKind::Other);
}

#[test]
fn memory_crash_brings_a_removed_name_back_until_its_directory_is_synced() {
    let disk = MemoryDisk::new();
    disk.create_dir(Path::new("/dir"), 0o700).unwrap();
    disk.sync_dir(Path::new("/")).unwrap();
    disk.create_new(Path::new("/dir/file"), 0o600).unwrap();
    disk.sync_dir(Path::new("/dir")).unwrap();
    disk.remove(Path::new("/dir/file")).unwrap();
    let synced = disk.copy();
    disk.crash();
    assert!(disk.exists(Path::new("/dir/file")).unwrap());
    synced.sync_dir(Path::new("/dir")).unwrap();
    synced.crash();
    assert!(!synced.exists(Path::new("/dir/file")).unwrap());
}

#[test]
fn memory_copy_shares_nothing() {
    let disk = MemoryDisk::new();
    let file = disk.create_new(Path::new("/file"), 0o600).unwrap();
    file.write_all_at(b"before", 0).unwrap();
    let copy = disk.copy();
    file.write_all_at(b"AFTER!", 0).unwrap();
    let mut bytes = [0; 6];
    copy.open(Path::new("/file"), Access::Read).unwrap().read_exact_at(&mut bytes, 0).unwrap();
    assert_eq!(&bytes, b"before");
}

#[test]
fn memory_hooks_see_calls_and_fail_them() {
    let disk = MemoryDisk::new();
    let file = disk.create_new(Path::new("/file"), 0o600).unwrap();
    disk.sync_dir(Path::new("/")).unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    disk.observe(Box::new(move |call| {
        let durable = call.durable(Path::new("/file")).map(<[u8]>::to_vec);
        let op = match call.op {
            DiskOp::Write { offset, bytes } => format!("write {offset} {}", bytes.len()),
            op => format!("{op:?}"),
        };
        log.lock().unwrap().push((op, durable));
    }));
    disk.fail(Box::new(|call| {
        let is_bad = matches!(call.op, DiskOp::Write { bytes: b"bad", .. });
        is_bad.then(|| ErrorKind::StorageFull.into())
    }));
    file.write_all_at(b"good", 1).unwrap();
    assert_eq!(kind(file.write_all_at(b"bad", 5)), ErrorKind::StorageFull);
    file.sync_data().unwrap();
    file.set_len(2).unwrap();
    disk.clear_hooks();
    file.write_all_at(b"bad", 5).unwrap();
    let seen = seen.lock().unwrap();
    let expected = [
        ("write 1 4".to_owned(), Some(Vec::new())),
        ("SyncData".to_owned(), Some(Vec::new())),
        ("SetLen".to_owned(), Some(b"\0good".to_vec())),
    ];
    assert_eq!(seen.as_slice(), expected);
}

#[test]
fn memory_hook_may_interrupt_and_the_write_goes_on() {
    let disk = MemoryDisk::new();
    let file: Arc<dyn DiskFile> = disk.create_new(Path::new("/file"), 0o600).unwrap();
    let mut calls = 0;
    disk.fail(Box::new(move |_| {
        calls += 1;
        (calls % 2 == 1).then(|| ErrorKind::Interrupted.into())
    }));
    file.write_all_at(b"all of it", 0).unwrap();
    let mut bytes = [0; 9];
    file.read_exact_at(&mut bytes, 0).unwrap();
    assert_eq!(&bytes, b"all of it");
}
