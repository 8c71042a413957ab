//! Properties of the codecs: round trips, one encoding for each value, no panic on any bytes.
//!
//! Invariant: what decodes encodes to the very bytes it was decoded from.

use batpak_format::{
    BatchPart, Bypass, Cause, Causes, ChainHash, Checkpoint, ContentType, Coordinate, Denial, EventHeader, EventId,
    EventKind, Footer, FooterBuilder, Frame, FrameBuf, FrameSeed, Genesis, KeyId, KeyLossAccepted, KeyRun,
    PLAINTEXT_BYTES_LIMIT, PayloadEncryption, Record, Rekeyed, RollbackAccepted, RolledBack, SECTION_SUMMARY,
    ScopeHeld, ScopeReadmitted, ScopeReleased, SegmentEnd, SegmentHeader, SegmentSummary, ShredCompleted, ShredIntent,
    ShredTarget, StoreId, Tags, Timestamp, Tombstone, aad, hollow,
};
use proptest::collection::{btree_set, vec};
use proptest::option;
use proptest::prelude::*;

use crate::samples::{LOG_LEN, SEED, footers, frames, recheck, records, segment_header};

fn text(max_chars: usize) -> impl Strategy<Value = String> {
    let printable = any::<char>().prop_filter("no control characters", |one| !one.is_control());
    vec(printable, 1..=max_chars).prop_map(String::from_iter)
}

fn coordinate() -> impl Strategy<Value = Coordinate> {
    (text(40), text(40)).prop_map(|(entity, scope)| Coordinate::new(&entity, &scope).unwrap())
}

fn event_id() -> impl Strategy<Value = EventId> {
    any::<[u8; 16]>().prop_map(EventId::from_bytes)
}

fn causes() -> impl Strategy<Value = Causes> {
    let pairs = btree_set(any::<[u8; 16]>(), 0..=64).prop_flat_map(|ids| {
        let len = ids.len();
        (Just(Vec::from_iter(ids)).prop_shuffle(), vec(any::<bool>(), len))
    });
    pairs.prop_map(|(ids, external)| {
        let cause = |(id, external)| Cause { id: EventId::from_bytes(id), external };
        Causes::new(ids.into_iter().zip(external).map(cause).collect()).unwrap()
    })
}

fn encryption() -> impl Strategy<Value = (Option<PayloadEncryption>, Option<[u8; 32]>)> {
    let part = (any::<u64>(), any::<[u8; 24]>())
        .prop_map(|(key_id, nonce)| PayloadEncryption { key_id: KeyId::from_u64(key_id), nonce });
    option::of((part, option::of(any::<[u8; 32]>()))).prop_map(|sealed| match sealed {
        Some((encryption, commitment)) => (Some(encryption), commitment),
        None => (None, None),
    })
}

prop_compose! {
    fn header()(
        (coordinate, causes) in (coordinate(), causes()),
        tags in btree_set(text(32), 0..=16),
        (id, correlation) in (event_id(), option::of(event_id())),
        (kind, payload_version, content_type) in any::<(u16, u16, u16)>(),
        (durable_mark, position, revision, time) in any::<(u64, u64, u64, i64)>(),
        chain_hash in any::<[u8; 32]>(),
        batch in option::of((2u32.., any::<u32>())),
        (encryption, key_commitment) in encryption(),
    ) -> EventHeader {
        EventHeader {
            durable_mark, position, revision, id, correlation, coordinate, causes, encryption, key_commitment,
            payload_version,
            time: Timestamp::from_micros(time),
            chain_hash: ChainHash::from_bytes(chain_hash),
            kind: EventKind::from_u16(kind),
            content_type: ContentType::from_u16(content_type),
            payload_len: 0,
            tags: Tags::new(tags).unwrap(),
            batch: batch.map(|(count, index)| BatchPart { index: index % count, count }),
            hollow: false,
        }
    }
}

prop_compose! {
    fn seed()(store in any::<[u8; 16]>(), (segment, offset) in any::<(u64, u64)>()) -> FrameSeed {
        FrameSeed { store: StoreId::from_bytes(store), segment, offset }
    }
}

fn encode(header: &EventHeader, plaintext: &[u8], seed: &FrameSeed) -> Vec<u8> {
    let mut buf = FrameBuf::new(&header.statement(), plaintext).unwrap();
    buf.set_tag(&[0; 16]);
    buf.seal_finished().place(&header.placement(), seed)
}

/// Encodes a frame again from what was decoded; none when its payload was dropped.
fn encode_again(frame: &Frame<'_>, seed: &FrameSeed) -> Option<Vec<u8>> {
    let (header, stored) = (frame.header().to_owned(), frame.payload()?);
    let (plaintext, tag) = match header.encryption {
        Some(_) => stored.split_last_chunk::<16>().unwrap(),
        None => (stored, &[0; 16]),
    };
    let mut buf = FrameBuf::new(&header.statement(), plaintext).unwrap();
    buf.set_tag(tag);
    Some(buf.seal_finished().place(&header.placement(), seed))
}

fn key_run() -> impl Strategy<Value = Vec<KeyRun>> {
    let gaps = vec((0u32..3, 1u32..1000, 1u32..1000), 0..8);
    gaps.prop_map(|gaps| {
        let (mut page, mut leaf) = (0, 0);
        let run = |(pages, gap, count)| {
            (page, leaf) = if pages > 0 { (page + pages, 0) } else { (page, leaf + gap) };
            let first = KeyId::new(0, page, leaf);
            leaf += count;
            KeyRun { first, count }
        };
        gaps.into_iter().map(run).collect()
    })
}

fn key_scope() -> impl Strategy<Value = Box<[u8]>> {
    vec(any::<u8>(), 0..60).prop_map(Vec::into_boxed_slice)
}

fn shred_record() -> impl Strategy<Value = Record> {
    let target = (key_scope(), key_run()).prop_map(|(key_scope, runs)| ShredTarget { key_scope, runs });
    let withheld = vec(key_scope(), 0..5);
    let intent = (any::<(u8, Option<u64>, u64, u16)>(), text(16), vec(target, 0..5), withheld).prop_map(
        |((granularity, previous_intent, epoch, reason), reference, targets, withheld)| {
            Record::ShredIntent(ShredIntent {
                granularity,
                previous_intent,
                epoch,
                reason,
                reference,
                targets,
                withheld,
            })
        },
    );
    let completed = any::<(u64, u64, u8, u8, Option<i64>, u32)>().prop_map(
        |(intent, epoch, provider_kind, destruction, effective_at, unreachable)| {
            let effective_at = effective_at.map(Timestamp::from_micros);
            Record::ShredCompleted(ShredCompleted {
                intent,
                epoch,
                provider_kind,
                destruction,
                effective_at,
                unreachable,
            })
        },
    );
    let held = || (key_scope(), text(16));
    let released =
        held().prop_map(|(key_scope, reference)| Record::ScopeReleased(ScopeReleased { key_scope, reference }));
    prop_oneof![
        intent,
        completed,
        key_scope().prop_map(|key_scope| Record::ScopeReadmitted(ScopeReadmitted { key_scope })),
        held().prop_map(|(key_scope, reference)| Record::ScopeHeld(ScopeHeld { key_scope, reference })),
        released,
    ]
}

fn accepted_record() -> impl Strategy<Value = Record> {
    let loss = (any::<(u64, u64)>(), key_run()).prop_map(|((one, other), runs)| {
        let (first_position, next_position) = (one.min(other), one.max(other));
        Record::KeyLossAccepted(KeyLossAccepted { first_position, next_position, runs })
    });
    let rollback = any::<(bool, u64, u64)>().prop_map(|(keyset, epoch, position)| {
        let what = if keyset { RolledBack::Keyset } else { RolledBack::Log };
        Record::RollbackAccepted(RollbackAccepted { what, epoch, position })
    });
    let rekeyed = any::<(u64, [u8; 16])>().prop_map(|(epoch, secret_id)| Record::Rekeyed(Rekeyed { epoch, secret_id }));
    prop_oneof![loss, rollback, rekeyed]
}

fn store_record() -> impl Strategy<Value = Record> {
    let genesis = (any::<([u8; 16], i64, u64)>(), option::of((1u8.., 1u8..)), 0..=PLAINTEXT_BYTES_LIMIT, text(50));
    let genesis = genesis.prop_map(|((store, created, segment_bytes), keys, plaintext_bytes_max, provider_hint)| {
        let (granularity, provider_kind) = keys.unwrap_or_default();
        let (store, created) = (StoreId::from_bytes(store), Timestamp::from_micros(created));
        let encrypted = keys.is_some();
        Record::Genesis(Genesis {
            store,
            created,
            encrypted,
            granularity,
            provider_kind,
            provider_hint,
            plaintext_bytes_max,
            segment_bytes,
        })
    });
    let checkpoint = any::<(u64, [u8; 32], [u8; 32])>().prop_map(|(position, merkle_root, chain_hash)| {
        Record::Checkpoint(Checkpoint { position, merkle_root, chain_hash: ChainHash::from_bytes(chain_hash) })
    });
    let denial = (text(20), text(20), any::<u16>(), coordinate()).prop_map(|(gate, code, kind, coordinate)| {
        Record::Denial(Denial { gate, code, kind: EventKind::from_u16(kind), coordinate })
    });
    let bypass = (event_id(), vec(text(20), 0..6), text(60))
        .prop_map(|(event, gates, reason)| Record::Bypass(Bypass { event, gates, reason }));
    let tombstone = (..=u64::MAX / 2, 1..=u64::MAX / 2)
        .prop_map(|(first_position, count)| Record::Tombstone(Tombstone { first_position, count }));
    prop_oneof![genesis, checkpoint, denial, bypass, tombstone]
}

fn record() -> impl Strategy<Value = Record> {
    prop_oneof![shred_record(), accepted_record(), store_record()]
}

prop_compose! {
    fn summary()(
        closed in any::<bool>(),
        (log_len, one, other) in any::<(u64, u64, u64)>(),
        chain_hash in any::<[u8; 32]>(),
        (keyset_epoch, key_id, intent_position_last, epoch_max) in any::<(u64, Option<u64>, Option<u64>, u64)>(),
    ) -> SegmentSummary {
        SegmentSummary {
            end: if closed { SegmentEnd::Closed } else { SegmentEnd::Rolled },
            log_len, keyset_epoch, intent_position_last, epoch_max,
            first_position: one.min(other),
            next_position: one.max(other),
            chain_hash: ChainHash::from_bytes(chain_hash),
            key_id_max: key_id.map(KeyId::from_u64),
        }
    }
}

proptest! {
    #[test]
    fn frames_round_trip(header in header(), plaintext in vec(any::<u8>(), 0..300), seed in seed()) {
        let bytes = encode(&header, &plaintext, &seed);
        let frame = Frame::decode(&bytes, &seed).unwrap();
        let sealed_len = if header.encryption.is_some() { 16 } else { 0 };
        let expected = EventHeader { payload_len: (plaintext.len() + sealed_len) as u32, ..header };
        prop_assert_eq!(frame.header().to_owned(), expected);
        let stored = frame.payload().unwrap();
        prop_assert_eq!(&stored[..plaintext.len()], plaintext.as_slice());
        prop_assert_eq!(encode_again(&frame, &seed).unwrap(), bytes);
    }

    #[test]
    fn frames_decode_when_more_bytes_follow(header in header(), behind in vec(any::<u8>(), 1..50)) {
        let bytes = encode(&header, b"two lamps", &SEED);
        let longer = [bytes.as_slice(), &behind].concat();
        let frame = Frame::decode(&longer, &SEED).unwrap();
        prop_assert_eq!(frame.bytes(), bytes.as_slice());
    }

    #[test]
    fn hollow_frames_keep_all_but_the_payload(header in header(), plaintext in vec(any::<u8>(), 0..300)) {
        let bytes = encode(&header, &plaintext, &SEED);
        let whole = Frame::decode(&bytes, &SEED).unwrap();
        let hollowed = hollow(&bytes, &SEED).unwrap();
        let frame = Frame::decode(&hollowed, &SEED).unwrap();
        prop_assert_eq!(frame.digest(), whole.digest());
        prop_assert_eq!(frame.header().to_owned(), EventHeader { hollow: true, ..whole.header().to_owned() });
    }

    #[test]
    fn records_round_trip(record in record()) {
        let bytes = record.encode().unwrap();
        prop_assert_eq!(Record::decode(record.kind(), &bytes), Ok(record));
    }

    #[test]
    fn summaries_round_trip(summary in summary()) {
        prop_assert_eq!(SegmentSummary::decode(1, &summary.encode()), Ok(summary));
    }

    #[test]
    fn segment_headers_round_trip(
        (store, number, first_position) in any::<([u8; 16], u64, u64)>(),
        (previous, keyset_epoch, optional_flags) in any::<([u8; 32], u64, u32)>(),
    ) {
        let header = SegmentHeader {
            store: StoreId::from_bytes(store), number, first_position, keyset_epoch, optional_flags,
            previous_chain_hash: ChainHash::from_bytes(previous),
            required_flags: 0,
        };
        prop_assert_eq!(SegmentHeader::decode(&header.encode()), Ok(header));
    }

    #[test]
    fn footers_round_trip(
        sections in proptest::collection::btree_map(any::<u16>(), (any::<u16>(), vec(any::<u8>(), 0..80)), 0..8),
        log_len in 0..u64::MAX / 2,
        before in vec(any::<u8>(), 0..40),
    ) {
        let add = |builder: FooterBuilder, (tag, (version, bytes)): (&u16, &(u16, Vec<u8>))| match *tag {
            SECTION_SUMMARY => builder.required_section(*tag, *version, bytes),
            tag => builder.section(tag, *version, bytes),
        };
        let bytes = sections.iter().fold(FooterBuilder::new(), add).finish(log_len);
        let tail = [before.as_slice(), &bytes].concat();
        let footer = Footer::decode_tail(&tail, log_len + bytes.len() as u64).unwrap().unwrap();
        prop_assert_eq!((footer.log_len(), footer.len() as usize), (log_len, bytes.len()));
        let found = footer.sections().map(|section| (section.tag, (section.version, section.bytes.clone())));
        prop_assert!(found.eq(sections));
    }

    #[test]
    fn aad_is_injective(one in (text(6), text(6), any::<u16>(), event_id()), cut in 0usize..12, kind in any::<u16>()) {
        let of = |(entity, scope, kind, id): &(String, String, u16, EventId)| {
            let mut out = Vec::new();
            aad(entity, scope, EventKind::from_u16(*kind), *id, &mut out);
            out
        };
        // The same letters, shared out otherwise between entity and scope.
        let letters: Vec<char> = one.0.chars().chain(one.1.chars()).collect();
        let (entity, scope) = letters.split_at(cut.min(letters.len()));
        let moved = (String::from_iter(entity), String::from_iter(scope), one.2, one.3);
        prop_assert_eq!(of(&one) == of(&moved), one == moved);
        let other_kind = (one.0.clone(), one.1.clone(), kind, one.3);
        prop_assert_eq!(of(&one) == of(&other_kind), one == other_kind);
    }

    #[test]
    fn decoders_do_not_panic_on_any_bytes(bytes in vec(any::<u8>(), 0..600), kind in 0u16..0x20, more in any::<u64>()) {
        let _ = Frame::peek_len(&bytes);
        let _ = Frame::decode(&bytes, &SEED);
        let _ = hollow(&bytes, &SEED);
        let _ = SegmentHeader::decode(&bytes);
        let _ = Footer::decode_tail(&bytes, more);
        let _ = Footer::decode_tail(&bytes, bytes.len() as u64);
        let _ = SegmentSummary::decode(1, &bytes);
        let versioned = [&[1], bytes.as_slice()].concat();
        for kind in [kind, kind | 0xD000] {
            let _ = Record::decode(EventKind::from_u16(kind), &versioned);
        }
    }

    /// Frames whose check was made to hold again, so that what stands behind it is reached.
    #[test]
    fn mutated_frames_are_refused_or_canonical(which in 0usize..8, changes in vec(any::<(usize, u8)>(), 1..4)) {
        let (_, mut bytes) = frames().swap_remove(which);
        mutate(&mut bytes, &changes);
        recheck(&mut bytes, &SEED);
        if let Ok(frame) = Frame::decode(&bytes, &SEED) {
            let _ = (frame.header().to_owned(), frame.digest());
            match encode_again(&frame, &SEED) {
                Some(again) => prop_assert_eq!(again, frame.bytes()),
                None => prop_assert!(frame.header().is_hollow()),
            }
        }
    }

    #[test]
    fn mutated_records_are_refused_or_canonical(which in 0usize..13, changes in vec(any::<(usize, u8)>(), 1..4)) {
        let (_, record) = records().swap_remove(which);
        let mut bytes = record.encode().unwrap();
        mutate(&mut bytes, &changes);
        if let Ok(record) = Record::decode(record.kind(), &bytes) {
            prop_assert_eq!(record.encode().unwrap(), bytes);
        }
    }

    #[test]
    fn mutated_segment_headers_are_refused_or_canonical(changes in vec(any::<(usize, u8)>(), 1..4)) {
        let mut bytes = segment_header().encode();
        mutate(&mut bytes, &changes);
        let check = crc32fast::hash(&bytes[..124]);
        bytes[124..].copy_from_slice(&check.to_le_bytes());
        if let Ok(header) = SegmentHeader::decode(&bytes) {
            prop_assert_eq!(header.encode(), bytes);
        }
    }

    #[test]
    fn mutated_footers_are_refused(which in 0usize..3, changes in vec(any::<(usize, u8)>(), 1..4)) {
        let (_, bytes) = footers().swap_remove(which);
        let mut mutated = bytes.clone();
        mutate(&mut mutated, &changes);
        let found = Footer::decode_tail(&mutated, LOG_LEN + bytes.len() as u64);
        prop_assert_eq!(found.is_ok_and(|footer| footer.is_some()), mutated == bytes);
    }
}

fn mutate(bytes: &mut [u8], changes: &[(usize, u8)]) {
    for (at, value) in changes {
        let at = at % bytes.len();
        bytes[at] = *value;
    }
}
