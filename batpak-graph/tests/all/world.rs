//! Logs in memory, and a slow graph that is right by its shortness.

use std::convert::Infallible;
use std::ops::ControlFlow;

use batpak_format::{Cause, Causes, EdgeSource, EventEdges, EventId, EventKind};
use batpak_graph::{Graph, Node};
use proptest::collection::vec;
use proptest::prelude::Strategy;

/// A kind that callers may use.
pub const KIND: EventKind = EventKind::from_u16(0x1001);

/// The id that tests give to event `number`.
pub fn id(number: u64) -> EventId {
    let mut bytes = [0x70; 16];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    EventId::from_bytes(bytes)
}

pub fn known(number: u64) -> Cause {
    Cause { id: id(number), external: false }
}

/// One event of a log.
#[derive(Debug, Clone)]
pub struct Given {
    pub position: u64,
    pub id: EventId,
    pub entity: String,
    pub scope: String,
    pub correlation: Option<EventId>,
    pub causes: Causes,
}

impl Given {
    /// Event `number` at the position of the same number.
    pub fn new(number: u64, causes: &[u64]) -> Given {
        Given::with(number, causes.iter().map(|&cause| known(cause)).collect())
    }

    pub fn with(number: u64, causes: Vec<Cause>) -> Given {
        Given {
            position: number,
            id: id(number),
            entity: format!("entity-{}", number % 5),
            scope: "scope".to_owned(),
            correlation: None,
            causes: Causes::new(causes).unwrap(),
        }
    }

    pub fn edges(&self) -> EventEdges<'_> {
        EventEdges {
            position: self.position,
            id: self.id,
            kind: KIND,
            entity: &self.entity,
            scope: &self.scope,
            correlation: self.correlation,
            causes: &self.causes,
        }
    }
}

/// A log in memory.
#[derive(Debug, Clone, Default)]
pub struct Log(pub Vec<Given>);

impl EdgeSource for Log {
    type Error = Infallible;

    fn edges(&self, from: u64, visit: &mut dyn FnMut(EventEdges<'_>) -> ControlFlow<()>) -> Result<u64, Infallible> {
        for given in self.0.iter().filter(|given| given.position >= from) {
            if visit(given.edges()).is_break() {
                return Ok(given.position + 1);
            }
        }
        Ok(self.0.last().map_or(from, |given| given.position + 1))
    }
}

/// The graph of events 0, 1, 2... with these causes.
pub fn graph(causes: &[&[u64]]) -> Graph {
    let given = causes.iter().enumerate().map(|(number, causes)| Given::new(number as u64, causes));
    Graph::build(&Log(given.collect())).unwrap()
}

pub fn node(graph: &Graph, number: u64) -> Node {
    graph.node(&id(number)).unwrap()
}

pub fn numbers(nodes: impl IntoIterator<Item = Node>) -> Vec<usize> {
    nodes.into_iter().map(Node::index).collect()
}

/// Causes of up to 40 events, each naming up to four earlier ones.
pub fn causes() -> impl Strategy<Value = Vec<Vec<u64>>> {
    vec((vec(0_u64..1_000, 0..5), 1_u64..40), 1..40).prop_map(|rows| {
        let rows = rows.into_iter().enumerate();
        rows.map(|(number, (picks, window))| {
            let number = number as u64;
            let reach = window.min(number);
            let picked = picks.into_iter().filter(|_| number > 0).map(|pick| number - 1 - pick % reach);
            let mut causes: Vec<u64> = picked.collect();
            causes.sort_unstable();
            causes.dedup();
            causes
        })
        .collect()
    })
}

/// All pasts of up to 64 events, as sets of bits.
#[derive(Debug)]
pub struct Model {
    pub causes: Vec<Vec<u64>>,
    pub past: Vec<u64>,
}

impl Model {
    pub fn new(causes: Vec<Vec<u64>>) -> Model {
        let mut past = vec![0_u64; causes.len()];
        for (event, causes) in causes.iter().enumerate() {
            past[event] = causes.iter().fold(0, |set, &cause| set | past[cause as usize] | 1 << cause);
        }
        Model { causes, past }
    }

    pub fn graph(&self) -> Graph {
        graph(&self.causes.iter().map(Vec::as_slice).collect::<Vec<_>>())
    }

    pub fn is_ancestor(&self, earlier: usize, later: usize) -> bool {
        self.past[later] >> earlier & 1 == 1
    }

    /// The least number of causes from `later` back to `earlier`.
    pub fn distance(&self, earlier: usize, later: usize) -> Option<u32> {
        if earlier == later {
            return Some(0);
        }
        let causes = self.causes[later].iter().filter(|&&cause| cause as usize >= earlier);
        causes.filter_map(|&cause| self.distance(earlier, cause as usize)).min().map(|least| least + 1)
    }

    /// How many chains of at most `causes_max` causes lead from `later` back to `earlier`.
    pub fn paths(&self, earlier: usize, later: usize, causes_max: u32) -> usize {
        if earlier == later {
            return 1;
        }
        let Some(left) = causes_max.checked_sub(1) else { return 0 };
        let causes = self.causes[later].iter().filter(|&&cause| cause as usize >= earlier);
        causes.map(|&cause| self.paths(earlier, cause as usize, left)).sum()
    }
}

/// A small random number generator with a known sequence (D. Lehmer's, over 128 bits).
#[derive(Debug)]
pub struct Random(u128);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(u128::from(seed) << 1 | 1)
    }

    pub fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(0xda94_2042_e4dd_58b5);
        (self.0 >> 64) as u64 % end
    }
}

/// A log of `len` events, each with two causes among the `window` events before it.
pub fn random_log(len: u64, window: u64, seed: u64) -> Log {
    let mut random = Random::new(seed);
    let given = (0..len).map(|number| {
        let reach = window.min(number);
        let mut causes: Vec<u64> = Vec::new();
        for _ in 0..2.min(number) {
            causes.push(number - 1 - random.below(reach));
        }
        causes.dedup();
        Given::new(number, &causes)
    });
    Log(given.collect())
}
