//! What a gate sees of the store: the state that its event would join.
//!
//! Invariants: everything that is placed counts, also what is not written yet, and earlier events of the same batch. Only the index and
//! the frames are looked at; a payload is opened by name and counted, and no answer waits for a write.

use std::cell::{Cell, RefCell};

use batpak_format::{EventHeader, EventId, Timestamp};
use bytes::Bytes;

use crate::{Event, NewEvent, Payload, QueryItem, ReadError, Store, index::LogIndex, state::State};

/// See the module.
#[derive(Debug)]
pub struct GateView<'a> {
    store: &'a Store,
    index: &'a LogIndex,
    state: &'a State,
    /// Events of the same batch that stand before the one at hand.
    earlier: &'a [Placed<'a>],
    now: Timestamp,
    opened: Cell<u64>,
    /// The first lookup that failed: whatever the gate says then, nothing is appended.
    failed: RefCell<Option<ReadError>>,
}

/// An event of a batch, placed before another of it as far as the gates are concerned.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Placed<'a> {
    pub(crate) id: EventId,
    pub(crate) event: &'a NewEvent<'a>,
    pub(crate) revision: u64,
}

impl<'a> GateView<'a> {
    pub(crate) fn new(
        store: &'a Store,
        index: &'a LogIndex,
        state: &'a State,
        earlier: &'a [Placed<'a>],
        now: Timestamp,
    ) -> Self {
        Self { store, index, state, earlier, now, opened: Cell::new(0), failed: RefCell::new(None) }
    }

    /// The time that the event gets if it has none of its own, by the store's clock.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// The position that the event would have.
    pub fn position(&self) -> u64 {
        self.state.next_position + self.earlier.len() as u64
    }

    /// The revision of an entity's last event, or none if it has no event.
    pub fn revision(&self, entity: &str) -> Option<u64> {
        let earlier = self.earlier.iter().rev().find(|placed| placed.event.coordinate.entity() == entity);
        match earlier {
            Some(placed) => Some(placed.revision),
            None => self.found(self.index.head(entity)).map(|head| head.revision),
        }
    }

    /// The id of an entity's last event, or none if it has no event.
    pub fn head(&self, entity: &str) -> Option<EventId> {
        self.at_revision(entity, self.revision(entity)?)
    }

    /// The id of an entity's event by its revision.
    pub fn at_revision(&self, entity: &str, revision: u64) -> Option<EventId> {
        let same = |placed: &&Placed<'_>| placed.event.coordinate.entity() == entity && placed.revision == revision;
        if let Some(placed) = self.earlier.iter().find(same) {
            return Some(placed.id);
        }
        let position = self.found(self.index.position_at(entity, revision))?;
        self.found(self.index.id_at(position))
    }

    /// Whether an event with this id is in the log, or stands earlier in the batch.
    pub fn contains(&self, id: EventId) -> bool {
        self.earlier(id).is_some() || self.found(self.index.position_of(&id)).is_some()
    }

    /// Whether an event matches that stands after a position, or anywhere if none is given; earlier events of the batch count.
    pub fn exists(&self, item: &QueryItem, after: Option<u64>) -> bool {
        self.earlier.iter().any(|placed| item.takes(placed.event))
            || self.found(self.index.newest_match(item, after)).is_some()
    }

    /// What stands in clear of an event; none when it is not in the log. Of earlier events of the batch nothing but what
    /// [`GateView::revision`], [`GateView::contains`], [`GateView::exists`] and [`GateView::open`] tell is known yet.
    ///
    /// # Errors
    /// [`ReadError`] when its frame cannot be read.
    pub fn header(&self, id: EventId) -> Result<Option<EventHeader>, ReadError> {
        Ok(self.event(id, false)?.map(|event| event.header))
    }

    /// The time of an event, earlier ones of the batch included; none when it is not in the log.
    ///
    /// # Errors
    /// [`ReadError`] when its frame cannot be read.
    pub fn time(&self, id: EventId) -> Result<Option<Timestamp>, ReadError> {
        match self.earlier(id) {
            Some(placed) => Ok(Some(placed.event.time.unwrap_or(self.now))),
            None => Ok(self.header(id)?.map(|header| header.time)),
        }
    }

    /// Opens one payload; none when the event is not in the log. [`GateStats`](crate::GateStats) counts it.
    ///
    /// # Errors
    /// [`ReadError`] when its frame cannot be read.
    pub fn open(&self, id: EventId) -> Result<Option<Payload>, ReadError> {
        self.opened.set(self.opened.get() + 1);
        if let Some(placed) = self.earlier(id) {
            return Ok(Some(Payload::Open(Bytes::copy_from_slice(placed.event.payload))));
        }
        Ok(self.event(id, true)?.map(|event| event.payload))
    }

    /// What a lookup found; nothing when it failed, and then the append fails too.
    fn found<T>(&self, found: Result<Option<T>, ReadError>) -> Option<T> {
        found.unwrap_or_else(|why| {
            self.failed.borrow_mut().get_or_insert(why);
            None
        })
    }

    /// Why the gate's decision counts for nothing.
    pub(crate) fn failure(&self) -> Option<ReadError> {
        self.failed.borrow_mut().take()
    }

    pub(crate) fn opened(&self) -> u64 {
        self.opened.get()
    }

    fn earlier(&self, id: EventId) -> Option<&Placed<'a>> {
        self.earlier.iter().find(|placed| placed.id == id)
    }

    fn event(&self, id: EventId, open: bool) -> Result<Option<Event>, ReadError> {
        let Some(position) = self.index.position_of(&id)? else { return Ok(None) };
        let Some(address) = self.index.address(position)? else { return Ok(None) };
        let bytes = match self.state.unwritten(position, address) {
            Some(bytes) => bytes,
            None => self.store.written_frame(address, || self.active_segment())?,
        };
        let frame = self.store.decode(position, address, &bytes)?;
        self.store.event(&frame, &bytes, open).map(Some)
    }

    /// The segment of the last written event: it is not mapped yet.
    fn active_segment(&self) -> u64 {
        self.index.segment_of(self.state.written)
    }
}
