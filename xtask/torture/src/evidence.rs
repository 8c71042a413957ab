//! What is left of a store that broke a promise: its files and its worker's lines, for whoever looks for the cause.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::{env, process};

use crate::Outcome;
use crate::breakage::Breakage;
use crate::line::Line;

/// The worker's lines, beside the store.
const SAID: &str = "said.txt";

/// Writes down what a worker has said; what it said after the first `trusted` lines, it said without power.
///
/// # Errors
///
/// When the file cannot be written.
pub(crate) fn note(place: &Path, lines: &[Line], trusted: usize) -> Outcome {
    let mut said = OpenOptions::new().create(true).append(true).open(noted(place))?;
    for (number, line) in lines.iter().enumerate() {
        let power = if number < trusted { "" } else { " (without power)" };
        writeln!(said, "{line}{power}")?;
    }
    Ok(writeln!(said, "ended")?)
}

/// Removes a store that is no longer needed.
pub(crate) fn discard(place: &Path) {
    // What stays goes with the folder of the run.
    let _ = fs::remove_dir_all(place);
    let _ = fs::remove_file(noted(place));
}

/// Copies a store to where it outlives the run, and returns the violation with the way to it; of a control nothing is kept.
pub(crate) fn report(place: &Path, breakage: Breakage, violation: &str) -> String {
    if breakage != Breakage::None {
        return violation.to_owned();
    }
    let name = place.file_name().unwrap_or_default();
    let folder: PathBuf = env::temp_dir().join(format!("batpak-violation-{}", process::id())).join(name);
    let _ = copy(place, &folder);
    let _ = fs::copy(noted(place), folder.join(SAID));
    let _ = fs::write(folder.join("violation.txt"), violation);
    format!("{violation}; kept in {}", folder.display())
}

fn noted(place: &Path) -> PathBuf {
    place.with_extension(SAID)
}

fn copy(from: &Path, to: &Path) -> Outcome {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &to)?;
        } else {
            fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}
