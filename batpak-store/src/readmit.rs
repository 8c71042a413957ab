//! Readmission: a shredded key scope takes new keys.
//!
//! Invariant: it gives back nothing; what was shredded stays shredded, and new events come under new key ids.

use batpak_format::{Record, ScopeReadmitted};

use crate::{Durability, Selector, ShredError, Store, selector::selected_one, sync::write};

impl Store {
    /// Lets a shredded key scope, or one whose key is lost, take new keys. What was shredded stays shredded.
    ///
    /// # Errors
    /// [`ShredError::WrongGranularity`] when the selector does not name a key scope of this store; [`ShredError::Append`]; and
    /// [`ShredError::Pending`] or [`ShredError::RekeyPending`] when what is pending could not be finished first.
    pub fn readmit(&self, selector: &Selector) -> Result<(), ShredError> {
        let turn = self.shred_turn()?;
        let granularity = turn.keys.granularity;
        let scope = selected_one(granularity, selector)?;
        if scope.granularity() != granularity {
            return Err(ShredError::WrongGranularity { granularity, asked: scope.granularity() });
        }
        let record = Record::ScopeReadmitted(ScopeReadmitted { key_scope: scope.as_bytes().into() });
        self.append_system(&record, Durability::Synced)?;
        write(&turn.keys.shreds).readmit(scope.as_bytes());
        Ok(())
    }
}
