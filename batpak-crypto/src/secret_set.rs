//! A set of secrets that bytes are to be searched for, lent by whoever holds them.
//!
//! Invariant: a secret goes in and never comes out: the set has no accessor of bytes, is wiped on drop, and wipes what it
//! leaves behind when it grows.

use core::fmt;

use zeroize::Zeroizing;

use crate::expand::Expand;
use crate::frontier::make_room;
use crate::leaf::payload_key;
use crate::node::derive_child;
use crate::{Kek, KeyRoom, RootSecret, SecretSearch, Subtree, Tree, TreeError};

/// Bytes of a secret, and of the shortest part of a longer one that is found.
pub(crate) const UNIT_LEN: usize = 8;

/// What was searched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum SecretKind {
    /// The key of a blob in an extent.
    Kek,
    /// A node of a key tree: a root, one of a frontier, or one on the way to a key, the leaf included.
    Node,
    /// The key of a payload.
    PayloadKey,
    /// The root secret of the keyset image.
    RootSecret,
    /// A text that the caller gave, by the caller's number.
    Text(u32),
}

/// One secret, as bytes of the set.
#[derive(Clone, Copy)]
pub(crate) struct Pattern {
    /// Where it begins; a multiple of [`UNIT_LEN`].
    pub(crate) start: usize,
    pub(crate) len: usize,
    pub(crate) kind: SecretKind,
}

/// Collects secrets; [`search`](Self::search) makes them ready to be searched for.
pub struct SecretSet {
    pub(crate) bytes: Zeroizing<Vec<u8>>,
    pub(crate) patterns: Vec<Pattern>,
}

impl SecretSet {
    /// Bytes that a text needs at least.
    pub const TEXT_BYTES_MIN: usize = UNIT_LEN;

    /// Makes an empty set.
    #[must_use]
    pub fn new() -> Self {
        Self { bytes: Zeroizing::new(Vec::new()), patterns: Vec::new() }
    }

    /// Adds a text. False, and nothing is added, when it has fewer than 8 bytes, or nothing in it by which it could be
    /// told from filling: no 8 bytes in a row, counted from its first, that are not all the same.
    pub fn add_text(&mut self, number: u32, text: &[u8]) -> bool {
        let searchable = text.as_chunks::<UNIT_LEN>().0.iter().any(|unit| !is_filling(unit));
        if searchable {
            self.add(SecretKind::Text(number), text);
        }
        searchable
    }

    /// Adds a root secret.
    pub fn add_root_secret(&mut self, secret: &RootSecret) {
        self.add(SecretKind::RootSecret, secret.expose());
    }

    /// Adds the key of a blob.
    pub fn add_kek(&mut self, kek: &Kek) {
        self.add(SecretKind::Kek, kek.expose());
    }

    /// Adds the nodes of a tree's frontier.
    pub fn add_frontier(&mut self, tree: &Tree) {
        for (_, node) in tree.frontier() {
            self.add(SecretKind::Node, node.expose());
        }
    }

    /// Adds payload keys of a tree, and every node between its frontier and them. Leaves are sorted; `key_id` names the key
    /// of a leaf. A leaf that cannot be derived is left out. Returns how many keys were added.
    ///
    /// # Errors
    /// [`TreeError::OutOfRange`] for a leaf past the last.
    pub fn add_keys(
        &mut self,
        tree: &Tree,
        leaves: &[u32],
        store: &[u8; 16],
        key_id: impl Fn(u32) -> u64,
    ) -> Result<u64, TreeError> {
        let mut last: Option<Subtree> = None;
        let mut added = 0;
        Expand::scope(|expand| {
            let mut node = Zeroizing::new([0; 32]);
            for &leaf in leaves {
                let entry = match tree.entry_over(leaf) {
                    Err(TreeError::Destroyed { .. }) => continue,
                    entry => entry?,
                };
                let at = Subtree { level: tree.depth(), index: leaf };
                node.copy_from_slice(entry.node.expose());
                for level in entry.at.level + 1..=tree.depth() {
                    let child = derive_child(expand, &node, at.above(level));
                    node.copy_from_slice(child);
                    if last.is_none_or(|last| last.above(level) != at.above(level)) {
                        self.add(SecretKind::Node, node.as_slice());
                    }
                }
                let (key, _) = payload_key(expand, &node, store, key_id(leaf), KeyRoom::new());
                self.add(SecretKind::PayloadKey, key.bytes());
                (last, added) = (Some(at), added + 1);
            }
            Ok(added)
        })
    }

    /// Returns how many secrets of a kind are in the set; texts by their number.
    #[must_use]
    pub fn count(&self, kind: SecretKind) -> u64 {
        self.patterns.iter().filter(|pattern| pattern.kind == kind).count() as u64
    }

    /// Makes the search.
    #[must_use]
    pub fn search(self) -> SecretSearch {
        SecretSearch::over(self)
    }

    fn add(&mut self, kind: SecretKind, secret: &[u8]) {
        let start = self.bytes.len();
        let padded = secret.len().next_multiple_of(UNIT_LEN);
        make_room(&mut self.bytes, padded);
        self.bytes.extend_from_slice(secret);
        self.bytes.resize(start + padded, 0);
        self.patterns.push(Pattern { start, len: secret.len(), kind });
    }
}

/// Tells whether bytes are one byte over and over, as the filling of files is.
pub(crate) fn is_filling(unit: &[u8; UNIT_LEN]) -> bool {
    unit.iter().all(|byte| *byte == unit[0])
}

impl Default for SecretSet {
    fn default() -> Self {
        Self::new()
    }
}

/// Prints no secret.
impl fmt::Debug for SecretSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretSet({} secrets)", self.patterns.len())
    }
}
