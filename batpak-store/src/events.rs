//! Which events a query asks for, one after the other, each as a value of its own.
//!
//! Invariants: one entity's events are found through the index: no others are read. So are those of a scope, a kind or a tag that
//! few events have. All others that go forwards are found by where the one before ends, and the index is asked once a rolled segment. What is read, and what is refused, is what a get reads and refuses.

use std::ops::Range;

use batpak_format::{Frame, Header};
use bytes::Bytes;

use crate::{Event, Query, ReadError, Store, index::Address, picks::Picks};

/// The positions that a query leads to, in its order, whatever stands there.
#[derive(Debug)]
pub(crate) struct Walk {
    pub(crate) query: Query,
    /// What is still to be walked: revisions of an entity, or positions.
    pub(crate) next: u64,
    pub(crate) end: u64,
    /// How many events may still be returned.
    pub(crate) left: u64,
    /// Those of the positions that the index picks; none when each is looked at.
    pub(crate) picks: Option<Picks>,
}

impl Walk {
    pub(crate) fn new(store: &Store, query: Query, from_revision: u64) -> Result<Self, ReadError> {
        let visible = store.view().visible();
        let to = query.to.unwrap_or(visible).min(visible);
        let Range { start: from, end: to } = store.view().within_times(query.from..to, query.since, query.until);
        let (next, end) = match &query.entity {
            Some(entity) => {
                let below = |position| store.view().revisions_below(entity, position);
                (below(from)?.max(from_revision), below(to)?)
            }
            None => (from, to),
        };
        let left = query.limit.unwrap_or(u64::MAX);
        let mut range = next..end;
        let picks = Picks::of(store.view(), &query, &mut range);
        Ok(Self { query, next: range.start, end: range.end, left, picks })
    }

    /// Whether it goes from event to event otherwise than they stand.
    pub(crate) fn is_scattered(&self) -> bool {
        self.query.entity.is_some() || self.query.reverse || self.picks.is_some()
    }

    /// The next place to look at, as a position.
    pub(crate) fn step(&mut self, store: &Store) -> Result<Option<u64>, ReadError> {
        if self.left == 0 {
            return Ok(None);
        }
        if let Some(picks) = &mut self.picks {
            let mut range = self.next..self.end;
            let at = picks.step(store.view(), &mut range, self.query.reverse);
            (self.next, self.end) = (range.start, range.end);
            return Ok(at);
        }
        if self.next >= self.end {
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
    /// Where the event that comes next stands, if it does behind the last one.
    behind: Option<Behind>,
    /// The position looked at last.
    pub(crate) looked: u64,
}

/// A place in the map of a rolled segment.
#[derive(Debug)]
struct Behind {
    map: Bytes,
    address: Address,
    position: u64,
}

impl Behind {
    /// The bytes from there on; none at the end of the segment, and for another position.
    fn bytes(&self, position: u64) -> Option<&[u8]> {
        let offset = usize::try_from(self.address.offset).ok()?;
        self.map.get(offset..).filter(|bytes| self.position == position && !bytes.is_empty())
    }
}

impl<'a> Events<'a> {
    pub(crate) fn new(store: &'a Store, query: Query, from_revision: u64) -> Result<Self, ReadError> {
        let walk = Walk::new(store, query, from_revision)?;
        Ok(Self { store, walk, failed: false, behind: None, looked: 0 })
    }

    fn load(&mut self, position: u64) -> Result<Option<Event>, ReadError> {
        let (store, walk) = (self.store, &mut self.walk);
        store.refuse_inside_gate()?;
        let mut take = |frame: &Frame<'_>, bytes: &Bytes| {
            let takes = walk.takes(frame.header());
            takes.then(|| store.event(frame, bytes, !walk.query.headers_only)).transpose()
        };
        if let Some(behind) = &mut self.behind
            && let Some(bytes) = behind.bytes(position)
        {
            let frame = store.decode(position, behind.address, bytes)?;
            let taken = take(&frame, &behind.map)?;
            let len = frame.len() as u64;
            behind.address.offset += len;
            behind.position += 1;
            return Ok(taken);
        }
        let Some(stand) = store.view().stand(position)? else { return Ok(None) };
        let (taken, len) = store.look_at(stand, |frame, bytes| Ok((take(frame, bytes)?, frame.len())))?;
        let map = if self.walk.is_scattered() { None } else { store.map_of(stand)? };
        let address = Address { offset: stand.address.offset + len as u64, ..stand.address };
        self.behind = map.map(|map| Behind { map, address, position: position + 1 });
        Ok(taken)
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
