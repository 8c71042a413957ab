//! What recovery says of whole, unfinished and damaged ends, each made by hand.

use batpak_format::{
    ChainHash, FooterBuilder, FrameError, SECTION_SUMMARY, SUMMARY_VERSION, SegmentEnd, SegmentSummary,
};
use batpak_segment::{RecoveryError, RecoveryMode, SegmentWriter, TornReason, make_durable, recover, segment_path};

use crate::log::{HEADER, Log, footer_bytes, header, open, open_twice, shown, store, torn, try_open, two_segments};
use crate::place::{Place, on_both_disks};

on_both_disks!(
    empty_directory_has_no_segments,
    new_segment_is_an_empty_log,
    clean_close_is_told_and_changes_no_byte,
    unclean_end_has_all_frames_and_knows_what_is_unsynced,
    store_is_taken_from_the_first_segment,
    visitor_error_ends_recovery,
    hole_before_a_later_frame_is_torn,
    hole_below_the_mark_is_corrupt,
    stale_footer_after_reopening_is_torn,
    stale_footer_hides_behind_zeros_too,
    unwritten_last_segment_is_removed,
    unwritten_first_segment_is_an_unfinished_store,
    damaged_first_header_is_corrupt,
    unfinished_footer_loses_nothing,
    later_segment_is_dropped_with_the_cut,
    later_segment_does_not_hide_what_is_wrong_before_it,
    later_footer_makes_a_hole_corrupt,
    two_unfinished_segments_are_corrupt,
    reader_sees_a_prefix_and_changes_nothing,
    reader_is_refused_what_is_corrupt,
    zeros_far_beyond_the_end_are_cut,
    footer_that_states_another_log_is_corrupt,
    segment_that_does_not_continue_the_log_is_dropped_or_corrupt,
    mark_beyond_its_own_frame_says_no_more_than_the_frame,
    frame_with_another_position_is_torn,
    empty_segment_with_a_damaged_header_is_removed_whatever_its_footer,
    mark_in_a_shorter_segment_makes_a_hole_corrupt,
    reader_is_refused_a_segment_that_begins_elsewhere_and_is_durable,
    footer_behind_a_gap_is_corrupt,
    segment_with_another_chain_behind_an_unfinished_one_is_removed_alone,
    end_is_a_clean_close_only_where_the_log_was_closed,
);

fn empty_directory_has_no_segments(place: &Place) {
    assert!(matches!(try_open(place, RecoveryMode::Repair).0, Err(RecoveryError::NoSegments)));
}

fn new_segment_is_an_empty_log(place: &Place) {
    let _log = Log::create(place, 1_000, true);
    let (recovered, frames) = open_twice(place);
    assert!(frames.is_empty());
    assert_eq!((recovered.active, recovered.end_offset, recovered.next_position), (1, HEADER, 0));
    assert_eq!((recovered.unsynced_from, recovered.torn), ((1, HEADER), None));
    assert_eq!(recovered.last_chain_hash.as_bytes(), &[0; 32]);
    assert!(recovered.clean_close.is_none());
}

fn clean_close_is_told_and_changes_no_byte(place: &Place) {
    let mut log = two_segments(place);
    log.finish(SegmentEnd::Closed);
    let bytes = place.snapshot();
    let (recovered, frames) = open_twice(place);
    assert_eq!(frames, shown(&log.written));
    assert_eq!(recovered.clean_close.unwrap().next_position, log.position);
    assert_eq!(recovered.durable_mark_max, log.position);
    assert_eq!(recovered.unsynced_from, (2, log.writer.end()));
    assert_eq!(recovered.last_chain_hash, log.chain);
    assert!(recovered.torn.is_none());
    assert_eq!(place.snapshot(), bytes);
}

fn unclean_end_has_all_frames_and_knows_what_is_unsynced(place: &Place) {
    let log = two_segments(place);
    let (recovered, frames) = open_twice(place);
    assert_eq!(frames, shown(&log.written));
    assert_eq!(recovered.durable_mark_max, log.mark);
    let unsynced = log.written.iter().find(|frame| frame.position == log.mark).unwrap();
    assert_eq!(recovered.unsynced_from, (unsynced.segment, unsynced.offset));
    assert_eq!((recovered.active, recovered.end_offset), (2, log.writer.end()));
    assert_eq!(recovered.next_position, log.position);
    assert!(recovered.clean_close.is_none() && recovered.torn.is_none());
    let first = recovered.segments.first().unwrap();
    assert_eq!(first.footer.unwrap().end, SegmentEnd::Rolled);
    assert_eq!((first.number, first.first_position), (1, 0));
}

fn store_is_taken_from_the_first_segment(place: &Place) {
    let _log = two_segments(place);
    let recovered =
        recover::<()>(place.disk.as_ref(), &place.dir, None, RecoveryMode::Repair, &mut |_| Ok(())).unwrap();
    assert_eq!(recovered.store, store());
}

fn visitor_error_ends_recovery(place: &Place) {
    let _log = two_segments(place);
    let mut seen = 0;
    let answer = recover(place.disk.as_ref(), &place.dir, None, RecoveryMode::Repair, &mut |_| {
        seen += 1;
        if seen == 3 { Err("third") } else { Ok(()) }
    });
    assert!(matches!(answer, Err(RecoveryError::Visit("third"))));
}

fn hole_before_a_later_frame_is_torn(place: &Place) {
    let mut log = Log::create(place, 1 << 20, false);
    log.append(b"synced");
    log.sync();
    log.append(b"lost");
    log.append(b"after it");
    let lost = log.written[1];
    place.zero(1, lost.offset, lost.end());
    let (recovered, frames) = open_twice(place);
    assert_eq!(frames, shown(&log.written[..1]));
    let bytes = log.writer.end() - lost.offset;
    assert_eq!(torn(&recovered), Some((1, lost.offset, bytes, TornReason::Unwritten)));
    let end = usize::try_from(lost.offset).unwrap();
    assert!(place.read(1)[end..].iter().all(|byte| *byte == 0));
}

fn hole_below_the_mark_is_corrupt(place: &Place) {
    let mut log = Log::create(place, 1 << 20, false);
    log.append(b"synced");
    log.append(b"synced too");
    log.sync();
    log.append(b"torn");
    log.append(b"knows");
    let (hole, torn) = (log.written[1], log.written[2]);
    place.zero(1, hole.offset, torn.offset + 9);
    let (answer, frames) = try_open(place, RecoveryMode::Repair);
    assert!(
        matches!(answer, Err(RecoveryError::Corrupt { segment: 1, offset, position: 1 }) if offset == hole.offset),
        "{answer:?}"
    );
    assert_eq!(frames, shown(&log.written[..1]));
}

fn stale_footer_after_reopening_is_torn(place: &Place) {
    let mut log = Log::create(place, 1 << 20, false);
    log.append(b"before");
    log.finish(SegmentEnd::Closed);
    let (recovered, _) = open(place);
    let mut again = Log::resume(place, &recovered, 1 << 20);
    again.append(b"");
    let (recovered, frames) = open_twice(place);
    assert_eq!(frames, [shown(&log.written), shown(&again.written)].concat());
    assert_eq!(recovered.end_offset, again.writer.end());
    assert!(recovered.clean_close.is_none());
    // Whether remains of the footer stand after the frame depends on their lengths.
    let remains = place.read(1).len() as u64 > again.writer.end();
    assert!(!remains || recovered.torn.is_some_and(|torn| torn.offset == again.writer.end()));
}

fn stale_footer_hides_behind_zeros_too(place: &Place) {
    let mut log = Log::create(place, 1 << 20, false);
    log.append(b"before");
    log.finish(SegmentEnd::Closed);
    let mut bytes = place.read(1);
    bytes.extend([0; 300_000]);
    place.put(1, &bytes);
    let (recovered, frames) = open_twice(place);
    assert_eq!(frames, shown(&log.written));
    assert!(recovered.clean_close.is_some());
    assert_eq!(place.read(1), bytes);
}

fn unwritten_last_segment_is_removed(place: &Place) {
    let mut log = two_segments(place);
    log.finish(SegmentEnd::Rolled);
    let before = place.snapshot();
    for content in [vec![], vec![0; 128], vec![0; 4_096], vec![1; 100]] {
        place.put(3, &content);
        let (recovered, frames) = open_twice(place);
        assert_eq!(frames, shown(&log.written));
        let bytes = content.iter().filter(|byte| **byte != 0).count() as u64;
        assert_eq!(torn(&recovered), Some((3, 0, bytes, TornReason::Creation)));
        assert_eq!((recovered.active, recovered.end_offset), (2, log.writer.end()));
        assert_eq!(place.snapshot(), before);
    }
}

fn unwritten_first_segment_is_an_unfinished_store(place: &Place) {
    for content in [vec![], vec![0; 128], vec![0; 9_999], vec![1; 50]] {
        place.put(1, &content);
        assert!(matches!(try_open(place, RecoveryMode::Repair).0, Err(RecoveryError::NoSegments)));
    }
}

fn damaged_first_header_is_corrupt(place: &Place) {
    let mut log = Log::create(place, 1 << 20, false);
    log.append(b"event");
    place.zero(1, 0, HEADER);
    let (answer, _) = try_open(place, RecoveryMode::Repair);
    assert!(matches!(answer, Err(RecoveryError::Corrupt { segment: 1, offset: 0, position: 0 })), "{answer:?}");
}

fn unfinished_footer_loses_nothing(place: &Place) {
    let mut log = Log::create(place, 1_400, false);
    log.append(&[1; 400]);
    log.sync();
    let footer = log.footer(SegmentEnd::Rolled);
    let end = log.writer.end();
    log.create_next(2);
    log.append(b"acked");
    log.sync();
    log.append(b"later");
    let first = place.read(1);
    for len in 0..footer.len() {
        let place = place.duplicate();
        place.put(1, &[&first, &footer[..len]].concat());
        let (recovered, frames) = open_twice(&place);
        assert_eq!(frames, shown(&log.written));
        assert!(recovered.torn.is_none());
        let info = recovered.segments.first().unwrap();
        assert!(info.footer.is_none());
        // The writer then finishes it.
        let mut writer = SegmentWriter::resume(place.disk.clone(), &place.dir, 1, info.log_len).unwrap();
        writer.finish(&footer).unwrap();
        let (recovered, frames) = open_twice(&place);
        assert_eq!(frames, shown(&log.written));
        assert_eq!(recovered.segments.first().unwrap().footer.unwrap().log_len, end);
    }
}

fn later_segment_is_dropped_with_the_cut(place: &Place) {
    let mut log = Log::create(place, 1 << 20, false);
    log.append(b"stays");
    log.append(b"lost");
    let lost = log.written[1];
    log.create_next(2);
    log.append(b"dropped");
    place.zero(1, lost.offset, lost.end());
    let dropped = place.read(2).len() as u64;
    let (recovered, frames) = open_twice(place);
    assert_eq!(frames, shown(&log.written[..1]));
    let reason = TornReason::Missing;
    assert_eq!(torn(&recovered), Some((1, lost.offset, dropped, reason)));
    assert!(!place.disk.exists(&segment_path(&place.dir, 2)).unwrap());
}

fn later_segment_does_not_hide_what_is_wrong_before_it(place: &Place) {
    let mut log = Log::create(place, 1 << 20, false);
    log.append(b"stays");
    log.append_batch(&[b"whole", b"damaged"]);
    let (start, damaged) = (log.written[1], log.written[2]);
    log.create_next(2);
    log.append(b"dropped");
    let mut bytes = place.read(1);
    bytes[usize::try_from(damaged.offset).unwrap() + 50] ^= 1;
    place.put(1, &bytes);
    let dropped = start.len + damaged.len + place.read(2).len() as u64;
    {
        let place = place.duplicate();
        let (recovered, frames) = open_twice(&place);
        assert_eq!(frames, shown(&log.written[..1]));
        let reason = TornReason::Frame(FrameError::Check);
        assert_eq!(torn(&recovered), Some((1, start.offset, dropped, reason)));
    }
    log.finish(SegmentEnd::Closed);
    let (answer, _) = try_open(place, RecoveryMode::Repair);
    assert!(
        matches!(answer, Err(RecoveryError::Corrupt { segment: 1, offset, position: 2 }) if offset == damaged.offset),
        "{answer:?}"
    );
}

fn later_footer_makes_a_hole_corrupt(place: &Place) {
    let mut log = Log::create(place, 1 << 20, false);
    log.append(b"stays");
    log.append(b"lost");
    let lost = log.written[1];
    log.create_next(2);
    log.append(b"closed");
    log.finish(SegmentEnd::Closed);
    place.zero(1, lost.offset, lost.end());
    let (answer, _) = try_open(place, RecoveryMode::Repair);
    assert!(
        matches!(answer, Err(RecoveryError::Corrupt { segment: 1, offset, position: 1 }) if offset == lost.offset),
        "{answer:?}"
    );
}

fn two_unfinished_segments_are_corrupt(place: &Place) {
    let mut log = Log::create(place, 1 << 20, false);
    log.append(b"one");
    let end = log.writer.end();
    log.create_next(2);
    log.append(b"two");
    log.create_next(3);
    log.append(b"three");
    for mode in [RecoveryMode::Repair, RecoveryMode::ReadOnly] {
        let (answer, _) = try_open(place, mode);
        assert!(
            matches!(answer, Err(RecoveryError::Corrupt { segment: 1, offset, position: 1 }) if offset == end),
            "{answer:?}"
        );
    }
}

fn reader_sees_a_prefix_and_changes_nothing(place: &Place) {
    let log = two_segments(place);
    let last = *log.written.last().unwrap();
    place.truncate(2, last.end() - 1);
    place.put(3, &[]);
    // A file without a header comes after an unfinished one only while a writer creates it.
    let bytes = place.snapshot();
    let (answer, frames) = try_open(place, RecoveryMode::ReadOnly);
    let recovered = answer.unwrap();
    assert_eq!(frames, shown(&log.written[..log.written.len() - 1]));
    assert!(recovered.torn.is_none() && recovered.clean_close.is_none());
    assert_eq!((recovered.active, recovered.end_offset), (2, last.offset));
    let refused = make_durable(place.disk.as_ref(), &place.dir, &recovered).unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::InvalidInput);
    assert_eq!(place.snapshot(), bytes);
}

fn reader_is_refused_what_is_corrupt(place: &Place) {
    let log = two_segments(place);
    let frame = log.written.iter().find(|frame| frame.segment == 2).unwrap();
    place.zero(2, frame.offset, frame.end());
    let (answer, _) = try_open(place, RecoveryMode::ReadOnly);
    assert!(
        matches!(answer, Err(RecoveryError::Corrupt { segment: 2, offset, position })
            if offset == frame.offset && position == frame.position),
        "{answer:?}"
    );
}

fn zeros_far_beyond_the_end_are_cut(place: &Place) {
    let mut log = Log::create(place, 1 << 20, false);
    log.append(b"event");
    log.writer.file().set_len(3 << 20).unwrap();
    let (recovered, frames) = open_twice(place);
    assert_eq!(frames, shown(&log.written));
    assert!(recovered.torn.is_none());
    assert_eq!(place.read(1).len() as u64, log.writer.end() + (256 << 10));
}

fn footer_that_states_another_log_is_corrupt(place: &Place) {
    type Lie = fn(&mut SegmentSummary);
    let lies: [Lie; 4] = [
        |summary| summary.next_position += 1,
        |summary| summary.first_position += 1,
        |summary| summary.chain_hash = ChainHash::from_bytes([9; 32]),
        |summary| summary.next_position -= 1,
    ];
    let mut log = two_segments(place);
    let end = log.writer.end();
    let mut honest = log.summary(SegmentEnd::Closed);
    for lie in lies {
        let mut summary = honest;
        lie(&mut summary);
        log.writer.finish(&footer_bytes(&summary)).unwrap();
        let (answer, _) = try_open(place, RecoveryMode::Repair);
        assert!(
            matches!(answer, Err(RecoveryError::Corrupt { segment: 2, offset, .. }) if offset == end),
            "{answer:?}"
        );
    }
    // A summary that disagrees with the footer it stands in is no footer.
    honest.log_len += 1;
    let bytes = FooterBuilder::new().section(SECTION_SUMMARY, SUMMARY_VERSION, &honest.encode()).finish(end);
    log.writer.finish(&bytes).unwrap();
    let (recovered, frames) = open_twice(place);
    assert_eq!((frames, recovered.torn.unwrap().offset), (shown(&log.written), end));
}

fn segment_that_does_not_continue_the_log_is_dropped_or_corrupt(place: &Place) {
    let mut log = two_segments(place);
    log.finish(SegmentEnd::Rolled);
    let other = ChainHash::from_bytes([9; 32]);
    for (position, chain) in [(log.position, other), (log.position - 1, log.chain), (log.position + 1, log.chain)] {
        let place = place.duplicate();
        place.put(3, &header(3, position, chain).encode());
        let (recovered, frames) = open_twice(&place);
        assert_eq!(frames, shown(&log.written));
        assert_eq!(torn(&recovered), Some((3, 0, 128, TornReason::Creation)));

        // With another one after it, it cannot be a creation cut short.
        place.put(3, &header(3, position, chain).encode());
        place.put(4, &header(4, log.position, log.chain).encode());
        let (answer, _) = try_open(&place, RecoveryMode::Repair);
        assert!(matches!(answer, Err(RecoveryError::Corrupt { segment: 3, offset: 0, .. })), "{answer:?}");
    }
}

fn mark_beyond_its_own_frame_says_no_more_than_the_frame(place: &Place) {
    let mut log = Log::create(place, 1 << 20, false);
    log.append(b"zero");
    log.append(b"one");
    log.mark = u64::MAX;
    log.append(b"two");
    let (recovered, frames) = open_twice(place);
    assert_eq!(frames, shown(&log.written));
    assert_eq!(recovered.durable_mark_max, 2);
    assert_eq!(recovered.unsynced_from, (1, log.written[2].offset));
    // It states its forerunners to be durable, and not the one that damages it.
    place.zero(1, log.written[1].offset, log.written[1].end());
    assert!(matches!(try_open(place, RecoveryMode::Repair).0, Err(RecoveryError::Corrupt { position: 1, .. })));
}

fn frame_with_another_position_is_torn(place: &Place) {
    let mut log = Log::create(place, 1 << 20, false);
    log.append(b"zero");
    log.position = 5;
    log.append(b"five");
    let (recovered, frames) = open_twice(place);
    let five = log.written[1];
    assert_eq!(frames, shown(&log.written[..1]));
    assert_eq!(torn(&recovered), Some((1, five.offset, five.len, TornReason::Position { found: 5 })));
}

fn empty_segment_with_a_damaged_header_is_removed_whatever_its_footer(place: &Place) {
    let mut log = two_segments(place);
    log.finish(SegmentEnd::Rolled);
    log.create_next(3);
    log.finish(SegmentEnd::Closed);
    let mut bytes = place.read(3);
    bytes[60] ^= 1;
    place.put(3, &bytes);
    // Its footer states what is before it to be durable, and nothing that would go with it.
    let (recovered, frames) = open_twice(place);
    assert_eq!(frames, shown(&log.written));
    assert_eq!(torn(&recovered), Some((3, 0, bytes.len() as u64, TornReason::Creation)));
}

fn mark_in_a_shorter_segment_makes_a_hole_corrupt(place: &Place) {
    let mut log = Log::create(place, 1 << 20, false);
    log.append(&[1; 1_000]);
    log.append(b"lost");
    let lost = log.written[1];
    log.sync();
    log.create_next(2);
    log.append(b"after the sync");
    assert!(log.writer.end() < lost.offset);
    place.zero(1, lost.offset, lost.end());
    let (answer, _) = try_open(place, RecoveryMode::Repair);
    assert!(
        matches!(answer, Err(RecoveryError::Corrupt { segment: 1, offset, position: 1 }) if offset == lost.offset),
        "{answer:?}"
    );
}

fn reader_is_refused_a_segment_that_begins_elsewhere_and_is_durable(place: &Place) {
    let mut log = two_segments(place);
    log.finish(SegmentEnd::Rolled);
    let (first, chain) = (log.position, log.chain);
    log.create_next(3);
    log.append(b"durable");
    log.finish(SegmentEnd::Closed);
    let mut bytes = place.read(3);
    bytes[..128].copy_from_slice(&header(3, first + 1, chain).encode());
    place.put(3, &bytes);
    let (answer, frames) = try_open(place, RecoveryMode::ReadOnly);
    assert!(
        matches!(answer, Err(RecoveryError::Corrupt { segment: 3, offset: 0, position }) if position == first),
        "{answer:?}"
    );
    assert_eq!(frames, shown(&log.written[..usize::try_from(first).unwrap()]));
}

fn footer_behind_a_gap_is_corrupt(place: &Place) {
    let log = two_segments(place);
    let end = log.writer.end();
    let mut summary = log.summary(SegmentEnd::Closed);
    summary.log_len += 8;
    place.put(2, &[place.read(2), vec![0; 8], footer_bytes(&summary)].concat());
    let (answer, _) = try_open(place, RecoveryMode::Repair);
    assert!(matches!(answer, Err(RecoveryError::Corrupt { segment: 2, offset, .. }) if offset == end), "{answer:?}");
}

fn segment_with_another_chain_behind_an_unfinished_one_is_removed_alone(place: &Place) {
    let log = two_segments(place);
    place.put(3, &header(3, log.position, ChainHash::from_bytes([9; 32])).encode());
    let (recovered, frames) = open_twice(place);
    assert_eq!(frames, shown(&log.written));
    assert_eq!(torn(&recovered), Some((3, 0, 128, TornReason::Creation)));
}

fn end_is_a_clean_close_only_where_the_log_was_closed(place: &Place) {
    let mut log = two_segments(place);
    log.finish(SegmentEnd::Rolled);
    let (recovered, frames) = open_twice(place);
    assert_eq!((recovered.clean_close, recovered.torn, frames), (None, None, shown(&log.written)));
    log.finish(SegmentEnd::Closed);
    assert!(open(place).0.clean_close.is_some());
    place.put(3, &header(3, log.position + 1, log.chain).encode());
    let (recovered, _) = open(place);
    assert_eq!((recovered.clean_close, torn(&recovered)), (None, Some((3, 0, 128, TornReason::Creation))));
}
