//! `cargo xtask peers`: the store and its peers side by side, and the tables and figures of PERFORMANCE.md from what was measured.
//!
//! The program that measures is a package of its own outside the workspace, `xtask/peers`; here is what it is asked, in which order, and
//! what becomes of its answers. Invariant: the documents are written from a file of results alone, and never from a quick run.

mod adapter;
mod case;
mod document;
mod figures;
mod goal;
mod goals;
mod matrix;
mod number;
mod plot;
mod results;
mod run;
mod setting;
mod tables;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::command;
use crate::{Outcome, workspace};
use case::Effort;
use results::{Line, Results};
use run::{Places, Plan};

const USAGE: &str =
    "usage: cargo xtask peers [--goals] [--quick] [--rounds N] [--only CASE,..] [--adapters NAME,..] [--out FILE]
       cargo xtask peers --from FILE | --check";

/// In a quick run counts of events are divided by this, and so many rounds are made.
const QUICK: (u64, u32) = (20, 2);

/// What the command line asks for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Asked {
    goals: bool,
    quick: bool,
    rounds: Option<u32>,
    only: Vec<String>,
    adapters: Vec<String>,
    out: Option<PathBuf>,
    from: Option<PathBuf>,
}

/// Measures what is asked and writes the documents, or writes them from a file of results.
///
/// # Errors
///
/// When the words are not understood, the program does not build, or a file fails. An adapter that fails is shown as one that fails.
pub(crate) fn run(words: &[&str]) -> Outcome {
    if words == ["--check"] {
        return check();
    }
    let asked = asked(words)?;
    let root = workspace::members()?.workspace_root;
    if let Some(results) = &asked.from {
        return render(&root, results);
    }
    let mut places = Places::below(&root, asked.quick);
    run::build(&places)?;
    if let Some(out) = &asked.out {
        places.results.clone_from(out);
    }
    let begun = Instant::now();
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    note(&places.results, &setting::line(now, asked.quick))?;
    run::run(&plan(&asked), &places)?;
    println!("peers: measured in {}, kept in {}", run::minutes(begun.elapsed()), places.results.display());
    render(&root, &places.results)
}

/// Formats and lints the program that measures, which stands outside the workspace.
///
/// # Errors
///
/// When it is not formatted or has lints.
pub(crate) fn check() -> Outcome {
    let root = workspace::members()?.workspace_root;
    for words in [&["fmt", "--check"][..], &["clippy", "--quiet", "--release", "--all-targets"]] {
        let mut command = run::outside(words, &root);
        if words.contains(&"clippy") {
            command.args(["--", "-D", "warnings"]);
        }
        command::run(command)?;
    }
    Ok(())
}

fn plan(asked: &Asked) -> Plan {
    let mut groups = matrix::goals();
    if !asked.goals {
        groups.extend(matrix::shown());
    }
    let (divisor, rounds) = if asked.quick { (QUICK.0, Some(QUICK.1)) } else { (1, None) };
    Plan {
        groups,
        rounds: asked.rounds.or(rounds),
        effort: Effort { divisor },
        only: asked.only.clone(),
        adapters: asked.adapters.clone(),
    }
}

/// Writes the documents; those of a quick run beside its results, since its counts are not those that the tables name.
fn render(root: &Path, file: &Path) -> Outcome {
    let text = fs::read_to_string(file).map_err(|why| format!("{}: {why}", file.display()))?;
    let lines = text.lines().map(serde_json::from_str).collect::<Result<Vec<Line>, _>>()?;
    let (machine, quick) = setting::last(&lines);
    let mut to = root.to_path_buf();
    if quick {
        to = file.with_extension("documents");
        document::copy(root, &to)?;
    }
    document::write(&to, &Results::of(lines), &machine)?;
    println!("peers: PERFORMANCE.md, README.md and performance/ are written in {}", to.display());
    Ok(())
}

fn note(file: &Path, line: &Line) -> Outcome {
    let before = fs::read_to_string(file).unwrap_or_default();
    Ok(fs::write(file, format!("{before}{}\n", serde_json::to_string(line)?))?)
}

fn asked(words: &[&str]) -> Outcome<Asked> {
    let mut asked = Asked::default();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().copied().ok_or(USAGE);
        let list = |text: &str| text.split(',').map(str::to_owned).collect();
        match *word {
            "--goals" => asked.goals = true,
            "--quick" => asked.quick = true,
            "--rounds" => asked.rounds = Some(value()?.parse()?),
            "--only" => asked.only = list(value()?),
            "--adapters" => asked.adapters = list(value()?),
            "--out" => asked.out = Some(PathBuf::from(value()?)),
            "--from" => asked.from = Some(PathBuf::from(value()?)),
            _ => return Err(USAGE.into()),
        }
    }
    Ok(asked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asked_reads_the_words_and_refuses_others() {
        let found = asked(&["--goals", "--rounds", "3", "--only", "append,get", "--adapters", "floor"]).unwrap();
        let (only, adapters) = (vec!["append".to_owned(), "get".to_owned()], vec!["floor".to_owned()]);
        assert_eq!(found, Asked { goals: true, rounds: Some(3), only, adapters, ..Asked::default() });
        assert!(asked(&["--rounds"]).is_err());
        assert!(asked(&["--soon"]).is_err());
    }
}
