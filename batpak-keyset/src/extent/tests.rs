//! Every bit of a small extent: a blob opens as it was written, or not at all.

use batpak_crypto::OsEntropy;

use super::*;

const STORE: StoreId = StoreId::from_bytes([3; 16]);

/// An extent of one blob: the frontier of a page with one leaf destroyed, 28 nodes.
fn one_blob() -> (ExtentWrite, Blob, Vec<u8>) {
    let tree = Tree::generate(4, &OsEntropy).unwrap().punctured([77]).unwrap();
    let mut builder = ExtentBuilder::new(STORE, 5, &OsEntropy);
    let blob = builder.add(9, &tree).unwrap();
    let mut frontier = Zeroizing::new(Vec::new());
    tree.encode_frontier(&mut frontier);
    (builder.finish(), blob, frontier.to_vec())
}

fn region_starts(extent: &ExtentWrite) -> [u64; 2] {
    let region_len = (extent.bytes.len() - EXTENT_HEADER_LEN) / 2;
    [EXTENT_HEADER_LEN as u64, (EXTENT_HEADER_LEN + region_len) as u64]
}

fn opened(page: u32, store: StoreId, blob: &Blob, start: u64, bytes: &[u8]) -> Option<Vec<u8>> {
    let tree = open_blob(store, page, 4, blob, start, bytes)?;
    let mut frontier = Zeroizing::new(Vec::new());
    tree.encode_frontier(&mut frontier);
    Some(frontier.to_vec())
}

#[test]
fn blob_opens_from_both_regions_and_only_for_its_page_and_store() {
    let (extent, blob, frontier) = one_blob();
    assert_eq!(extent.bytes.len(), EXTENT_HEADER_LEN + 2 * (28 * 36 + BLOB_OVERHEAD));
    for start in region_starts(&extent) {
        assert_eq!(opened(9, STORE, &blob, start, &extent.bytes), Some(frontier.clone()));
        assert_eq!(opened(8, STORE, &blob, start, &extent.bytes), None);
        assert_eq!(opened(9, StoreId::from_bytes([4; 16]), &blob, start, &extent.bytes), None);
        let other = Blob { extent: 6, kek: Kek::from_bytes(Zeroizing::new(*blob.kek.expose())), ..blob };
        assert_eq!(opened(9, STORE, &other, start, &extent.bytes), None);
    }
}

#[test]
fn every_bit_flip_of_an_extent_closes_one_blob_or_the_header() {
    let (extent, blob, frontier) = one_blob();
    let starts = region_starts(&extent);
    let region_len = starts[1] - starts[0];
    let mut bytes = extent.bytes.clone();
    for bit in 0..bytes.len() * 8 {
        bytes[bit / 8] ^= 1 << (bit % 8);
        let at = (bit / 8) as u64;
        assert_eq!(header_is_whole(STORE, 5, region_len, &bytes), at >= starts[0], "bit {bit}");
        for start in starts {
            if (start..start + region_len).contains(&at) {
                assert_eq!(opened(9, STORE, &blob, start, &bytes), None, "bit {bit}");
            } else if bit.is_multiple_of(101) {
                assert_eq!(opened(9, STORE, &blob, start, &bytes).as_ref(), Some(&frontier), "bit {bit}");
            }
        }
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
}

#[test]
fn every_truncation_of_an_extent_closes_what_it_cuts() {
    let (extent, blob, frontier) = one_blob();
    let starts = region_starts(&extent);
    let region_len = starts[1] - starts[0];
    let ends = [0, EXTENT_HEADER_LEN, starts[1] as usize, extent.bytes.len()];
    for len in 0..extent.bytes.len() {
        let bytes = &extent.bytes[..len];
        assert_eq!(header_is_whole(STORE, 5, region_len, bytes), len >= EXTENT_HEADER_LEN);
        // A region that is whole at both ends of a stretch is whole within it.
        let check_whole = ends.contains(&len) || ends.contains(&(len + 1));
        for start in starts {
            if start + region_len > len as u64 {
                assert_eq!(opened(9, STORE, &blob, start, bytes), None, "cut at {len}");
            } else if check_whole {
                assert_eq!(opened(9, STORE, &blob, start, bytes).as_ref(), Some(&frontier), "cut at {len}");
            }
        }
    }
}

#[test]
fn blob_offset_out_of_every_file_does_not_open() {
    let (extent, blob, _) = one_blob();
    for (offset, start) in [(u64::MAX, 1), (1, u64::MAX), (u64::MAX / 2, u64::MAX / 2), (1 << 40, 0)] {
        let far = Blob { offset, kek: Kek::from_bytes(Zeroizing::new(*blob.kek.expose())), ..blob };
        assert_eq!(opened(9, STORE, &far, start, &extent.bytes), None);
    }
}
