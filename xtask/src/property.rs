//! `cargo xtask property`: the store against a plain list in memory, over random operations.
//!
//! The test says how many cases, crashes and shreds it met; a run that says nothing fails.

use crate::Outcome;
use crate::command::{cargo, output};

/// What every change has to pass.
pub(crate) const CASES_CI: &str = "5000";

/// Draws so many cases.
///
/// # Errors
///
/// When the store does what the list does not, or when no case ran.
pub(crate) fn run(cases: &str) -> Outcome {
    let words = ["test", "--release", "--package", "batpak-store", "--test", "it", "model::", "--", "--nocapture"];
    let mut command = cargo(words);
    command.env("PROPTEST_CASES", cases.parse::<u32>()?.to_string());
    let printed = output(command)?;
    let lines: Vec<&str> = printed.lines().filter(|line| line.starts_with("property: ")).collect();
    lines.iter().for_each(|line| println!("{line}"));
    if lines.is_empty() { Err("no case ran".into()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn run_refuses_cases_that_are_no_number() {
        assert!(run("many").is_err());
    }
}
