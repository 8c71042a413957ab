//! Holds the tables of `FORMAT.md` against the constants of the code.
//!
//! Each table that has offsets must be without a gap from its first byte to its last.

use crate::{body, extent, header, provider, scope, slots};

const TEXT: &str = include_str!("../FORMAT.md");

/// The rows of the first table whose header line is given, behind the heading.
fn table(heading: &str, columns: &str) -> Vec<Vec<String>> {
    let section = TEXT.split_once(heading).expect("the heading is there").1;
    let rows = section.lines().skip_while(|line| *line != columns).skip(2);
    rows.take_while(|line| line.starts_with('|'))
        .map(|line| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect())
        .collect()
}

/// Offset and name of each field, in a table whose fields are adjacent; and the end of the last.
fn fields(heading: &str) -> (Vec<(usize, String)>, usize) {
    let mut end = 0;
    let mut fields = Vec::new();
    for row in table(heading, "| at | bytes | field | meaning |") {
        let (at, bytes): (usize, usize) = (row[0].parse().unwrap(), row[1].parse().unwrap());
        assert_eq!(at, end, "{} begins where the field before it ends", row[2]);
        assert!(row[3].ends_with('.'), "{} has its sentence", row[2]);
        end = at + bytes;
        fields.push((at, row[2].clone()));
    }
    (fields, end)
}

fn assert_fields(heading: &str, expected: &[(usize, &str)], len: usize) {
    let (found, end) = fields(heading);
    let found: Vec<(usize, &str)> = found.iter().map(|(at, name)| (*at, name.as_str())).collect();
    assert_eq!((&found[..], end), (expected, len));
}

#[test]
fn header_table_is_the_code() {
    let expected = [
        (header::MAGIC_AT, "magic"),
        (header::HEADER_LEN_AT, "header_len"),
        (header::BODY_LEN_AT, "body_len"),
        (header::VERSION_AT, "version"),
        (header::PROVIDER_AT, "provider"),
        (header::GRANULARITY_AT, "granularity"),
        (header::INCOMPATIBLE_AT, "incompatible"),
        (header::READ_COMPATIBLE_AT, "read_compatible"),
        (header::PARAMS_LEN_AT, "params_len"),
        (header::RESERVED_AT, "reserved"),
        (header::STORE_AT, "store"),
        (header::EPOCH_AT, "epoch"),
        (header::SECRET_ID_AT, "secret_id"),
        (header::APPLIED_AT, "applied"),
        (header::SEEN_POSITION_AT, "seen_position"),
        (header::SEEN_CHAIN_HASH_AT, "seen_chain_hash"),
        (header::INODE_AT, "inode"),
        (header::BIRTH_AT, "birth"),
        (header::ARGON2_VERSION_AT, "argon2_version"),
        (header::ARGON2_M_AT, "argon2_m"),
        (header::ARGON2_T_AT, "argon2_t"),
        (header::ARGON2_P_AT, "argon2_p"),
        (header::ARGON2_SALT_AT, "argon2_salt"),
        (header::LOCAL_SECRET_AT, "local_secret"),
        (header::NONCE_AT, "nonce"),
    ];
    assert_fields("### Header", &expected, header::IMAGE_HEADER_LEN);
}

#[test]
fn body_tables_are_the_code() {
    let body_fields = [
        (0, "pages_above"),
        (4, "extent_rows"),
        (8, "page_rows"),
        (12, "reserved"),
        (16, "extents_above"),
        (24, "frontier_bytes"),
    ];
    assert_fields("### Body", &body_fields, body::BODY_HEADER_LEN);
    let row_fields = [(0, "tag"), (1, "depth"), (2, "reserved"), (4, "number"), (8, "leaves"), (12, "frontier_len")];
    assert_fields("A page row begins", &row_fields, body::ROW_START_LEN);
    let rows = table("A page row begins", "| tag | row | bytes | what follows the 16 bytes |");
    let expected = [
        (body::ROW_WHOLE, body::WHOLE_ROW_LEN),
        (body::ROW_PUNCTURED, body::ROW_START_LEN),
        (body::ROW_EXTENT, body::EXTENT_PAGE_ROW_LEN),
        (body::ROW_GONE, body::ROW_START_LEN),
    ];
    let found: Vec<(u8, usize)> = rows.iter().map(|row| (row[0].parse().unwrap(), row[2].parse().unwrap())).collect();
    assert_eq!(found, expected);
    assert!(TEXT.contains(&format!("An extent row has {} bytes", body::EXTENT_ROW_LEN)));
}

#[test]
fn extent_table_is_the_code() {
    let expected = [
        (extent::MAGIC_AT, "magic"),
        (extent::VERSION_AT, "version"),
        (extent::HEADER_LEN_AT, "header_len"),
        (extent::FLAGS_AT, "flags"),
        (extent::STORE_AT, "store"),
        (extent::NUMBER_AT, "number"),
        (extent::REGION_LEN_AT, "region_len"),
        (extent::CHECK_AT, "check"),
    ];
    assert_fields("## Extents", &expected, extent::EXTENT_HEADER_LEN);
}

#[test]
fn slot_table_is_the_code() {
    let expected = [
        (slots::MAGIC_AT, "magic"),
        (slots::VERSION_AT, "version"),
        (slots::ZERO_AT, "reserved"),
        (slots::SEQUENCE_AT, "sequence"),
        (slots::STORE_AT, "store"),
        (slots::SECRET_ID_AT, "secret_id"),
        (slots::SECRET_AT, "secret"),
        (slots::PAD_AT, "padding"),
        (slots::CHECK_AT, "check"),
    ];
    assert_fields("## Key file", &expected, slots::SECTOR_LEN);
}

#[test]
fn codes_and_magics_are_the_code() {
    let rows = table("## Key scopes", "| code | granularity | parts |");
    let found: Vec<(u8, &str)> = rows.iter().map(|row| (row[0].parse().unwrap(), row[1].as_str())).collect();
    assert_eq!(found, scope::Granularity::ALL.map(|granularity| (granularity.code(), granularity.name())));
    let codes: Vec<u8> = provider::ProviderKind::ALL.map(provider::ProviderKind::code).into();
    assert_eq!(codes, [1, 2, 3, 4, 5]);
    assert!(TEXT.contains("1 local, 2 key file, 3 passphrase, 4 passphrase and key file, 5 external"));
    for magic in [header::IMAGE_MAGIC, extent::EXTENT_MAGIC, slots::SLOT_MAGIC] {
        assert!(TEXT.contains(&format!("`{}`", String::from_utf8_lossy(&magic))));
    }
}
