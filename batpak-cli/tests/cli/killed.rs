//! An import that is killed at any time is finished by running it again.

use std::{
    os::unix::fs::PermissionsExt,
    process::{Child, Command, Stdio},
};

use crate::{
    git::{assert_equals_log, commit, repository},
    harness::Home,
};

const COMMITS: usize = 6_000;

/// Stands in for git: tells the first part of a history and then nothing more, as long as whoever asked is there.
const STALLING_GIT: &str = "#!/bin/sh
PATH=$REAL_PATH
case \" $* \" in
*' log '*) git \"$@\" | head -c 300000; while kill -0 $PPID 2>/dev/null; do sleep 0.05; done ;;
*) exec git \"$@\" ;;
esac
";

/// A history in which every tenth commit merges three arms.
fn generated() -> String {
    let mut stream = commit(1, 1, &[]);
    for mark in 2..=COMMITS {
        let parents = match mark % 10 {
            0 => vec![mark - 1, mark - 4, mark - 7],
            4 | 7 => vec![mark - 2],
            _ => vec![mark - 1],
        };
        stream += &commit(mark, mark % 37, &parents);
    }
    stream
}

/// Returns how many events a reader beside the writer sees, the genesis event too.
fn events(home: &Home) -> u64 {
    home.object(["stats", "s"])["events"].as_u64().expect("stats counts events")
}

fn start(import: &mut Command) -> Child {
    import.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the binary was built")
}

/// Kills an import (SIGKILL) as soon as a reader sees more events than before; returns whether it was still at work.
fn kill_after_progress(home: &Home, mut child: Child, before: u64) -> bool {
    while events(home) <= before && child.try_wait().expect("it was started").is_none() {}
    child.kill().expect("it was started");
    let killed = !child.wait().expect("it was started").success();
    assert_eq!(home.object(["verify", "s", "--no-keys"])["sound"], true);
    killed
}

#[test]
fn killed_import_is_finished_by_the_next_one() {
    let home = Home::sealed();
    repository(&home, "town", generated().as_bytes());
    home.write("bin-git", STALLING_GIT);
    std::fs::create_dir(home.path("bin")).unwrap();
    std::fs::rename(home.path("bin-git"), home.path("bin/git")).unwrap();
    std::fs::set_permissions(home.path("bin/git"), std::fs::Permissions::from_mode(0o755)).unwrap();

    // In the middle of the history, wherever the machine is slow or fast.
    let path = std::env::var("PATH").unwrap();
    let mut import = home.command(["import", "git", "s", "town"]);
    import.env("REAL_PATH", &path).env("PATH", format!("{}:{path}", home.path("bin").display()));
    assert!(kill_after_progress(&home, start(&mut import), 1));
    assert!((256..2_500).contains(&events(&home)), "{}", events(&home));

    // At moments of chance; on a fast machine the last of them may come too late, and that is no failure.
    for _ in 0..3 {
        let before = events(&home);
        kill_after_progress(&home, start(&mut home.command(["import", "git", "s", "town"])), before);
        assert!(events(&home) >= before);
    }

    let printed = home.object(["import", "git", "s", "town"]);
    let count = |name: &str| printed[name].as_u64().unwrap();
    assert_eq!(count("added") + count("repeated"), COMMITS as u64);
    assert!(count("repeated") >= 256);
    assert_eq!(home.object(["verify", "s"])["opened"], COMMITS);
    assert_equals_log(&home, "s", "town", "main");
    assert_eq!(home.object(["import", "git", "s", "town"])["added"], 0);
}
