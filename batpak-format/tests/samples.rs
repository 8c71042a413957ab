//! Samples: one of each form that a frame, a segment header, a footer and a record can take.
//!
//! Invariant: the golden files are these; a change here is a change of the format.

use batpak_format::layout::{CHECK_AT, CHECK_LEN, FLAG_HOLLOW, FLAGS_AT, PAYLOAD_LEN_AT};
use batpak_format::{
    BatchPart, Bypass, Cause, Causes, ChainHash, Checkpoint, ContentType, Coordinate, Denial, EventHeader, EventId,
    EventKind, FooterBuilder, FrameBuf, FrameSeed, Genesis, KeyId, KeyLossAccepted, KeyRun, PayloadEncryption, Record,
    Rekeyed, RollbackAccepted, RolledBack, SECTION_SUMMARY, SUMMARY_VERSION, ScopeHeld, ScopeReadmitted, ScopeReleased,
    SegmentEnd, SegmentHeader, SegmentSummary, ShredCompleted, ShredIntent, ShredTarget, StoreId, Tags, Timestamp,
    Tombstone, chain_hash, entity_root, hollow,
};

/// Where a sample segment's frames end.
pub const LOG_LEN: u64 = 0x0123_4567;
/// The tag of a section that no version knows.
pub const SECTION_UNKNOWN: u16 = 0x7FFF;

pub const STORE: StoreId = StoreId::from_bytes(*b"store-id-16bytes");
pub const SEED: FrameSeed = FrameSeed { store: STORE, segment: 3, offset: 4096 };

/// Returns bytes that differ from place to place.
pub fn pattern<const N: usize>(start: u8) -> [u8; N] {
    std::array::from_fn(|at| start.wrapping_add(at as u8))
}

pub fn id(start: u8) -> EventId {
    EventId::from_bytes(pattern(start))
}

pub fn causes(count: u8) -> Causes {
    Causes::new((0..count).map(|at| Cause { id: id(at * 3 + 1), external: at % 3 == 1 }).collect()).unwrap()
}

/// The header of a plain event without anything optional; `payload_len`, chain hash and hollow flag are not looked at.
pub fn plain(entity: &str, scope: &str) -> EventHeader {
    EventHeader {
        durable_mark: 0x0101_0203_0405_0607,
        position: 0x1111_1213_1415_1617,
        revision: 0x2121_2223_2425_2627,
        time: Timestamp::from_micros(0x3131_3233_3435_3637),
        chain_hash: ChainHash::from_bytes([0; 32]),
        id: id(0x40),
        kind: EventKind::new(0x5, 0x152).unwrap(),
        payload_version: 0x6162,
        content_type: ContentType::from_u16(0x7172),
        payload_len: 0,
        coordinate: Coordinate::new(entity, scope).unwrap(),
        correlation: None,
        causes: Causes::default(),
        tags: Tags::default(),
        batch: None,
        encryption: None,
        key_commitment: None,
        hollow: false,
    }
}

pub fn encryption() -> PayloadEncryption {
    PayloadEncryption { key_id: KeyId::new(0, 0x0A0B_0C0D, 0x0E_0F10), nonce: pattern(0xA0) }
}

/// A plain event with every part that a plain event can have.
pub fn parts() -> EventHeader {
    EventHeader {
        correlation: Some(id(0x80)),
        causes: causes(9),
        tags: Tags::new(["paid", "eu", "größe"]).unwrap(),
        batch: Some(BatchPart { index: 1, count: 0x0102_0304 }),
        ..plain("order-1042", "shop")
    }
}

/// An event with every part but the one that only a hollow frame has.
pub fn full() -> EventHeader {
    EventHeader { encryption: Some(encryption()), key_commitment: Some(pattern(0xC0)), ..parts() }
}

/// Encodes an event as the store does: a real chain hash, at the sample's place.
pub fn encode(header: &EventHeader, payload: &[u8]) -> Vec<u8> {
    let mut buf = FrameBuf::new(&header.statement(), payload).unwrap();
    buf.set_tag(&pattern(0xF0));
    let hashed = buf.seal_finished();
    let root = entity_root(SEED.store, header.coordinate.entity());
    let mut placement = header.placement();
    placement.chain_hash = chain_hash(&root, hashed.digest(), header.position, header.revision, header.time);
    hashed.place(&placement, &SEED)
}

/// Computes a frame's check as FORMAT.md states it, and writes it in: for bytes that were changed on purpose.
pub fn recheck(frame: &mut [u8], seed: &FrameSeed) {
    let field = |at: usize| frame.get(at..at + 4).map(|four| u32::from_le_bytes(four.try_into().unwrap()));
    let (Some(flags), Some(payload_len)) = (field(FLAGS_AT), field(PAYLOAD_LEN_AT)) else { return };
    let stored = if flags as u16 & FLAG_HOLLOW != 0 { 0 } else { payload_len as usize };
    let Some(header_len) = frame.len().checked_sub(stored) else { return };
    let (header, payload) = frame.split_at(header_len);
    let Some(behind) = header.get(CHECK_AT + CHECK_LEN..) else { return };
    let mut check = crc32fast::Hasher::new();
    check.update(payload);
    check.update(seed.store.as_bytes());
    check.update(&seed.segment.to_le_bytes());
    check.update(&seed.offset.to_le_bytes());
    check.update(&header[..CHECK_AT]);
    check.update(behind);
    let check = check.finalize();
    frame[CHECK_AT..CHECK_AT + CHECK_LEN].copy_from_slice(&check.to_le_bytes());
}

/// Returns the sample frames by the names of their golden files.
pub fn frames() -> Vec<(&'static str, Vec<u8>)> {
    let sealed = EventHeader { encryption: Some(encryption()), ..plain("order-1042", "shop") };
    let commitment = EventHeader { key_commitment: Some(pattern(0xC0)), ..sealed.clone() };
    let batch = EventHeader { batch: Some(BatchPart { index: 0, count: 2 }), ..plain("order-1042", "shop") };
    let system = EventHeader {
        kind: EventKind::GENESIS,
        content_type: ContentType::SYSTEM,
        coordinate: Coordinate::system(),
        ..plain("e", "s")
    };
    let genesis = Record::Genesis(genesis()).encode().unwrap();
    vec![
        ("frame-plain", encode(&plain("e", "s"), b"")),
        ("frame-parts", encode(&parts(), b"two lamps")),
        ("frame-sealed", encode(&sealed, b"stands for ciphertext")),
        ("frame-commitment", encode(&commitment, b"stands for ciphertext")),
        ("frame-batch", encode(&batch, b"two lamps")),
        ("frame-full", encode(&full(), b"stands for ciphertext")),
        ("frame-hollow", hollow(&encode(&full(), b"stands for ciphertext"), &SEED).unwrap()),
        ("frame-system", encode(&system, &genesis)),
    ]
}

pub fn segment_header() -> SegmentHeader {
    SegmentHeader {
        store: STORE,
        number: 0x0102_0304_0506_0708,
        first_position: 0x1112_1314_1516_1718,
        previous_chain_hash: ChainHash::from_bytes(pattern(0x20)),
        keyset_epoch: 0x4142_4344_4546_4748,
        required_flags: 0,
        optional_flags: 0x5152_5354,
    }
}

pub fn summary() -> SegmentSummary {
    SegmentSummary {
        end: SegmentEnd::Closed,
        log_len: LOG_LEN,
        first_position: 0x0102_0304_0506_0708,
        next_position: 0x1112_1314_1516_1718,
        chain_hash: ChainHash::from_bytes(pattern(0x20)),
        keyset_epoch: 0x4142_4344_4546_4748,
        key_id_max: Some(encryption().key_id),
        intent_position_last: Some(0x5152_5354_5556_5758),
        epoch_max: 0x6162_6364_6566_6768,
    }
}

/// Returns the sample footers by the names of their golden files.
pub fn footers() -> Vec<(&'static str, Vec<u8>)> {
    let summary_alone = SegmentSummary {
        end: SegmentEnd::Rolled,
        key_id_max: None,
        intent_position_last: None,
        keyset_epoch: 0,
        epoch_max: 0,
        ..summary()
    };
    let builder = || FooterBuilder::new();
    vec![
        ("footer-empty", builder().finish(LOG_LEN)),
        (
            "footer-summary",
            builder().required_section(SECTION_SUMMARY, SUMMARY_VERSION, &summary_alone.encode()).finish(LOG_LEN),
        ),
        (
            "footer-sections",
            builder()
                .section(SECTION_SUMMARY, SUMMARY_VERSION, &summary().encode())
                .section(SECTION_UNKNOWN, 9, b"a section of a later version")
                .finish(LOG_LEN),
        ),
    ]
}

pub fn genesis() -> Genesis {
    Genesis {
        store: STORE,
        created: Timestamp::from_micros(-2),
        encrypted: true,
        granularity: 2,
        provider_kind: 3,
        provider_hint: "keys/orders.key".into(),
        plaintext_bytes_max: 16 << 20,
        segment_bytes: 64 << 20,
    }
}

fn runs() -> Vec<KeyRun> {
    let run = |page, leaf, count| KeyRun { first: KeyId::new(0, page, leaf), count };
    vec![run(7, 0x0102, 3), run(7, 0x0106, 1), run(9, 0, 1 << 24)]
}

fn scope() -> Box<[u8]> {
    Box::from(*b"\x01\x05\x00order")
}

pub fn shred_intent() -> ShredIntent {
    ShredIntent {
        granularity: 1,
        previous_intent: Some(0x0102_0304),
        epoch: 0x1112,
        reason: 0x2122,
        reference: "case 17".into(),
        targets: vec![
            ShredTarget { key_scope: scope(), runs: runs() },
            ShredTarget { key_scope: Box::default(), runs: Vec::new() },
        ],
        withheld: vec![Box::from(*b"\x01\x06\x00holder"), scope()],
    }
}

fn shred_completed() -> ShredCompleted {
    ShredCompleted {
        intent: 0x0102,
        epoch: 0x1112,
        provider_kind: 2,
        destruction: 1,
        effective_at: Some(Timestamp::from_micros(-3)),
        unreachable: 4,
    }
}

/// Returns a record of each kind by the names of their golden files.
pub fn records() -> Vec<(&'static str, Record)> {
    let coordinate = Coordinate::new("order-1042", "shop").unwrap();
    let kind = EventKind::new(5, 0x152).unwrap();
    let (gate, reference) = ("owner".to_owned(), "case 17".to_owned());
    vec![
        ("record-genesis", Record::Genesis(genesis())),
        ("record-shred-intent", Record::ShredIntent(shred_intent())),
        ("record-shred-completed", Record::ShredCompleted(shred_completed())),
        ("record-scope-readmitted", Record::ScopeReadmitted(ScopeReadmitted { key_scope: scope() })),
        ("record-scope-held", Record::ScopeHeld(ScopeHeld { key_scope: scope(), reference: reference.clone() })),
        ("record-scope-released", Record::ScopeReleased(ScopeReleased { key_scope: scope(), reference })),
        (
            "record-key-loss-accepted",
            Record::KeyLossAccepted(KeyLossAccepted { first_position: 5, next_position: 0x0106, runs: runs() }),
        ),
        (
            "record-rollback-accepted",
            Record::RollbackAccepted(RollbackAccepted { what: RolledBack::Log, epoch: 0x0102, position: 0x1112 }),
        ),
        ("record-rekeyed", Record::Rekeyed(Rekeyed { epoch: 0x0102, secret_id: pattern(0x30) })),
        (
            "record-checkpoint",
            Record::Checkpoint(Checkpoint {
                position: 0x0102,
                merkle_root: pattern(0x40),
                chain_hash: ChainHash::from_bytes(pattern(0x80)),
            }),
        ),
        ("record-denial", Record::Denial(Denial { gate: gate.clone(), code: "closed".into(), kind, coordinate })),
        (
            "record-bypass",
            Record::Bypass(Bypass { event: id(9), gates: vec![gate, "limit".into()], reason: "repair".into() }),
        ),
        ("record-tombstone", Record::Tombstone(Tombstone { first_position: 0x0102, count: 3 })),
    ]
}
