//! Pages: trees of keys, each with its number and how many of its leaves are reserved.
//!
//! A reservation never falls. The nodes of a page stand in the image or in one extent, and leave both only when its
//! last leaf is destroyed.

use batpak_crypto::{Kek, Tree};

/// The number of a page that no page has: numbers begin at 1.
pub(crate) const PAGE_NONE: u32 = 0;

/// Where the nodes of a page are in memory.
#[derive(Debug)]
pub(crate) enum Nodes {
    Held(Tree),
    NotLoaded,
    Unreadable,
}

/// Where the nodes of a page stand on disk.
#[derive(Debug)]
pub(crate) enum Home {
    Inline,
    Extent(Blob),
}

/// One blob of an extent, as its page's row names it.
#[derive(Debug)]
pub(crate) struct Blob {
    pub(crate) extent: u64,
    /// Where the blob begins in each of the two regions.
    pub(crate) offset: u64,
    /// Bytes of the frontier; the blob has [`BLOB_OVERHEAD`](crate::extent::BLOB_OVERHEAD) more.
    pub(crate) frontier_len: u32,
    /// Dead with its row: no other place holds it.
    pub(crate) kek: Kek,
    /// One of the two blobs was found damaged: the page moves with the next extent.
    pub(crate) one_copy: bool,
}

/// A page of keys that still has one.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) number: u32,
    pub(crate) depth: u8,
    /// Leaves below this are reserved, in every image from the next one on.
    pub(crate) reserved: u32,
    pub(crate) nodes: Nodes,
    pub(crate) home: Home,
}

impl Page {
    pub(crate) fn fresh(number: u32, tree: Tree) -> Self {
        Self { number, depth: tree.depth(), reserved: 0, nodes: Nodes::Held(tree), home: Home::Inline }
    }

    pub(crate) const fn leaves(&self) -> u32 {
        leaves_of(self.depth)
    }

    /// The extent that the page stands in.
    pub(crate) const fn extent(&self) -> Option<u64> {
        match &self.home {
            Home::Extent(blob) => Some(blob.extent),
            Home::Inline => None,
        }
    }

    pub(crate) const fn tree(&self) -> Option<&Tree> {
        match &self.nodes {
            Nodes::Held(tree) => Some(tree),
            Nodes::NotLoaded | Nodes::Unreadable => None,
        }
    }

    /// Raises the reservation to at least so many leaves, never past the last.
    pub(crate) fn reserve(&mut self, leaves: u32) {
        self.reserved = self.reserved.max(leaves.min(self.leaves()));
    }
}

/// Pages in a row that have no leaf left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GoneRun {
    pub(crate) first: u32,
    pub(crate) count: u32,
    pub(crate) depth: u8,
}

impl GoneRun {
    /// The number of the last page.
    pub(crate) const fn last(self) -> u32 {
        self.first + (self.count - 1)
    }

    /// Takes the run behind into this one, if it follows and has the same depth.
    pub(crate) fn join(&mut self, next: Self) -> bool {
        let follows = self.depth == next.depth && self.last().checked_add(1) == Some(next.first);
        if follows {
            self.count += next.count;
        }
        follows
    }
}

/// How many leaves a page of this depth has: 8 to its power.
pub(crate) const fn leaves_of(depth: u8) -> u32 {
    1 << (3 * depth as u32)
}

/// What `stats` may say of pages: no secret, and nothing that finds one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageSummary {
    /// The number of the page, or of the first of a run of gone ones.
    pub first: u32,
    /// How many pages this is: 1 unless they are gone.
    pub count: u32,
    /// Leaves of each page.
    pub leaves: u32,
    /// Leaves reserved so far; of a gone page, all.
    pub reserved: u32,
    /// Leaves that can still be derived; none when that is not known.
    pub leaves_left: Option<u32>,
    /// Nodes of the frontier; none when that is not known.
    pub nodes: Option<u32>,
    /// Where the nodes stand.
    pub state: PageState,
}

/// Where the nodes of a page stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PageState {
    /// In an extent.
    Extent {
        /// The extent's number.
        number: u64,
        /// Whether the nodes are in memory.
        loaded: bool,
    },
    /// Nowhere: every leaf is destroyed.
    Gone,
    /// In the image, as a frontier.
    Punctured,
    /// In an extent where both blobs are damaged.
    Unreadable {
        /// The extent's number.
        number: u64,
    },
    /// In the image, as one root.
    Whole,
}
