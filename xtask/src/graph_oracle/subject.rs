//! Batpak's side: a store of the imported commits, and one process that answers questions about it.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use super::git::Git;
use crate::Outcome;
use crate::command;

/// `batpak graph STORE ask`, and what its ids stand for.
pub(super) struct Subject<'g> {
    git: &'g Git,
    child: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
    numbers: HashMap<String, usize>,
}

impl<'g> Subject<'g> {
    /// Imports all commits of a repository into a new store, and asks for the id of each.
    pub(super) fn import(binary: &Path, store: &Path, git: &'g Git) -> Outcome<Subject<'g>> {
        let mut init = Command::new(binary);
        init.arg("init").arg(store).arg("--plaintext");
        command::output(init)?;
        let mut import = Command::new(binary);
        import.args(["import", "git"]).arg(store).arg(&git.repo).args(["--all", "--durability", "deferred"]);
        import.args(["--scope", "oracle"]);
        print!("{}: {}", git.repo.display(), command::output(import)?);
        let mut ask = Command::new(binary);
        ask.arg("graph").arg(store).args(["ask", "--json", "--ids"]);
        let mut child = ask.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let (Some(questions), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("the streams of `batpak graph ask` are not there".into());
        };
        let answers = BufReader::new(answers);
        let mut subject = Subject { git, child, questions, answers, numbers: HashMap::new() };
        for number in 0..git.commits.len() {
            let (answer, _) = subject.ask("relation", &[number, number])?;
            let id = answer[0]["first"].as_str().ok_or("a commit is not in the store")?;
            subject.numbers.insert(id.to_owned(), number);
        }
        Ok(subject)
    }

    /// All commits, in the order of the whole graph.
    pub(super) fn order(&mut self) -> Outcome<Vec<usize>> {
        Ok(self.events("order", &[])?.0)
    }

    /// The commits of an answer that is a list of events, and the time it took.
    pub(super) fn events(&mut self, question: &str, commits: &[usize]) -> Outcome<(Vec<usize>, Duration)> {
        let (answer, took) = self.ask(question, commits)?;
        Ok((self.numbers(&answer)?, took))
    }

    /// How a commit stands to another, and the time it took.
    pub(super) fn relation(&mut self, first: usize, second: usize) -> Outcome<(String, Duration)> {
        let (answer, took) = self.ask("relation", &[first, second])?;
        let relation = answer[0]["relation"].as_str().ok_or("the answer holds no relation")?;
        Ok((relation.to_owned(), took))
    }

    /// The shortest path, empty when there is none, and the time it took.
    pub(super) fn path(&mut self, first: usize, second: usize) -> Outcome<(Vec<usize>, Duration)> {
        let (answer, took) = self.ask("path", &[first, second])?;
        match answer.get(0) {
            Some(path) => Ok((self.numbers(&path["events"])?, took)),
            None => Ok((Vec::new(), took)),
        }
    }

    fn ask(&mut self, question: &str, commits: &[usize]) -> Outcome<(Value, Duration)> {
        let ids = commits.iter().map(|&commit| self.git.commits[commit].id.as_str());
        let words: Vec<&str> = std::iter::once(question).chain(ids).collect();
        writeln!(self.questions, "{}", json!(words))?;
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        let mut answer: Value = serde_json::from_str(&line)?;
        match answer["exit"].as_u64() {
            Some(0 | 1) => {
                let took = Duration::from_secs_f64(answer["seconds"].as_f64().unwrap_or_default());
                Ok((answer["answer"].take(), took))
            }
            _ => Err(format!("{}: {}", words.join(" "), answer["error"]).into()),
        }
    }

    fn numbers(&self, events: &Value) -> Outcome<Vec<usize>> {
        let number = |event: &Value| self.numbers.get(event["id"].as_str()?).copied();
        let events = events.as_array().ok_or("the answer is no list")?;
        let numbers: Option<Vec<usize>> = events.iter().map(number).collect();
        numbers.ok_or_else(|| "an event of the answer is no commit".into())
    }
}

impl Drop for Subject<'_> {
    fn drop(&mut self) {
        // It has nothing to lose: it only reads.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
