//! Power cuts: what was synced is there afterwards, whatever the file system had in memory.

use std::fs;
use std::path::Path;

use crate::breakage::Breakage;
use crate::child::Worker;
use crate::control::caught_after;
use crate::ground::{Image, Mounted};
use crate::kills::{begin_again, pause};
use crate::line::Line;
use crate::model::{Failures, Model, Survives};
use crate::oracle::check;
use crate::random::Random;
use crate::script::Script;
use crate::shutdown::{Journal, cut};
use crate::tally::Counted;
use crate::{Outcome, crew, evidence};

const CUTS_A_STORE: u32 = 20;
const OPERATIONS: u32 = 200;
const IMAGE_BYTES: u64 = 64 << 20;
const CONTROL_RUNS: u64 = 30;

/// Cuts the power of workers' file systems `cuts` times; the images stand in `ground`.
///
/// # Errors
///
/// At the first violation.
pub(crate) fn run(ground: &Path, seed: u64, cuts: u64) -> Outcome<Counted> {
    let count = crew::run(u64::MAX, cuts, |number| {
        one_store(&ground.join(format!("power-{number}")), seed + number, CUTS_A_STORE, Breakage::None)
    })?;
    let caught_after = caught_after(ground, Breakage::Unsynced, CONTROL_RUNS, |run| {
        one_store(&ground.join(format!("power-control-{run}")), seed + run, 1, Breakage::Unsynced).is_err()
    })?;
    let note = "with and without the journal's last transaction".to_owned();
    Ok(Counted { count, note, caught_after })
}

/// Cuts a store's power so many times, and returns how many.
fn one_store(folder: &Path, seed: u64, rounds: u32, breakage: Breakage) -> Outcome<u64> {
    fs::create_dir_all(folder)?;
    let image = Image::create(&folder.join("image"), IMAGE_BYTES)?;
    let mut random = Random::new(seed);
    let mut model = Model::new(Survives::Synced, Failures::Expected);
    let mut mounted = Mounted::ext4(image.device(), &folder.join("mounted"))?;
    let place = mounted.target().join("place");
    for round in 0..rounds {
        // A cut may take the folder with it, as long as nothing was acknowledged in it.
        fs::create_dir_all(&place)?;
        let threads = if random.below(3) == 0 { 3 } else { 1 };
        let script = Script { seed, round, threads, operations: OPERATIONS, deferred: true, patient: false };
        let mut worker = Worker::start(&place, script, breakage)?;
        pause(&mut worker, script, &mut random)?;
        let journal = if random.below(2) == 0 { Journal::Committed } else { Journal::Lost };
        // What is said from here on was said without power: a real machine says nothing then, and a sync that the cut overtook
        // has been seen to return with success and its bytes lost.
        let written = worker.written()?;
        cut(mounted.target(), journal)?;
        let end = worker.kill()?;
        let trusted = end.lines_within(written);
        mounted.end()?;
        mounted = Mounted::ext4(image.device(), &folder.join("mounted"))?;
        fs::create_dir_all(&place)?;
        let is_seen = round + 1 == rounds || random.below(4) != 0 || !end.lines.iter().any(is_open);
        let recovered = evidence::note(&place, &end.lines, trusted)
            .and_then(|()| model.hear_until(script, &end.lines, trusted))
            .and_then(|()| if is_seen { check(&place, &mut model).map(|checked| checked.is_store) } else { Ok(true) });
        let is_store = recovered
            .map_err(|why| evidence::report(&place, breakage, &format!("seed {seed} round {round}: {why}")))?;
        if !is_store {
            begin_again(&place)?;
        }
    }
    mounted.end()?;
    drop(image);
    fs::remove_dir_all(folder)?;
    Ok(u64::from(rounds))
}

/// A store that no worker had open may be one whose creation was cut short, which only the oracle begins again.
fn is_open(line: &Line) -> bool {
    matches!(line, Line::Open { .. })
}
