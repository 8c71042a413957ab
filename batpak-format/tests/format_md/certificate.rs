//! Holds the certificate's tables of FORMAT.md against the code.
//!
//! Invariant: the tables are laid out here by hand once more.

use batpak_format::{
    CERTIFICATE_MAGIC, CERTIFICATE_VERSION, Certificate, CertificateSection, CertifiedWorth, Timestamp,
};

use super::{Field, bytes, hold, hold_values, short};
use crate::certificate::{certificate, plain};
use crate::samples::{STORE, pattern};

fn list(count: u32, elements: &[&[u8]]) -> Vec<u8> {
    [&count.to_le_bytes(), elements.concat().as_slice()].concat()
}

fn event(position: u64, time: i64, start: u8) -> Vec<u8> {
    [&position.to_le_bytes()[..], &time.to_le_bytes(), &pattern::<32>(start)].concat()
}

/// The fields of the sample with one target, laid out by hand.
fn fields() -> [Field; 24] {
    let key = |page: u64, leaf: u64| (page << 24 | leaf).to_le_bytes();
    let run = |page: u64, leaf: u64, count: u32| [&key(page, leaf)[..], &count.to_le_bytes()].concat();
    let positions = |first: u64, count: u64| [first.to_le_bytes(), count.to_le_bytes()].concat();
    [
        ("magic", bytes(CERTIFICATE_MAGIC)),
        ("version", bytes(CERTIFICATE_VERSION.to_le_bytes())),
        ("store", bytes(STORE.as_bytes())),
        ("created", bytes((-2i64).to_le_bytes())),
        ("genesis_chain_hash", bytes(pattern::<32>(0x10))),
        ("granularity", vec![1]),
        ("reason", bytes(0x2122u16.to_le_bytes())),
        ("provider_kind", vec![2]),
        ("worth", vec![3]),
        ("effective_at", [&[1][..], &(-3i64).to_le_bytes()].concat()),
        ("unreachable", bytes(4u32.to_le_bytes())),
        ("epoch", bytes(0x1112u64.to_le_bytes())),
        ("completion_position", bytes(0x0205u64.to_le_bytes())),
        ("completion_time", bytes(0x3132i64.to_le_bytes())),
        ("completion_chain_hash", bytes(pattern::<32>(0x30))),
        ("events_hash", bytes(pattern::<32>(0x50))),
        ("reference", short("case 17")),
        ("intents", list(2, &[&event(0x0203, -5, 0x70), &event(0x0204, -4, 0x90)])),
        ("target_count", bytes(1u32.to_le_bytes())),
        ("key_scope", short("\x01\x05\x00order")),
        ("runs", list(2, &[&run(7, 0x0102, 3), &run(9, 0, 1)])),
        ("events", list(2, &[&positions(1, 2), &positions(0x0107, 1)])),
        ("commitments", list(1, &[&[&key(7, 0x0103)[..], &pattern::<32>(0xB0)].concat()])),
        ("withheld_count", bytes(1u32.to_le_bytes())),
    ]
}

#[test]
fn certificate_is_as_stated() {
    let mut certificate = certificate();
    certificate.targets.remove(0);
    let withheld: Field = ("withheld", short("\x01\x06\x00holder"));
    let fields: Vec<Field> = fields().into_iter().chain([withheld]).collect();
    hold("### Certificate: fields", &fields, &certificate.encode().unwrap());
    let undated = Certificate { worth: CertifiedWorth::OldCopiesNotCovered, ..plain() };
    assert_eq!(undated.encode().unwrap()[70..80], [2, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
}

#[test]
fn certificate_worth_is_that_of_the_code() {
    let worth = [
        ("LIVE_FILES_ONLY", CertifiedWorth::LiveFilesOnly),
        ("OLD_COPIES_NOT_COVERED", CertifiedWorth::OldCopiesNotCovered),
        ("OLD_COPIES_DEAD", CertifiedWorth::OldCopiesDeadFrom(Timestamp::from_micros(0))),
    ];
    hold_values("### Certificate: worth", 1, 0, &worth.map(|(name, worth)| (name, worth.code().into())));
}

#[test]
fn certificate_section_is_as_stated() {
    let fields: [Field; 3] = [
        ("tag", bytes(0x0102u16.to_le_bytes())),
        ("flags", vec![0; 2]),
        ("bytes", [&3u32.to_le_bytes()[..], b"abc"].concat()),
    ];
    let section = CertificateSection { tag: 0x0102, bytes: Box::from(*b"abc") };
    let with = Certificate { sections: vec![section], ..plain() };
    let statement = plain().encode().unwrap();
    hold("### Certificate: section", &fields, &with.encode().unwrap()[statement.len()..]);
    assert_eq!(with.hash(), plain().hash());
    assert_eq!(plain().hash().unwrap().as_bytes(), blake3::hash(&statement).as_bytes());
}
