//! What was compared: how many questions of each kind, how many answers differ, and how long each side took.

use std::fmt::Write;
use std::time::{Duration, Instant};

use super::git::Git;
use super::sample::Kind;
use crate::Outcome;

/// Starts of git that are timed.
const STARTS: usize = 9;

/// The counts of one history.
#[derive(Debug)]
pub(super) struct Tally {
    commits: usize,
    merges: usize,
    whole_order: bool,
    /// How long git takes to do nothing.
    start: Duration,
    counts: [Count; Kind::ALL.len()],
}

#[derive(Debug, Default)]
struct Count {
    git: Vec<Duration>,
    ours: Vec<Duration>,
    differ: usize,
    /// Answers of git that hold a commit, and those that hold several.
    some: usize,
    several: usize,
}

impl Tally {
    pub(super) fn new(git: &Git) -> Outcome<Tally> {
        let mut starts = Vec::new();
        for _ in 0..STARTS {
            let begun = Instant::now();
            git.answer(&["rev-parse", "--git-dir"])?;
            starts.push(begun.elapsed());
        }
        Ok(Tally {
            commits: git.commits.len(),
            merges: git.commits.iter().filter(|commit| commit.parents.len() > 1).count(),
            whole_order: false,
            start: median(&starts),
            counts: Default::default(),
        })
    }

    /// Asks git and notes how long it took.
    pub(super) fn git<T>(&mut self, kind: Kind, ask: impl FnOnce() -> Outcome<T>) -> Outcome<T> {
        let begun = Instant::now();
        let answer = ask();
        self.counts[kind as usize].git.push(begun.elapsed());
        answer
    }

    /// Notes how long the graph took.
    pub(super) fn ours(&mut self, kind: Kind, took: Duration) {
        self.counts[kind as usize].ours.push(took);
    }

    /// Notes how many commits git's answer holds: a sample that meets only empty answers shows little.
    pub(super) fn sized(&mut self, kind: Kind, commits: usize) {
        let count = &mut self.counts[kind as usize];
        count.some += usize::from(commits > 0);
        count.several += usize::from(commits > 1);
    }

    /// Notes an answer that differs.
    pub(super) fn differs(&mut self, kind: Kind) {
        self.counts[kind as usize].differ += 1;
    }

    /// Notes whether the order of all events is legal.
    pub(super) fn whole_order(&mut self, legal: bool) {
        self.whole_order = legal;
    }

    /// How many answers differ, the order of all events being one.
    pub(super) fn mismatches(&self) -> usize {
        self.counts.iter().map(|count| count.differ).sum::<usize>() + usize::from(!self.whole_order)
    }

    /// The counts as a table.
    pub(super) fn shown(&self) -> String {
        let mut text = String::new();
        let order = if self.whole_order { "legal" } else { "NOT LEGAL" };
        let _ =
            writeln!(text, "  {} commits, {} of them merges; the order of all is {order}", self.commits, self.merges);
        let _ = writeln!(
            text,
            "  {:<10} {:>7} {:>7} {:>7} {:>7} {:>12} {:>14}",
            "question", "asked", "some", "several", "differ", "git", "batpak-graph"
        );
        for kind in Kind::ALL {
            let Count { git, ours, differ, some, several } = &self.counts[kind as usize];
            let (name, asked) = (kind.name(), ours.len());
            let (git, ours) = (shown(median(git)), shown(median(ours)));
            let _ = writeln!(text, "  {name:<10} {asked:>7} {some:>7} {several:>7} {differ:>7} {git:>12} {ours:>14}");
        }
        let asked: usize = self.counts.iter().map(|count| count.ours.len()).sum();
        let start = shown(self.start);
        let _ = writeln!(
            text,
            "  {asked} questions, {} mismatches. Times are medians: git's of a process a question (starting one: {start}), \
             the other's in a process that holds the graph.",
            self.mismatches()
        );
        text
    }
}

fn median(times: &[Duration]) -> Duration {
    let mut times = times.to_vec();
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn shown(time: Duration) -> String {
    format!("{:.3} ms", time.as_secs_f64() * 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tally_counts_what_differs_and_an_order_that_is_not_legal() {
        let mut tally =
            Tally { commits: 3, merges: 1, whole_order: false, start: Duration::ZERO, counts: Default::default() };
        tally.ours(Kind::Common, Duration::from_micros(1500));
        tally.sized(Kind::Common, 2);
        tally.differs(Kind::Common);
        assert_eq!(tally.mismatches(), 2);
        tally.whole_order(true);
        assert_eq!(tally.mismatches(), 1);
        assert!(
            tally.shown().contains("common           1       1       1       1     0.000 ms       1.500 ms\n"),
            "{}",
            tally.shown()
        );
    }

    #[test]
    fn median_is_the_middle() {
        let times = [5, 1, 9].map(Duration::from_millis);
        assert_eq!(median(&times), Duration::from_millis(5));
        assert_eq!(median(&[]), Duration::ZERO);
    }
}
