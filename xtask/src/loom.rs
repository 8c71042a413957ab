//! `cargo xtask loom`: the models of the fence, the group sync and the pipeline, over the code that is shipped.
//!
//! Each model prints how many executions it explored and under which bound. A run that names no model fails, so that a filter that
//! matches nothing is not taken for a proof.

use std::env;

use crate::command::{cargo, output};
use crate::{Outcome, workspace};

/// Explores every model and its broken twin.
///
/// # Errors
///
/// When a model or a twin does not end as it should, or when none ran.
pub(crate) fn run() -> Outcome {
    let mut command = cargo(["test", "--release", "--package", "batpak-store", "--lib", "models", "--", "--nocapture"]);
    let flags = env::var("RUSTFLAGS").unwrap_or_default();
    command.env("RUSTFLAGS", format!("{flags} --cfg loom"));
    command.env("RUST_BACKTRACE", "0");
    // Another set of flags would otherwise rebuild everything twice.
    command.env("CARGO_TARGET_DIR", workspace::members()?.target_directory.join("loom"));
    let printed = output(command)?;
    let lines: Vec<&str> = printed.lines().filter(|line| is_result(line)).collect();
    lines.iter().for_each(|line| println!("{line}"));
    let (models, twins) = count(&lines);
    println!("loom: {models} models hold, {twins} broken twins were rejected");
    match (models, twins) {
        (0, _) | (_, 0) => Err("no model or no twin ran".into()),
        _ => Ok(()),
    }
}

fn is_result(line: &str) -> bool {
    line.starts_with("loom: ")
        || line.starts_with("test result: ")
        || (line.starts_with("test ") && line.ends_with("ok"))
}

/// How many models were explored, and how many twins were rejected.
fn count(lines: &[&str]) -> (usize, usize) {
    let models = lines.iter().filter(|line| line.starts_with("loom: ")).count();
    let twins = lines.iter().filter(|line| line.ends_with("_twin - should panic ... ok")).count();
    (models, twins)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn count_tells_models_from_twins() {
        let lines = [
            "loom: acked_means_synced: 4953 executions, preemption bound 3",
            "test models::pipeline::acked_means_synced ... ok",
            "test models::pipeline::acked_means_synced_twin - should panic ... ok",
        ];
        assert_eq!(count(&lines), (1, 1));
        assert_eq!(count(&[]), (0, 0));
    }
}
