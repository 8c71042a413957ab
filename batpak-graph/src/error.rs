//! What can go wrong with a graph: each error names the event it is about.
//!
//! Invariant: an event that was refused has changed nothing in the graph.

use batpak_format::EventId;
use thiserror::Error;

/// Why an event was not taken in, not found, or not made part of a cut.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum GraphError {
    /// A set of events is no cut: it holds an event and lacks a cause of it.
    #[error("event {event} is in the cut and its cause {cause} is not")]
    CutNotClosed {
        /// The event in the set.
        event: EventId,
        /// Its cause, which is in the graph and not in the set.
        cause: EventId,
    },
    /// The source gave an id a second time.
    #[error("event {id} at position {position} was already given at position {first}")]
    DuplicateId {
        /// The id.
        id: EventId,
        /// Where it was given again.
        position: u64,
        /// Where it was given first.
        first: u64,
    },
    /// The graph holds as many events or causes as it can number.
    #[error("event {id} is one more than the graph can number")]
    Full {
        /// The first event that did not fit.
        id: EventId,
    },
    /// The source did not give its events in position order.
    #[error("event {id} at position {position} was given after position {previous}")]
    PositionNotRising {
        /// The event.
        id: EventId,
        /// Its position.
        position: u64,
        /// The position given just before it.
        previous: u64,
    },
    /// No event of the graph has this id.
    #[error("event {id} is not in the graph")]
    UnknownEvent {
        /// The id asked for.
        id: EventId,
    },
}

/// Why a graph could not follow its source to the end.
///
/// Everything before the event that failed has been taken in.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FollowError<E> {
    /// An event of the source was refused.
    #[error(transparent)]
    Event(GraphError),
    /// The source itself failed.
    #[error("the edge source failed")]
    Source(#[source] E),
}
