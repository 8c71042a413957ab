//! Many stores at once: each waits for its worker more than it works.
//!
//! Invariant: the first violation ends the run, and no job begins after it.

use std::sync::Mutex;
use std::thread;

use crate::Outcome;

/// Jobs in flight; more than the two cores that a run is meant for, since workers are waited for.
const AT_ONCE: usize = 4;

struct Progress {
    begun: u64,
    counted: u64,
    violation: Option<String>,
}

/// Runs numbered jobs, at most `jobs`, until the sum of what they return reaches `enough`; returns the sum.
///
/// # Errors
///
/// The first that a job returned.
pub(crate) fn run(jobs: u64, enough: u64, job: impl Fn(u64) -> Outcome<u64> + Sync) -> Outcome<u64> {
    let progress = Mutex::new(Progress { begun: 0, counted: 0, violation: None });
    let locked = || progress.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let next = || {
        let mut progress = locked();
        let goes_on = progress.violation.is_none() && progress.counted < enough && progress.begun < jobs;
        goes_on.then(|| {
            progress.begun += 1;
            progress.begun - 1
        })
    };
    let work = || {
        while let Some(number) = next() {
            let ended = job(number);
            let mut progress = locked();
            match ended {
                Ok(counted) => progress.counted += counted,
                Err(violation) => {
                    progress.violation.get_or_insert(violation.to_string());
                }
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(work);
        }
    });
    let progress = progress.into_inner().map_err(|_| "a job panicked")?;
    match progress.violation {
        Some(violation) => Err(violation.into()),
        None => Ok(progress.counted),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn run_counts_until_it_is_enough_or_there_are_no_more_jobs() {
        assert_eq!(run(7, u64::MAX, |_| Ok(1)).unwrap(), 7);
        let counted = run(u64::MAX, 10, |_| Ok(2)).unwrap();
        assert!((10..10 + 2 * AT_ONCE as u64).contains(&counted));
    }

    #[test]
    fn run_ends_with_a_violation() {
        let job = |number| if number == 3 { Err("lost".into()) } else { Ok(1) };
        assert_eq!(run(u64::MAX, u64::MAX, job).unwrap_err().to_string(), "lost");
    }
}
