//! What the simulated disk may lose and what it must keep; and that a writer which forgets a sync is found out.

use std::collections::BTreeSet;
use std::path::Path;

use batpak_store::segment::{Access, Disk};

use crate::sim::crash::Space;
use crate::sim::fault::{Fault, Kind};
use crate::sim::file::SECTOR;
use crate::sim::{SimDisk, State};

const FILE: &str = "/d/f";

fn disk() -> SimDisk {
    SimDisk::new(State::with_dir(Path::new("/d")), 1)
}

/// What stands under a name in every crash state; none where there is no such file.
fn contents(disk: &SimDisk, path: &str) -> BTreeSet<Option<Vec<u8>>> {
    let state = disk.state();
    let space = Space::of(&state);
    let after = space.crashes(7, usize::MAX).into_iter().map(|crash| space.after(&crash));
    after.map(|state| state.find(Path::new(path)).ok().map(|file| state.file(file).now.bytes())).collect()
}

fn made(disk: &SimDisk, bytes: &[u8]) -> std::sync::Arc<dyn batpak_store::segment::DiskFile> {
    let file = disk.create_new(Path::new(FILE), 0o600).unwrap();
    file.write_all_at(bytes, 0).unwrap();
    file.sync_all().unwrap();
    disk.sync_dir(Path::new("/d")).unwrap();
    file
}

#[test]
fn crash_keeps_what_is_synced_and_nothing_else_for_sure() {
    let disk = disk();
    let file = made(&disk, b"old");
    assert_eq!(contents(&disk, FILE), BTreeSet::from([Some(b"old".to_vec())]));
    file.write_all_at(b"new", 0).unwrap();
    assert_eq!(contents(&disk, FILE), BTreeSet::from([Some(b"old".to_vec()), Some(b"new".to_vec())]));
    file.sync_data().unwrap();
    assert_eq!(contents(&disk, FILE), BTreeSet::from([Some(b"new".to_vec())]), "the control: a sync keeps it");
}

#[test]
fn crash_tears_between_sectors_and_not_within() {
    let disk = disk();
    let file = made(&disk, &[1; 2 * SECTOR]);
    file.write_all_at(&[2; 2 * SECTOR], 0).unwrap();
    let firsts = |bytes: &Option<Vec<u8>>| bytes.as_ref().map(|bytes| (bytes[0], bytes[SECTOR]));
    let states: BTreeSet<_> = contents(&disk, FILE).iter().map(firsts).collect();
    assert_eq!(states, BTreeSet::from([(1, 1), (1, 2), (2, 1), (2, 2)].map(Some)));
    let torn = |bytes: &Option<Vec<u8>>| {
        bytes.as_ref().unwrap()[..SECTOR].iter().any(|byte| *byte != bytes.as_ref().unwrap()[0])
    };
    assert!(!contents(&disk, FILE).iter().any(torn));
}

#[test]
fn crash_may_keep_each_value_since_the_sync() {
    let disk = disk();
    let file = made(&disk, b"0");
    for value in [b"1", b"2", b"3"] {
        file.write_all_at(value, 0).unwrap();
    }
    let values: BTreeSet<_> = contents(&disk, FILE).into_iter().flatten().collect();
    assert_eq!(values, [b"0", b"1", b"2", b"3"].map(|value| value.to_vec()).into());
}

#[test]
fn crash_loses_a_name_until_its_directory_is_synced() {
    let disk = disk();
    let file = disk.create_new(Path::new(FILE), 0o600).unwrap();
    file.write_all_at(b"x", 0).unwrap();
    file.sync_all().unwrap();
    assert!(contents(&disk, FILE).contains(&None), "the file's own sync does not keep its name");
    disk.sync_dir(Path::new("/d")).unwrap();
    assert!(!contents(&disk, FILE).contains(&None));
    disk.remove(Path::new(FILE)).unwrap();
    let states = contents(&disk, FILE);
    assert!(states.contains(&None) && states.contains(&Some(b"x".to_vec())), "{states:?}");
}

#[test]
fn crash_leaves_any_length_and_what_it_likes_where_no_data_came() {
    let disk = disk();
    let file = made(&disk, b"");
    file.write_all_at(&[5; 3 * SECTOR], 0).unwrap();
    let states: Vec<_> = (0..40)
        .flat_map(|seed| {
            let state = disk.state();
            let space = Space::of(&state);
            space.crashes(seed, usize::MAX).into_iter().map(move |crash| (seed, crash)).collect::<Vec<_>>()
        })
        .map(|(_, crash)| {
            let state = disk.state();
            let after = Space::of(&state).after(&crash);
            after.file(after.find(Path::new(FILE)).unwrap()).now.bytes()
        })
        .collect();
    let lengths: BTreeSet<usize> = states.iter().map(Vec::len).collect();
    assert!(lengths.contains(&0) && lengths.contains(&(3 * SECTOR)) && lengths.len() > 2, "{lengths:?}");
    let has = |wanted: fn(u8) -> bool| states.iter().any(|bytes| bytes.iter().any(|byte| wanted(*byte)));
    assert!(has(|byte| byte == 5) && has(|byte| byte == 0) && has(|byte| byte != 5 && byte != 0));
}

#[test]
fn sync_that_failed_keeps_anything_and_the_next_one_lies() {
    let mut kept = BTreeSet::new();
    for seed in 0..20 {
        let disk = SimDisk::new(State::with_dir(Path::new("/d")), seed);
        let file = made(&disk, b"old");
        file.write_all_at(b"new", 0).unwrap();
        disk.fault(Some(Fault { kind: Kind::Broken, call: 1, lasts: 1 }));
        file.sync_data().unwrap_err();
        file.sync_data().unwrap();
        let mut seen = [0; 3];
        file.read_exact_at(&mut seen, 0).unwrap();
        assert_eq!(&seen, b"new", "reads go on seeing it");
        let states = contents(&disk, FILE);
        assert_eq!(states.len(), 1, "nothing is left to be synced");
        kept.extend(states);
    }
    assert_eq!(kept, BTreeSet::from([Some(b"old".to_vec()), Some(b"new".to_vec())]));
}

#[test]
fn kill_keeps_what_was_written_and_ends_every_handle() {
    let disk = disk();
    let file = made(&disk, b"old");
    file.write_all_at(b"new", 0).unwrap();
    assert!(file.try_lock().unwrap());
    disk.kill();
    assert!(file.sync_data().is_err() && file.write_at(b"x", 0).is_err());
    let again = disk.open(Path::new(FILE), Access::ReadWrite).unwrap();
    let mut seen = [0; 3];
    again.read_exact_at(&mut seen, 0).unwrap();
    assert_eq!(&seen, b"new");
    assert!(again.try_lock().unwrap(), "the lock went with the process");
}

#[test]
fn faults_strike_the_calls_they_are_for_once_and_for_good() {
    let disk = disk();
    let file = made(&disk, b"abcdef");
    let strike = |kind, lasts| disk.fault(Some(Fault { kind, call: 1, lasts }));
    strike(Kind::Short, 1);
    assert_eq!(file.write_at(b"ABCD", 0).unwrap(), 2);
    assert_eq!(file.write_at(b"ABCD", 0).unwrap(), 4);
    strike(Kind::Full, u64::MAX);
    assert_eq!(file.write_at(b"over", 0).unwrap(), 4, "no space is taken");
    assert_eq!(file.write_at(b"more", 6).unwrap_err().kind(), std::io::ErrorKind::StorageFull);
    assert_eq!(file.write_at(b"more", 6).unwrap_err().kind(), std::io::ErrorKind::StorageFull);
    strike(Kind::Interrupted, 1);
    assert_eq!(file.write_at(b"x", 0).unwrap_err().kind(), std::io::ErrorKind::Interrupted);
    assert_eq!(file.write_at(b"x", 0).unwrap(), 1);
}

/// A writer of two-sector entries that acknowledges each; one that forgets every third sync, or one that does not.
fn acknowledged_is_lost(forgets: bool) -> bool {
    let disk = disk();
    let file = made(&disk, b"");
    for entry in 0..6_u8 {
        file.write_all_at(&[entry + 1; 2 * SECTOR], u64::from(entry) * 2 * SECTOR as u64).unwrap();
        if !forgets || entry % 3 != 1 {
            file.sync_data().unwrap();
        }
        let all: Vec<u8> = (0..=entry).flat_map(|entry| [entry + 1; 2 * SECTOR]).collect();
        if contents(&disk, FILE).iter().any(|found| found.as_deref() != Some(&all[..])) {
            return true;
        }
    }
    false
}

#[test]
fn writer_that_forgets_a_sync_is_found_out_and_one_that_does_not_is_not() {
    assert!(acknowledged_is_lost(true));
    assert!(!acknowledged_is_lost(false));
}
