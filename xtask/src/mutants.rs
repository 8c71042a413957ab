//! `cargo xtask mutants`: mutation testing of the modules that the promises rest on.
//!
//! A mutant that no test fails on is missed. `xtask/mutants.txt` lists those that are accepted, each with the reason why no test can tell
//! it from the code; any other one fails the run. It takes hours over all modules, and is no part of `ci`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::command::cargo;
use crate::{Outcome, workspace};

/// The modules, by what they are.
const MODULES: [&str; 22] = [
    // Codec.
    "batpak-format/src/codec.rs",
    "batpak-format/src/footer.rs",
    "batpak-format/src/frame.rs",
    "batpak-format/src/header.rs",
    "batpak-format/src/record.rs",
    // Tree.
    "batpak-crypto/src/frontier.rs",
    "batpak-crypto/src/subtree.rs",
    "batpak-crypto/src/tree.rs",
    // Keyset.
    "batpak-keyset/src/body.rs",
    "batpak-keyset/src/destruction.rs",
    "batpak-keyset/src/load.rs",
    "batpak-keyset/src/mint.rs",
    "batpak-keyset/src/slots.rs",
    "batpak-keyset/src/verdict.rs",
    // Recovery.
    "batpak-segment/src/recovery.rs",
    "batpak-segment/src/recovery/*.rs",
    "batpak-segment/src/scan.rs",
    "batpak-segment/src/tail.rs",
    // Fence and commit.
    "batpak-store/src/fence.rs",
    "batpak-store/src/commit.rs",
    "batpak-store/src/pipeline.rs",
    "batpak-store/src/keys.rs",
];

const ACCEPTED: &str = "xtask/mutants.txt";
/// A mutant whose tests take longer counts as caught: it does not end.
const SECONDS_MAX: &str = "300";
/// What is printed for people is no promise; that secrets print nothing has tests of its own.
const LEFT_OUT: &str = "fmt::Debug";
const INSTALL: &str = "cargo-mutants is not installed: `cargo install --locked --root target/tools cargo-mutants`";

/// Tests the mutants of these files, or of all modules.
///
/// # Errors
///
/// When cargo-mutants is absent or ends early, or a mutant is missed that the list does not accept.
pub(crate) fn run(files: &[&str]) -> Outcome {
    let root = workspace::members()?.workspace_root;
    let accepted = accepted(&fs::read_to_string(root.join(ACCEPTED))?)?;
    let tools = with_tools(&root)?;
    let mut version = cargo(["mutants", "--version"]);
    if !version.env("PATH", &tools).stderr(Stdio::null()).stdout(Stdio::null()).status()?.success() {
        return Err(INSTALL.into());
    }
    let out = root.join("target");
    let mut command = cargo(["mutants", "--no-shuffle", "--profile", "mutants", "--timeout", SECONDS_MAX]);
    command.args(["--exclude-re", LEFT_OUT, "--output"]).arg(&out).env("PATH", tools);
    for file in if files.is_empty() { &MODULES[..] } else { files } {
        command.args(["--file", file]);
    }
    command.args(["--", "--tests"]);
    println!("$ cargo mutants, {} files", if files.is_empty() { MODULES.len() } else { files.len() });
    let status = command.status()?;
    let said = |name: &str| fs::read_to_string(out.join("mutants.out").join(name)).unwrap_or_default();
    let verdict = report(&said("missed.txt"), &[said("caught.txt"), said("timeout.txt")].concat(), &accepted);
    // 0: all caught; 2: some missed; 3: some ran into the time limit.
    if matches!(status.code(), Some(0 | 2 | 3)) {
        return verdict;
    }
    Err(format!("cargo-mutants ended early, with {status}: what is above is what it had tested until then").into())
}

/// Prints the score, by module and of all, and fails on a mutant that was missed and is not accepted.
fn report(missed: &str, caught: &str, accepted: &[String]) -> Outcome {
    let missed: Vec<String> = missed.lines().map(without_place).collect();
    // Each line of the list stands for one mutant: a second that reads the same is another.
    let mut left = accepted.to_vec();
    let (known, new): (Vec<_>, Vec<_>) = missed.iter().partition(|mutant| {
        let at = left.iter().position(|line| line == *mutant);
        at.map(|at| left.swap_remove(at)).is_some()
    });
    let mut modules: BTreeMap<&str, [usize; 3]> = BTreeMap::new();
    let lines = caught.lines().map(|line| (line, 0));
    let lines =
        lines.chain(known.iter().map(|line| (line.as_str(), 1))).chain(new.iter().map(|line| (line.as_str(), 2)));
    for (line, kind) in lines {
        let file = line.split(':').next().unwrap_or(line);
        modules.entry(file).or_default()[kind] += 1;
    }
    let mut all = [0; 3];
    for (file, counts) in &modules {
        println!("mutants: {file:44} {}", score(counts));
        all.iter_mut().zip(counts).for_each(|(all, count)| *all += count);
    }
    println!("mutants: {:44} {}", "all", score(&all));
    match (modules.is_empty(), new.as_slice()) {
        (true, _) => Err("there was no mutant".into()),
        (false, []) => Ok(()),
        (false, new) => {
            new.iter().for_each(|mutant| println!("missed: {mutant}"));
            Err("mutants were missed: write a test for each, or its reason into xtask/mutants.txt".into())
        }
    }
}

fn score([caught, accepted, missed]: &[usize; 3]) -> String {
    format!("{caught:4} of {:4} caught, {accepted:2} accepted, {missed:2} missed", caught + accepted + missed)
}

/// The accepted mutants: a line each, and under it, indented, why no test can tell it.
fn accepted(list: &str) -> Outcome<Vec<String>> {
    let lines: Vec<&str> = list.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty()).collect();
    let mut accepted = Vec::new();
    for pair in lines.chunks(2) {
        match pair {
            [mutant, reason] if !mutant.starts_with(' ') && reason.starts_with("    ") => {
                accepted.push((*mutant).to_owned());
            }
            _ => return Err(format!("{ACCEPTED}: {} has no reason under it", pair[0]).into()),
        }
    }
    Ok(accepted)
}

/// A mutant's line without the place in its file, which every edit moves.
fn without_place(line: &str) -> String {
    let (file, rest) = line.split_once(':').unwrap_or((line, ""));
    let what = rest.splitn(3, ':').nth(2).unwrap_or(rest);
    format!("{file}:{what}")
}

/// The search path with the folder in which tools are installed for this tree alone.
fn with_tools(root: &Path) -> Outcome<std::ffi::OsString> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let tools: PathBuf = root.join("target/tools/bin");
    Ok(std::env::join_paths(std::iter::once(tools).chain(std::env::split_paths(&path)))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MISSED: &str = "batpak-store/src/fence.rs:96:9: replace Fence::pass with ()\n";

    #[test]
    fn report_fails_on_a_missed_mutant_that_is_not_accepted() {
        let accepted = ["batpak-store/src/fence.rs: replace Fence::pass with ()".to_owned()];
        assert!(report(MISSED, "a.rs:1:2: b\n", &[]).is_err());
        assert!(report(MISSED, "a.rs:1:2: b\n", &accepted).is_ok());
        assert!(report("", "", &[]).is_err(), "nothing was tested");
        let twice = [MISSED, MISSED].concat();
        assert!(report(&twice, "", &accepted).is_err(), "a line stands for one mutant");
        assert!(report(&twice, "", &[accepted.clone(), accepted].concat()).is_ok());
    }

    #[test]
    fn score_counts_the_accepted_apart() {
        assert_eq!(score(&[30, 2, 1]), "  30 of   33 caught,  2 accepted,  1 missed");
    }

    #[test]
    fn accepted_asks_for_a_reason() {
        assert_eq!(accepted("# why\n\na: b\n    it is the same\n").unwrap(), ["a: b"]);
        assert!(accepted("a: b\nc: d\n").is_err());
        assert!(accepted("a: b\n").is_err());
    }

    #[test]
    fn without_place_keeps_file_and_change() {
        assert_eq!(without_place(MISSED.trim_end()), "batpak-store/src/fence.rs: replace Fence::pass with ()");
    }
}
