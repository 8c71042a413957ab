//! Minting: which leaf is taken next, and how far leaves are reserved.
//!
//! A process takes only leaves that it reserves itself, in growing order of their key ids; what is durable advances
//! only to what an image that became durable held.

use batpak_crypto::{Entropy, Tree};
use batpak_format::KeyId;

use crate::defect::{Defect, seeded};
use crate::error::KeysetError;
use crate::frontiers::Changes;
use crate::page::Page;
use crate::table::{PageTable, Row};

/// Leaves of the first reservation, the second and the third; after them a reservation is the rest of a page.
pub const RESERVATION_LEAVES: [u32; 3] = [64, 256, 1024];

/// The compartment of every key id so far.
const COMPARTMENT: u8 = 0;

/// A reservation as this process sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Grant {
    /// Whoever takes this or a later one asks for the next reservation.
    pub(crate) half: KeyId,
    /// Every leaf this process takes below this is reserved.
    pub(crate) end: KeyId,
}

/// Where leaves are taken.
#[derive(Clone, Copy, Debug)]
struct Open {
    page: u32,
    /// The next leaf to look at.
    cursor: u32,
}

/// The leaves of one process.
#[derive(Debug)]
pub(crate) struct Minter {
    open: Option<Open>,
    /// A page made and reserved before the open one was used up.
    ahead: Option<u32>,
    last_taken: Option<KeyId>,
    /// How often a reservation was extended.
    extended: usize,
    /// What the last encoded image reserved.
    claimed: Grant,
    /// What a durable image reserved.
    covered: Grant,
    /// Page numbers up to this one are used, whether or not the table has them.
    pages_above: u32,
}

impl Minter {
    /// Begins behind everything that the table reserves: on its last page when that has leaves left, else on a fresh
    /// one.
    pub(crate) fn after(table: &PageTable, pages_above: u32) -> Self {
        let open = match table.rows().last() {
            Some(Row::Page(page)) if page.number > pages_above && page.tree().is_some() => {
                (page.reserved < page.leaves()).then_some(Open { page: page.number, cursor: page.reserved })
            }
            _ => None,
        };
        let nothing = Grant { half: key_id(0, 0), end: key_id(0, 0) };
        let mut minter =
            Self { open, ahead: None, last_taken: None, extended: 0, claimed: nothing, covered: nothing, pages_above };
        minter.settle(table);
        minter
    }

    /// Takes the next leaf that is left, on a fresh page when no other has one.
    pub(crate) fn take(
        &mut self,
        table: &mut PageTable,
        changes: Option<&Changes>,
        entropy: &dyn Entropy,
    ) -> Result<KeyId, KeysetError> {
        loop {
            let open = match self.open {
                Some(open) if seeded(Defect::LeavesTakenAgain) && self.last_taken.is_none() => {
                    Open { cursor: 0, ..open }
                }
                Some(open) => open,
                None => Open { page: self.fresh_page(table, entropy)?, cursor: 0 },
            };
            if let Some(leaf) = next_left(table, changes, open) {
                let taken = key_id(open.page, leaf);
                self.open = Some(Open { page: open.page, cursor: leaf + 1 });
                self.last_taken = Some(taken);
                return Ok(taken);
            }
            if let Some(page) = table.page_mut(open.page) {
                page.reserve(page.leaves());
            }
            self.open = self.ahead.take().map(|page| Open { page, cursor: 0 });
        }
    }

    /// Extends the reservation for the image that is encoded now, if half of the last one is taken; it then reaches at
    /// least over every leaf taken. A page is opened ahead when the last one is reserved to its end.
    pub(crate) fn extend(&mut self, table: &mut PageTable, entropy: &dyn Entropy) -> Result<Grant, KeysetError> {
        let Some(last) = self.last_taken.filter(|last| *last >= self.claimed.half) else {
            return Ok(self.claimed);
        };
        let leaves = RESERVATION_LEAVES.get(self.extended).copied().unwrap_or(u32::MAX);
        let grant = match self.open {
            None => Grant { half: next(last), end: next(last) },
            Some(open) => match table.page_mut(open.page).filter(|page| page.reserved < page.leaves()) {
                Some(page) => reserve(page, leaves, open.cursor),
                None => {
                    let ahead = match self.ahead.filter(|&ahead| table.page(ahead).is_some()) {
                        Some(ahead) => ahead,
                        None => self.fresh_page(table, entropy)?,
                    };
                    self.ahead = Some(ahead);
                    reserve(table.page_mut(ahead).expect("found above, or made just now"), leaves, 0)
                }
            },
        };
        self.claimed = grant;
        self.extended += 1;
        Ok(grant)
    }

    /// Notes that an image with this reservation is durable.
    pub(crate) fn durable(&mut self, grant: Grant) {
        if grant.end > self.covered.end {
            self.covered = grant;
        }
    }

    /// Takes no further leaf of the pages that are open; those taken from them stay to be reserved.
    pub(crate) fn retire(&mut self, table: &mut PageTable) {
        if let Some(open) = self.open.take()
            && let Some(page) = table.page_mut(open.page)
        {
            page.reserve(open.cursor);
        }
        self.ahead = None;
        self.settle(table);
    }

    /// Counts every page number up to `page` as used.
    pub(crate) fn raise_pages_above(&mut self, table: &mut PageTable, page: u32) {
        self.pages_above = self.pages_above.max(page);
        if self.open.is_some_and(|open| open.page <= self.pages_above) {
            self.retire(table);
        }
        self.settle(table);
    }

    pub(crate) const fn pages_above(&self) -> u32 {
        self.pages_above
    }

    pub(crate) const fn covered_below(&self) -> KeyId {
        self.covered.end
    }

    pub(crate) fn wants_publication(&self) -> bool {
        self.last_taken.is_some_and(|last| last >= self.covered.half)
    }

    /// While nothing was taken, both reservations end where the first leaf will stand: above every earlier process's
    /// leaves and not above any of this one's.
    fn settle(&mut self, table: &PageTable) {
        if self.last_taken.is_some() {
            return;
        }
        let first = match self.open {
            Some(open) => key_id(open.page, open.cursor),
            None => key_id(self.highest(table).saturating_add(1), 0),
        };
        self.claimed = Grant { half: first, end: first };
        self.covered = self.claimed;
    }

    fn highest(&self, table: &PageTable) -> u32 {
        let above = if seeded(Defect::PageReused) { 0 } else { self.pages_above };
        table.highest().unwrap_or(0).max(above)
    }

    fn fresh_page(&self, table: &mut PageTable, entropy: &dyn Entropy) -> Result<u32, KeysetError> {
        let number = self.highest(table).checked_add(1).ok_or(KeysetError::PagesExhausted)?;
        let tree = Tree::generate(Tree::DEPTH, entropy)?;
        table.push(Row::Page(Page::fresh(number, tree)));
        Ok(number)
    }
}

/// The first leaf from the cursor on that neither the page nor a staged shred has destroyed.
fn next_left(table: &PageTable, changes: Option<&Changes>, open: Open) -> Option<u32> {
    let tree = table.page(open.page)?.tree()?;
    match changes.and_then(|changes| changes.get(open.page)) {
        Some(change) => change.tree_or(tree)?.next_left(open.cursor),
        None => tree.next_left(open.cursor),
    }
}

/// Reserves so many leaves more, at least up to the cursor.
fn reserve(page: &mut Page, leaves: u32, cursor: u32) -> Grant {
    let start = page.reserved;
    page.reserve(start.saturating_add(leaves).max(cursor));
    let half = start + (page.reserved - start) / 2;
    Grant { half: key_id(page.number, half), end: key_id(page.number, page.reserved) }
}

const fn key_id(page: u32, leaf: u32) -> KeyId {
    KeyId::new(COMPARTMENT, page, leaf)
}

const fn next(id: KeyId) -> KeyId {
    key_id(id.page(), id.leaf() + 1)
}

#[cfg(test)]
mod tests;
