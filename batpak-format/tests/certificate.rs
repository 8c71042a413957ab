//! Certificates: golden files, round trips, hostile bytes.
//!
//! Invariant: whatever is decoded is encoded to the same bytes again.

use batpak_format::{
    CERTIFICATE_SECTION_BYTES_MAX, CERTIFICATE_SECTIONS_MAX, Certificate, CertificateFormatError, CertificateSection,
    CertifiedEvent, CertifiedTarget, CertifiedWorth, ChainHash, CodecError, KEY_SCOPE_BYTES_LIMIT, KeyCommitment,
    KeyId, KeyRun, PositionRun, REFERENCE_BYTES_MAX, StoreId, Timestamp,
};
use proptest::collection::{btree_map, btree_set, vec};
use proptest::prelude::*;

use crate::allocation::allocated_by;
use crate::samples::{STORE, pattern};

/// Where fields stand in the samples' fixed part.
const GRANULARITY: usize = 66;
const PROVIDER: usize = 69;
const WORTH: usize = 70;
const PRESENT: usize = 71;

fn certified(position: u64, time: i64, start: u8) -> CertifiedEvent {
    let chain_hash = ChainHash::from_bytes(pattern(start));
    CertifiedEvent { position, time: Timestamp::from_micros(time), chain_hash }
}

fn run(page: u32, leaf: u32, count: u32) -> KeyRun {
    KeyRun { first: KeyId::new(0, page, leaf), count }
}

fn positions(first: u64, count: u64) -> PositionRun {
    PositionRun { first, count }
}

/// A certificate with every part but sections.
pub fn certificate() -> Certificate {
    let commitment = KeyCommitment { key_id: KeyId::new(0, 7, 0x0103), commitment: pattern(0xB0) };
    Certificate {
        store: STORE,
        created: Timestamp::from_micros(-2),
        genesis_chain_hash: ChainHash::from_bytes(pattern(0x10)),
        granularity: 1,
        reason: 0x2122,
        provider_kind: 2,
        worth: CertifiedWorth::OldCopiesDeadFrom(Timestamp::from_micros(-3)),
        unreachable: 4,
        epoch: 0x1112,
        completion: certified(0x0205, 0x3132, 0x30),
        events_hash: pattern(0x50),
        reference: "case 17".into(),
        intents: vec![certified(0x0203, -5, 0x70), certified(0x0204, -4, 0x90)],
        targets: vec![
            CertifiedTarget::new(Box::default(), vec![run(7, 0x0108, 2)]),
            CertifiedTarget {
                key_scope: Box::from(*b"\x01\x05\x00order"),
                runs: vec![run(7, 0x0102, 3), run(9, 0, 1)],
                events: vec![positions(1, 2), positions(0x0107, 1)],
                commitments: vec![commitment],
            },
        ],
        withheld: vec![Box::from(*b"\x01\x06\x00holder")],
        sections: Vec::new(),
    }
}

/// The smallest certificate: of a key scope that was refused ahead, in a store that keeps its secret itself.
pub fn plain() -> Certificate {
    Certificate {
        provider_kind: 1,
        worth: CertifiedWorth::LiveFilesOnly,
        unreachable: 0,
        completion: certified(2, 0, 0x30),
        reference: String::new(),
        intents: vec![certified(1, 0, 0x70)],
        targets: vec![CertifiedTarget::new(Box::from(*b"\x01\x05\x00order"), Vec::new())],
        withheld: Vec::new(),
        ..certificate()
    }
}

fn section(tag: u16, bytes: &[u8]) -> CertificateSection {
    CertificateSection { tag, bytes: bytes.into() }
}

/// Returns the sample certificates by the names of their golden files.
pub fn certificates() -> Vec<(&'static str, Certificate)> {
    let sections = vec![section(1, b"a signature of a later version"), section(0x7FFF, b"")];
    vec![
        ("certificate", certificate()),
        ("certificate-plain", plain()),
        ("certificate-sections", Certificate { sections, ..certificate() }),
    ]
}

#[test]
fn golden_certificates_decode() {
    for (name, certificate) in certificates() {
        assert_eq!(Certificate::decode(&certificate.encode().unwrap()), Ok(certificate), "{name}");
    }
    let (certificate, plain) = (certificate(), plain());
    assert_eq!(certificate.targets[0].keys(), 2);
    assert_eq!((certificate.events(), certificate.keys(), plain.events(), plain.keys()), (3, 4, 0, 0));
}

#[test]
fn certificate_hash_is_fixed() {
    let hex = certificate().hash().unwrap().to_string();
    assert_eq!(hex, "78260278db38961893e0fe92094a52ba7a682e9151dc5dee82cca6d60fb45fbe");
}

#[test]
fn truncated_certificates_are_refused() {
    for (name, certificate) in certificates() {
        let bytes = certificate.encode().unwrap();
        for len in 0..bytes.len() {
            match Certificate::decode(&bytes[..len]) {
                Err(error) => {
                    assert_eq!(error, CertificateFormatError::Codec(CodecError::Truncated), "{name} at {len}")
                }
                // Cut between two sections it is a certificate with fewer of them.
                Ok(fewer) => assert!(fewer.sections.len() < certificate.sections.len(), "{name} at {len}"),
            }
        }
    }
}

/// Decodes the certificate with every part after its bytes were changed.
fn refused(change: impl FnOnce(&mut Vec<u8>)) -> CertificateFormatError {
    let mut bytes = certificate().encode().unwrap();
    change(&mut bytes);
    Certificate::decode(&bytes).unwrap_err()
}

#[test]
fn certificates_of_other_kinds_are_refused() {
    assert_eq!(refused(|bytes| bytes[7] = b'U'), CertificateFormatError::BadMagic);
    assert_eq!(refused(|bytes| bytes[8] = 2), CertificateFormatError::UnknownVersion { version: 2 });
    assert_eq!(refused(|bytes| bytes[GRANULARITY] = 0), CertificateFormatError::NotCanonical);
    assert_eq!(refused(|bytes| bytes[PROVIDER] = 0), CertificateFormatError::NotCanonical);
    assert_eq!(refused(|bytes| bytes[173] = 1), CertificateFormatError::TooLong { len: 0x0107, max: 64 });
    assert_eq!(refused(|bytes| bytes[174] = 0xFF), CertificateFormatError::NotUtf8);
}

#[test]
fn worth_and_its_moment_go_together() {
    for worth in [0, 1, 2, 4, 255] {
        assert_eq!(refused(|bytes| bytes[WORTH] = worth), CertificateFormatError::NotCanonical, "{worth}");
    }
    // Without a moment, but with its bytes; and a dead copy without a moment.
    assert_eq!(refused(|bytes| bytes[PRESENT] = 0), CertificateFormatError::NotCanonical);
    assert_eq!(refused(|bytes| bytes[PRESENT..PRESENT + 9].fill(0)), CertificateFormatError::NotCanonical);
    assert_eq!(refused(|bytes| bytes[PRESENT] = 2), CertificateFormatError::NotCanonical);
}

#[test]
fn sections_that_are_not_canonical_are_refused() {
    let behind = |more: &'static [u8]| refused(|bytes| bytes.extend_from_slice(more));
    assert_eq!(behind(&[0]), CertificateFormatError::Codec(CodecError::Truncated));
    assert_eq!(behind(&[5, 0, 1, 0, 0, 0, 0, 0]), CertificateFormatError::UnknownRequiredSection { tag: 5 });
    assert_eq!(behind(&[5, 0, 2, 0, 0, 0, 0, 0]), CertificateFormatError::NotCanonical);
    assert_eq!(behind(&[5, 0, 0, 0, 1, 0, 0, 0]), CertificateFormatError::Codec(CodecError::Truncated));
    assert_eq!(behind(&[5, 0, 0, 0, 255, 255, 255, 255]), CertificateFormatError::Codec(CodecError::Truncated));
    assert_eq!(behind(&[5, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0]), CertificateFormatError::NotCanonical);
}

#[test]
fn certificate_fields_have_their_caps() {
    let with_sections = |sections| Certificate { sections, ..plain() }.encode();
    let many = |count: usize| (0..count).map(|tag| section(tag as u16, b"")).collect();
    assert!(with_sections(many(CERTIFICATE_SECTIONS_MAX)).is_ok());
    let too_long = |len: usize| Err(CertificateFormatError::TooLong { len, max: len - 1 });
    assert_eq!(with_sections(many(CERTIFICATE_SECTIONS_MAX + 1)), too_long(CERTIFICATE_SECTIONS_MAX + 1));
    let long = |len| with_sections(vec![section(3, &vec![0; len])]);
    assert!(long(CERTIFICATE_SECTION_BYTES_MAX).is_ok());
    assert_eq!(long(CERTIFICATE_SECTION_BYTES_MAX + 1), too_long(CERTIFICATE_SECTION_BYTES_MAX + 1));
    let referring = |len: usize| Certificate { reference: "r".repeat(len), ..plain() }.encode();
    assert!(referring(REFERENCE_BYTES_MAX).is_ok());
    assert_eq!(referring(REFERENCE_BYTES_MAX + 1), too_long(REFERENCE_BYTES_MAX + 1));
    let withheld = |len| Certificate { withheld: vec![vec![1; len].into()], ..plain() }.encode();
    assert!(withheld(KEY_SCOPE_BYTES_LIMIT).is_ok());
    assert_eq!(withheld(KEY_SCOPE_BYTES_LIMIT + 1), too_long(KEY_SCOPE_BYTES_LIMIT + 1));
}

/// Changes the certificate with every part, which neither direction takes then.
fn never(change: impl FnOnce(&mut Certificate)) -> CertificateFormatError {
    let mut certificate = certificate();
    change(&mut certificate);
    certificate.hash().map(|_| ()).and(certificate.encode().map(|_| ())).unwrap_err()
}

#[test]
fn certificates_that_no_log_gives_are_not_encoded() {
    let canonical = CertificateFormatError::NotCanonical;
    assert_eq!(never(|it| it.granularity = 0), canonical);
    assert_eq!(never(|it| it.provider_kind = 0), canonical);
    assert_eq!(never(|it| it.intents.clear()), canonical);
    assert_eq!(never(|it| it.intents.reverse()), canonical);
    assert_eq!(never(|it| it.intents[1] = it.intents[0]), canonical);
    assert_eq!(never(|it| it.completion.position = 0x0204), canonical);
    assert_eq!(never(|it| it.targets.reverse()), canonical);
    assert_eq!(never(|it| it.targets[0] = it.targets[1].clone()), canonical);
    assert_eq!(never(|it| it.withheld = vec![it.withheld[0].clone(); 2]), canonical);
    assert_eq!(never(|it| it.targets[1].events[1] = positions(0x0203, 1)), canonical);
    assert_eq!(never(|it| it.targets[1].commitments = vec![it.targets[1].commitments[0]; 2]), canonical);
    let foreign = KeyCommitment { key_id: KeyId::new(0, 7, 0x0105), commitment: [0; 32] };
    assert_eq!(never(|it| it.targets[1].commitments.push(foreign)), canonical);
    assert_eq!(never(|it| it.targets[1].runs.reverse()), CertificateFormatError::KeyRuns);
    for runs in [
        vec![positions(5, 0)],
        vec![positions(5, 2), positions(7, 1)],
        vec![positions(5, 2), positions(6, 1)],
        vec![positions(7, 1), positions(5, 1)],
        vec![positions(u64::MAX, 1)],
    ] {
        assert_eq!(never(|it| it.targets[1].events = runs), CertificateFormatError::PositionRuns);
    }
}

#[test]
fn certified_targets_know_their_keys_and_join_their_events() {
    let mut target = CertifiedTarget::new(Box::default(), vec![run(7, 2, 3), run(8, 0, 1)]);
    let known = [(7, 1), (7, 2), (7, 4), (7, 5), (8, 0), (8, 1)].map(|(page, leaf)| KeyId::new(0, page, leaf));
    assert_eq!(known.map(|key_id| target.has_key(key_id)), [false, true, true, false, true, false]);
    for position in [3, 4, 5, 9, 11, 12] {
        target.push_event(position);
    }
    assert_eq!(target.events, [positions(3, 3), positions(9, 1), positions(11, 2)]);
}

/// Every place of every sample holds the largest count once: whatever field stands there, it claims the most.
#[test]
fn certificates_with_hostile_counts_allocate_in_step_with_their_bytes() {
    for (name, certificate) in certificates() {
        let bytes = certificate.encode().unwrap();
        for at in 0..bytes.len() {
            for claimed in [u32::MAX, 1 << 28, 1 << 16, 1024, 64] {
                let mut hostile = bytes.clone();
                let end = (at + 4).min(hostile.len());
                hostile[at..end].copy_from_slice(&claimed.to_le_bytes()[..end - at]);
                let (_, allocated) = allocated_by(|| Certificate::decode(&hostile));
                assert!(allocated <= 8 * bytes.len() + 1024, "{name}: {allocated} bytes for a count at {at}");
            }
        }
    }
    // The widest gap between bytes read and memory used: key scopes of nothing.
    let mut whole = plain().encode().unwrap();
    let withheld_at = whole.len() - 4;
    whole[withheld_at..].copy_from_slice(&60_000u32.to_le_bytes());
    whole.resize(whole.len() + 2 * 60_000, 0);
    let (refused, allocated) = allocated_by(|| Certificate::decode(&whole));
    assert_eq!(refused, Err(CertificateFormatError::NotCanonical));
    assert!(allocated <= 8 * whole.len() + 1024, "{allocated} bytes for {}", whole.len());
    whole.pop();
    let (refused, allocated) = allocated_by(|| Certificate::decode(&whole));
    assert_eq!(refused, Err(CertificateFormatError::Codec(CodecError::Truncated)));
    assert!(allocated < 1024);
}

prop_compose! {
    fn target()(
        gaps in vec((1u32..3, 0u32..1000, 1u32..1000), 1..5),
        events in vec((2u64..50, 1u64..50), 0..5),
        commitments in vec(any::<[u8; 32]>(), 0..5),
    ) -> CertifiedTarget {
        let mut page = 0;
        let runs: Vec<_> = gaps.into_iter().map(|(pages, leaf, count)| {
            page += pages;
            run(page, leaf, count)
        }).collect();
        let mut next = 0;
        let events = events.into_iter().map(|(gap, count)| {
            let first = next + gap;
            next = first + count;
            positions(first, count)
        }).collect();
        let commitments = runs.iter().zip(commitments)
            .map(|(run, commitment)| KeyCommitment { key_id: run.first, commitment }).collect();
        CertifiedTarget { key_scope: Box::default(), runs, events, commitments }
    }
}

prop_compose! {
    fn any_certificate()(
        (store, created, genesis) in any::<([u8; 16], i64, [u8; 32])>(),
        (granularity, provider_kind, reason, unreachable, epoch) in (1u8.., 1u8.., any::<u16>(), any::<u32>(), any::<u64>()),
        worth in (1u8..=3, any::<i64>()),
        (events_hash, chain) in any::<([u8; 32], [u8; 32])>(),
        reference in "[a-z]{0,60}",
        intents in btree_map(1000u64..2000, any::<(i64, [u8; 32])>(), 1..4),
        (completion, completed) in (2000u64.., any::<i64>()),
        targets in btree_map(vec(any::<u8>(), 0..30), target(), 0..5),
        withheld in btree_set(vec(any::<u8>(), 0..30), 0..4),
        sections in btree_map(any::<u16>(), vec(any::<u8>(), 0..40), 0..3),
    ) -> Certificate {
        let event = |position, (time, chain)| CertifiedEvent {
            position, time: Timestamp::from_micros(time), chain_hash: ChainHash::from_bytes(chain),
        };
        let moment = (worth.0 == 3).then_some(Timestamp::from_micros(worth.1));
        Certificate {
            store: StoreId::from_bytes(store),
            created: Timestamp::from_micros(created),
            genesis_chain_hash: ChainHash::from_bytes(genesis),
            granularity, provider_kind, reason, unreachable, epoch, events_hash, reference,
            worth: CertifiedWorth::from_code(worth.0, moment).unwrap(),
            completion: event(completion, (completed, chain)),
            intents: intents.into_iter().map(|(position, of)| event(position, of)).collect(),
            targets: targets.into_iter()
                .map(|(key_scope, target)| CertifiedTarget { key_scope: key_scope.into(), ..target }).collect(),
            withheld: withheld.into_iter().map(Vec::into_boxed_slice).collect(),
            sections: sections.into_iter().map(|(tag, bytes)| section(tag, &bytes)).collect(),
        }
    }
}

proptest! {
    #[test]
    fn certificates_round_trip(certificate in any_certificate()) {
        let bytes = certificate.encode().unwrap();
        prop_assert_eq!(Certificate::decode(&bytes), Ok(certificate));
    }

    #[test]
    fn mutated_certificates_are_refused_or_canonical(
        certificate in any_certificate(), changes in vec(any::<(usize, u8)>(), 1..4),
    ) {
        let mut bytes = certificate.encode().unwrap();
        for (at, value) in changes {
            let at = at % bytes.len();
            bytes[at] = value;
        }
        if let Ok(certificate) = Certificate::decode(&bytes) {
            prop_assert_eq!(certificate.encode().unwrap(), bytes);
        }
    }

    #[test]
    fn certificates_decode_any_bytes_without_a_panic(bytes in vec(any::<u8>(), 0..600)) {
        let _ = Certificate::decode(&bytes);
        let _ = Certificate::decode(&[&certificate().encode().unwrap()[..172], &bytes].concat());
    }
}
