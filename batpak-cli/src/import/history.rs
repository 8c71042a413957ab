//! The history of a git repository, as the `git` program tells it: parents before children.
//!
//! Invariant: the output is read field by field between NUL bytes, which no field can hold, so no name and no message is taken for
//! structure; and a history that git did not tell to its end is an error.

use std::{
    ffi::OsStr,
    fs::File,
    io::{self, BufRead, BufReader, Read, Seek},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
};

use crate::error::Exit;

/// Commit id, parents, author, committer's and author's date, message; each ended by a NUL byte.
const FORMAT: &str = "--format=%H%x00%P%x00%aN%x00%aE%x00%aI%x00%cI%x00%ct%x00%B";
/// Variables that would point git to another repository than the one that was named.
const ELSEWHERE: [&str; 5] = ["GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY", "GIT_INDEX_FILE"];
/// As much of git's own message as is shown.
const MESSAGE_BYTES_MAX: u64 = 2000;

/// Why a history cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// The program is not there.
    #[error("the program git was not found: install it, or import JSON lines")]
    NoGit,
    /// The program could not be run or read.
    #[error("git could not be run: {0}")]
    Run(#[source] io::Error),
    /// The directory is no repository that git opens.
    #[error("{} is no git repository that can be read: {message}", repo.display())]
    NoRepository { repo: PathBuf, message: String },
    /// Git stopped before the end.
    #[error("git stopped: {message}")]
    Stopped { message: String },
    /// Git said something that is no commit.
    #[error("git gave a commit that cannot be read")]
    Malformed,
}

impl HistoryError {
    /// Returns the exit code.
    pub const fn exit(&self) -> Exit {
        match self {
            Self::NoRepository { .. } => Exit::Usage,
            _ => Exit::Refused,
        }
    }
}

/// A repository.
#[derive(Debug)]
pub struct Repository {
    path: PathBuf,
    name: String,
    shallow: bool,
}

/// A commit as git tells it.
#[derive(Debug)]
pub struct Commit {
    /// The whole commit id, in hex.
    pub id: String,
    /// The ids of the parents, in git's order.
    pub parents: Vec<String>,
    /// The author's name, after the mailmap.
    pub name: Vec<u8>,
    /// The author's e-mail address, after the mailmap.
    pub email: Vec<u8>,
    /// When it was authored, RFC 3339 with offset; empty when the commit does not say.
    pub authored: String,
    /// When it was committed, RFC 3339 with offset; empty when the commit does not say.
    pub committed: String,
    /// When it was committed, seconds since 1970 UTC; 0 when the commit does not say.
    pub committed_s: i64,
    /// The message, as bytes.
    pub message: Vec<u8>,
}

impl Repository {
    /// Finds the repository that `path` stands in.
    ///
    /// # Errors
    /// [`HistoryError::NoGit`], [`HistoryError::Run`], [`HistoryError::NoRepository`].
    pub fn find(path: &Path) -> Result<Self, HistoryError> {
        let asked = ["rev-parse", "--is-shallow-repository", "--absolute-git-dir"];
        let answer = ask(path, asked)?;
        let Ok(answer) = answer else {
            let message = answer.err().unwrap_or_default();
            return Err(HistoryError::NoRepository { repo: path.to_owned(), message });
        };
        let (shallow, git_dir) = answer.split_once('\n').ok_or(HistoryError::Malformed)?;
        // A bare repository has no top level; then its own directory names it.
        let top = ask(path, ["rev-parse", "--show-toplevel"])?.ok().filter(|top| !top.trim_end().is_empty());
        let named = Path::new(top.as_deref().unwrap_or(git_dir).trim_end_matches('\n'));
        let named = if named.ends_with(".git") { named.parent().unwrap_or(named) } else { named };
        let name = named.file_name().unwrap_or(OsStr::new("repository")).to_string_lossy();
        let name = name.strip_suffix(".git").filter(|rest| !rest.is_empty()).unwrap_or(&name).to_owned();
        Ok(Self { path: path.to_owned(), name, shallow: shallow.trim() == "true" })
    }

    /// Returns the base name of the top-level directory.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Tells whether there is anything to walk: a fresh repository has no commits, and its HEAD names none.
    ///
    /// # Errors
    /// [`HistoryError::NoGit`], [`HistoryError::Run`].
    pub fn has_commits(&self, all: bool) -> Result<bool, HistoryError> {
        Ok(all || ask(&self.path, ["rev-parse", "--verify", "--quiet", "HEAD"])?.is_ok())
    }

    /// Returns how many commits a walk will tell.
    ///
    /// # Errors
    /// [`HistoryError::NoGit`], [`HistoryError::Run`], [`HistoryError::Stopped`].
    pub fn count(&self, all: bool) -> Result<u64, HistoryError> {
        let answer = ask(&self.path, ["rev-list", "--count", which(all), "--"])?;
        let count = answer.map_err(|message| HistoryError::Stopped { message })?;
        count.trim().parse().map_err(|_| HistoryError::Malformed)
    }

    /// Walks the commits, parents before children: those of HEAD, or those of all refs.
    ///
    /// # Errors
    /// [`HistoryError::NoGit`], [`HistoryError::Run`].
    pub fn walk(&self, all: bool) -> Result<Walk, HistoryError> {
        let messages = tempfile::tempfile().map_err(HistoryError::Run)?;
        let mut git = command(&self.path);
        git.args(["log", "-z", "--topo-order", "--reverse", "--encoding=UTF-8", "--no-show-signature"]);
        git.args(["--no-color", "--no-notes", "--no-patch", FORMAT, which(all), "--"]);
        let stderr = messages.try_clone().map_err(HistoryError::Run)?;
        let mut child = git.stdout(Stdio::piped()).stderr(stderr).spawn().map_err(not_run)?;
        let stdout = child.stdout.take().ok_or(HistoryError::Malformed)?;
        Ok(Walk { child, fields: BufReader::new(stdout), messages, repo: self.path.clone(), shallow: self.shallow })
    }
}

fn which(all: bool) -> &'static str {
    if all { "--all" } else { "HEAD" }
}

/// Commits as git tells them.
pub struct Walk {
    child: Child,
    fields: BufReader<ChildStdout>,
    messages: File,
    repo: PathBuf,
    shallow: bool,
}

impl Walk {
    /// Returns the next commit, or `None` when git has told all.
    ///
    /// # Errors
    /// [`HistoryError::Run`], [`HistoryError::Stopped`], [`HistoryError::Malformed`].
    pub fn next(&mut self) -> Result<Option<Commit>, HistoryError> {
        let Some(id) = self.field()? else {
            self.ended()?;
            return Ok(None);
        };
        let id = ascii(id)?;
        let mut parents = ids(&self.needed()?)?;
        let commit = Commit {
            name: self.needed()?,
            email: self.needed()?,
            authored: ascii(self.needed()?)?,
            committed: ascii(self.needed()?)?,
            committed_s: ascii(self.needed()?)?.parse().unwrap_or(0),
            message: self.needed()?,
            parents: Vec::new(),
            id,
        };
        if self.shallow && parents.is_empty() {
            parents = recorded_parents(&self.repo, &commit.id)?;
        }
        Ok(Some(Commit { parents, ..commit }))
    }

    /// Returns the next field, or `None` at the end.
    fn field(&mut self) -> Result<Option<Vec<u8>>, HistoryError> {
        let mut field = Vec::new();
        self.fields.read_until(0, &mut field).map_err(HistoryError::Run)?;
        match field.pop() {
            None => Ok(None),
            Some(0) => Ok(Some(field)),
            Some(_) => {
                self.ended()?;
                Err(HistoryError::Malformed)
            }
        }
    }

    /// Returns a field that has to be there.
    fn needed(&mut self) -> Result<Vec<u8>, HistoryError> {
        match self.field()? {
            Some(field) => Ok(field),
            None => {
                self.ended()?;
                Err(HistoryError::Malformed)
            }
        }
    }

    /// Checks that git ended well.
    fn ended(&mut self) -> Result<(), HistoryError> {
        if self.child.wait().map_err(HistoryError::Run)?.success() {
            return Ok(());
        }
        let mut message = Vec::new();
        self.messages.rewind().map_err(HistoryError::Run)?;
        (&self.messages).take(MESSAGE_BYTES_MAX).read_to_end(&mut message).map_err(HistoryError::Run)?;
        Err(HistoryError::Stopped { message: one_line(&message) })
    }
}

impl Drop for Walk {
    fn drop(&mut self) {
        // A walk that was left early has nobody to read it; one that ended is gone already, and both calls may fail then.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads the parents that a commit of a shallow boundary names, which the walk hides.
fn recorded_parents(repo: &Path, id: &str) -> Result<Vec<String>, HistoryError> {
    let object = ask(repo, ["cat-file", "commit", id])?.map_err(|message| HistoryError::Stopped { message })?;
    let header = object.lines().take_while(|line| !line.is_empty());
    Ok(header.filter_map(|line| line.strip_prefix("parent ")).map(str::to_owned).collect())
}

/// Starts a command line of git in a repository, away from what the environment says of others.
fn command(repo: &Path) -> Command {
    let mut git = Command::new("git");
    // A replaced object would give a commit id the content of another commit.
    git.arg("--no-replace-objects").arg("-C").arg(repo).stdin(Stdio::null());
    for variable in ELSEWHERE {
        git.env_remove(variable);
    }
    git
}

/// Asks git for a short answer; the inner error is git's own message.
fn ask<const N: usize>(repo: &Path, args: [&str; N]) -> Result<Result<String, String>, HistoryError> {
    let answer = command(repo).args(args).output().map_err(not_run)?;
    Ok(if answer.status.success() {
        Ok(String::from_utf8_lossy(&answer.stdout).into_owned())
    } else {
        Err(one_line(&answer.stderr))
    })
}

fn not_run(source: io::Error) -> HistoryError {
    match source.kind() {
        io::ErrorKind::NotFound => HistoryError::NoGit,
        _ => HistoryError::Run(source),
    }
}

/// Takes git's message as one line that is safe to print.
fn one_line(message: &[u8]) -> String {
    let text = String::from_utf8_lossy(message);
    let lines: Vec<_> = text.lines().map(|line| crate::output::printable(line.trim())).collect();
    lines.join("; ")
}

fn ascii(field: Vec<u8>) -> Result<String, HistoryError> {
    String::from_utf8(field).map_err(|_| HistoryError::Malformed)
}

fn ids(field: &[u8]) -> Result<Vec<String>, HistoryError> {
    let text = str::from_utf8(field).map_err(|_| HistoryError::Malformed)?;
    Ok(text.split(' ').filter(|id| !id.is_empty()).map(str::to_owned).collect())
}
