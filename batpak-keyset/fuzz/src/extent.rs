//! Any bytes as an extent, and as the frontier of a page: what is not found damaged derives the keys that it derived before.

use std::sync::OnceLock;

use batpak_crypto::Tree;
use batpak_format::KeyId;
use batpak_format_fuzz::{Seeds, bounded};
use batpak_keyset::{CopyBytes, ExtentBytes, Finding, LoadInput, candidates};
use zeroize::Zeroizing;

use crate::sample::{STORE, keyset, root};

/// The first byte says what the rest is: the frontier of a page, or changes to an extent, four bytes each: where, in steps of the
/// file's length, and what.
pub fn look(data: &[u8]) {
    let Some((choice, rest)) = data.split_first() else { return };
    match choice % 4 {
        depth @ 0..3 => frontier(4 + depth, rest),
        _ => extent(rest),
    }
}

fn frontier(depth: u8, bytes: &[u8]) {
    let Ok(tree) = bounded(bytes.len(), || Tree::decode_frontier(depth, bytes)) else { return };
    let mut again = Zeroizing::new(Vec::new());
    tree.encode_frontier(&mut again);
    assert_eq!(again[..], *bytes, "a frontier has one form");
    assert!(tree.leaves_left() <= tree.leaves());
    if let Some(leaf) = tree.next_left(0) {
        assert!(tree.key(leaf, STORE.as_bytes(), 1).is_ok());
    }
}

fn extent(changes: &[u8]) {
    static WHOLE: OnceLock<(Vec<u8>, Vec<u8>)> = OnceLock::new();
    let (image, whole) = WHOLE.get_or_init(|| {
        let (_, image, extent) = keyset(1, true);
        (image, extent)
    });
    let mut bytes = whole.clone();
    for change in changes.chunks_exact(4) {
        let at = usize::from(u16::from_le_bytes([change[0], change[1]])) * bytes.len() / (1 << 16);
        match (change[2] % 4, bytes.get_mut(at)) {
            (0, Some(byte)) => *byte ^= change[3] | 1,
            (1, _) => bytes.truncate(at),
            (2, _) => bytes.extend_from_slice(&[change[3]; 64]),
            _ => {
                let by = usize::from(change[3]).min(bytes.len());
                bytes.rotate_left(by);
            }
        }
        if bytes.is_empty() {
            break;
        }
    }
    let image = CopyBytes::Bytes(image);
    let loaded = candidates(&LoadInput { store: Some(STORE), a: image, b: image }).and_then(|it| it.open(&root()));
    let Ok(loaded) = loaded else { panic!("the image is whole") };
    let mut keyset = loaded.keyset;
    let number = keyset.extents().next().unwrap_or(1);
    let findings = bounded(4 * bytes.len() + whole.len(), || keyset.load_extent(number, ExtentBytes::Bytes(&bytes)));
    let lost = findings.iter().any(|finding| matches!(finding, Finding::PageLost { .. }));
    let key = |leaf| keyset.key(KeyId::new(0, 1, leaf));
    assert!(key(0).is_err(), "a destroyed key is not there whatever the extent says");
    assert_eq!(key(1).is_ok(), !lost);
    assert!(bytes == *whole || !findings.is_empty() || bytes.starts_with(whole), "a changed byte is found");
}

/// A frontier of each depth that is small, and changes of an extent.
pub fn seeds() -> Seeds {
    let mut seeds: Seeds = Vec::new();
    for depth in 4..7 {
        let tree = Tree::from_root(depth, &Zeroizing::new([depth; 32])).and_then(|tree| tree.punctured([0, 77]));
        let mut bytes = Zeroizing::new(vec![depth - 4]);
        if let Ok(tree) = tree {
            tree.encode_frontier(&mut bytes);
        }
        seeds.push((format!("frontier-{depth}"), bytes.to_vec()));
    }
    let changes: [(&str, &[u8]); 4] = [
        ("untouched", &[]),
        ("one-region", &[0, 0x20, 0, 1]),
        ("both-regions", &[0, 0x20, 0, 1, 0, 0xa0, 0, 1]),
        ("cut", &[0, 0x90, 1, 0]),
    ];
    seeds.extend(changes.map(|(name, changes)| (name.to_owned(), [&[3], changes].concat())));
    seeds
}
