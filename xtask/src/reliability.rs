//! `cargo xtask reliability`: runs the tiers of proof and writes what they counted into RELIABILITY.md.
//!
//! The document has a place for each tier, between two comments; what stands there is what the tier printed, with the command above it.
//! A tier that fails writes nothing, and neither does one without a place. What a run of `cargo xtask ci` printed serves as well: it runs
//! the same tiers.

use std::{env, fs, process::Command};

use crate::{Outcome, command::output, workspace};

const DOCUMENT: &str = "RELIABILITY.md";

/// The tiers, each as it is called.
const TIERS: [&[&str]; 7] =
    [&["loom"], &["crash"], &["matrix"], &["property"], &["fuzz", "--seconds", "5"], &["torture"], &["residue"]];

/// Takes the counts from what a run of `cargo xtask ci` that passed has printed.
///
/// # Errors
///
/// When the file cannot be read, or a tier has no place, or printed nothing there.
pub(crate) fn from_log(log: &str) -> Outcome {
    let log = fs::read_to_string(log)?;
    let path = workspace::members()?.workspace_root.join(DOCUMENT);
    for tier in TIERS {
        let name = tier.first().ok_or("a tier has a name")?;
        let printed = printed_in(&log, name);
        if printed.is_empty() {
            return Err(format!("the log has no counts of {name}").into());
        }
        let document = placed(&fs::read_to_string(&path)?, tier, &printed)?;
        fs::write(&path, document)?;
    }
    Ok(())
}

/// What a tier printed in a run of all of them: its table, or the lines that begin with its name.
fn printed_in(log: &str, name: &str) -> String {
    let heading = match name {
        "crash" => "== crash simulation",
        "torture" => "== torture",
        _ => {
            let prefix = format!("{name}: ");
            return log.lines().filter(|line| line.starts_with(&prefix)).map(|line| format!("{line}\n")).collect();
        }
    };
    let section = log.lines().skip_while(|line| *line != heading).skip(1).take_while(|line| !line.starts_with("== "));
    let counted =
        section.filter(|line| !is_build(line) && !line.starts_with("residue: ") && !line.contains(" minutes: "));
    counted.map(|line| format!("{line}\n")).collect()
}

/// Runs all tiers, or those that are named.
///
/// # Errors
///
/// For a name that is no tier's, and at the first tier that fails or has no place.
pub(crate) fn run(names: &[&str]) -> Outcome {
    if let Some(unknown) = names.iter().find(|name| !TIERS.iter().any(|tier| tier.first() == Some(name))) {
        return Err(format!("{unknown} is no tier").into());
    }
    let path = workspace::members()?.workspace_root.join(DOCUMENT);
    let asked = |tier: &&[&str]| names.is_empty() || tier.first().is_some_and(|name| names.contains(name));
    for tier in TIERS.into_iter().filter(asked) {
        let mut command = Command::new(env::current_exe()?);
        command.args(tier);
        let printed = output(command)?;
        print!("{printed}");
        let document = placed(&fs::read_to_string(&path)?, tier, &printed)?;
        fs::write(&path, document)?;
    }
    Ok(())
}

/// The document with a tier's output in its place.
fn placed(document: &str, tier: &[&str], printed: &str) -> Outcome<String> {
    let name = tier.first().ok_or("a tier has a name")?;
    let (begin, end) = (format!("<!-- {name}: begin -->\n"), format!("<!-- {name}: end -->"));
    let place = || format!("{DOCUMENT} has no place for {name}");
    let (before, rest) = document.split_once(&begin).ok_or_else(place)?;
    let (_, after) = rest.split_once(&end).ok_or_else(place)?;
    let counted: Vec<&str> = printed.lines().filter(|line| !is_noise(line)).collect();
    let block = format!("```text\n$ cargo xtask {}\n{}\n```\n", tier.join(" "), counted.join("\n"));
    Ok(format!("{before}{begin}{block}{end}{after}"))
}

/// Lines that say how a tier was run and not what it counted.
fn is_noise(line: &str) -> bool {
    line.trim().is_empty()
        || line.starts_with("$ ")
        || line.starts_with("test ")
        || line.starts_with("-- ")
        || is_build(line)
}

/// Lines in which cargo says what it builds.
fn is_build(line: &str) -> bool {
    let words =
        ["Compiling", "Finished", "Running", "Blocking", "Updating", "Downloaded", "Downloading", "Locking", "Adding"];
    line.starts_with(' ') && words.iter().any(|word| line.trim_start().starts_with(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = "# T\n<!-- loom: begin -->\nold\n<!-- loom: end -->\nrest\n";

    #[test]
    fn placed_replaces_what_stands_between_the_comments() {
        let new = placed(DOCUMENT, &["loom"], "$ cargo test\nloom: m: 3 executions\n\ntest result: ok\n").unwrap();
        let block = "```text\n$ cargo xtask loom\nloom: m: 3 executions\n```\n";
        assert_eq!(new, format!("# T\n<!-- loom: begin -->\n{block}<!-- loom: end -->\nrest\n"));
        assert_eq!(placed(&new, &["loom"], "loom: m: 3 executions\n").unwrap(), new);
    }

    #[test]
    fn placed_refuses_a_tier_without_a_place() {
        assert!(placed(DOCUMENT, &["crash"], "crash: 1 state\n").is_err());
    }

    #[test]
    fn printed_in_takes_a_tier_s_lines_and_a_tier_s_section() {
        let log = "== loom\n   Compiling a\nloom: m: 3\n== crash simulation\n    Finished x\nclass 1\ncrash: 1 distinct\n\
                   == torture\nkill 7\nresidue: 0 hits\n   1.0 of  8 minutes: loom\nexit 0\n";
        assert_eq!(printed_in(log, "loom"), "loom: m: 3\n");
        assert_eq!(printed_in(log, "crash"), "class 1\ncrash: 1 distinct\n");
        assert_eq!(printed_in(log, "residue"), "residue: 0 hits\n");
        assert_eq!(printed_in(log, "matrix"), "");
    }

    #[test]
    fn run_refuses_what_is_no_tier() {
        assert_eq!(run(&["looom"]).unwrap_err().to_string(), "looom is no tier");
    }
}
