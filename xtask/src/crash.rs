//! `cargo xtask crash`: the shipped store on a simulated disk, over every crash state there is time for, and the table of seeded
//! defects, each of which must be caught.
//!
//! The simulation is a program of its own (`xtask/crash`), built twice: as the store is shipped, and with the defects compiled in,
//! under a target folder of its own so that neither build undoes the other.

use std::env;

use crate::command::{call, cargo, run as run_command};
use crate::{Outcome, workspace};

/// Explores crash states, and looks for the seeded defects; `words` go to the simulation, which then does only what they say.
///
/// # Errors
///
/// When an invariant does not hold, a defect is not caught, or fewer states than asked for were reached.
pub(crate) fn run(words: &[&str]) -> Outcome {
    if words.contains(&"--defects") {
        return simulate(words, true);
    }
    simulate(words, false)?;
    if words.contains(&"--replay") { Ok(()) } else { simulate(&["--defects"], true) }
}

fn simulate(words: &[&str], defects: bool) -> Outcome {
    let target = workspace::members()?.target_directory;
    let target = if defects { target.join("defects") } else { target };
    let mut build = cargo(["build", "--release", "--quiet", "--package", "xtask-crash"]);
    build.env("CARGO_TARGET_DIR", &target);
    if defects {
        let flags = env::var("RUSTFLAGS").unwrap_or_default();
        build.env("RUSTFLAGS", format!("{flags} --cfg batpak_defects"));
    }
    run_command(build)?;
    run_command(call(target.join("release").join("xtask-crash"), words.iter().copied()))
}
