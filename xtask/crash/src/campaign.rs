//! One run from its seed to its verdict, and many of them on two threads.
//!
//! Invariant: a thread has one store at a time; what threads share is the set of states seen.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::explore::{Breadth, Explorer, Found, Seen};
use crate::journal::Journal;
use crate::ledger::Ledger;
use crate::life::{Life, Op};
use crate::place;
use crate::random::{Count, mix};
use crate::sim::fault::Kind;
use crate::violation::Violation;
use crate::watcher::Shot;
use crate::workload::{Class, Run};

/// How much is done.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    pub(crate) campaign: u32,
    pub(crate) time: Duration,
    /// Distinct states at which it ends before.
    pub(crate) enough: u64,
    pub(crate) threads: usize,
    pub(crate) breadth: Breadth,
}

/// What one class came to.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) runs: Count,
    pub(crate) checked: Count,
    pub(crate) distinct: Count,
    pub(crate) violations: Count,
    pub(crate) micros: Count,
}

/// How many classes there are.
pub(crate) const CLASSES: usize = Class::ALL.len();

/// Runs one run; with its trace when asked.
pub(crate) fn run(
    run: Run,
    breadth: Breadth,
    seen: &Seen,
    go_on: &(dyn Fn() -> bool + Sync),
    trace: bool,
) -> (Vec<Found>, Vec<String>) {
    let setup = run.setup();
    let operations = run.operations();
    let base = 2;
    let keep_from = match run.class {
        Class::Sequences => base + operations.len() - 1,
        Class::Creation => 0,
        _ => base,
    };
    let world = (Journal::default(), Arc::new(Ledger::new(run.class == Class::Copies)));
    let mut life = Life::on(setup, place::empty(), run.stream(), world, keep_from);
    if trace {
        life.disk.trace();
    }
    drive(&mut life, run, &operations);
    let shots = thinned(life.watcher.take_shots(), breadth.shots);
    let traced = life.disk.take_trace();
    let mut violations = life.watcher.violations();
    life.kill();
    let mut explorer = Explorer {
        setup,
        seed: mix(&[run.stream(), run.seed() >> 56]),
        breadth,
        seen,
        go_on,
        found: Vec::new(),
        way: vec![run.to_string()],
    };
    match run.class {
        _ if !violations.is_empty() => {}
        Class::OldCopies => explorer.mixtures(&shots),
        Class::Copies => explorer.copies(&shots),
        Class::Passphrase => {
            explorer.breadth.inside = 1;
            explorer.shots(&shots, 0);
        }
        _ => explorer.shots(&shots, 0),
    }
    let mut found = explorer.found;
    found.extend(violations.drain(..).map(|violation| Found { violation, way: vec![run.to_string()] }));
    (found, traced)
}

/// So many of the shots, evenly, the last one with them.
fn thinned(mut shots: Vec<Shot>, most: usize) -> Vec<Shot> {
    let stride = shots.len().div_ceil(most.max(1)).max(1);
    let last = shots.len() % stride;
    let mut at = 0;
    shots.retain(|_| {
        at += 1;
        at % stride == last % stride
    });
    shots
}

fn drive(life: &mut Life, run: Run, operations: &[Op]) {
    life.watcher.step(0);
    if let Err(why) = life.create() {
        life.watcher.violated(Violation::new("I3", format!("it cannot be created: {}", crate::violation::chain(&why))));
        return;
    }
    for step in 0..2 {
        life.watcher.step(step);
        life.perform(Op::New);
        life.rest();
    }
    if let Some(fault) = run.fault() {
        life.faulty = true;
        life.full = fault.kind == Kind::Full && fault.lasts == u64::MAX;
        life.disk.fault(Some(fault));
    }
    for (step, op) in operations.iter().enumerate() {
        life.watcher.step(2 + step);
        if !life.perform(*op) && life.store().is_none() {
            break;
        }
        life.rest();
    }
    if run.fault().is_some() {
        life.freed();
    }
}

/// Runs classes in turn until the time is over.
pub(crate) fn campaign(effort: &Effort, seen: &Seen, tallies: &[Tally; CLASSES]) -> Vec<(Run, Found)> {
    let end = Instant::now() + effort.time;
    let next: [Count; CLASSES] = Default::default();
    let all = std::sync::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..effort.threads {
            scope.spawn(|| {
                let go_on = || Instant::now() < end && seen.distinct() < effort.enough;
                while go_on() && crate::lock(&all).len() < 1000 {
                    let class = behind(tallies);
                    let index = next[class].add(1) as u32;
                    let class_of = Class::ALL[class];
                    let index = if class_of == Class::Sequences { Run::sequence_of(index) } else { index };
                    let run = Run { class: class_of, campaign: effort.campaign, index };
                    let begun = Instant::now();
                    let (distinct, checked) = (seen.distinct(), seen.checked.get());
                    let (found, _) = self::run(run, effort.breadth, seen, &go_on, false);
                    let tally = &tallies[class];
                    tally.runs.add(1);
                    tally.distinct.add(seen.distinct() - distinct);
                    tally.checked.add(seen.checked.get() - checked);
                    tally.violations.add(found.len() as u64);
                    tally.micros.add(begun.elapsed().as_micros() as u64);
                    crate::lock(&all).extend(found.into_iter().map(|found| (run, found)));
                }
            });
        }
    });
    all.into_inner().unwrap_or_default()
}

/// The class that has had the least of the time that is its share.
fn behind(tallies: &[Tally; CLASSES]) -> usize {
    const SHARES: [u64; CLASSES] = [2, 40, 25, 25, 4, 4, 3, 4];
    let had = |class: usize| tallies[class].micros.get() / SHARES[class];
    (0..SHARES.len()).min_by_key(|class| had(*class)).unwrap_or(0)
}
