//! The one interface that every adapter is measured through.
//!
//! Invariant: a payload is shown to the visitor as the adapter has it: opened, checked as the adapter checks it, and not copied for the
//! sake of this interface.

use std::ops::Range;
use std::path::Path;

use crate::Outcome;
use crate::request::{Durability, Keys, Request};

/// Names one stored event, as its append returned it.
pub(crate) type EventRef = u128;

/// Sees one payload.
pub(crate) type Visit<'a> = &'a mut dyn FnMut(&[u8]);

/// One event that is to be appended: the number of its entity, and its payload.
pub(crate) type Item<'a> = (u64, &'a [u8]);

/// How a log is opened.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options<'a> {
    pub(crate) dir: &'a Path,
    pub(crate) durability: Durability,
    pub(crate) keys: Keys,
    /// Entities with a counter each, where the peer leaves counting to its caller.
    pub(crate) entities: u64,
    /// Payload bytes that will be appended, for floors that write their blocks before.
    pub(crate) room: u64,
}

impl<'a> Options<'a> {
    /// What a request says of opening.
    pub(crate) fn new(request: &'a Request) -> Options<'a> {
        let room = request.events * (request.payload as u64 + 64);
        let Request { durability, keys, entities, .. } = *request;
        Options { dir: &request.dir, durability, keys, entities, room }
    }
}

/// A log of events under measurement.
pub(crate) trait EventLog: Send + Sync {
    /// Makes ready what a caller would have at hand: the names of the entities it is about to use.
    fn prepare(&mut self, _entities: Range<u64>) {}

    /// Appends one event; returns when the durability is reached.
    fn append(&self, item: Item<'_>) -> Outcome<EventRef>;

    /// Appends all events, as one unit where the log can; returns when the durability is reached. Adds the reference of each event.
    fn append_batch(&self, items: &[Item<'_>], events: &mut Vec<EventRef>) -> Outcome;

    /// Makes everything durable that was appended.
    fn sync(&self) -> Outcome;

    /// Shows one event's payload.
    fn get(&self, event: EventRef, visit: Visit<'_>) -> Outcome;

    /// Shows every event's payload in the log's own order; returns how many there are.
    fn replay(&self, visit: Visit<'_>) -> Outcome<u64>;

    /// Shows every payload of one entity; returns how many there are.
    fn stream(&self, _entity: u64, _visit: Visit<'_>) -> Outcome<u64> {
        Err("this log has no streams".into())
    }

    /// Checks everything that can be checked; returns how many events there are.
    fn verify(&self) -> Outcome<u64> {
        Err("this log has no verification".into())
    }

    /// Destroys the keys of these entities in one call.
    fn shred(&self, _entities: &[u64]) -> Outcome {
        Err("this log has no shred".into())
    }

    /// Closes it cleanly.
    fn close(self: Box<Self>) -> Outcome;
}
