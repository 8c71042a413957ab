//! An import that is killed at any time is finished by running it again.

use std::{
    process::Stdio,
    time::{Duration, Instant},
};

use crate::{
    git::{assert_equals_log, commit, repository},
    harness::Home,
};

const COMMITS: usize = 20_000;
const ROUNDS: u64 = 4;

/// A history in which every tenth commit merges three arms.
fn generated() -> String {
    let mut stream = commit(1, 1, &[]);
    for mark in 2..=COMMITS {
        let parents = match mark % 10 {
            _ if mark < 20 => vec![mark - 1],
            0 => vec![mark - 1, mark - 4, mark - 7],
            4 | 7 => vec![mark - 2],
            _ => vec![mark - 1],
        };
        stream += &commit(mark, mark % 37, &parents);
    }
    stream
}

/// Returns how many events a reader beside the writer sees.
fn events(home: &Home) -> u64 {
    home.json(["stats", "s"])[0]["events"].as_u64().expect("stats counts events")
}

#[test]
fn killed_import_is_finished_by_the_next_one() {
    let home = Home::sealed();
    repository(&home, "town", generated().as_bytes());
    let mut reached = events(&home);
    for _ in 0..ROUNDS {
        let mut import = home.command(["import", "git", "s", "town"]);
        let mut child = import.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the binary was built");
        let started = Instant::now();
        while events(&home) <= reached && started.elapsed() < Duration::from_secs(60) {}
        child.kill().expect("it was started");
        assert!(!child.wait().expect("it was started").success(), "the import ended before it was killed");
        let now = events(&home);
        assert!(now > reached && now < COMMITS as u64, "{reached} events before, {now} after");
        assert_eq!(home.object(["verify", "s"])["sound"], true);
        reached = now;
    }
    let printed = home.object(["import", "git", "s", "town"]);
    let count = |name: &str| printed[name].as_u64().expect("a count");
    assert_eq!(count("added") + count("repeated"), COMMITS as u64);
    assert!(count("repeated") > 0);
    assert_eq!(home.object(["verify", "s"])["opened"], COMMITS);
    assert_equals_log(&home, "s", "town", "main");
    assert_eq!(home.object(["import", "git", "s", "town"])["added"], 0);
}
