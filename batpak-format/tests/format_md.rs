//! Holds FORMAT.md against the code: each table's rows, offsets and widths are those of bytes that the code encodes.
//!
//! Invariant: a constant that changes and a table that changes both fail here.

mod certificate;
mod records;

use batpak_format::layout::*;
use batpak_format::{
    AAD_VERSION, BYPASS_GATES_MAX, CAUSES_MAX, CERTIFICATE_LIST_MAX, CERTIFICATE_SECTION_BYTES_MAX,
    CERTIFICATE_SECTIONS_MAX, ContentType, EventKind, FOOTER_MAGIC, FOOTER_ROW_LEN, FOOTER_SECTIONS_MAX,
    FOOTER_TRAILER_LEN, FOOTER_VERSION, FooterBuilder, Frame, KEY_RUNS_MAX, KEY_SCOPE_BYTES_LIMIT, NAME_BYTES_MAX,
    RECORD_TEXT_BYTES_MAX, REFERENCE_BYTES_MAX, SECTION_SUMMARY, SEGMENT_HEADER_LEN, SEGMENT_MAGIC,
    SEGMENT_REQUIRED_FLAGS_KNOWN, SEGMENT_VERSION, SHRED_TARGETS_MAX, SUMMARY_LEN, TAG_BYTES_MAX, TAGS_MAX, aad,
    chain_hash, merkle_leaf,
};

use crate::samples::{LOG_LEN, SEED, STORE, encode, frames, full, id, pattern, recheck, segment_header, summary};

const FORMAT_MD: &str = include_str!("../FORMAT.md");

/// A field's name, and its bytes in a sample.
type Field = (&'static str, Vec<u8>);

/// Returns the cells of the first table under a heading, its own two head lines left out.
fn table(heading: &str) -> Vec<Vec<&'static str>> {
    let mut under = FORMAT_MD.lines().skip_while(|line| *line != heading);
    assert!(under.next().is_some(), "FORMAT.md has no heading {heading:?}");
    let section = under.take_while(|line| !line.starts_with('#'));
    // A byte diagram may stand before the table, so the table is found by the line under its head.
    let rows = section.skip_while(|line| !line.starts_with("|---")).skip(1).take_while(|line| line.starts_with('|'));
    let cells = |line: &'static str| line.trim_matches('|').split('|').map(str::trim).collect();
    let rows: Vec<_> = rows.map(cells).collect();
    assert!(!rows.is_empty(), "FORMAT.md has no table under {heading:?}");
    rows
}

/// Evaluates a width (`8`, `2 + n`, `4 + 12 n`) for the bytes of a field: `n` is the number its first bytes hold.
fn width_of(width: &str, field: &[u8]) -> usize {
    let Some((before, each)) = width.split_once(" + ") else { return width.parse().unwrap() };
    let before: usize = before.parse().unwrap();
    let n = field[..before].iter().rev().fold(0, |n, byte| n << 8 | usize::from(*byte));
    let each = if each == "n" { 1 } else { each.strip_suffix(" n").unwrap().parse().unwrap() };
    before + each * n
}

/// Compares a table of offset, width and field with the fields of a sample, and these with the sample as encoded.
fn hold(heading: &str, fields: &[Field], encoded: &[u8]) {
    let rows = table(heading);
    let names: Vec<_> = rows.iter().map(|row| row[2]).collect();
    assert_eq!(names, fields.iter().map(|(name, _)| *name).collect::<Vec<_>>(), "fields of {heading:?}");
    let mut offset = Some(0);
    for (row, (name, bytes)) in rows.iter().zip(fields) {
        let stated = offset.map_or("..".to_owned(), |at: usize| at.to_string());
        assert_eq!(row[0], stated, "offset of {name} in {heading:?}");
        assert_eq!(width_of(row[1], bytes), bytes.len(), "width of {name} in {heading:?}");
        assert!(row[3].ends_with(['.', ')']), "{name} in {heading:?} has no sentence");
        offset = offset.filter(|_| !row[1].contains('n')).map(|at| at + bytes.len());
    }
    let laid_out: Vec<u8> = fields.iter().flat_map(|(_, bytes)| bytes.clone()).collect();
    assert_eq!(laid_out, encoded, "bytes of {heading:?}");
}

/// Compares a table of two columns, number and name in either order, with the values of the code.
fn hold_values(heading: &str, name_column: usize, value_column: usize, values: &[(&str, u64)]) {
    let number = |cell: &str| match cell.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).unwrap(),
        None => cell.parse().unwrap(),
    };
    let stated: Vec<_> = table(heading).iter().map(|row| (row[name_column], number(row[value_column]))).collect();
    assert_eq!(stated, values, "{heading:?}");
}

fn bytes(field: impl AsRef<[u8]>) -> Vec<u8> {
    field.as_ref().to_vec()
}

fn short(text: &str) -> Vec<u8> {
    [&(text.len() as u16).to_le_bytes(), text.as_bytes()].concat()
}

#[test]
fn caps_are_those_of_the_code() {
    hold_values(
        "### Caps",
        0,
        1,
        &[
            ("NAME_BYTES_MAX", NAME_BYTES_MAX as u64),
            ("CAUSES_MAX", CAUSES_MAX as u64),
            ("TAGS_MAX", TAGS_MAX as u64),
            ("TAG_BYTES_MAX", TAG_BYTES_MAX as u64),
            ("PLAINTEXT_BYTES_MAX_DEFAULT", PLAINTEXT_BYTES_MAX_DEFAULT.into()),
            ("PLAINTEXT_BYTES_LIMIT", PLAINTEXT_BYTES_LIMIT.into()),
            ("SEAL_TAG_LEN", SEAL_TAG_LEN as u64),
            ("PAYLOAD_BYTES_LIMIT", PAYLOAD_BYTES_LIMIT.into()),
            ("HEADER_BYTES_MAX", HEADER_BYTES_MAX as u64),
            ("FOOTER_SECTIONS_MAX", FOOTER_SECTIONS_MAX as u64),
            ("RECORD_TEXT_BYTES_MAX", RECORD_TEXT_BYTES_MAX as u64),
            ("REFERENCE_BYTES_MAX", REFERENCE_BYTES_MAX as u64),
            ("KEY_SCOPE_BYTES_LIMIT", KEY_SCOPE_BYTES_LIMIT as u64),
            ("SHRED_TARGETS_MAX", SHRED_TARGETS_MAX as u64),
            ("KEY_RUNS_MAX", KEY_RUNS_MAX as u64),
            ("BYPASS_GATES_MAX", BYPASS_GATES_MAX as u64),
            ("CERTIFICATE_LIST_MAX", CERTIFICATE_LIST_MAX as u64),
            ("CERTIFICATE_SECTIONS_MAX", CERTIFICATE_SECTIONS_MAX as u64),
            ("CERTIFICATE_SECTION_BYTES_MAX", CERTIFICATE_SECTION_BYTES_MAX as u64),
        ],
    );
}

#[test]
fn frame_offsets_are_the_constants() {
    let constants = [
        (FRAME_LEN_AT, FRAME_LEN_LEN, "frame_len"),
        (CHECK_AT, CHECK_LEN, "check"),
        (DURABLE_MARK_AT, DURABLE_MARK_LEN, "durable_mark"),
        (POSITION_AT, POSITION_LEN, "position"),
        (REVISION_AT, REVISION_LEN, "revision"),
        (TIME_AT, TIME_LEN, "time"),
        (CHAIN_HASH_AT, CHAIN_HASH_LEN, "chain_hash"),
        (ID_AT, ID_LEN, "id"),
        (FLAGS_AT, FLAGS_LEN, "flags"),
        (KIND_AT, KIND_LEN, "kind"),
        (PAYLOAD_VERSION_AT, PAYLOAD_VERSION_LEN, "payload_version"),
        (CONTENT_TYPE_AT, CONTENT_TYPE_LEN, "content_type"),
        (PAYLOAD_LEN_AT, PAYLOAD_LEN_LEN, "payload_len"),
        (ENTITY_LEN_AT, ENTITY_LEN_LEN, "entity_len"),
        (SCOPE_LEN_AT, SCOPE_LEN_LEN, "scope_len"),
    ];
    let stated: Vec<(usize, usize, &str)> = table("### Frame: fixed part")
        .iter()
        .map(|row| (row[0].parse().unwrap(), row[1].parse().unwrap(), row[2]))
        .collect();
    assert_eq!(stated, constants);
    assert_eq!(SCOPE_LEN_AT + SCOPE_LEN_LEN, FIXED_LEN);
}

#[test]
fn frame_fixed_part_is_as_stated() {
    let header = full();
    let frame = encode(&header, b"stands for ciphertext");
    let fields: [Field; 15] = [
        ("frame_len", bytes((frame.len() as u32).to_le_bytes())),
        ("check", bytes(&frame[4..8])),
        ("durable_mark", bytes(header.durable_mark.to_le_bytes())),
        ("position", bytes(header.position.to_le_bytes())),
        ("revision", bytes(header.revision.to_le_bytes())),
        ("time", bytes(header.time.as_micros().to_le_bytes())),
        ("chain_hash", bytes(Frame::decode(&frame, &SEED).unwrap().header().chain_hash().as_bytes())),
        ("id", bytes(header.id.as_bytes())),
        ("flags", bytes(0x3Fu16.to_le_bytes())),
        ("kind", bytes(0x5152u16.to_le_bytes())),
        ("payload_version", bytes(header.payload_version.to_le_bytes())),
        ("content_type", bytes(header.content_type.as_u16().to_le_bytes())),
        ("payload_len", bytes((b"stands for ciphertext".len() as u32 + 16).to_le_bytes())),
        ("entity_len", bytes(10u16.to_le_bytes())),
        ("scope_len", bytes(4u16.to_le_bytes())),
    ];
    hold("### Frame: fixed part", &fields, &frame[..FIXED_LEN]);
}

#[test]
fn frame_flags_are_those_of_the_code() {
    let flags = [
        ("CORRELATION", FLAG_CORRELATION),
        ("CAUSES", FLAG_CAUSES),
        ("TAGS", FLAG_TAGS),
        ("BATCH", FLAG_BATCH),
        ("SEALED", FLAG_SEALED),
        ("KEY_COMMITMENT", FLAG_KEY_COMMITMENT),
        ("HOLLOW", FLAG_HOLLOW),
    ];
    hold_values("### Frame: flags", 2, 1, &flags.map(|(name, flag)| (name, flag.into())));
    hold_values("### Frame: flags", 2, 0, &flags.map(|(name, flag)| (name, flag.trailing_zeros().into())));
    assert_eq!(flags.iter().fold(0, |all, (_, flag)| all | flag), FLAGS_KNOWN);
}

#[test]
fn frame_variable_part_is_as_stated() {
    let header = full();
    let (_, frame) = frames().into_iter().find(|(name, _)| *name == "frame-hollow").unwrap();
    let event_hash = Frame::decode(&frame, &SEED).unwrap().event_hash();
    let encryption = header.encryption.unwrap();
    let external = header.causes.iter().enumerate().fold([0; 2], |mut bits, (at, cause)| {
        bits[at / 8] |= u8::from(cause.external) << (at % 8);
        bits
    });
    let ids: Vec<u8> = header.causes.iter().flat_map(|cause| *cause.id.as_bytes()).collect();
    let tags: Vec<u8> = header.tags.iter().flat_map(|tag| [&[tag.len() as u8], tag.as_bytes()].concat()).collect();
    let batch = header.batch.unwrap();
    let rows: [([&str; 3], Vec<u8>); 14] = [
        (["entity_len", "entity", "always"], bytes("order-1042")),
        (["scope_len", "scope", "always"], bytes("shop")),
        (["16", "correlation", "CORRELATION"], bytes(header.correlation.unwrap().as_bytes())),
        (["1", "cause_count", "CAUSES"], vec![9]),
        (["ceil(n/8)", "cause_external", "CAUSES"], bytes(external)),
        (["16 n", "cause_ids", "CAUSES"], ids),
        (["1", "tag_count", "TAGS"], vec![3]),
        (["1 + n", "tag", "TAGS"], tags),
        (["4", "batch_index", "BATCH"], bytes(batch.index.to_le_bytes())),
        (["4", "batch_count", "BATCH"], bytes(batch.count.to_le_bytes())),
        (["8", "key_id", "SEALED"], bytes(encryption.key_id.as_u64().to_le_bytes())),
        (["24", "nonce", "SEALED"], bytes(encryption.nonce)),
        (["32", "key_commitment", "KEY_COMMITMENT"], bytes(header.key_commitment.unwrap())),
        (["32", "event_hash", "HOLLOW"], bytes(event_hash.as_bytes())),
    ];
    let stated = table("### Frame: variable part");
    let stated: Vec<_> = stated.iter().map(|row| &row[..3]).collect();
    assert_eq!(stated, rows.iter().map(|(cells, _)| &cells[..]).collect::<Vec<_>>());
    for ([width, field, _], bytes) in &rows {
        if let Ok(width) = width.parse::<usize>() {
            assert_eq!(width, bytes.len(), "width of {field}");
        }
    }
    let laid_out: Vec<u8> = rows.into_iter().flat_map(|(_, bytes)| bytes).collect();
    assert_eq!(laid_out, frame[FIXED_LEN..]);
    let widths = [CORRELATION_LEN, BATCH_LEN, ENCRYPTION_LEN, KEY_COMMITMENT_LEN, HOLLOW_LEN];
    assert_eq!(widths, [16, 4 + 4, 8 + 24, 32, 32]);
}

/// The check is computed by hand in `recheck`, in the order of this table.
#[test]
fn frame_check_is_as_stated() {
    let stated: Vec<_> = table("### Frame: check").iter().map(|row| (row[0], row[1])).collect();
    let expected = [
        ("payload_len", "payload"),
        ("16", "store"),
        ("8", "segment"),
        ("8", "offset"),
        ("4", "frame_len"),
        ("header_len - 8", "header"),
    ];
    assert_eq!(stated, expected);
    for (name, frame) in frames() {
        let mut rechecked = frame.clone();
        rechecked[CHECK_AT..CHECK_AT + CHECK_LEN].fill(0);
        recheck(&mut rechecked, &SEED);
        assert_eq!(rechecked, frame, "{name}");
    }
}

#[test]
fn placed_digest_is_as_stated() {
    let (_, frame) = frames().remove(0);
    let frame = Frame::decode(&frame, &SEED).unwrap();
    let (header, digest) = (frame.header(), frame.digest());
    let (position, revision, time) = (header.position(), header.revision(), header.time());
    let fields: [Field; 4] = [
        ("digest", bytes(digest.as_bytes())),
        ("position", bytes(position.to_le_bytes())),
        ("revision", bytes(revision.to_le_bytes())),
        ("time", bytes(time.as_micros().to_le_bytes())),
    ];
    let block: Vec<u8> = fields.iter().flat_map(|(_, bytes)| bytes.clone()).collect();
    hold("### Placed digest", &fields, &block);
    let previous = header.chain_hash();
    let link = chain_hash(&previous, &digest, position, revision, time);
    assert_eq!(link.as_bytes(), blake3::keyed_hash(previous.as_bytes(), &block).as_bytes());
    let label = b"batpak-format v1 merkle leaf    ";
    assert_eq!(merkle_leaf(position, revision, time, &digest), *blake3::keyed_hash(label, &block).as_bytes());
}

/// The contexts and labels stand in `hashes`, with their vectors, and here in the text.
#[test]
fn contexts_and_labels_are_stated() {
    for label in ["entity root", "merkle leaf", "merkle node", "event id from the caller's key"] {
        assert!(FORMAT_MD.contains(&format!("`batpak-format v1 {label}`")), "{label}");
    }
}

#[test]
fn aad_is_as_stated() {
    let kind = EventKind::new(5, 0x152).unwrap();
    let mut encoded = Vec::new();
    aad("order-1042", "shop", kind, id(1), &mut encoded);
    let fields: [Field; 5] = [
        ("version", vec![AAD_VERSION]),
        ("entity", short("order-1042")),
        ("scope", short("shop")),
        ("kind", vec![2, 0, 0x52, 0x51]),
        ("id", [&[16, 0], &pattern::<16>(1)[..]].concat()),
    ];
    hold("### Associated data of a seal", &fields, &encoded);
}

#[test]
fn segment_header_is_as_stated() {
    let (header, encoded) = (segment_header(), segment_header().encode());
    let fields: [Field; 13] = [
        ("magic", bytes(SEGMENT_MAGIC)),
        ("version", bytes(SEGMENT_VERSION.to_le_bytes())),
        ("header_len", bytes((SEGMENT_HEADER_LEN as u16).to_le_bytes())),
        ("required_flags", bytes(SEGMENT_REQUIRED_FLAGS_KNOWN.to_le_bytes())),
        ("optional_flags", bytes(header.optional_flags.to_le_bytes())),
        ("reserved", vec![0; 4]),
        ("store", bytes(STORE.as_bytes())),
        ("number", bytes(header.number.to_le_bytes())),
        ("first_position", bytes(header.first_position.to_le_bytes())),
        ("previous_chain_hash", bytes(header.previous_chain_hash.as_bytes())),
        ("keyset_epoch", bytes(header.keyset_epoch.to_le_bytes())),
        ("pad", vec![0; 28]),
        ("check", bytes(crc32fast::hash(&encoded[..124]).to_le_bytes())),
    ];
    hold("### Segment header: fields", &fields, &encoded);
    let constants = [
        SEGMENT_MAGIC_AT,
        SEGMENT_VERSION_AT,
        SEGMENT_HEADER_LEN_AT,
        SEGMENT_REQUIRED_FLAGS_AT,
        SEGMENT_OPTIONAL_FLAGS_AT,
        SEGMENT_RESERVED_AT,
        SEGMENT_STORE_AT,
        SEGMENT_NUMBER_AT,
        SEGMENT_FIRST_POSITION_AT,
        SEGMENT_PREVIOUS_AT,
        SEGMENT_EPOCH_AT,
        SEGMENT_PAD_AT,
        SEGMENT_CHECK_AT,
    ];
    let stated: Vec<usize> = table("### Segment header: fields").iter().map(|row| row[0].parse().unwrap()).collect();
    assert_eq!(stated, constants);
}

#[test]
fn footer_rows_and_trailer_are_as_stated() {
    let footer = FooterBuilder::new().required_section(SECTION_SUMMARY, 7, b"12345").section(9, 8, b"678");
    let encoded = footer.finish(LOG_LEN);
    let row = |tag: u16, version: u16, flags: u32, offset: u32, section: &[u8]| -> [Field; 6] {
        [
            ("tag", bytes(tag.to_le_bytes())),
            ("version", bytes(version.to_le_bytes())),
            ("flags", bytes(flags.to_le_bytes())),
            ("offset", bytes(offset.to_le_bytes())),
            ("len", bytes((section.len() as u32).to_le_bytes())),
            ("check", bytes(crc32fast::hash(section).to_le_bytes())),
        ]
    };
    let rows = &encoded[8..8 + 2 * FOOTER_ROW_LEN];
    hold("### Footer: row", &row(SECTION_SUMMARY, 7, 1, 0, b"12345"), &rows[..FOOTER_ROW_LEN]);
    hold("### Footer: row", &row(9, 8, 0, 5, b"678"), &rows[FOOTER_ROW_LEN..]);
    let trailer = &encoded[8 + 2 * FOOTER_ROW_LEN..];
    assert_eq!(trailer.len(), FOOTER_TRAILER_LEN);
    let covered = [rows, &trailer[..16], &trailer[20..]].concat();
    let fields: [Field; 7] = [
        ("footer_len", bytes((encoded.len() as u32).to_le_bytes())),
        ("section_count", bytes(2u32.to_le_bytes())),
        ("log_len", bytes(LOG_LEN.to_le_bytes())),
        ("check", bytes(crc32fast::hash(&covered).to_le_bytes())),
        ("version", bytes(FOOTER_VERSION.to_le_bytes())),
        ("reserved", vec![0; 2]),
        ("magic", bytes(FOOTER_MAGIC)),
    ];
    hold("### Footer: trailer", &fields, trailer);
    hold_values("### Footer: section tags", 1, 0, &[("SUMMARY", SECTION_SUMMARY.into())]);
}

#[test]
fn summary_is_as_stated() {
    let summary = summary();
    let fields: [Field; 11] = [
        ("end", vec![2]),
        ("present", vec![3]),
        ("reserved", vec![0; 6]),
        ("log_len", bytes(summary.log_len.to_le_bytes())),
        ("first_position", bytes(summary.first_position.to_le_bytes())),
        ("next_position", bytes(summary.next_position.to_le_bytes())),
        ("chain_hash", bytes(summary.chain_hash.as_bytes())),
        ("keyset_epoch", bytes(summary.keyset_epoch.to_le_bytes())),
        ("key_id_max", bytes(summary.key_id_max.unwrap().as_u64().to_le_bytes())),
        ("intent_position_last", bytes(summary.intent_position_last.unwrap().to_le_bytes())),
        ("epoch_max", bytes(summary.epoch_max.to_le_bytes())),
    ];
    hold("### Footer: summary", &fields, &summary.encode());
    assert_eq!(summary.encode().len(), SUMMARY_LEN);
}

#[test]
fn reserved_kinds_are_those_of_the_code() {
    let kinds = [
        ("GENESIS", EventKind::GENESIS),
        ("SHRED_INTENT", EventKind::SHRED_INTENT),
        ("SHRED_COMPLETED", EventKind::SHRED_COMPLETED),
        ("SCOPE_READMITTED", EventKind::SCOPE_READMITTED),
        ("SCOPE_HELD", EventKind::SCOPE_HELD),
        ("SCOPE_RELEASED", EventKind::SCOPE_RELEASED),
        ("KEY_LOSS_ACCEPTED", EventKind::KEY_LOSS_ACCEPTED),
        ("ROLLBACK_ACCEPTED", EventKind::ROLLBACK_ACCEPTED),
        ("REKEYED", EventKind::REKEYED),
        ("CHECKPOINT", EventKind::CHECKPOINT),
        ("DENIAL", EventKind::DENIAL),
        ("BYPASS", EventKind::BYPASS),
        ("TOMBSTONE", EventKind::TOMBSTONE),
        ("OPEN_COMPLETED", EventKind::OPEN_COMPLETED),
        ("CLOSE_COMPLETED", EventKind::CLOSE_COMPLETED),
        ("BATCH_BEGIN", EventKind::BATCH_BEGIN),
        ("BATCH_COMMIT", EventKind::BATCH_COMMIT),
    ];
    hold_values("### Reserved kinds", 1, 0, &kinds.map(|(name, kind)| (name, kind.as_u16().into())));
}

#[test]
fn content_types_are_those_of_the_code() {
    let types = [
        ("UNKNOWN", ContentType::UNKNOWN),
        ("BYTES", ContentType::BYTES),
        ("TEXT", ContentType::TEXT),
        ("JSON", ContentType::JSON),
        ("MSGPACK", ContentType::MSGPACK),
        ("SYSTEM", ContentType::SYSTEM),
    ];
    hold_values("### Content types", 1, 0, &types.map(|(name, of)| (name, of.as_u16().into())));
}

#[test]
fn keyset_formats_are_named_where_they_stand() {
    let (_, place) = FORMAT_MD.split_once("## 10. Keyset image, extents and key file").unwrap();
    assert!(place.contains("`batpak-keyset/FORMAT.md`"));
}
