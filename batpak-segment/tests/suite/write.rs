//! The writer: what is on disk after each of its calls, and in which order it got there.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::{Arc, Mutex};

use batpak_format::{ChainHash, SegmentEnd};
use batpak_segment::{
    Access, DiskOp, MemoryDisk, ScanItem, Scanner, SegmentWriter, make_durable, read_footer, segment_path,
};

use crate::log::{HEADER, Log, header, open, shown, store, two_segments};
use crate::place::{Place, on_both_disks};

on_both_disks!(
    written_frames_scan_back_in_order,
    log_rolls_at_its_size_and_batches_stay_whole,
    ahead_fills_pieces_and_finish_cuts_them,
    cut_leaves_zeros_and_the_writer_goes_on,
    finished_segment_has_a_whole_footer,
    create_refuses_a_number_that_is_taken,
);

fn written_frames_scan_back_in_order(place: &Place) {
    let mut log = Log::create(place, 1 << 30, false);
    for len in 0..60usize {
        log.append(&vec![7; len * 977]);
    }
    let file = place.disk.open(&segment_path(&place.dir, 1), Access::Read).unwrap();
    let mut scanner = Scanner::new(file, store(), 1, HEADER, u64::MAX).unwrap();
    let mut found = Vec::new();
    loop {
        match scanner.next().unwrap() {
            ScanItem::Frame { offset, frame } => {
                let header = frame.header();
                assert_eq!(frame.payload().unwrap(), vec![7; found.len() * 977]);
                found.push((1, offset, frame.len() as u64, header.position()));
            }
            ScanItem::End { offset } => {
                assert_eq!(offset, log.writer.end());
                break;
            }
            item => panic!("{item:?}"),
        }
    }
    assert_eq!(found, shown(&log.written));
}

fn log_rolls_at_its_size_and_batches_stay_whole(place: &Place) {
    let mut log = Log::create(place, 2_000, false);
    for round in 0..40usize {
        let payload = vec![1; 100];
        log.append_batch(&vec![payload.as_slice(); 1 + round % 5]);
    }
    assert!(log.tail.segment > 5);
    for batch in log.written.chunk_by(|a, b| a.batch_position == b.batch_position) {
        let (first, last) = (batch.first().unwrap(), batch.last().unwrap());
        assert_eq!(first.segment, last.segment);
        assert!(last.end() <= 2_000);
    }
    let (recovered, frames) = open(place);
    assert_eq!(frames, shown(&log.written));
    assert_eq!(recovered.segments.len() as u64, log.tail.segment);
}

fn ahead_fills_pieces_and_finish_cuts_them(place: &Place) {
    let mut log = Log::create(place, 1 << 30, true);
    let piece = 256 << 10;
    log.append(b"a");
    assert_eq!(log.writer.file().len().unwrap(), piece);
    log.append(&vec![1; 200 << 10]);
    assert_eq!(log.writer.file().len().unwrap(), piece);
    log.append(&vec![1; 100 << 10]);
    assert_eq!(log.writer.file().len().unwrap(), 2 * piece);
    // Longer than a piece: written once, not filled first.
    log.append(&vec![1; 300 << 10]);
    assert_eq!(log.writer.file().len().unwrap(), log.writer.end());
    log.append(b"b");
    assert_eq!(open(place).1, shown(&log.written));
    log.finish(SegmentEnd::Closed);
    let footer = log.footer(SegmentEnd::Closed);
    assert_eq!(log.writer.file().len().unwrap(), log.writer.end() + footer.len() as u64);
    assert_eq!(open(place).1, shown(&log.written));
}

fn cut_leaves_zeros_and_the_writer_goes_on(place: &Place) {
    let mut log = Log::create(place, 1 << 30, true);
    log.append(b"stays");
    let (end, position, chain, frames) = (log.writer.end(), log.position, log.chain, log.written.clone());
    log.append(b"goes");
    log.append_batch(&[b"goes", b"too"]);
    log.writer.cut(end).unwrap();
    assert_eq!(log.writer.end(), end);
    let bytes = place.read(1);
    let end_at = usize::try_from(end).unwrap();
    assert!(bytes[end_at..].iter().all(|byte| *byte == 0));
    assert_eq!(open(place).1, shown(&frames));

    (log.position, log.chain, log.tail.offset) = (position, chain, end);
    log.written = frames;
    log.append(b"instead");
    assert_eq!(open(place).1, shown(&log.written));
}

fn finished_segment_has_a_whole_footer(place: &Place) {
    let mut log = two_segments(place);
    log.finish(SegmentEnd::Closed);
    for (number, end) in [(1, SegmentEnd::Rolled), (2, SegmentEnd::Closed)] {
        let file = place.disk.open(&segment_path(&place.dir, number), Access::Read).unwrap();
        let footer = read_footer(file.as_ref()).unwrap().unwrap();
        assert_eq!(footer.summary.end, end);
        assert_eq!(footer.end, file.len().unwrap());
        let last = log.written.iter().rfind(|frame| frame.segment == number).unwrap();
        assert_eq!((footer.summary.log_len, footer.summary.next_position), (last.end(), last.position + 1));
    }
}

fn create_refuses_a_number_that_is_taken(place: &Place) {
    let _log = Log::create(place, 1_000, false);
    let bytes = place.snapshot();
    let header = header(1, 0, ChainHash::from_bytes([0; 32]));
    let error = SegmentWriter::create(Arc::clone(&place.disk), &place.dir, &header, true).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    assert_eq!(place.snapshot(), bytes);
}

/// A disk in memory whose calls are noted.
fn noted() -> (Place, MemoryDisk, Arc<Mutex<Vec<String>>>) {
    let disk = MemoryDisk::new();
    let place = Place::on(Arc::new(disk.clone()));
    let calls = Arc::new(Mutex::new(Vec::new()));
    let notes = Arc::clone(&calls);
    disk.observe(Box::new(move |call| {
        let note = match call.op {
            DiskOp::Read | DiskOp::Open => return,
            DiskOp::Write { offset, bytes } => format!("Write {offset}+{}", bytes.len()),
            op => format!("{op:?}"),
        };
        notes.lock().unwrap().push(note);
    }));
    (place, disk, calls)
}

#[test]
fn create_is_durable_when_it_returns() {
    let (place, disk, calls) = noted();
    let log = Log::create(&place, 1_000, false);
    assert_eq!(*calls.lock().unwrap(), ["Create", "Write 0+128", "SyncAll", "SyncDir"]);
    drop(log);
    disk.crash();
    assert_eq!(place.read(1).len(), 128);
}

#[test]
fn finish_syncs_before_it_writes_the_footer() {
    let (place, _disk, calls) = noted();
    let mut log = Log::create(&place, 1_000, false);
    log.append(b"event");
    calls.lock().unwrap().clear();
    let footer = log.footer(SegmentEnd::Rolled);
    log.writer.finish(&footer).unwrap();
    let written = format!("Write {}+{}", log.writer.end(), footer.len());
    assert_eq!(*calls.lock().unwrap(), ["SyncData", &written, "SetLen", "SyncAll"]);
}

#[test]
fn cut_is_synced_when_it_returns() {
    let (place, disk, calls) = noted();
    let mut log = Log::create(&place, 1_000, false);
    log.append(b"stays");
    let end = log.writer.end();
    log.append(b"goes");
    log.writer.file().sync_data().unwrap();
    let len = place.read(1).len() as u64;
    calls.lock().unwrap().clear();
    log.writer.cut(end).unwrap();
    assert_eq!(*calls.lock().unwrap(), [format!("Write {end}+{}", len - end), "SyncData".to_owned()]);
    disk.crash();
    assert_eq!(open(&place).1, shown(&log.written[..1]));
}

#[test]
fn repair_zeros_what_the_page_cache_shows_as_zeros() {
    let (place, _disk, calls) = noted();
    let mut log = Log::create(&place, 1 << 20, true);
    log.append(b"synced");
    log.sync();
    let (start, end) = (log.writer.end(), log.writer.end() + 400_000);
    log.writer.file().set_len(end).unwrap();
    log.append(b"not synced");
    let (recovered, _) = open(&place);
    assert!(recovered.torn.is_none());
    calls.lock().unwrap().clear();
    make_durable(place.disk.as_ref(), &place.dir, &recovered).unwrap();
    let piece = 256 << 10;
    let stop = log.writer.end();
    let expected = [
        format!("Write {start}+{}", stop - start),
        "Write 0+128".to_owned(),
        format!("Write {stop}+{}", piece - stop),
        format!("Write {piece}+{stop}"),
        "SetLen".to_owned(),
        "SyncAll".to_owned(),
        "SyncDir".to_owned(),
    ];
    assert_eq!(*calls.lock().unwrap(), expected);
}

#[test]
fn repair_writes_the_footer_of_the_segment_before_again() {
    let (place, _disk, calls) = noted();
    let log = two_segments(&place);
    let (recovered, _) = open(&place);
    calls.lock().unwrap().clear();
    make_durable(place.disk.as_ref(), &place.dir, &recovered).unwrap();
    let (before, from) = (&recovered.segments[0], recovered.unsynced_from.1);
    let expected = [
        format!("Write {}+{}", before.log_len, before.end - before.log_len),
        "SyncAll".to_owned(),
        format!("Write {from}+{}", log.writer.end() - from),
        "Write 0+128".to_owned(),
        "SyncAll".to_owned(),
        "SyncDir".to_owned(),
    ];
    assert_eq!(*calls.lock().unwrap(), expected);
}

#[test]
fn failed_create_leaves_no_file_and_can_be_tried_again() {
    for failing in [DiskOp::SyncAll, DiskOp::SyncDir] {
        let (place, disk, _calls) = noted();
        let mut log = Log::create(&place, 1_000, false);
        log.append(b"event");
        log.finish(SegmentEnd::Rolled);
        disk.fail(Box::new(move |call| (call.op == failing).then(|| ErrorKind::StorageFull.into())));
        let next = header(2, log.position, log.chain);
        let error = SegmentWriter::create(Arc::clone(&place.disk), &place.dir, &next, false).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StorageFull);
        assert!(!place.disk.exists(&segment_path(Path::new("/segments"), 2)).unwrap());
        disk.clear_hooks();
        SegmentWriter::create(Arc::clone(&place.disk), &place.dir, &next, false).unwrap();
        assert_eq!(open(&place).0.active, 2);
    }
}
