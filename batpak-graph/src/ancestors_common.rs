//! The lowest common ancestors of two events.
//!
//! Invariant: one sweep down over the pasts of both, in position order; an event that lies below a common
//! ancestor already found is marked so before it is met.

use crate::graph::Graph;
use crate::marks::{Marks, Values};
use crate::node::Node;

/// In the past of the first event, or the event itself.
const FIRST: u32 = 1;
/// In the past of the second event, or the event itself.
const SECOND: u32 = 2;
/// In the past of a common ancestor.
const COVERED: u32 = 4;

impl Graph {
    /// The common ancestors of `first` and `second` that are in the past of no other common ancestor, latest
    /// first.
    ///
    /// Here an event counts as an ancestor of itself, so of two events of which one follows from the other the
    /// earlier one is the answer. There may be several (a criss-cross) or none.
    pub fn common_ancestors(&self, first: Node, second: Node) -> Vec<Node> {
        let mut sweep = Sweep::new(self, first.0.max(second.0) + 1);
        sweep.mark(first.0, FIRST);
        sweep.mark(second.0, SECOND);
        sweep.run()
    }
}

struct Sweep<'g> {
    graph: &'g Graph,
    end: u32,
    waiting: Marks,
    flags: Values,
    /// Events waiting that can still lead to an answer, by whose past they are in.
    first_open: usize,
    second_open: usize,
}

impl<'g> Sweep<'g> {
    fn new(graph: &'g Graph, end: u32) -> Sweep<'g> {
        Sweep { graph, end, waiting: Marks::below(end), flags: Values::below(end), first_open: 0, second_open: 0 }
    }

    fn run(mut self) -> Vec<Node> {
        let mut found = Vec::new();
        while self.first_open > 0 && self.second_open > 0 {
            let Some(event) = self.waiting.highest_below(self.end) else { break };
            self.end = event;
            let mut flags = self.flags.value(event);
            self.count(flags, false);
            if flags == FIRST | SECOND {
                found.push(Node(event));
                flags |= COVERED;
            }
            for &cause in self.graph.causes_of(event) {
                self.mark(cause, flags);
            }
        }
        found
    }

    fn mark(&mut self, event: u32, flags: u32) {
        let before = self.flags.value(event);
        if before | flags == before {
            return;
        }
        self.waiting.insert(event);
        self.flags.set(event, before | flags);
        self.count(before, false);
        self.count(before | flags, true);
    }

    /// Counts an event with `flags` in or out of those that are open.
    fn count(&mut self, flags: u32, enters: bool) {
        if flags & COVERED != 0 {
            return;
        }
        for (flag, open) in [(FIRST, &mut self.first_open), (SECOND, &mut self.second_open)] {
            if flags & flag != 0 {
                *open = if enters { *open + 1 } else { *open - 1 };
            }
        }
    }
}
