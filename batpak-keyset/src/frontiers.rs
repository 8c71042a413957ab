//! New frontiers beside the old ones: what a shred prepares before its intent, and what every image carries after it.
//!
//! Nothing of the keyset changes until frontiers are staged, and no old node is wiped until they are put in place.

use core::fmt;
use core::ops::Range;
use std::collections::BTreeMap;

use batpak_crypto::{Entropy, SecretId, Tree};
use batpak_format::{KeyRun, StoreId};

use crate::body::ExtentRow;
use crate::error::KeysetError;
use crate::extent::{BLOB_OVERHEAD, ExtentBuilder, ExtentWrite};
use crate::image::INLINE_BYTES_MIN;
use crate::page::{Blob, Home, Nodes};
use crate::provider::ProviderRecord;
use crate::rows::{RowView, inline_bytes, rows, table_bytes};
use crate::table::{PageTable, Row};

/// What becomes of one page.
#[derive(Debug)]
pub(crate) enum Change {
    /// Its last leaf is destroyed.
    Gone,
    /// Its nodes stay and stand elsewhere.
    Moved { home: Home },
    /// Some leaves are destroyed.
    Punctured { tree: Tree, home: Home },
}

impl Change {
    /// The tree after the change, of a page whose tree is `current`.
    pub(crate) const fn tree_or<'a>(&'a self, current: &'a Tree) -> Option<&'a Tree> {
        match self {
            Self::Gone => None,
            Self::Moved { .. } => Some(current),
            Self::Punctured { tree, .. } => Some(tree),
        }
    }
}

/// What becomes of each page that changes, by number.
#[derive(Debug, Default)]
pub(crate) struct Changes(BTreeMap<u32, Change>);

impl Changes {
    pub(crate) fn get(&self, page: u32) -> Option<&Change> {
        self.0.get(&page)
    }

    pub(crate) fn into_pages(self) -> impl Iterator<Item = (u32, Change)> {
        self.0.into_iter()
    }

    fn settle(&mut self, page: u32, home: Home) {
        match self.0.get_mut(&page) {
            Some(Change::Punctured { home: old, .. }) => *old = home,
            _ => {
                self.0.insert(page, Change::Moved { home });
            }
        }
    }
}

/// Says when extents that are more than half dead, or found damaged in one place, are written anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExtentRewrite {
    /// Also when nothing else needs a new extent: for a rekey.
    Always,
    /// When a new extent is written anyway: for a shred.
    WithNext,
}

/// Says whether images go on under the same root secret.
#[derive(Debug)]
#[non_exhaustive]
pub enum SecretChange {
    /// The same secret: for intents applied again at open.
    Keep,
    /// A new one, from here on.
    Move {
        /// Its id.
        secret_id: SecretId,
        /// What the header says of its provider.
        provider: ProviderRecord,
    },
}

/// Frontiers computed beside those of the keyset: what is left when some keys are destroyed.
pub struct Frontiers {
    pub(crate) generation: u64,
    pub(crate) changes: Changes,
    pub(crate) extent_row: Option<ExtentRow>,
    pub(crate) extent: Option<ExtentWrite>,
    destroyed: u64,
    unreachable: u64,
}

impl Frontiers {
    /// Returns the extent that must be on disk before an image names it, until
    /// [`extent_written`](Self::extent_written) says that it is.
    #[must_use]
    pub const fn extent(&self) -> Option<&ExtentWrite> {
        self.extent.as_ref()
    }

    /// Notes that the extent and its directory entry are synced; publications then leave it out.
    pub fn extent_written(&mut self) {
        self.extent = None;
    }

    /// Returns how many keys these frontiers destroy that were not destroyed before.
    #[must_use]
    pub const fn destroyed(&self) -> u64 {
        self.destroyed
    }

    /// Returns how many of the keys asked for stand on pages that the keyset does not know or cannot read: nothing
    /// here derives them, and nothing here can destroy a copy of them.
    #[must_use]
    pub const fn unreachable(&self) -> u64 {
        self.unreachable
    }
}

impl fmt::Debug for Frontiers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frontiers")
            .field("pages", &self.changes.0.len())
            .field("extent", &self.extent_row.map(|row| row.number))
            .field("destroyed", &self.destroyed)
            .field("unreachable", &self.unreachable)
            .finish_non_exhaustive()
    }
}

/// Frontiers that every image carries from now on.
#[derive(Debug)]
pub(crate) struct Staged {
    pub(crate) changes: Changes,
    pub(crate) extent_row: Option<ExtentRow>,
    pub(crate) applied: Option<u64>,
    pub(crate) secret: SecretChange,
}

/// The leaves to destroy.
struct Victims {
    /// By page number; ranges may overlap.
    pages: BTreeMap<u32, Vec<Range<u32>>>,
    unreachable: u64,
}

/// What frontiers are computed from.
pub(crate) struct Beside<'a> {
    pub(crate) store: StoreId,
    pub(crate) generation: u64,
    pub(crate) table: &'a PageTable,
    pub(crate) extents: &'a [ExtentRow],
    pub(crate) extents_above: u64,
    pub(crate) entropy: &'a dyn Entropy,
}

impl Beside<'_> {
    pub(crate) fn compute(&self, runs: &[KeyRun], rewrite: ExtentRewrite) -> Result<Frontiers, KeysetError> {
        let Victims { pages, unreachable } = self.victims(runs)?;
        let mut changes = Changes::default();
        let mut destroyed = 0;
        for (number, ranges) in pages {
            let Some(tree) = self.table.page(number).and_then(|page| page.tree()) else {
                continue;
            };
            let left = tree.punctured(leaves(ranges))?;
            let fewer = tree.leaves_left() - left.leaves_left();
            destroyed += u64::from(fewer);
            if left.is_empty() {
                changes.0.insert(number, Change::Gone);
            } else if fewer > 0 {
                changes.0.insert(number, Change::Punctured { tree: left, home: Home::Inline });
            }
        }
        let (extent_row, extent) = self.place(&mut changes, rewrite)?;
        Ok(Frontiers { generation: self.generation, changes, extent_row, extent, destroyed, unreachable })
    }

    /// Sorts the runs by page, and counts the keys that cannot be reached.
    fn victims(&self, runs: &[KeyRun]) -> Result<Victims, KeysetError> {
        let mut pages: BTreeMap<u32, Vec<Range<u32>>> = BTreeMap::new();
        let mut unreachable = 0;
        for run in runs {
            let number = run.first.page();
            let page = match self.table.row(number) {
                Some(Row::Gone(_)) if run.first.compartment() == 0 => continue,
                Some(Row::Page(page)) if run.first.compartment() == 0 => page,
                _ => {
                    unreachable += u64::from(run.count);
                    continue;
                }
            };
            let start = run.first.leaf();
            let end = start.checked_add(run.count).filter(|end| *end <= page.leaves());
            let end = end.ok_or(KeysetError::RunOutOfRange { page: number })?;
            match (&page.nodes, &page.home) {
                (Nodes::Held(_), _) => pages.entry(number).or_default().push(start..end),
                (Nodes::NotLoaded, Home::Extent(blob)) => {
                    return Err(KeysetError::ExtentNotLoaded { number: blob.extent });
                }
                _ => unreachable += u64::from(run.count),
            }
        }
        Ok(Victims { pages, unreachable })
    }

    /// Leaves the frontiers in the image while they are within its limit; else they all go into one new extent, and
    /// with them the pages of extents that are due.
    fn place(
        &self,
        changes: &mut Changes,
        rewrite: ExtentRewrite,
    ) -> Result<(Option<ExtentRow>, Option<ExtentWrite>), KeysetError> {
        let rows = rows(self.table, Some(changes));
        let due = self.due(&rows);
        let limit = INLINE_BYTES_MIN.max(table_bytes(&rows));
        let full = inline_bytes(&rows) > limit;
        if !full && (due.is_empty() || rewrite == ExtentRewrite::WithNext) {
            return Ok((None, None));
        }
        let mut movers = due;
        movers.extend(rows.iter().filter_map(|row| row.inline_tree().and(row.number())));
        movers.sort_unstable();
        drop(rows);
        let number = self.extents_above.checked_add(1).ok_or(KeysetError::ExtentsExhausted)?;
        let mut extent = ExtentBuilder::new(self.store, number, self.entropy);
        for page in movers {
            let tree = self.table.page(page).and_then(|found| found.tree());
            let tree = tree.and_then(|tree| changes.get(page).map_or(Some(tree), |change| change.tree_or(tree)));
            if let Some(tree) = tree {
                let blob = extent.add(page, tree)?;
                changes.settle(page, Home::Extent(blob));
            }
        }
        let row = ExtentRow { number, region_len: extent.region_len() };
        Ok((Some(row), Some(extent.finish())))
    }

    /// Lists the pages whose blobs should move: of extents more than half dead, and those found damaged in one place.
    fn due(&self, rows: &[RowView<'_>]) -> Vec<u32> {
        let mut live: BTreeMap<u64, u64> = BTreeMap::new();
        for (_, blob) in blobs(rows) {
            *live.entry(blob.extent).or_default() += u64::from(blob.frontier_len) + BLOB_OVERHEAD as u64;
        }
        let half_dead = |extent: u64| {
            let live = live.get(&extent).copied().unwrap_or(0);
            self.extents.iter().any(|row| row.number == extent && live.saturating_mul(2) < row.region_len)
        };
        blobs(rows).filter(|(_, blob)| blob.one_copy || half_dead(blob.extent)).map(|(page, _)| page).collect()
    }
}

/// The pages in extents whose nodes are in memory.
fn blobs<'r>(rows: &'r [RowView<'_>]) -> impl Iterator<Item = (u32, &'r Blob)> {
    rows.iter().filter_map(|row| match row {
        RowView::Page { number, tree: Some(_), home: Home::Extent(blob), .. } => Some((*number, blob)),
        _ => None,
    })
}

/// Goes through the leaves of ranges that may overlap, each leaf once: never more than a page has.
fn leaves(mut ranges: Vec<Range<u32>>) -> impl Iterator<Item = u32> {
    ranges.sort_unstable_by_key(|range| range.start);
    let mut from = 0;
    ranges.into_iter().flat_map(move |range| {
        let start = range.start.max(from);
        from = from.max(range.end);
        start..range.end
    })
}
