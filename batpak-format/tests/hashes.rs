//! Vectors of the hashes, laid out here once more by hand; hollow and moved frames; the overhead of a frame.
//!
//! Invariant: the hex below never changes.

use std::fmt::Write;

use batpak_format::layout::{FLAG_HOLLOW, FLAGS_AT, ID_AT};
use batpak_format::{
    AAD_VERSION, ChainHash, EventHeader, EventId, EventKind, Frame, FrameError, FrameSeed, StatementDigest, StoreId,
    Timestamp, aad, chain_hash, entity_root, event_hash, hollow, merkle_leaf, merkle_node,
};

use crate::samples::{SEED, STORE, encode, encryption, frames, full, id, pattern, plain};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

#[test]
fn event_hash_is_blake3_of_the_stored_payload() {
    // The hash of nothing, as BLAKE3's own vectors state it.
    let nothing = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";
    assert_eq!(event_hash(b"").to_string(), nothing);
    assert_eq!(event_hash(b"two lamps").as_bytes(), blake3::hash(b"two lamps").as_bytes());
}

#[test]
fn entity_root_keeps_its_vector() {
    let root = entity_root(STORE, "order-1042");
    let laid_out = blake3::derive_key("batpak-format v1 entity root", b"store-id-16bytesorder-1042");
    assert_eq!(root.as_bytes(), &laid_out);
    assert_eq!(root.to_string(), ENTITY_ROOT);
    assert_ne!(root, entity_root(StoreId::from_bytes([0; 16]), "order-1042"));
    assert_ne!(root, entity_root(STORE, "order-1043"));
}

#[test]
fn statement_digest_keeps_its_vector() {
    let bytes = encode(&full(), b"stands for ciphertext");
    let frame = Frame::decode(&bytes, &SEED).unwrap();
    let stored = [&b"stands for ciphertext"[..], &pattern::<16>(0xF0)].concat();
    let header_len = bytes.len() - stored.len();
    let covered = [&bytes[ID_AT..header_len], blake3::hash(&stored).as_bytes()].concat();
    assert_eq!(frame.digest().as_bytes(), blake3::hash(&covered).as_bytes());
    assert_eq!(frame.digest().to_string(), DIGEST);
}

#[test]
fn chain_hash_keeps_its_vector() {
    let (previous, digest) = (ChainHash::from_bytes(pattern(1)), StatementDigest::from_bytes(pattern(33)));
    let link = chain_hash(&previous, &digest, 7, 5, Timestamp::from_micros(-9));
    let block = [&pattern::<32>(33)[..], &7u64.to_le_bytes(), &5u64.to_le_bytes(), &(-9i64).to_le_bytes()].concat();
    assert_eq!(link.as_bytes(), blake3::keyed_hash(&pattern(1), &block).as_bytes());
    assert_eq!(link.to_string(), CHAIN);
}

#[test]
fn merkle_hashes_keep_their_vectors() {
    let digest = StatementDigest::from_bytes(pattern(33));
    let leaf = merkle_leaf(7, 5, Timestamp::from_micros(-9), &digest);
    let block = [&pattern::<32>(33)[..], &7u64.to_le_bytes(), &5u64.to_le_bytes(), &(-9i64).to_le_bytes()].concat();
    assert_eq!(leaf, *blake3::keyed_hash(b"batpak-format v1 merkle leaf    ", &block).as_bytes());
    assert_eq!(hex(&leaf), LEAF);
    let node = merkle_node(&leaf, &pattern(65));
    let block = [&leaf[..], &pattern::<32>(65)].concat();
    assert_eq!(node, *blake3::keyed_hash(b"batpak-format v1 merkle node    ", &block).as_bytes());
    assert_eq!(hex(&node), NODE);
    assert_ne!(node, merkle_node(&pattern(65), &leaf), "left and right are not the same");
}

#[test]
fn aad_keeps_its_vector() {
    let mut out = b"before".to_vec();
    aad("order-1042", "shop", EventKind::new(5, 0x152).unwrap(), id(0x40), &mut out);
    let expected = [
        b"before",
        &[AAD_VERSION][..],
        b"\x0A\0order-1042",
        b"\x04\0shop",
        b"\x02\0\x52\x51",
        b"\x10\0",
        &pattern::<16>(0x40),
    ];
    assert_eq!(out, expected.concat());
}

#[test]
fn ids_from_keys_keep_their_vectors() {
    assert_eq!(EventId::from_key(b"order-1042/placed").to_string(), FROM_KEY);
    let time_ordered = EventId::time_ordered(0x0192_0304_0506, [0xFF; 10]);
    assert_eq!(time_ordered.to_string(), "01920304-0506-7fff-bfff-ffffffffffff");
    assert_eq!(StoreId::random([0xFF; 16]).to_string(), "ffffffff-ffff-4fff-bfff-ffffffffffff");
}

#[test]
fn hollow_frames_keep_digest_chain_and_leaf() {
    for (name, bytes) in frames().into_iter().filter(|(name, _)| *name != "frame-hollow") {
        let whole = Frame::decode(&bytes, &SEED).unwrap();
        let hollowed = hollow(&bytes, &SEED).unwrap();
        let frame = Frame::decode(&hollowed, &SEED).unwrap();
        let header = frame.header();
        assert_eq!((frame.payload(), frame.event_hash()), (None, whole.event_hash()), "{name}");
        assert_eq!(frame.digest(), whole.digest(), "{name}");
        let leaf =
            |frame: &Frame<'_>| merkle_leaf(header.position(), header.revision(), header.time(), &frame.digest());
        assert_eq!(leaf(&frame), leaf(&whole), "{name}");
        let expected = EventHeader { hollow: true, ..whole.header().to_owned() };
        assert_eq!(header.to_owned(), expected, "{name}: chain hash and all else");
        assert_eq!(header.flags(), whole.header().flags() | FLAG_HOLLOW);
        assert_eq!(hollow(&hollowed, &SEED).unwrap_err(), FrameError::AlreadyHollow);
        assert_eq!(bytes[FLAGS_AT..][..2], (header.flags() & !FLAG_HOLLOW).to_le_bytes());
    }
}

#[test]
fn chain_links_verify_from_the_entity_root() {
    for (name, bytes) in frames() {
        let frame = Frame::decode(&bytes, &SEED).unwrap();
        let header = frame.header();
        let root = entity_root(SEED.store, header.entity());
        let link = chain_hash(&root, &frame.digest(), header.position(), header.revision(), header.time());
        assert_eq!(link, header.chain_hash(), "{name}");
    }
}

#[test]
fn digest_covers_key_id_and_nonce() {
    let sealed = EventHeader { encryption: Some(encryption()), ..plain("e", "s") };
    let digest = |header: &EventHeader| Frame::decode(&encode(header, b"x"), &SEED).unwrap().digest();
    let mut other_key = sealed.clone();
    other_key.encryption.as_mut().unwrap().key_id = batpak_format::KeyId::new(0, 1, 1);
    let mut other_nonce = sealed.clone();
    other_nonce.encryption.as_mut().unwrap().nonce[23] ^= 1;
    assert_ne!(digest(&sealed), digest(&other_key));
    assert_ne!(digest(&sealed), digest(&other_nonce));
}

#[test]
fn moved_frames_do_not_check() {
    let elsewhere = [
        FrameSeed { store: StoreId::from_bytes(*b"Store-id-16bytes"), ..SEED },
        FrameSeed { segment: SEED.segment + 1, ..SEED },
        FrameSeed { offset: SEED.offset + 1, ..SEED },
        FrameSeed { segment: SEED.offset, offset: SEED.segment, ..SEED },
    ];
    for (name, bytes) in frames() {
        for seed in &elsewhere {
            assert_eq!(Frame::decode(&bytes, seed).unwrap_err(), FrameError::Check, "{name} at {seed:?}");
            assert_eq!(hollow(&bytes, seed).unwrap_err(), FrameError::Check, "{name} at {seed:?}");
        }
    }
}

#[test]
fn overhead_is_within_its_budget() {
    let name = "thirteen-char";
    assert_eq!(name.len(), 13);
    let overhead = |header: &EventHeader| encode(header, &[0; 256]).len() - 256;
    let plain = plain(name, name);
    let sealed = EventHeader { encryption: Some(encryption()), ..plain.clone() };
    assert_eq!((overhead(&plain), overhead(&sealed)), (130, 178));
    assert!(overhead(&plain) <= 136 && overhead(&sealed) <= 184, "the budget of the design");
}

const ENTITY_ROOT: &str = "637f859f4baba13a63293491f7d430c398a0d9d7b44d77ca28fbf335a80cb5fd";
const DIGEST: &str = "6bc29e109748a4f24463edbad049d61730538719377e44687844340c704d2ea1";
const CHAIN: &str = "d7d0a690ed264b6e5c5b235014f149907795dfd7f286db8caa14bd09d5c70856";
const LEAF: &str = "887d24f92a4f01f76e8930c1bbca20d2bd8a814880578f7da6a37dffdb51a653";
const NODE: &str = "3ae1e510e6cdd7066af899db65abc6ec99271fb0d8d21281385c7799bf1ec9cd";
const FROM_KEY: &str = "e8cd686b-1069-89b3-877a-f2d294e4a43e";
