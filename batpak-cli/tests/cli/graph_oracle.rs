//! The causal graph of an imported history against git's own answers; `cargo xtask graph-oracle` asks many more.

use std::{
    collections::{BTreeSet, HashMap},
    process::Command,
};

use batpak_store::EventId;
use serde_json::Value;

use crate::{
    git::{HISTORY, commit, git, repository},
    harness::{Home, quiet_git},
};

/// Two branches that are merged into each other twice, then three at once into an octopus, and a root of its own.
fn crossed() -> String {
    let parents: [&[usize]; 16] = [
        &[],
        &[1],
        &[1],
        &[2, 3],
        &[3, 2],
        &[4],
        &[5],
        &[6, 7],
        &[7, 6],
        &[8, 9],
        &[1],
        &[11],
        &[10, 12, 9],
        &[],
        &[14, 3],
        &[13, 15],
    ];
    let branch = |at: usize| if at == 13 { "refs/heads/other" } else { "refs/heads/main" };
    let each = parents.iter().enumerate();
    each.map(|(at, parents)| commit(at + 1, at % 3, parents).replace("refs/heads/main", branch(at))).collect()
}

/// A repository and the store of its commits.
struct Both {
    home: Home,
    /// Git's ids, parents first.
    commits: Vec<String>,
    ids: HashMap<String, String>,
}

impl Both {
    fn new(stream: &[u8]) -> Self {
        let home = Home::sealed();
        repository(&home, "town", stream);
        home.ok(["import", "git", "s", "town"]);
        let log = git(&home, "town", &["rev-list", "--topo-order", "--reverse", "HEAD"], b"");
        let commits: Vec<String> = log.lines().map(str::to_owned).collect();
        let ids = commits.iter().map(|commit| (EventId::from_key(commit.as_bytes()).to_string(), commit.clone()));
        Self { ids: ids.collect(), commits, home }
    }

    fn git(&self, args: &[&str]) -> BTreeSet<String> {
        let mut command = Command::new("git");
        command.arg("-C").arg(self.home.path("town")).args(args);
        quiet_git(&mut command);
        let output = command.output().expect("git is installed");
        assert!(matches!(output.status.code(), Some(0 | 1)), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("ids are UTF-8").lines().map(str::to_owned).collect()
    }

    fn answers(&self, questions: &[String]) -> Vec<Value> {
        let run = self.home.run_with_input(["graph", "s", "ask", "--json", "--ids"], questions.join("\n").as_bytes());
        assert_eq!(run.code, 0, "{}", run.stderr);
        let answers: Vec<Value> = run.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        assert_eq!(answers.len(), questions.len());
        answers
    }

    fn commits_of(&self, events: &Value) -> BTreeSet<String> {
        let events = events.as_array().expect("it is a list").iter();
        events.map(|event| self.ids[event["id"].as_str().expect("it has an id")].clone()).collect()
    }

    /// Compares ancestors of every commit, and everything else of pairs; returns the most common ancestors of a pair.
    fn compare(&self) -> usize {
        let one = self.commits.iter().map(|commit| format!("ancestors {commit}"));
        for (commit, answer) in self.commits.iter().zip(self.answers(&one.collect::<Vec<_>>())) {
            let mut ancestors = self.git(&["rev-list", commit]);
            ancestors.remove(commit);
            assert_eq!(self.commits_of(&answer["answer"]), ancestors);
        }
        let pairs = self.commits.iter().flat_map(|first| self.commits.iter().map(move |second| (first, second)));
        // Each third pair: git is a process a question.
        let pairs: Vec<_> = pairs.step_by(3).collect();
        let three = |(first, second): &(&String, &String)| {
            ["relation", "common", "path"].map(|word| format!("{word} {first} {second}"))
        };
        let answers = self.answers(&pairs.iter().flat_map(three).collect::<Vec<_>>());
        let each = pairs.into_iter().zip(answers.chunks(3));
        each.map(|((first, second), answers)| self.compare_pair(first, second, answers)).max().unwrap_or(0)
    }

    fn compare_pair(&self, first: &str, second: &str, answers: &[Value]) -> usize {
        let common = self.git(&["merge-base", "--all", first, second]);
        assert_eq!(self.commits_of(&answers[1]["answer"]), common, "{first} {second}");
        let between = self.git(&["rev-list", "--ancestry-path", &format!("{first}..{second}")]);
        let relation = match (first == second, common.contains(first), common.contains(second)) {
            (true, ..) => "same",
            (_, true, _) => "before",
            (_, _, true) => "after",
            _ => "concurrent",
        };
        assert_eq!(answers[0]["answer"][0]["relation"], relation);
        let path = &answers[2]["answer"][0];
        assert_eq!(path.is_object(), !between.is_empty() || first == second, "{first} {second}");
        if path.is_object() {
            let mut path = self.commits_of(&path["events"]);
            assert!(path.remove(first) && path.is_subset(&between));
        }
        common.len()
    }
}

#[test]
fn history_with_merges_is_answered_as_git_answers() {
    assert_eq!(Both::new(HISTORY).compare(), 1);
}

#[test]
fn octopus_and_criss_cross_merges_are_answered_as_git_answers() {
    assert_eq!(Both::new(crossed().as_bytes()).compare(), 2);
}

#[test]
fn order_is_a_legal_topological_order_of_git() {
    for stream in [HISTORY, crossed().as_bytes()] {
        let both = Both::new(stream);
        let order = both.home.json(["graph", "s", "order"]);
        let place: HashMap<&str, usize> = order
            .iter()
            .enumerate()
            .map(|(at, event)| (both.ids[event["id"].as_str().unwrap()].as_str(), at))
            .collect();
        let listed = both.git(&["rev-list", "--topo-order", "--parents", "HEAD"]);
        assert_eq!(listed.len(), order.len());
        for line in &listed {
            let (commit, parents) = line.split_once(' ').unwrap_or((line, ""));
            assert!(parents.split_whitespace().all(|parent| place[parent] < place[commit]), "{line}");
        }
    }
}
