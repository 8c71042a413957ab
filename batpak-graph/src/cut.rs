//! A causal cut: a set of events that holds every cause of its events.
//!
//! Invariant: a [`Cut`] is closed under causes; no function makes another one.

use crate::error::GraphError;
use crate::graph::Graph;
use crate::marks::Marks;
use crate::node::{Event, Node};

impl Graph {
    /// The cut of all events below `position`: what a reader has seen who has read up to there.
    pub fn cut_at(&self, position: u64) -> Cut<'_> {
        let end = self.positions.below(position);
        let mut cut = Cut::empty(self);
        for event in 0..end {
            cut.insert(event);
        }
        cut
    }

    /// The smallest cut that holds `nodes`: they and their pasts.
    pub fn cut_of(&self, nodes: &[Node]) -> Cut<'_> {
        let mut cut = Cut::empty(self);
        for node in self.ancestors_of(nodes).chain(nodes.iter().copied()) {
            cut.insert(node.0);
        }
        cut
    }

    /// The cut of exactly `nodes`.
    ///
    /// # Errors
    ///
    /// [`GraphError::CutNotClosed`] when a cause of one of them is missing; it names the earliest such event.
    pub fn cut_from(&self, nodes: impl IntoIterator<Item = Node>) -> Result<Cut<'_>, GraphError> {
        let mut cut = Cut::empty(self);
        for node in nodes {
            cut.insert(node.0);
        }
        for event in cut.marks.iter() {
            let causes = self.causes_of(event);
            if let Some(&cause) = causes.iter().find(|&&cause| !cut.marks.contains(cause)) {
                let (event, cause) = (self.ids.at(event), self.ids.at(cause));
                return Err(GraphError::CutNotClosed { event, cause });
            }
        }
        Ok(cut)
    }
}

/// A set of events closed under causes.
#[derive(Debug, Clone)]
pub struct Cut<'g> {
    graph: &'g Graph,
    marks: Marks,
    len: usize,
}

impl<'g> Cut<'g> {
    fn empty(graph: &'g Graph) -> Cut<'g> {
        Cut { graph, marks: Marks::below(graph.len() as u32), len: 0 }
    }

    fn insert(&mut self, event: u32) {
        self.len += usize::from(self.marks.insert(event));
    }

    /// Whether the cut holds `node`.
    pub fn contains(&self, node: Node) -> bool {
        self.marks.contains(node.0)
    }

    /// The frontier: the events of the cut that caused none of its events. It determines the cut
    /// ([`Graph::cut_of`] of it is the same cut).
    pub fn frontier(&self) -> impl Iterator<Item = Node> {
        self.nodes().filter(|node| !self.graph.effects_of(node.0).any(|effect| self.marks.contains(effect)))
    }

    /// Whether the cut holds no event.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The last event of each entity in the cut, in position order: what a reader at the cut takes for the
    /// present state of each entity.
    pub fn latest(&self) -> Vec<Event<'g>> {
        let mut latest = vec![None; self.graph.entities_len()];
        for node in self.nodes() {
            latest[self.graph.entity_number(node.0) as usize] = Some(node);
        }
        let nodes = self.graph.order_of(latest.into_iter().flatten());
        nodes.into_iter().map(|node| self.graph.event(node)).collect()
    }

    /// How many events the cut holds.
    pub fn len(&self) -> usize {
        self.len
    }

    /// The events outside of the cut whose causes are all in it: what a reader at the cut can take next.
    pub fn ready(&self) -> impl Iterator<Item = Node> {
        let outside = self.graph.nodes().filter(|node| !self.contains(*node));
        outside.filter(|node| self.graph.causes(*node).all(|cause| self.contains(cause)))
    }

    /// The events of the cut in causal order: what a reader at the cut sees.
    pub fn nodes(&self) -> impl Iterator<Item = Node> {
        self.marks.iter().map(Node)
    }
}
