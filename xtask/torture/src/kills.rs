//! Kills at random moments: what the operating system had is there afterwards.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use crate::breakage::Breakage;
use crate::child::Worker;
use crate::control::caught_after;
use crate::line::Line;
use crate::model::{Failures, Model, Survives};
use crate::oracle::check;
use crate::random::Random;
use crate::script::Script;
use crate::tally::Counted;
use crate::{Outcome, crew, evidence};

/// A store sees so many kills; then a new one is begun.
const KILLS_A_STORE: u32 = 20;
const OPERATIONS: u32 = 300;
/// Runs of the control until it has to be caught.
const CONTROL_RUNS: u64 = 50;

/// Kills workers `kills` times, in places below `ground`.
///
/// # Errors
///
/// At the first violation.
pub(crate) fn run(ground: &Path, seed: u64, kills: u64) -> Outcome<Counted> {
    let (events, unseen) = (AtomicU64::new(0), AtomicU64::new(0));
    let count = crew::run(u64::MAX, kills, |number| {
        let place = ground.join(format!("kills-{number}"));
        let rounds = one_store(&place, seed + number, KILLS_A_STORE, Breakage::None)?;
        events.fetch_add(rounds.events, Ordering::Relaxed);
        unseen.fetch_add(rounds.unseen, Ordering::Relaxed);
        Ok(rounds.kills)
    })?;
    let control = |run: u64| {
        let place = ground.join(format!("kills-control-{run}"));
        let caught = one_store(&place, seed + 1_000_000 + run, 1, Breakage::Early).is_err();
        evidence::discard(&place);
        caught
    };
    let caught_after = caught_after(ground, Breakage::Early, CONTROL_RUNS, control)?;
    let (events, unseen) = (events.into_inner(), unseen.into_inner());
    let note = format!("{events} events there at the end, {unseen} kills recovered by the next worker");
    Ok(Counted { count, note, caught_after })
}

struct Rounds {
    kills: u64,
    events: u64,
    /// Kills after which another worker, and not the oracle, recovered.
    unseen: u64,
}

fn one_store(place: &Path, seed: u64, rounds: u32, breakage: Breakage) -> Outcome<Rounds> {
    std::fs::create_dir_all(place)?;
    let mut random = Random::new(seed);
    let mut model = Model::new(Survives::Buffered, Failures::None);
    let mut counted = Rounds { kills: 0, events: 0, unseen: 0 };
    for round in 0..rounds {
        let threads = if breakage == Breakage::None && random.below(3) == 0 { 3 } else { 1 };
        let script = Script {
            seed,
            round,
            threads,
            operations: OPERATIONS,
            deferred: breakage == Breakage::None,
            patient: false,
        };
        let outcome = one_round(place, script, breakage, &mut random, &mut model, &mut counted, round + 1 == rounds);
        outcome.map_err(|why| evidence::report(place, breakage, &format!("seed {seed} round {round}: {why}")))?;
    }
    evidence::discard(place);
    Ok(counted)
}

fn one_round(
    place: &Path,
    script: Script,
    breakage: Breakage,
    random: &mut Random,
    model: &mut Model,
    counted: &mut Rounds,
    is_last: bool,
) -> Outcome {
    let mut worker = Worker::start(place, script, breakage)?;
    pause(&mut worker, script, random)?;
    let end = worker.kill()?;
    counted.kills += u64::from(end.was_killed);
    evidence::note(place, &end.lines, end.lines.len())?;
    model.hear(script, &end.lines)?;
    // A creation that was cut short is only begun again by the oracle.
    if model.opened && !is_last && random.below(4) == 0 {
        counted.unseen += 1;
        return Ok(());
    }
    let checked = check(place, model)?;
    if !checked.is_store {
        begin_again(place)?;
    }
    counted.events += if is_last { checked.events } else { 0 };
    Ok(())
}

/// Waits for a moment that may be anywhere: while the store is opened, or somewhere in the script.
pub(crate) fn pause(worker: &mut Worker, script: Script, random: &mut Random) -> Outcome {
    let pause_us = match random.below(4) {
        0 => random.below(3_000),
        _ => {
            let mut left = random.below(usize::try_from(script.operations)? * usize::from(script.threads));
            worker.until(|line| {
                left = left.saturating_sub(usize::from(matches!(line, Line::Done { .. })));
                left == 0
            })?;
            random.below(400)
        }
    };
    thread::sleep(Duration::from_micros(pause_us as u64));
    Ok(())
}

/// A creation that was cut short is begun again, as the error says.
pub(crate) fn begin_again(place: &Path) -> Outcome {
    for name in ["store", "root.key"] {
        let path: PathBuf = place.join(name);
        if path.is_dir() {
            std::fs::remove_dir_all(path)?;
        } else if path.exists() {
            std::fs::remove_file(path)?;
        }
    }
    Ok(())
}
