//! The active segment cut at every length recovers to a prefix.

use crate::log::{HEADER, open_twice, shown, two_segments};
use crate::place::Place;

#[test]
fn every_truncation_of_the_active_segment_recovers_to_a_prefix() {
    let place = Place::memory();
    let log = two_segments(&place);
    let active = place.read(2);
    for len in 0..=active.len() {
        let place = place.duplicate();
        place.put(2, &active[..len]);
        let (recovered, frames) = open_twice(&place);
        let len = len as u64;
        // Whole frames of whole batches.
        let batch_end = |position| log.written.iter().rfind(|frame| frame.batch_position == position).unwrap().end();
        let kept = log
            .written
            .iter()
            .filter(|frame| frame.segment == 1 || len >= HEADER && batch_end(frame.batch_position) <= len);
        let kept: Vec<_> = kept.copied().collect();
        assert_eq!(frames, shown(&kept), "cut at {len}");
        let last = kept.last().unwrap();
        let end = if len >= HEADER { last.end().max(HEADER) } else { 0 };
        let end = if last.segment == 1 { end.min(HEADER) } else { end };
        match recovered.torn {
            None => assert_eq!(len, end, "cut at {len}"),
            Some(torn) => {
                assert_eq!((torn.segment, torn.offset), (2, end), "cut at {len}");
                assert!(len != end || len == 0, "cut at {len}");
            }
        }
        assert_eq!(recovered.active, if len < HEADER { 1 } else { 2 });
    }
}
