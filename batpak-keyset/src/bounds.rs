//! Bounds that only rise: what the log, or a finding at open, adds to what the image knows was used.
//!
//! Raising a bound costs unused numbers at most; a number that was used is never given out again.

use batpak_crypto::Entropy;
use batpak_format::KeyId;

use crate::error::KeysetError;
use crate::keyset::Keyset;

impl Keyset {
    /// Mints nothing more from the pages there are: the next take opens a fresh one, with a number above every page in
    /// the image. For every finding at open, a copied directory, an accepted rollback or loss, and a rekey. Leaves that
    /// were taken stay to be published.
    pub fn retire_page(&mut self) {
        self.minter.retire(&mut self.table);
    }

    /// Counts every page number up to `page` as used; the image keeps it. For the page numbers that the log names.
    pub fn raise_pages_above(&mut self, page: u32) {
        self.minter.raise_pages_above(&mut self.table, page);
    }

    /// Skips a random gap of page numbers, 1 to 65,536 above every one used so far: after a rollback or an accepted loss
    /// nobody knows all the pages that were used.
    ///
    /// # Errors
    /// [`KeysetError::Entropy`]; [`KeysetError::PagesExhausted`] when there are not so many numbers left.
    pub fn skip_pages(&mut self, entropy: &dyn Entropy) -> Result<(), KeysetError> {
        let mut gap = [0; 2];
        entropy.fill(&mut gap)?;
        let used = self.table.highest().unwrap_or(0).max(self.minter.pages_above());
        let gap = u32::from(u16::from_le_bytes(gap)) + 1;
        let above = used.checked_add(gap).filter(|above| *above < u32::MAX);
        self.raise_pages_above(above.ok_or(KeysetError::PagesExhausted)?);
        Ok(())
    }

    /// Counts a key id that the log names as reserved, or, when its page is unknown, every page up to its own as used.
    /// No leaf is minted from the pages there are any more.
    pub fn raise_above(&mut self, id: KeyId) {
        self.retire_page();
        match self.table.page_mut(id.page()) {
            Some(page) => page.reserve(id.leaf().saturating_add(1)),
            None => self.raise_pages_above(id.page()),
        }
    }

    /// Counts every epoch up to this one as used: the highest that the log names.
    pub fn raise_epoch_above(&mut self, epoch: u64) {
        self.epoch_used = self.epoch_used.max(epoch);
    }

    /// Sets the position of the last shred intent of the log, after an accepted rollback of the log: the intents that
    /// the image reflected beyond it are not in this log.
    pub fn rebase_applied(&mut self, last_intent: Option<u64>) {
        self.applied = last_intent;
    }
}
