//! The whole graph in causal order: layers and the longest chain.
//!
//! Invariant: position order is the topological order. Causes that run against it are not followed
//! (see [`crate::Fault::CauseLater`]), so it needs no search, and among the concurrent it goes by position.

use crate::graph::Graph;
use crate::node::Node;

impl Graph {
    /// All events in causal order: no event before one of its causes, the concurrent ones by position.
    pub fn order(&self) -> impl DoubleEndedIterator<Item = Node> + ExactSizeIterator + use<> {
        self.nodes()
    }

    /// `nodes` in causal order, each once.
    pub fn order_of(&self, nodes: impl IntoIterator<Item = Node>) -> Vec<Node> {
        let mut nodes: Vec<Node> = nodes.into_iter().collect();
        nodes.sort_unstable();
        nodes.dedup();
        nodes
    }

    /// The events by layer. An event's layer is the length, in causes, of the longest chain that ends in it;
    /// the events of one layer are pairwise concurrent.
    pub fn layers(&self) -> Layers {
        let count = if self.is_empty() { 0 } else { self.layer(self.deepest()) as usize + 1 };
        let mut ends = vec![0; count];
        for event in 0..self.len() as u32 {
            ends[self.layer(event) as usize] += 1;
        }
        let mut start = 0;
        for end in &mut ends {
            (*end, start) = (start, start + *end);
        }
        let mut nodes = vec![Node(0); self.len()];
        for node in self.nodes() {
            let end = &mut ends[self.layer(node.0) as usize];
            nodes[*end] = node;
            *end += 1;
        }
        Layers { nodes, ends }
    }

    /// A longest chain of causes, from a root on. Empty only when the graph is.
    ///
    /// It ends in the earliest event of the highest layer.
    pub fn chain_longest(&self) -> Vec<Node> {
        if self.is_empty() {
            return Vec::new();
        }
        let mut chain = vec![Node(self.deepest())];
        while let Some(cause) = chain.last().and_then(|node| self.main_cause(node.0)) {
            chain.push(Node(cause));
        }
        chain.reverse();
        chain
    }
}

/// The events of a graph by layer. From [`Graph::layers`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layers {
    nodes: Vec<Node>,
    ends: Vec<usize>,
}

impl Layers {
    /// Whether there is no layer.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Each layer's events, in position order, from the roots on.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[Node]> {
        (0..self.ends.len()).map(|layer| self.layer(layer))
    }

    /// The events of one layer, in position order; empty when there is no such layer.
    pub fn layer(&self, layer: usize) -> &[Node] {
        let start = if layer == 0 { 0 } else { self.ends.get(layer - 1).copied().unwrap_or(0) };
        self.ends.get(layer).map_or(&[], |&end| &self.nodes[start..end])
    }

    /// How many layers there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }
}
