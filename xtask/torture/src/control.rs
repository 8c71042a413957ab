//! Controls: a worker that breaks a rule must be caught, and by the fault alone.
//!
//! Invariant: the same worker without the fault passes, so what catches it is the tier and not the breakage itself.

use std::fs;
use std::path::Path;

use crate::breakage::Breakage;
use crate::child::Worker;
use crate::model::{Failures, Model, Survives};
use crate::oracle::check;
use crate::script::Script;
use crate::{Outcome, evidence};

/// Returns the first of `runs` at which `is_caught`, if any does.
///
/// # Errors
///
/// When the broken worker is caught without any fault.
pub(crate) fn caught_after(
    ground: &Path,
    breakage: Breakage,
    runs: u64,
    is_caught: impl Fn(u64) -> bool,
) -> Outcome<Option<u64>> {
    let place = ground.join(format!("fair-{}", breakage.name()));
    fs::create_dir_all(&place)?;
    let script = Script { seed: 1, round: 0, threads: 1, operations: 200, deferred: false, patient: false };
    let end = Worker::start(&place, script, breakage)?.end()?;
    let mut model = Model::new(Survives::Synced, Failures::None);
    model
        .hear(script, &end.lines)
        .and_then(|()| check(&place, &mut model))
        .map_err(|why| format!("the control is caught without a fault: {why}"))?;
    evidence::discard(&place);
    Ok((1..=runs).find(|run| is_caught(*run)))
}
