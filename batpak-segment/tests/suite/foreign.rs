//! What is not of this log is refused, and nothing is changed.

use batpak_format::{ChainHash, StoreId};
use batpak_segment::{RecoveryError, RecoveryMode, recover, segment_file_name, segment_path};

use crate::log::{Log, header, open, shown, try_open, two_segments};
use crate::place::{Place, on_both_disks};

on_both_disks!(
    foreign_file_is_named,
    foreign_directory_is_named,
    missing_segment_is_a_gap,
    missing_first_segment_is_a_gap,
    segment_of_another_store_is_foreign,
    segment_under_another_number_is_foreign,
    unknown_version_is_refused,
    unknown_required_flag_is_refused,
    optional_flag_is_no_matter,
);

fn foreign_file_is_named(place: &Place) {
    let _log = two_segments(place);
    for name in ["note.txt", "1.seg", "00000000000000000003.seg.tmp"] {
        let path = place.dir.join(name);
        place.put_named(&path, b"foreign");
        let (answer, frames) = try_open(place, RecoveryMode::Repair);
        assert!(matches!(answer, Err(RecoveryError::ForeignFile { name: found }) if found == name));
        assert!(frames.is_empty());
        place.disk.remove(&path).unwrap();
    }
}

fn foreign_directory_is_named(place: &Place) {
    let _log = two_segments(place);
    place.disk.create_dir(&segment_path(&place.dir, 3), 0o700).unwrap();
    let (answer, _) = try_open(place, RecoveryMode::ReadOnly);
    assert!(matches!(answer, Err(RecoveryError::ForeignFile { name }) if name == segment_file_name(3).as_str()));
}

fn missing_segment_is_a_gap(place: &Place) {
    let mut log = Log::create(place, 300, false);
    for _ in 0..4 {
        log.append(&[1; 200]);
    }
    place.remove(3);
    for mode in [RecoveryMode::Repair, RecoveryMode::ReadOnly] {
        assert!(matches!(try_open(place, mode).0, Err(RecoveryError::SegmentGap { expected: 3, found: 4 })));
    }
}

fn missing_first_segment_is_a_gap(place: &Place) {
    let _log = two_segments(place);
    place.remove(1);
    let (answer, _) = try_open(place, RecoveryMode::Repair);
    assert!(matches!(answer, Err(RecoveryError::SegmentGap { expected: 1, found: 2 })));
}

fn segment_of_another_store_is_foreign(place: &Place) {
    let _log = two_segments(place);
    let other = StoreId::from_bytes([8; 16]);
    let answer = recover::<()>(place.disk.as_ref(), &place.dir, Some(other), RecoveryMode::Repair, &mut |_| Ok(()));
    assert!(matches!(answer, Err(RecoveryError::ForeignSegment { segment: 1, number: 1, .. })));

    let mut second = header(2, 0, ChainHash::from_bytes([0; 32]));
    second.store = other;
    place.put(2, &second.encode());
    let (answer, _) = try_open(place, RecoveryMode::Repair);
    assert!(
        matches!(answer, Err(RecoveryError::ForeignSegment { segment: 2, store, .. }) if store == other),
        "{answer:?}"
    );
}

fn segment_under_another_number_is_foreign(place: &Place) {
    let _log = two_segments(place);
    let second = place.read(2);
    place.put(3, &second);
    let (answer, _) = try_open(place, RecoveryMode::Repair);
    // The second segment is the one before the last now, and may lack a footer; the third is a copy of it.
    assert!(matches!(answer, Err(RecoveryError::ForeignSegment { segment: 3, number: 2, .. })), "{answer:?}");
}

fn unknown_version_is_refused(place: &Place) {
    let _log = two_segments(place);
    let mut bytes = place.read(1);
    bytes[8] = 99;
    place.put(1, &bytes);
    let (answer, _) = try_open(place, RecoveryMode::Repair);
    assert!(matches!(answer, Err(RecoveryError::UnknownVersion { segment: 1, version: 99 })), "{answer:?}");
}

fn unknown_required_flag_is_refused(place: &Place) {
    let mut first = header(1, 0, ChainHash::from_bytes([0; 32]));
    first.required_flags = 0x8000_0000;
    place.put(1, &first.encode());
    let (answer, _) = try_open(place, RecoveryMode::Repair);
    assert!(matches!(answer, Err(RecoveryError::RequiredFlag { segment: 1, flags: 0x8000_0000 })), "{answer:?}");
}

fn optional_flag_is_no_matter(place: &Place) {
    let mut log = Log::create(place, 1 << 20, false);
    log.append(b"event");
    let mut first = header(1, 0, ChainHash::from_bytes([0; 32]));
    first.optional_flags = 0x8000_0000;
    let mut bytes = place.read(1);
    bytes[..128].copy_from_slice(&first.encode());
    place.put(1, &bytes);
    assert_eq!(open(place).1, shown(&log.written));
}
