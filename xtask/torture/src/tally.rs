//! What a run has counted, a row each tier.
//!
//! Invariant: a tier that counted nothing, or whose control was not caught, is never taken for one that passed.

use std::fmt;
use std::time::{Duration, Instant};

use crate::Outcome;

/// One tier's row.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    /// What it counted: cuts, kills, cycles.
    pub(crate) count: u64,
    /// In words: what else there is to say.
    pub(crate) note: String,
    /// How often its control ran until it was caught; none when it was not.
    pub(crate) caught_after: Option<u64>,
    pub(crate) took: Duration,
}

/// The whole run.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    rows: Vec<Row>,
    skipped: Vec<(&'static str, String)>,
    violations: u64,
}

/// What a tier returns when it has run.
#[derive(Debug)]
pub(crate) struct Counted {
    pub(crate) count: u64,
    pub(crate) note: String,
    pub(crate) caught_after: Option<u64>,
}

impl Tally {
    /// Runs a tier and takes down what came of it.
    pub(crate) fn run(&mut self, name: &'static str, tier: impl FnOnce() -> Outcome<Counted>) {
        println!("-- {name}");
        let begun = Instant::now();
        match tier() {
            Ok(Counted { count, note, caught_after }) => {
                let row = Row { name, count, note, caught_after, took: begun.elapsed() };
                println!("{row}");
                self.rows.push(row);
            }
            Err(violation) => {
                println!("VIOLATION in {name}: {violation}");
                self.violations += 1;
            }
        }
    }

    /// Takes down that a tier did not run, and why.
    pub(crate) fn skip(&mut self, name: &'static str, why: impl Into<String>) {
        let why = why.into();
        println!("-- {name}: SKIPPED: {why}");
        self.skipped.push((name, why));
    }

    /// Prints the table.
    ///
    /// # Errors
    ///
    /// When there was a violation, a tier counted nothing or its control was not caught, and with `all_required` when a
    /// tier was skipped.
    pub(crate) fn end(self, all_required: bool) -> Outcome {
        println!("{:<34} {:>8} {:>9} {:>8}  controls, notes", "tier", "count", "seconds", "violations");
        for row in &self.rows {
            println!("{row}");
        }
        for (name, why) in &self.skipped {
            println!("{name:<34}  skipped: {why}");
        }
        println!("violations: {}", self.violations);
        let empty = self.rows.iter().find(|row| row.count == 0);
        let blind = self.rows.iter().find(|row| row.caught_after.is_none());
        match (self.violations, empty, blind, self.skipped.first()) {
            (0, None, None, None) => Ok(()),
            (0, None, None, Some((name, why))) if all_required => Err(format!("{name} was skipped: {why}").into()),
            (0, None, None, Some(_)) => Ok(()),
            (0, Some(row), _, _) => Err(format!("{}: nothing was counted", row.name).into()),
            (0, None, Some(row), _) => Err(format!("{}: its control was not caught", row.name).into()),
            (violations, ..) => Err(format!("{violations} tiers found a violation").into()),
        }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let control = match self.caught_after {
            Some(runs) => format!("control caught at run {runs}"),
            None => "CONTROL NOT CAUGHT".to_owned(),
        };
        let Row { name, count, note, took, .. } = self;
        write!(f, "{name:<34} {count:>8} {:>9.1} {:>8}    {control}; {note}", took.as_secs_f64(), 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(count: u64, caught_after: Option<u64>) -> Outcome<Counted> {
        Ok(Counted { count, note: String::new(), caught_after })
    }

    fn ended(rows: Vec<Outcome<Counted>>, skips: bool, all_required: bool) -> Result<(), String> {
        let mut tally = Tally::default();
        rows.into_iter().for_each(|row| tally.run("planted", || row));
        if skips {
            tally.skip("other", "no right to mount");
        }
        tally.end(all_required).map_err(|why| why.to_string())
    }

    #[test]
    fn end_passes_what_counted_and_caught_its_control() {
        assert_eq!(ended(vec![counted(3, Some(1))], false, true), Ok(()));
        assert_eq!(ended(vec![counted(3, Some(1))], true, false), Ok(()));
    }

    #[test]
    fn end_fails_without_a_count_a_control_or_a_required_tier() {
        let fails = |rows, skips| ended(rows, skips, true).unwrap_err();
        assert_eq!(fails(vec![counted(0, Some(1))], false), "planted: nothing was counted");
        assert_eq!(fails(vec![counted(3, None)], false), "planted: its control was not caught");
        assert_eq!(fails(vec![counted(3, Some(1))], true), "other was skipped: no right to mount");
        assert_eq!(fails(vec![counted(3, Some(1)), Err("lost".into())], false), "1 tiers found a violation");
    }
}
