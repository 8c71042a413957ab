//! The logs that the benches run on: generated, the same each time.
#![expect(clippy::expect_used, reason = "generated causes are few and distinct")]

use std::convert::Infallible;
use std::ops::ControlFlow;

use batpak_format::{Cause, Causes, EdgeSource, EventEdges, EventId, EventKind};

/// How the causes of an event are chosen.
#[derive(Debug, Clone, Copy)]
pub enum Shape {
    /// Two of the 1,000 events before it.
    Recent,
    /// Two of all events before it.
    Anywhere,
    /// The head of one of 40 threads, and every fifth time that of another one too.
    Threads,
}

/// A log of events without payloads: ids in random order, 1,000 entities.
pub struct Log {
    pub ids: Vec<EventId>,
    pub causes: Vec<Causes>,
    pub numbers: Vec<Vec<u32>>,
    entities: Vec<String>,
}

impl Log {
    pub fn new(len: u32, shape: Shape) -> Log {
        let mut random = Random(0x9e37_79b9_7f4a_7c15);
        let mut heads = [0; 40];
        let ids: Vec<EventId> = (0..len).map(|_| id(&mut random)).collect();
        let numbers: Vec<Vec<u32>> = (0..len).map(|event| causes(event, shape, &mut heads, &mut random)).collect();
        let causes = numbers.iter().map(|numbers| {
            let causes = numbers.iter().map(|&number| Cause { id: ids[number as usize], external: false });
            Causes::new(causes.collect()).expect("causes are distinct and few")
        });
        let causes = causes.collect();
        let entities = (0..1_000).map(|entity| format!("order-{entity:07}")).collect();
        Log { ids, causes, numbers, entities }
    }

    pub fn edges_len(&self) -> usize {
        self.numbers.iter().map(Vec::len).sum()
    }
}

fn id(random: &mut Random) -> EventId {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&random.next().to_be_bytes());
    bytes[8..].copy_from_slice(&random.next().to_be_bytes());
    EventId::from_bytes(bytes)
}

fn causes(event: u32, shape: Shape, heads: &mut [u32; 40], random: &mut Random) -> Vec<u32> {
    if event == 0 {
        return Vec::new();
    }
    let (one, other) = match shape {
        Shape::Recent => (event - 1 - random.below(event.min(1_000)), event - 1 - random.below(event.min(1_000))),
        Shape::Anywhere => (random.below(event), random.below(event)),
        Shape::Threads => {
            let thread = random.below(40) as usize;
            let cause = std::mem::replace(&mut heads[thread], event);
            let joined = if random.below(5) == 0 { heads[random.below(40) as usize] } else { cause };
            (cause, if joined == event { cause } else { joined })
        }
    };
    if one == other { vec![one] } else { vec![one, other] }
}

impl EdgeSource for Log {
    type Error = Infallible;

    fn edges(&self, from: u64, visit: &mut dyn FnMut(EventEdges<'_>) -> ControlFlow<()>) -> Result<u64, Infallible> {
        for event in from as usize..self.ids.len() {
            let edges = EventEdges {
                position: event as u64,
                id: self.ids[event],
                kind: EventKind::from_u16(0x1001),
                entity: &self.entities[event % self.entities.len()],
                scope: "orders",
                correlation: None,
                causes: &self.causes[event],
            };
            if visit(edges).is_break() {
                return Ok(event as u64 + 1);
            }
        }
        Ok(self.ids.len() as u64)
    }
}

/// Marsaglia's xorshift generator over 64 bits.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub fn below(&mut self, end: u32) -> u32 {
        (((self.next() >> 32) * u64::from(end)) >> 32) as u32
    }
}
