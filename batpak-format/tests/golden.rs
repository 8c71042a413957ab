//! The golden files, and what every damage to them is answered with.
//!
//! Invariant: a golden file is never edited; `BATPAK_BLESS=1` writes only those that do not exist yet.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::PathBuf;

use batpak_format::layout::{ENTITY_LEN_AT, FIXED_LEN, FLAGS_AT, KIND_AT, PAYLOAD_LEN_AT};
use batpak_format::{
    CodecError, FOOTER_TRAILER_LEN, Footer, FooterError, Frame, FrameError, FrameLen, Record, RecordError,
    SEGMENT_HEADER_LEN, SegmentHeader, SegmentHeaderError,
};

use crate::certificate::certificates;
use crate::samples::{LOG_LEN, SECTION_UNKNOWN, SEED, footers, frames, records, segment_header};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn all() -> Vec<(&'static str, Vec<u8>)> {
    let mut all = frames();
    all.push(("segment-header", segment_header().encode().to_vec()));
    all.extend(footers());
    let certificates = certificates().into_iter();
    all.extend(certificates.map(|(name, certificate)| (name, certificate.encode().unwrap())));
    all.extend(records().into_iter().map(|(name, record)| (name, record.encode().unwrap())));
    all
}

#[test]
fn golden_files_hold_what_is_encoded() {
    for (name, bytes) in all() {
        let path = folder().join(name).with_extension("bin");
        if std::env::var_os("BATPAK_BLESS").is_some_and(|bless| bless == "1") && !path.exists() {
            fs::File::create_new(&path).unwrap().write_all(&bytes).unwrap();
        }
        let golden = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert_eq!(bytes, golden, "{name} is encoded otherwise than its golden file says");
    }
    let expected: BTreeSet<String> = all().iter().map(|(name, _)| format!("{name}.bin")).collect();
    let files = fs::read_dir(folder()).unwrap();
    let found: BTreeSet<String> = files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(found, expected, "each golden file has its sample");
}

#[test]
fn golden_frames_decode() {
    for (name, bytes) in frames() {
        let frame = Frame::decode(&bytes, &SEED).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(frame.bytes(), bytes, "{name}");
        assert_eq!(Frame::peek_len(&bytes), Ok(FrameLen::Len(bytes.len() as u32)), "{name}");
        assert_eq!(frame.header().is_hollow(), name == "frame-hollow");
        assert_eq!(frame.payload().is_none(), name == "frame-hollow");
    }
}

#[test]
fn truncated_frames_are_truncated() {
    for (name, bytes) in frames() {
        for len in 0..bytes.len() {
            let needed = if len < FIXED_LEN { FIXED_LEN } else { bytes.len() } as u64;
            let expected = FrameError::Truncated { needed, found: len as u64 };
            assert_eq!(Frame::decode(&bytes[..len], &SEED).unwrap_err(), expected, "{name} cut to {len}");
        }
    }
}

#[test]
fn flipped_frames_are_refused() {
    for (name, bytes) in frames() {
        for (at, flipped) in flips(&bytes) {
            let error = Frame::decode(&flipped, &SEED).expect_err(name);
            let lengths = matches!(error, FrameError::Length { .. } | FrameError::Truncated { .. });
            let expected = match at {
                0..4 => lengths || error == FrameError::Check,
                FLAGS_AT..KIND_AT => {
                    lengths
                        || matches!(
                            error,
                            FrameError::Check
                                | FrameError::UnknownFlags { .. }
                                | FrameError::CommitmentWithoutSeal
                                | FrameError::SealTooShort { .. }
                        )
                }
                PAYLOAD_LEN_AT..ENTITY_LEN_AT => {
                    lengths
                        || matches!(
                            error,
                            FrameError::Check | FrameError::PayloadTooLarge { .. } | FrameError::SealTooShort { .. }
                        )
                }
                ENTITY_LEN_AT..FIXED_LEN => lengths || error == FrameError::Check,
                _ => error == FrameError::Check,
            };
            assert!(expected, "{name}: byte {at}: {error:?}");
        }
    }
}

#[test]
fn flipped_frames_are_refused_when_more_bytes_follow() {
    for (name, bytes) in frames() {
        for (at, mut flipped) in flips(&bytes) {
            flipped.resize(bytes.len() + 4096, 0);
            assert!(Frame::decode(&flipped, &SEED).is_err(), "{name}: byte {at}");
        }
    }
}

#[test]
fn zeros_are_no_frame() {
    assert_eq!(Frame::decode(&[0; 512], &SEED).unwrap_err(), FrameError::Empty);
    assert_eq!(Frame::peek_len(&[0; 4]), Ok(FrameLen::Empty));
    for len in 0..4 {
        assert_eq!(Frame::peek_len(&[0; 4][..len]), Ok(FrameLen::NeedsMore));
    }
    let (_, bytes) = frames().remove(0);
    assert_eq!(Frame::peek_len(&bytes[..FIXED_LEN - 1]), Ok(FrameLen::NeedsMore));
}

#[test]
fn damaged_segment_headers_are_refused() {
    let bytes = segment_header().encode();
    assert_eq!(SegmentHeader::decode(&bytes), Ok(segment_header()));
    for len in 0..SEGMENT_HEADER_LEN {
        assert_eq!(SegmentHeader::decode(&bytes[..len]), Err(SegmentHeaderError::Truncated));
    }
    for (at, flipped) in flips(&bytes) {
        let error = SegmentHeader::decode(&flipped).unwrap_err();
        let expected = match at {
            0..8 => error == SegmentHeaderError::BadMagic,
            8..10 => matches!(error, SegmentHeaderError::UnknownVersion { .. }),
            _ => error == SegmentHeaderError::Check,
        };
        assert!(expected, "byte {at}: {error:?}");
    }
}

#[test]
fn golden_footers_decode() {
    for (name, bytes) in footers() {
        let footer = Footer::decode_tail(&bytes, LOG_LEN + bytes.len() as u64).unwrap().unwrap();
        assert_eq!((footer.log_len(), footer.len() as usize), (LOG_LEN, bytes.len()), "{name}");
        let unknown = footer.section(SECTION_UNKNOWN).map(|section| (section.version, section.bytes.as_slice()));
        let expected = (name == "footer-sections").then_some((9, &b"a section of a later version"[..]));
        assert_eq!(unknown, expected, "{name}");
    }
}

#[test]
fn truncated_footers_are_no_footers() {
    for (name, bytes) in footers() {
        for len in 0..bytes.len() {
            let found = Footer::decode_tail(&bytes[..len], LOG_LEN + len as u64);
            let expected = match len < FOOTER_TRAILER_LEN {
                true => Err(FooterError::TailTooShort { needed: FOOTER_TRAILER_LEN as u64 }),
                false => Ok(None),
            };
            assert_eq!(found, expected, "{name} cut to {len}");
        }
    }
}

#[test]
fn footers_say_how_much_of_the_tail_they_need() {
    for (name, bytes) in footers() {
        let file_len = LOG_LEN + bytes.len() as u64;
        for start in 1..bytes.len() {
            let tail = &bytes[start..];
            let needed = if tail.len() < FOOTER_TRAILER_LEN { FOOTER_TRAILER_LEN } else { bytes.len() } as u64;
            assert_eq!(Footer::decode_tail(tail, file_len), Err(FooterError::TailTooShort { needed }), "{name}");
        }
    }
}

#[test]
fn flipped_footers_are_refused() {
    for (name, bytes) in footers() {
        let file_len = LOG_LEN + bytes.len() as u64;
        let trailer_at = bytes.len() - FOOTER_TRAILER_LEN;
        for (at, flipped) in flips(&bytes) {
            let found = Footer::decode_tail(&flipped, file_len);
            let expected = match at.checked_sub(trailer_at) {
                Some(24..) => found == Ok(None),
                Some(20..22) => matches!(found, Err(FooterError::UnknownVersion { .. })),
                Some(0..16) => matches!(found, Err(FooterError::Length | FooterError::Check)),
                // The check of the table, or of the section that the byte stands in.
                _ => found == Err(FooterError::Check),
            };
            assert!(expected, "{name}: byte {at}: {found:?}");
        }
    }
}

#[test]
fn truncated_records_are_refused() {
    for (name, record) in records() {
        let bytes = record.encode().unwrap();
        assert_eq!(Record::decode(record.kind(), &bytes), Ok(record.clone()), "{name}");
        for len in 0..bytes.len() {
            let error = Record::decode(record.kind(), &bytes[..len]).unwrap_err();
            assert_eq!(error, RecordError::Codec(CodecError::Truncated), "{name} cut to {len}");
        }
        let longer = [bytes.as_slice(), &[0]].concat();
        let error = Record::decode(record.kind(), &longer).unwrap_err();
        assert_eq!(error, RecordError::Codec(CodecError::TrailingBytes), "{name}");
        let later = [&[2], &bytes[1..]].concat();
        let error = Record::decode(record.kind(), &later).unwrap_err();
        assert_eq!(error, RecordError::UnknownVersion { version: 2 }, "{name}");
    }
}

/// Returns the bytes with each bit flipped in turn, and which byte it is in.
fn flips(bytes: &[u8]) -> impl Iterator<Item = (usize, Vec<u8>)> + '_ {
    (0..bytes.len() * 8).map(|bit| {
        let mut flipped = bytes.to_vec();
        flipped[bit / 8] ^= 1 << (bit % 8);
        (bit / 8, flipped)
    })
}
