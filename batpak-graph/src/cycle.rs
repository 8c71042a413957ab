//! Circles of causes, which only a foreign source can give.
//!
//! Invariant: every circle holds a later cause, so without one nothing is searched; with one, the search takes
//! a stack of its own and time linear in the graph (R. Tarjan, "Depth-first search and linear graph
//! algorithms", 1972).

use std::collections::{HashMap, VecDeque};

use crate::graph::Graph;
use crate::node::{Node, Unfollowed};

/// For each group of two or more events that cause each other, the shortest circle through the earliest.
///
/// In order of the earliest event; a circle starts with it, and each of its events names the next as a cause.
pub(crate) fn circles(graph: &Graph) -> Vec<Vec<Node>> {
    let named = Named::new(graph);
    if named.later.is_empty() {
        return Vec::new();
    }
    let mut groups = Groups::new(&named).run();
    groups.sort_unstable_by_key(|group| group[0]);
    groups.into_iter().filter_map(|group| shortest(&named, &group)).collect()
}

/// The causes that events name, later ones included.
struct Named<'g> {
    graph: &'g Graph,
    /// Event and later cause, sorted.
    later: Vec<(u32, u32)>,
}

impl<'g> Named<'g> {
    fn new(graph: &'g Graph) -> Named<'g> {
        let unfollowed = graph.unfollowed().filter(|(_, cause)| cause.reason == Unfollowed::Later);
        let later = unfollowed.filter_map(|(event, cause)| Some((event, graph.find(&cause.id)?)));
        Named { graph, later: later.collect() }
    }

    fn later_of(&self, event: u32) -> &[(u32, u32)] {
        let start = self.later.partition_point(|&(at, _)| at < event);
        let len = self.later[start..].partition_point(|&(at, _)| at == event);
        &self.later[start..start + len]
    }

    fn cause(&self, event: u32, number: usize) -> Option<u32> {
        let followed = self.graph.causes_of(event);
        match followed.get(number) {
            Some(&cause) => Some(cause),
            None => self.later_of(event).get(number - followed.len()).map(|&(_, cause)| cause),
        }
    }
}

/// An event not yet met.
const UNMET: u32 = u32::MAX;

/// Tarjan's search, with the calls kept on a stack.
struct Groups<'g> {
    named: &'g Named<'g>,
    /// The order in which events were met.
    met: Vec<u32>,
    /// The earliest met event that can be led back to; [`UNMET`] once the event's group is known.
    low: Vec<u32>,
    open: Vec<u32>,
    calls: Vec<(u32, usize)>,
    met_count: u32,
    found: Vec<Vec<u32>>,
}

impl<'g> Groups<'g> {
    fn new(named: &'g Named<'g>) -> Groups<'g> {
        let len = named.graph.len();
        Groups {
            named,
            met: vec![UNMET; len],
            low: vec![UNMET; len],
            open: Vec::new(),
            calls: Vec::new(),
            met_count: 0,
            found: Vec::new(),
        }
    }

    /// The groups of two or more events, each sorted.
    fn run(mut self) -> Vec<Vec<u32>> {
        // Every circle goes through an event that names a later one.
        for &(event, _) in &self.named.later {
            if self.met[event as usize] == UNMET {
                self.enter(event);
                self.search();
            }
        }
        self.found
    }

    fn enter(&mut self, event: u32) {
        self.met[event as usize] = self.met_count;
        self.low[event as usize] = self.met_count;
        self.met_count += 1;
        self.open.push(event);
        self.calls.push((event, 0));
    }

    fn search(&mut self) {
        while let Some((event, number)) = self.calls.last_mut() {
            let event = *event;
            let Some(cause) = self.named.cause(event, *number) else {
                self.calls.pop();
                self.leave(event);
                continue;
            };
            *number += 1;
            if self.met[cause as usize] == UNMET {
                self.enter(cause);
            } else if self.low[cause as usize] != UNMET {
                self.lower(event, self.met[cause as usize]);
            }
        }
    }

    fn leave(&mut self, event: u32) {
        let low = self.low[event as usize];
        if low == self.met[event as usize] {
            self.close(event);
        } else if let Some(&(caller, _)) = self.calls.last() {
            self.lower(caller, low);
        }
    }

    fn lower(&mut self, event: u32, low: u32) {
        let own = &mut self.low[event as usize];
        *own = low.min(*own);
    }

    /// Takes the group whose first met event is `event`.
    fn close(&mut self, event: u32) {
        let mut group = Vec::new();
        while let Some(member) = self.open.pop() {
            self.low[member as usize] = UNMET;
            group.push(member);
            if member == event {
                break;
            }
        }
        if group.len() > 1 {
            group.sort_unstable();
            self.found.push(group);
        }
    }
}

/// The shortest circle within a sorted `group` through its first event.
fn shortest(named: &Named<'_>, group: &[u32]) -> Option<Vec<Node>> {
    let first = group[0];
    let mut before = HashMap::from([(first, first)]);
    let mut queue = VecDeque::from([first]);
    while let Some(event) = queue.pop_front() {
        for cause in (0..).map_while(|number| named.cause(event, number)) {
            if cause == first {
                return Some(trail(&before, first, event));
            }
            if group.binary_search(&cause).is_ok() && !before.contains_key(&cause) {
                before.insert(cause, event);
                queue.push_back(cause);
            }
        }
    }
    None
}

fn trail(before: &HashMap<u32, u32>, first: u32, last: u32) -> Vec<Node> {
    let mut circle = vec![Node(last)];
    let mut event = last;
    while event != first {
        event = before[&event];
        circle.push(Node(event));
    }
    circle.reverse();
    circle
}
