//! Chains of causes between two events.
//!
//! Invariant: a search for paths only enters events that lie on one, so each step leads to an answer; the
//! path under construction is the only stack.

use std::collections::VecDeque;
use std::iter::FusedIterator;

use crate::graph::Graph;
use crate::marks::{Marks, Values};
use crate::node::Node;

impl Graph {
    /// The events on any chain of causes from `earlier` to `later`, both included, in position order.
    ///
    /// Empty when `later` does not follow from `earlier` and is not the same event.
    pub fn between(&self, earlier: Node, later: Node) -> impl Iterator<Item = Node> + use<> {
        let (marks, _) = self.distances(earlier.0, later.0);
        let mut from = Some(0);
        std::iter::from_fn(move || {
            let found = marks.lowest_from(from?);
            from = found.map(|found| found + 1);
            found.map(Node)
        })
    }

    /// A shortest chain of causes from `earlier` to `later`, both included, or `None` when there is none.
    ///
    /// Of several the one is taken whose events, from `later` on, are named first by their effects.
    pub fn path_shortest(&self, earlier: Node, later: Node) -> Option<Vec<Node>> {
        let (low, high) = (earlier.0, later.0);
        if low > high {
            return None;
        }
        // The event after each one on the way to `high`, plus one: zero is an event not met.
        let mut after = Values::below(high + 1);
        let mut queue = VecDeque::from([high]);
        after.set(high, high + 1);
        while let Some(event) = queue.pop_front() {
            if event == low {
                return Some(trail(&after, low, high));
            }
            for &cause in self.causes_of(event) {
                let inside = cause == low || cause > low && self.layer(cause) > self.layer(low);
                if inside && after.value(cause) == 0 {
                    after.set(cause, event + 1);
                    queue.push_back(cause);
                }
            }
        }
        None
    }

    /// All chains of causes from `earlier` to `later` of at most `causes_max` causes, each with both ends.
    ///
    /// Their number can grow exponentially with their length: bound it with `causes_max`, `take`, or both.
    pub fn paths(&self, earlier: Node, later: Node, causes_max: u32) -> Paths<'_> {
        let (marks, distances) = self.distances(earlier.0, later.0);
        let starts = marks.contains(later.0) && distances.value(later.0) <= causes_max;
        let steps = if starts { vec![Step { event: later.0, cause: 0 }] } else { Vec::new() };
        Paths { graph: self, low: earlier.0, marks, distances, causes_max, steps }
    }

    /// The events on any chain from `low` to `high`, each with its least distance from `low`.
    fn distances(&self, low: u32, high: u32) -> (Marks, Values) {
        let mut found = Marks::below(high + 1);
        let mut distances = Values::below(high + 1);
        if low > high {
            return (found, distances);
        }
        let past = self.past_down_to(low, high);
        if past.contains(low) {
            found.insert(low);
        }
        for event in past.iter().filter(|&event| event > low) {
            let reached = self.causes_of(event).iter().filter(|&&cause| found.contains(cause));
            if let Some(least) = reached.map(|&cause| distances.value(cause)).min() {
                found.insert(event);
                distances.set(event, least + 1);
            }
        }
        (found, distances)
    }

    /// `high` and its past, without what cannot follow from `low`.
    fn past_down_to(&self, low: u32, high: u32) -> Marks {
        let mut past = Marks::below(high + 1);
        past.insert(high);
        let mut next = Some(high);
        while let Some(event) = next {
            for &cause in self.causes_of(event) {
                if cause == low || cause > low && self.layer(cause) > self.layer(low) {
                    past.insert(cause);
                }
            }
            next = past.highest_below(event).filter(|&event| event > low);
        }
        past
    }
}

fn trail(after: &Values, low: u32, high: u32) -> Vec<Node> {
    let mut path = vec![Node(low)];
    let mut event = low;
    while event != high {
        event = after.value(event) - 1;
        path.push(Node(event));
    }
    path
}

#[derive(Debug, Clone, Copy)]
struct Step {
    event: u32,
    /// The next cause of `event` to try.
    cause: usize,
}

/// All chains between two events up to a length. From [`Graph::paths`].
#[derive(Debug, Clone)]
pub struct Paths<'g> {
    graph: &'g Graph,
    low: u32,
    marks: Marks,
    distances: Values,
    causes_max: u32,
    /// The path under construction, from the later event on.
    steps: Vec<Step>,
}

impl Iterator for Paths<'_> {
    type Item = Vec<Node>;

    fn next(&mut self) -> Option<Vec<Node>> {
        while let Some(step) = self.steps.last_mut() {
            if step.event == self.low {
                let path = self.steps.iter().rev().map(|step| Node(step.event)).collect();
                self.steps.pop();
                return Some(path);
            }
            let Some(&cause) = self.graph.causes_of(step.event).get(step.cause) else {
                self.steps.pop();
                continue;
            };
            step.cause += 1;
            let causes_left = self.causes_max - self.steps.len() as u32;
            if self.marks.contains(cause) && self.distances.value(cause) <= causes_left {
                self.steps.push(Step { event: cause, cause: 0 });
            }
        }
        None
    }
}

impl FusedIterator for Paths<'_> {}
