//! `cargo xtask mutants`: mutation testing of the modules that the promises rest on.
//!
//! A mutant that no test fails on is missed. `xtask/mutants.txt` lists those that are accepted, each with the reason why no test can tell
//! it from the code; any other one fails the run. It takes hours over all modules, and is no part of `ci`.

use std::fs;
use std::path::{Path, PathBuf};

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
const INSTALL: &str = "cargo-mutants is not installed: `cargo install --locked --root target/tools cargo-mutants`";

/// Tests the mutants of these files, or of all modules.
///
/// # Errors
///
/// When cargo-mutants is absent, or a mutant is missed that the list does not accept.
pub(crate) fn run(files: &[&str]) -> Outcome {
    let root = workspace::members()?.workspace_root;
    let accepted = accepted(&fs::read_to_string(root.join(ACCEPTED))?)?;
    let out = root.join("target");
    let mut command = cargo(["mutants", "--no-shuffle", "--timeout", SECONDS_MAX, "--output"]);
    command.arg(&out).env("PATH", with_tools(&root)?);
    for file in if files.is_empty() { &MODULES[..] } else { files } {
        command.args(["--file", file]);
    }
    println!("$ cargo mutants, {} files", if files.is_empty() { MODULES.len() } else { files.len() });
    let status = command.status()?;
    // 0: all caught; 2: some missed; 3: some ran into the time limit.
    if !matches!(status.code(), Some(0 | 2 | 3)) {
        return Err(format!("{INSTALL}; or see what it printed: it ended with {status}").into());
    }
    let said = |name: &str| fs::read_to_string(out.join("mutants.out").join(name)).unwrap_or_default();
    let caught = said("caught.txt").lines().count() + said("timeout.txt").lines().count();
    report(&said("missed.txt"), caught, &accepted)
}

/// Prints the score, and fails on a mutant that was missed and is not accepted.
fn report(missed: &str, caught: usize, accepted: &[String]) -> Outcome {
    let missed: Vec<String> = missed.lines().map(without_place).collect();
    let all = caught + missed.len();
    let (known, new): (Vec<_>, Vec<_>) = missed.iter().partition(|mutant| accepted.contains(mutant));
    println!("mutants: {caught} of {all} caught, {} accepted, {} missed", known.len(), new.len());
    match (all, new.as_slice()) {
        (0, _) => Err("there was no mutant".into()),
        (_, []) => Ok(()),
        (_, new) => {
            new.iter().for_each(|mutant| println!("missed: {mutant}"));
            Err("mutants were missed: write a test for each, or its reason into xtask/mutants.txt".into())
        }
    }
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
        assert!(report(MISSED, 3, &[]).is_err());
        assert!(report(MISSED, 3, &["batpak-store/src/fence.rs: replace Fence::pass with ()".to_owned()]).is_ok());
        assert!(report("", 0, &[]).is_err(), "nothing was tested");
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
