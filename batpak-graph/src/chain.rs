//! The main chain above each event, and jumps along it.
//!
//! The main cause of an event is the first of its causes in the highest layer. Main causes make a tree in which
//! an event's depth is its layer, so one jump pointer an event finds any place on the way to the root in a
//! logarithmic number of steps (E. Myers, "An applicative random-access stack", 1983), and a new event needs
//! nothing but what its main cause has.
//!
//! Invariant: a jump leads to an event on the main chain, and never changes.

use crate::graph::Graph;

impl Graph {
    /// The jump pointer of `event`, whose causes and layer are entered.
    pub(crate) fn jump_for(&self, event: u32) -> u32 {
        let Some(cause) = self.main_cause(event) else { return event };
        let jump = self.jump(cause);
        let far = self.jump(jump);
        let is_even = self.layer(cause) - self.layer(jump) == self.layer(jump) - self.layer(far);
        if is_even { far } else { cause }
    }

    pub(crate) fn main_cause(&self, event: u32) -> Option<u32> {
        let layer = self.layer(event).checked_sub(1)?;
        self.causes_of(event).iter().copied().find(|&cause| self.layer(cause) == layer)
    }

    /// The first event on the main chain above `event`, itself included, that is not below the number `floor`.
    ///
    /// `pass` is called with each event on the way, from the start to the one returned.
    pub(crate) fn main_chain_down_to(&self, event: u32, floor: u32, mut pass: impl FnMut(u32)) -> u32 {
        let mut event = event;
        loop {
            pass(event);
            let jump = self.jump(event);
            if jump >= floor && jump != event {
                event = jump;
                continue;
            }
            match self.main_cause(event).filter(|&cause| cause >= floor) {
                Some(cause) => event = cause,
                None => return event,
            }
        }
    }

    fn jump(&self, event: u32) -> u32 {
        self.rows.at(event).jump
    }
}

#[cfg(test)]
mod tests {
    use batpak_format::{Cause, Causes, EventEdges, EventId, EventKind};

    use crate::graph::Graph;

    fn chain(len: u32) -> Graph {
        let id = |number: u32| EventId::from_bytes(u128::from(number).to_be_bytes());
        let mut graph = Graph::new();
        for number in 0..len {
            let cause = number.checked_sub(1).map(|cause| Cause { id: id(cause), external: false });
            let causes = Causes::new(cause.into_iter().collect()).unwrap();
            let position = u64::from(number);
            let (entity, scope, kind) = ("entity", "scope", EventKind::from_u16(0x1001));
            let edges =
                EventEdges { position, id: id(number), kind, entity, scope, correlation: None, causes: &causes };
            graph.push(&edges).unwrap();
        }
        graph
    }

    #[test]
    fn main_chain_is_found_at_every_height() {
        let graph = chain(300);
        for event in [0, 1, 2, 17, 255, 256, 299] {
            for floor in 0..=event {
                assert_eq!(graph.main_chain_down_to(event, floor, |_| {}), floor);
            }
        }
    }

    #[test]
    fn main_chain_of_100_000_takes_few_jumps() {
        let graph = chain(100_000);
        let mut event = 99_999;
        let mut jumps = 0;
        while event != 0 {
            event = graph.jump(event);
            jumps += 1;
        }
        assert!(jumps <= 34, "{jumps}");
    }
}
