//! Kills at random moments: what the operating system had is there afterwards.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use crate::Outcome;
use crate::breakage::Breakage;
use crate::child::Worker;
use crate::evidence;
use crate::line::Line;
use crate::model::{Failures, Model, Survives};
use crate::oracle::check;
use crate::random::Random;
use crate::script::Script;
use crate::tally::Counted;

/// A store sees so many kills; then a new one is begun.
const KILLS_A_STORE: u32 = 20;
const OPERATIONS: u32 = 300;
/// Runs of the control until it has to be caught.
const CONTROL_RUNS: u64 = 50;
/// Two cores, and each store's oracle waits for its worker.
const AT_ONCE: u64 = 3;

/// Kills workers `kills` times, in places below `ground`.
///
/// # Errors
///
/// At the first violation.
pub(crate) fn run(ground: &Path, seed: u64, kills: u64) -> Outcome<Counted> {
    let (done, store) = (AtomicU64::new(0), AtomicU64::new(0));
    let ended: Mutex<Option<String>> = Mutex::new(None);
    let (acknowledged, begun_again) = (AtomicU64::new(0), AtomicU64::new(0));
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while done.load(Ordering::Relaxed) < kills && ended.lock().is_ok_and(|it| it.is_none()) {
                    let number = store.fetch_add(1, Ordering::Relaxed);
                    match one_store(
                        &ground.join(format!("kills-{number}")),
                        seed + number,
                        KILLS_A_STORE,
                        Breakage::None,
                    ) {
                        Ok(Rounds { kills, events, unseen }) => {
                            done.fetch_add(kills, Ordering::Relaxed);
                            acknowledged.fetch_add(events, Ordering::Relaxed);
                            begun_again.fetch_add(unseen, Ordering::Relaxed);
                        }
                        Err(violation) => {
                            ended
                                .lock()
                                .expect("no thread panics while it holds it")
                                .get_or_insert(violation.to_string());
                        }
                    }
                }
            });
        }
    });
    if let Some(violation) = ended.into_inner().map_err(|_| "a thread panicked")? {
        return Err(violation.into());
    }
    let control = |run: u64| {
        let place = ground.join(format!("kills-control-{run}"));
        let caught = one_store(&place, seed + 1_000_000 + run, 1, Breakage::Early).is_err();
        evidence::discard(&place);
        caught
    };
    let caught_after = (1..=CONTROL_RUNS).find(|run| control(*run));
    let note = format!(
        "{} events there, {} kills before a recovered store was looked at",
        acknowledged.into_inner(),
        begun_again.into_inner()
    );
    Ok(Counted { count: done.into_inner(), note, caught_after })
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
        let script = Script { seed, round, threads, operations: OPERATIONS, deferred: breakage == Breakage::None };
        let outcome = one_round(place, script, breakage, &mut random, &mut model, &mut counted, round + 1 == rounds);
        outcome.map_err(|why| evidence::kept(place, &format!("seed {seed} round {round}: {why}")))?;
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
    let pause = match random.below(4) {
        // While it opens, and recovers what was killed before.
        0 => random.below(3_000),
        _ => {
            let lines = random.below(usize::try_from(script.operations)? * usize::from(script.threads));
            let mut left = lines;
            worker.until(|line| {
                left = left.saturating_sub(usize::from(matches!(line, Line::Done { .. })));
                left == 0
            })?;
            random.below(400)
        }
    };
    thread::sleep(Duration::from_micros(pause as u64));
    let end = worker.kill()?;
    counted.kills += u64::from(end.was_killed);
    evidence::note(place, &end.lines)?;
    model.hear(script, &end.lines)?;
    if !is_last && random.below(4) == 0 {
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
