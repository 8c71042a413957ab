//! What is written for people and read back: kinds, ids, key ids, names; and what is never printed.
//!
//! Invariant: what is displayed parses to the same value, where it parses at all.

use batpak_format::{
    ContentType, Coordinate, CoordinateError, EventId, EventKind, Frame, FrameBuf, IdError, KeyId, KindError, NamePart,
    StoreId, Tags,
};

use crate::samples::{SEED, encode, encryption, full, id, plain};

#[test]
fn kinds_are_written_as_category_and_type() {
    let kind = EventKind::new(5, 0x152).unwrap();
    assert_eq!((kind.as_u16(), kind.category(), kind.type_id()), (0x5152, 5, 0x152));
    assert_eq!(kind.to_string(), "5:338");
    for text in ["5:338", "0x5:0x152", "5:0x152"] {
        assert_eq!(text.parse(), Ok(kind));
    }
}

#[test]
fn kinds_out_of_range_are_refused() {
    assert_eq!(EventKind::new(16, 0), Err(KindError::CategoryOutOfRange { category: 16 }));
    assert_eq!(EventKind::new(0, 4096), Err(KindError::TypeOutOfRange { type_id: 4096 }));
    let parse = |text: &str| text.parse::<EventKind>().unwrap_err();
    assert_eq!(parse("300:1"), KindError::CategoryOutOfRange { category: 300 });
    assert_eq!(parse("1:4096"), KindError::TypeOutOfRange { type_id: 4096 });
    for text in ["", ":", "1", "1:", "1:+2", "1:-2", "1:0x", "1:2:3", "1:70000", " 1:2", "0X1:2"] {
        assert_eq!(parse(text), KindError::Malformed, "{text:?}");
    }
}

#[test]
fn reserved_kinds_are_those_of_two_categories() {
    for category in 0..16 {
        assert_eq!(EventKind::new(category, 7).unwrap().is_reserved(), matches!(category, 0x0 | 0xD));
    }
}

#[test]
fn ids_are_written_as_uuids() {
    let text = "40414243-4445-4647-4849-4a4b4c4d4e4f";
    assert_eq!(id(0x40).to_string(), text);
    assert_eq!(text.parse(), Ok(id(0x40)));
    assert_eq!(text.to_uppercase().parse::<StoreId>().unwrap().to_string(), text);
    for text in ["", &text[1..], &text.replace('-', ""), &text.replace('a', "g"), &(text.to_owned() + "0")] {
        assert_eq!(text.parse::<EventId>(), Err(IdError::Malformed), "{text:?}");
    }
}

#[test]
fn time_ordered_ids_order_by_time() {
    let of = |millis| EventId::time_ordered(millis, [0x5A; 10]);
    assert!(of(1) < of(2) && of(0xFF) < of(0x100) && of(0xFFFF_FFFE) < of(0x1_0000_0000));
}

#[test]
fn key_ids_join_compartment_page_and_leaf() {
    let key_id = KeyId::new(0xAB, 0xCDEF_0123, 0x45_6789);
    assert_eq!(key_id.as_u64(), 0xABCD_EF01_2345_6789);
    assert_eq!((key_id.compartment(), key_id.page(), key_id.leaf()), (0xAB, 0xCDEF_0123, 0x45_6789));
    assert_eq!(key_id.to_string(), "171:3454992675/4548489");
    assert_eq!(encryption().key_id.to_string(), "168496141/921360");
    assert!(KeyId::new(0, 1, 0) > KeyId::new(0, 0, (1 << 24) - 1));
}

#[test]
#[should_panic(expected = "a leaf has 24 bits")]
fn key_ids_refuse_a_leaf_of_25_bits() {
    let _ = KeyId::new(0, 0, 1 << 24);
}

#[test]
fn coordinates_refuse_control_characters() {
    for name in ["a\0", "\n", "a\u{7f}", "a\u{85}"] {
        let part = NamePart::Scope;
        assert_eq!(Coordinate::new("e", name).unwrap_err(), CoordinateError::ControlCharacter { part }, "{name:?}");
    }
    assert!(Coordinate::new("größe", "a b").is_ok());
}

#[test]
fn coordinates_that_join_alike_differ() {
    let (one, other) = (Coordinate::new("ab", "c").unwrap(), Coordinate::new("a", "bc").unwrap());
    assert_ne!(one, other);
    assert_ne!(one.cmp(&other), std::cmp::Ordering::Equal);
    assert_eq!(one.to_string(), "ab@c");
    assert!(Coordinate::system().is_system() && !one.is_system());
}

#[test]
fn tags_are_a_sorted_set() {
    let tags = Tags::new(["b", "ab", "a"]).unwrap();
    assert!(tags.iter().eq(["a", "ab", "b"]));
    assert_eq!(tags, Tags::new(["a", "b", "ab"]).unwrap());
    assert!(tags.contains("ab") && !tags.contains("ba"));
}

#[test]
fn unknown_content_types_are_carried() {
    let bytes = encode(&plain("e", "s"), b"");
    let header = Frame::decode(&bytes, &SEED).unwrap().header().to_owned();
    assert_eq!(header.content_type, ContentType::from_u16(0x7172));
}

#[test]
fn payloads_are_not_printed() {
    let statement = plain("e", "s");
    let buf = FrameBuf::new(&statement.statement(), b"a payload").unwrap();
    let bytes = encode(&statement, b"a payload");
    let payload = format!("{:?}", b"a payload");
    let payload = payload.trim_matches(['[', ']']);
    for printed in [format!("{buf:?}"), format!("{:?}", Frame::decode(&bytes, &SEED).unwrap())] {
        assert!(!printed.contains(payload) && !printed.contains("a payload"), "{printed}");
    }
    assert!(!format!("{:?}", buf.seal_finished()).contains(payload));
}

#[test]
fn wiped_payloads_are_zeros() {
    let header = full();
    let mut buf = FrameBuf::new(&header.statement(), b"a payload").unwrap();
    assert_eq!(buf.plaintext_mut(), b"a payload");
    buf.set_tag(&[9; 16]);
    buf.wipe();
    assert_eq!(buf.plaintext_mut(), [0; 9]);
    let bytes = buf.seal_finished().place(&header.placement(), &SEED);
    assert_eq!(Frame::decode(&bytes, &SEED).unwrap().payload(), Some(&[0; 25][..]));
}

#[test]
#[should_panic(expected = "a payload that was to be sealed has its tag")]
fn plaintext_without_a_tag_does_not_pass_for_ciphertext() {
    let header = full();
    let _ = FrameBuf::new(&header.statement(), b"a payload").unwrap().seal_finished();
}

#[test]
fn sealing_in_place_stores_ciphertext_and_tag() {
    let header = full();
    let mut buf = FrameBuf::new(&header.statement(), b"a payload").unwrap();
    buf.plaintext_mut().iter_mut().for_each(|byte| *byte ^= 0xFF);
    buf.set_tag(&[9; 16]);
    let hashed = buf.seal_finished();
    let expected: Vec<u8> = b"a payload".iter().map(|byte| byte ^ 0xFF).chain([9; 16]).collect();
    assert_eq!(hashed.event_hash(), batpak_format::event_hash(&expected));
    assert_eq!((hashed.id(), hashed.kind()), (header.id, header.kind));
    assert_eq!((hashed.batch(), hashed.encryption()), (header.batch, header.encryption));
    let len = hashed.len();
    let bytes = hashed.place(&header.placement(), &SEED);
    assert_eq!(bytes.len(), len);
    assert_eq!(Frame::decode(&bytes, &SEED).unwrap().payload(), Some(expected.as_slice()));
}
