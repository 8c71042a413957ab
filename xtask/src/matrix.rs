//! `cargo xtask matrix`: every byte of every kind of file damaged, and what an open of the store makes of it.
//!
//! The table is printed by the store's own test, which fails when a damage is not found, reads as something else, or ends in a panic. A
//! run that prints no table fails, so that a filter that matches nothing is not taken for a proof.

use crate::Outcome;
use crate::command::{cargo, output};

/// How much of the matrix is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effort {
    /// All but what repeats itself.
    Ci,
    /// All of it.
    Long,
}

/// Runs the matrix and prints its table.
///
/// # Errors
///
/// When a damage is not answered as it must be, or when no table was printed.
pub(crate) fn run(effort: Effort) -> Outcome {
    let words = ["test", "--release", "--package", "batpak-store", "--test", "it", "matrix::", "--", "--nocapture"];
    let mut command = cargo(words);
    command.env("BATPAK_MATRIX", if effort == Effort::Long { "long" } else { "ci" });
    let printed = output(command)?;
    let lines: Vec<&str> = printed.lines().filter(|line| is_result(line)).collect();
    lines.iter().for_each(|line| println!("{line}"));
    match rows(&lines) {
        0 => Err("the matrix printed no table".into()),
        _ => Ok(()),
    }
}

fn is_result(line: &str) -> bool {
    line.starts_with("matrix: ") || line.starts_with("test result: ")
}

/// How many rows of a table there are.
fn rows(lines: &[&str]) -> usize {
    lines.iter().filter(|line| line.starts_with("matrix: ")).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_those_of_the_table() {
        let lines = ["matrix: lock 1 1 0", "test result: ok. 1 passed; 0 failed", "running 1 test"];
        assert_eq!(rows(&lines), 1);
        assert_eq!(lines.iter().filter(|line| is_result(line)).count(), 2);
    }
}
