//! Bytes whose check holds and that no encoder writes, each with its error.
//!
//! Invariant: the name of each test is one way to write a form that must not be read.

use batpak_format::layout::{
    FIXED_LEN, FLAG_BATCH, FLAG_CAUSES, FLAG_HOLLOW, FLAG_KEY_COMMITMENT, FLAG_TAGS, FLAGS_AT, FLAGS_KNOWN,
    FRAME_LEN_AT, PAYLOAD_LEN_AT, SEGMENT_CHECK_AT, SEGMENT_HEADER_LEN_AT, SEGMENT_PAD_AT, SEGMENT_REQUIRED_FLAGS_AT,
    SEGMENT_RESERVED_AT,
};
use batpak_format::{
    BatchPart, CausesError, CoordinateError, EventHeader, EventKind, FOOTER_TRAILER_LEN, Footer, FooterBuilder,
    FooterError, Frame, FrameBuf, FrameError, Genesis, KeyId, KeyLossAccepted, KeyRun, NamePart, Record, RecordError,
    SECTION_SUMMARY, SegmentHeader, SegmentHeaderError, SegmentSummary, TagsError, Tombstone, hollow,
};

use crate::samples::{
    LOG_LEN, SECTION_UNKNOWN, SEED, encode, genesis, id, pattern, plain, recheck, segment_header, summary,
};

/// Decodes a plain frame of the names `e` and `s` with these flags and these bytes as its optional parts.
fn refused(flags: u16, parts: &[u8]) -> FrameError {
    let mut bytes = encode(&plain("e", "s"), b"");
    bytes.extend_from_slice(parts);
    let frame_len = bytes.len() as u32;
    bytes[FRAME_LEN_AT..][..4].copy_from_slice(&frame_len.to_le_bytes());
    bytes[FLAGS_AT..][..2].copy_from_slice(&flags.to_le_bytes());
    recheck(&mut bytes, &SEED);
    Frame::decode(&bytes, &SEED).unwrap_err()
}

#[test]
fn unknown_flags_are_refused() {
    for bit in (0..16).map(|bit| 1u16 << bit).filter(|bit| bit & FLAGS_KNOWN == 0) {
        assert_eq!(refused(bit, &[]), FrameError::UnknownFlags { flags: bit });
    }
}

#[test]
fn key_commitment_without_seal_is_refused() {
    assert_eq!(refused(FLAG_KEY_COMMITMENT, &[1; 32]), FrameError::CommitmentWithoutSeal);
    let header = EventHeader { key_commitment: Some([1; 32]), ..plain("e", "s") };
    assert_eq!(FrameBuf::new(&header.statement(), b"").unwrap_err(), FrameError::CommitmentWithoutSeal);
}

#[test]
fn bytes_behind_the_parts_are_refused() {
    assert_eq!(refused(0, &[0]), FrameError::NotCanonical);
    assert_eq!(refused(FLAG_BATCH, &[0, 0, 0, 0, 2, 0, 0, 0, 0]), FrameError::NotCanonical);
}

#[test]
fn parts_that_end_too_early_are_refused() {
    for flag in (0..7).map(|bit| 1 << bit).filter(|flag| flag & (FLAG_KEY_COMMITMENT | FLAG_HOLLOW | 1 << 4) == 0) {
        assert_eq!(refused(flag, &[]), FrameError::NotCanonical, "flag {flag:#x}");
    }
    assert_eq!(refused(FLAG_HOLLOW, &[0; 31]), FrameError::NotCanonical);
}

#[test]
fn names_that_no_coordinate_has_are_refused() {
    for (names, expected) in [
        (*b"e\n", CoordinateError::ControlCharacter { part: NamePart::Scope }),
        (*b"\x7Fs", CoordinateError::ControlCharacter { part: NamePart::Entity }),
        ([0xFF, b's'], CoordinateError::NotUtf8 { part: NamePart::Entity }),
    ] {
        let mut bytes = encode(&plain("e", "s"), b"");
        bytes[FIXED_LEN..].copy_from_slice(&names);
        recheck(&mut bytes, &SEED);
        assert_eq!(Frame::decode(&bytes, &SEED).unwrap_err(), FrameError::Coordinate(expected));
    }
}

#[test]
fn batch_parts_that_cannot_be_are_refused() {
    for (index, count) in [(0, 0), (0, 1), (2, 2), (7, 3)] {
        let part = [u32::to_le_bytes(index), u32::to_le_bytes(count)].concat();
        assert_eq!(refused(FLAG_BATCH, &part), FrameError::Batch { index, count });
        let header = EventHeader { batch: Some(BatchPart { index, count }), ..plain("e", "s") };
        assert_eq!(FrameBuf::new(&header.statement(), b"").unwrap_err(), FrameError::Batch { index, count });
    }
}

#[test]
fn causes_that_are_not_canonical_are_refused() {
    let one = |bits: u8| [&[1, bits], &pattern::<16>(1)[..]].concat();
    assert_eq!(refused(FLAG_CAUSES, &[0]), FrameError::NotCanonical);
    assert_eq!(refused(FLAG_CAUSES, &one(0b10)), FrameError::NotCanonical);
    assert_eq!(refused(FLAG_CAUSES, &one(0b1)[..17]), FrameError::NotCanonical);
    let twice = [&[2, 0b01], &pattern::<16>(1)[..], &pattern::<16>(1)[..]].concat();
    assert_eq!(refused(FLAG_CAUSES, &twice), FrameError::Causes(CausesError::Duplicate { id: id(1) }));
    let too_many = [&[65][..], &[0; 9], &[7; 65 * 16]].concat();
    assert_eq!(refused(FLAG_CAUSES, &too_many), FrameError::Causes(CausesError::TooMany { count: 65 }));
}

#[test]
fn tags_that_are_not_canonical_are_refused() {
    let long = [&[1, 129][..], &[b't'; 129]].concat();
    assert_eq!(refused(FLAG_TAGS, &[0]), FrameError::NotCanonical);
    for (part, expected) in [
        (&b"\x01\x00"[..], TagsError::Empty),
        (b"\x02\x01b\x01a", TagsError::Unsorted),
        (b"\x02\x01a\x01a", TagsError::Duplicate),
        (b"\x01\x01\t", TagsError::ControlCharacter),
        (b"\x01\x01\xFF", TagsError::NotUtf8),
        (b"\x11", TagsError::TooMany { count: 17 }),
        (&long, TagsError::TooLong { bytes: 129 }),
    ] {
        assert_eq!(refused(FLAG_TAGS, part), FrameError::Tags(expected));
    }
}

#[test]
fn lengths_that_do_not_agree_are_refused() {
    let mut bytes = encode(&plain("e", "s"), b"two lamps");
    bytes[PAYLOAD_LEN_AT] += 1;
    recheck(&mut bytes, &SEED);
    let frame_len = bytes.len() as u32;
    assert_eq!(Frame::decode(&bytes, &SEED).unwrap_err(), FrameError::Length { frame_len });
    bytes[PAYLOAD_LEN_AT] -= 2;
    recheck(&mut bytes, &SEED);
    assert_eq!(Frame::decode(&bytes, &SEED).unwrap_err(), FrameError::NotCanonical);
}

#[test]
fn hollow_refuses_what_is_no_frame() {
    assert_eq!(hollow(&[0; 200], &SEED).unwrap_err(), FrameError::Empty);
    assert_eq!(hollow(&[], &SEED).unwrap_err(), FrameError::Truncated { needed: FIXED_LEN as u64, found: 0 });
}

#[test]
fn segment_headers_of_later_versions_are_refused() {
    let changed = |at: usize, value: u8| {
        let mut bytes = segment_header().encode();
        bytes[at] = value;
        let check = crc32fast::hash(&bytes[..SEGMENT_CHECK_AT]);
        bytes[SEGMENT_CHECK_AT..].copy_from_slice(&check.to_le_bytes());
        SegmentHeader::decode(&bytes).unwrap_err()
    };
    let unknown = changed(SEGMENT_REQUIRED_FLAGS_AT + 1, 1);
    assert_eq!(unknown, SegmentHeaderError::UnknownRequiredFlags { flags: 0x100 });
    for at in [SEGMENT_HEADER_LEN_AT, SEGMENT_RESERVED_AT, SEGMENT_PAD_AT, SEGMENT_CHECK_AT - 1] {
        assert_eq!(changed(at, 1), SegmentHeaderError::NotCanonical, "byte {at}");
    }
    assert_eq!(changed(8, 2), SegmentHeaderError::UnknownVersion { version: 2 });
}

/// Decodes a footer of two sections after a change to its table (rows of 20 bytes, then the trailer), check renewed.
fn footer_with(change: impl FnOnce(&mut [u8])) -> FooterError {
    let sections = FooterBuilder::new().section(SECTION_SUMMARY, 1, b"0123").section(SECTION_UNKNOWN, 1, b"4567");
    let mut bytes = sections.finish(LOG_LEN);
    let file_len = LOG_LEN + bytes.len() as u64;
    change(&mut bytes[8..]);
    let check_at = bytes.len() - FOOTER_TRAILER_LEN + 16;
    let mut check = crc32fast::Hasher::new();
    check.update(&bytes[8..check_at]);
    check.update(&bytes[check_at + 4..]);
    bytes[check_at..check_at + 4].copy_from_slice(&check.finalize().to_le_bytes());
    Footer::decode_tail(&bytes, file_len).unwrap_err()
}

#[test]
fn footers_that_are_not_canonical_are_refused() {
    const SECOND: usize = 20;
    const TRAILER: usize = 40;
    let duplicate = |table: &mut [u8]| table.copy_within(0..2, SECOND);
    assert_eq!(footer_with(duplicate), FooterError::DuplicateSection { tag: SECTION_SUMMARY });
    assert_eq!(footer_with(|table| table[SECOND + 4] = 2), FooterError::NotCanonical, "an unknown row flag");
    assert_eq!(footer_with(|table| table[SECOND + 8] = 0), FooterError::NotCanonical, "sections that overlap");
    assert_eq!(footer_with(|table| table[SECOND + 8] = 5), FooterError::NotCanonical, "a gap between sections");
    assert_eq!(footer_with(|table| table[SECOND + 12] = 5), FooterError::Length, "a section past the table");
    assert_eq!(footer_with(|table| table[SECOND + 16] ^= 1), FooterError::Check, "a section's check");
    assert_eq!(footer_with(|table| table[TRAILER + 22] = 1), FooterError::NotCanonical, "the zeros");
    assert_eq!(footer_with(|table| table[TRAILER] += 1), FooterError::Length, "the footer's length");
    assert_eq!(footer_with(|table| table[TRAILER + 4] = 65), FooterError::Length, "too many sections");
    assert_eq!(footer_with(|table| table[TRAILER + 8] += 1), FooterError::Length, "the log's length");
    assert_eq!(footer_with(|table| table[TRAILER + 20] = 2), FooterError::UnknownVersion { version: 2 });
    let uncovered = |table: &mut [u8]| {
        let empty = crc32fast::hash(&[]).to_le_bytes();
        table[SECOND + 12..SECOND + 16].fill(0);
        table[SECOND + 16..SECOND + 20].copy_from_slice(&empty);
    };
    assert_eq!(footer_with(uncovered), FooterError::NotCanonical, "bytes that no section covers");
}

#[test]
fn unknown_required_sections_are_refused() {
    let bytes = FooterBuilder::new().required_section(SECTION_UNKNOWN, 1, b"x").finish(LOG_LEN);
    let error = Footer::decode_tail(&bytes, LOG_LEN + bytes.len() as u64).unwrap_err();
    assert_eq!(error, FooterError::UnknownRequiredSection { tag: SECTION_UNKNOWN });
}

#[test]
fn files_without_a_trailer_have_no_footer() {
    assert_eq!(Footer::decode_tail(&[], 0), Ok(None));
    assert_eq!(Footer::decode_tail(&[0; 31], 31), Ok(None));
    assert_eq!(Footer::decode_tail(&[0; 32], 4096), Ok(None));
}

#[test]
fn summaries_that_are_not_canonical_are_refused() {
    let changed = |at: usize, value: u8| {
        let mut bytes = SegmentSummary { key_id_max: None, ..summary() }.encode();
        bytes[at] = value;
        SegmentSummary::decode(1, &bytes).unwrap_err()
    };
    for (at, value) in [(0, 0), (0, 3), (1, 4), (2, 1), (7, 1), (23, 0xFF), (72, 1)] {
        assert_eq!(changed(at, value), FooterError::NotCanonical, "byte {at}");
    }
    let bytes = summary().encode();
    assert_eq!(SegmentSummary::decode(2, &bytes), Err(FooterError::UnknownVersion { version: 2 }));
    assert_eq!(SegmentSummary::decode(1, &bytes[1..]), Err(FooterError::Length));
    assert_eq!(SegmentSummary::decode(1, &[&bytes[..], &[0]].concat()), Err(FooterError::Length));
}

#[test]
fn kinds_without_a_record_are_refused() {
    let pinned =
        [EventKind::OPEN_COMPLETED, EventKind::CLOSE_COMPLETED, EventKind::BATCH_BEGIN, EventKind::BATCH_COMMIT];
    for kind in pinned.into_iter().chain([EventKind::new(1, 1).unwrap(), EventKind::new(0xD, 0).unwrap()]) {
        assert_eq!(Record::decode(kind, &[1]), Err(RecordError::UnknownKind { kind }));
    }
}

#[test]
fn genesis_that_contradicts_itself_is_refused() {
    for broken in [
        Genesis { encrypted: false, ..genesis() },
        Genesis { granularity: 0, ..genesis() },
        Genesis { provider_kind: 0, ..genesis() },
        Genesis { encrypted: false, granularity: 0, ..genesis() },
        Genesis { plaintext_bytes_max: (1 << 30) + 1, ..genesis() },
    ] {
        assert_eq!(Record::Genesis(broken).encode(), Err(RecordError::NotCanonical));
    }
    let mut bytes = Record::Genesis(genesis()).encode().unwrap();
    bytes[1 + 16 + 8] = 2;
    assert_eq!(Record::decode(EventKind::GENESIS, &bytes), Err(RecordError::NotCanonical));
}

#[test]
fn runs_of_keys_that_are_not_canonical_are_refused() {
    let run = |page: u32, leaf: u32, count: u32| KeyRun { first: KeyId::new(0, page, leaf), count };
    let last = (1 << 24) - 1;
    for (runs, why) in [
        (vec![run(1, 5, 0)], "empty"),
        (vec![run(1, last, 2)], "past its page"),
        (vec![run(1, 9, 1), run(1, 5, 1)], "unsorted"),
        (vec![run(1, 5, 3), run(1, 7, 3)], "overlapping"),
        (vec![run(1, 5, 3), run(1, 8, 3)], "touching: one run written as two"),
    ] {
        let loss = |runs| KeyLossAccepted { first_position: 0, next_position: 1, runs };
        assert_eq!(Record::KeyLossAccepted(loss(runs.clone())).encode(), Err(RecordError::KeyRuns), "{why}");
        let mut bytes = Record::KeyLossAccepted(loss(Vec::new())).encode().unwrap();
        bytes.truncate(17);
        bytes.extend_from_slice(&(runs.len() as u32).to_le_bytes());
        for run in &runs {
            bytes.extend_from_slice(&run.first.as_u64().to_le_bytes());
            bytes.extend_from_slice(&run.count.to_le_bytes());
        }
        assert_eq!(Record::decode(EventKind::KEY_LOSS_ACCEPTED, &bytes), Err(RecordError::KeyRuns), "{why}");
    }
    let pages_side_by_side = vec![run(1, last, 1), run(2, 0, 1)];
    let loss = KeyLossAccepted { first_position: 0, next_position: 1, runs: pages_side_by_side };
    assert!(Record::KeyLossAccepted(loss).encode().is_ok(), "no run passes its page");
}

#[test]
fn records_that_are_not_canonical_are_refused() {
    let decode = |kind, parts: &[&[u8]]| Record::decode(kind, &[&[1], parts.concat().as_slice()].concat());
    let not_canonical = Err(RecordError::NotCanonical);
    assert_eq!(decode(EventKind::ROLLBACK_ACCEPTED, &[&[0; 17]]), not_canonical);
    assert_eq!(decode(EventKind::ROLLBACK_ACCEPTED, &[&[3], &[0; 16]]), not_canonical);
    assert_eq!(decode(EventKind::TOMBSTONE, &[&[0; 16]]), not_canonical);
    assert_eq!(decode(EventKind::TOMBSTONE, &[&[0xFF; 8], &1u64.to_le_bytes()]), not_canonical);
    assert_eq!(decode(EventKind::KEY_LOSS_ACCEPTED, &[&[1; 8], &[0; 12]]), not_canonical);
    let completed = |has: u8, value: u8| decode(EventKind::SHRED_COMPLETED, &[&[0; 18], &[has], &[value; 8], &[0; 4]]);
    assert_eq!(completed(2, 0), not_canonical);
    assert_eq!(completed(0, 1), not_canonical);
    assert!(completed(1, 1).is_ok());
    for tombstone in [Tombstone { first_position: 0, count: 0 }, Tombstone { first_position: u64::MAX, count: 1 }] {
        assert_eq!(Record::Tombstone(tombstone).encode(), not_canonical.clone().map(|_: Record| Vec::new()));
    }
    let reversed = KeyLossAccepted { first_position: 2, next_position: 1, runs: Vec::new() };
    assert_eq!(Record::KeyLossAccepted(reversed).encode(), Err(RecordError::NotCanonical));
    assert_eq!(decode(EventKind::DENIAL, &[&[0; 2], &[1, 0, 0xFF]]), Err(RecordError::NotUtf8));
    let nameless = Err(RecordError::Coordinate(CoordinateError::Empty { part: NamePart::Entity }));
    assert_eq!(decode(EventKind::DENIAL, &[&[0; 2], &[0; 8]]), nameless);
}
