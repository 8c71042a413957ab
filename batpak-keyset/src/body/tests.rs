//! Bodies that no keyset encodes: each is a typed error, whoever sealed it.

use batpak_crypto::OsEntropy;

use super::*;
use crate::rows::rows;

/// A body by hand: header, extents, rows, frontiers.
#[derive(Clone, Default)]
struct Raw {
    pages_above: u32,
    extents_above: u64,
    extents: Vec<(u64, u64)>,
    rows: Vec<Vec<u8>>,
    frontiers: Vec<u8>,
}

impl Raw {
    fn of(rows: &[Vec<u8>]) -> Self {
        Self { rows: rows.to_vec(), ..Self::default() }
    }

    fn bytes(&self) -> Vec<u8> {
        let mut body = Vec::new();
        put_u32(&mut body, self.pages_above);
        put_u32(&mut body, self.extents.len() as u32);
        put_u32(&mut body, self.rows.len() as u32);
        put_u32(&mut body, 0);
        put_u64(&mut body, self.extents_above);
        put_u64(&mut body, self.frontiers.len() as u64);
        for (number, region_len) in &self.extents {
            put_u64(&mut body, *number);
            put_u64(&mut body, *region_len);
        }
        body.extend(self.rows.concat());
        body.extend(&self.frontiers);
        body
    }

    fn refused(&self) -> ImageError {
        decode_body(&self.bytes()).unwrap_err()
    }
}

fn row(tag: u8, depth: u8, number: u32, count: u32, frontier_len: u32) -> Vec<u8> {
    let mut row = Vec::new();
    start_row(&mut row, tag, depth, number, count, frontier_len);
    row
}

fn whole(number: u32, reserved: u32) -> Vec<u8> {
    [row(ROW_WHOLE, 4, number, reserved, 0), vec![7; 32]].concat()
}

fn in_extent(number: u32, extent: u64, offset: u64) -> Vec<u8> {
    blob(number, 36, extent, offset)
}

fn blob(number: u32, frontier_len: u32, extent: u64, offset: u64) -> Vec<u8> {
    let mut row = row(ROW_EXTENT, 4, number, 9, frontier_len);
    put_u64(&mut row, extent);
    put_u64(&mut row, offset);
    row.extend([7; 32]);
    row
}

fn punctured(leaves: &[u32]) -> (Vec<u8>, Vec<u8>) {
    let tree = Tree::generate(4, &OsEntropy).unwrap().punctured(leaves.iter().copied()).unwrap();
    let mut frontier = Zeroizing::new(Vec::new());
    tree.encode_frontier(&mut frontier);
    (row(ROW_PUNCTURED, 4, 1, 64, frontier.len() as u32), frontier.to_vec())
}

/// One row of each kind.
fn every_row() -> Raw {
    let (row_one, frontiers) = punctured(&[5]);
    Raw {
        pages_above: 3,
        extents_above: 9,
        extents: vec![(8, 76)],
        rows: vec![row_one, whole(2, 4096), row(ROW_GONE, 4, 3, 2, 0), row(ROW_GONE, 5, 5, 1, 0), in_extent(6, 8, 0)],
        frontiers,
    }
}

#[test]
fn body_of_every_row_round_trips() {
    let bytes = every_row().bytes();
    let body = decode_body(&bytes).unwrap();
    assert_eq!((body.pages_above, body.extents_above, body.table.highest()), (3, 9, Some(6)));
    let fields =
        BodyFields { pages_above: body.pages_above, extents_above: body.extents_above, extents: &body.extents };
    assert_eq!(*encode_body(&fields, &rows(&body.table, None)).unwrap(), bytes);
}

#[test]
fn every_truncation_of_a_body_is_refused() {
    let bytes = every_row().bytes();
    for len in 0..bytes.len() {
        let refused = decode_body(&bytes[..len]).unwrap_err();
        assert!(matches!(refused, ImageError::Truncated | ImageError::InvalidField { .. }), "{refused} at {len}");
    }
    let longer = [&bytes[..], &[0]].concat();
    assert_eq!(decode_body(&longer).unwrap_err(), ImageError::InvalidField { at: 24 });
}

#[test]
fn every_bit_flip_of_a_body_decodes_to_itself_or_is_refused() {
    let mut bytes = every_row().bytes();
    let mut refused = 0;
    for bit in 0..bytes.len() * 8 {
        bytes[bit / 8] ^= 1 << (bit % 8);
        match decode_body(&bytes) {
            Err(_) => refused += 1,
            Ok(body) => {
                let fields = BodyFields {
                    pages_above: body.pages_above,
                    extents_above: body.extents_above,
                    extents: &body.extents,
                };
                assert_eq!(*encode_body(&fields, &rows(&body.table, None)).unwrap(), bytes, "bit {bit}");
            }
        }
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
    assert!(refused > 500, "{refused} flips were refused");
}

#[test]
fn counts_that_the_bytes_cannot_hold_are_refused() {
    for at in [4, 8] {
        let mut bytes = every_row().bytes();
        bytes[at..at + 4].fill(0xFF);
        let refused = decode_body(&bytes).unwrap_err();
        assert!(!matches!(refused, ImageError::TrailingBytes), "{refused}");
    }
}

#[test]
fn unknown_tag_of_a_row_is_refused() {
    for tag in [0, 5, 255] {
        assert_eq!(Raw::of(&[row(tag, 4, 1, 1, 0)]).refused(), ImageError::UnknownRow { tag });
    }
}

#[test]
fn rows_out_of_order_doubled_or_overlapping_are_refused() {
    let not_canonical = |page| ImageError::NotCanonical { page };
    let gone = |number, count| row(ROW_GONE, 4, number, count, 0);
    assert_eq!(Raw::of(&[whole(2, 1), whole(1, 1)]).refused(), not_canonical(1));
    assert_eq!(Raw::of(&[whole(2, 1), whole(2, 1)]).refused(), not_canonical(2));
    assert_eq!(Raw::of(&[gone(1, 9), whole(5, 1)]).refused(), not_canonical(5));
    assert_eq!(Raw::of(&[gone(1, 9), gone(5, 9)]).refused(), not_canonical(5));
    assert!(decode_body(&Raw::of(&[gone(1, 9), gone(11, 9)]).bytes()).is_ok());
}

#[test]
fn gone_pages_that_should_be_one_run_are_refused() {
    let gone = |number, count| row(ROW_GONE, 4, number, count, 0);
    assert_eq!(Raw::of(&[gone(1, 2), gone(3, 1)]).refused(), ImageError::NotCanonical { page: 3 });
    assert_eq!(Raw::of(&[gone(1, 0)]).refused(), ImageError::NotCanonical { page: 1 });
    assert_eq!(Raw::of(&[gone(2, u32::MAX)]).refused(), ImageError::NotCanonical { page: 2 });
    let last = decode_body(&Raw::of(&[gone(1, u32::MAX)]).bytes()).unwrap();
    assert_eq!(last.table.highest(), Some(u32::MAX));
}

#[test]
fn page_fields_out_of_range_are_refused() {
    let hostile = [
        whole(0, 1),
        whole(1, 4097),
        [row(ROW_WHOLE, 3, 1, 1, 0), vec![7; 32]].concat(),
        [row(ROW_WHOLE, 7, 1, 1, 0), vec![7; 32]].concat(),
        [row(ROW_WHOLE, 4, 1, 1, 1), vec![7; 32]].concat(),
        row(ROW_PUNCTURED, 4, 1, 1, 0),
        row(ROW_GONE, 4, 1, 1, 1),
    ];
    for (at, row) in hostile.iter().enumerate() {
        let page = u32::from(at != 0);
        assert_eq!(Raw::of(core::slice::from_ref(row)).refused(), ImageError::NotCanonical { page }, "row {at}");
    }
    let depths = [5, 6].map(|depth| [row(ROW_WHOLE, depth, u32::from(depth), 5000, 0), vec![7; 32]].concat());
    assert!(decode_body(&Raw::of(&depths).bytes()).is_ok());
}

#[test]
fn frontier_that_is_whole_empty_or_no_frontier_is_refused() {
    let (row_one, frontier) = punctured(&[5]);
    let with = |row: &[u8], frontiers: &[u8]| Raw { frontiers: frontiers.to_vec(), ..Raw::of(&[row.to_vec()]) };
    assert!(decode_body(&with(&row_one, &frontier).bytes()).is_ok());
    let root = [&[0; 4][..], &[7; 32]].concat();
    assert_eq!(with(&row(ROW_PUNCTURED, 4, 1, 1, 36), &root).refused(), ImageError::NotCanonical { page: 1 });
    let cut = with(&row(ROW_PUNCTURED, 4, 1, 1, 35), &frontier[..35]).refused();
    assert!(matches!(cut, ImageError::Frontier { page: 1, .. }));
    let swapped = [&frontier[36..72], &frontier[..36], &frontier[72..]].concat();
    assert!(matches!(with(&row_one, &swapped).refused(), ImageError::Frontier { page: 1, .. }));
    let over = with(&row(ROW_PUNCTURED, 4, 1, 1, u32::MAX), &frontier).refused();
    assert_eq!(over, ImageError::Truncated);
}

#[test]
fn extents_that_do_not_fit_their_pages_are_refused() {
    let with =
        |extents: &[(u64, u64)], rows: &[Vec<u8>]| Raw { extents: extents.to_vec(), extents_above: 9, ..Raw::of(rows) };
    let mismatch = |page| ImageError::ExtentMismatch { page };
    assert!(decode_body(&with(&[(8, 76)], &[in_extent(1, 8, 0)]).bytes()).is_ok());
    // What nonce and tag alone take has no frontier, nor has a part of an entry.
    for frontier_len in [0, 35, 37] {
        let fitting = with(&[(8, 40 + u64::from(frontier_len))], &[blob(1, frontier_len, 8, 0)]);
        assert_eq!(fitting.refused(), ImageError::NotCanonical { page: 1 });
    }
    assert_eq!(with(&[(8, 75)], &[in_extent(1, 8, 0)]).refused(), mismatch(1));
    assert_eq!(with(&[(8, 76)], &[in_extent(1, 8, 1)]).refused(), mismatch(1));
    assert_eq!(with(&[(8, 76)], &[in_extent(1, 8, u64::MAX)]).refused(), mismatch(1));
    assert_eq!(with(&[(8, 76)], &[in_extent(1, 7, 0)]).refused(), mismatch(1));
    assert_eq!(with(&[(8, 76)], &[whole(1, 1)]).refused(), mismatch(0));
    assert_eq!(with(&[(10, 76)], &[in_extent(1, 10, 0)]).refused(), ImageError::InvalidField { at: 32 });
    let doubled = with(&[(8, 76), (8, 76)], &[in_extent(1, 8, 0)]).refused();
    assert_eq!(doubled, ImageError::InvalidField { at: 48 });
}
