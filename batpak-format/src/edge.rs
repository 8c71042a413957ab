//! The trait through which the causal graph reads a log.
//!
//! Invariant: a source gives edges in position order and leaves the store's own records out; it needs no keys.

use std::ops::ControlFlow;

use crate::causes::Causes;
use crate::id::EventId;
use crate::kind::EventKind;

/// What the causal graph needs of one event.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "sources outside of this crate make it")]
pub struct EventEdges<'a> {
    /// The event's place in the store-wide order.
    pub position: u64,
    /// The event's id.
    pub id: EventId,
    /// What the event is.
    pub kind: EventKind,
    /// The entity it belongs to.
    pub entity: &'a str,
    /// The scope it belongs to.
    pub scope: &'a str,
    /// The event that started what this one belongs to.
    pub correlation: Option<EventId>,
    /// The events it follows from.
    pub causes: &'a Causes,
}

/// Gives the edges of a log, from a position on.
pub trait EdgeSource {
    /// Why a source could not go on.
    type Error: std::error::Error;

    /// Visits events in position order, beginning at position `from`, until the log ends or `visit` breaks.
    ///
    /// Returns the position to go on from: past the last event visited or left out.
    ///
    /// # Errors
    /// What the source meets.
    fn edges(&self, from: u64, visit: &mut dyn FnMut(EventEdges<'_>) -> ControlFlow<()>) -> Result<u64, Self::Error>;
}
