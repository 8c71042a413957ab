//! Where a node stands in its tree: public arithmetic, no secret.
//!
//! Level 0 is the root; a node at level `l` has an index below 8^l and covers 8^(depth - l) leaves in a row.

use core::ops::Range;

/// Children of a node, as a power of two.
const FAN_OUT_BITS: u32 = 3;

/// Children of a node.
pub(crate) const FAN_OUT: u32 = 1 << FAN_OUT_BITS;

/// Names one node of a key tree, and with it every leaf below.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Subtree {
    /// The level: 0 is the root, the depth of the tree is the leaves.
    pub level: u8,
    /// The place within the level, from 0.
    pub index: u32,
}

impl Subtree {
    pub(crate) const ROOT: Self = Self { level: 0, index: 0 };

    /// Tells whether a tree of this depth has such a node.
    pub(crate) fn is_within(self, depth: u8) -> bool {
        self.level <= depth && self.index < nodes_at(self.level)
    }

    /// The leaves below, for a node that [is within](Self::is_within) the depth.
    pub(crate) fn leaves(self, depth: u8) -> Range<u32> {
        let shift = FAN_OUT_BITS * u32::from(depth - self.level);
        self.index << shift..(self.index + 1) << shift
    }

    /// The node itself or the one above it at `level`.
    pub(crate) fn above(self, level: u8) -> Self {
        let shift = FAN_OUT_BITS * u32::from(self.level - level);
        Self { level, index: self.index >> shift }
    }

    /// Which child of its parent this is.
    pub(crate) fn digit(self) -> u8 {
        // At most 7, so that the conversion loses nothing.
        (self.index % FAN_OUT) as u8
    }

    pub(crate) fn children(self) -> impl Iterator<Item = Self> {
        let first = self.index << FAN_OUT_BITS;
        (first..first + FAN_OUT).map(move |index| Self { level: self.level + 1, index })
    }

    /// Adds the maximal subtrees below `self` that hold none of `leaves` (sorted, all below `self`), in order.
    pub(crate) fn without(self, depth: u8, leaves: &[u32], out: &mut Vec<Self>) {
        if leaves.is_empty() {
            out.push(self);
            return;
        }
        if self.level == depth {
            return;
        }
        let mut rest = leaves;
        for child in self.children() {
            let end = child.leaves(depth).end;
            let (below, after) = rest.split_at(rest.partition_point(|leaf| *leaf < end));
            child.without(depth, below, out);
            rest = after;
        }
    }
}

/// How many nodes a level has.
pub(crate) fn nodes_at(level: u8) -> u32 {
    1 << (FAN_OUT_BITS * u32::from(level))
}
