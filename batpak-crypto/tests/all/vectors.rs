//! The committed vectors of the key tree: they lock what every store derives, and never change.

use std::collections::BTreeMap;

use batpak_crypto::{Aead, DefaultAead, KeyCommitment, Nonce, Tree, TreeCursor};
use zeroize::Zeroizing;

const TREE: &str = include_str!("../vectors/tree.txt");
const FRONTIER: &str = include_str!("../vectors/frontier.txt");

fn unhex<const N: usize>(text: &str) -> [u8; N] {
    assert_eq!(text.len(), 2 * N);
    core::array::from_fn(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap())
}

/// The lines that say something, as a word and the rest.
fn lines(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| line.split_once(' ').unwrap_or((line, "")))
}

/// A child by the words of the design alone.
fn child(parent: &[u8; 32], level: u8, digit: u32) -> [u8; 32] {
    let mut output = [0; 256];
    let label = format!("batpak v1 key tree, level {level}");
    blake3::Hasher::new_keyed(parent).update(label.as_bytes()).finalize_xof().fill(&mut output);
    let at = 32 * digit as usize;
    output[at..at + 32].try_into().unwrap()
}

/// Checks one leaf of the vectors: nodes and secret against the words of the design, key and commitment against ours.
fn check_leaf(depth: u8, root: &[u8; 32], store: &[u8; 16], leaf: u32, values: &BTreeMap<String, &str>) {
    let mut node = *root;
    for level in 1..=depth {
        node = child(&node, level, leaf >> (3 * (depth - level)) & 7);
        let name = if level == depth { "secret".to_owned() } else { format!("node {level}") };
        assert_eq!(node, unhex(values[&name]), "depth {depth}, leaf {leaf}, level {level}");
    }

    let key_id = values["key_id"].parse().unwrap();
    let tree = Tree::from_root(depth, &Zeroizing::new(*root)).unwrap();
    let mut cursor = TreeCursor::new();
    let made = [
        tree.leaf(leaf).unwrap().derive(store, key_id),
        tree.key(leaf, store, key_id).unwrap(),
        cursor.leaf(&tree, leaf).unwrap().derive(store, key_id),
        cursor.key(&tree, leaf, store, key_id).unwrap(),
    ];
    // The bytes of a payload key cannot be had: it is the key when it makes the key's ciphertext and tag.
    let nonce = Nonce::from_bytes([3; 24]);
    let mut expected = [0; 64];
    let expected_tag = DefaultAead::seal_in_place(&unhex(values["key"]), &nonce, b"", &mut expected).unwrap();
    for (key, commitment) in made {
        assert_eq!(commitment, KeyCommitment::from_bytes(unhex(values["commitment"])));
        let mut sealed = [0; 64];
        assert_eq!(key.seal(&nonce, b"", &mut sealed).unwrap(), expected_tag);
        assert_eq!(sealed, expected);
    }
}

#[test]
fn tree_derives_the_committed_keys() {
    let (mut depth, mut root, mut store, mut leaf) = (0, [0; 32], [0; 16], 0);
    let mut values = BTreeMap::new();
    let mut leaves = 0;
    for (word, rest) in lines(TREE) {
        match word {
            "depth" => depth = rest.parse().unwrap(),
            "root" => root = unhex(rest),
            "store" => store = unhex(rest),
            "leaf" => leaf = rest.parse().unwrap(),
            "node" => {
                let (level, node) = rest.split_once(' ').unwrap();
                values.insert(format!("node {level}"), node);
            }
            "key_id" | "secret" | "key" => drop(values.insert(word.to_owned(), rest)),
            "commitment" => {
                values.insert(word.to_owned(), rest);
                check_leaf(depth, &root, &store, leaf, &values);
                values.clear();
                leaves += 1;
            }
            other => panic!("{other}"),
        }
    }
    assert_eq!(leaves, 8 + 3 + 3);
}

#[test]
fn punctured_tree_encodes_to_the_committed_bytes() {
    let (mut depth, mut root) = (0, [0; 32]);
    let (mut gone, mut expected) = (Vec::new(), Vec::new());
    let (mut trees, mut entries) = (0, 0);
    for (word, rest) in lines(FRONTIER) {
        match word {
            "depth" => depth = rest.parse().unwrap(),
            "root" => root = unhex(rest),
            "gone" => {
                let (first, last) = rest.split_once(' ').unwrap();
                gone.extend(first.parse::<u32>().unwrap()..=last.parse().unwrap());
            }
            "entry" => expected.extend(unhex::<36>(rest)),
            "end" => {
                let tree = Tree::from_root(depth, &Zeroizing::new(root)).unwrap();
                let mut encoded = Zeroizing::new(Vec::new());
                tree.punctured(gone.drain(..)).unwrap().encode_frontier(&mut encoded);
                assert_eq!(*encoded, expected);
                assert!(Tree::decode_frontier(depth, &expected).is_ok());
                entries += expected.len() / 36;
                expected.clear();
                trees += 1;
            }
            other => panic!("{other}"),
        }
    }
    assert_eq!((trees, entries), (11, FRONTIER.matches("\nentry ").count()));
}
