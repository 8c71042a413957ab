//! The page table as the next image will have it, with the changes of a shred in it.
//!
//! Runs of gone pages are joined here as the table joins them, so that what is encoded has one form.

use batpak_crypto::Tree;

use crate::body::{EXTENT_PAGE_ROW_LEN, ROW_START_LEN, WHOLE_ROW_LEN};
use crate::frontiers::{Change, Changes};
use crate::page::{GoneRun, Home, Page};
use crate::table::{PageTable, Row};

/// A row of the table as the next image will have it.
pub(crate) enum RowView<'a> {
    Gone(GoneRun),
    Page { number: u32, depth: u8, reserved: u32, tree: Option<&'a Tree>, home: &'a Home },
}

impl RowView<'_> {
    fn row_len(&self) -> usize {
        match self {
            Self::Gone(_) => ROW_START_LEN,
            Self::Page { home: Home::Extent(_), .. } => EXTENT_PAGE_ROW_LEN,
            Self::Page { tree: Some(tree), .. } if tree.is_whole() => WHOLE_ROW_LEN,
            Self::Page { .. } => ROW_START_LEN,
        }
    }

    /// The number of a page that still has a leaf.
    pub(crate) const fn number(&self) -> Option<u32> {
        match self {
            Self::Gone(_) => None,
            Self::Page { number, .. } => Some(*number),
        }
    }

    /// The extent that a page stands in.
    pub(crate) const fn extent(&self) -> Option<u64> {
        match self {
            Self::Page { home: Home::Extent(blob), .. } => Some(blob.extent),
            _ => None,
        }
    }

    /// The tree whose frontier stands in the image.
    pub(crate) fn inline_tree(&self) -> Option<&Tree> {
        match self {
            Self::Page { tree: Some(tree), home: Home::Inline, .. } if !tree.is_whole() => Some(tree),
            _ => None,
        }
    }
}

/// Lists the rows of the table with a shred's changes in them.
pub(crate) fn rows<'a>(table: &'a PageTable, changes: Option<&'a Changes>) -> Vec<RowView<'a>> {
    let mut rows: Vec<RowView<'a>> = Vec::with_capacity(table.rows().len());
    for row in table.rows() {
        let view = match row {
            Row::Gone(run) => RowView::Gone(*run),
            Row::Page(page) => page_view(page, changes.and_then(|changes| changes.get(page.number))),
        };
        if let (Some(RowView::Gone(run)), RowView::Gone(next)) = (rows.last_mut(), &view)
            && run.join(*next)
        {
            continue;
        }
        rows.push(view);
    }
    rows
}

fn page_view<'a>(page: &'a Page, change: Option<&'a Change>) -> RowView<'a> {
    let (tree, home) = match change {
        Some(Change::Gone) => {
            return RowView::Gone(GoneRun { first: page.number, count: 1, depth: page.depth });
        }
        Some(Change::Punctured { tree, home }) => (Some(tree), home),
        Some(Change::Moved { home }) => (page.tree(), home),
        None => (page.tree(), &page.home),
    };
    RowView::Page { number: page.number, depth: page.depth, reserved: page.reserved, tree, home }
}

/// Bytes of the page table.
pub(crate) fn table_bytes(rows: &[RowView<'_>]) -> usize {
    rows.iter().map(RowView::row_len).sum()
}

/// Bytes of the frontiers that stand in the image.
pub(crate) fn inline_bytes(rows: &[RowView<'_>]) -> usize {
    rows.iter().filter_map(RowView::inline_tree).map(Tree::frontier_bytes).sum()
}
