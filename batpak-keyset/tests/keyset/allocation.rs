//! Loading holds no more memory than its bytes and 1 MiB, whatever their counts claim: image, body, extent and key file.

use batpak_crypto::{Nonce, Tree, open_body, seal_body};
use batpak_keyset::{
    CopyBytes, ExtentBytes, IMAGE_HEADER_LEN, IMAGE_PAD, KEY_FILE_LEN, KeyFile, LoadInput, candidates,
};
use zeroize::Zeroizing;

use crate::{
    fixed::{STORE, root},
    meter::metered,
};

const ROOM: usize = 1 << 20;
const BODY_LEN_AT: usize = 12;
const CLAIMS: [u32; 4] = [u32::MAX, 1 << 24, 1 << 16, 4096];

fn golden(name: &str) -> Vec<u8> {
    std::fs::read(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)).unwrap()
}

/// Bytes with a count at a place, wherever a count may stand.
fn claiming(bytes: &[u8], at: usize, claimed: u32) -> Vec<u8> {
    let mut hostile = bytes.to_vec();
    let end = (at + 4).min(hostile.len());
    hostile[at..end].copy_from_slice(&claimed.to_le_bytes()[..end - at]);
    hostile
}

/// Loads one image as both copies; says whether it opened.
fn loads(image: &[u8]) -> bool {
    let copy = CopyBytes::Bytes(image);
    let (opened, allocated) = metered(|| {
        let judged = candidates(&LoadInput { store: Some(STORE), a: copy, b: copy });
        judged.and_then(|judged| judged.open(&root(1))).is_ok()
    });
    assert!(allocated.peak <= (image.len() + ROOM) as isize, "{allocated:?} for {}", image.len());
    opened
}

fn check(image: &mut Vec<u8>, covered: usize) {
    image.truncate(covered);
    let check = blake3::hash(image);
    image.extend_from_slice(check.as_bytes());
    image.resize(image.len().next_multiple_of(IMAGE_PAD), 0);
}

#[test]
fn images_with_hostile_counts_in_the_header_hold_no_more_than_their_bytes() {
    let whole = golden("image-v1-rows.bin");
    assert!(loads(&whole));
    let body_len = u32::from_le_bytes(whole[BODY_LEN_AT..BODY_LEN_AT + 4].try_into().unwrap()) as usize;
    for at in 0..IMAGE_HEADER_LEN {
        for claimed in CLAIMS {
            let mut hostile = claiming(&whole, at, claimed);
            assert_eq!(loads(&hostile), hostile == whole, "the check must not hold");
            check(&mut hostile, IMAGE_HEADER_LEN + body_len);
            loads(&hostile);
        }
    }
}

#[test]
fn images_with_hostile_counts_in_the_body_hold_no_more_than_their_bytes() {
    let whole = golden("image-v1-rows.bin");
    let body_len = u32::from_le_bytes(whole[BODY_LEN_AT..BODY_LEN_AT + 4].try_into().unwrap()) as usize;
    let (header, rest) = whole.split_at(IMAGE_HEADER_LEN);
    let nonce = Nonce::from_bytes(header[IMAGE_HEADER_LEN - 24..].try_into().unwrap());
    let body = open_body(&root(1), &nonce, header, &rest[..body_len]).unwrap();
    let sealed = |body: Vec<u8>| {
        let mut image = header.to_vec();
        image.extend(seal_body(&root(1), &nonce, header, Zeroizing::new(body)).unwrap());
        let covered = image.len();
        check(&mut image, covered);
        image
    };
    assert!(loads(&sealed(body.to_vec())), "the control: sealed again it loads");
    for at in 0..body.len().min(400) {
        for claimed in CLAIMS {
            loads(&sealed(claiming(&body, at, claimed)));
        }
    }
}

#[test]
fn extents_hold_no_more_than_their_bytes() {
    let (image, extent) = (golden("image-v1-rows.bin"), golden("extent-v1.bin"));
    let copy = CopyBytes::Bytes(&image);
    let load = |bytes: &[u8]| {
        let judged = candidates(&LoadInput { store: Some(STORE), a: copy, b: copy }).unwrap();
        let mut keyset = judged.open(&root(1)).unwrap().keyset;
        let (findings, allocated) = metered(|| keyset.load_extent(1, ExtentBytes::Bytes(bytes)));
        assert!(allocated.peak <= (extent.len() + ROOM) as isize, "{allocated:?} for {}", bytes.len());
        findings
    };
    assert_eq!(load(&extent), []);
    for at in 0..batpak_keyset::EXTENT_HEADER_LEN {
        assert!(!load(&claiming(&extent, at, u32::MAX)).is_empty());
    }
    assert!(!load(&extent[..extent.len() / 2]).is_empty());
}

/// What a frontier's entries say is looked at one by one, and no room is made for more of them than a tree has.
#[test]
fn frontiers_hold_no_more_than_their_bytes() {
    let entry = |leaf: u32| [&(6 << 24 | leaf).to_le_bytes()[..], &[7; 32]].concat();
    let widest: Vec<u8> = (0..1 << 18).filter(|leaf| leaf % 8 != 3).flat_map(entry).collect();
    let (tree, allocated) = metered(|| Tree::decode_frontier(6, &widest).unwrap());
    assert_eq!(tree.leaves_left(), 7 << 15);
    assert!(allocated.peak <= (widest.len() + ROOM) as isize, "{allocated:?} for {}", widest.len());
    let mut endless = widest;
    endless.resize(4 * endless.len(), 0xff);
    let (refused, allocated) = metered(|| Tree::decode_frontier(6, &endless).is_err());
    assert!(refused && allocated.peak <= (endless.len() / 4 + ROOM) as isize, "{allocated:?} for {}", endless.len());
}

#[test]
fn key_files_hold_no_more_than_their_bytes() {
    let whole = golden("key-file-v1.bin");
    for len in [0, 1, KEY_FILE_LEN - 1, KEY_FILE_LEN, 8 * KEY_FILE_LEN] {
        let mut bytes = whole.clone();
        bytes.resize(len, 0xff);
        let (decoded, allocated) = metered(|| KeyFile::decode(&bytes, Some(STORE)).is_ok());
        assert_eq!(decoded, len == KEY_FILE_LEN);
        assert!(allocated.peak <= 1024, "{allocated:?}");
    }
}
