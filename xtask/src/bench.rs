//! `cargo xtask bench`: every bench of every library, one after the other; with `--quick` in minutes, to see what each function costs about.
//!
//! Invariant: the benches are those that the manifests name; none is left out, and the list of those that ran is printed with their time.

use std::time::{Duration, Instant};

use crate::Outcome;
use crate::command::{self, cargo};
use crate::tidy::LIBRARIES;
use crate::workspace::{self, Package, Target};

/// How much is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effort {
    /// Criterion's own times, logs of a million events.
    Whole,
    /// Criterion's quick mode, smaller logs.
    Quick,
}

/// What the benches read of how large their logs are, and what a quick run asks for.
const SIZES: [(&str, &str); 4] = [
    ("BATPAK_BENCH_SCOPES", "20000"),
    ("BATPAK_BENCH_EVENTS", "20000"),
    ("BATPAK_BENCH_READS", "20000"),
    ("BATPAK_BENCH_OPENS", "20000"),
];

/// Runs all benches.
///
/// # Errors
///
/// At the first that does not build or fails.
pub(crate) fn run(effort: Effort) -> Outcome {
    let packages = workspace::members()?.packages;
    let mut ran = Vec::new();
    for (package, bench) in benches(&packages) {
        let begun = Instant::now();
        let words = words(package, bench, effort);
        let mut command = cargo(words.iter().map(String::as_str));
        if effort == Effort::Quick {
            command.envs(SIZES);
        }
        command::run(command)?;
        ran.push((format!("{} {}", package.name, bench.name), begun.elapsed()));
    }
    for (bench, took) in &ran {
        println!("{:6.1} s  {bench}", took.as_secs_f64());
    }
    let total: Duration = ran.iter().map(|(_, took)| *took).sum();
    println!("bench: {} benches in {:.1} minutes, build included", ran.len(), total.as_secs_f64() / 60.0);
    Ok(())
}

/// The benches of the libraries, lower floors first.
fn benches(packages: &[Package]) -> Vec<(&Package, &Target)> {
    let of = |library: &&str| packages.iter().find(|package| package.name == **library);
    let libraries = LIBRARIES.iter().filter_map(of);
    let is_bench = |target: &&Target| target.kind.iter().any(|kind| kind == "bench");
    libraries.flat_map(|package| package.targets.iter().filter(is_bench).map(move |bench| (package, bench))).collect()
}

fn words(package: &Package, bench: &Target, effort: Effort) -> Vec<String> {
    let mut words = ["bench", "--package", &package.name, "--bench", &bench.name].map(str::to_owned).to_vec();
    if !bench.required_features.is_empty() {
        words.extend(["--features".to_owned(), bench.required_features.join(",")]);
    }
    if effort == Effort::Quick {
        words.extend(["--".to_owned(), "--quick".to_owned()]);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(name: &str, kind: &str, features: &[&str]) -> Target {
        let required_features = features.iter().map(|feature| (*feature).to_owned()).collect();
        Target { name: name.to_owned(), kind: vec![kind.to_owned()], required_features }
    }

    fn package(name: &str, targets: Vec<Target>) -> Package {
        Package { targets, ..Package::planted(name, &[]) }
    }

    #[test]
    fn benches_are_those_of_the_libraries_lower_floors_first() {
        let packages = [
            package("batpak-store", vec![target("append", "bench", &[]), target("it", "test", &[])]),
            package("batpak-cli", vec![target("cli", "bench", &[])]),
            package("batpak-format", vec![target("frame", "bench", &[])]),
        ];
        let found: Vec<&str> = benches(&packages).iter().map(|(_, bench)| bench.name.as_str()).collect();
        assert_eq!(found, ["frame", "append"]);
    }

    #[test]
    fn words_turn_on_what_a_bench_needs() {
        let (package, bench) = (package("p", Vec::new()), target("b", "bench", &["json", "msgpack"]));
        let found = words(&package, &bench, Effort::Quick).join(" ");
        assert_eq!(found, "bench --package p --bench b --features json,msgpack -- --quick");
        let bench = target("b", "bench", &[]);
        assert_eq!(words(&package, &bench, Effort::Whole).join(" "), "bench --package p --bench b");
    }
}
