//! `shred`, `readmit` and `accept`: keys destroyed and readmitted over the command line, and losses accepted.

use std::{
    fs,
    path::{Path, PathBuf},
};

use batpak_store::{Config, Encryption, EventId, Store};
use serde_json::{Value, json};

use crate::{
    git::{HISTORY, repository},
    harness::{Home, Run},
};

const SHRED: [&str; 6] = ["shred", "s", "--entity", "author-1", "--reason", "7"];

/// A store `s`, sealed per entity, with an imported history.
fn town() -> Home {
    let home = Home::sealed();
    repository(&home, "town", HISTORY);
    home.ok(["import", "git", "s", "town"]);
    home
}

fn append(home: &Home, entity: &str) -> Run {
    home.run(["append", "s", "--entity", entity, "--scope", "town", "--kind", "1:1", "--data", "x"])
}

fn keyset(home: &Home) -> [(PathBuf, Vec<u8>); 2] {
    ["s/keyset.a", "s/keyset.b"].map(|name| (home.path(name), fs::read(home.path(name)).expect("it is there")))
}

fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir(to).expect("it is new");
    for entry in fs::read_dir(from).expect("it is there") {
        let entry = entry.expect("it can be listed");
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_dir(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).expect("it can be copied");
        }
    }
}

/// The payload words of all events, by entity: of `entity`, and of the others.
fn fates(home: &Home, entity: &str) -> (Vec<String>, Vec<String>) {
    let (of, others): (Vec<Value>, _) =
        home.json(["read", "s"]).into_iter().partition(|event| event["entity"] == entity);
    let words =
        |events: Vec<Value>| events.iter().map(|event| event["payload"].as_str().expect("a word").into()).collect();
    (words(of), words(others))
}

#[test]
fn shredded_author_is_gone_from_live_files_and_old_copies_and_can_come_back_empty() {
    let home = town();
    copy_dir(&home.path("s"), &home.path("old"));
    assert_eq!(home.json(["read", "old"]).len(), 12);
    let (mine, others) = fates(&home, "author-1");
    assert!(mine.len() > 1 && others.len() > 1 && mine.iter().chain(&others).all(|payload| payload == "open"));

    let printed = home.json([&SHRED[..], &["--reference", "ticket 12", "--yes"]].concat());
    let [plan, done] = printed.as_slice() else { panic!("{printed:?}") };
    assert_eq!((plan["stage"].as_str(), plan["open"].as_u64()), (Some("plan"), Some(mine.len() as u64)));
    assert_eq!((done["stage"].as_str(), done["key_scopes"].clone()), (Some("done"), json!(["entity author-1"])));
    assert_eq!((done["keys"].as_u64(), done["unreachable"].as_u64()), (Some(1), Some(0)));
    assert_eq!(done["destruction"], "old_copies_dead");
    assert!(done["old_copies_dead_from"].as_str().is_some_and(|time| time.ends_with('Z')));
    assert_eq!(done["completion"].as_u64(), done["intent"].as_u64().map(|intent| intent + 1));

    for event in home.json(["read", "s"]) {
        let mine = event["entity"] == "author-1";
        assert_eq!(event["payload"], if mine { "shredded" } else { "open" });
        assert_eq!(event.get("intent"), mine.then_some(&done["intent"]));
        assert_eq!(event.get("data").is_none(), mine);
    }
    let (all, left) = (mine.len() as u64, others.len() as u64);
    let verified = home.object(["verify", "s"]);
    assert_eq!((verified["sound"].as_bool(), verified["lost"].as_u64()), (Some(true), Some(0)));
    assert_eq!((verified["shredded"].as_u64(), verified["opened"].as_u64()), (Some(all), Some(left)));
    assert_eq!(home.object(["verify", "s", "--no-keys"])["sound"], true);
    home.fails(3, "is missing", &["read", "old"]);

    let refused = append(&home, "author-1");
    assert_eq!((refused.code, refused.stderr.contains("was shredded")), (1, true), "{}", refused.stderr);
    assert_eq!(append(&home, "author-2").code, 0);
    assert_eq!(home.object(["readmit", "s", "--entity", "author-1"]), json!({ "readmitted": "entity author-1" }));
    assert_eq!(append(&home, "author-1").code, 0);
    let (after, _) = fates(&home, "author-1");
    assert_eq!(after.iter().filter(|payload| *payload == "shredded").count(), mine.len());
    assert_eq!(after.last().map(String::as_str), Some("open"));
    assert_eq!(home.object(["verify", "s"])["sound"], true);
    let drawing = home.ok(["graph", "s", "order", "--key-file", "k", "--mermaid", "-"]);
    assert!(drawing.contains("shredded"), "{drawing}");
}

#[test]
fn shred_without_yes_only_plans_or_refuses_and_changes_nothing() {
    let home = town();
    let events = home.json(["read", "s"]);
    home.fails(2, "--plan", &SHRED);
    home.fails(2, "cannot be used with", &[&SHRED[..], &["--plan", "--yes"]].concat());
    let mut plan = home.object([&SHRED[..], &["--plan"]].concat());
    let hash = plan["hash"].take();
    assert!(hash.as_str().is_some_and(|hash| hash.len() == 64), "{hash}");
    let mine = events.iter().filter(|event| event["entity"] == "author-1").count();
    assert_eq!(
        plan,
        json!({
            "stage": "plan", "named": ["entity author-1"], "granularity": "entity", "events": mine, "open": mine,
            "shredded": 0, "lost": 0, "entities": 1, "key_scopes": ["entity author-1"], "keys": 1, "withheld": [],
            "hash": null,
        })
    );
    let text = home.ok([&SHRED[..], &["--plan"]].concat());
    assert!(
        text.contains(&format!(
            "{mine} payloads that can be opened now\n  1 key to be destroyed, of 1 key scope\nplan: "
        )),
        "{text}"
    );
    assert_eq!(home.json(["read", "s"]), events);
    assert_eq!(home.json(["read", "s", "--system"]).len(), events.len() + 1);
}

#[test]
fn shred_prints_the_plan_apart_from_what_it_did() {
    let home = town();
    let run = home.run([&SHRED[..], &["--yes"]].concat());
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(run.stderr.starts_with("named: entity author-1\n"), "{}", run.stderr);
    assert!(run.stdout.starts_with("shredded: 1 key destroyed\n  entity author-1\non record: "), "{}", run.stdout);
    assert!(run.stdout.contains("\ndestruction: old copies dead from 20"), "{}", run.stdout);
    let again = home.ok([&SHRED[..], &["--plan"]].concat());
    assert!(again.contains("0 payloads that can be opened now") && again.contains("shredded before"), "{again}");
}

#[test]
fn shred_that_cannot_be_says_why_and_changes_nothing() {
    let home = town();
    let events = home.json(["read", "s", "--system"]);
    let shred = |more: &[&'static str]| [&["shred", "s", "--reason", "1"], more].concat();
    let long = "x".repeat(65);
    for mode in ["--plan", "--yes"] {
        home.fails(2, "one key per entity", &shred(&["--kind", "1:1", mode]));
        home.fails(2, "by scope", &shred(&["--scope", "town", mode]));
        home.fails(2, "by coordinate", &shred(&["--entity", "author-1", "--scope", "town", mode]));
        home.fails(2, "name what", &shred(&[mode]));
        home.fails(2, "--scope goes with one", &shred(&["--entity", "a", "--entity", "b", "--scope", "s", mode]));
        home.fails(2, "--entity or --scope", &shred(&["--entity", "", mode]));
        home.fails(2, "65 bytes", &["shred", "s", "--entity", "author-1", "--reason", "1", "--reference", &long, mode]);
        home.fails(2, "16", &shred(&["--category", "16", mode]));
    }
    home.fails(2, "--reason", &["shred", "s", "--entity", "author-1", "--yes"]);
    home.fails(2, "65536", &["shred", "s", "--entity", "author-1", "--reason", "65536", "--yes"]);
    home.fails(2, "name one key scope", &["readmit", "s"]);
    home.fails(2, "name one key scope", &["readmit", "s", "--entity", "a", "--kind", "1:1"]);
    home.fails(2, "one key per entity", &["readmit", "s", "--kind", "1:1"]);
    assert_eq!(home.json(["read", "s", "--system"]), events);
    home.ok(["init", "plain", "--plaintext"]);
    home.fails(2, "plaintext", &["shred", "plain", "--entity", "a", "--reason", "1", "--plan"]);
    home.fails(2, "plaintext", &["shred", "plain", "--entity", "a", "--reason", "1", "--yes"]);
    home.fails(2, "plaintext", &["readmit", "plain", "--entity", "a"]);
}

/// Shreds in a store of this granularity, and returns which of its three events are left: a@s of 1:1, a@t of 1:2, b@s of 2:1.
fn left_after(granularity: &str, named: &[&str]) -> Vec<bool> {
    let home = Home::new();
    home.ok(["init", "s", "--granularity", granularity, "--local-key"]);
    for (number, (entity, scope, kind)) in [("a", "s", "1:1"), ("a", "t", "1:2"), ("b", "s", "2:1")].iter().enumerate()
    {
        let key = number.to_string();
        home.ok(["append", "s", "--entity", entity, "--scope", scope, "--kind", kind, "--key", &key, "--data", "x"]);
    }
    let printed = home.json([&["shred", "s", "--reason", "0", "--yes"], named].concat());
    assert_eq!(printed[1]["destruction"], "live_files_only");
    assert_eq!(home.object(["verify", "s"])["sound"], true);
    let left: Vec<_> = home.json(["read", "s"]).iter().map(|event| event["payload"] == "open").collect();
    let shredded = left.iter().filter(|left| !**left).count() as u64;
    assert_eq!((printed[0]["open"].as_u64(), printed[0]["events"].as_u64()), (Some(shredded), Some(shredded)));
    left
}

#[test]
fn each_selector_shreds_what_the_plan_counts() {
    let first = EventId::from_key(b"0").to_string();
    assert_eq!(left_after("entity", &["--entity", "a"]), [false, false, true]);
    assert_eq!(left_after("coordinate", &["--entity", "a", "--scope", "t"]), [true, false, true]);
    assert_eq!(left_after("coordinate", &["--scope", "s"]), [false, true, false]);
    assert_eq!(left_after("scope", &["--scope", "s"]), [false, true, false]);
    assert_eq!(left_after("category", &["--category", "1"]), [false, false, true]);
    assert_eq!(left_after("kind", &["--kind", "1:2", "--kind", "2:1"]), [true, false, false]);
    assert_eq!(left_after("kind", &["--category", "1"]), [false, false, true]);
    assert_eq!(left_after("event", &["--event", &first]), [false, true, true]);
    assert_eq!(left_after("event", &["--event", &first, "--entity", "b"]), [false, true, false]);
}

#[test]
fn shred_of_no_event_is_the_answer_no() {
    let home = Home::new();
    home.ok(["init", "s", "--granularity", "event", "--local-key"]);
    home.ok(["append", "s", "--entity", "a", "--scope", "s", "--kind", "1:1", "--data", "x"]);
    home.fails(1, "nothing is there", &["shred", "s", "--entity", "nobody", "--reason", "1", "--yes"]);
}

/// Puts a store back to where a shred had its intent on record and nothing more; `keyset` is the keyset from before it.
fn cut_after_intent(home: &Home, keyset: &[(PathBuf, Vec<u8>)]) {
    let events = || {
        let config = Config::new(Encryption::none()).without_keys();
        Store::open_read_only(home.path("s"), config).map(|store| store.stats().events)
    };
    let segment =
        fs::OpenOptions::new().write(true).open(home.path("s/segments/00000000000000000001.seg")).expect("it is there");
    let before = events().expect("it opens");
    while events().expect("a tail may be cut off") == before {
        let len = segment.metadata().expect("it can be measured").len();
        segment.set_len(len - 8).expect("it can be cut");
    }
    for (path, bytes) in keyset {
        fs::write(path, bytes).expect("it is writable");
    }
}

#[test]
fn shred_that_was_not_finished_is_finished_by_the_next_writer_who_says_so() {
    let home = Home::new();
    home.ok(["init", "s", "--granularity", "entity", "--local-key"]);
    assert_eq!(append(&home, "author-1").code, 0);
    assert_eq!(append(&home, "author-2").code, 0);
    let keyset = keyset(&home);
    let intent = home.json([&SHRED[..], &["--yes"]].concat())[1]["intent"].as_u64().unwrap();
    cut_after_intent(&home, &keyset);
    let finished = append(&home, "author-2");
    let says = format!("a shred that was begun at position {intent} and not finished is finished now");
    assert_eq!((finished.code, finished.stderr.contains(&says)), (0, true), "{}", finished.stderr);
    let second = append(&home, "author-2");
    assert_eq!((second.code, second.stderr.as_str()), (0, ""));
    assert_eq!(fates(&home, "author-1").0, ["shredded"]);
    assert_eq!(home.object(["verify", "s"])["sound"], true);
}

#[test]
fn lost_keyset_is_accepted_only_by_its_name_and_readmitted() {
    let home = town();
    assert_eq!(home.object(["accept", "s", "--key-loss"]), json!({ "accepted": null, "position": null }));
    for copy in ["s/keyset.a", "s/keyset.b"] {
        fs::remove_file(home.path(copy)).unwrap();
    }
    home.fails(3, "(batpak accept --key-loss)", &["read", "s"]);
    home.fails(1, "(batpak accept --key-loss)", &["verify", "s"]);
    home.fails(3, "keyset is missing", &["accept", "s", "--log-rollback"]);
    home.fails(2, "--key-loss", &["accept", "s"]);
    home.fails(2, "cannot be used with", &["accept", "s", "--key-loss", "--log-rollback"]);
    assert_eq!(home.object(["accept", "s", "--key-loss"]), json!({ "accepted": "key_loss", "position": 13 }));
    let text = home.ok(["accept", "s", "--key-loss"]);
    assert_eq!(text, "nothing had to be accepted: the store opens as it is\n");
    assert!(home.json(["read", "s"]).iter().all(|event| event["payload"] == "key_lost"));
    assert_eq!(append(&home, "author-1").code, 3);
    home.ok(["readmit", "s", "--entity", "author-1"]);
    assert_eq!(append(&home, "author-1").code, 0);
    assert_eq!(fates(&home, "author-1").0.last().map(String::as_str), Some("open"));
}

#[test]
fn older_keyset_is_accepted_and_what_was_shredded_stays_shredded() {
    let home = Home::new();
    home.ok(["init", "s", "--granularity", "entity", "--local-key"]);
    assert_eq!(append(&home, "author-1").code, 0);
    assert_eq!(append(&home, "author-2").code, 0);
    let copies = keyset(&home);
    home.ok([&SHRED[..], &["--yes"]].concat());
    for (path, bytes) in &copies {
        fs::write(path, bytes).unwrap();
    }
    let read = home.run(["read", "s"]);
    assert_eq!((read.code, read.stderr.contains("older than the log")), (0, true), "{}", read.stderr);
    home.fails(3, "(batpak accept --keyset-rollback)", &["readmit", "s", "--entity", "author-1"]);
    assert_eq!(home.object(["accept", "s", "--keyset-rollback"])["accepted"], "keyset_rollback");
    assert_eq!(fates(&home, "author-1"), (vec!["shredded".to_owned()], vec!["open".to_owned()]));
    assert_eq!(home.object(["verify", "s"])["sound"], true);
}

#[test]
fn older_log_is_accepted_and_serves_what_is_there() {
    let home = Home::sealed();
    assert_eq!(append(&home, "a").code, 0);
    copy_dir(&home.path("s/segments"), &home.path("old"));
    // More keys than one publication of the keyset reserves, in several chunks, so that a later one has seen the log grow.
    let line = |number| format!("{{\"entity\":\"b{number}\",\"scope\":\"s\",\"kind\":\"1:1\",\"payload\":1}}\n");
    home.write("more", (0..600).map(line).collect::<String>());
    home.ok(["import", "jsonl", "s", "more"]);
    fs::remove_dir_all(home.path("s/segments")).unwrap();
    copy_dir(&home.path("old"), &home.path("s/segments"));
    home.fails(3, "(batpak accept --log-rollback)", &["readmit", "s", "--entity", "a"]);
    assert_eq!(home.object(["accept", "s", "--log-rollback"]), json!({ "accepted": "log_rollback", "position": 2 }));
    assert_eq!(fates(&home, "a"), (vec!["open".to_owned()], vec![]));
    assert_eq!(home.object(["verify", "s"])["sound"], true);
}
