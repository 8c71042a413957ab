//! Single frames: by map and by position, the same bytes.

use batpak_format::{FrameError, SegmentEnd};
use batpak_segment::{Access, ReadError, ResyncBudget, ScanError, Scanner, SegmentReader, segment_path};

use crate::log::{HEADER, Log, store};
use crate::place::{Place, on_both_disks};

on_both_disks!(
    map_of_a_rolled_segment_equals_positional_reads,
    map_of_what_was_written_equals_positional_reads,
    segment_without_a_footer_is_not_mapped,
    missing_frame_is_an_error,
    frame_of_another_store_does_not_check,
    claimed_length_beyond_the_file_is_refused,
    map_outlives_what_opened_it,
    resync_finds_the_next_valid_frame,
    resync_costs_the_length_of_what_it_checks,
    resync_finds_a_hollow_frame,
);

/// A log of one segment with frames of all sizes about the first read.
fn log(place: &Place) -> Log {
    let mut log = Log::create(place, 1 << 30, false);
    for len in [0, 1, 300, 4_095, 4_096, 4_460, 4_470, 4_500, 4_700, 70_000, 2_000_000, 5] {
        log.append(&vec![9; len]);
    }
    log
}

fn map_of_a_rolled_segment_equals_positional_reads(place: &Place) {
    let mut log = log(place);
    let active = SegmentReader::active(log.writer.file(), 1);
    let unfinished: Vec<_> = log.written.iter().map(|at| active.read_frame_at(at.offset, store()).unwrap()).collect();
    log.finish(SegmentEnd::Rolled);
    let mapped = SegmentReader::open(place.disk.as_ref(), &place.dir, 1, true).unwrap();
    let positional = SegmentReader::open(place.disk.as_ref(), &place.dir, 1, false).unwrap();
    assert!(mapped.is_mapped() && !positional.is_mapped());
    let mut buffer = Vec::new();
    for (written, before) in log.written.iter().zip(unfinished) {
        let by_map = mapped.read_frame_at(written.offset, store()).unwrap();
        let by_position = positional.read_frame_at(written.offset, store()).unwrap();
        assert_eq!(by_map.bytes(), by_position.bytes());
        assert_eq!(by_map.bytes(), before.bytes());
        assert_eq!(by_map.bytes().len() as u64, written.len);
        assert_eq!(by_map.frame().unwrap().header().position(), written.position);
        for reader in [&mapped, &positional] {
            let found = reader
                .with_frame(written.offset, store(), &mut buffer, |frame| {
                    (frame.len() as u64, frame.header().position())
                })
                .unwrap();
            assert_eq!(found, (written.len, written.position));
        }
    }
}

fn map_of_what_was_written_equals_positional_reads(place: &Place) {
    let mut log = log(place);
    let positional = SegmentReader::active(log.writer.file(), 1);
    assert_eq!((positional.mapped_len(), positional.map_below(1)), (0, None));
    let end = log.writer.end();
    let mapped = positional.mapped_below(end).unwrap();
    assert!(mapped.map().is_none(), "not of the whole segment");
    assert_eq!((mapped.mapped_len(), mapped.map_below(end + 1)), (end, None));
    log.append(&[8; 500]);
    let map = mapped.map_below(end).unwrap();
    for written in log.written.iter().take_while(|written| written.offset < end) {
        let by_position = mapped.read_frame_at(written.offset, store()).unwrap();
        let from = written.offset as usize;
        assert_eq!(map.get(from..from + written.len as usize), Some(&by_position.bytes()[..]));
    }
    assert_eq!(map.len() as u64, end, "what was written since is not in it");
    let more = mapped.mapped_below(log.writer.end()).unwrap();
    assert_eq!(more.map_below(end + 1).map(|map| map.len() as u64), Some(log.writer.end()));
    let beyond = mapped.mapped_below(1 << 40).unwrap_err();
    assert_eq!(beyond.kind(), std::io::ErrorKind::UnexpectedEof);
    log.finish(SegmentEnd::Rolled);
    let whole = SegmentReader::open(place.disk.as_ref(), &place.dir, 1, true).unwrap();
    assert_eq!(whole.mapped_below(end).unwrap().mapped_len(), whole.mapped_len());
    assert_eq!(whole.map_below(u64::MAX), whole.map());
}

fn segment_without_a_footer_is_not_mapped(place: &Place) {
    let log = log(place);
    let reader = SegmentReader::open(place.disk.as_ref(), &place.dir, 1, true).unwrap();
    assert!(!reader.is_mapped());
    assert_eq!(reader.read_frame_at(HEADER, store()).unwrap().bytes().len() as u64, log.written[0].len);
}

fn missing_frame_is_an_error(place: &Place) {
    let mut log = log(place);
    let end = log.writer.end();
    log.writer.file().write_all_at(&[0; 10], end).unwrap();
    let reader = SegmentReader::open(place.disk.as_ref(), &place.dir, 1, false).unwrap();
    let refused = reader.read_frame_at(end, store()).unwrap_err();
    assert!(
        matches!(refused, ReadError::Frame { segment: 1, offset, source: FrameError::Empty } if offset == end),
        "{refused:?}"
    );
    for offset in [end + 10, u64::MAX, HEADER + 1] {
        let refused = reader.read_frame_at(offset, store());
        assert!(matches!(refused, Err(ReadError::Frame { .. } | ReadError::Io(_))), "{refused:?}");
    }
    log.finish(SegmentEnd::Rolled);
    let mapped = SegmentReader::open(place.disk.as_ref(), &place.dir, 1, true).unwrap();
    for offset in [end, end + 10, u64::MAX, HEADER + 1] {
        assert!(matches!(mapped.read_frame_at(offset, store()), Err(ReadError::Frame { .. })));
    }
}

fn frame_of_another_store_does_not_check(place: &Place) {
    let _log = log(place);
    let reader = SegmentReader::open(place.disk.as_ref(), &place.dir, 1, false).unwrap();
    let other = batpak_format::StoreId::from_bytes([8; 16]);
    let refused = reader.read_frame_at(HEADER, other);
    assert!(matches!(refused, Err(ReadError::Frame { source: FrameError::Check, .. })), "{refused:?}");
}

fn claimed_length_beyond_the_file_is_refused(place: &Place) {
    let log = log(place);
    let end = log.writer.end();
    let mut claim = vec![1; 200];
    claim[..4].copy_from_slice(&(1u32 << 30).to_le_bytes());
    log.writer.file().write_all_at(&claim, end).unwrap();
    let reader = SegmentReader::active(log.writer.file(), 1);
    let mut buffer = Vec::new();
    let refused = reader.with_frame(end, store(), &mut buffer, |_| ());
    assert!(matches!(refused, Err(ReadError::Frame { .. })), "{refused:?}");
    assert!(buffer.capacity() < 1 << 20);
}

fn map_outlives_what_opened_it(place: &Place) {
    let mut log = log(place);
    log.finish(SegmentEnd::Rolled);
    let reader = SegmentReader::open(place.disk.as_ref(), &place.dir, 1, true).unwrap();
    let frame = reader.read_frame_at(HEADER, store()).unwrap();
    drop(reader);
    place.remove(1);
    assert_eq!(frame.frame().unwrap().header().position(), 0);
}

fn resync_finds_the_next_valid_frame(place: &Place) {
    let log = log(place);
    let open = || {
        let file = place.disk.open(&segment_path(&place.dir, 1), Access::Read).unwrap();
        Scanner::new(file, store(), 1, HEADER, u64::MAX).unwrap()
    };
    let mut budget = ResyncBudget::for_bytes(log.writer.end());
    for pair in log.written.windows(2) {
        let found = open().resync(pair[0].offset + 1, &mut budget).unwrap();
        assert_eq!(found, Some(pair[1].offset));
    }
    let last = log.written.last().unwrap();
    assert_eq!(open().resync(last.offset + 1, &mut budget).unwrap(), None);
    assert_eq!(open().resync(u64::MAX, &mut budget).unwrap(), None);
}

fn resync_costs_the_length_of_what_it_checks(place: &Place) {
    let log = log(place);
    let large = log.written[10];
    let open = |limit| {
        let file = place.disk.open(&segment_path(&place.dir, 1), Access::Read).unwrap();
        Scanner::new(file, store(), 1, HEADER, limit).unwrap()
    };
    // 16 MiB, of which the frame of two million bytes takes its length each time.
    let mut budget = ResyncBudget::for_bytes(0);
    for _ in 0..(16 << 20) / large.len {
        assert_eq!(open(u64::MAX).resync(large.offset, &mut budget).unwrap(), Some(large.offset));
    }
    let spent = open(u64::MAX).resync(large.offset, &mut budget);
    assert!(matches!(spent, Err(ScanError::BudgetExhausted)), "{spent:?}");
    // One that the limit cuts is no candidate, and costs nothing.
    assert_eq!(open(large.offset + large.len - 1).resync(large.offset, &mut budget).unwrap(), None);
}

fn resync_finds_a_hollow_frame(place: &Place) {
    let log = log(place);
    let at = log.written[5];
    let reader = SegmentReader::active(log.writer.file(), 1);
    let frame = reader.read_frame_at(at.offset, store()).unwrap();
    let hollow = batpak_format::hollow(frame.bytes(), &frame.seed()).unwrap();
    log.writer.file().write_all_at(&hollow, at.offset).unwrap();
    let mut scanner = Scanner::new(log.writer.file(), store(), 1, HEADER, u64::MAX).unwrap();
    let mut budget = ResyncBudget::for_bytes(log.writer.end());
    assert_eq!(scanner.resync(log.written[4].offset + 1, &mut budget).unwrap(), Some(at.offset));
}
