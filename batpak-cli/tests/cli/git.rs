//! `import git`: what becomes of commits, parents and authors, and what cannot be imported.

use std::{
    fs,
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

use batpak_store::EventId;
use serde_json::Value;

use crate::harness::{Home, finished, quiet_git};

/// A small history with merges, octopus too, times in several zones, an empty message and one that is not UTF-8.
pub const HISTORY: &[u8] = include_bytes!("../history.fi");

/// Runs git in a repository under the home, and returns what it printed.
#[track_caller]
pub fn git(home: &Home, repo: &str, args: &[&str], input: &[u8]) -> String {
    let mut command = Command::new("git");
    command.arg("-C").arg(home.path(repo)).args(args);
    quiet_git(&mut command);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("git is installed");
    let mut stdin = child.stdin.take().expect("it is piped");
    stdin.write_all(input).expect("git reads its input");
    drop(stdin);
    let output = child.wait_with_output().expect("it was started");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Makes a repository from a fast-import stream.
pub fn repository(home: &Home, name: &str, stream: &[u8]) {
    fs::create_dir(home.path(name)).expect("the folder is writable");
    git(home, name, &["init", "--quiet", "--initial-branch=main"], b"");
    git(home, name, &["fast-import", "--quiet"], stream);
}

/// A commit of a fast-import stream on `main`.
pub fn commit(mark: usize, author: usize, parents: &[usize]) -> String {
    let message = format!("change {mark}\n");
    let who = format!("A{author} <a{author}@example.org> {} +0000", 1_700_000_000 + mark);
    let mut text = format!("commit refs/heads/main\nmark :{mark}\nauthor {who}\ncommitter {who}\n");
    text += &format!("data {}\n{message}", message.len());
    for (at, parent) in parents.iter().enumerate() {
        text += &format!("{} :{parent}\n", if at == 0 { "from" } else { "merge" });
    }
    text + "\n"
}

/// Checks that the events are the commits of `which`, in git's order, with their parents as causes.
#[track_caller]
pub fn assert_equals_log(home: &Home, store: &str, repo: &str, which: &str) {
    let log = git(home, repo, &["log", "--topo-order", "--reverse", "--format=%H %P", which, "--"], b"");
    let events = home.json(["read", store]);
    assert_eq!(events.len(), log.lines().count());
    for (line, event) in log.lines().zip(&events) {
        let mut ids = line.split_whitespace().map(|id| EventId::from_key(id.as_bytes()).to_string());
        assert_eq!(event["id"].as_str(), ids.next().as_deref());
        let causes: Vec<_> = event["causes"].as_array().expect("causes is a list").iter().collect();
        assert!(causes.iter().all(|cause| cause["external"] == false));
        let causes: Vec<_> = causes.iter().map(|cause| cause["id"].as_str().expect("an id").to_owned()).collect();
        assert_eq!(causes, ids.collect::<Vec<_>>());
    }
}

fn payloads(events: &[Value]) -> Vec<Value> {
    let payload = |event: &Value| serde_json::from_str(event["data"].as_str().expect("it is open"));
    events.iter().map(|event| payload(event).expect("it is JSON")).collect()
}

#[test]
fn history_is_read_as_git_tells_it() {
    let home = Home::sealed();
    repository(&home, "town.git", HISTORY);
    let printed = home.object(["import", "git", "s", "town.git"]);
    assert_eq!((printed["added"].as_u64(), printed["repeated"].as_u64()), (Some(12), Some(0)));
    assert_equals_log(&home, "s", "town.git", "main");
    let events = home.json(["read", "s"]);
    assert!(events.iter().all(|event| event["scope"] == "town" && event["kind"] == "1:1"));
    let format = "--format=%an%x1f%ae%x1f%aI%x1f%cI%x1f%ct%x1f%B%x1e";
    let log = git(&home, "town.git", &["log", "--topo-order", "--reverse", format, "main"], b"");
    for ((commit, event), payload) in log.split("\u{1e}\n").zip(&events).zip(payloads(&events)) {
        let fields: Vec<_> = commit.split('\u{1f}').collect();
        assert_eq!(payload["author"], serde_json::json!({ "name": fields[0], "email": fields[1] }));
        assert_eq!((payload["authored"].as_str(), payload["committed"].as_str()), (Some(fields[2]), Some(fields[3])));
        assert_eq!(event["time_us"].as_i64().unwrap(), fields[4].parse::<i64>().unwrap() * 1_000_000);
        assert_eq!(payload["message"].as_str(), Some(fields[5]));
    }
    let last = payloads(&events).pop().unwrap();
    assert_eq!(last["message_base64"], "Tm90IFVURi04OiD//iBlbmQK");
    assert_eq!(home.object(["verify", "s"])["opened"], 12);
}

#[test]
fn authors_are_numbered_by_first_appearance_and_stand_only_in_payloads() {
    let home = Home::sealed();
    repository(&home, "town", HISTORY);
    home.ok(["import", "git", "s", "town"]);
    let events = home.json(["read", "s"]);
    let mut seen: Vec<(String, String)> = Vec::new();
    for (event, payload) in events.iter().zip(payloads(&events)) {
        let identity = payload["author"].to_string();
        let entity = event["entity"].as_str().unwrap().to_owned();
        match seen.iter().find(|(known, _)| *known == identity) {
            Some((_, number)) => assert_eq!(*number, entity),
            None => {
                assert_eq!(entity, format!("author-{}", seen.len() + 1));
                seen.push((identity, entity));
            }
        }
    }
    assert_eq!(seen.len(), 4);
    for canary in ["Author One", "two@example.org", "Octopus arm"] {
        assert!(!contains(&home.path("s"), canary.as_bytes()), "{canary} stands in a file of the store");
    }
}

/// Tells whether bytes stand in any file under a directory.
fn contains(dir: &Path, canary: &[u8]) -> bool {
    let mut entries = fs::read_dir(dir).expect("it is a directory");
    entries.any(|entry| {
        let path = entry.expect("the directory can be read").path();
        if path.is_dir() {
            return contains(&path, canary);
        }
        fs::read(path).expect("the file can be read").windows(canary.len()).any(|window| window == canary)
    })
}

#[test]
fn same_history_twice_adds_nothing_and_later_commits_are_added() {
    let home = Home::sealed();
    repository(&home, "town", HISTORY);
    home.ok(["import", "git", "s", "town"]);
    let printed = home.object(["import", "git", "s", "town"]);
    assert_eq!((printed["added"].as_u64(), printed["repeated"].as_u64()), (Some(0), Some(12)));
    let late = "commit refs/heads/main\nauthor New <new@example.org> 1800000000 +0000\n\
                committer New <new@example.org> 1800000000 +0000\ndata 4\nnew\nfrom refs/heads/main^0\n\n\
                commit refs/heads/main\nauthor Author Two <two@example.org> 1800000001 +0000\n\
                committer Author Two <two@example.org> 1800000001 +0000\ndata 4\nold\n\n";
    git(&home, "town", &["fast-import", "--quiet"], late.as_bytes());
    let printed = home.object(["import", "git", "s", "town/.git"]);
    assert_eq!((printed["added"].as_u64(), printed["repeated"].as_u64()), (Some(2), Some(12)));
    assert_equals_log(&home, "s", "town", "main");
    let events = home.json(["read", "s"]);
    let entity_of = |at: usize| events[at]["entity"].as_str().unwrap();
    assert_eq!(entity_of(12), "author-5");
    assert_eq!(entity_of(13), entity_of(1));
}

#[test]
fn all_refs_can_be_asked_for_and_the_scope_chosen() {
    let home = Home::sealed();
    repository(&home, "town", HISTORY);
    home.ok(["import", "git", "s", "town", "--all", "--scope", "other"]);
    assert_equals_log(&home, "s", "town", "--all");
    let events = home.json(["read", "s", "--scope", "other"]);
    assert_eq!(events.len(), 13);
    home.ok(["init", "t", "--plaintext"]);
    home.fails(2, "--scope", &["import", "git", "t", "town", "--scope", ""]);
}

#[test]
fn one_identity_in_two_repositories_is_one_entity() {
    let home = Home::sealed();
    repository(&home, "one", commit(1, 1, &[]).as_bytes());
    repository(&home, "two", (commit(1, 2, &[]) + &commit(2, 1, &[1])).as_bytes());
    home.ok(["import", "git", "s", "one"]);
    home.ok(["import", "git", "s", "two"]);
    let events = home.json(["read", "s"]);
    let entities: Vec<_> = events.iter().map(|event| event["entity"].as_str().unwrap()).collect();
    assert_eq!(entities, ["author-1", "author-2", "author-1"]);
}

#[test]
fn shallow_boundary_has_external_causes_and_can_be_deepened() {
    let home = Home::sealed();
    repository(&home, "town", HISTORY);
    let url = format!("file://{}", home.path("town").display());
    git(&home, "", &["clone", "--quiet", "--depth", "2", &url, "shallow"], b"");
    home.ok(["import", "git", "s", "shallow"]);
    let events = home.json(["read", "s"]);
    let walked = git(&home, "shallow", &["log", "--format=%H"], b"").lines().count();
    assert_eq!(events.len(), walked);
    let causes = events[0]["causes"].as_array().unwrap();
    assert!(!causes.is_empty() && causes.iter().all(|cause| cause["external"] == true), "{causes:?}");
    git(&home, "shallow", &["fetch", "--quiet", "--unshallow"], b"");
    let printed = home.object(["import", "git", "s", "shallow"]);
    assert_eq!(printed["added"].as_u64().unwrap() as usize, 12 - walked);
    assert_eq!(home.object(["verify", "s"])["opened"], 12);
}

#[test]
fn octopus_merges_keep_their_parents_in_order() {
    let home = Home::sealed();
    let mut stream = commit(1, 1, &[]);
    for arm in 2..=65 {
        stream += &commit(arm, arm % 7, &[1]).replace("refs/heads/main", &format!("refs/heads/arm{arm}"));
    }
    let arms: Vec<_> = (2..=65).rev().collect();
    stream += &commit(66, 1, &arms);
    repository(&home, "town", stream.as_bytes());
    home.ok(["import", "git", "s", "town"]);
    assert_equals_log(&home, "s", "town", "main");
    let events = home.json(["read", "s"]);
    assert_eq!(events.last().unwrap()["causes"].as_array().unwrap().len(), 64);
}

#[test]
fn commit_with_too_many_parents_is_named_and_earlier_chunks_stay() {
    let home = Home::sealed();
    let mut stream = commit(1, 1, &[]);
    for mark in 2..=300 {
        stream += &commit(mark, 1, &[mark - 1]);
    }
    for arm in 301..=365 {
        stream += &commit(arm, 1, &[300]).replace("refs/heads/main", &format!("refs/heads/arm{arm}"));
    }
    stream += &commit(366, 1, &(301..=365).collect::<Vec<_>>());
    repository(&home, "town", stream.as_bytes());
    let id = git(&home, "town", &["rev-parse", "main"], b"");
    let run = home.run(["import", "git", "s", "town", "--json"]);
    let error: Value = serde_json::from_str(&run.stderr).unwrap();
    assert_eq!((run.code, error["commit"].as_str(), error["added"].as_u64()), (3, Some(id.trim()), Some(256)));
    assert!(error["error"].as_str().unwrap().contains("65 parents"));
    assert_eq!(home.json(["read", "s"]).len(), 256);
    assert_eq!(home.object(["verify", "s"])["sound"], true);
}

#[test]
fn parent_named_twice_is_one_cause() {
    let home = Home::sealed();
    repository(&home, "town", commit(1, 1, &[]).as_bytes());
    let parent = git(&home, "town", &["rev-parse", "main"], b"");
    let tree = git(&home, "town", &["rev-parse", "main^{tree}"], b"");
    let object =
        format!("tree {tree}parent {parent}parent {parent}author A <a@e> 1 +0000\ncommitter A <a@e> 1 +0000\n\nm\n");
    let id = git(&home, "town", &["hash-object", "-t", "commit", "-w", "--stdin", "--literally"], object.as_bytes());
    git(&home, "town", &["update-ref", "refs/heads/main", id.trim()], b"");
    home.ok(["import", "git", "s", "town"]);
    assert_eq!(home.json(["read", "s"])[1]["causes"].as_array().unwrap().len(), 1);
}

#[test]
fn mailmap_decides_who_an_author_is_and_may_change() {
    let home = Home::sealed();
    let stream = commit(1, 1, &[]) + &commit(2, 2, &[1]);
    repository(&home, "town", stream.as_bytes());
    home.ok(["import", "git", "s", "town"]);
    home.write("town/.mailmap", "A1 <a1@example.org> A2 <a2@example.org>\n");
    git(
        &home,
        "town",
        &["fast-import", "--quiet"],
        commit(3, 2, &[]).replace("\n\n", "\nfrom refs/heads/main^0\n\n").as_bytes(),
    );
    assert_eq!(home.object(["import", "git", "s", "town"])["added"], 1);
    let events = home.json(["read", "s"]);
    assert_eq!(events[2]["entity"], "author-1");
    assert!(events[2]["data"].as_str().unwrap().contains("a1@example.org"));
}

#[test]
fn empty_repository_adds_nothing() {
    let home = Home::sealed();
    repository(&home, "town", b"");
    for args in [&["import", "git", "s", "town"][..], &["import", "git", "s", "town", "--all"]] {
        assert_eq!(home.object(args)["added"], 0);
    }
}

#[test]
fn no_repository_and_no_git_are_told_apart() {
    let home = Home::sealed();
    fs::create_dir(home.path("empty")).unwrap();
    home.fails(2, "no git repository", &["import", "git", "s", "empty"]);
    home.fails(2, "no git repository", &["import", "git", "s", "nowhere"]);
    let run = finished(home.command(["import", "git", "s", "empty"]).env("PATH", home.path("empty")));
    assert_eq!((run.code, run.stderr.contains("git was not found")), (3, true), "{}", run.stderr);
}

#[test]
fn damaged_repository_is_an_error_and_not_a_short_history() {
    let home = Home::sealed();
    repository(&home, "town", b"");
    git(&home, "town", &["-c", "fastimport.unpackLimit=1000", "fast-import", "--quiet"], HISTORY);
    let root = git(&home, "town", &["rev-list", "--max-parents=0", "main"], b"");
    let (folder, file) = root.trim().split_at(2);
    fs::remove_file(home.path("town/.git/objects").join(folder).join(file)).unwrap();
    let run = home.run(["import", "git", "s", "town"]);
    assert_eq!(run.code, 3, "{}", run.stderr);
    assert!(run.stderr.contains("git stopped: "), "{}", run.stderr);
}
