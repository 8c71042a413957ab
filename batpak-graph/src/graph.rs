//! The graph itself: events by number, their causes, and the events they caused.
//!
//! Invariant: every edge that is followed leads from an event to one of a smaller number. A cause that is
//! unknown, external, later or the event itself is kept beside the graph and never followed, so each search
//! ends, whatever the source said.

use batpak_format::{EventId, EventKind};

use crate::column::Column;
use crate::error::GraphError;
use crate::index::{Hashing, Index};
use crate::landmark::{Label, Landmarks};
use crate::names::{Coordinates, Correlations};
use crate::node::{CauseUnfollowed, Event, Node, Unfollowed};
use crate::positions::Positions;

/// The most events of one graph.
pub const EVENTS_MAX: usize = 1 << 31;
/// The most causes of one graph that are followed.
pub const EDGES_MAX: usize = u32::MAX as usize;

/// Stands for no event, no edge and no correlation.
pub(crate) const NONE: u32 = u32::MAX;

/// The causal graph of a log, held in memory.
///
/// Costs at most 64 bytes an event and 13 a cause that is followed ([`Graph::memory_bytes`] counts them),
/// with names and correlation ids stored once each on top, 25 bytes for a cause that is not followed, and up to
/// 16 bytes each time that 2^32 positions or more are passed over.
#[derive(Debug, Clone)]
pub struct Graph {
    pub(crate) ids: Column<EventId>,
    pub(crate) positions: Positions,
    pub(crate) kinds: Column<EventKind>,
    pub(crate) coordinate_at: Column<u32>,
    pub(crate) correlation_at: Column<Correlated>,
    /// One row more than there are events: the last one says where the next event's causes start.
    pub(crate) rows: Column<Row>,
    /// The cause of each edge; the edges of an event are consecutive.
    pub(crate) causes: Column<u32>,
    pub(crate) effects: Column<Effect>,
    /// Sorted by event, because events only arrive in order.
    pub(crate) unfollowed: Column<Kept>,
    pub(crate) coordinates: Coordinates,
    pub(crate) correlations: Correlations,
    pub(crate) index: Index,
    pub(crate) landmarks: Landmarks,
    pub(crate) hashing: Hashing,
    pub(crate) next_position: u64,
    /// The first event of the highest layer.
    pub(crate) deepest: u32,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    pub(crate) causes_start: u32,
    pub(crate) layer: u32,
    /// The last edge that names this event as a cause; that one leads on to the first, as a ring.
    pub(crate) effects_last: u32,
    /// An event further up the main chain (see [`crate::chain`]); a root leads to itself.
    pub(crate) jump: u32,
    pub(crate) label: Label,
}

impl Row {
    /// The row of an event that is yet to come.
    pub(crate) fn next(causes_start: u32) -> Row {
        Row { causes_start, layer: 0, effects_last: NONE, jump: NONE, label: Label::UNKNOWN }
    }
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Correlated {
    pub(crate) correlation: u32,
    /// The next event of the same correlation; the last one leads to the first.
    pub(crate) next: u32,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Effect {
    pub(crate) event: u32,
    /// The next edge with the same cause; the last one leads to the first.
    pub(crate) next: u32,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Kept {
    pub(crate) id: EventId,
    pub(crate) event: u32,
    pub(crate) external: bool,
}

impl Default for Graph {
    fn default() -> Graph {
        Graph::new()
    }
}

impl Graph {
    /// Makes a graph without events.
    pub fn new() -> Graph {
        let mut rows = Column::new();
        rows.push(Row::next(0));
        Graph {
            ids: Column::new(),
            positions: Positions::new(),
            kinds: Column::new(),
            coordinate_at: Column::new(),
            correlation_at: Column::new(),
            rows,
            causes: Column::new(),
            effects: Column::new(),
            unfollowed: Column::new(),
            coordinates: Coordinates::new(),
            correlations: Correlations::new(),
            index: Index::new(),
            landmarks: Landmarks::new(),
            hashing: Hashing::new(),
            next_position: 0,
            deepest: 0,
        }
    }
}

impl Graph {
    /// How many causes are followed.
    pub fn edges_len(&self) -> usize {
        self.causes.len()
    }

    /// The view of the event `node`.
    ///
    /// # Panics
    ///
    /// When `node` comes from another graph and is not below this one's length; so do all methods that take a
    /// [`Node`].
    pub fn event(&self, node: Node) -> Event<'_> {
        assert!(node.index() < self.len(), "the node is of another graph");
        Event { graph: self, node }
    }

    /// Whether there is no event.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many events there are.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Heap bytes held by the graph, room not yet used included.
    pub fn memory_bytes(&self) -> usize {
        let events = self.ids.memory_bytes()
            + self.positions.memory_bytes()
            + self.kinds.memory_bytes()
            + self.coordinate_at.memory_bytes()
            + self.correlation_at.memory_bytes()
            + self.rows.memory_bytes()
            + self.index.memory_bytes()
            + self.landmarks.memory_bytes();
        let edges = self.causes.memory_bytes() + self.effects.memory_bytes();
        let names = self.coordinates.memory_bytes() + self.correlations.memory_bytes();
        events + edges + names + self.unfollowed.memory_bytes()
    }

    /// The position from which the graph follows its source.
    pub fn next_position(&self) -> u64 {
        self.next_position
    }

    /// The event of this id.
    ///
    /// # Errors
    ///
    /// [`GraphError::UnknownEvent`] when the graph has none.
    pub fn node(&self, id: &EventId) -> Result<Node, GraphError> {
        self.find(id).map(Node).ok_or(GraphError::UnknownEvent { id: *id })
    }

    /// The event at this position, if the graph has one there.
    pub fn node_at(&self, position: u64) -> Option<Node> {
        let event = self.positions.below(position);
        ((event as usize) < self.len() && self.positions.at(event) == position).then_some(Node(event))
    }

    /// All events, in position order.
    pub fn nodes(&self) -> impl DoubleEndedIterator<Item = Node> + ExactSizeIterator + use<> {
        (0..self.ids.len() as u32).map(Node)
    }

    /// The causes of `node` that are followed, in the order in which it names them.
    pub fn causes(&self, node: Node) -> impl DoubleEndedIterator<Item = Node> + ExactSizeIterator {
        self.causes_of(node.0).iter().map(|&cause| Node(cause))
    }

    /// The events that name `node` as a cause, in position order.
    pub fn caused_by(&self, node: Node) -> impl Iterator<Item = Node> {
        self.effects_of(node.0).map(Node)
    }

    /// The causes of `node` that are not followed, with the reason, in the order in which it names them.
    pub fn causes_unfollowed(&self, node: Node) -> impl Iterator<Item = CauseUnfollowed> + use<'_> {
        let all = self.unfollowed.as_slice();
        let start = all.partition_point(|kept| kept.event < node.0);
        let own = all[start..].iter().take_while(move |kept| kept.event == node.0);
        own.map(|kept| CauseUnfollowed { id: kept.id, reason: self.reason(kept) })
    }

    /// The events that carry this correlation id, in causal order (that of their positions).
    pub fn correlated(&self, correlation: &EventId) -> impl Iterator<Item = Node> {
        let found = self.correlations.find(correlation, &self.hashing);
        let last = found.map(|number| self.correlations.row(number).last);
        let mut at = last.map(|last| self.correlation_at.at(last).next);
        std::iter::from_fn(move || {
            let event = at?;
            at = if Some(event) == last { None } else { Some(self.correlation_at.at(event).next) };
            Some(Node(event))
        })
    }
}

impl Graph {
    pub(crate) fn causes_of(&self, event: u32) -> &[u32] {
        let rows = &self.rows.as_slice()[event as usize..event as usize + 2];
        &self.causes.as_slice()[rows[0].causes_start as usize..rows[1].causes_start as usize]
    }

    pub(crate) fn correlation(&self, node: Node) -> Option<EventId> {
        let correlation = self.correlation_at.at(node.0).correlation;
        (correlation != NONE).then(|| self.correlations.row(correlation).id)
    }

    pub(crate) fn deepest(&self) -> u32 {
        self.deepest
    }

    pub(crate) fn effects_of(&self, event: u32) -> Effects<'_> {
        let last = self.rows.at(event).effects_last;
        let at = if last == NONE { NONE } else { self.effects.at(last).next };
        Effects { effects: self.effects.as_slice(), at, last }
    }

    pub(crate) fn entities_len(&self) -> usize {
        self.coordinates.entities_len()
    }

    pub(crate) fn entity_number(&self, event: u32) -> u32 {
        self.coordinates.entity_number(self.coordinate_at.at(event))
    }

    pub(crate) fn find(&self, id: &EventId) -> Option<u32> {
        self.index.find(self.hashing.id(id.as_bytes()), |event| self.ids.at(event) == *id)
    }

    pub(crate) fn has_effect(&self, event: u32) -> bool {
        self.rows.at(event).effects_last != NONE
    }

    pub(crate) fn label(&self, event: u32) -> Label {
        self.rows.at(event).label
    }

    pub(crate) fn layer(&self, event: u32) -> u32 {
        self.rows.at(event).layer
    }

    /// The events with causes that are not followed, once for each such cause, in position order.
    pub(crate) fn unfollowed(&self) -> impl Iterator<Item = (u32, CauseUnfollowed)> {
        let each = self.unfollowed.as_slice().iter();
        each.map(|kept| (kept.event, CauseUnfollowed { id: kept.id, reason: self.reason(kept) }))
    }

    fn reason(&self, kept: &Kept) -> Unfollowed {
        if kept.external {
            return Unfollowed::External;
        }
        match self.find(&kept.id) {
            Some(found) if found == kept.event => Unfollowed::Itself,
            Some(_) => Unfollowed::Later,
            None => Unfollowed::Unknown,
        }
    }
}

/// The events that name one event as a cause, in position order.
#[derive(Debug, Clone)]
pub(crate) struct Effects<'g> {
    effects: &'g [Effect],
    at: u32,
    last: u32,
}

impl Iterator for Effects<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        if self.at == NONE {
            return None;
        }
        let effect = self.effects[self.at as usize];
        self.at = if self.at == self.last { NONE } else { effect.next };
        Some(effect.event)
    }
}
