//! Segments that a visitor knows whole: not opened when they lead to the log, and opened when they do not.

use std::convert::Infallible;

use batpak_format::{ChainHash, SEGMENT_HEADER_LEN, SegmentEnd, SegmentHeader, SegmentSummary};
use batpak_segment::{
    Access, Known, KnownSegment, LogVisitor, Recovered, RecoveredFrame, RecoveryMode, Unopened, read_footer,
    recover_from, segment_path,
};

use crate::log::{Log, open, store};
use crate::place::{Place, on_both_disks};

on_both_disks!(
    known_segments_are_not_read_and_the_log_is_the_same,
    known_segments_that_do_not_lead_to_the_log_are_read,
    known_segments_that_are_not_taken_are_read,
    known_segments_that_are_offered_beyond_the_limit_are_read,
);

/// Offers what it knows, and notes what it is shown.
#[derive(Default)]
struct Knowing {
    known: Vec<KnownSegment>,
    /// Offers those that must be opened too.
    beyond: bool,
    offered: usize,
    shown: Vec<(u64, u64)>,
}

impl LogVisitor for Knowing {
    type Error = Infallible;

    fn offer(&mut self, unopened: Unopened) -> Vec<KnownSegment> {
        assert!(unopened.segment < unopened.limit, "asked where every segment must be opened");
        let known = self.known.iter().skip_while(|known| known.header.number != unopened.segment);
        let offered: Vec<_> =
            known.take_while(|known| self.beyond || known.header.number < unopened.limit).copied().collect();
        self.offered = offered.len();
        offered
    }

    fn take_offered(&mut self) -> Result<usize, Infallible> {
        Ok(self.offered)
    }

    fn known(&mut self, _: &SegmentHeader, _: Option<&SegmentSummary>) -> Result<Option<Known>, Infallible> {
        Ok(None)
    }

    fn frame(&mut self, frame: RecoveredFrame<'_>) -> Result<(), Infallible> {
        self.shown.push((frame.segment, frame.frame.header().position()));
        Ok(())
    }
}

/// A log of six segments, and what the first five say of themselves.
fn six_segments(place: &Place) -> Vec<KnownSegment> {
    write_six(place);
    (1..6).map(|number| known(place, number)).collect()
}

fn write_six(place: &Place) -> Log {
    let mut log = Log::create(place, 1_600, false);
    while log.tail.segment < 6 {
        log.append(&[7; 500]);
    }
    log.sync();
    log
}

fn known(place: &Place, number: u64) -> KnownSegment {
    let file = place.disk.open(&segment_path(&place.dir, number), Access::Read).unwrap();
    let mut header = [0; SEGMENT_HEADER_LEN];
    file.read_exact_at(&mut header, 0).unwrap();
    let footer = read_footer(file.as_ref()).unwrap().unwrap();
    let header = SegmentHeader::decode(&header).unwrap();
    KnownSegment { header, footer: footer.summary, footer_end: footer.end }
}

fn recover(place: &Place, known: &[KnownSegment]) -> (Recovered, Vec<(u64, u64)>) {
    let mut visitor = Knowing { known: known.to_vec(), ..Knowing::default() };
    let mode = RecoveryMode::Repair;
    let recovered = recover_from(place.disk.as_ref(), &place.dir, Some(store()), mode, &mut visitor).unwrap();
    (recovered, visitor.shown)
}

fn known_segments_are_not_read_and_the_log_is_the_same(place: &Place) {
    let known = six_segments(place);
    let (expected, all) = open(place);
    for count in 0..=known.len() {
        let (recovered, shown) = recover(place, &known[..count]);
        assert_eq!(format!("{recovered:?}"), format!("{expected:?}"));
        let read: Vec<_> = all.iter().filter(|frame| frame.0 > count as u64).map(|frame| (frame.0, frame.3)).collect();
        assert_eq!(shown, read, "{count} are known");
    }
}

fn known_segments_that_do_not_lead_to_the_log_are_read(place: &Place) {
    let known = six_segments(place);
    let (expected, all) = open(place);
    let other = ChainHash::from_bytes([9; 32]);
    let wrong: [&dyn Fn(&mut KnownSegment); 6] = [
        &|known| known.header.number += 1,
        &|known| known.header.first_position += 1,
        &|known| known.header.previous_chain_hash = other,
        &|known| known.footer.first_position += 1,
        &|known| known.footer.next_position += 1,
        &|known| known.footer.chain_hash = other,
    ];
    for (case, spoil) in wrong.iter().enumerate() {
        for at in 0..known.len() {
            let mut spoiled = known.clone();
            spoil(&mut spoiled[at]);
            let (recovered, shown) = recover(place, &spoiled);
            assert_eq!(format!("{recovered:?}"), format!("{expected:?}"), "case {case} at {at}");
            let frames = all.iter().filter(|frame| frame.0 == at as u64 + 1).map(|frame| (frame.0, frame.3));
            assert!(frames.clone().count() > 0);
            frames.for_each(|frame| assert!(shown.contains(&frame), "case {case} at {at}"));
        }
    }
    // Of the last but one the footer is looked at.
    let mut spoiled = known;
    spoiled[4].footer.epoch_max += 1;
    assert!(recover(place, &spoiled).1.iter().any(|(segment, _)| *segment == 5));
}

/// Offers what it knows, and takes nothing of it.
struct Offering(Knowing);

impl LogVisitor for Offering {
    type Error = Infallible;

    fn offer(&mut self, unopened: Unopened) -> Vec<KnownSegment> {
        self.0.offer(unopened)
    }

    fn known(&mut self, _: &SegmentHeader, _: Option<&SegmentSummary>) -> Result<Option<Known>, Infallible> {
        Ok(None)
    }

    fn frame(&mut self, frame: RecoveredFrame<'_>) -> Result<(), Infallible> {
        self.0.frame(frame)
    }
}

fn known_segments_that_are_not_taken_are_read(place: &Place) {
    let known = six_segments(place);
    let all: Vec<_> = open(place).1.iter().map(|frame| (frame.0, frame.3)).collect();
    let mut visitor = Offering(Knowing { known, ..Knowing::default() });
    let mode = RecoveryMode::Repair;
    recover_from(place.disk.as_ref(), &place.dir, Some(store()), mode, &mut visitor).unwrap();
    assert!(visitor.0.offered > 0);
    assert_eq!(visitor.0.shown, all);
}

fn known_segments_that_are_offered_beyond_the_limit_are_read(place: &Place) {
    write_six(place).finish(SegmentEnd::Rolled);
    let known: Vec<_> = (1..=6).map(|number| known(place, number)).collect();
    let all: Vec<_> = open(place).1.iter().map(|frame| (frame.0, frame.3)).collect();
    let mut visitor = Knowing { known, beyond: true, ..Knowing::default() };
    let mode = RecoveryMode::Repair;
    recover_from(place.disk.as_ref(), &place.dir, Some(store()), mode, &mut visitor).unwrap();
    assert_eq!(visitor.shown, all);
}
