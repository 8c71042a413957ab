//! Holds: key scopes that a shred leaves out until they are released.
//!
//! Invariants: a hold is an event, synced before it counts, and takes the shred turn: a shred stands before it or behind it, and one that
//! stands behind it leaves the key scope out and says so.

use batpak_format::{Record, ScopeHeld, ScopeReleased};

use crate::{
    Durability, Hold, ReadError, Selector, ShredError, Store,
    selector::{check_reference, selected_one},
    sync::{read, write},
};

impl Store {
    /// Keeps what a selector names from being shredded, until it is released: a key scope, or every key scope under a coarser name,
    /// also those that come later. What is shredded already stays so. Returns the position of the event that says so.
    ///
    /// `reference`, at most 64 bytes, is kept in the log for ever and in clear.
    ///
    /// # Errors
    /// [`ShredError::AlreadyHeld`], [`ShredError::WrongGranularity`], [`ShredError::ReferenceTooLong`], [`ShredError::Append`]; and
    /// [`ShredError::Pending`] or [`ShredError::RekeyPending`] when what is pending could not be finished first.
    pub fn hold(&self, selector: &Selector, reference: &str) -> Result<u64, ShredError> {
        check_reference(reference)?;
        let turn = self.shred_turn()?;
        let scope = selected_one(turn.keys.granularity, selector)?;
        if let Some(position) = read(&self.view.holds).position_of(&scope) {
            return Err(ShredError::AlreadyHeld { position });
        }
        let record = ScopeHeld { key_scope: scope.as_bytes().into(), reference: reference.to_owned() };
        let position = self.append_system(&Record::ScopeHeld(record), Durability::Synced)?.position;
        write(&self.view.holds).hold(position, scope.as_bytes(), reference.to_owned());
        Ok(position)
    }

    /// Ends a hold; it is named as it was when it was set. A key scope that another hold covers stays held by that one. Returns the
    /// position of the event that says so.
    ///
    /// # Errors
    /// [`ShredError::NotHeld`], and as [`Store::hold`].
    pub fn release(&self, selector: &Selector, reference: &str) -> Result<u64, ShredError> {
        check_reference(reference)?;
        let turn = self.shred_turn()?;
        let scope = selected_one(turn.keys.granularity, selector)?;
        if read(&self.view.holds).position_of(&scope).is_none() {
            return Err(ShredError::NotHeld);
        }
        let record = ScopeReleased { key_scope: scope.as_bytes().into(), reference: reference.to_owned() };
        let position = self.append_system(&Record::ScopeReleased(record), Durability::Synced)?.position;
        write(&self.view.holds).release(scope.as_bytes());
        Ok(position)
    }

    /// Lists the holds in force, in the order of the log. No key is needed.
    ///
    /// # Errors
    /// [`ReadError`] when a read-only store cannot look at how the log grew.
    pub fn holds(&self) -> Result<Vec<Hold>, ReadError> {
        self.refresh()?;
        Ok(read(&self.view.holds).list())
    }
}
