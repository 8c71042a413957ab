//! What the command line asks for.
//!
//! Invariant: a word that is not understood is refused with the usage, never ignored.

use std::time::Duration;

use crate::campaign::Effort;
use crate::explore::Breadth;
use crate::workload::Run;

const USAGE: &str = "\
usage: cargo xtask crash [--minutes N] [--seed CAMPAIGN] [--long]
       cargo xtask crash --seed RUN --replay
       cargo xtask crash --defects [--minutes N] [--seed CAMPAIGN]

Without words: 105,000 distinct crash states, then the table of seeded defects. --long: ten million states. A run's seed is printed with
every violation; --replay runs it again and prints each call of the disk.";

/// How much of each crash point is visited where time is short.
pub(crate) const CI: Breadth = Breadth { shots: 60, states: 24, inside: 5, rounds: 7, depth: 2 };
/// How much where it is not: all that there is up to 4,096 states of a crash point, crashes inside every second recovery.
const LONG: Breadth = Breadth { shots: usize::MAX, states: 4096, inside: 2, rounds: 3, depth: 3 };

/// Distinct states that a run must reach, those it stops at, and its minutes.
const IN_CI: (u64, u64, u64) = (100_000, 105_000, 12);
const IN_LONG: (u64, u64, u64) = (10_000_000, 10_500_000, 600);

/// What is to be done.
#[derive(Debug)]
pub(crate) enum Options {
    /// States are explored; fewer than so many are a failure.
    Campaign { effort: Effort, least: u64 },
    /// The seeded defects are looked for, each at most so long.
    Defects { campaign: u32, most: Duration },
    /// One run is run again.
    Replay(Run),
}

impl Options {
    pub(crate) fn of(words: &[&str]) -> Result<Self, &'static str> {
        let (mut long, mut replay, mut defects) = (false, false, false);
        let (mut seed, mut minutes) = (None, None);
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match *word {
                "--long" => long = true,
                "--replay" => replay = true,
                "--defects" => defects = true,
                "--seed" => seed = Some(words.next().and_then(|word| number(word)).ok_or(USAGE)?),
                "--minutes" => minutes = Some(words.next().and_then(|word| number(word)).ok_or(USAGE)?),
                _ => return Err(USAGE),
            }
        }
        if replay {
            return seed.and_then(Run::of).map(Self::Replay).ok_or(USAGE);
        }
        let campaign = u32::try_from(seed.unwrap_or(1)).map_err(|_| USAGE)?;
        if defects {
            return Ok(Self::Defects { campaign, most: Duration::from_secs(60 * minutes.unwrap_or(1)) });
        }
        let (least, enough, most) = if long { IN_LONG } else { IN_CI };
        // A time that was asked for is used up, and then is what there is.
        let (least, enough) = if minutes.is_some() { (0, u64::MAX) } else { (least, enough) };
        let time = Duration::from_secs(60 * minutes.unwrap_or(most));
        let threads = std::thread::available_parallelism().map_or(2, usize::from);
        let breadth = if long { LONG } else { CI };
        Ok(Self::Campaign { effort: Effort { campaign, time, enough, threads, breadth }, least })
    }
}

fn number(word: &str) -> Option<u64> {
    match word.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => word.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_refuse_what_they_do_not_know() {
        assert!(Options::of(&["--quick"]).is_err());
        assert!(Options::of(&["--seed"]).is_err());
        assert!(Options::of(&["--replay"]).is_err());
        assert!(matches!(Options::of(&["--seed", "0x100000100000003", "--replay"]), Ok(Options::Replay(_))));
        assert!(matches!(Options::of(&[]), Ok(Options::Campaign { least: 100_000, .. })));
    }
}
