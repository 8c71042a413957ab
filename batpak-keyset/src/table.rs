//! The page table: every page that a keyset ever had, in the order of their numbers.
//!
//! Rows are sorted and disjoint, and runs of gone pages are as long as they can be, so a table has one form.

use crate::page::{GoneRun, Home, Nodes, Page, PageState, PageSummary, leaves_of};

/// One row of the table.
#[derive(Debug)]
pub(crate) enum Row {
    Gone(GoneRun),
    Page(Page),
}

impl Row {
    pub(crate) const fn first(&self) -> u32 {
        match self {
            Self::Gone(run) => run.first,
            Self::Page(page) => page.number,
        }
    }

    pub(crate) const fn last(&self) -> u32 {
        match self {
            Self::Gone(run) => run.last(),
            Self::Page(page) => page.number,
        }
    }

    fn summary(&self) -> PageSummary {
        match self {
            Self::Gone(run) => PageSummary {
                first: run.first,
                count: run.count,
                leaves: leaves_of(run.depth),
                reserved: leaves_of(run.depth),
                leaves_left: Some(0),
                nodes: Some(0),
                state: PageState::Gone,
            },
            Self::Page(page) => PageSummary {
                first: page.number,
                count: 1,
                leaves: page.leaves(),
                reserved: page.reserved,
                leaves_left: page.tree().map(batpak_crypto::Tree::leaves_left),
                // A tree has at most 8^6 nodes.
                nodes: page.tree().map(|tree| tree.frontier().len() as u32),
                state: state(page),
            },
        }
    }
}

fn state(page: &Page) -> PageState {
    match (&page.home, &page.nodes) {
        (Home::Extent(blob), Nodes::Unreadable) => PageState::Unreadable { number: blob.extent },
        (Home::Extent(blob), nodes) => {
            PageState::Extent { number: blob.extent, loaded: matches!(nodes, Nodes::Held(_)) }
        }
        (Home::Inline, Nodes::Held(tree)) if tree.is_whole() => PageState::Whole,
        (Home::Inline, _) => PageState::Punctured,
    }
}

/// Every page, by number.
#[derive(Debug, Default)]
pub(crate) struct PageTable {
    rows: Vec<Row>,
}

impl PageTable {
    pub(crate) fn rows(&self) -> &[Row] {
        &self.rows
    }

    pub(crate) fn pages(&self) -> impl Iterator<Item = &Page> {
        self.rows.iter().filter_map(|row| match row {
            Row::Gone(_) => None,
            Row::Page(page) => Some(page),
        })
    }

    pub(crate) fn pages_mut(&mut self) -> impl Iterator<Item = &mut Page> {
        self.rows.iter_mut().filter_map(|row| match row {
            Row::Gone(_) => None,
            Row::Page(page) => Some(page),
        })
    }

    pub(crate) fn summaries(&self) -> impl Iterator<Item = PageSummary> {
        self.rows.iter().map(Row::summary)
    }

    /// The highest number in the table, or none for an empty one.
    pub(crate) fn highest(&self) -> Option<u32> {
        self.rows.last().map(Row::last)
    }

    pub(crate) fn row(&self, number: u32) -> Option<&Row> {
        self.rows.get(self.find(number)?)
    }

    pub(crate) fn page(&self, number: u32) -> Option<&Page> {
        match self.row(number)? {
            Row::Gone(_) => None,
            Row::Page(page) => Some(page),
        }
    }

    pub(crate) fn page_mut(&mut self, number: u32) -> Option<&mut Page> {
        let at = self.find(number)?;
        match self.rows.get_mut(at)? {
            Row::Gone(_) => None,
            Row::Page(page) => Some(page),
        }
    }

    fn find(&self, number: u32) -> Option<usize> {
        let at = self.rows.partition_point(|row| row.last() < number);
        (self.rows.get(at)?.first() <= number).then_some(at)
    }

    /// Adds a row behind the last; says false, and adds nothing, when the table would not be in its one form.
    pub(crate) fn push(&mut self, row: Row) -> bool {
        let follows = match (self.rows.last(), &row) {
            (Some(Row::Gone(run)), Row::Gone(next)) if run.last() < next.first => {
                let mut joined = *run;
                !joined.join(*next)
            }
            (Some(last), row) => last.last() < row.first(),
            (None, _) => true,
        };
        if follows {
            self.rows.push(row);
        }
        follows
    }

    /// Takes the tree, and with it the row, of each page named out of the table; numbers must be sorted.
    pub(crate) fn mark_gone(&mut self, numbers: &[u32]) {
        if numbers.is_empty() {
            return;
        }
        let rows = core::mem::take(&mut self.rows);
        self.rows.reserve_exact(rows.len());
        for row in rows {
            let row = match row {
                Row::Page(page) if numbers.binary_search(&page.number).is_ok() => {
                    Row::Gone(GoneRun { first: page.number, count: 1, depth: page.depth })
                }
                kept => kept,
            };
            if let (Some(Row::Gone(run)), Row::Gone(next)) = (self.rows.last_mut(), &row)
                && run.join(*next)
            {
                continue;
            }
            self.rows.push(row);
        }
    }
}

#[cfg(test)]
mod tests;
