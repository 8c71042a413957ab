//! Every size at its cap is taken, and refused one above it; the large ones before anything is allocated.
//!
//! Invariant: a claim in bytes is refused as a size in memory is.

use batpak_format::layout::{
    ENTITY_LEN_AT, FIXED_LEN, FLAG_SEALED, FLAGS_AT, FRAME_LEN_AT, HEADER_BYTES_MAX, PAYLOAD_LEN_AT, SCOPE_LEN_AT,
};
use batpak_format::{
    BYPASS_GATES_MAX, Bypass, CAUSES_MAX, Cause, Causes, CausesError, Coordinate, CoordinateError, EventHeader,
    FOOTER_SECTIONS_MAX, FOOTER_TRAILER_LEN, Footer, FooterBuilder, FooterError, Frame, FrameBuf, FrameError, FrameLen,
    KEY_SCOPE_BYTES_LIMIT, NAME_BYTES_MAX, NamePart, PAYLOAD_BYTES_LIMIT, PLAINTEXT_BYTES_LIMIT, REFERENCE_BYTES_MAX,
    Record, RecordError, SEAL_TAG_LEN, ScopeHeld, ScopeReadmitted, TAG_BYTES_MAX, TAGS_MAX, Tags, TagsError,
};

use crate::allocation::allocated_by;
use crate::samples::{LOG_LEN, SEED, encode, encryption, full, id, pattern, plain, recheck};

const LIMIT: u64 = PLAINTEXT_BYTES_LIMIT as u64;

#[test]
fn payload_above_the_limit_is_refused_before_anything_is_allocated() {
    // Zeroed memory that nothing reads stays untouched.
    let payload = vec![0; PLAINTEXT_BYTES_LIMIT as usize + 1];
    let sealed = EventHeader { encryption: Some(encryption()), ..plain("e", "s") };
    for header in [plain("e", "s"), sealed] {
        let (refused, allocated) = allocated_by(|| FrameBuf::new(&header.statement(), &payload).map(|_| ()));
        assert_eq!(refused, Err(FrameError::PayloadTooLarge { bytes: LIMIT + 1, limit: LIMIT }));
        assert_eq!(allocated, 0);
    }
}

/// The largest frame that a flag allows, as its fixed part claims it, with `more` bytes of payload.
fn claim(flags: u16, payload_len: u32) -> Vec<u8> {
    let mut bytes = encode(&plain("e", "s"), b"");
    let frame_len = FIXED_LEN as u32 + 2 + if flags & FLAG_SEALED != 0 { 32 } else { 0 } + payload_len;
    bytes[FRAME_LEN_AT..][..4].copy_from_slice(&frame_len.to_le_bytes());
    bytes[FLAGS_AT..][..2].copy_from_slice(&flags.to_le_bytes());
    bytes[PAYLOAD_LEN_AT..][..4].copy_from_slice(&payload_len.to_le_bytes());
    bytes
}

#[test]
fn claimed_payload_at_the_limit_is_measured() {
    for (flags, payload_len) in [(0, PLAINTEXT_BYTES_LIMIT), (FLAG_SEALED, PAYLOAD_BYTES_LIMIT)] {
        let bytes = claim(flags, payload_len);
        let frame_len = u32::from_le_bytes(bytes[..4].try_into().unwrap());
        assert_eq!(Frame::peek_len(&bytes), Ok(FrameLen::Len(frame_len)));
        let expected = FrameError::Truncated { needed: frame_len.into(), found: bytes.len() as u64 };
        assert_eq!(Frame::decode(&bytes, &SEED).unwrap_err(), expected);
    }
}

#[test]
fn claimed_payload_above_the_limit_is_refused() {
    for (flags, payload_len) in [(0, PLAINTEXT_BYTES_LIMIT + 1), (FLAG_SEALED, PAYLOAD_BYTES_LIMIT + 1)] {
        let bytes = claim(flags, payload_len);
        let expected = FrameError::PayloadTooLarge { bytes: LIMIT + 1, limit: LIMIT };
        assert_eq!(Frame::peek_len(&bytes), Err(expected));
        let (refused, allocated) = allocated_by(|| Frame::decode(&bytes, &SEED).unwrap_err());
        assert_eq!((refused, allocated), (expected, 0));
    }
}

#[test]
fn claimed_header_above_the_limit_is_refused() {
    let mut bytes = encode(&plain("e", "s"), b"");
    for (frame_len, expected) in [
        (HEADER_BYTES_MAX as u32, Ok(FrameLen::Len(HEADER_BYTES_MAX as u32))),
        (HEADER_BYTES_MAX as u32 + 1, Err(FrameError::Length { frame_len: HEADER_BYTES_MAX as u32 + 1 })),
        (u32::MAX, Err(FrameError::Length { frame_len: u32::MAX })),
    ] {
        bytes[FRAME_LEN_AT..][..4].copy_from_slice(&frame_len.to_le_bytes());
        assert_eq!(Frame::peek_len(&bytes), expected);
    }
}

#[test]
fn sealed_payload_shorter_than_its_tag_is_refused() {
    let payload_len = SEAL_TAG_LEN as u32 - 1;
    let bytes = claim(FLAG_SEALED, payload_len);
    assert_eq!(Frame::decode(&bytes, &SEED).unwrap_err(), FrameError::SealTooShort { payload_len });
}

#[test]
fn largest_header_is_a_header_of_the_cap() {
    let long = "n".repeat(NAME_BYTES_MAX);
    let tags = (0..TAGS_MAX).map(|at| format!("{at:0width$}", width = TAG_BYTES_MAX));
    let header = EventHeader {
        coordinate: Coordinate::new(&long, &long).unwrap(),
        causes: crate::samples::causes(CAUSES_MAX as u8),
        tags: Tags::new(tags).unwrap(),
        ..full()
    };
    let bytes = batpak_format::hollow(&encode(&header, b"x"), &SEED).unwrap();
    assert_eq!(bytes.len(), HEADER_BYTES_MAX);
    let decoded = Frame::decode(&bytes, &SEED).unwrap().header().to_owned();
    assert_eq!((decoded.coordinate, decoded.causes, decoded.tags), (header.coordinate, header.causes, header.tags));
}

#[test]
fn names_have_at_most_1024_bytes() {
    let (longest, longer) = ("n".repeat(1024), "n".repeat(1025));
    assert_eq!(Coordinate::new(&longest, &longest).unwrap().scope(), longest);
    let too_long = |part| CoordinateError::TooLong { part, bytes: 1025 };
    assert_eq!(Coordinate::new(&longer, "s").unwrap_err(), too_long(NamePart::Entity));
    assert_eq!(Coordinate::new("e", &longer).unwrap_err(), too_long(NamePart::Scope));
    assert_eq!(Coordinate::new("", "s").unwrap_err(), CoordinateError::Empty { part: NamePart::Entity });
    // 341 characters of 3 bytes and one of 2 are 1,025 bytes, though only 342 characters.
    assert_eq!(Coordinate::new("e", &("€".repeat(341) + "ß")).unwrap_err(), too_long(NamePart::Scope));
}

#[test]
fn stored_names_have_at_most_1024_bytes() {
    for (entity_len, scope_len, part) in [(1025u16, 1u16, NamePart::Entity), (1, 1025, NamePart::Scope)] {
        let mut bytes = encode(&plain("e", "s"), b"");
        bytes.truncate(FIXED_LEN);
        bytes.resize(FIXED_LEN + 1026, b'n');
        bytes[FRAME_LEN_AT..][..4].copy_from_slice(&(FIXED_LEN as u32 + 1026).to_le_bytes());
        bytes[ENTITY_LEN_AT..][..2].copy_from_slice(&entity_len.to_le_bytes());
        bytes[SCOPE_LEN_AT..][..2].copy_from_slice(&scope_len.to_le_bytes());
        recheck(&mut bytes, &SEED);
        let expected = CoordinateError::TooLong { part, bytes: 1025 };
        assert_eq!(Frame::decode(&bytes, &SEED).unwrap_err(), FrameError::Coordinate(expected));
    }
}

#[test]
fn causes_are_at_most_64() {
    let causes = |count: u8| (0..count).map(|at| Cause { id: id(at), external: false }).collect::<Vec<_>>();
    assert_eq!(Causes::new(causes(64)).unwrap().len(), 64);
    assert_eq!(Causes::new(causes(65)).unwrap_err(), CausesError::TooMany { count: 65 });
    let twice = [causes(3), causes(1)].concat();
    assert_eq!(Causes::new(twice).unwrap_err(), CausesError::Duplicate { id: id(0) });
}

#[test]
fn tags_are_at_most_16() {
    let tags = |count: u8| (0..count).map(|at| format!("tag-{at}"));
    assert_eq!(Tags::new(tags(16)).unwrap().len(), 16);
    assert_eq!(Tags::new(tags(17)).unwrap_err(), TagsError::TooMany { count: 17 });
    assert_eq!(Tags::new(["b", "a", "b"]).unwrap_err(), TagsError::Duplicate);
}

#[test]
fn tags_have_at_most_128_bytes() {
    assert!(Tags::new(["t".repeat(128)]).unwrap().contains(&"t".repeat(128)));
    assert_eq!(Tags::new(["t".repeat(129)]).unwrap_err(), TagsError::TooLong { bytes: 129 });
    assert_eq!(Tags::new([""]).unwrap_err(), TagsError::Empty);
}

#[test]
fn record_fields_have_their_caps() {
    let held = |reference: usize| {
        let key_scope = Box::from(pattern::<4>(1));
        Record::ScopeHeld(ScopeHeld { key_scope, reference: "r".repeat(reference) }).encode()
    };
    assert!(held(REFERENCE_BYTES_MAX).is_ok());
    let too_long = |len: usize| Err(RecordError::TooLong { len, max: len - 1 });
    assert_eq!(held(REFERENCE_BYTES_MAX + 1), too_long(REFERENCE_BYTES_MAX + 1));
    let scope =
        |len: usize| Record::ScopeReadmitted(ScopeReadmitted { key_scope: vec![1; len].into_boxed_slice() }).encode();
    assert!(scope(KEY_SCOPE_BYTES_LIMIT).is_ok());
    assert_eq!(scope(KEY_SCOPE_BYTES_LIMIT + 1), too_long(KEY_SCOPE_BYTES_LIMIT + 1));
    let bypass = |gates: usize| {
        Record::Bypass(Bypass { event: id(1), gates: vec![String::new(); gates], reason: String::new() }).encode()
    };
    assert!(bypass(BYPASS_GATES_MAX).is_ok());
    assert_eq!(bypass(BYPASS_GATES_MAX + 1), too_long(BYPASS_GATES_MAX + 1));
}

#[test]
fn footer_has_as_many_sections_as_it_may_and_not_one_more() {
    let builder = (0..FOOTER_SECTIONS_MAX)
        .fold(FooterBuilder::new(), |builder, at| builder.section(0x4000 + at as u16, 1, &pattern::<3>(at as u8)));
    let mut bytes = builder.finish(LOG_LEN);
    let file_len = LOG_LEN + bytes.len() as u64;
    let footer = Footer::decode_tail(&bytes, file_len).unwrap().unwrap();
    assert_eq!(footer.sections().count(), FOOTER_SECTIONS_MAX);
    let count_at = bytes.len() - FOOTER_TRAILER_LEN + 4;
    bytes[count_at] += 1;
    assert_eq!(Footer::decode_tail(&bytes, file_len), Err(FooterError::Length));
}

#[test]
fn footer_takes_sections_whose_lengths_multiply_to_more_than_they_add_up_to() {
    let long = vec![7; 70_000];
    let bytes = FooterBuilder::new().section(0x4000, 1, &long).section(0x4001, 1, &long).finish(LOG_LEN);
    let footer = Footer::decode_tail(&bytes, LOG_LEN + bytes.len() as u64).unwrap().unwrap();
    assert!(footer.sections().all(|section| section.bytes == long));
    assert_eq!(footer.sections().count(), 2);
}
