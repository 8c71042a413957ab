//! The key tree: a destroyed leaf is never derivable, every other is, and the order of punctures does not show.

use std::collections::{BTreeSet, HashSet};
use std::sync::LazyLock;

use batpak_crypto::{FRONTIER_ENTRY_LEN, KeyCommitment, Tree, TreeCursor, TreeError};
use proptest::collection::{btree_set, vec};
use proptest::prelude::*;
use zeroize::Zeroizing;

const STORE: [u8; 16] = [0x51; 16];

fn whole(depth: u8) -> Tree {
    Tree::from_root(depth, &Zeroizing::new([0x17; 32])).unwrap()
}

fn bytes(tree: &Tree) -> Vec<u8> {
    let mut out = Zeroizing::new(Vec::new());
    tree.encode_frontier(&mut out);
    assert_eq!(out.len(), tree.frontier_bytes());
    out.to_vec()
}

/// The commitment stands for the key: both come of one output block.
fn commitment(tree: &Tree, leaf: u32) -> Result<KeyCommitment, TreeError> {
    tree.key(leaf, &STORE, u64::from(leaf)).map(|(_, commitment)| commitment)
}

/// Every leaf of the whole tree of depth 4.
static COMMITMENTS: LazyLock<Vec<KeyCommitment>> = LazyLock::new(|| {
    let tree = whole(4);
    (0..tree.leaves()).map(|leaf| commitment(&tree, leaf).unwrap()).collect()
});

/// Sets of leaves, some scattered and some in runs, so that whole subtrees go too.
fn leaves() -> impl Strategy<Value = BTreeSet<u32>> {
    let scattered = btree_set(0u32..4096, 0..60);
    let runs = vec((0u32..4096, 1u32..700), 0..5);
    (scattered, runs).prop_map(|(mut set, runs)| {
        set.extend(runs.into_iter().flat_map(|(first, count)| first..(first + count).min(4096)));
        set
    })
}

fn config() -> ProptestConfig {
    ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    // Each case derives all 4,096 leaves twice.
    #![proptest_config(ProptestConfig { cases: 20, ..config() })]

    #[test]
    fn destroyed_leaf_is_never_derivable_and_every_other_is(gone in leaves()) {
        let tree = whole(4).punctured(gone.iter().copied()).unwrap();
        let mut cursor = TreeCursor::new();
        for leaf in 0..4096 {
            prop_assert_eq!(tree.is_destroyed(leaf), gone.contains(&leaf));
            let with_cursor = cursor.key(&tree, leaf, &STORE, u64::from(leaf)).map(|(_, commitment)| commitment);
            if gone.contains(&leaf) {
                prop_assert_eq!(tree.leaf(leaf).err(), Some(TreeError::Destroyed { leaf }));
                prop_assert_eq!(with_cursor, Err(TreeError::Destroyed { leaf }));
            } else {
                prop_assert_eq!(commitment(&tree, leaf), Ok(COMMITMENTS[leaf as usize]));
                prop_assert_eq!(with_cursor, Ok(COMMITMENTS[leaf as usize]));
            }
        }
        prop_assert_eq!(tree.leaves_left() as usize, 4096 - gone.len());
        prop_assert_eq!(tree.is_whole(), gone.is_empty());
        prop_assert_eq!(tree.is_empty(), gone.len() == 4096);
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn no_remaining_node_is_a_destroyed_leaf_or_above_one(gone in leaves()) {
        let tree = whole(4).punctured(gone.iter().copied()).unwrap();
        for (at, _) in tree.frontier() {
            let width = 8u32.pow(u32::from(4 - at.level));
            let first = at.index * width;
            prop_assert_eq!(gone.range(first..first + width).next(), None);
        }
    }

    #[test]
    fn any_order_of_punctures_gives_the_same_frontier(
        (gone, order) in leaves().prop_flat_map(|gone| {
            let order = Just(gone.iter().copied().collect::<Vec<_>>()).prop_shuffle();
            (Just(gone), order)
        }),
        cuts in vec(0usize..4096, 0..6),
    ) {
        let at_once = bytes(&whole(4).punctured(gone.iter().copied()).unwrap());
        prop_assert_eq!(&bytes(&whole(4).punctured(order.iter().copied()).unwrap()), &at_once);
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut % (order.len() + 1)).collect();
        cuts.extend([0, order.len()]);
        cuts.sort_unstable();
        let mut tree = whole(4);
        for cut in cuts.windows(2) {
            tree = tree.punctured(order[cut[0]..cut[1]].iter().copied()).unwrap();
        }
        prop_assert_eq!(&bytes(&tree), &at_once);
        // Again, doubled and backwards: nothing is left to destroy.
        let again = order.iter().rev().chain(&order).copied();
        prop_assert_eq!(&bytes(&tree.punctured(again).unwrap()), &at_once);
    }

    #[test]
    fn frontier_never_costs_more_than_36_bytes_a_leaf_left(gone in leaves()) {
        let tree = whole(4).punctured(gone.iter().copied()).unwrap();
        prop_assert!(tree.frontier_bytes() <= FRONTIER_ENTRY_LEN * (4096 - gone.len()));
        prop_assert!(tree.frontier().len() <= 28 * gone.len().max(1));
    }

    #[test]
    fn next_left_skips_what_is_destroyed(gone in leaves(), from in 0u32..5000) {
        let tree = whole(4).punctured(gone.iter().copied()).unwrap();
        prop_assert_eq!(tree.next_left(from), (from..4096).find(|leaf| !gone.contains(leaf)));
    }

    #[test]
    fn cursor_answers_as_the_tree_does_in_any_order(
        gone in leaves(), depth in 4u8..=6, asked in vec((any::<bool>(), 0u32..262_144), 1..80),
    ) {
        // One cursor over three trees, so that a path of one must not serve another.
        let trees = [
            whole(depth).punctured(gone.iter().copied()).unwrap(),
            Tree::from_root(depth, &Zeroizing::new([0x18; 32])).unwrap(),
        ];
        let mut cursor = TreeCursor::new();
        for (which, leaf) in asked {
            let tree = &trees[usize::from(which)];
            let with_cursor = cursor.key(tree, leaf, &STORE, u64::from(leaf)).map(|(_, commitment)| commitment);
            prop_assert_eq!(with_cursor, commitment(tree, leaf));
        }
    }
}

#[test]
fn one_puncture_costs_28_nodes_wherever_it_is() {
    let tree = whole(4);
    for leaf in 0..tree.leaves() {
        let punctured = tree.punctured([leaf]).unwrap();
        assert_eq!(punctured.frontier().len(), 28);
        assert_eq!(punctured.frontier_bytes(), 28 * 36);
        assert!(punctured.is_destroyed(leaf));
    }
}

#[test]
fn one_hundred_random_punctures_cost_31_kb_of_nodes() {
    let random = (0u32..).map(|at| blake3::hash(&at.to_le_bytes()).as_bytes()[..2].try_into().unwrap());
    let gone: BTreeSet<u32> = random.map(|two| u32::from(u16::from_le_bytes(two)) % 4096).take(100).collect();
    let nodes = whole(4).punctured(gone).unwrap().frontier().len();
    assert!((28_000..=31_744).contains(&(nodes * 32)), "{nodes} nodes");
}

#[test]
fn tree_keeps_its_own_leaves_when_a_punctured_one_is_made() {
    let tree = whole(4);
    let before = bytes(&tree);
    let punctured = tree.punctured([5]).unwrap();
    assert_eq!(bytes(&tree), before);
    assert!(!tree.is_destroyed(5) && tree.is_whole());
    assert!(punctured.is_destroyed(5) && !punctured.is_whole());
}

#[test]
fn tree_without_leaves_is_empty_and_stays_so() {
    let empty = whole(4).punctured(0..4096).unwrap();
    assert!(empty.is_empty());
    assert_eq!((empty.leaves_left(), empty.frontier_bytes(), empty.next_left(0)), (0, 0, None));
    assert!(matches!(empty.leaf(4095), Err(TreeError::Destroyed { leaf: 4095 })));
    assert!(empty.punctured([1]).unwrap().is_empty());
}

#[test]
fn leaf_past_the_end_is_out_of_range_and_counts_as_destroyed() {
    for (depth, leaves) in [(4, 4096), (5, 32_768), (6, 262_144)] {
        let tree = whole(depth);
        assert_eq!((tree.depth(), tree.leaves(), tree.leaves_left()), (depth, leaves, leaves));
        assert!(tree.leaf(leaves - 1).is_ok());
        for leaf in [leaves, leaves + 1, u32::MAX] {
            let expected = TreeError::OutOfRange { leaf, leaves };
            assert!(matches!(tree.leaf(leaf), Err(e) if e == expected));
            assert!(matches!(tree.punctured([0, leaf]), Err(e) if e == expected));
            assert!(matches!(TreeCursor::new().leaf(&tree, leaf), Err(e) if e == expected));
            assert!(tree.is_destroyed(leaf));
            assert_eq!(tree.next_left(leaf), None);
        }
    }
}

#[test]
fn depth_other_than_four_five_and_six_is_unknown() {
    for depth in (0..=255).filter(|depth| !(4..=6).contains(depth)) {
        let root = Zeroizing::new([0; 32]);
        assert!(matches!(Tree::from_root(depth, &root), Err(TreeError::DepthUnknown { depth: d }) if d == depth));
        assert!(matches!(Tree::decode_frontier(depth, &[]), Err(TreeError::DepthUnknown { depth: d }) if d == depth));
    }
}

#[test]
fn keys_of_a_page_are_all_different() {
    let different: HashSet<_> = COMMITMENTS.iter().collect();
    assert_eq!(different.len(), 4096);
}

#[test]
fn cleared_cursor_derives_as_before() {
    let tree = whole(4);
    let mut cursor = TreeCursor::default();
    let (_, first) = cursor.key(&tree, 8, &STORE, 8).unwrap();
    cursor.clear();
    let (_, again) = cursor.key(&tree, 8, &STORE, 8).unwrap();
    assert_eq!(first, again);
}
