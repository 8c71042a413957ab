//! A node of the key tree: 32 secret bytes that derive everything below it.
//!
//! Child `i` of a node is the 32 bytes at offset `32 i` of the BLAKE3 output keyed by the node over the label of the
//! child's level. One child costs one compression, and tells nothing of its siblings or of what is above.

use core::fmt;

use zeroize::ZeroizeOnDrop;

use crate::Subtree;
use crate::expand::Expand;

/// What is hashed to reach a level, under the key of the node above. One label a level, each shorter than a block.
const LABELS: [&[u8]; 6] = [
    b"batpak v1 key tree, level 1",
    b"batpak v1 key tree, level 2",
    b"batpak v1 key tree, level 3",
    b"batpak v1 key tree, level 4",
    b"batpak v1 key tree, level 5",
    b"batpak v1 key tree, level 6",
];

/// The secret of one subtree: whoever has it derives each of its leaves, and nothing else. Wiped on drop.
#[derive(ZeroizeOnDrop)]
pub struct Node([u8; 32]);

impl Node {
    pub(crate) const fn zeroed() -> Self {
        Self([0; 32])
    }

    /// Shows the secret bytes, for the sealed image of the keyset and nothing else.
    #[must_use]
    pub const fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut [u8; 32] {
        &mut self.0
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Node(..)")
    }
}

/// Derives the child named `child` of the node `parent`: 32 bytes, which the next use of `expand` overwrites.
pub(crate) fn derive_child<'a>(expand: &'a mut Expand, parent: &[u8; 32], child: Subtree) -> &'a [u8] {
    let label = LABELS[usize::from(child.level) - 1];
    // A block holds two children.
    let block = expand.keyed(parent, label, u64::from(child.digit() / 2));
    let at = 32 * usize::from(child.digit() % 2);
    &block[at..at + 32]
}
