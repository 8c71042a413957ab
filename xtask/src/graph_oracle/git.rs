//! Git's side: its commits by number, parents first, and its answers in those numbers, sorted.

use std::collections::HashMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Outcome;

/// A repository, and the commits that all its refs reach.
#[derive(Debug)]
pub(super) struct Git {
    pub(super) repo: PathBuf,
    pub(super) commits: Vec<Commit>,
    numbers: HashMap<String, usize>,
}

/// One commit.
#[derive(Debug)]
pub(super) struct Commit {
    pub(super) id: String,
    /// Each once, as an import makes them causes.
    pub(super) parents: Vec<usize>,
}

impl Git {
    /// Makes a bare repository of a fast-import stream, and returns where it is.
    pub(super) fn create(repo: &Path, stream: &[u8]) -> Outcome<PathBuf> {
        let mut init = Command::new("git");
        init.args(["init", "--quiet", "--bare", "--initial-branch=main"]).arg(repo);
        crate::command::output(init)?;
        let mut import = call(repo, &["fast-import", "--quiet"]).stdin(Stdio::piped()).spawn()?;
        if let Some(mut stdin) = import.stdin.take() {
            stdin.write_all(stream)?;
        }
        match import.wait()? {
            status if status.success() => Ok(repo.to_owned()),
            status => Err(format!("git fast-import ended with {status}").into()),
        }
    }

    /// Lists the commits of a repository.
    pub(super) fn open(repo: &Path) -> Outcome<Git> {
        let mut git = Git { repo: repo.to_owned(), commits: Vec::new(), numbers: HashMap::new() };
        let listed = git.answer(&["rev-list", "--all", "--topo-order", "--reverse", "--parents"])?;
        for (number, line) in listed.lines().enumerate() {
            let mut ids = line.split(' ');
            let id = ids.next().unwrap_or_default().to_owned();
            let mut parents = Vec::new();
            for parent in ids.map(|id| git.numbers[id]) {
                if !parents.contains(&parent) {
                    parents.push(parent);
                }
            }
            git.numbers.insert(id.clone(), number);
            git.commits.push(Commit { id, parents });
        }
        Ok(git)
    }

    /// `git rev-list`: a commit and its ancestors.
    pub(super) fn ancestors(&self, commit: usize) -> Outcome<Vec<usize>> {
        self.sorted(&["rev-list", self.id(commit)])
    }

    /// `git merge-base --all`.
    pub(super) fn merge_bases(&self, first: usize, second: usize) -> Outcome<Vec<usize>> {
        self.sorted(&["merge-base", "--all", self.id(first), self.id(second)])
    }

    /// `git merge-base --is-ancestor`; a commit is an ancestor of itself.
    pub(super) fn is_ancestor(&self, earlier: usize, later: usize) -> Outcome<bool> {
        let status = call(&self.repo, &["merge-base", "--is-ancestor", self.id(earlier), self.id(later)]).status()?;
        match status.code() {
            Some(0) => Ok(true),
            Some(1) => Ok(false),
            _ => Err(format!("git merge-base ended with {status}").into()),
        }
    }

    /// `git rev-list --ancestry-path`: the commits on any way from one to another, without the first.
    pub(super) fn ancestry_path(&self, earlier: usize, later: usize) -> Outcome<Vec<usize>> {
        let range = format!("{}..{}", self.id(earlier), self.id(later));
        self.sorted(&["rev-list", "--ancestry-path", &range])
    }

    /// `git rev-list --topo-order`: a commit and its ancestors, children first, each with its parents.
    pub(super) fn topo_order(&self, commit: usize) -> Outcome<Vec<(usize, Vec<usize>)>> {
        let listed = self.answer(&["rev-list", "--topo-order", "--parents", self.id(commit)])?;
        let line = |line: &str| {
            let mut numbers = line.split(' ').map(|id| self.numbers[id]);
            (numbers.next().unwrap_or_default(), numbers.collect())
        };
        Ok(listed.lines().map(line).collect())
    }

    fn id(&self, commit: usize) -> &str {
        &self.commits[commit].id
    }

    fn sorted(&self, words: &[&str]) -> Outcome<Vec<usize>> {
        let mut numbers: Vec<usize> = self.answer(words)?.lines().map(|id| self.numbers[id]).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// What git printed; exit code 1 is an answer too, that there is nothing.
    pub(super) fn answer(&self, words: &[&str]) -> Outcome<String> {
        let output = call(&self.repo, words).stderr(Stdio::inherit()).output()?;
        match output.status.code() {
            Some(0 | 1) => Ok(String::from_utf8(output.stdout)?),
            _ => Err(format!("git {} ended with {}", words.join(" "), output.status).into()),
        }
    }

    /// A history of these parents, without a repository.
    #[cfg(test)]
    pub(super) fn planted(parents: &[&[usize]]) -> Git {
        let commit =
            |(number, parents): (usize, &&[usize])| Commit { id: number.to_string(), parents: parents.to_vec() };
        let commits: Vec<Commit> = parents.iter().enumerate().map(commit).collect();
        let numbers = commits.iter().enumerate().map(|(number, commit)| (commit.id.clone(), number));
        Git { repo: PathBuf::new(), numbers: numbers.collect(), commits }
    }
}

/// Git in a repository. Replaced objects are taken as they were, as the import takes them.
fn call(repo: &Path, words: &[&str]) -> Command {
    let mut command = Command::new("git");
    command.arg("--no-replace-objects").arg("-C").arg(repo).args(words);
    command
}
