//! The machine that results were taken on, in one sentence.
//!
//! Invariant: it says what bears on the figures, and nothing that names a machine or a person.

use std::fs;

use serde_json::{Value, json};

use super::results::Line;
use crate::command::{call, output};

/// The case under which results keep it.
const CASE: &str = "setting";

/// A line of results that says what this machine is, now.
pub(super) fn line(run: u64, quick: bool) -> Line {
    let request = json!({ "machine": machine(), "quick": quick });
    Line {
        run,
        round: 0,
        case: CASE.to_owned(),
        adapter: String::new(),
        request,
        values: Default::default(),
        error: None,
    }
}

/// What the last such line says, and whether it was a quick run.
pub(super) fn last(lines: &[Line]) -> (String, bool) {
    let found = lines.iter().rev().find(|line| line.case == CASE);
    let field = |name: &str| found.and_then(|line| line.request.get(name));
    let machine = field("machine").and_then(Value::as_str).unwrap_or("The machine was not noted.");
    (machine.to_owned(), field("quick").and_then(Value::as_bool).unwrap_or(false))
}

fn machine() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let cpus = read("/proc/cpuinfo");
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let cores = cpus.lines().filter(|line| line.starts_with("processor")).count();
    let memory =
        read("/proc/meminfo").lines().next().and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    let kernel = read("/proc/sys/kernel/osrelease");
    let load = read("/proc/loadavg");
    let said = |program: &str, words: &[&str]| output(call(program, words.iter().copied())).unwrap_or_default();
    let files = said("df", &["--output=fstype", "."]);
    let rustc = said("rustc", &["--version"]);
    let commit = said("git", &["rev-parse", "--short=10", "HEAD"]);
    format!(
        "{cores} cores of {}, {} GiB, {}, Linux {}, {}, thin LTO, no target-cpu; load {} when the run began; commit {}.",
        model.map_or("an unknown processor", |(_, model)| model.trim()),
        memory.unwrap_or_default() >> 20,
        files.lines().last().unwrap_or_default().trim(),
        kernel.split('-').next().unwrap_or_default().trim(),
        rustc.split(" (").next().unwrap_or_default().trim(),
        load.split(' ').next().unwrap_or_default(),
        commit.trim(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_finds_what_the_last_run_said() {
        let (machine, quick) = last(&[line(1, true), line(2, false)]);
        assert!(machine.contains(" cores of "), "{machine}");
        assert!(!quick);
        assert_eq!(last(&[]).0, "The machine was not noted.");
    }
}
