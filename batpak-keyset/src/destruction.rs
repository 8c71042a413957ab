//! Destroying keys: new frontiers computed, staged for every image, and put in place.
//!
//! The three are apart because a shred can fail until its intent is on record, can only be finished after it, and must
//! keep the old nodes in memory until an image with the new ones is durable.

use batpak_crypto::Entropy;
use batpak_format::KeyRun;

use crate::error::KeysetError;
use crate::extent::{EXTENT_HEADER_LEN, ExtentBytes, header_is_whole, open_blob};
use crate::frontiers::{Beside, Change, ExtentRewrite, Frontiers, SecretChange, Staged};
use crate::keyset::Keyset;
use crate::load::Finding;
use crate::page::{Home, Nodes};
use crate::rows::rows;

impl Keyset {
    /// Computes what is left when the keys of these runs are destroyed; nothing of the keyset changes. Keys that are
    /// destroyed already change nothing. Without a run it is what a rekey stages.
    ///
    /// When the frontiers would pass 64 KiB and the size of the page table, they go into one new extent, which the
    /// caller writes before the intent ([`Frontiers::extent`]).
    ///
    /// # Errors
    /// [`KeysetError::AlreadyStaged`], [`KeysetError::ExtentNotLoaded`], [`KeysetError::RunOutOfRange`]; with a new extent
    /// also [`KeysetError::Entropy`], [`KeysetError::Seal`], [`KeysetError::ExtentsExhausted`].
    pub fn beside(
        &self,
        runs: &[KeyRun],
        rewrite: ExtentRewrite,
        entropy: &dyn Entropy,
    ) -> Result<Frontiers, KeysetError> {
        if self.staged.is_some() {
            return Err(KeysetError::AlreadyStaged);
        }
        let beside = Beside {
            store: self.store,
            generation: self.generation,
            table: &self.table,
            extents: &self.extents,
            extents_above: self.extents_above,
            entropy,
        };
        beside.compute(runs, rewrite)
    }

    /// Makes every image from the next one on carry these frontiers, this `applied` (none leaves it as it is) and this
    /// root secret. Keys go on being derived from the old nodes until [`adopt_staged`](Self::adopt_staged).
    ///
    /// # Errors
    /// [`KeysetError::AlreadyStaged`]; [`KeysetError::StaleFrontiers`] when pages have changed since they were computed.
    pub fn stage(
        &mut self,
        frontiers: Frontiers,
        applied: Option<u64>,
        secret: SecretChange,
    ) -> Result<(), KeysetError> {
        if self.staged.is_some() {
            return Err(KeysetError::AlreadyStaged);
        }
        if frontiers.generation != self.generation {
            return Err(KeysetError::StaleFrontiers);
        }
        self.raise_extents_above(frontiers.extent_row.map_or(0, |row| row.number));
        if frontiers.extent.is_some() {
            self.extent_unwritten = frontiers.extent;
        }
        self.staged = Some(Staged {
            changes: frontiers.changes,
            extent_row: frontiers.extent_row,
            applied: applied.or(self.applied),
            secret,
        });
        Ok(())
    }

    /// Puts the staged frontiers in place: from here no key is derived from an old node, and every old node of the
    /// keyset is wiped. The caller has published them, and waits for its guards.
    ///
    /// # Errors
    /// [`KeysetError::NothingStaged`].
    pub fn adopt_staged(&mut self) -> Result<(), KeysetError> {
        let staged = self.staged.take().ok_or(KeysetError::NothingStaged)?;
        let mut gone = Vec::new();
        for (number, change) in staged.changes.into_pages() {
            match (change, self.table.page_mut(number)) {
                (Change::Gone, _) => gone.push(number),
                (Change::Moved { home }, Some(page)) => page.home = home,
                (Change::Punctured { tree, home }, Some(page)) => {
                    page.nodes = Nodes::Held(tree);
                    page.home = home;
                }
                (_, None) => {}
            }
        }
        self.table.mark_gone(&gone);
        self.cursor.clear();
        let named = self.extents_named(&rows(&self.table, None), staged.extent_row);
        let dropped = self.extents.iter().filter(|extent| !named.contains(extent));
        self.extents_retired.extend(dropped.map(|extent| extent.number));
        self.extents = named;
        self.applied = staged.applied;
        if let SecretChange::Move { secret_id, provider } = staged.secret {
            self.secret_id = secret_id;
            self.provider = provider;
        }
        self.generation += 1;
        Ok(())
    }

    /// Stages frontiers and puts them in place at once: for intents applied again at open, where the log already says
    /// that the keys are destroyed.
    ///
    /// # Errors
    /// Those of [`stage`](Self::stage).
    pub fn adopt(
        &mut self,
        frontiers: Frontiers,
        applied: Option<u64>,
        secret: SecretChange,
    ) -> Result<(), KeysetError> {
        self.stage(frontiers, applied, secret)?;
        self.adopt_staged()
    }

    /// Drops frontiers whose shred failed before its intent. The number of an extent that was written for them is not
    /// used again.
    pub fn abandon(&mut self, frontiers: &Frontiers) {
        self.raise_extents_above(frontiers.extent_row.map_or(0, |row| row.number));
    }

    /// Tells whether frontiers are staged and not yet in place.
    #[must_use]
    pub const fn is_staged(&self) -> bool {
        self.staged.is_some()
    }

    /// Returns the extents that the keyset names, in order; an open loads them all, or each when a key of it is asked
    /// for, and removes every other once both copies are good.
    pub fn extents(&self) -> impl Iterator<Item = u64> {
        let staged = self.staged.as_ref().and_then(|staged| staged.extent_row);
        self.extents.iter().copied().chain(staged).map(|extent| extent.number)
    }

    /// Notes that an extent which no image names was removed.
    pub fn extent_removed(&mut self, number: u64) {
        self.extents_retired.retain(|retired| *retired != number);
    }

    /// Counts every extent number up to this one as used: the highest one present in the directory.
    pub fn raise_extents_above(&mut self, number: u64) {
        self.extents_above = self.extents_above.max(number);
    }

    /// Reads the pages that stand in an extent. Each has two blobs there; one that is damaged is made good from the
    /// other with the next extent, and a page with both damaged is lost until its extent reads again.
    pub fn load_extent(&mut self, number: u64, bytes: ExtentBytes<'_>) -> Vec<Finding> {
        let Some(extent) = self.extents.iter().find(|extent| extent.number == number).copied() else {
            return Vec::new();
        };
        let bytes = bytes.bytes();
        let mut findings = Vec::new();
        if !header_is_whole(self.store, number, extent.region_len, bytes) {
            findings.push(Finding::ExtentHeaderDamaged { extent: number });
        }
        let first = EXTENT_HEADER_LEN as u64;
        let regions = [first, first.saturating_add(extent.region_len)];
        for page in self.table.pages_mut() {
            let Home::Extent(blob) = &mut page.home else {
                continue;
            };
            if blob.extent != number {
                continue;
            }
            let mut trees = regions.map(|start| open_blob(self.store, page.number, page.depth, blob, start, bytes));
            blob.one_copy = trees.iter().any(Option::is_none);
            match trees.iter_mut().find_map(Option::take) {
                None if matches!(page.nodes, Nodes::Held(_)) => {
                    findings.push(Finding::BlobDamaged { extent: number, page: page.number });
                }
                None => {
                    page.nodes = Nodes::Unreadable;
                    findings.push(Finding::PageLost { extent: number, page: page.number });
                }
                Some(tree) => {
                    page.nodes = Nodes::Held(tree);
                    if blob.one_copy {
                        findings.push(Finding::BlobDamaged { extent: number, page: page.number });
                    }
                }
            }
        }
        findings
    }
}
