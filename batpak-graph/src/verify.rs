//! Whether the causes that the events name can be true.
//!
//! Invariant: a fault names its event. Faults are only found, never followed: the searches of a graph with
//! faults are those of the graph without the causes at fault.

use batpak_format::EventId;
use thiserror::Error;

use crate::cycle;
use crate::graph::Graph;
use crate::node::{Node, Unfollowed};

/// What is wrong with the causes of an event.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Fault {
    /// A cause stands at a later position than its effect.
    #[error(
        "event {event} at position {position} names {cause} at position {cause_position} as a cause, which is later"
    )]
    CauseLater {
        /// The event.
        event: EventId,
        /// Its position.
        position: u64,
        /// The cause it names.
        cause: EventId,
        /// Where that cause is.
        cause_position: u64,
    },
    /// Events cause each other in a circle.
    #[error("event {event} at position {position} follows from itself through {} other events", .circle.len() - 1)]
    Cycle {
        /// The earliest event of the circle.
        event: EventId,
        /// Its position.
        position: u64,
        /// The circle from that event on: each names the next as a cause, the last one names the first.
        circle: Box<[EventId]>,
    },
    /// An event names itself as a cause.
    #[error("event {event} at position {position} names itself as a cause")]
    SelfCause {
        /// The event.
        event: EventId,
        /// Its position.
        position: u64,
    },
    /// A cause is not in the graph, and not marked external.
    #[error("event {event} at position {position} names the unknown event {cause} as a cause")]
    UnknownCause {
        /// The event.
        event: EventId,
        /// Its position.
        position: u64,
        /// The cause it names.
        cause: EventId,
    },
}

impl Graph {
    /// Checks that every cause is known, earlier than its effect, or marked external.
    ///
    /// # Errors
    ///
    /// The first of [`Graph::faults`].
    pub fn verify(&self) -> Result<(), Fault> {
        self.faults().next().map_or(Ok(()), Err)
    }

    /// All faults: first those of single causes, by the position of the event that names the cause; then, for
    /// each group of events that cause each other, the shortest circle through the earliest of them.
    ///
    /// A circle always shows as a [`Fault::CauseLater`] too. Circles are looked for only once the faults of
    /// single causes have been read, and only if one of them was a later cause.
    pub fn faults(&self) -> impl Iterator<Item = Fault> {
        let single = self.unfollowed().filter_map(|(event, cause)| {
            let (id, position) = (self.ids.at(event), self.positions.at(event));
            Some(match cause.reason {
                Unfollowed::External => return None,
                Unfollowed::Itself => Fault::SelfCause { event: id, position },
                Unfollowed::Later => Fault::CauseLater {
                    event: id,
                    position,
                    cause: cause.id,
                    cause_position: self.find(&cause.id).map_or(0, |found| self.positions.at(found)),
                },
                Unfollowed::Unknown => Fault::UnknownCause { event: id, position, cause: cause.id },
            })
        });
        let circles = std::iter::once_with(|| cycle::circles(self)).flatten();
        single.chain(circles.map(|circle| self.cycle(&circle)))
    }

    fn cycle(&self, circle: &[Node]) -> Fault {
        let first = circle[0].0;
        Fault::Cycle {
            event: self.ids.at(first),
            position: self.positions.at(first),
            circle: circle.iter().map(|node| self.ids.at(node.0)).collect(),
        }
    }
}
