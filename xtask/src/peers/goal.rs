//! One goal: a value or a ratio, what it has to reach, and whether it does.
//!
//! Invariant: a ratio of fewer pairs than the rule asks for is neither met nor missed.

use super::matrix::PAIRS;
use super::results::{Results, Side, Spread};

/// What a goal asks of a value.
#[derive(Clone, Copy, Debug)]
pub(super) enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

/// One line of the table.
#[derive(Debug)]
pub(super) struct Goal {
    /// As the reasons name it.
    pub(super) number: String,
    pub(super) what: String,
    pub(super) over: Side,
    /// Absent where the value itself is asked.
    pub(super) under: Option<Side>,
    pub(super) bound: Bound,
    pub(super) unit: &'static str,
}

/// How a goal stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Met,
    Missed,
    /// Fewer rounds than make a median.
    FewRounds,
    NotMeasured,
}

impl Goal {
    /// The value, or the ratio, with its spread.
    pub(super) fn found(&self, results: &Results) -> Option<Spread> {
        match &self.under {
            Some(under) => results.ratio(&self.over, under),
            None => results.spread(&self.over),
        }
    }

    /// Whether it is reached.
    pub(super) fn standing(&self, results: &Results) -> Standing {
        let Some(found) = self.found(results) else { return Standing::NotMeasured };
        let reached = match self.bound {
            Bound::AtLeast(bound) => found.median >= bound,
            Bound::AtMost(bound) => found.median <= bound,
        };
        // A folder is filled once, system calls are counted once: they are the same each time.
        let is_count = ["fill/", "calls/"].iter().any(|counted| self.over.case.starts_with(counted));
        let few = (found.count as u32) < PAIRS && !is_count;
        match (few, reached) {
            (true, _) => Standing::FewRounds,
            (false, true) => Standing::Met,
            (false, false) => Standing::Missed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peers::goals;

    #[test]
    fn standing_needs_enough_pairs_and_the_bound() {
        let goals = goals::all();
        let goal = goals.iter().find(|goal| goal.number == "P1.3").unwrap();
        let standing = |rounds: u32, sealed: f64| {
            let case = "append/synced/256/1";
            let pair = |round| {
                [
                    (1, round, case, "batpak", "events_per_s", sealed),
                    (1, round, case, "batpak-plain", "events_per_s", 1.0),
                ]
            };
            goal.standing(&Results::planted(&(0..rounds).flat_map(pair).collect::<Vec<_>>()))
        };
        assert_eq!(standing(15, 0.98), Standing::Met);
        assert_eq!(standing(15, 0.96), Standing::Missed);
        assert_eq!(standing(14, 0.98), Standing::FewRounds);
        assert_eq!(standing(0, 0.0), Standing::NotMeasured);
    }
}
