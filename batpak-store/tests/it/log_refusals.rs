//! Logs that no open takes: a segment that is missing, cut, foreign to this version; and that nobody is told to remove one.

use std::path::PathBuf;

use batpak_store::{
    OpenError, Store,
    format::SegmentHeader,
    segment::{RecoveryError, SEGMENTS_DIR, segment_path},
};

use crate::kit::{Place, append, both, unchanged};

fn segment(place: &Place, number: u64) -> PathBuf {
    segment_path(&place.dir().join(SEGMENTS_DIR), number)
}

/// A closed store of at least three segments.
fn rolled(place: &Place) {
    let store = place.create();
    while store.stats().segments < 3 {
        append(&store, "a", &[7; 900]);
    }
    store.close().unwrap();
}

/// Opens for writing and for reading; both must be refused so, and nothing may change.
fn recovery_refused(place: &Place, so: impl Fn(&RecoveryError<batpak_store::format::FrameError>) -> bool) {
    let files = place.files();
    for opened in [Store::open(place.dir(), place.config()), Store::open_read_only(place.dir(), place.config())] {
        let refused = opened.unwrap_err();
        let OpenError::Recovery(why) = &refused else { panic!("{refused:?}") };
        assert!(so(why), "{why:?}");
    }
    let refused = Store::create(place.dir(), place.config()).unwrap_err();
    assert!(
        !matches!(refused, OpenError::UnfinishedCreation { .. }),
        "nobody may be told to remove a log: {refused:?}"
    );
    unchanged(place, &files);
}

#[test]
fn segment_that_is_missing_is_a_gap() {
    both(|place| {
        rolled(place);
        for number in [1, 2] {
            let bytes = place.read(&segment(place, number));
            place.disk.remove(&segment(place, number)).unwrap();
            let next = number + 1;
            recovery_refused(
                place,
                |why| matches!(why, RecoveryError::SegmentGap { expected, found } if (*expected, *found) == (number, next)),
            );
            place.put(&segment(place, number), &bytes);
        }
        place.open();
    });
}

#[test]
fn first_segment_without_its_begin_is_corrupt_when_others_follow() {
    both(|place| {
        rolled(place);
        let bytes = place.read(&segment(place, 1));
        for len in [0, 100, 128, 200] {
            place.put(&segment(place, 1), &bytes[..len]);
            recovery_refused(
                place,
                |why| matches!(why, RecoveryError::Corrupt { segment: 1, offset, position: 0 } if *offset <= 128),
            );
        }
        place.put(&segment(place, 1), &bytes);
        place.open();
    });
}

#[test]
fn unknown_version_and_unknown_required_flag_of_any_segment_are_named() {
    both(|place| {
        rolled(place);
        for number in [1, 2, 3] {
            let bytes = place.read(&segment(place, number));
            let mut later = bytes.clone();
            later[8..10].copy_from_slice(&9_u16.to_le_bytes());
            place.put(&segment(place, number), &later);
            recovery_refused(
                place,
                |why| matches!(why, RecoveryError::UnknownVersion { segment, version: 9 } if *segment == number),
            );
            let mut flagged = bytes.clone();
            let header = SegmentHeader { required_flags: 1 << 31, ..SegmentHeader::decode(&bytes).unwrap() };
            flagged[..128].copy_from_slice(&header.encode());
            place.put(&segment(place, number), &flagged);
            recovery_refused(
                place,
                |why| matches!(why, RecoveryError::RequiredFlag { segment, flags: 0x8000_0000 } if *segment == number),
            );
            // An optional one is nobody's business.
            let mut optional = bytes.clone();
            let header = SegmentHeader { optional_flags: 1 << 31, ..SegmentHeader::decode(&bytes).unwrap() };
            optional[..128].copy_from_slice(&header.encode());
            place.put(&segment(place, number), &optional);
            place.reader();
            place.put(&segment(place, number), &bytes);
        }
        place.open();
    });
}

#[test]
fn log_that_is_gone_is_never_taken_for_an_unfinished_creation() {
    both(|place| {
        rolled(place);
        for number in 1..=3 {
            place.disk.remove(&segment(place, number)).unwrap();
        }
        for refused in [
            Store::open(place.dir(), place.config()).unwrap_err(),
            Store::open_read_only(place.dir(), place.config()).unwrap_err(),
            Store::create(place.dir(), place.config()).unwrap_err(),
        ] {
            assert!(matches!(refused, OpenError::LogRolledBack { found: 0, seen: 1.. }), "{refused:?}");
        }
    });
}
