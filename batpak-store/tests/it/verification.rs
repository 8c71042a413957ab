//! Verification beside appends, and of segments that are read in pieces.

use batpak_store::{Durability, Problem, ProblemKind, Store, VerifyOptions, format::FrameError};

use crate::{
    kit::{Place, both, event, sound},
    spots::{segment_file, spots},
};

/// Verification tells of its progress each so many events; the segment it is in then has to hold more.
const PROGRESS: u64 = 1024;

#[test]
fn verification_beside_appends_that_roll_the_segment_it_ends_in_finds_nothing() {
    both(|place: &Place| {
        let store = Store::create(place.dir(), place.config().segment_bytes(1024 * 1024)).unwrap();
        let buffered = |bytes: usize| {
            store.append(&event("a", &vec![7; bytes]).durability(Durability::Buffered)).unwrap();
        };
        while store.stats().visible_mark < PROGRESS + 10 {
            let events: Vec<_> = (0..94).map(|_| event("a", b"small").durability(Durability::Buffered)).collect();
            store.append_batch(&events).unwrap();
        }
        let visible = store.stats().visible_mark;
        assert_eq!(store.stats().segments, 1);
        let mut rolled = false;
        let mut roll = |position| {
            if position == PROGRESS {
                (0..3).for_each(|_| buffered(800 * 1024));
                rolled = store.stats().segments > 1;
            }
        };
        let report = store.verify(VerifyOptions::full(), &mut roll).unwrap();
        assert!(rolled, "the segment is rolled while it is verified");
        assert!(report.is_sound(), "{report:?}");
        assert_eq!(report.events + report.system_events, visible, "what was visible when it began");
        sound(&store);
    });
}

/// A segment of so many small events, an event longer than what is read at a time, and as many again.
const SMALL: u64 = 3000;

#[test]
fn verification_of_a_long_segment_names_the_one_event_that_was_changed() {
    both(|place: &Place| {
        let config = || place.config().segment_bytes(8 * 1024 * 1024).durability(Durability::Buffered);
        let store = Store::create(place.dir(), config()).unwrap();
        let small = || (0..SMALL).for_each(|_| drop(store.append(&event("a", &[7; 200])).unwrap()));
        small();
        let long = store.append(&event("b", &vec![8; 600 * 1024])).unwrap();
        small();
        store.sync().unwrap();
        assert_eq!(store.stats().segments, 1);
        let verified = || {
            let mut seen = Vec::new();
            let report = store.verify(VerifyOptions::full(), &mut |position| seen.push(position)).unwrap();
            (report, seen)
        };
        let (report, seen) = verified();
        assert!(report.is_sound(), "{report:?}");
        let all = store.stats().visible_mark;
        assert_eq!((report.events, report.opened, report.system_events), (2 * SMALL + 1, 2 * SMALL + 1, 1));
        let told: Vec<u64> = (1..=all / PROGRESS).map(|times| times * PROGRESS).chain([all]).collect();
        assert_eq!(seen, told);

        let file = segment_file(place, 1);
        let sound = place.read(&file);
        let spots = spots(place);
        for position in [SMALL / 2, long.position, long.position + 1, all - 2] {
            let spot = spots.iter().find(|spot| spot.position == position).unwrap();
            let mut changed = sound.clone();
            changed[spot.offset as usize + spot.len as usize / 2] ^= 1;
            place.put(&file, &changed);
            let (report, seen) = verified();
            let problem = |kind| Problem { segment: 1, offset: spot.offset, position, kind };
            let end = ProblemKind::End { expected: all, found: position };
            assert_eq!(report.problems, [ProblemKind::Frame(FrameError::Check), end].map(problem));
            assert_eq!((report.problems_total, report.events), (2, position - 1));
            assert_eq!(report.bytes, spot.offset);
            let told: Vec<u64> = (1..=position / PROGRESS).map(|times| times * PROGRESS).chain([position]).collect();
            assert_eq!(seen, told);
        }
        place.put(&file, &sound);
        assert!(verified().0.is_sound());
    });
}
