//! Holds the records' tables of FORMAT.md against the code.
//!
//! Invariant: every record has its table, laid out here by hand once more.

use batpak_format::{Bypass, RECORD_VERSION, Record, ShredIntent};

use super::{Field, bytes, hold, short};
use crate::samples::{STORE, genesis, id, pattern, records, shred_intent};

/// Compares a record's table with its fields behind the version byte, laid out by hand.
fn hold_record(heading: &str, record: &Record, fields: &[Field]) {
    let version = ("version", vec![RECORD_VERSION]);
    let fields: Vec<Field> = std::iter::once(version).chain(fields.iter().cloned()).collect();
    hold(heading, &fields, &record.encode().unwrap());
}

/// Returns the sample record of a golden file.
fn sample(name: &str) -> Record {
    records().into_iter().find(|(of, _)| *of == name).unwrap().1
}

fn u64_bytes(value: u64) -> Vec<u8> {
    bytes(value.to_le_bytes())
}

/// Two runs in page 7, one in page 9, as in the samples.
fn runs() -> Vec<u8> {
    let run = |page: u64, leaf: u64, count: u32| [u64_bytes(page << 24 | leaf), bytes(count.to_le_bytes())].concat();
    [bytes(3u32.to_le_bytes()), run(7, 0x0102, 3), run(7, 0x0106, 1), run(9, 0, 1 << 24)].concat()
}

#[test]
fn genesis_is_as_stated() {
    let fields: [Field; 8] = [
        ("store", bytes(STORE.as_bytes())),
        ("created", bytes((-2i64).to_le_bytes())),
        ("encrypted", vec![1]),
        ("granularity", vec![2]),
        ("provider_kind", vec![3]),
        ("plaintext_bytes_max", bytes((16u32 << 20).to_le_bytes())),
        ("segment_bytes", u64_bytes(64 << 20)),
        ("provider_hint", short("keys/orders.key")),
    ];
    hold_record("### Record: GENESIS", &Record::Genesis(genesis()), &fields);
}

#[test]
fn shred_intent_is_as_stated() {
    let mut intent = shred_intent();
    intent.targets.truncate(1);
    intent.withheld.truncate(1);
    let fields: [Field; 10] = [
        ("granularity", vec![1]),
        ("previous_intent", [vec![1], u64_bytes(0x0102_0304)].concat()),
        ("epoch", u64_bytes(0x1112)),
        ("reason", bytes(0x2122u16.to_le_bytes())),
        ("reference", short("case 17")),
        ("target_count", bytes(1u32.to_le_bytes())),
        ("key_scope", short("\x01\x05\x00order")),
        ("runs", runs()),
        ("withheld_count", bytes(1u32.to_le_bytes())),
        ("withheld", short("\x01\x06\x00holder")),
    ];
    hold_record("### Record: SHRED_INTENT", &Record::ShredIntent(intent.clone()), &fields);
    let first = Record::ShredIntent(ShredIntent { previous_intent: None, ..intent }).encode().unwrap();
    assert_eq!(first[2..11], [0; 9], "an optional u64 that is not there");
}

#[test]
fn shred_completed_is_as_stated() {
    let fields: [Field; 6] = [
        ("intent", u64_bytes(0x0102)),
        ("epoch", u64_bytes(0x1112)),
        ("provider_kind", vec![2]),
        ("destruction", vec![1]),
        ("effective_at", [&[1][..], &(-3i64).to_le_bytes()].concat()),
        ("unreachable", bytes(4u32.to_le_bytes())),
    ];
    hold_record("### Record: SHRED_COMPLETED", &sample("record-shred-completed"), &fields);
}

#[test]
fn scope_records_are_as_stated() {
    let fields: [Field; 2] = [("key_scope", short("\x01\x05\x00order")), ("reference", short("case 17"))];
    hold_record("### Record: SCOPE_READMITTED", &sample("record-scope-readmitted"), &fields[..1]);
    hold_record("### Record: SCOPE_HELD", &sample("record-scope-held"), &fields);
    hold_record("### Record: SCOPE_RELEASED", &sample("record-scope-released"), &fields);
}

#[test]
fn accepted_records_are_as_stated() {
    let fields: [Field; 3] = [("first_position", u64_bytes(5)), ("next_position", u64_bytes(0x0106)), ("runs", runs())];
    hold_record("### Record: KEY_LOSS_ACCEPTED", &sample("record-key-loss-accepted"), &fields);
    let fields: [Field; 3] = [("what", vec![2]), ("epoch", u64_bytes(0x0102)), ("position", u64_bytes(0x1112))];
    hold_record("### Record: ROLLBACK_ACCEPTED", &sample("record-rollback-accepted"), &fields);
    let fields: [Field; 2] = [("epoch", u64_bytes(0x0102)), ("secret_id", bytes(pattern::<16>(0x30)))];
    hold_record("### Record: REKEYED", &sample("record-rekeyed"), &fields);
}

#[test]
fn other_records_are_as_stated() {
    let fields: [Field; 3] = [
        ("position", u64_bytes(0x0102)),
        ("merkle_root", bytes(pattern::<32>(0x40))),
        ("chain_hash", bytes(pattern::<32>(0x80))),
    ];
    hold_record("### Record: CHECKPOINT", &sample("record-checkpoint"), &fields);
    let fields: [Field; 5] = [
        ("kind", vec![0x52, 0x51]),
        ("entity", short("order-1042")),
        ("scope", short("shop")),
        ("gate", short("owner")),
        ("code", short("closed")),
    ];
    hold_record("### Record: DENIAL", &sample("record-denial"), &fields);
    let bypass = Bypass { event: id(9), gates: vec!["owner".into()], reason: "repair".into() };
    let fields: [Field; 4] = [
        ("event", bytes(pattern::<16>(9))),
        ("reason", short("repair")),
        ("gate_count", bytes(1u32.to_le_bytes())),
        ("gate", short("owner")),
    ];
    hold_record("### Record: BYPASS", &Record::Bypass(bypass), &fields);
    let fields: [Field; 2] = [("first_position", u64_bytes(0x0102)), ("count", u64_bytes(3))];
    hold_record("### Record: TOMBSTONE", &sample("record-tombstone"), &fields);
}
