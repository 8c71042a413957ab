//! `demo`: in a repository, in an empty one, and where there is none.

use crate::{
    git::{commit, repository},
    harness::{Home, Run, finished},
};

fn demo(home: &Home, dir: &str, more: &[&str]) -> Run {
    let args = ["demo"].iter().chain(more);
    finished(home.command(args).current_dir(home.path(dir)))
}

fn object(run: &Run) -> serde_json::Value {
    assert_eq!(run.code, 0, "{}", run.stderr);
    serde_json::from_str(&run.stdout).expect("it prints one object")
}

#[test]
fn demo_uses_the_bundled_history_where_no_repository_is() {
    let home = Home::new();
    let printed = object(&demo(&home, "", &["--json"]));
    assert_eq!((printed["source"].as_str(), printed["events"].as_u64()), (Some("bundled"), Some(120)));
    for step in ["import", "read", "verify", "verify_without_keys"] {
        assert!(printed[step]["events"].as_u64().unwrap() >= 120, "{step}");
    }
    assert!(printed["kept"].is_null());
    let shred = &printed["shred"];
    let (shredded, open) = (shred["shredded"].as_u64().unwrap(), shred["open"].as_u64().unwrap());
    assert!(shredded > 0 && open > 0 && shredded + open == 120 && shred["keys"] == 1, "{shred}");
    let text = demo(&home, "", &[]);
    assert!(text.stdout.contains("events/s") && text.stdout.contains("--keep"), "{}", text.stdout);
    let became = format!("{shredded} events read as shredded, {open} still open");
    assert!(text.stdout.contains(&became), "{}", text.stdout);
    assert_eq!(shred["certificate"].as_str().map(str::len), Some(64));
    assert!(text.stdout.contains("checked against the log without any key"), "{}", text.stdout);
    assert_eq!(text.stderr, "");
}

#[test]
fn demo_uses_the_repository_it_stands_in() {
    let home = Home::new();
    repository(&home, "town", (commit(1, 1, &[]) + &commit(2, 2, &[1])).as_bytes());
    let printed = object(&demo(&home, "town/.git/refs", &["--json"]));
    assert_eq!((printed["events"].as_u64(), printed["entities"].as_u64()), (Some(2), Some(2)));
    let printed = object(&demo(&home, "town", &["--json", "--bundled"]));
    assert_eq!(printed["events"], 120);
    repository(&home, "empty", b"");
    let printed = object(&demo(&home, "empty", &["--json"]));
    assert_eq!(printed["source"], "bundled");
}

#[test]
fn demo_keeps_the_store_when_asked() {
    let home = Home::new();
    let text = demo(&home, "", &["--keep", "kept"]);
    assert!(text.stdout.contains("batpak verify"), "{}", text.stdout);
    let verified = home.object(["verify", "kept/store"]);
    assert_eq!(verified["opened"].as_u64().unwrap() + verified["shredded"].as_u64().unwrap(), 120);
    let events = home.json(["read", "kept/store"]);
    let of = |entity: &serde_json::Value| events.iter().filter(|event| event["entity"] == *entity).count();
    let shredded = events.iter().find(|event| event["payload"] == "shredded").unwrap();
    assert_eq!(of(&shredded["entity"]) as u64, verified["shredded"].as_u64().unwrap());
    assert!(events.iter().all(|event| of(&event["entity"]) <= of(&shredded["entity"])));
    let merges =
        home.json(["read", "kept/store"]).iter().filter(|event| event["causes"].as_array().unwrap().len() == 2).count();
    assert!(merges > 5);
    assert!(!home.path("kept/store/key").exists());
    assert!(text.stdout.contains("batpak certificate verify "), "{}", text.stdout);
    let verdict = home.object(["certificate", "verify", "kept/certificate.json", "kept/store"]);
    assert_eq!(verdict["holds"], true);
    home.fails(2, "not empty", &["demo", "--keep", "kept"]);
    home.fails(2, "key file of its own", &["demo", "--key-file", "k"]);
}
