//! `cargo xtask tidy`: the rules that hold for the tree and that no compiler checks.
//!
//! Each rule is one function from the tree to its violations, and each has a test in which it
//! finds a planted one.

mod benches;
mod fenced;
mod floors;
mod imports;
mod layout;
mod path;
mod shipped;
mod tokens;
mod tree;
mod unsafety;
mod words;

use std::fmt;

use crate::Outcome;
use crate::workspace;
use tree::Tree;

pub(crate) use floors::{LIBRARIES, layers};

/// One place that breaks one rule.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Violation {
    file: String,
    /// Counted from 1.
    line: usize,
    rule: &'static str,
    message: String,
}

impl Violation {
    fn new(rule: &'static str, file: &str, line: usize, message: impl Into<String>) -> Violation {
        Violation { file: file.to_owned(), line, rule, message: message.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Violation { file, line, rule, message } = self;
        write!(f, "{file}:{line}: {rule}: {message}")
    }
}

type Rule = fn(&Tree) -> Vec<Violation>;

const RULES: [Rule; 19] = [
    benches::groups_set_throughput,
    benches::libraries_have_benches,
    fenced::made_in_fence_only,
    fenced::fields_are_private,
    imports::files_in_disk_only,
    imports::locks_in_sync_only,
    imports::pure_crates_reach_nothing,
    layout::files_are_short,
    layout::folders_are_few,
    layout::format_is_specified,
    layout::modules_have_docs,
    layout::names_are_nouns,
    layout::readmes_are_short,
    unsafety::listed_files_only,
    unsafety::other_libraries_forbid_it,
    words::banned_names,
    words::banned_words,
    words::machine_paths,
    words::unfinished_work,
];

/// Prints every violation in the workspace as `file:line: rule: what is wrong`.
///
/// # Errors
///
/// When there is one, or the tree cannot be read.
pub(crate) fn run() -> Outcome {
    let workspace = workspace::members()?;
    let tree = Tree::read(&workspace.workspace_root)?;
    let mut violations: Vec<Violation> = RULES.iter().flat_map(|rule| rule(&tree)).collect();
    violations.extend(floors::imports(&tree, &workspace.packages));
    violations.sort();
    for violation in &violations {
        println!("{violation}");
    }
    if violations.is_empty() {
        println!("tidy: {} files, no violation", tree.files.len());
        Ok(())
    } else {
        Err(format!("tidy: {} violations", violations.len()).into())
    }
}

/// Returns `file:line` of each violation.
#[cfg(test)]
fn places(violations: &[Violation]) -> Vec<String> {
    violations.iter().map(|it| format!("{}:{}", it.file, it.line)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn violation_shows_where_which_rule_and_what() {
        let violation = Violation::new("some-rule", "a/b.rs", 7, "is wrong");
        assert_eq!(violation.to_string(), "a/b.rs:7: some-rule: is wrong");
    }
}
