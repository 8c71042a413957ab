//! An append that was placed and is not waited for yet.
//!
//! Invariant: a ticket that is dropped gives up waiting, not the event: the event stays placed and is written with the others.

use crate::{AppendError, Durability, Receipt, Store, commit::Placed};

/// A placed event to wait for; the result of [`Store::submit`].
#[must_use = "an event is acknowledged by waiting for its ticket"]
#[derive(Debug)]
pub struct Ticket<'a> {
    placed: Option<(&'a Store, Placed, Durability)>,
    receipts: Vec<Receipt>,
}

impl<'a> Ticket<'a> {
    pub(crate) fn placed(store: &'a Store, mut placed: Placed, durability: Durability) -> Self {
        let receipts = std::mem::take(&mut placed.receipts);
        Self { placed: Some((store, placed, durability)), receipts }
    }

    /// For events that are in the log as durably as was asked.
    pub(crate) fn answered(receipts: Vec<Receipt>) -> Self {
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
    pub fn wait(self) -> Result<Receipt, AppendError> {
        let mut receipts = self.wait_all()?;
        receipts.pop().ok_or(AppendError::Closed)
    }

    pub(crate) fn wait_all(mut self) -> Result<Vec<Receipt>, AppendError> {
        if let Some((store, placed, durability)) = &self.placed {
            store.writer()?.wait(&placed.ahead, *durability)?;
        }
        Ok(std::mem::take(&mut self.receipts))
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
