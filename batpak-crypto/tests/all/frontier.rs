//! The decoder of frontiers takes the one canonical form, and refuses every other.

use batpak_crypto::{FRONTIER_ENTRY_LEN, FrontierDefect, Tree, TreeError};
use proptest::collection::vec;
use proptest::prelude::*;
use zeroize::Zeroizing;

const NODE: [u8; 32] = [0x4E; 32];

fn word(level: u8, index: u32) -> u32 {
    u32::from(level) << 24 | index
}

/// A frontier whose nodes do not matter.
fn encoded(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| [&word.to_le_bytes()[..], &NODE].concat()).collect()
}

fn refusal(depth: u8, words: &[u32]) -> Option<(usize, FrontierDefect)> {
    match Tree::decode_frontier(depth, &encoded(words)) {
        Ok(_) => None,
        Err(TreeError::NotCanonical { entry, defect }) => Some((entry, defect)),
        Err(other) => panic!("{other}"),
    }
}

/// Says by definition, leaf by leaf, whether these are the maximal subtrees of what they cover, in order.
fn is_canonical(words: &[u32]) -> bool {
    let mut left = [false; 4096];
    for word in words {
        let (level, index) = (word >> 24, word & 0xFF_FFFF);
        if level > 4 || index >= 8u32.pow(level) {
            return false;
        }
        let width = 8usize.pow(4 - level);
        for leaf in &mut left[index as usize * width..][..width] {
            if core::mem::replace(leaf, true) {
                return false;
            }
        }
    }
    let mut maximal = Vec::new();
    let mut at = 0;
    while at < 4096 {
        let level = (0u8..=4).find(|level| {
            let width = 8usize.pow(u32::from(4 - level));
            at % width == 0 && left[at..at + width].iter().all(|leaf| *leaf)
        });
        let width = level.map_or(1, |level| 8usize.pow(u32::from(4 - level)));
        if let Some(level) = level {
            maximal.push(word(level, (at / width) as u32));
        }
        at += width;
    }
    words == maximal
}

fn punctured(gone: &[u32]) -> Vec<u8> {
    let tree = Tree::from_root(4, &Zeroizing::new([0x17; 32])).unwrap();
    let mut out = Zeroizing::new(Vec::new());
    tree.punctured(gone.iter().copied()).unwrap().encode_frontier(&mut out);
    out.to_vec()
}

fn words(bytes: &[u8]) -> Vec<u32> {
    let entries = bytes.chunks(FRONTIER_ENTRY_LEN);
    entries.map(|entry| u32::from_le_bytes([entry[0], entry[1], entry[2], entry[3]])).collect()
}

fn config() -> ProptestConfig {
    ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn decoded_frontier_encodes_to_the_same_bytes(gone in vec(0u32..4096, 0..40)) {
        let bytes = punctured(&gone);
        let tree = Tree::decode_frontier(4, &bytes).unwrap();
        let mut again = Zeroizing::new(vec![1, 2, 3]);
        tree.encode_frontier(&mut again);
        prop_assert_eq!(&again[..3], &[1, 2, 3]);
        prop_assert_eq!(&again[3..], &bytes);
        for leaf in gone {
            prop_assert!(tree.is_destroyed(leaf));
        }
    }

    #[test]
    fn decoder_refuses_what_is_not_canonical_and_nothing_else(
        gone in vec(0u32..4096, 0..6), changes in vec((0u8..6, any::<u16>(), any::<u16>()), 0..4),
    ) {
        let mut words = words(&punctured(&gone));
        for (change, a, b) in changes {
            if words.is_empty() {
                break;
            }
            let (a, b) = (usize::from(a) % words.len(), usize::from(b) % words.len());
            match change {
                0 => words.swap(a, b),
                1 => words.insert(b, words[a]),
                2 => drop(words.remove(a)),
                3 => words[a] = words[a].wrapping_add(b as u32).wrapping_sub(2),
                4 => words[a] = words[a].wrapping_add(1 << 24),
                _ => {
                    // The eight children in place of their parent.
                    let (level, index) = ((words[a] >> 24) as u8, words[a] & 0xFF_FFFF);
                    let children = (0..8).map(|child| word(level.wrapping_add(1), index << 3 & 0xFF_FFFF | child));
                    words.splice(a..=a, children);
                }
            }
        }
        prop_assert_eq!(refusal(4, &words).is_none(), is_canonical(&words), "{:x?}", words);
    }

    #[test]
    fn decoder_takes_any_bytes_without_a_panic(bytes in vec(any::<u8>(), 0..400), depth in any::<u8>()) {
        if let Ok(tree) = Tree::decode_frontier(depth, &bytes) {
            let mut again = Zeroizing::new(Vec::new());
            tree.encode_frontier(&mut again);
            prop_assert_eq!(&*again, &bytes);
        }
    }
}

#[test]
fn decoder_refuses_every_truncation() {
    let bytes = punctured(&[2730]);
    for len in 0..bytes.len() {
        let decoded = Tree::decode_frontier(4, &bytes[..len]);
        if len % FRONTIER_ENTRY_LEN == 0 {
            assert_eq!(decoded.unwrap().frontier_bytes(), len);
        } else {
            let entry = len / FRONTIER_ENTRY_LEN;
            let expected = TreeError::NotCanonical { entry, defect: FrontierDefect::Truncated };
            assert!(matches!(decoded, Err(e) if e == expected));
        }
    }
}

#[test]
fn decoder_refuses_subtrees_that_are_none() {
    use FrontierDefect::OutOfRange;
    for (level, index) in [(0, 1), (1, 8), (2, 64), (3, 512), (4, 4096), (5, 0), (6, 0), (255, 0), (0, 0xFF_FFFF)] {
        assert_eq!(refusal(4, &[word(level, index)]), Some((0, OutOfRange)));
    }
    assert_eq!(refusal(5, &[word(5, 32_767)]), None);
    assert_eq!(refusal(5, &[word(5, 32_768)]), Some((0, OutOfRange)));
    assert_eq!(refusal(6, &[word(6, 262_143)]), None);
    assert_eq!(refusal(6, &[word(6, 262_144)]), Some((0, OutOfRange)));
}

#[test]
fn decoder_refuses_unsorted_doubled_and_overlapping_entries() {
    use FrontierDefect::Overlap;
    assert_eq!(refusal(4, &[word(1, 1), word(1, 0)]), Some((1, Overlap)));
    assert_eq!(refusal(4, &[word(4, 9), word(4, 9)]), Some((1, Overlap)));
    assert_eq!(refusal(4, &[word(0, 0), word(4, 4095)]), Some((1, Overlap)));
    assert_eq!(refusal(4, &[word(4, 0), word(3, 0)]), Some((1, Overlap)));
    assert_eq!(refusal(4, &[word(3, 0), word(4, 7)]), Some((1, Overlap)));
    assert_eq!(refusal(4, &[word(3, 0), word(4, 8), word(4, 8)]), Some((2, Overlap)));
}

#[test]
fn decoder_refuses_eight_siblings_at_each_level() {
    use FrontierDefect::Mergeable;
    for level in 1..=4u8 {
        let siblings: Vec<u32> = (0..8).map(|index| word(level, index)).collect();
        assert_eq!(refusal(4, &siblings), Some((7, Mergeable)));
        assert_eq!(refusal(4, &siblings[..7]), None);
        assert_eq!(refusal(4, &siblings[1..]), None);
    }
    // Eight in a row that are not of one parent are no siblings.
    let row: Vec<u32> = (4..12).map(|index| word(4, index)).collect();
    assert_eq!(refusal(4, &row), None);
    // A whole node in the middle, written as children, some of them as grandchildren.
    let mixed: Vec<u32> = (0..3)
        .map(|i| word(3, 8 + i))
        .chain((0..8).map(|i| word(4, 88 + i)))
        .chain((4..8).map(|i| word(3, 8 + i)))
        .collect();
    assert_eq!(refusal(4, &mixed), Some((10, Mergeable)));
}

#[test]
fn encoder_wipes_nothing_that_stood_before_it() {
    let tree = Tree::from_root(4, &Zeroizing::new([0x17; 32])).unwrap();
    let mut out = Zeroizing::new(Vec::with_capacity(4));
    for count in 1..=50 {
        tree.encode_frontier(&mut out);
        assert_eq!(out.len(), count * FRONTIER_ENTRY_LEN);
    }
    assert!(out.chunks(FRONTIER_ENTRY_LEN).all(|entry| entry == &out[..FRONTIER_ENTRY_LEN]));
    assert_eq!(&out[..4], &[0; 4]);
    assert_eq!(&out[4..36], &[0x17; 32]);
}

#[test]
fn encoder_makes_room_only_where_there_is_none_and_then_for_as_much_again() {
    let tree = Tree::from_root(4, &Zeroizing::new([0x17; 32])).unwrap();
    let mut out = Zeroizing::new(Vec::with_capacity(100));
    for (len, capacity) in [(36, 100), (72, 100), (108, 200), (144, 200)] {
        tree.encode_frontier(&mut out);
        assert_eq!((out.len(), out.capacity()), (len, capacity));
    }
    let mut exact = Zeroizing::new(Vec::with_capacity(FRONTIER_ENTRY_LEN));
    tree.encode_frontier(&mut exact);
    assert_eq!(exact.capacity(), FRONTIER_ENTRY_LEN);
}
