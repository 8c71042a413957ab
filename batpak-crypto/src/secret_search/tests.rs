//! Everything that was added is found, once, whatever stands around it; and what was not is not.

use super::*;
use crate::{Kek, OsEntropy, RootSecret, Tree};

const STORE: [u8; 16] = [7; 16];

/// Bytes that look random and are the same each time.
fn noise(seed: u8, len: usize) -> Vec<u8> {
    let mut state = u64::from(seed) + 1;
    let next = |state: &mut u64| {
        *state = state.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(0x1405_7B7E_F767_814F);
        (*state >> 33) as u8
    };
    (0..len).map(|_| next(&mut state)).collect()
}

fn found(search: &SecretSearch, bytes: &[u8]) -> Vec<Found> {
    let mut all = Vec::new();
    search.find(bytes, 0..bytes.len(), &mut |found| all.push(found));
    all
}

fn of_text(text: &[u8]) -> SecretSearch {
    let mut set = SecretSet::new();
    assert!(set.add_text(3, text));
    set.search()
}

#[test]
fn search_finds_a_whole_text_at_every_offset_once() {
    for len in [8, 9, 15, 16, 17, 31, 32, 33, 100] {
        let text = noise(1, len);
        let search = of_text(&text);
        for at in 0..40 {
            let mut bytes = noise(2, at);
            bytes.extend_from_slice(&text);
            bytes.extend(noise(3, 9));
            let whole = Found { kind: SecretKind::Text(3), at, len, whole: true };
            assert_eq!(found(&search, &bytes), [whole], "{len} bytes at {at}");
        }
    }
}

#[test]
fn search_finds_every_part_of_sixteen_bytes_and_none_of_seven() {
    let text = noise(1, 100);
    let search = of_text(&text);
    for start in 0..=text.len() - 16 {
        let mut bytes = vec![0; 5];
        bytes.extend_from_slice(&text[start..start + 16]);
        bytes.extend([0; 5]);
        let all = found(&search, &bytes);
        assert_eq!(all.len(), 1, "part at {start}");
        assert!((all[0].at, all[0].len, all[0].whole) == (5, 16, false), "{all:?}");
    }
    for start in 0..=text.len() - 7 {
        assert_eq!(found(&search, &text[start..start + 7]), []);
    }
}

#[test]
fn search_finds_what_lies_across_two_ranges_once() {
    let text = noise(1, 40);
    let search = of_text(&text);
    let mut bytes = noise(2, 100);
    bytes.extend_from_slice(&text);
    bytes.extend(noise(3, 100));
    for border in 90..150 {
        let mut all = Vec::new();
        let start = border - SecretSearch::BEFORE;
        search.find(&bytes[..border + search.behind()], 0..border, &mut |found| all.push(found.at));
        search.find(&bytes[start..], SecretSearch::BEFORE..bytes.len(), &mut |found| all.push(found.at + start));
        assert_eq!(all, [100], "border at {border}");
    }
}

#[test]
fn filling_is_no_find_and_a_text_of_filling_is_refused() {
    let mut set = SecretSet::new();
    assert!(!set.add_text(0, &[0; 64]));
    assert!(!set.add_text(0, b"short"));
    let mut text = noise(1, 32);
    text.extend([0; 64]);
    let search = of_text(&text);
    assert_eq!(found(&search, &[0; 4096]), []);
    assert_eq!(found(&search, &text).len(), 1);
}

#[test]
fn repeated_text_is_found_and_costs_no_more_than_its_bytes() {
    let text = b"abcdefgh".repeat(8192);
    let search = of_text(&text);
    let all = found(&search, &text.repeat(16));
    assert!(all.len() >= 16 && all[0].whole, "{}", all.len());
    let varied = b"abababab".repeat(8192);
    assert_eq!(found(&of_text(&text), &varied), []);
    assert!(!found(&of_text(&varied), &varied).is_empty());
}

#[test]
fn secrets_of_every_kind_are_found_and_a_punctured_key_is_not() {
    let tree = Tree::generate(Tree::DEPTH, &OsEntropy).unwrap();
    let (root, kek) = (RootSecret::generate(&OsEntropy).unwrap(), Kek::generate(&OsEntropy).unwrap());
    let left = tree.punctured([9]).unwrap();
    let mut set = SecretSet::new();
    set.add_root_secret(&root);
    set.add_kek(&kek);
    set.add_frontier(&left);
    let keys = set.add_keys(&left, &[8, 9, 10, 4000], &STORE, u64::from).unwrap();
    assert_eq!((keys, set.count(SecretKind::PayloadKey)), (3, 3));
    // The frontier of one puncture, then the three levels below it down to leaf 4000.
    assert_eq!(set.count(SecretKind::Node), 28 + 3);
    let search = set.search();
    assert_eq!(search.missed(), None);
    let kinds = |bytes: &[u8]| found(&search, bytes).iter().map(|found| found.kind).collect::<Vec<_>>();
    assert_eq!(kinds(root.expose()), [SecretKind::RootSecret]);
    assert_eq!(kinds(kek.expose()), [SecretKind::Kek]);
    for (leaf, kind) in [(8, Some(SecretKind::PayloadKey)), (9, None), (10, Some(SecretKind::PayloadKey))] {
        let (key, _) = tree.key(leaf, &STORE, u64::from(leaf)).unwrap();
        assert_eq!(kinds(key.bytes()), kind.into_iter().collect::<Vec<_>>(), "leaf {leaf}");
    }
    for (_, node) in tree.frontier() {
        assert_eq!(kinds(node.expose()), [], "the old root derives the victim and is not held");
    }
}

#[test]
fn search_that_does_not_work_is_noticed() {
    let mut search = of_text(&noise(1, 32));
    search.filter.fill(0);
    assert_eq!(search.missed(), Some(SecretKind::Text(3)));
}

#[test]
fn text_that_lies_within_another_is_found_beside_it() {
    let text = "jane doe, 14 canary street";
    let (le, be): (Vec<u8>, Vec<u8>) = (
        text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        text.encode_utf16().flat_map(u16::to_be_bytes).collect(),
    );
    let mut set = SecretSet::new();
    assert!(set.add_text(0, &le) && set.add_text(1, &be) && set.add_text(2, &le[10..40]));
    let search = set.search();
    assert_eq!(search.missed(), None);
    let bytes = [&[0; 9][..], &le, &[0; 9]].concat();
    let whole: Vec<_> = found(&search, &bytes).iter().filter(|found| found.whole).map(|found| found.kind).collect();
    // With a zero before it, the one byte order holds the other whole.
    assert_eq!(whole, [SecretKind::Text(1), SecretKind::Text(0), SecretKind::Text(2)]);
}
