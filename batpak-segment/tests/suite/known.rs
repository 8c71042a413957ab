//! Frames that a visitor knows: they are not shown, count as durable, and lead to the same end.

use batpak_format::{SegmentEnd, SegmentHeader, SegmentSummary};
use batpak_segment::{Known, LogVisitor, RecoveredFrame, RecoveryError, RecoveryMode, recover, recover_from};

use crate::log::{footer_bytes, open, store, two_segments};
use crate::place::{Place, on_both_disks};

on_both_disks!(known_frames_are_not_shown_and_durable, segment_whose_footer_begins_elsewhere_is_not_asked_about);

/// Knows one segment up to a place, and notes what it is asked and shown.
#[derive(Default)]
struct Knowing {
    known: Option<(u64, Known)>,
    asked: Vec<u64>,
    shown: Vec<u64>,
}

impl LogVisitor for Knowing {
    type Error = std::convert::Infallible;

    fn known(&mut self, segment: &SegmentHeader, _: Option<&SegmentSummary>) -> Result<Option<Known>, Self::Error> {
        self.asked.push(segment.number);
        Ok(self.known.filter(|known| known.0 == segment.number).map(|known| known.1))
    }

    fn frame(&mut self, frame: RecoveredFrame<'_>) -> Result<(), Self::Error> {
        self.shown.push(frame.frame.header().position());
        Ok(())
    }
}

/// The segment of each event, and what is known of it up to there.
fn known(place: &Place) -> Vec<(u64, Known)> {
    let mut known = Vec::new();
    recover::<()>(place.disk.as_ref(), &place.dir, Some(store()), RecoveryMode::Repair, &mut |frame| {
        let (header, end) = (frame.frame.header(), frame.offset + u64::from(frame.len));
        known.push((
            frame.segment,
            Known { end, next_position: header.position() + 1, chain_hash: header.chain_hash() },
        ));
        Ok(())
    })
    .unwrap();
    known
}

fn known_frames_are_not_shown_and_durable(place: &Place) {
    let log = two_segments(place);
    let (expected, _) = open(place);
    for (last, (segment, upto)) in log.written.iter().zip(known(place)) {
        if log.written.iter().any(|frame| frame.position > last.position && frame.batch_position <= last.position) {
            continue;
        }
        let mut visitor = Knowing { known: Some((segment, upto)), ..Knowing::default() };
        let mode = RecoveryMode::Repair;
        let found = recover_from(place.disk.as_ref(), &place.dir, Some(store()), mode, &mut visitor).unwrap();
        let read = log.written.iter().filter(|frame| frame.segment != segment || frame.position > last.position);
        assert_eq!(visitor.shown, read.map(|frame| frame.position).collect::<Vec<_>>());
        assert_eq!(visitor.asked, [1, 2]);
        assert_eq!(found.durable_mark_max, expected.durable_mark_max.max(upto.next_position));
        let end = (found.end_offset, found.next_position, found.last_chain_hash);
        assert_eq!(end, (expected.end_offset, expected.next_position, expected.last_chain_hash));
    }
}

fn segment_whose_footer_begins_elsewhere_is_not_asked_about(place: &Place) {
    let mut log = two_segments(place);
    let end = log.writer.end();
    let mut lie = log.summary(SegmentEnd::Closed);
    lie.first_position += 1;
    log.writer.finish(&footer_bytes(&lie)).unwrap();
    let mut visitor = Knowing::default();
    let mode = RecoveryMode::Repair;
    let answer = recover_from(place.disk.as_ref(), &place.dir, Some(store()), mode, &mut visitor);
    assert!(matches!(answer, Err(RecoveryError::Corrupt { segment: 2, offset, .. }) if offset == end), "{answer:?}");
    assert_eq!(visitor.asked, [1]);
}
