//! Reading on as the log grows.
//!
//! Invariant: an event is returned once, in position order, as soon as it is visible; a time-out loses nothing.

use std::time::{Duration, Instant};

use crate::{Event, Query, ReadError, Store, events::Events};

/// How often a read-only store looks whether the log grew.
const POLL: Duration = Duration::from_millis(5);

/// The events that a query asks for, those to come too.
#[derive(Debug)]
pub struct Follow<'a> {
    store: &'a Store,
    query: Query,
    /// What is visible and not returned yet, and where it ends.
    events: Option<(Events<'a>, u64)>,
    /// Everything before it was looked at.
    seen: u64,
    left: u64,
}

impl Store {
    /// Reads the events that a query asks for, and goes on as the log grows. The query's order is always that of the log; its
    /// upper position bound and its limit end it.
    pub fn follow(&self, query: &Query) -> Follow<'_> {
        let mut query = query.clone();
        query.reverse = false;
        let (seen, left) = (query.from, query.limit.take().unwrap_or(u64::MAX));
        Follow { store: self, query, events: None, seen, left }
    }
}

impl Follow<'_> {
    /// Returns the next event, waiting for it at most so long; none when the time passed, or the follow has ended.
    ///
    /// # Errors
    /// [`ReadError`], as [`Store::read`]. The follow goes on behind an event that could not be read.
    pub fn next_timeout(&mut self, timeout: Duration) -> Result<Option<Event>, ReadError> {
        let deadline = Instant::now().checked_add(timeout);
        while self.left > 0 {
            if let Some(item) = self.visible() {
                return item.map(Some);
            }
            self.store.refresh()?;
            let visible = self.store.view().visible();
            let end = self.query.to.unwrap_or(u64::MAX).min(visible);
            if self.seen < end {
                let query = self.query.clone().from(self.seen).to(end);
                self.events = Some((Events::new(self.store, query, 0)?, end));
                continue;
            }
            let left = deadline.map_or(POLL, |deadline| deadline.saturating_duration_since(Instant::now()));
            if left.is_zero() || self.query.to.is_some_and(|to| self.seen >= to) {
                return Ok(None);
            }
            self.store.wait_visible(visible, left);
        }
        Ok(None)
    }

    /// The next event of those that were visible at the last look.
    fn visible(&mut self) -> Option<Result<Event, ReadError>> {
        let (events, end) = self.events.as_mut()?;
        let item = events.next();
        match &item {
            Some(Ok(_)) => self.left -= 1,
            Some(Err(_)) => {
                self.seen = events.looked + 1;
                self.events = None;
            }
            None => {
                self.seen = *end;
                self.events = None;
            }
        }
        item
    }
}

impl Store {
    /// Waits until more than `seen` is visible, or for the time to pass; it may return early.
    fn wait_visible(&self, seen: u64, timeout: Duration) {
        match self.writer() {
            Ok(writer) => {
                let state = crate::sync::lock(&writer.pipeline.state);
                if self.view().visible() <= seen {
                    drop(writer.pipeline.wait_progress(state, timeout));
                }
            }
            Err(_) => crate::sync::sleep(timeout.min(POLL)),
        }
    }
}
