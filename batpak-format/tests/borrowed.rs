//! What is read of a frame without copying it: the borrowed header says what the sample says, field by field.
//!
//! Invariant: nothing here goes through the owned header, which could be wrong in the same way.

use batpak_format::layout::FIXED_LEN;
use batpak_format::{Cause, CodecError, EventHeader, Frame, FrameLen, codec::Reader};

use crate::samples::{SEED, encode, encryption, full, parts, pattern, plain};

#[test]
fn borrowed_header_says_what_was_encoded() {
    let sealed = EventHeader { encryption: Some(encryption()), ..plain("e", "s") };
    for (given, payload_len) in [(plain("order-1042", "shop"), 5), (parts(), 5), (sealed, 21), (full(), 21)] {
        let bytes = encode(&given, b"lamps");
        let frame = Frame::decode(&bytes, &SEED).unwrap();
        let header = frame.header();
        assert_eq!((header.frame_len() as usize, frame.len()), (bytes.len(), bytes.len()));
        assert_eq!((frame.bytes(), header.payload_len()), (&bytes[..], payload_len));
        assert_eq!((header.entity(), header.scope()), (given.coordinate.entity(), given.coordinate.scope()));
        assert_eq!(header.coordinate(), given.coordinate);
        assert_eq!((header.durable_mark(), header.position()), (given.durable_mark, given.position));
        assert_eq!((header.revision(), header.time(), header.id()), (given.revision, given.time, given.id));
        assert_eq!((header.kind(), header.payload_version()), (given.kind, given.payload_version));
        assert_eq!((header.content_type(), header.correlation()), (given.content_type, given.correlation));
        assert_eq!(header.causes().collect::<Vec<Cause>>(), given.causes.iter().collect::<Vec<_>>());
        assert_eq!(header.tags().collect::<Vec<&str>>(), given.tags.iter().collect::<Vec<_>>());
        assert_eq!((header.batch(), header.encryption()), (given.batch, given.encryption));
        assert_eq!((header.key_commitment(), header.is_hollow()), (given.key_commitment, false));
    }
}

#[test]
fn frame_s_length_is_known_from_its_fixed_part_alone() {
    let bytes = encode(&full(), b"lamps");
    assert_eq!(Frame::peek_len(&bytes[..FIXED_LEN]), Ok(FrameLen::Len(bytes.len() as u32)));
    assert_eq!(Frame::peek_len(&bytes[..FIXED_LEN - 1]), Ok(FrameLen::NeedsMore));
}

#[test]
fn frame_prints_its_header_and_no_payload() {
    let bytes = encode(&plain("e", "s"), b"two lamps");
    let printed = format!("{:?}", Frame::decode(&bytes, &SEED).unwrap());
    assert!(printed.starts_with("Frame { header: EventHeader { "), "{printed}");
    assert!(printed.contains("entity: \"e\""), "{printed}");
    let listed = format!("{:?}", b"two lamps");
    assert!(!printed.contains("two lamps") && !printed.contains(listed.trim_matches(['[', ']'])), "{printed}");
}

#[test]
fn rest_of_a_reader_is_what_was_not_read() {
    let bytes = pattern::<8>(1);
    let mut reader = Reader::new(&bytes);
    assert_eq!(reader.bytes(3), Ok(&bytes[..3]));
    assert_eq!(reader.rest(), &bytes[3..]);
    assert_eq!((reader.rest(), reader.bytes(1)), (&[][..], Err(CodecError::Truncated)));
    assert_eq!(reader.finish(), Ok(()));
}
