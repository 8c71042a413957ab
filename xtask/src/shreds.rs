//! `cargo xtask shreds [COUNT]`: many shreds one by one, and ten thousand key scopes at once.

use crate::Outcome;
use crate::command::{cargo, run as run_command};

/// So many shreds unless another number is given.
const SHREDS: &str = "100000";

/// Runs the store's example, which prints the figures.
///
/// # Errors
///
/// When a bound does not hold.
pub(crate) fn run(count: Option<&str>) -> Outcome {
    let shreds = count.unwrap_or(SHREDS);
    run_command(cargo(["run", "--release", "--package", "batpak-store", "--example", "many_shreds", "--", shreds]))
}
