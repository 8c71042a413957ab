//! The path to the leaf derived last, kept so that the next one costs one step.
//!
//! A path is used only under the very node it was derived from, compared byte by byte, so a cursor never answers for a
//! leaf that its tree does not derive. It is bounded (seven nodes) and wiped on drop.

use core::fmt;

use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::expand::Expand;
use crate::leaf::payload_key;
use crate::node::derive_child;
use crate::tree::Entry;
use crate::{KeyCommitment, KeyRoom, Leaf, PayloadKey, Subtree, Tree, TreeError};

const LEVELS: usize = Tree::DEPTH_MAX as usize + 1;

/// Derives leaves of a tree, one step each when they follow one another.
///
/// It holds inner nodes: whoever punctures a tree [clears](Self::clear) the cursors that were used on it, or the
/// nodes above the destroyed leaves stay in memory until the cursor is used on another tree.
pub struct TreeCursor {
    /// By level; filled from `top` to `bottom` where `filled` says so.
    nodes: Box<[[u8; 32]; LEVELS]>,
    /// Where the nodes stand, by level.
    path: [Subtree; LEVELS],
    /// Levels that hold a node: from the first one up to, and without, the second.
    filled: (usize, usize),
}

impl TreeCursor {
    /// Makes an empty cursor, for any tree.
    #[must_use]
    pub fn new() -> Self {
        Self { nodes: Box::new([[0; 32]; LEVELS]), path: [Subtree::ROOT; LEVELS], filled: (0, 0) }
    }

    /// Derives a leaf as [`Tree::leaf`] does, from the deepest node of the path that is above it.
    ///
    /// # Errors
    /// [`TreeError::OutOfRange`] for a number past the last leaf, [`TreeError::Destroyed`] for a punctured one.
    pub fn leaf(&mut self, tree: &Tree, leaf: u32) -> Result<Leaf, TreeError> {
        let entry = tree.entry_over(leaf)?;
        let at = Subtree { level: tree.depth(), index: leaf };
        let mut derived = Leaf::zeroed();
        Expand::scope(|expand| self.derive(expand, entry, at, derived.bytes_mut()));
        Ok(derived)
    }

    /// Derives a payload key and the commitment to it, as [`leaf`](Self::leaf) and [`Leaf::derive`] do, in one pass.
    ///
    /// # Errors
    /// [`TreeError::OutOfRange`] for a number past the last leaf, [`TreeError::Destroyed`] for a punctured one.
    pub fn key(
        &mut self,
        tree: &Tree,
        leaf: u32,
        store: &[u8; 16],
        key_id: u64,
    ) -> Result<(PayloadKey, KeyCommitment), TreeError> {
        self.key_in(tree, leaf, store, key_id, KeyRoom::new())
    }

    /// As [`key`](Self::key), with the key in the place of an earlier one.
    ///
    /// # Errors
    /// Those of [`key`](Self::key); the place is then given up.
    pub fn key_in(
        &mut self,
        tree: &Tree,
        leaf: u32,
        store: &[u8; 16],
        key_id: u64,
        room: KeyRoom,
    ) -> Result<(PayloadKey, KeyCommitment), TreeError> {
        let entry = tree.entry_over(leaf)?;
        let at = Subtree { level: tree.depth(), index: leaf };
        Ok(Expand::scope(|expand| {
            let mut derived = Zeroizing::new([0; 32]);
            self.derive(expand, entry, at, &mut derived);
            payload_key(expand, &derived, store, key_id, room)
        }))
    }

    /// Wipes the path.
    pub fn clear(&mut self) {
        self.nodes.zeroize();
        self.filled = (0, 0);
    }

    /// Writes the node of `at`, which is `entry` or below it; the nodes between stay in the path.
    pub(crate) fn derive(&mut self, expand: &mut Expand, entry: &Entry, at: Subtree, out: &mut [u8; 32]) {
        let top = usize::from(entry.at.level);
        if at == entry.at {
            out.copy_from_slice(entry.node.expose());
            return;
        }
        if self.filled.0 != top || self.path[top] != entry.at || !same(&self.nodes[top], entry.node.expose()) {
            self.clear();
            self.nodes[top].copy_from_slice(entry.node.expose());
            self.path[top] = entry.at;
            self.filled = (top, top + 1);
        }
        for level in entry.at.level + 1..at.level {
            let next = at.above(level);
            let level = usize::from(level);
            if level >= self.filled.1 || self.path[level] != next {
                let (above, below) = self.nodes.split_at_mut(level);
                below[0].copy_from_slice(derive_child(expand, &above[level - 1], next));
                self.path[level] = next;
                self.filled.1 = level + 1;
            }
        }
        out.copy_from_slice(derive_child(expand, &self.nodes[usize::from(at.level) - 1], at));
    }
}

/// Compares without a branch on the bytes.
fn same(left: &[u8; 32], right: &[u8; 32]) -> bool {
    left.iter().zip(right).fold(0, |seen, (a, b)| seen | (a ^ b)) == 0
}

impl Default for TreeCursor {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for TreeCursor {
    fn drop(&mut self) {
        self.clear();
    }
}

impl ZeroizeOnDrop for TreeCursor {}

impl fmt::Debug for TreeCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TreeCursor(..)")
    }
}
