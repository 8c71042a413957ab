//! `cargo xtask ci`: all that a change must pass, in tiers, each under a cap of minutes.
//!
//! It stops at the first failure; the minutes of each tier that ran are printed either way, and a
//! tier over its cap fails.

use std::time::{Duration, Instant};

use crate::Outcome;
use crate::command::{self, cargo};
use crate::workspace::{self, Package};
use crate::{crash, fuzz, licences, loom, matrix, property, tidy, torture};

/// What is to be done about the tests.
#[derive(Debug)]
pub(crate) enum Tests {
    /// They are run.
    Run,
    /// The caller has just run them, and so long they took, build included.
    JustRun { took: Duration },
}

impl Tests {
    /// The time that was spent before this process, and counts.
    fn took_before(&self) -> Duration {
        match self {
            Tests::Run => Duration::ZERO,
            Tests::JustRun { took } => *took,
        }
    }
}

/// A group of checks with one cap on its time.
struct Tier {
    name: &'static str,
    /// On two cores, build included.
    minutes_max: u64,
    run: fn(&Tests) -> Outcome,
}

const TIERS: [Tier; 5] = [
    Tier { name: "build, lint, docs, tests", minutes_max: 25, run: base },
    Tier { name: "loom", minutes_max: 10, run: |_| loom::run() },
    Tier { name: "crash simulation", minutes_max: 16, run: |_| crash::run(&[]) },
    Tier { name: "hostile bytes", minutes_max: 10, run: |_| hostile() },
    Tier { name: "torture", minutes_max: 10, run: |_| torture::run(&[]) },
];

/// Runs every tier.
///
/// # Errors
///
/// At the first check that fails, and when a tier took longer than its cap.
pub(crate) fn run(tests: &Tests) -> Outcome {
    let mut report = Report::default();
    let mut outcome = Ok(());
    for (index, tier) in TIERS.iter().enumerate() {
        println!("== {}", tier.name);
        let begun = Instant::now();
        outcome = (tier.run)(tests);
        let before = if index == 0 { tests.took_before() } else { Duration::ZERO };
        report.add(tier, begun.elapsed() + before);
        if outcome.is_err() {
            break;
        }
    }
    print!("{}", report.lines);
    outcome?;
    match report.over.as_slice() {
        [] => Ok(()),
        over => Err(format!("over the cap: {}", over.join("; ")).into()),
    }
}

/// The minutes of the tiers that ran.
#[derive(Default)]
struct Report {
    lines: String,
    over: Vec<&'static str>,
}

impl Report {
    fn add(&mut self, tier: &Tier, took: Duration) {
        let minutes = took.as_secs_f64() / 60.0;
        let Tier { name, minutes_max, .. } = tier;
        self.lines += &format!("{minutes:6.1} of {minutes_max:2} minutes: {name}\n");
        if took > Duration::from_secs(minutes_max * 60) {
            self.over.push(name);
        }
    }
}

/// Formats, lints, documents and tests the workspace; the quickest checks come first.
fn base(tests: &Tests) -> Outcome {
    tidy::run()?;
    command::run(cargo(["fmt", "--all", "--check"]))?;
    licences::run()?;
    lint()?;
    document()?;
    match tests {
        Tests::Run => command::run(cargo(["test", "--workspace"])),
        Tests::JustRun { .. } => Ok(()),
    }
}

/// Damaged files, random operations, and the fuzz targets.
fn hostile() -> Outcome {
    matrix::run(matrix::Effort::Ci)?;
    property::run(property::CASES_CI)?;
    fuzz::run(fuzz::SECONDS_CI, None)
}

fn lint() -> Outcome {
    for words in lints(&workspace::members()?.packages) {
        let words = words.iter().map(String::as_str);
        command::run(cargo(words.chain(["--", "-D", "warnings"])))?;
    }
    Ok(())
}

/// Returns one clippy call for each feature set of the workspace, then one for each of a crate
/// with features of its own: in the workspace they are turned on by the crates above it.
fn lints(packages: &[Package]) -> Vec<Vec<String>> {
    let with_features = packages.iter().filter(|package| !package.features.is_empty());
    std::iter::once("--workspace".to_owned())
        .chain(with_features.map(|package| format!("--package={}", package.name)))
        .flat_map(|selection| {
            ["", "--all-features", "--no-default-features"].map(|features| {
                ["clippy", "--all-targets", &selection, features]
                    .into_iter()
                    .filter(|word| !word.is_empty())
                    .map(str::to_owned)
                    .collect()
            })
        })
        .collect()
}

fn document() -> Outcome {
    let mut doc = cargo(["doc", "--workspace", "--no-deps", "--all-features"]);
    doc.env("RUSTDOCFLAGS", "-D warnings");
    command::run(doc)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIER: Tier = Tier { name: "planted", minutes_max: 2, run: |_| Ok(()) };

    #[test]
    fn report_shows_minutes_and_names_a_tier_over_its_cap() {
        let mut report = Report::default();
        report.add(&TIER, Duration::from_secs(90));
        assert_eq!(report.lines, "   1.5 of  2 minutes: planted\n");
        assert_eq!(report.over, [""; 0]);
        report.add(&TIER, Duration::from_secs(121));
        assert_eq!(report.over, ["planted"]);
    }

    #[test]
    fn took_before_counts_the_tests_that_have_just_run() {
        let took = Duration::from_secs(3);
        assert_eq!(Tests::JustRun { took }.took_before(), took);
        assert_eq!(Tests::Run.took_before(), Duration::ZERO);
    }

    #[test]
    fn lints_cover_every_feature_set_and_crates_with_features_alone() {
        let mut featured = Package::planted("featured", &[]);
        featured.features.insert("extra".to_owned(), Vec::new());
        let calls: Vec<String> =
            lints(&[Package::planted("plain", &[]), featured]).iter().map(|words| words.join(" ")).collect();
        assert_eq!(
            calls,
            [
                "clippy --all-targets --workspace",
                "clippy --all-targets --workspace --all-features",
                "clippy --all-targets --workspace --no-default-features",
                "clippy --all-targets --package=featured",
                "clippy --all-targets --package=featured --all-features",
                "clippy --all-targets --package=featured --no-default-features",
            ]
        );
    }
}
