//! Searches from one event: its past and its future.
//!
//! Invariant: an iterator holds one bit for each event near those it has met (and, with limits, the events
//! still to be searched); it never holds the graph, and it never recurses.

use std::collections::VecDeque;
use std::iter::FusedIterator;

use crate::graph::{Effects, Graph};
use crate::marks::Marks;
use crate::node::Node;

impl Graph {
    /// All events in the past of `node`, latest first. `node` is not among them.
    pub fn ancestors(&self, node: Node) -> Ancestors<'_> {
        self.ancestors_of(&[node])
    }

    /// All events in the past of any of `nodes`, latest first. One of `nodes` is among them only if it is in
    /// the past of another.
    pub fn ancestors_of(&self, nodes: &[Node]) -> Ancestors<'_> {
        let end = nodes.iter().map(|node| node.0 + 1).max().unwrap_or(0);
        let mut marks = Marks::below(end);
        for node in nodes {
            for &cause in self.causes_of(node.0) {
                marks.insert(cause);
            }
        }
        Ancestors { graph: self, marks, end }
    }

    /// All events in the future of `node`, in position order. `node` is not among them.
    pub fn descendants(&self, node: Node) -> Descendants<'_> {
        let mut marks = Marks::below(self.len() as u32);
        let mut waiting = 0;
        for effect in self.effects_of(node.0) {
            waiting += usize::from(marks.insert(effect));
        }
        Descendants { graph: self, marks, from: node.0 + 1, waiting }
    }

    /// The past of `node` within `limits`, nearest first, each event with its distance.
    pub fn past(&self, node: Node, limits: Limits) -> Reach<'_> {
        Reach::new(self, node, limits, Direction::Past)
    }

    /// The future of `node` within `limits`, nearest first, each event with its distance.
    pub fn future(&self, node: Node, limits: Limits) -> Reach<'_> {
        Reach::new(self, node, limits, Direction::Future)
    }
}

/// The past of some events, latest first. From [`Graph::ancestors`].
#[derive(Debug, Clone)]
pub struct Ancestors<'g> {
    graph: &'g Graph,
    marks: Marks,
    end: u32,
}

impl Iterator for Ancestors<'_> {
    type Item = Node;

    fn next(&mut self) -> Option<Node> {
        let found = self.marks.highest_below(self.end);
        self.end = found.unwrap_or(0);
        for &cause in self.graph.causes_of(found?) {
            self.marks.insert(cause);
        }
        found.map(Node)
    }
}

impl FusedIterator for Ancestors<'_> {}

/// The future of an event, in position order. From [`Graph::descendants`].
#[derive(Debug, Clone)]
pub struct Descendants<'g> {
    graph: &'g Graph,
    marks: Marks,
    from: u32,
    /// Marked and not yet given.
    waiting: usize,
}

impl Iterator for Descendants<'_> {
    type Item = Node;

    fn next(&mut self) -> Option<Node> {
        self.waiting = self.waiting.checked_sub(1)?;
        let found = self.marks.lowest_from(self.from)?;
        self.from = found + 1;
        for effect in self.graph.effects_of(found) {
            self.waiting += usize::from(self.marks.insert(effect));
        }
        Some(Node(found))
    }
}

impl FusedIterator for Descendants<'_> {}

/// How far a search goes. The default has no limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The greatest distance, in causes.
    pub depth_max: u32,
    /// The most events given.
    pub events_max: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { depth_max: u32::MAX, events_max: usize::MAX }
    }
}

/// An event met by a search.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reached {
    /// The event.
    pub node: Node,
    /// The length of the shortest chain of causes between it and where the search started. At least 1.
    pub depth: u32,
}

#[derive(Debug, Clone, Copy)]
enum Direction {
    Past,
    Future,
}

/// The past or future of an event within limits, nearest first. From [`Graph::past`] and [`Graph::future`].
#[derive(Debug, Clone)]
pub struct Reach<'g> {
    graph: &'g Graph,
    limits: Limits,
    direction: Direction,
    marks: Marks,
    /// Given, and not yet searched.
    queue: VecDeque<Reached>,
    near: Near<'g>,
    depth: u32,
    given: usize,
    limited: bool,
}

impl<'g> Reach<'g> {
    fn new(graph: &'g Graph, node: Node, limits: Limits, direction: Direction) -> Reach<'g> {
        let mut marks = Marks::below(graph.len() as u32);
        marks.insert(node.0);
        let queue = VecDeque::from([Reached { node, depth: 0 }]);
        let near = Near::Causes(&[]);
        Reach { graph, limits, direction, marks, queue, near, depth: 0, given: 0, limited: false }
    }

    /// Whether the limits have kept back an event. Known once the iterator has ended.
    pub fn is_limited(&self) -> bool {
        self.limited
    }

    fn near(&self, node: Node) -> Near<'g> {
        match self.direction {
            Direction::Past => Near::Causes(self.graph.causes_of(node.0)),
            Direction::Future => Near::Effects(self.graph.effects_of(node.0)),
        }
    }

    /// The next event next to those searched that was not met before.
    fn discover(&mut self) -> Option<u32> {
        loop {
            for found in self.near.by_ref() {
                if !self.marks.contains(found) {
                    return Some(found);
                }
            }
            let Reached { node, depth } = self.queue.pop_front()?;
            (self.near, self.depth) = (self.near(node), depth);
        }
    }
}

impl Iterator for Reach<'_> {
    type Item = Reached;

    fn next(&mut self) -> Option<Reached> {
        if self.limited {
            return None;
        }
        let found = self.discover()?;
        if self.depth >= self.limits.depth_max || self.given >= self.limits.events_max {
            self.limited = true;
            return None;
        }
        self.marks.insert(found);
        self.given += 1;
        let reached = Reached { node: Node(found), depth: self.depth + 1 };
        self.queue.push_back(reached);
        Some(reached)
    }
}

impl FusedIterator for Reach<'_> {}

/// What lies one step away from an event.
#[derive(Debug, Clone)]
enum Near<'g> {
    Causes(&'g [u32]),
    Effects(Effects<'g>),
}

impl Iterator for Near<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        match self {
            Near::Causes(causes) => {
                let (first, rest) = causes.split_first()?;
                *causes = rest;
                Some(*first)
            }
            Near::Effects(effects) => effects.next(),
        }
    }
}
