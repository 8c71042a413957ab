//! `cargo xtask torture [--long] [--seed S]`: the store on the real kernel: kills, failing calls, power cuts, full disks, threads.
//!
//! The search of the raw image for destroyed keys ([`residue`]) is its last tier.
//!
//! The work is done by the package `xtask-torture`, which is built as a release is: a store that is killed should be a fast one.
//! With `BATPAK_TORTURE=require` a tier that cannot run, or counts nothing, fails; else what is skipped is said.

use crate::command::{call, cargo, run as run_command};
use crate::{Outcome, residue, workspace};

/// Builds the worker and its oracle, and runs them.
///
/// # Errors
///
/// When a promise is broken, a control is not caught, or a tier that is required did not run.
pub(crate) fn run(words: &[&str]) -> Outcome {
    run_command(cargo(["build", "--quiet", "--release", "--package", "xtask-torture"]))?;
    let binary = workspace::members()?.target_directory.join("release/xtask-torture");
    run_command(call(binary, words.iter().copied()))?;
    if words.contains(&"--only") { Ok(()) } else { residue::run() }
}
