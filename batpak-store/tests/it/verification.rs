//! Verification beside appends.

use batpak_store::{Durability, VerifyOptions};

use crate::kit::{Place, both, event, sound};

/// Verification tells of its progress each so many events; the segment it is in then has to hold more.
const PROGRESS: u64 = 1024;

#[test]
fn verification_beside_appends_that_roll_the_segment_it_ends_in_finds_nothing() {
    both(|place: &Place| {
        let store = batpak_store::Store::create(place.dir(), place.config().segment_bytes(1024 * 1024)).unwrap();
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
