//! The punctured key tree: a page of keys that can lose any of them for good.
//!
//! A tree is its canonical frontier: the maximal subtrees of what is left, sorted and disjoint, each with its node.
//! No node of it derives a destroyed leaf, and every other leaf is below exactly one of them. The construction is that
//! of Goldreich, Goldwasser and Micali (1986), used as a puncturable pseudo-random function.

use core::fmt;

use zeroize::{ZeroizeOnDrop, Zeroizing};

use crate::cursor::TreeCursor;
use crate::expand::Expand;
use crate::leaf::payload_key;
use crate::node::derive_child;
use crate::subtree::nodes_at;
use crate::{Entropy, KeyCommitment, KeyRoom, Leaf, Node, PayloadKey, Subtree, TreeError};

/// One subtree that is left, and its secret.
pub(crate) struct Entry {
    pub(crate) at: Subtree,
    pub(crate) node: Node,
}

/// A page of keys, as what is left of it. Fan-out 8; wiped on drop.
pub struct Tree {
    depth: u8,
    entries: Vec<Entry>,
}

impl Tree {
    /// The depth of a new page: 4,096 leaves.
    pub const DEPTH: u8 = 4;

    /// The greatest depth that is understood: 262,144 leaves.
    pub const DEPTH_MAX: u8 = 6;

    /// Makes a whole tree over a root of 32 random bytes.
    ///
    /// # Errors
    /// [`TreeError::DepthUnknown`] unless the depth is 4, 5 or 6; [`TreeError::Entropy`] when the source fails.
    pub fn generate(depth: u8, entropy: &dyn Entropy) -> Result<Self, TreeError> {
        let mut tree = Self::with_room(depth, 1)?;
        entropy.fill(tree.push(Subtree::ROOT))?;
        Ok(tree)
    }

    /// Makes a whole tree over the root given.
    ///
    /// # Errors
    /// [`TreeError::DepthUnknown`] unless the depth is 4, 5 or 6.
    pub fn from_root(depth: u8, root: &Zeroizing<[u8; 32]>) -> Result<Self, TreeError> {
        let mut tree = Self::with_room(depth, 1)?;
        tree.push(Subtree::ROOT).copy_from_slice(root.as_slice());
        Ok(tree)
    }

    /// Makes a tree without a node, with room for exactly so many.
    pub(crate) fn with_room(depth: u8, entries: usize) -> Result<Self, TreeError> {
        if !(Self::DEPTH..=Self::DEPTH_MAX).contains(&depth) {
            return Err(TreeError::DepthUnknown { depth });
        }
        Ok(Self { depth, entries: Vec::with_capacity(entries) })
    }

    /// Adds a node of zeros, to be filled in place: a secret that is moved leaves a copy behind.
    pub(crate) fn push(&mut self, at: Subtree) -> &mut [u8; 32] {
        assert!(self.entries.len() < self.entries.capacity(), "growing would leave a copy of every node behind");
        let node = Node::zeroed();
        self.entries.push_mut(Entry { at, node }).node.bytes_mut()
    }

    /// Returns the depth: 4, 5 or 6.
    #[must_use]
    pub const fn depth(&self) -> u8 {
        self.depth
    }

    /// Returns the number of leaves, the destroyed ones too: 8 to the power of the depth.
    #[must_use]
    pub fn leaves(&self) -> u32 {
        nodes_at(self.depth)
    }

    /// Returns the number of leaves that are left.
    #[must_use]
    pub fn leaves_left(&self) -> u32 {
        self.entries.iter().map(|entry| nodes_at(self.depth - entry.at.level)).sum()
    }

    /// Tells whether no leaf was ever destroyed.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        matches!(self.entries.as_slice(), [entry] if entry.at == Subtree::ROOT)
    }

    /// Tells whether no leaf is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Tells whether the leaf cannot be derived; so it is for a number past the last leaf.
    #[must_use]
    pub fn is_destroyed(&self, leaf: u32) -> bool {
        self.entry_over(leaf).is_err()
    }

    /// Returns the first leaf at or after `from` that is left.
    #[must_use]
    pub fn next_left(&self, from: u32) -> Option<u32> {
        let at = self.first_ending_after(from);
        self.entries.get(at).map(|entry| entry.at.leaves(self.depth).start.max(from))
    }

    /// Derives a leaf: one BLAKE3 compression for each level between the leaf and the node above it that is left.
    /// [`TreeCursor::leaf`] is for many leaves in a row.
    ///
    /// # Errors
    /// [`TreeError::OutOfRange`] for a number past the last leaf, [`TreeError::Destroyed`] for a punctured one.
    pub fn leaf(&self, leaf: u32) -> Result<Leaf, TreeError> {
        let mut derived = Leaf::zeroed();
        Expand::scope(|expand| self.derive_leaf(expand, leaf, derived.bytes_mut()))?;
        Ok(derived)
    }

    /// Derives a payload key and the commitment to it, as [`leaf`](Self::leaf) and [`Leaf::derive`] do, in one pass.
    ///
    /// # Errors
    /// [`TreeError::OutOfRange`] for a number past the last leaf, [`TreeError::Destroyed`] for a punctured one.
    pub fn key(&self, leaf: u32, store: &[u8; 16], key_id: u64) -> Result<(PayloadKey, KeyCommitment), TreeError> {
        Expand::scope(|expand| {
            let mut derived = Zeroizing::new([0; 32]);
            self.derive_leaf(expand, leaf, &mut derived)?;
            Ok(payload_key(expand, &derived, store, key_id, KeyRoom::new()))
        })
    }

    fn derive_leaf(&self, expand: &mut Expand, leaf: u32, out: &mut [u8; 32]) -> Result<(), TreeError> {
        let entry = self.entry_over(leaf)?;
        let target = Subtree { level: self.depth, index: leaf };
        out.copy_from_slice(entry.node.expose());
        for level in entry.at.level + 1..=self.depth {
            let child = derive_child(expand, out, target.above(level));
            out.copy_from_slice(child);
        }
        Ok(())
    }

    /// Makes the tree that is left when these leaves are destroyed, beside this one, which stays as it is. A leaf that
    /// is destroyed already, or named twice, changes nothing; the order does not matter. One puncture costs at most
    /// 7 nodes a level: 28 at depth 4.
    ///
    /// # Errors
    /// [`TreeError::OutOfRange`] when one is past the last leaf.
    pub fn punctured(&self, leaves: impl IntoIterator<Item = u32>) -> Result<Self, TreeError> {
        let mut leaves: Vec<u32> = leaves.into_iter().collect();
        leaves.sort_unstable();
        leaves.dedup();
        if let Some(&leaf) = leaves.last() {
            self.check_range(leaf)?;
        }
        let left: Vec<Vec<Subtree>> = self.entries.iter().map(|entry| self.left_below(entry.at, &leaves)).collect();
        let mut tree = Self::with_room(self.depth, left.iter().map(Vec::len).sum())?;
        Expand::scope(|expand| {
            let mut cursor = TreeCursor::new();
            for (entry, below) in self.entries.iter().zip(&left) {
                for &at in below {
                    cursor.derive(expand, entry, at, tree.push(at));
                }
            }
        });
        Ok(tree)
    }

    /// The maximal subtrees of `at` that hold none of the leaves.
    fn left_below(&self, at: Subtree, leaves: &[u32]) -> Vec<Subtree> {
        let range = at.leaves(self.depth);
        let first = leaves.partition_point(|leaf| *leaf < range.start);
        let end = leaves.partition_point(|leaf| *leaf < range.end);
        let mut left = Vec::new();
        at.without(self.depth, &leaves[first..end], &mut left);
        left
    }

    /// Goes through the frontier in leaf order: what is left, and the secret of each.
    pub fn frontier(&self) -> impl ExactSizeIterator<Item = (Subtree, &Node)> {
        self.entries.iter().map(|entry| (entry.at, &entry.node))
    }

    /// The entry above a leaf.
    pub(crate) fn entry_over(&self, leaf: u32) -> Result<&Entry, TreeError> {
        self.check_range(leaf)?;
        self.entries
            .get(self.first_ending_after(leaf))
            .filter(|entry| entry.at.leaves(self.depth).contains(&leaf))
            .ok_or(TreeError::Destroyed { leaf })
    }

    fn first_ending_after(&self, leaf: u32) -> usize {
        self.entries.partition_point(|entry| entry.at.leaves(self.depth).end <= leaf)
    }

    fn check_range(&self, leaf: u32) -> Result<(), TreeError> {
        let leaves = self.leaves();
        if leaf < leaves { Ok(()) } else { Err(TreeError::OutOfRange { leaf, leaves }) }
    }
}

impl fmt::Debug for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tree").field("depth", &self.depth).field("nodes", &self.entries.len()).finish_non_exhaustive()
    }
}

impl ZeroizeOnDrop for Tree {}
