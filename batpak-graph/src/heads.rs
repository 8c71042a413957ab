//! Where the graph begins and where it ends.
//!
//! Invariant: only causes that are followed count; an event whose causes are all external is a root.

use crate::graph::Graph;
use crate::node::Node;

impl Graph {
    /// The events that no event of the graph names as a cause, in position order.
    pub fn heads(&self) -> impl DoubleEndedIterator<Item = Node> {
        self.nodes().filter(|node| !self.has_effect(node.0))
    }

    /// The events without a cause in the graph, in position order.
    pub fn roots(&self) -> impl DoubleEndedIterator<Item = Node> {
        self.nodes().filter(|node| self.causes_of(node.0).is_empty())
    }
}
