//! Runs a matrix: rounds outermost, adapters innermost, their order turned each round; every line is kept as it comes.
//!
//! Invariants: one process a measurement, and nothing to be written back from the one before; folders of a group are removed after it.

use std::collections::BTreeMap;
use std::env;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use super::case::{Case, Effort};
use super::matrix::Group;
use super::results::Line;
use crate::Outcome;
use crate::command::{self, call, cargo};

/// A measurement may take so many seconds.
const SECONDS_MAX: &str = "600";

/// The parameter of a case whose system calls are counted by strace.
pub(super) const TRACED: &str = "traced";

/// What is run, and how.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) groups: Vec<Group>,
    /// Instead of what each group asks for.
    pub(super) rounds: Option<u32>,
    pub(super) effort: Effort,
    /// Beginnings of the names of cases; none for all.
    pub(super) only: Vec<String>,
    /// None for all.
    pub(super) adapters: Vec<String>,
}

/// Where a run puts what it makes.
#[derive(Debug)]
pub(super) struct Places {
    pub(super) root: PathBuf,
    pub(super) program: PathBuf,
    pub(super) data: PathBuf,
    pub(super) results: PathBuf,
}

impl Places {
    /// Below the folder of build results, which is on the disk that the sources are on.
    pub(super) fn below(root: &Path, quick: bool) -> Places {
        let target = root.join("target/peers");
        Places {
            root: root.to_path_buf(),
            program: target.join("release/xtask-peers"),
            data: root.join("target/peers-data"),
            results: target.join(if quick { "quick.jsonl" } else { "results.jsonl" }),
        }
    }
}

/// Builds the program that measures.
///
/// # Errors
///
/// When it does not build.
pub(super) fn build(places: &Places) -> Outcome {
    command::run(outside(&["build", "--quiet", "--release"], &places.root))
}

/// A call of cargo for the package of that program, into a folder of its own, so that builds of the workspace do not undo it.
pub(super) fn outside(words: &[&str], root: &Path) -> Command {
    // Its lock file pins what it names; a new dependency of a library is added to it by the build.
    let mut command = cargo(words.iter().copied());
    command.arg("--manifest-path").arg(root.join("xtask/peers/Cargo.toml"));
    command.env("CARGO_TARGET_DIR", root.join("target/peers"));
    // What cargo says of this task's own package would make build scripts run again that look at it.
    for (name, _) in
        env::vars().filter(|(name, _)| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST"))
    {
        command.env_remove(name);
    }
    command
}

/// Runs all groups; adds their lines to the file of results.
///
/// # Errors
///
/// When the data folder or the file of results fails. An adapter that fails is a line with its error.
pub(super) fn run(plan: &Plan, places: &Places) -> Outcome {
    let run = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let mut out = File::options().create(true).append(true).open(&places.results)?;
    for group in &plan.groups {
        let begun = Instant::now();
        let group = plan.chosen(group);
        if group.cases.is_empty() {
            continue;
        }
        let rounds = plan.rounds.unwrap_or(group.rounds);
        eprintln!("peers: {}: {} cases, {rounds} rounds", group.name, group.cases.len());
        fs::create_dir_all(&places.data)?;
        let outcome = carry_out(plan, places, &group, (run, rounds), &mut out);
        fs::remove_dir_all(&places.data)?;
        outcome?;
        eprintln!("peers: {}: {:.0} s", group.name, begun.elapsed().as_secs_f64());
    }
    Ok(())
}

fn carry_out(plan: &Plan, places: &Places, group: &Group, (run, rounds): (u64, u32), out: &mut File) -> Outcome {
    for fill in group.fills() {
        for adapter in &fill.adapters {
            keep(out, &measured(plan, places, &fill, adapter, (run, 0)))?;
        }
    }
    for round in 0..rounds {
        for case in group.cases.iter().filter(|case| round < case.rounds) {
            let turn = round as usize % case.adapters.len();
            let (after, before) = (&case.adapters[turn..], &case.adapters[..turn]);
            for adapter in after.iter().chain(before) {
                keep(out, &measured(plan, places, case, adapter, (run, round)))?;
            }
        }
    }
    Ok(())
}

fn keep(out: &mut File, line: &Line) -> Outcome {
    if let Some(why) = &line.error {
        eprintln!("peers: {} of {}: {why}", line.case, line.adapter);
    }
    writeln!(out, "{}", serde_json::to_string(line)?)?;
    Ok(())
}

fn measured(plan: &Plan, places: &Places, case: &Case, adapter: &str, (run, round): (u64, u32)) -> Line {
    let request = case.of(adapter, &places.data, &plan.effort, round);
    let mut line = Line {
        run,
        round,
        case: case.name.clone(),
        adapter: adapter.to_owned(),
        request: request.clone(),
        values: BTreeMap::new(),
        error: None,
    };
    match values(places, &request) {
        Ok(values) => line.values = values,
        Err(why) => line.error = Some(why.to_string()),
    }
    line
}

fn values(places: &Places, request: &Value) -> Outcome<BTreeMap<String, f64>> {
    // What was written before is on the disk before the clock starts.
    call("sync", []).status()?;
    let mut request = request.clone();
    let traced = request.as_object_mut().and_then(|fields| fields.remove(TRACED));
    let mut command = Command::new("timeout");
    command.arg(SECONDS_MAX);
    if traced.is_some() {
        command.args(["strace", "-f", "-c", "-U", "calls,name"]);
    }
    let said = command.arg(&places.program).arg(request.to_string()).output()?;
    let aside = String::from_utf8_lossy(&said.stderr);
    if !said.status.success() {
        return Err(aside.lines().last().unwrap_or("it took too long").to_owned().into());
    }
    let mut values: BTreeMap<String, f64> = serde_json::from_slice(&said.stdout)?;
    if traced.is_some() {
        let events = request.get("events").and_then(Value::as_f64).ok_or("a traced request says how many events")?;
        // Times under a trace are of no use.
        values = BTreeMap::from([("calls_per_event".to_owned(), calls(&aside).ok_or("strace has no total")? / events)]);
    }
    Ok(values)
}

/// The total of all system calls in what strace prints.
fn calls(summary: &str) -> Option<f64> {
    let total = summary.lines().find(|line| line.trim_end().ends_with(" total"))?;
    total.split_whitespace().next()?.parse().ok()
}

impl Plan {
    /// The cases of a group that were asked for.
    fn chosen(&self, group: &Group) -> Group {
        let named = |case: &&Case| self.only.is_empty() || self.only.iter().any(|only| case.name.starts_with(only));
        let with_adapters = |case: &Case| {
            let mut case = case.clone();
            case.adapters.retain(|adapter| self.adapters.is_empty() || self.adapters.iter().any(|it| it == adapter));
            case
        };
        let cases = group.cases.iter().filter(named).map(with_adapters);
        let cases = cases.filter(|case| !case.adapters.is_empty()).collect();
        Group { name: group.name, cases, rounds: group.rounds }
    }
}

/// Shows a length of time in minutes.
pub(super) fn minutes(took: Duration) -> String {
    format!("{:.1} minutes", took.as_secs_f64() / 60.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peers::matrix;

    #[test]
    fn calls_takes_the_total_of_the_summary() {
        let summary = "    calls syscall\n--------- ----------------\n     2009 pwrite64\n--------- ----------------\n     8437 total\n";
        assert_eq!(calls(summary), Some(8437.0));
        assert_eq!(calls("strace: not traced"), None);
    }

    #[test]
    fn chosen_keeps_the_cases_and_adapters_that_were_named() {
        let plan = Plan {
            groups: Vec::new(),
            rounds: None,
            effort: Effort { divisor: 1 },
            only: vec!["append/synced/4096".to_owned()],
            adapters: vec!["raft-engine".to_owned()],
        };
        let group = plan.chosen(&matrix::goals()[0]);
        let found: Vec<_> = group.cases.iter().map(|case| (case.name.as_str(), case.adapters.clone())).collect();
        assert_eq!(found, [("append/synced/4096/1", vec!["raft-engine"])]);
    }
}
