//! Which events a query asks for, one after the other, each as a value of its own.
//!
//! Invariant: one entity's events are found through the index: no others are read.

use batpak_format::Header;

use crate::{Event, Query, ReadError, Store};

/// The positions that a query leads to, in its order, whatever stands there.
#[derive(Debug)]
pub(crate) struct Walk {
    pub(crate) query: Query,
    /// What is still to be walked: revisions of an entity, or positions.
    pub(crate) next: u64,
    pub(crate) end: u64,
    /// How many events may still be returned.
    pub(crate) left: u64,
}

impl Walk {
    pub(crate) fn new(store: &Store, query: Query, from_revision: u64) -> Result<Self, ReadError> {
        let visible = store.view().visible();
        let to = query.to.unwrap_or(visible).min(visible);
        let (next, end) = match &query.entity {
            Some(entity) => {
                let below = |position| store.view().revisions_below(entity, position);
                (below(query.from)?.max(from_revision), below(to)?)
            }
            None => (query.from, to),
        };
        let left = query.limit.unwrap_or(u64::MAX);
        Ok(Self { query, next, end, left })
    }

    /// The next place to look at, as a position.
    pub(crate) fn step(&mut self, store: &Store) -> Result<Option<u64>, ReadError> {
        if self.next >= self.end || self.left == 0 {
            return Ok(None);
        }
        let at = if self.query.reverse {
            self.end -= 1;
            self.end
        } else {
            self.next += 1;
            self.next - 1
        };
        match &self.query.entity {
            Some(entity) => store.view().position_at(entity, at),
            None => Ok(Some(at)),
        }
    }

    /// Counts the event if it is asked for.
    pub(crate) fn takes(&mut self, header: &Header<'_>) -> bool {
        let takes = self.query.matches(header);
        self.left -= u64::from(takes);
        takes
    }
}

/// The events of a read, in the order that was asked for.
#[derive(Debug)]
pub struct Events<'a> {
    store: &'a Store,
    walk: Walk,
    failed: bool,
    /// The position looked at last.
    pub(crate) looked: u64,
}

impl<'a> Events<'a> {
    pub(crate) fn new(store: &'a Store, query: Query, from_revision: u64) -> Result<Self, ReadError> {
        let walk = Walk::new(store, query, from_revision)?;
        Ok(Self { store, walk, failed: false, looked: 0 })
    }

    fn load(&mut self, position: u64) -> Result<Option<Event>, ReadError> {
        let (store, walk) = (self.store, &mut self.walk);
        let found = store.look(position, |frame, bytes| {
            let takes = walk.takes(frame.header());
            takes.then(|| store.event(frame, bytes, !walk.query.headers_only)).transpose()
        })?;
        Ok(found.flatten())
    }
}

impl Iterator for Events<'_> {
    type Item = Result<Event, ReadError>;

    /// Ends after the first error: what follows a damaged event is read by asking from the position after it.
    fn next(&mut self) -> Option<Self::Item> {
        while !self.failed {
            let loaded = match self.walk.step(self.store) {
                Ok(None) => return None,
                Ok(Some(position)) => {
                    self.looked = position;
                    self.load(position)
                }
                Err(error) => Err(error),
            };
            match loaded {
                Ok(Some(event)) => return Some(Ok(event)),
                Ok(None) => {}
                Err(error) => {
                    self.failed = true;
                    return Some(Err(error));
                }
            }
        }
        None
    }
}
