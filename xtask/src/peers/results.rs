//! Results: one line of JSON a run, and what is taken from many of them: medians, spreads, and ratios of pairs.
//!
//! Invariants: of a case measured in several runs of the harness only the last one counts; a ratio is taken between two measurements of
//! the same round, and never between medians.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One line.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Line {
    /// When the run of the harness began, seconds since 1970.
    pub(super) run: u64,
    pub(super) round: u32,
    pub(super) case: String,
    pub(super) adapter: String,
    pub(super) request: Value,
    #[serde(default)]
    pub(super) values: BTreeMap<String, f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<String>,
}

/// All lines of a file.
#[derive(Debug, Default)]
pub(super) struct Results {
    /// Without those of a case that was measured again later.
    lines: Vec<Line>,
}

/// The middle of several numbers, and the quartles around it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Spread {
    pub(super) low: f64,
    pub(super) median: f64,
    pub(super) high: f64,
    pub(super) count: usize,
}

/// One value of one adapter in one case.
#[derive(Clone, Debug)]
pub(super) struct Side {
    pub(super) case: String,
    pub(super) adapter: &'static str,
    pub(super) value: &'static str,
}

impl Side {
    /// Names a value.
    pub(super) fn new(case: impl Into<String>, adapter: &'static str, value: &'static str) -> Side {
        Side { case: case.into(), adapter, value }
    }
}

impl Results {
    /// Keeps of each case what was measured last.
    pub(super) fn of(mut lines: Vec<Line>) -> Results {
        let mut last = BTreeMap::new();
        for line in &lines {
            let run: &mut u64 = last.entry((line.case.clone(), line.adapter.clone())).or_default();
            *run = line.run.max(*run);
        }
        lines.retain(|line| last.get(&(line.case.clone(), line.adapter.clone())) == Some(&line.run));
        Results { lines }
    }

    /// The value's middle and quartiles over all rounds.
    pub(super) fn spread(&self, side: &Side) -> Option<Spread> {
        spread(self.values(side).into_values().collect())
    }

    /// The quotient of two values, round by round.
    pub(super) fn ratio(&self, over: &Side, under: &Side) -> Option<Spread> {
        let under = self.values(under);
        let quotients = self.values(over).into_iter().filter_map(|(at, value)| Some(value / under.get(&at)?));
        spread(quotients.filter(|quotient| quotient.is_finite()).collect())
    }

    /// Why a measurement failed, if it did in every round.
    pub(super) fn error(&self, case: &str, adapter: &str) -> Option<&str> {
        let mut found = self.lines.iter().filter(|line| line.case == case && line.adapter == adapter);
        found.clone().all(|line| line.error.is_some()).then(|| found.next()?.error.as_deref()).flatten()
    }

    fn values(&self, side: &Side) -> BTreeMap<(u64, u32), f64> {
        let lines = self.lines.iter().filter(|line| line.case == side.case && line.adapter == side.adapter);
        lines.filter_map(|line| Some(((line.run, line.round), *line.values.get(side.value)?))).collect()
    }
}

fn spread(mut values: Vec<f64>) -> Option<Spread> {
    values.sort_by(f64::total_cmp);
    let at = |share: f64| {
        let place = share * (values.len().checked_sub(1)? as f64);
        let (below, above) = (*values.get(place.floor() as usize)?, *values.get(place.ceil() as usize)?);
        Some(below + (above - below) * place.fract())
    };
    Some(Spread { low: at(0.25)?, median: at(0.5)?, high: at(0.75)?, count: values.len() })
}

#[cfg(test)]
impl Results {
    /// Results of one value, `(run, round, case, adapter, value)` each.
    pub(super) fn planted(lines: &[(u64, u32, &str, &str, &str, f64)]) -> Results {
        let line = |(run, round, case, adapter, name, value): &(u64, u32, &str, &str, &str, f64)| Line {
            run: *run,
            round: *round,
            case: (*case).to_owned(),
            adapter: (*adapter).to_owned(),
            request: Value::Null,
            values: BTreeMap::from([((*name).to_owned(), *value)]),
            error: None,
        };
        Results::of(lines.iter().map(line).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spread_takes_quartiles_between_values() {
        let found = spread(vec![4.0, 1.0, 3.0, 2.0, 10.0]).unwrap();
        assert_eq!(found, Spread { low: 2.0, median: 3.0, high: 4.0, count: 5 });
        assert_eq!(spread(vec![1.0, 2.0]).unwrap().median, 1.5);
        assert_eq!(spread(Vec::new()), None);
    }

    #[test]
    fn ratio_pairs_by_round_and_leaves_out_what_has_no_partner() {
        let results = Results::planted(&[
            (1, 0, "a", "x", "v", 10.0),
            (1, 0, "a", "y", "v", 5.0),
            (1, 1, "a", "x", "v", 9.0),
            (1, 1, "a", "y", "v", 1.0),
            (1, 2, "a", "x", "v", 1000.0),
        ]);
        let found = results.ratio(&Side::new("a", "x", "v"), &Side::new("a", "y", "v")).unwrap();
        assert_eq!((found.median, found.count), (5.5, 2));
    }

    #[test]
    fn results_keep_the_last_run_of_a_case() {
        let results = Results::planted(&[(1, 0, "a", "x", "v", 1.0), (2, 0, "a", "x", "v", 7.0)]);
        let found = results.spread(&Side::new("a", "x", "v")).unwrap();
        assert_eq!((found.median, found.count), (7.0, 1));
    }
}
