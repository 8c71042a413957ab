//! `cargo xtask graph-oracle [REPO] [--queries N]`: the causal graph of a git history against git's own answers.
//!
//! A commit is an event and its parents are the causes, so git answers the same questions. The history is imported with
//! the real `batpak import git`, and both sides are asked as a user asks them. Any answer that differs is printed and
//! fails the task.

mod git;
mod history;
mod sample;
mod subject;
mod tally;

use std::fs;
use std::path::{Path, PathBuf};

use crate::Outcome;
use crate::command::{self, cargo};
use crate::workspace::{self, Workspace};
use git::Git;
use sample::{Kind, Query, Sampler};
use subject::Subject;
use tally::Tally;

/// For each history, unless another number is given.
const QUERIES: usize = 1_000;

/// Commits of the generated history.
const COMMITS: usize = 3_000;
const SEED: u64 = 0x6261_7470_616b;

/// Compares, with or without a repository of the caller's.
///
/// # Errors
///
/// When an answer differs, or a program cannot be run.
pub(crate) fn run(words: &[&str]) -> Outcome {
    let (repo, queries) = parse(words)?;
    let workspace = workspace::members()?;
    let binary = binary(&workspace)?;
    let scratch = workspace.target_directory.join("xtask-graph-oracle");
    if scratch.exists() {
        fs::remove_dir_all(&scratch)?;
    }
    fs::create_dir_all(&scratch)?;
    let repos = match repo {
        Some(repo) => vec![repo],
        None => {
            let bundled = fs::read(workspace.workspace_root.join("batpak-cli/tests/history.fi"))?;
            vec![
                Git::create(&scratch.join("bundled.git"), &bundled)?,
                Git::create(&scratch.join("generated.git"), history::generated(SEED, COMMITS).as_bytes())?,
            ]
        }
    };
    let mut mismatches = 0;
    for (number, repo) in repos.iter().enumerate() {
        mismatches += compare(&binary, &scratch.join(format!("store-{number}")), repo, queries)?;
    }
    fs::remove_dir_all(&scratch)?;
    match mismatches {
        0 => Ok(()),
        some => Err(format!("graph-oracle: {some} answers differ from git's").into()),
    }
}

/// Builds the command line as it is released, and returns its path.
pub(crate) fn binary(workspace: &Workspace) -> Outcome<PathBuf> {
    command::run(cargo(["build", "--quiet", "--release", "--package", "batpak-cli"]))?;
    Ok(workspace.target_directory.join("release/batpak"))
}

fn parse(words: &[&str]) -> Outcome<(Option<PathBuf>, usize)> {
    let (repo, rest) = match words {
        [repo, rest @ ..] if !repo.starts_with('-') => (Some(std::path::absolute(repo)?), rest),
        rest => (None, rest),
    };
    match rest {
        [] => Ok((repo, QUERIES)),
        ["--queries", count] => Ok((repo, count.parse()?)),
        _ => Err("usage: cargo xtask graph-oracle [REPO] [--queries N]".into()),
    }
}

/// Imports a history, asks both sides, prints what was compared, and returns how many answers differ.
fn compare(binary: &Path, store: &Path, repo: &Path, queries: usize) -> Outcome<usize> {
    let git = Git::open(repo)?;
    if git.commits.is_empty() {
        return Err(format!("{}: there is no commit", repo.display()).into());
    }
    let mut subject = Subject::import(binary, store, &git)?;
    let mut tally = Tally::new(&git)?;
    check_whole_order(&git, &subject.order()?, &mut tally);
    let mut sampler = Sampler::new(SEED, &git);
    for _ in 0..queries {
        let query = sampler.next();
        check(&git, &mut subject, query, &mut tally)?;
    }
    print!("{}", tally.shown());
    Ok(tally.mismatches())
}

/// The order of all events: git's commits, each once and behind its parents.
fn check_whole_order(git: &Git, order: &[usize], tally: &mut Tally) {
    let mut place = vec![None; git.commits.len()];
    for (at, &commit) in order.iter().enumerate() {
        place[commit] = Some(at);
    }
    let each_once = order.len() == git.commits.len() && place.iter().all(Option::is_some);
    let behind = |commit: usize| git.commits[commit].parents.iter().all(|&parent| place[parent] < place[commit]);
    let legal = each_once && order.iter().all(|&commit| behind(commit));
    tally.whole_order(legal);
}

fn check(git: &Git, subject: &mut Subject, query: Query, tally: &mut Tally) -> Outcome {
    let Query { kind, first, second } = query;
    let equal = match kind {
        Kind::Ancestors => {
            let mut expected = tally.git(kind, || git.ancestors(first))?;
            expected.retain(|&commit| commit != first);
            tally.sized(kind, expected.len());
            let (mut found, took) = subject.events("ancestors", &[first])?;
            tally.ours(kind, took);
            found.sort_unstable();
            found == expected
        }
        Kind::Common => {
            let expected = tally.git(kind, || git.merge_bases(first, second))?;
            tally.sized(kind, expected.len());
            let (mut found, took) = subject.events("common", &[first, second])?;
            tally.ours(kind, took);
            found.sort_unstable();
            found == expected
        }
        Kind::Relation => {
            let before = tally.git(kind, || git.is_ancestor(first, second))?;
            let after = git.is_ancestor(second, first)?;
            tally.sized(kind, usize::from(before || after));
            let (found, took) = subject.relation(first, second)?;
            tally.ours(kind, took);
            let expected = match (before, after) {
                (true, true) => "same",
                (true, false) => "before",
                (false, true) => "after",
                (false, false) => "concurrent",
            };
            found == expected
        }
        Kind::Path => {
            let between = tally.git(kind, || git.ancestry_path(first, second))?;
            tally.sized(kind, between.len());
            let (path, took) = subject.path(first, second)?;
            tally.ours(kind, took);
            is_path(git, &path, &between, first, second)
        }
        Kind::Order => {
            let listed = tally.git(kind, || git.topo_order(first))?;
            tally.sized(kind, listed.len());
            let (order, took) = subject.events("order", &[first])?;
            tally.ours(kind, took);
            is_legal(&order, &listed)
        }
    };
    if !equal {
        let (first, second) = (&git.commits[first].id, &git.commits[second].id);
        println!("differs: {} {first} {second}", kind.name());
        tally.differs(kind);
    }
    Ok(())
}

/// Whether there is a path exactly when git has commits between, and it is one: from end to end, each commit a parent
/// of the next, all of them among git's.
fn is_path(git: &Git, path: &[usize], between: &[usize], first: usize, second: usize) -> bool {
    if first == second {
        return path == [first] && between.is_empty();
    }
    if path.is_empty() || between.is_empty() {
        return path.is_empty() && between.is_empty();
    }
    let ends = path.first() == Some(&first) && path.last() == Some(&second);
    let linked = path.windows(2).all(|pair| git.commits[pair[1]].parents.contains(&pair[0]));
    ends && linked && path[1..].iter().all(|commit| between.binary_search(commit).is_ok())
}

/// Whether the order, read backwards, is a legal `git rev-list --topo-order`: the same commits, no parent before all of
/// its children are shown.
fn is_legal(order: &[usize], listed: &[(usize, Vec<usize>)]) -> bool {
    let mut place: Vec<(usize, usize)> = order.iter().enumerate().map(|(at, &commit)| (commit, at)).collect();
    place.sort_unstable();
    let place_of = |commit: usize| {
        let at = place.binary_search_by_key(&commit, |&(commit, _)| commit).ok()?;
        Some(place[at].1)
    };
    order.len() == listed.len()
        && listed.iter().all(|(commit, parents)| {
            place_of(*commit).is_some_and(|at| parents.iter().all(|&parent| place_of(parent) < Some(at)))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse_reads_repository_and_queries() {
        assert_eq!(parse(&[]).unwrap(), (None, QUERIES));
        assert_eq!(parse(&["--queries", "7"]).unwrap(), (None, 7));
        let (repo, queries) = parse(&["/repo", "--queries", "7"]).unwrap();
        assert_eq!((repo, queries), (Some(PathBuf::from("/repo")), 7));
        assert!(parse(&["--quick"]).is_err());
        assert!(parse(&["a", "b"]).is_err());
    }

    #[test]
    fn is_legal_finds_a_parent_behind_its_child_and_a_commit_left_out() {
        let listed = [(2, vec![1, 0]), (1, vec![0]), (0, vec![])];
        assert!(is_legal(&[0, 1, 2], &listed));
        assert!(!is_legal(&[1, 0, 2], &listed));
        assert!(!is_legal(&[0, 2], &listed));
        assert!(!is_legal(&[0, 1, 3], &listed));
    }

    #[test]
    fn is_path_finds_a_chain_that_is_none() {
        let git = Git::planted(&[&[], &[0], &[0], &[1, 2]]);
        assert!(is_path(&git, &[0, 2, 3], &[1, 2, 3], 0, 3));
        assert!(is_path(&git, &[], &[], 1, 2));
        assert!(is_path(&git, &[1], &[], 1, 1));
        for (path, between) in [
            (&[0, 3][..], &[1, 2, 3][..]),
            (&[0, 2], &[1, 2, 3]),
            (&[0, 2, 3], &[1, 3]),
            (&[], &[1, 2, 3]),
            (&[0, 2, 3], &[]),
        ] {
            assert!(!is_path(&git, path, between, 0, 3), "{path:?} {between:?}");
        }
    }
}
