//! PERFORMANCE.md and the README's table: what stands between two comments is written from results, the rest by hand.
//!
//! Invariant: a part without a place is an error, and so is a document that is not there.

use std::fs;
use std::path::Path;

use super::results::Results;
use super::{figures, tables};
use crate::Outcome;

const DOCUMENT: &str = "PERFORMANCE.md";
const README: &str = "README.md";
const FIGURES: &str = "performance";
/// The part of the document that says why goals are missed, one item a goal: `- P4.1: why`.
const REASONS: &str = "## Where a goal is missed and why";

/// Writes every part and every figure below a folder that has the documents.
///
/// # Errors
///
/// When a document or one of its places is not there.
pub(super) fn write(root: &Path, results: &Results, setting: &str) -> Outcome {
    let document = root.join(DOCUMENT);
    let mut text = fs::read_to_string(&document)?;
    let reasons = reasons(&text);
    let parts = [
        ("setting", format!("{setting}\n")),
        ("goals", tables::goals(results, |number| reason(&reasons, number))),
        ("peers", tables::peers(results)),
        ("others", tables::others(results)),
        ("latencies", tables::latencies(results)),
    ];
    for (name, part) in parts {
        text = placed(&text, name, &part)?;
    }
    fs::write(document, text)?;
    let readme = root.join(README);
    let text = placed(&fs::read_to_string(&readme)?, "peers", &tables::main(results))?;
    fs::write(readme, text)?;
    let folder = root.join(FIGURES);
    fs::create_dir_all(&folder)?;
    for figure in figures::all(results) {
        fs::write(folder.join(figure.file), figure.svg)?;
    }
    Ok(())
}

/// Copies the documents elsewhere, so that they can be written there.
///
/// # Errors
///
/// When one cannot be read or written.
pub(super) fn copy(root: &Path, elsewhere: &Path) -> Outcome {
    fs::create_dir_all(elsewhere)?;
    for name in [DOCUMENT, README] {
        fs::copy(root.join(name), elsewhere.join(name))?;
    }
    Ok(())
}

fn placed(document: &str, name: &str, part: &str) -> Outcome<String> {
    let (begin, end) = (format!("<!-- {name}: begin -->\n"), format!("<!-- {name}: end -->"));
    let place = || format!("there is no place for {name}");
    let (before, rest) = document.split_once(&begin).ok_or_else(place)?;
    let (_, after) = rest.split_once(&end).ok_or_else(place)?;
    Ok(format!("{before}{begin}{part}{end}{after}"))
}

/// The reasons by goal.
fn reasons(document: &str) -> Vec<(String, String)> {
    let section = document.split_once(REASONS).map_or("", |(_, rest)| rest);
    let section = section.split_once("\n## ").map_or(section, |(section, _)| section);
    let item = |line: &str| {
        let (number, why) = line.strip_prefix("- ")?.split_once(": ")?;
        number.starts_with('P').then(|| (number.to_owned(), why.to_owned()))
    };
    section.lines().filter_map(item).collect()
}

/// That of the goal itself, or of all goals of its number.
fn reason(reasons: &[(String, String)], number: &str) -> Option<String> {
    let of = |wanted: &str| reasons.iter().find(|(number, _)| number == wanted).map(|(_, why)| why.clone());
    of(number).or_else(|| of(number.split('.').next()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placed_replaces_one_part_and_refuses_one_without_a_place() {
        let document = "a\n<!-- goals: begin -->\nold\n<!-- goals: end -->\nb\n";
        assert_eq!(placed(document, "goals", "new\n").unwrap(), document.replace("old", "new"));
        assert!(placed(document, "peers", "new\n").is_err());
    }

    #[test]
    fn reason_is_that_of_the_goal_or_of_its_number() {
        let reasons =
            reasons(&format!("- P9: not here\n{REASONS}\n\n- P4: all\n- P4.2: one\n\n## Next\n- P5: not here\n"));
        assert_eq!(reason(&reasons, "P4.2").as_deref(), Some("one"));
        assert_eq!(reason(&reasons, "P4.1").as_deref(), Some("all"));
        assert_eq!(reason(&reasons, "P5.1"), None);
        assert_eq!(reason(&reasons, "P9.1"), None);
    }
}
