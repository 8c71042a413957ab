//! How two events stand to each other.
//!
//! Each event is labelled with its number (position order), with its layer (the longest chain of causes that ends in
//! it, also called generation number), with a jump pointer along its main chain ([`crate::chain`]) and with the
//! landmarks nearest to it ([`crate::landmark`]): 12 bytes in all. Histories that meet now and then, as most do, are
//! told apart by landmarks alone. What they leave is near in time, or without effects, or in a history that no
//! landmark is in: that is searched for from both ends. Number and layer strictly rise from cause to effect and
//! landmarks never fall, so all of them prune the search; the jumps bring it near an event far away in a few steps.
//!
//! Interval labels and tree covers need the whole graph first or are renewed as it grows; labels for all chains cost a
//! word for each chain that an event can reach; a mask of the events just before tells only of those.
//!
//! Invariant: a search never leaves the events between the two, by number, by layer and by landmarks.

use std::collections::VecDeque;

use crate::graph::Graph;
use crate::landmark::Label;
use crate::marks::Marks;
use crate::node::Node;

/// How one event stands to another, by causes alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "two elements of a partial order relate in these four ways")]
pub enum Relation {
    /// The second event follows from the first.
    Before,
    /// The first event follows from the second.
    After,
    /// Neither follows from the other.
    Concurrent,
    /// They are one event.
    Same,
}

/// The edges looked at from each end before the exact sweep takes over.
const DIVE_EDGES_MAX: u32 = 2_048;
/// The events searched upwards before the way down begins.
const UP_FIRST: usize = 32;

impl Graph {
    /// Whether `later` follows from `earlier`, in one step or more. No event follows from itself.
    pub fn is_ancestor(&self, earlier: Node, later: Node) -> bool {
        let (low, high) = (earlier.0, later.0);
        if low >= high || self.layer(low) >= self.layer(high) {
            return false;
        }
        let (earlier, later) = (self.label(low), self.label(high));
        if !earlier.allows(later) {
            return false;
        }
        if self.landmarks.lead(earlier.first, later.last) {
            return true;
        }
        Dive::new(self, low, high).run().unwrap_or_else(|| self.sweep_finds(low, high))
    }

    /// How `first` stands to `second`.
    pub fn relation(&self, first: Node, second: Node) -> Relation {
        if first == second {
            Relation::Same
        } else if self.is_ancestor(first, second) {
            Relation::Before
        } else if self.is_ancestor(second, first) {
            Relation::After
        } else {
            Relation::Concurrent
        }
    }

    /// Visits the past of `high` downwards until `low` is met: exact, one bit an event, no queue.
    fn sweep_finds(&self, low: u32, high: u32) -> bool {
        let (layer, label) = (self.layer(low), self.label(low));
        let mut marks = Marks::below(high + 1);
        let mut next = Some(high);
        while let Some(event) = next {
            for &cause in self.causes_of(event) {
                if cause == low {
                    return true;
                }
                if cause > low && self.layer(cause) > layer && label.allows(self.label(cause)) {
                    marks.insert(cause);
                }
            }
            next = marks.highest_below(event).filter(|&event| event > low);
        }
        false
    }
}

/// A search from both ends at once: breadth first up from the earlier event; and down from the later one, by
/// jumps along its main chain to a little above what was searched upwards, and from there by the oldest cause
/// first, no lower than the way up is high. There both know many events, and soon one that is the same.
struct Dive<'g> {
    graph: &'g Graph,
    low: u32,
    high: u32,
    // Layers and labels are looked at when an event is searched and not when it is met: what is met last is never searched.
    low_layer: u32,
    high_layer: u32,
    low_label: Label,
    high_label: Label,
    down: Vec<u32>,
    /// Left for later, because they lie below what the way up has searched.
    down_deep: Vec<u32>,
    down_marks: Marks,
    up: VecDeque<u32>,
    up_marks: Marks,
    /// The way down goes no lower, as long as there are other events to search.
    floor: u32,
    /// Edges still to be looked at, for both ends.
    edges_left: u32,
}

impl<'g> Dive<'g> {
    fn new(graph: &'g Graph, low: u32, high: u32) -> Dive<'g> {
        let mut down_marks = Marks::below(high + 1);
        let mut up_marks = Marks::below(high + 1);
        down_marks.insert(high);
        up_marks.insert(low);
        Dive {
            graph,
            low,
            high,
            low_layer: graph.layer(low),
            high_layer: graph.layer(high),
            low_label: graph.label(low),
            high_label: graph.label(high),
            down: vec![high],
            down_deep: Vec::new(),
            down_marks,
            up: VecDeque::from([low]),
            up_marks,
            floor: low,
            edges_left: 2 * DIVE_EDGES_MAX,
        }
    }

    /// The answer, or `None` when the edges are used up.
    fn run(mut self) -> Option<bool> {
        let mut way = Vec::new();
        if self.graph.main_chain_down_to(self.high, self.low, |event| way.push(event)) == self.low {
            return Some(true);
        }
        for _ in 0..UP_FIRST {
            let Some(event) = self.up.pop_front() else { return Some(false) };
            self.floor = self.floor.max(event);
            if self.step_up(event)? {
                return Some(true);
            }
        }
        if self.land(&way) {
            return Some(true);
        }
        loop {
            let Some(event) = self.up.pop_front() else { return Some(false) };
            self.floor = self.floor.max(event);
            if self.step_up(event)? {
                return Some(true);
            }
            let Some(event) = self.next_down() else { return Some(false) };
            if self.step_down(event)? {
                return Some(true);
            }
        }
    }

    /// Goes down the main chain, by the `way` already found along it, to as far above the floor as that is above
    /// the earlier event. Says whether it met the way up.
    fn land(&mut self, way: &[u32]) -> bool {
        let height = self.floor.saturating_add(self.floor - self.low).min(self.high);
        let near = way.iter().rfind(|&&event| event >= height).copied().unwrap_or(self.high);
        let landed = self.graph.main_chain_down_to(near, height, |_| {});
        if self.down_marks.insert(landed) {
            self.down.push(landed);
        }
        self.up_marks.contains(landed)
    }

    fn next_down(&mut self) -> Option<u32> {
        while let Some(event) = self.down.pop() {
            if event >= self.floor {
                return Some(event);
            }
            self.down_deep.push(event);
        }
        self.down_deep.pop()
    }

    fn step_down(&mut self, event: u32) -> Option<bool> {
        if self.graph.layer(event) <= self.low_layer || !self.low_label.allows(self.graph.label(event)) {
            return Some(false);
        }
        let causes = self.graph.causes_of(event);
        self.edges_left = self.edges_left.checked_sub(causes.len() as u32)?;
        let start = self.down.len();
        for &cause in causes {
            if cause < self.low {
                continue;
            }
            if self.up_marks.contains(cause) {
                return Some(true);
            }
            if self.down_marks.insert(cause) {
                self.down.push(cause);
            }
        }
        self.down[start..].sort_unstable_by(|a, b| b.cmp(a));
        Some(false)
    }

    fn step_up(&mut self, event: u32) -> Option<bool> {
        if self.graph.layer(event) >= self.high_layer || !self.graph.label(event).allows(self.high_label) {
            return Some(false);
        }
        for effect in self.graph.effects_of(event) {
            self.edges_left = self.edges_left.checked_sub(1)?;
            if effect > self.high {
                break;
            }
            if self.down_marks.contains(effect) {
                return Some(true);
            }
            if self.up_marks.insert(effect) {
                self.up.push_back(effect);
            }
        }
        Some(false)
    }
}
