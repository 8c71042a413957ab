//! `cargo xtask api`: the public items of each library against the listing in `xtask/api/`.
//!
//! Whoever changes what a library offers changes its listing in the same commit, so that it is
//! seen. The listing is rustdoc's own view, all features on; implementations that every type has
//! are left out, derived ones are not: which types can be copied or printed is a promise here.

use std::fs;
use std::path::{Path, PathBuf};

use public_api::Builder;

use crate::Outcome;
use crate::command::{self, cargo};
use crate::tidy::LIBRARIES;
use crate::workspace::{self, Workspace};

/// Compares each library with its listing and prints the lines that differ.
///
/// # Errors
///
/// When one differs or has no listing, or a library does not compile.
pub(crate) fn compare() -> Outcome {
    let workspace = workspace::members()?;
    let mut differing = Vec::new();
    for library in LIBRARIES {
        let committed = fs::read_to_string(file(&workspace, library)).unwrap_or_default();
        let lines = difference(&committed, &listing(&workspace, library)?);
        if lines.is_empty() {
            println!("api: {library}: {} items", committed.lines().count());
        } else {
            println!("api: {library} differs from its listing:");
            lines.iter().for_each(|line| println!("{line}"));
            differing.push(library);
        }
    }
    if differing.is_empty() {
        Ok(())
    } else {
        let names = differing.join(", ");
        Err(format!("{names}: if it is meant, run `cargo xtask api --bless`").into())
    }
}

/// Writes each library's listing.
///
/// # Errors
///
/// When a library does not compile or its listing cannot be written.
pub(crate) fn bless() -> Outcome {
    let workspace = workspace::members()?;
    for library in LIBRARIES {
        let file = file(&workspace, library);
        if let Some(dir) = file.parent() {
            fs::create_dir_all(dir)?;
        }
        let listing = listing(&workspace, library)?;
        fs::write(&file, &listing)?;
        println!("api: {library}: {} items", listing.lines().count());
    }
    Ok(())
}

fn file(workspace: &Workspace, library: &str) -> PathBuf {
    let dir = workspace.workspace_root.join("xtask").join("api");
    dir.join(format!("{library}.txt"))
}

/// Returns the library's public items, one a line.
fn listing(workspace: &Workspace, library: &str) -> Outcome<String> {
    let json = document(&workspace.target_directory.join("xtask-api"), library)?;
    let api =
        Builder::from_rustdoc_json(json).omit_blanket_impls(true).omit_auto_trait_impls(true).sorted(true).build()?;
    Ok(api.items().map(|item| format!("{item}\n")).collect())
}

/// Writes rustdoc's JSON of the library; returns where. It is an unstable output that the stable
/// compiler has, and build results made under that switch stay in a folder of their own.
fn document(target: &Path, library: &str) -> Outcome<PathBuf> {
    let mut command = cargo(["rustdoc", "--quiet", "--lib", "--all-features"]);
    command.args(["--package", library, "--target-dir"]);
    command.arg(target);
    command.args(["--", "-Z", "unstable-options", "--output-format", "json"]);
    command.env("RUSTC_BOOTSTRAP", "1");
    command::run(command)?;
    let name = library.replace('-', "_");
    Ok(target.join("doc").join(format!("{name}.json")))
}

/// Returns the lines that one text has more often than the other, in order, marked `-` and `+`.
fn difference(committed: &str, current: &str) -> Vec<String> {
    let mut missing: Vec<&str> = Vec::new();
    let mut added: Vec<&str> = current.lines().collect();
    for line in committed.lines() {
        match added.iter().position(|it| *it == line) {
            Some(index) => drop(added.remove(index)),
            None => missing.push(line),
        }
    }
    let missing = missing.iter().map(|line| format!("- {line}"));
    let added = added.iter().map(|line| format!("+ {line}"));
    missing.chain(added).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn difference_names_lines_missing_and_added() {
        assert_eq!(
            difference("pub fn a()\npub fn b()\n", "pub fn b()\npub fn c()\n"),
            ["- pub fn a()", "+ pub fn c()"]
        );
        assert_eq!(difference("a\nb\n", "a\nb\n"), [""; 0]);
        assert_eq!(difference("a\n", "a\na\n"), ["+ a"]);
    }
}
