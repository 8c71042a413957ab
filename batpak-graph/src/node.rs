//! The number of an event in a graph, and the view of an event by its number.
//!
//! Invariant: numbers are dense, from zero, in position order; a later event never has a smaller number than
//! one of the causes that are followed.

use batpak_format::{EventId, EventKind};

use crate::graph::Graph;

/// The number of an event in one [`Graph`].
///
/// It stays valid while the graph grows. Numbers compare as positions do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Node(pub(crate) u32);

impl Node {
    /// The number: how many events of the graph come before this one.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// What the graph knows about one event.
#[derive(Debug, Clone, Copy)]
pub struct Event<'g> {
    pub(crate) graph: &'g Graph,
    pub(crate) node: Node,
}

impl<'g> Event<'g> {
    /// The causes that no search follows, with the reason.
    pub fn causes_unfollowed(&self) -> impl Iterator<Item = CauseUnfollowed> + use<'g> {
        self.graph.causes_unfollowed(self.node)
    }

    /// The correlation id, if the event carries one.
    pub fn correlation(&self) -> Option<EventId> {
        self.graph.correlation(self.node)
    }

    /// The entity of the event's coordinate, as the source gave it.
    pub fn entity(&self) -> &'g str {
        self.graph.coordinates.entity(self.graph.coordinate_at.at(self.node.0))
    }

    /// The event's id.
    pub fn id(&self) -> EventId {
        self.graph.ids.at(self.node.0)
    }

    /// The event's kind.
    pub fn kind(&self) -> EventKind {
        self.graph.kinds.at(self.node.0)
    }

    /// The layer: the length, in causes, of the longest chain that ends here. Zero for a root.
    pub fn layer(&self) -> u32 {
        self.graph.layer(self.node.0)
    }

    /// The event's number.
    pub fn node(&self) -> Node {
        self.node
    }

    /// The event's position in the log.
    pub fn position(&self) -> u64 {
        self.graph.positions.at(self.node.0)
    }

    /// The scope of the event's coordinate, as the source gave it.
    pub fn scope(&self) -> &'g str {
        self.graph.coordinates.scope(self.graph.coordinate_at.at(self.node.0))
    }
}

/// A cause that is named by an event and that no search follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CauseUnfollowed {
    /// The id that the event names.
    pub id: EventId,
    /// Why it is not followed.
    pub reason: Unfollowed,
}

/// Why a cause is not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Unfollowed {
    /// It is marked external: it was not looked up.
    External,
    /// It is the event itself.
    Itself,
    /// It is in the graph at a later position than the event.
    Later,
    /// It is not in the graph.
    Unknown,
}
