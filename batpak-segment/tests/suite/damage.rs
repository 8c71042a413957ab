//! Every byte of a small log damaged in turn: the answer is exactly what the rule of the durable mark says. The
//! expectation is worked out here from what was written, not by the code under test.

use batpak_format::SegmentEnd;
use batpak_segment::{RecoveryError, RecoveryMode, make_durable};

use crate::log::{HEADER, Log, Shown, Written, open, shown, try_open, two_segments};
use crate::place::Place;

const SEGMENT_VERSION_AT: u64 = 8;

/// What must come of a log with one damaged byte.
#[derive(Debug, PartialEq)]
enum Answer {
    /// Refused, with the segment and offset named.
    Corrupt(u64, u64),
    /// Refused because of the header's version or flags, or as corrupt at the header.
    HeaderRefused(u64),
    /// These frames stay, and the log is cut there.
    Cut(usize, u64, u64),
    /// Everything stays.
    Whole,
}

struct Case<'a> {
    log: &'a Log,
    /// Where the footer of the last segment begins, when it has one.
    closed: bool,
    lengths: [u64; 2],
}

impl Case<'_> {
    fn expected(&self, segment: u64, at: u64) -> Answer {
        // An unknown version is refused before anything else is believed.
        if (SEGMENT_VERSION_AT..SEGMENT_VERSION_AT + 2).contains(&at) {
            return Answer::HeaderRefused(segment);
        }
        if at < HEADER {
            return self.header(segment);
        }
        let Some(frame) = self.frame_at(segment, at) else {
            // A footer. The first segment may lack it; what is left of the second's stands after the end.
            let end = self.end_of(2);
            return if segment == 1 { Answer::Whole } else { Answer::Cut(self.log.written.len(), 2, end) };
        };
        if segment == 1 || self.closed || self.mark_after(frame.position) > frame.position {
            return Answer::Corrupt(segment, frame.offset);
        }
        let kept = usize::try_from(frame.batch_position).unwrap();
        Answer::Cut(kept, segment, frame.batch_start)
    }

    fn header(&self, segment: u64) -> Answer {
        let first = self.log.written.iter().find(|frame| frame.segment == 2).unwrap();
        if segment == 1 || self.closed || self.mark_after(first.position) > first.position {
            return Answer::HeaderRefused(segment);
        }
        Answer::Cut(usize::try_from(first.position).unwrap(), 2, 0)
    }

    fn frame_at(&self, segment: u64, at: u64) -> Option<Written> {
        let mut frames = self.log.written.iter();
        frames.find(|frame| frame.segment == segment && (frame.offset..frame.end()).contains(&at)).copied()
    }

    /// The highest mark in any frame after `position`.
    fn mark_after(&self, position: u64) -> u64 {
        let after = self.log.written.iter().filter(|frame| frame.position > position);
        after.map(|frame| frame.mark).max().unwrap_or(0)
    }

    fn end_of(&self, segment: u64) -> u64 {
        self.log.written.iter().rfind(|frame| frame.segment == segment).unwrap().end()
    }

    fn check_every_byte(&self, place: &Place) {
        for (segment, len) in [(1, self.lengths[0]), (2, self.lengths[1])] {
            let whole = place.read(segment);
            for at in 0..len {
                let index = usize::try_from(at).unwrap();
                for damaged in [whole[index] ^ 0x01, whole[index] ^ 0x80, 0x00, 0xff] {
                    if damaged == whole[index] {
                        continue;
                    }
                    let mut bytes = whole.clone();
                    bytes[index] = damaged;
                    place.put(segment, &bytes);
                    self.check(place, segment, at, damaged);
                }
            }
            place.put(segment, &whole);
        }
    }

    fn check(&self, place: &Place, segment: u64, at: u64, damaged: u8) {
        let what = format!("segment {segment} byte {at} set to {damaged:#04x}");
        let expected = self.expected(segment, at);
        let (answer, frames) = try_open(place, RecoveryMode::Repair);
        let found = match answer {
            Err(RecoveryError::Corrupt { segment, offset: 0, .. }) => Answer::HeaderRefused(segment),
            Err(RecoveryError::Corrupt { segment, offset, .. }) => Answer::Corrupt(segment, offset),
            Err(RecoveryError::UnknownVersion { segment, .. }) => Answer::HeaderRefused(segment),
            Err(RecoveryError::RequiredFlag { segment, .. }) => Answer::HeaderRefused(segment),
            Err(error) => panic!("{what}: {error:?}"),
            Ok(recovered) => {
                let kept: Shown = shown(&self.log.written[..frames.len()]);
                assert_eq!(frames, kept, "{what}");
                match recovered.torn {
                    Some(torn) => Answer::Cut(frames.len(), torn.segment, torn.offset),
                    None => Answer::Whole,
                }
            }
        };
        assert_eq!(found, expected, "{what}");
        if found == Answer::Whole {
            assert_eq!(frames.len(), self.log.written.len(), "{what}");
        }
    }
}

fn lengths(place: &Place) -> [u64; 2] {
    [1, 2].map(|number| place.read(number).len() as u64)
}

#[test]
fn damage_to_an_unclosed_log_is_corrupt_below_the_mark_and_torn_above() {
    let place = Place::memory();
    let log = two_segments(&place);
    Case { log: &log, closed: false, lengths: lengths(&place) }.check_every_byte(&place);
}

#[test]
fn damage_to_a_closed_log_is_corrupt_outside_its_footer() {
    let place = Place::memory();
    let mut log = two_segments(&place);
    log.finish(SegmentEnd::Closed);
    Case { log: &log, closed: true, lengths: lengths(&place) }.check_every_byte(&place);
}

#[test]
fn damage_to_a_second_segment_without_marks_is_torn() {
    let place = Place::memory();
    let mut log = Log::create(&place, 1 << 20, false);
    log.append(b"one");
    log.append_batch(&[b"two", b"three"]);
    log.finish(SegmentEnd::Rolled);
    log.mark = log.position;
    log.create_next(2);
    for payload in [b"four", b"five"] {
        log.append(payload);
    }
    log.append_batch(&[b"six", b"seven", b"eight"]);
    Case { log: &log, closed: false, lengths: lengths(&place) }.check_every_byte(&place);
}

#[test]
fn junk_after_the_end_is_cut() {
    let place = Place::memory();
    let log = two_segments(&place);
    let (end, whole) = (log.writer.end(), place.read(2));
    for gap in [0usize, 1, 3, 4, 200] {
        for junk in [0x01, 0xff] {
            place.put(2, &[whole.clone(), vec![0; gap], vec![junk], vec![0; 50]].concat());
            let (recovered, frames) = open(&place);
            assert_eq!(frames, shown(&log.written));
            let torn = recovered.torn.unwrap();
            assert_eq!((torn.segment, torn.offset, torn.bytes), (2, end, gap as u64 + 1));
            make_durable(place.disk.as_ref(), &place.dir, &recovered).unwrap();
            assert_eq!(open(&place).0.torn, None);
        }
    }
}

#[test]
fn frame_like_bytes_that_cost_too_much_are_refused_and_not_cut() {
    let place = Place::memory();
    let mut log = Log::create(&place, 1 << 30, false);
    log.append(b"stays");
    // Fixed parts that all claim the rest of the file: each place of them would be checked to its end.
    let mut hostile = Vec::new();
    let total = 4u32 << 20;
    while (hostile.len() as u32) < total {
        let len = total - hostile.len() as u32;
        let mut fixed = [0; 104];
        fixed[..4].copy_from_slice(&len.to_le_bytes());
        fixed[96..100].copy_from_slice(&len.saturating_sub(110).to_le_bytes());
        fixed[100] = 3;
        fixed[102] = 3;
        hostile.extend(fixed);
    }
    let whole = place.read(1);
    place.put(1, &[whole, hostile].concat());
    let (answer, _) = try_open(&place, RecoveryMode::Repair);
    let end = log.writer.end();
    assert!(
        matches!(answer, Err(RecoveryError::Corrupt { segment: 1, offset, position: 1 }) if offset == end),
        "{answer:?}"
    );
}
