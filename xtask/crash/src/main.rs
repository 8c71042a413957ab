//! The crash simulation: the shipped store on a disk that loses, tears and reorders, judged by an oracle.
//!
//! Invariant: a run is its seed. What is found is printed with the seed, the way to it, and the invariant that does not hold.
//!
//! `cargo xtask crash` builds and runs it; [`options`] says what it takes. There is no checkpoint in the engine yet, so the sequences
//! are those of the seven other operations. I8 and I22, which are about threads, are the models' (`cargo xtask loom`), and what I12
//! says of the process's memory is for a test that can look at it.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::{Mutex, MutexGuard, PoisonError};

use campaign::{Effort, Tally};
use explore::{Found, Seen};
use options::Options;
use workload::{Class, Run};

mod campaign;
mod copies;
#[cfg(batpak_defects)]
mod defects;
mod explore;
mod journal;
mod keyset;
mod ledger;
mod life;
mod mixture;
mod options;
mod oracle;
mod place;
mod random;
mod sim;
mod violation;
mod watcher;
mod workload;

/// So many violations are printed.
const SHOWN_MAX: usize = 12;

/// Takes a lock; what it guards is whole also when a check panicked.
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let sound = match Options::of(&words) {
        Err(usage) => {
            eprintln!("{usage}");
            false
        }
        Ok(Options::Replay(run)) => replay(run),
        Ok(Options::Defects { campaign, most }) => seeded(campaign, most),
        Ok(Options::Campaign { effort, least }) => explore(&effort, least),
    };
    if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[cfg(batpak_defects)]
fn seeded(campaign: u32, most: std::time::Duration) -> bool {
    defects::table(campaign, most)
}

#[cfg(not(batpak_defects))]
fn seeded(_: u32, _: std::time::Duration) -> bool {
    eprintln!("this build has no seeded defects: it takes RUSTFLAGS=\"--cfg batpak_defects\"");
    false
}

/// Runs one run again, with every call of the disk.
fn replay(run: Run) -> bool {
    println!("{run}");
    let (found, trace) = campaign::run(run, options::CI, &Seen::default(), &|| true, true);
    trace.iter().for_each(|line| println!("{line}"));
    found.iter().for_each(show);
    println!("{} violations", found.len());
    found.is_empty()
}

fn explore(effort: &Effort, least: u64) -> bool {
    let seen = Seen::default();
    let tallies: [Tally; campaign::CLASSES] = Default::default();
    let found = campaign::campaign(effort, &seen, &tallies);
    println!("{:12} {:>8} {:>12} {:>12} {:>11}", "workloads", "runs", "checked", "distinct", "violations");
    for (class, tally) in Class::ALL.iter().zip(&tallies) {
        let [runs, checked, distinct, violations] =
            [&tally.runs, &tally.checked, &tally.distinct, &tally.violations].map(|count| count.get());
        println!("{:12} {runs:8} {checked:12} {distinct:12} {violations:11}", class.name());
    }
    let distinct = seen.distinct();
    println!("crash: {distinct} distinct states, {} checked, {} violations", seen.checked.get(), found.len());
    let mut kinds: BTreeMap<String, &Found> = BTreeMap::new();
    for (_, found) in &found {
        kinds.entry(found.violation.to_string()).or_insert(found);
    }
    kinds.values().take(SHOWN_MAX).for_each(|found| show(found));
    if distinct < least {
        println!("{distinct} distinct states, {least} at least: give it more time");
    }
    found.is_empty() && distinct >= least
}

fn show(found: &Found) {
    println!("{}\n  {}", found.violation, found.way.join("\n  "));
}
