//! What an open makes of shreds that index files should tell of: files that are missing, or of an older version, or never made, and
//! shreds that are not complete yet, or stand in the segment that goes on.

use std::{
    collections::BTreeMap,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use batpak_store::{
    Durability, Query, ShredError, Store,
    format::{FooterBuilder, FooterTable},
    segment::{DiskOp, MemoryDisk},
};

use crate::{
    kit::{Place, append, event, is_index_file, sound},
    settled::{entity, fates, fill, local, name, opened, proof, reader, refusals, without_index_files},
};

/// The tags of an index file's sections, from its head on.
const TAGS: std::ops::RangeInclusive<u16> = 16..=29;
const HEAD: u16 = 16;
const SHREDS: u16 = 29;

fn copy(place: &Place) -> Place {
    Place::on(place.memory.as_ref().unwrap().copy())
}

fn index_files(place: &Place) -> Vec<(PathBuf, Vec<u8>)> {
    place.files().into_iter().filter(|(path, _)| is_index_file(path)).collect()
}

fn tells_of_shreds(bytes: &[u8]) -> bool {
    FooterTable::decode_tail(bytes, bytes.len() as u64).unwrap().unwrap().row(SHREDS).is_some()
}

fn versions(bytes: &[u8]) -> Vec<u16> {
    let table = FooterTable::decode_tail(bytes, bytes.len() as u64).unwrap().unwrap();
    TAGS.filter_map(|tag| Some(table.row(tag)?.version())).collect()
}

/// An index file as version 2 had it, as far as an open looks: nothing of shreds, neither a section nor in the head.
fn as_version_2(bytes: &[u8]) -> Vec<u8> {
    let table = FooterTable::decode_tail(bytes, bytes.len() as u64).unwrap().unwrap();
    let rows = TAGS.filter(|tag| *tag != SHREDS).filter_map(|tag| Some((tag, table.row(tag)?)));
    let older = rows.fold(FooterBuilder::new(), |older, (tag, row)| {
        let bytes = row.bytes(bytes);
        let bytes = if tag == HEAD { [&bytes[..72], &bytes[104..]].concat() } else { bytes.to_vec() };
        older.section(tag, 2, &bytes)
    });
    older.finish(0)
}

#[test]
fn index_files_of_the_version_before_are_told_and_made_again() {
    let place = Place::memory();
    let (expected, _) = fill(&place, local());
    let whole = index_files(&place);
    assert!(whole.iter().any(|(_, bytes)| tells_of_shreds(bytes)), "one tells of shreds");
    let said = refusals(&opened(&copy(&place), local()));
    // Each file alone, and all of them.
    for older in (0..whole.len()).map(Some).chain([None]) {
        let place = copy(&place);
        for (path, bytes) in
            whole.iter().enumerate().filter(|(at, _)| older.is_none_or(|older| older == *at)).map(|(_, file)| file)
        {
            place.put(path, &as_version_2(bytes));
        }
        let reader = reader(&place);
        assert!(!reader.open_report().index_rebuilt.is_empty());
        assert_eq!(fates(&reader), expected);
        let store = opened(&place, local());
        assert_eq!(store.open_report().index_rebuilt, reader.open_report().index_rebuilt);
        assert_eq!(fates(&store), expected);
        assert_eq!(refusals(&store), said);
        store.close().unwrap();
        assert!(index_files(&place).iter().all(|(_, bytes)| versions(bytes).iter().all(|version| *version == 3)));
        assert!(opened(&place, local()).open_report().index_rebuilt.is_empty());
    }
}

#[test]
fn segment_without_its_index_file_hides_no_shred() {
    let place = Place::memory();
    let (expected, _) = fill(&place, local());
    let said = refusals(&opened(&copy(&place), local()));
    let files = index_files(&place);
    assert!(files.len() > 1);
    for (path, _) in &files {
        let place = copy(&place);
        place.disk.remove(path).unwrap();
        let reader = reader(&place);
        assert!(!reader.open_report().index_rebuilt.is_empty());
        assert_eq!(fates(&reader), expected);
        let store = opened(&place, local());
        assert_eq!(fates(&store), expected);
        assert_eq!(refusals(&store), said);
        sound(&store);
    }
}

/// Refuses whatever changes an index file.
fn refuse_index_files(disk: &MemoryDisk) {
    disk.fail(Box::new(|call| {
        let of_index = call.path.parent().is_some_and(|dir| dir.ends_with("index"));
        (of_index && !matches!(call.op, DiskOp::Read { .. })).then(|| ErrorKind::StorageFull.into())
    }));
}

#[test]
fn power_cut_before_any_index_file_was_made_hides_no_shred() {
    let place = Place::memory();
    let disk = place.memory.as_ref().unwrap();
    refuse_index_files(disk);
    let (expected, _) = fill(&place, local());
    assert!(index_files(&place).is_empty(), "the control: none could be made");
    disk.crash();
    disk.clear_hooks();
    let said = refusals(&opened(&copy(&place), local()));
    let store = opened(&place, local());
    assert_eq!(fates(&store), expected);
    sound(&store);
    store.close().unwrap();
    assert!(!index_files(&place).is_empty());
    assert_eq!(fates(&reader(&place)), expected);
    assert_eq!(refusals(&opened(&place, local())), said);
}

#[test]
fn shreds_in_the_segment_that_goes_on_are_told_by_its_files() {
    let place = Place::memory();
    let config = || place.with(local()).segment_bytes(4 << 20);
    let many = |store: &Store, n: usize| {
        let batch: Vec<_> = (0..50).map(|_| event(&name(n), b"x").durability(Durability::Buffered)).collect();
        (0..24).for_each(|_| drop(store.append_batch(&batch).unwrap()));
    };
    let mut expected = BTreeMap::new();
    let store = Store::create(place.dir(), config()).unwrap();
    (0..6).for_each(|n| drop(append(&store, &name(n), b"first")));
    store.close().unwrap();
    // Each time the store is closed its one segment gets a file of what came since; at last there are enough to be merged.
    for n in 0..6 {
        let store = Store::open(place.dir(), config()).unwrap();
        assert!(store.open_report().index_rebuilt.is_empty());
        expected.insert(n, store.shred(&[entity(n)], 1, "").unwrap().intent);
        if n == 2 {
            store.readmit(&entity(2)).unwrap();
            store.rekey().unwrap();
        }
        many(&store, 10);
        assert_eq!(store.stats().segments, 1);
        store.close().unwrap();
        for place in [&place, &without_index_files(&place)] {
            let reader = reader(place);
            for (n, intent) in &expected {
                assert_eq!(proof(&reader.latest(&name(*n)).unwrap().unwrap().payload), Some(*intent));
            }
            let store = opened(&copy(place), local());
            let refused = |n: usize| {
                matches!(store.append(&event(&name(n), b"no")), Err(batpak_store::AppendError::ScopeShredded))
            };
            assert_eq!(
                (0..6).filter(|n| refused(*n)).collect::<Vec<_>>(),
                (0..=n).filter(|n| *n != 2).collect::<Vec<_>>()
            );
        }
    }
    let files = index_files(&place);
    assert!((1..6).contains(&files.len()) && files.iter().all(|(_, bytes)| tells_of_shreds(bytes)), "{}", files.len());
}

/// The provider cannot destroy the old root secret: the shred stays pending while the log goes on, and its intent gets into a file.
#[test]
fn shred_that_is_pending_in_an_index_file_is_finished_by_the_next_open() {
    let place = Place::memory();
    let config = || place.config().segment_bytes(4 << 10);
    let store = Store::create(place.dir(), config()).unwrap();
    (0..3).for_each(|n| drop(append(&store, &name(n), b"x")));
    let disk = place.memory.as_ref().unwrap();
    let mut synced = false;
    disk.fail(Box::new(move |call| {
        let is = |path: &Path, end: &str| path.extension().is_some_and(|extension| extension == end);
        let refused = synced && is(call.path, "key") && matches!(call.op, DiskOp::Write { .. });
        synced |= is(call.path, "seg") && matches!(call.op, DiskOp::SyncData);
        refused.then(|| ErrorKind::StorageFull.into())
    }));
    let intent = match store.shred(&[entity(0)], 1, "").unwrap_err() {
        ShredError::Pending { intent, .. } => intent,
        why => panic!("{why:?}"),
    };
    (0..90).for_each(|_| drop(append(&store, &name(1), &[7; 60])));
    store.close().unwrap();
    disk.clear_hooks();
    let told = index_files(&place).iter().any(|(_, bytes)| tells_of_shreds(bytes));
    assert!(told, "the intent is in an index file");
    let proofs = |store: &Store| [0, 1].map(|n| proof(&store.latest(&name(n)).unwrap().unwrap().payload));
    assert_eq!(proofs(&place.reader()), [Some(intent), None]);
    let store = place.open();
    assert_eq!((store.open_report().shred_finished, proofs(&store)), (Some(intent), [Some(intent), None]));
    store.close().unwrap();
    let store = place.open();
    assert_eq!((store.open_report().shred_finished, proofs(&store)), (None, [Some(intent), None]));
    assert_eq!(store.read(&Query::all()).unwrap().count(), 93);
    sound(&store);
}
