//! The byte form of a frontier: 36 bytes an entry, in leaf order.
//!
//! An entry is `level << 24 | index` as a little-endian u32, then the 32 bytes of the node. A tree has one form only,
//! and the decoder refuses every other.

use zeroize::Zeroizing;

use crate::subtree::{FAN_OUT, nodes_at};
use crate::{FrontierDefect, Subtree, Tree, TreeError};

/// Bytes of one entry of an encoded frontier: where the subtree stands (4), and its node (32).
pub const FRONTIER_ENTRY_LEN: usize = 36;

const LEVEL_SHIFT: u32 = 24;

impl Tree {
    /// Returns the length of the encoded frontier in bytes: [`FRONTIER_ENTRY_LEN`] for each node, 0 for an empty tree.
    #[must_use]
    pub fn frontier_bytes(&self) -> usize {
        self.frontier().len() * FRONTIER_ENTRY_LEN
    }

    /// Appends the encoded frontier. These are secret bytes: they belong into a sealed body.
    pub fn encode_frontier(&self, out: &mut Zeroizing<Vec<u8>>) {
        make_room(out, self.frontier_bytes());
        for (at, node) in self.frontier() {
            out.extend_from_slice(&(u32::from(at.level) << LEVEL_SHIFT | at.index).to_le_bytes());
            out.extend_from_slice(node.expose());
        }
    }

    /// Reads a frontier of a tree of this depth; no bytes are a tree with no leaf left. The bytes given stay with the
    /// caller, who wipes them.
    ///
    /// # Errors
    /// [`TreeError::DepthUnknown`] unless the depth is 4, 5 or 6; [`TreeError::NotCanonical`] for bytes that no tree
    /// encodes to: cut, out of range, unsorted, overlapping, or with eight siblings in place of their parent.
    pub fn decode_frontier(depth: u8, bytes: &[u8]) -> Result<Self, TreeError> {
        let (entries, rest) = bytes.as_chunks::<FRONTIER_ENTRY_LEN>();
        let mut tree = Self::with_room(depth, entries.len().min(entries_max(depth)))?;
        let mut order = Order::default();
        for (entry, bytes) in entries.iter().enumerate() {
            let (word, node) = bytes.split_at(FRONTIER_ENTRY_LEN - 32);
            let at = subtree(word);
            order.accept(depth, at).map_err(|defect| TreeError::NotCanonical { entry, defect })?;
            tree.push(at).copy_from_slice(node);
        }
        if !rest.is_empty() {
            let defect = FrontierDefect::Truncated;
            return Err(TreeError::NotCanonical { entry: entries.len(), defect });
        }
        Ok(tree)
    }
}

/// The most entries that a frontier has: of eight leaves in a row at most seven stand for themselves. An entry has four bytes more in
/// memory than on disk, which for all of them is less than 1 MiB.
fn entries_max(depth: u8) -> usize {
    (nodes_at(depth.min(Tree::DEPTH_MAX)) / FAN_OUT * (FAN_OUT - 1)) as usize
}

/// What the entries so far allow of the next one.
#[derive(Default)]
struct Order {
    /// The first leaf behind the entries so far.
    end: u32,
    /// The last entry, and how many siblings it ends, itself included, from the first child on.
    siblings: Option<(Subtree, u32)>,
}

impl Order {
    /// Takes the next entry. The frontier is maximal when no node has its eight children here: were a larger subtree
    /// covered, the deepest entries below it would be eight siblings.
    fn accept(&mut self, depth: u8, at: Subtree) -> Result<(), FrontierDefect> {
        if !at.is_within(depth) {
            return Err(FrontierDefect::OutOfRange);
        }
        let leaves = at.leaves(depth);
        if leaves.start < self.end {
            return Err(FrontierDefect::Overlap);
        }
        self.end = leaves.end;
        let run = match self.siblings {
            _ if at.digit() == 0 => 1,
            Some((last, run)) if run > 0 && last.level == at.level && last.index + 1 == at.index => run + 1,
            _ => 0,
        };
        if run == FAN_OUT {
            return Err(FrontierDefect::Mergeable);
        }
        self.siblings = Some((at, run));
        Ok(())
    }
}

/// Reads where a subtree stands.
fn subtree(word: &[u8]) -> Subtree {
    let word = word.iter().rev().fold(0, |word, byte| word << 8 | u32::from(*byte));
    Subtree {
        // The highest byte, so that the conversion loses nothing.
        level: (word >> LEVEL_SHIFT) as u8,
        index: word & ((1 << LEVEL_SHIFT) - 1),
    }
}

/// Makes room for so many more bytes; what the vector held before is wiped when it has to move.
pub(crate) fn make_room(out: &mut Zeroizing<Vec<u8>>, bytes: usize) {
    if out.capacity() - out.len() < bytes {
        let room = (out.len() + bytes).max(out.capacity() * 2);
        let mut larger = Zeroizing::new(Vec::with_capacity(room));
        larger.extend_from_slice(out);
        *out = larger;
    }
}
