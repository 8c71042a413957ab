//! A batch is all or nothing.

use batpak_format::BatchPart;
use batpak_segment::{Access, RecoveryError, RecoveryMode, TornReason, recover, segment_path};

use crate::log::{Log, open, open_twice, shown, torn, try_open};
use crate::place::{Place, on_both_disks};

on_both_disks!(
    torn_batch_is_cut_whole,
    torn_batch_below_the_mark_is_corrupt,
    torn_batch_that_begins_below_the_mark_is_torn,
    batch_cut_by_another_event_is_torn,
    parts_that_make_no_batch_are_torn,
    batch_that_changes_while_it_is_shown_is_corrupt,
);

fn torn_batch_is_cut_whole(place: &Place) {
    let mut log = Log::create(place, 1 << 20, false);
    log.append(b"stays");
    log.append_batch(&[b"one", b"two", b"three"]);
    let last = *log.written.last().unwrap();
    for (len, reason) in
        [(last.offset, TornReason::Batch), (last.offset - 1, TornReason::Frame(truncated(&log, 2, last.offset - 1)))]
    {
        let place = place.duplicate();
        place.truncate(1, len);
        let (recovered, frames) = open_twice(&place);
        assert_eq!(frames, shown(&log.written[..1]));
        let bytes = len - last.batch_start;
        assert_eq!(torn(&recovered), Some((1, last.batch_start, bytes, reason)));
        assert_eq!(recovered.next_position, 1);
    }
}

fn truncated(log: &Log, index: usize, len: u64) -> batpak_format::FrameError {
    let frame = log.written[index];
    batpak_format::FrameError::Truncated { needed: frame.len, found: len - frame.offset }
}

fn torn_batch_below_the_mark_is_corrupt(place: &Place) {
    let mut log = Log::create(place, 1 << 20, false);
    log.append(b"stays");
    log.append_batch(&[b"one", b"two", b"three"]);
    let missing = *log.written.last().unwrap();
    log.sync();
    log.append(b"knows");
    place.zero(1, missing.offset, missing.end());
    let (answer, _) = try_open(place, RecoveryMode::Repair);
    let offset = missing.offset;
    assert!(
        matches!(answer, Err(RecoveryError::Corrupt { segment: 1, offset: at, position: 3 }) if at == offset),
        "{answer:?}"
    );
}

fn torn_batch_that_begins_below_the_mark_is_torn(place: &Place) {
    let mut log = Log::create(place, 1 << 20, false);
    log.append(b"stays");
    log.append_batch(&[b"one", b"two", b"three"]);
    let (first, lost) = (log.written[1], log.written[3]);
    // A sync has caught the batch half written.
    log.mark = 2;
    log.append(b"later");
    place.zero(1, lost.offset, lost.end());
    let (recovered, frames) = open_twice(place);
    assert_eq!(frames, shown(&log.written[..1]));
    assert_eq!(recovered.torn.unwrap().offset, first.offset);
    assert_eq!((recovered.next_position, recovered.durable_mark_max), (1, 0));
}

fn batch_cut_by_another_event_is_torn(place: &Place) {
    let mut log = Log::create(place, 1 << 20, false);
    log.append(b"stays");
    log.append_batch(&[b"one", b"two"]);
    // A single event takes the place, and the position, of the batch's second.
    let second = log.written.pop().unwrap();
    log.tail.offset = second.offset;
    log.position = second.position;
    log.append(b"alone");
    let (recovered, frames) = open_twice(place);
    assert_eq!(frames, shown(&log.written[..1]));
    let torn = recovered.torn.unwrap();
    assert_eq!((torn.offset, torn.reason), (second.batch_start, TornReason::Batch));
}

fn parts_that_make_no_batch_are_torn(place: &Place) {
    let mut log = Log::create(place, 1 << 20, false);
    log.append(b"stays");
    for parts in [[(1, 2), (1, 2)], [(1, 3), (2, 3)], [(0, 2), (1, 3)], [(0, 3), (2, 3)], [(0, 3), (1, 2)]] {
        let place = place.duplicate();
        let mut log = Log::resume(&place, &open(&place).0, 1 << 20);
        let events = parts.map(|(index, count)| (b"part".as_slice(), Some(BatchPart { index, count })));
        log.try_append_parts(&events).unwrap();
        let (recovered, frames) = open_twice(&place);
        assert_eq!(frames.len(), 1, "{parts:?}");
        let bytes = log.written[0].len + log.written[1].len;
        assert_eq!(torn(&recovered), Some((1, log.written[0].offset, bytes, TornReason::Batch)), "{parts:?}");
    }
}

fn batch_that_changes_while_it_is_shown_is_corrupt(place: &Place) {
    // Longer than what a scanner keeps: its frames are read a second time.
    let payload = vec![4; 300 << 10];
    let written = |place: &Place, position| {
        let mut log = Log::create(place, 1 << 30, false);
        log.position = position;
        log.append_batch(&[&payload, &payload]);
        log.written
    };
    let (second, elsewhere) = (written(place, 0)[1], Place::memory());
    assert_eq!(written(&elsewhere, 5)[1].offset, second.offset);
    let other = &elsewhere.read(1)[usize::try_from(second.offset).unwrap()..];
    let file = place.disk.open(&segment_path(&place.dir, 1), Access::ReadWrite).unwrap();
    let mut shown = Vec::new();
    let answer = recover::<()>(place.disk.as_ref(), &place.dir, None, RecoveryMode::Repair, &mut |frame| {
        file.write_all_at(other, second.offset).unwrap();
        shown.push(frame.frame.header().position());
        Ok(())
    });
    assert!(
        matches!(answer, Err(RecoveryError::Corrupt { segment: 1, offset, position: 1 }) if offset == second.offset),
        "{answer:?}"
    );
    assert_eq!(shown, [0]);
}
