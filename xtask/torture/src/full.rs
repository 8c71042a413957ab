//! A disk that is full, freed, and full again: what does not fit fails, the store reads on, and takes events again when
//! there is room.

use std::fs;
use std::path::Path;

use crate::breakage::Breakage;
use crate::child::Worker;
use crate::control::caught_after;
use crate::ground::{Ballast, Image, Mounted};
use crate::line::{Ended, Line};
use crate::model::{Failures, Model, Survives};
use crate::oracle::check;
use crate::random::Random;
use crate::script::{Operation, Script};
use crate::tally::Counted;
use crate::worker::FAILURES_UNTIL_TOLD;
use crate::{Outcome, crew, evidence};

const CYCLES_A_STORE: u32 = 5;
const OPERATIONS: u32 = 400;
const DISK_BYTES: u64 = 48 << 20;
const CONTROL_RUNS: u64 = 10;

/// Fills and frees disks under workers, `cycles` times; they are mounted in `ground`.
///
/// # Errors
///
/// At the first violation.
pub(crate) fn run(ground: &Path, seed: u64, cycles: u64) -> Outcome<Counted> {
    let stores = cycles.div_ceil(u64::from(CYCLES_A_STORE)) * 3;
    let count = crew::run(stores, cycles, |number| {
        one_store(&ground.join(format!("full-{number}")), seed + number, CYCLES_A_STORE, Breakage::None)
    })?;
    let caught_after = caught_after(ground, Breakage::Swallow, CONTROL_RUNS, |run| {
        one_store(&ground.join(format!("full-control-{run}")), seed + run, 1, Breakage::Swallow).is_err()
    })?;
    let note = "full, then freed, then appended to again; tmpfs and ext4 in turn".to_owned();
    Ok(Counted { count, note, caught_after })
}

/// Returns how many workers met the full disk and got on when it was freed.
fn one_store(folder: &Path, seed: u64, cycles: u32, breakage: Breakage) -> Outcome<u64> {
    fs::create_dir_all(folder)?;
    let image = match seed % 2 {
        0 => None,
        _ => Some(Image::create(&folder.join("image"), DISK_BYTES)?),
    };
    let mounted = match &image {
        None => Mounted::memory(&folder.join("mounted"), DISK_BYTES)?,
        Some(image) => Mounted::ext4(image.device(), &folder.join("mounted"))?,
    };
    let place = mounted.target().join("place");
    fs::create_dir_all(&place)?;
    let mut random = Random::new(seed);
    let mut model = Model::new(Survives::Buffered, Failures::Expected);
    let mut met = 0;
    for round in 0..cycles {
        let script = Script { seed, round, threads: 1, operations: OPERATIONS, deferred: false, patient: true };
        let outcome = one_cycle(&mounted, script, breakage, &mut random, &mut model);
        met += u64::from(
            outcome.map_err(|why| evidence::report(&place, breakage, &format!("seed {seed} round {round}: {why}")))?,
        );
    }
    mounted.end()?;
    drop(image);
    fs::remove_dir_all(folder)?;
    Ok(met)
}

fn one_cycle(
    mounted: &Mounted,
    script: Script,
    breakage: Breakage,
    random: &mut Random,
    model: &mut Model,
) -> Outcome<bool> {
    let place = mounted.target().join("place");
    // The first worker creates its store with room; then even opening may find none.
    let room = if model.opened { 4 } else { 300 } + random.below(120) as u64;
    let ballast = Ballast::leave(mounted.target(), room << 10)?;
    let mut worker = Worker::start(&place, script, breakage)?;
    let mut failures = 0;
    worker.until(|line| {
        failures += u32::from(matches!(line, Line::Done { ended: Ended::Failed { .. }, .. }));
        failures == FAILURES_UNTIL_TOLD
    })?;
    drop(ballast);
    let before = worker.said();
    worker.go_on();
    let end = worker.end()?;
    evidence::note(&place, &end.lines, end.lines.len())?;
    model.hear(script, &end.lines)?;
    check(&place, model)?;
    let met = failures == FAILURES_UNTIL_TOLD;
    match end.lines.get(before..).into_iter().flatten().find(|line| is_failed_append(script, line)) {
        Some(line) if met => Err(format!("the disk has room again, and the store takes no event: {line}").into()),
        _ => Ok(met),
    }
}

fn is_failed_append(script: Script, line: &Line) -> bool {
    match line {
        Line::Done { thread, at, ended } => {
            matches!(script.operation(*thread, *at), Operation::Append { .. })
                && !matches!(ended, Ended::Acknowledged { .. } | Ended::Refused)
        }
        Line::Closed | Line::NotOpen { .. } | Line::Open { .. } | Line::Process { .. } => false,
    }
}
