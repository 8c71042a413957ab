//! Files of pieces of the active segment: an open after a kill reads what stands behind the last piece that was durable and no more, no
//! file states what a power cut can take away, and one that does not fit the log is not used.

use std::{io::ErrorKind, path::PathBuf};

use batpak_store::{
    AppendError, Config, Durability, Granularity, Selector, Store,
    segment::{DiskOp, SEGMENTS_DIR, segment_path},
};

use crate::{
    index_files::{answers, index_files, remove_index_files},
    kit::{Place, append, event, sound},
};

/// A quarter of it is a piece.
const SEGMENT_BYTES: u64 = 128 << 10;
const PIECE_BYTES: u64 = SEGMENT_BYTES / 4;

fn config(place: &Place) -> Config {
    place.config().durability(Durability::Buffered).segment_bytes(SEGMENT_BYTES)
}

fn create(place: &Place) -> Store {
    Store::create(place.dir(), config(place)).unwrap()
}

/// Appends so many events of 200 bytes and more, which are not synced.
fn append_more(store: &Store, count: u64) {
    (0..count).for_each(|n| drop(append(store, &format!("e{}", n % 7), &[n as u8; 200])));
}

/// What is left of a store when its process is killed.
fn killed(place: &Place) -> Place {
    Place::on(place.memory.as_ref().unwrap().copy())
}

fn reopen(place: &Place) -> Store {
    Store::open(place.dir(), config(place)).unwrap()
}

fn word(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}

/// The positions that an index file covers, as its head says, which its first bytes are.
fn positions(file: &(PathBuf, Vec<u8>)) -> std::ops::Range<u64> {
    let first = word(&file.1, 32);
    first..first + word(&file.1, 40)
}

/// Where the last piece ends that has a file.
fn filed_below(place: &Place) -> u64 {
    index_files(place).last().map_or(0, |file| positions(file).end)
}

/// Where an event of a piece begins in its segment.
fn offset(file: &(PathBuf, Vec<u8>), place: usize) -> u64 {
    u64::from(u32::from_le_bytes(file.1[168 + 4 * place..][..4].try_into().unwrap()))
}

/// A store with three pieces that are durable, and events behind them that are not. A shred is in the first of them.
fn three_pieces(place: &Place) -> Store {
    let store = create(place);
    append(&store, "gone", b"its key is destroyed");
    store.shred(&[Selector::Entity("gone".into())], 1, "").unwrap();
    append_more(&store, 290);
    store.sync().unwrap();
    append_more(&store, 5);
    assert_eq!((index_files(place).len(), store.stats().segments), (3, 1));
    store
}

/// The answers of a copy without index files, whose open reads everything.
fn answers_without(place: &Place) -> Vec<String> {
    let bare = killed(place);
    remove_index_files(&bare);
    let reader = bare.reader();
    assert_eq!(reader.open_report().events_read, reader.stats().events, "the control");
    answers(&reader)
}

#[test]
fn piece_gets_its_file_once_it_is_durable_and_not_before() {
    let place = Place::memory();
    let store = create(&place);
    append_more(&store, 200);
    assert_eq!(index_files(&place), [], "what is only written may be lost");
    store.sync().unwrap();
    let files = index_files(&place);
    assert_eq!(files.len(), 2);
    assert_eq!(positions(&files[0]).start, 0);
    for (file, next) in files.iter().zip(files.iter().skip(1)) {
        assert_eq!(positions(file).end, positions(next).start);
        assert!((PIECE_BYTES..PIECE_BYTES + 1000).contains(&(offset(next, 0) - offset(file, 0))));
    }
    let durable = store.stats().durable_mark.unwrap();
    assert_eq!(durable, 201);
    assert!(filed_below(&place) <= durable);
    append_more(&store, 90);
    assert_eq!(index_files(&place).len(), 2, "a third piece has ended, and is not durable");
    store.sync().unwrap();
    assert_eq!(index_files(&place).len(), 3);
}

#[test]
fn open_after_a_kill_reads_only_what_stands_behind_the_last_piece() {
    let place = Place::memory();
    let store = three_pieces(&place);
    let (events, filed) = (store.stats().events, filed_below(&place));
    let (mut left, said) = (killed(&place), answers(&store));
    assert_eq!(answers_without(&place), said);
    for _ in 0..2 {
        let store = reopen(&left);
        let report = store.open_report();
        assert_eq!((report.clean, report.torn, report.index_rebuilt.len()), (false, None, 0));
        assert_eq!(report.events_read, events - filed);
        assert_eq!(answers(&store), said);
        sound(&store);
        // Killed again: what was read stays to be read until something is appended: an open leaves the disk so that the next one changes nothing.
        left = killed(&left);
    }
    // The writer that goes on: positions, revisions and keys are those of the whole log.
    let store = reopen(&left);
    assert_eq!(append(&store, "e1", b"on").position, events);
    append_more(&store, 400);
    sound(&store);
    store.close().unwrap();
    let rolled = reopen(&left);
    assert_eq!((rolled.open_report().clean, rolled.open_report().index_rebuilt.len()), (true, 0));
    assert_eq!(answers_without(&left), answers(&rolled));
}

#[test]
fn power_cut_takes_nothing_that_the_file_of_a_piece_states() {
    let place = Place::memory();
    let store = three_pieces(&place);
    let durable = store.stats().durable_mark.unwrap();
    let (files, filed) = (index_files(&place), filed_below(&place));
    let cut = killed(&place);
    cut.memory.as_ref().unwrap().crash();
    // Whether the files were there yet is the disk's matter.
    cut.disk.create_dir(&cut.dir().join("index"), 0o700).ok();
    files.iter().for_each(|(path, bytes)| cut.put(path, bytes));
    let store = reopen(&cut);
    assert_eq!((store.stats().events, store.open_report().events_read), (durable, durable - filed));
    sound(&store);
}

#[test]
fn piece_whose_file_is_missing_or_damaged_is_read_again() {
    let place = Place::memory();
    let store = three_pieces(&place);
    let (events, files, said) = (store.stats().events, index_files(&place), answers(&store));
    let read = |change: &dyn Fn(&Place)| {
        let left = killed(&place);
        change(&left);
        let store = reopen(&left);
        assert_eq!(answers(&store), said);
        sound(&store);
        store.open_report().events_read
    };
    let below = |whole: usize| whole.checked_sub(1).map_or(0, |last| positions(&files[last]).end);
    assert_eq!(read(&|_| ()), events - below(3), "the control");
    for whole in 0..3 {
        let (path, bytes) = &files[whole];
        assert_eq!(read(&|left| left.disk.remove(path).unwrap()), events - below(whole), "missing: {whole}");
        let mut damaged = bytes.clone();
        damaged[40] ^= 1;
        assert_eq!(read(&|left| left.put(path, &damaged)), events - below(whole), "damaged head: {whole}");
        assert_eq!(read(&|left| left.put(path, &bytes[..bytes.len() / 2])), events - below(whole), "half: {whole}");
        let other = &files[(whole + 1) % 3].1;
        assert_eq!(read(&|left| left.put(path, other)), events - below(whole), "another piece: {whole}");
    }
}

#[test]
fn piece_that_states_more_than_the_log_has_is_not_used() {
    let place = Place::memory();
    let store = three_pieces(&place);
    let files = index_files(&place);
    let (second, third) = (&files[1], &files[2]);
    let segment = segment_path(&place.dir().join(SEGMENTS_DIR), 1);
    let bytes = place.read(&segment);
    // The log ends before the last event of the third piece; in the middle of it; and with it.
    let count = (positions(third).end - positions(third).start) as usize;
    for (left_of_it, fits) in [(count - 1, false), (count / 2, false), (count, true)] {
        let left = killed(&place);
        let end = if fits { bytes.len() } else { offset(third, left_of_it) as usize };
        left.put(&segment, &bytes[..end]);
        let store = reopen(&left);
        let known = if fits { positions(third).end } else { positions(second).end };
        let events = if fits { store.stats().events } else { known + left_of_it as u64 };
        assert_eq!((store.stats().events, store.open_report().events_read), (events, events - known));
        sound(&store);
    }
    drop(store);
}

/// Two logs that were one, and a third that has nothing to do with them.
#[test]
fn piece_of_another_log_is_not_used() {
    let origin = Place::memory();
    let store = create(&origin);
    append_more(&store, 130);
    store.sync().unwrap();
    assert_eq!(index_files(&origin).len(), 1);
    let went = |place: Place, byte: u8| {
        let store = reopen(&place);
        (0..200).for_each(|_| drop(append(&store, "e", &[byte; 200])));
        store.sync().unwrap();
        let left = killed(&place);
        assert!(index_files(&left).len() >= 3);
        (left, answers(&store))
    };
    let ((one, _), (other, said)) = (went(killed(&origin), 1), went(killed(&origin), 2));
    let foreign = Place::memory();
    let store = create(&foreign);
    append_more(&store, 330);
    store.sync().unwrap();
    let read = |files: &[(PathBuf, Vec<u8>)]| {
        let left = killed(&other);
        remove_index_files(&left);
        files.iter().for_each(|(path, bytes)| left.put(path, bytes));
        let store = reopen(&left);
        assert_eq!(answers(&store), said);
        sound(&store);
        store.stats().events - store.open_report().events_read
    };
    assert_eq!(read(&index_files(&other)), filed_below(&other), "the control");
    assert_eq!(read(&index_files(&one)), filed_below(&origin), "before they parted they are the same");
    assert_eq!(read(&index_files(&foreign)), 0);
}

#[test]
fn reader_beside_a_writer_uses_the_files_of_pieces() {
    let place = Place::memory();
    let store = three_pieces(&place);
    let reader = place.reader();
    assert_eq!(reader.open_report().events_read, store.stats().events - filed_below(&place));
    assert_eq!(answers(&reader), answers(&store));
    append_more(&store, 400);
    assert_eq!(store.stats().segments, 2, "the pieces are one file now");
    assert_eq!(answers(&reader)[..20], answers(&store)[..20]);
    assert_eq!(place.reader().open_report().index_rebuilt, [0_u64; 0]);
}

/// The file of a segment does not tell whether there were files of its pieces: neither when it is rolled, nor when the store is closed.
#[test]
fn segment_that_had_pieces_has_one_file_as_if_it_had_none() {
    let place = Place::memory();
    let config = |place: &Place| place.config().durability(Durability::Buffered).segment_bytes(1 << 20);
    let store = Store::create(place.dir(), config(&place)).unwrap();
    append_more(&store, 4600);
    store.sync().unwrap();
    let files = index_files(&place);
    assert!(files.len() == 3 && store.stats().segments == 2, "a segment that was rolled, and pieces of the next");
    append_more(&store, 200);
    store.close().unwrap();
    let closed = index_files(&place);
    assert_eq!(closed.len(), 2);
    remove_index_files(&place);
    let store = Store::open(place.dir(), config(&place)).unwrap();
    assert_eq!(store.open_report().index_rebuilt, [1]);
    store.close().unwrap();
    assert_eq!(index_files(&place), closed);
}

/// A store that is killed again and again keeps few files of its last segment.
#[test]
fn files_of_pieces_stay_few() {
    let place = Place::memory();
    let config = |place: &Place| place.config().durability(Durability::Buffered).segment_bytes(1 << 20);
    Store::create(place.dir(), config(&place)).unwrap().close().unwrap();
    let mut left = place;
    for round in 1..=7_u64 {
        let store = Store::open(left.dir(), config(&left)).unwrap();
        assert_eq!(store.stats().events, 1 + (round - 1) * 400, "round {round}");
        append_more(&store, 400);
        store.sync().unwrap();
        let next = killed(&left);
        drop(store);
        assert!(index_files(&next).len() <= 6, "round {round}: {}", index_files(&next).len());
        left = next;
    }
    sound(&Store::open(left.dir(), config(&left)).unwrap());
}

/// What a segment's pieces hold is found again when the next segment was begun and taken back, once and twice.
#[test]
fn roll_that_fails_leaves_what_stands_in_pieces_known() {
    for granularity in [Granularity::Entity, Granularity::Event] {
        let place = Place::memory();
        let store = Store::create(place.dir(), config(&place).granularity(granularity)).unwrap();
        ["old", "older"].iter().for_each(|entity| drop(append(&store, entity, b"in the first piece alone")));
        append_more(&store, 300);
        let (said, files) = (answers(&store), index_files(&place).len());
        place.memory.as_ref().unwrap().fail(Box::new(|call| {
            let is_next = call.op == DiskOp::Create && call.path == segment_path(&place_segments(), 2);
            is_next.then(|| ErrorKind::StorageFull.into())
        }));
        for _ in 0..2 {
            let refused = store.append(&event("other", &vec![1; SEGMENT_BYTES as usize / 2])).unwrap_err();
            assert!(matches!(refused, AppendError::NotWritten(_)), "{refused:?}");
            assert_eq!(answers(&store), said, "as before");
        }
        let revisions = ["old", "older"].map(|entity| append(&store, entity, b"small enough").revision);
        assert_eq!((revisions, store.stats().segments), ([1, 1], 1), "both in the segment that goes on");
        place.memory.as_ref().unwrap().clear_hooks();
        append_more(&store, 300);
        assert_eq!(append(&store, "older", b"again").revision, 2);
        assert_eq!((store.stats().segments, index_files(&place).len() > files), (2, true));
        sound(&store);
        assert_eq!(answers_without(&place), answers(&store));
    }
}

fn place_segments() -> PathBuf {
    Place::memory().dir().join(SEGMENTS_DIR)
}
