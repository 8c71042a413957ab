//! Syncs that really fail: the file system's image stands on a full disk, so the first sync fails, later ones succeed,
//! and what was written is gone. Nothing is acknowledged after the first, and all that was acknowledged is there.

use std::fs;
use std::path::Path;

use crate::breakage::Breakage;
use crate::child::Worker;
use crate::control::caught_after;
use crate::ground::{Ballast, Image, Mounted};
use crate::kills::begin_again;
use crate::line::{Ended, Line};
use crate::model::{Failures, Model, Survives};
use crate::oracle::check;
use crate::random::Random;
use crate::script::Script;
use crate::tally::Counted;
use crate::{Outcome, crew, evidence};

const CYCLES_A_STORE: u32 = 5;
const OPERATIONS: u32 = 300;
const IMAGE_BYTES: u64 = 32 << 20;
/// Below the image's size: it is sparse, and can never be whole.
const DISK_BYTES: u64 = 28 << 20;
const CONTROL_RUNS: u64 = 20;

/// Lets syncs fail in `cycles` workers; the disks are mounted in `ground`.
///
/// # Errors
///
/// At the first violation.
pub(crate) fn run(ground: &Path, seed: u64, cycles: u64) -> Outcome<Counted> {
    let stores = cycles.div_ceil(u64::from(CYCLES_A_STORE)) * 3;
    let count = crew::run(stores, cycles, |number| {
        one_store(&ground.join(format!("sync-{number}")), seed + number, CYCLES_A_STORE, Breakage::None)
    })?;
    let caught_after = caught_after(ground, Breakage::Unsynced, CONTROL_RUNS, |run| {
        one_store(&ground.join(format!("sync-control-{run}")), seed + run, 2, Breakage::Unsynced).is_err()
    })?;
    let note = "workers that met a failed sync or write, and were held to what they had acknowledged".to_owned();
    Ok(Counted { count, note, caught_after })
}

/// Returns how many workers met a failure.
fn one_store(folder: &Path, seed: u64, cycles: u32, breakage: Breakage) -> Outcome<u64> {
    fs::create_dir_all(folder)?;
    let disk = Mounted::memory(&folder.join("disk"), DISK_BYTES)?;
    let image = Image::create(&disk.target().join("image"), IMAGE_BYTES)?;
    let mut random = Random::new(seed);
    let mut model = Model::new(Survives::Synced, Failures::Expected);
    let mut met = 0;
    for round in 0..cycles {
        let mounted = Mounted::ext4(image.device(), &folder.join("mounted"))?;
        let place = mounted.target().join("place");
        fs::create_dir_all(&place)?;
        // Of what is created now, nothing may be lost by the next cut.
        rustix::fs::syncfs(fs::File::open(mounted.target())?)?;
        let ballast = Ballast::leave(disk.target(), (80 + random.below(400) as u64) << 10)?;
        let script = Script { seed, round, threads: 1, operations: OPERATIONS, deferred: false, patient: false };
        let end = Worker::start(&place, script, breakage)?.end()?;
        // Still full: what the file system has in memory has nowhere to go.
        mounted.end()?;
        drop(ballast);
        let mounted = Mounted::ext4(image.device(), &folder.join("mounted"))?;
        fs::create_dir_all(&place)?;
        met += u64::from(end.lines.iter().any(is_failure));
        let recovered = evidence::note(&place, &end.lines, end.lines.len())
            .and_then(|()| model.hear(script, &end.lines))
            .and_then(|()| check(&place, &mut model));
        let checked = recovered
            .map_err(|why| evidence::report(&place, breakage, &format!("seed {seed} round {round}: {why}")))?;
        if !checked.is_store {
            begin_again(&place)?;
        }
        mounted.end()?;
    }
    drop(image);
    disk.end()?;
    Ok(met)
}

fn is_failure(line: &Line) -> bool {
    match line {
        Line::Done { ended, .. } => !matches!(ended, Ended::Acknowledged { .. } | Ended::Refused),
        Line::NotOpen { .. } => true,
        Line::Closed | Line::Open { .. } | Line::Process { .. } => false,
    }
}
