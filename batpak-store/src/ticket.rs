//! An append that was placed and is not waited for yet.
//!
//! Invariant: a ticket that is dropped gives up waiting, not the event: the event stays placed and is written with the others.

use crate::{
    AppendError, Durability, Receipt, Store,
    commit::{Placed, Receipts},
    state::Ahead,
};

/// A placed event to wait for; the result of [`Store::submit`].
#[must_use = "an event is acknowledged by waiting for its ticket"]
#[derive(Debug)]
pub struct Ticket<'a> {
    placed: Option<(&'a Store, Ahead, Durability)>,
    receipts: Receipts,
}

impl<'a> Ticket<'a> {
    pub(crate) fn placed(store: &'a Store, placed: Placed<'_>, receipts: Receipts, durability: Durability) -> Self {
        Self { placed: Some((store, placed.ahead, durability)), receipts }
    }

    /// For events that are in the log as durably as was asked.
    pub(crate) fn answered(receipts: Receipts) -> Self {
        Self { placed: None, receipts }
    }

    /// Returns the event's position in the log, which it has unless waiting for it fails.
    pub fn position(&self) -> u64 {
        self.receipts.first().map_or(0, |receipt| receipt.position)
    }

    /// Waits until the event is as durable as it asked.
    ///
    /// # Errors
    /// [`AppendError::NotWritten`] when it could not be written and is not in the log; [`AppendError::Poisoned`] when it is not
    /// known whether it is.
    pub fn wait(mut self) -> Result<Receipt, AppendError> {
        if let Some((store, ahead, durability)) = &self.placed {
            store.writer()?.wait(ahead, *durability)?;
        }
        self.receipts.pop().ok_or(AppendError::Closed)
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        if let Some((store, _, _)) = &self.placed
            && let Ok(writer) = store.writer()
        {
            writer.pipeline.leave();
        }
    }
}
