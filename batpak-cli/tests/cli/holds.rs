//! `hold`, `release`, `holds`, `shred --apply`, `rekey` and `resume` over the command line.

use serde_json::{Value, json};

use crate::harness::Home;

const SHRED: [&str; 8] = ["shred", "s", "--entity", "a", "--entity", "b", "--reason", "1"];

/// A store `s`, sealed per entity, with an event each of `a` and `b`.
fn two() -> Home {
    let home = Home::sealed();
    ["a", "b"].iter().for_each(|entity| append(&home, entity));
    home
}

fn append(home: &Home, entity: &str) {
    home.ok(["append", "s", "--entity", entity, "--scope", "x", "--kind", "1:1", "--data", "x"]);
}

fn fates(home: &Home) -> Vec<String> {
    let fate = |event: Value| event["payload"].as_str().expect("a word").to_owned();
    home.json(["read", "s"]).into_iter().map(fate).collect()
}

#[test]
fn held_entity_is_kept_and_listed_until_it_is_released() {
    let home = two();
    assert!(home.ok(["holds", "s"]).contains("nothing is held"));
    let held = home.object(["hold", "s", "--entity", "a", "--reference", "case 9"]);
    assert_eq!((held["held"].as_str(), held["position"].as_u64()), (Some("entity a"), Some(3)));
    home.fails(1, "held already, by the event at position 3", &["hold", "s", "--entity", "a"]);
    home.fails(1, "not held", &["release", "s", "--entity", "b"]);
    home.fails(2, "one key per entity", &["hold", "s", "--scope", "x"]);
    home.fails(2, "name one thing", &["hold", "s", "--entity", "a", "--entity", "b"]);
    // Listed without the key, in the way of nobody.
    std::fs::rename(home.path("k"), home.path("k.away")).expect("it can be moved");
    let listed = home.object(["holds", "s"]);
    assert_eq!(listed, json!({ "held": "entity a", "position": 3, "reference": "case 9" }));
    std::fs::rename(home.path("k.away"), home.path("k")).expect("it can be moved");
    assert_eq!(home.object(["stats", "s"])["holds"], 1);

    home.fails(1, "are held", &["shred", "s", "--entity", "a", "--reason", "1", "--yes"]);
    let printed = home.json([&SHRED[..], &["--yes"]].concat());
    let [plan, done] = printed.as_slice() else { panic!("{printed:?}") };
    assert_eq!((&plan["withheld"], &plan["key_scopes"]), (&json!(["entity a"]), &json!(["entity b"])));
    assert_eq!((&done["withheld"], &done["key_scopes"]), (&json!(["entity a"]), &json!(["entity b"])));
    assert_eq!(fates(&home), ["open", "shredded"]);

    home.ok(["release", "s", "--entity", "a", "--reference", "case 9 closed"]);
    assert!(home.json(["holds", "s"]).is_empty());
    home.ok(["shred", "s", "--entity", "a", "--reason", "1", "--yes"]);
    assert_eq!(fates(&home), ["shredded", "shredded"]);
    assert_eq!(home.object(["verify", "s"])["sound"], true);
}

#[test]
fn plan_is_applied_by_its_hash_and_refused_when_it_no_longer_holds() {
    let home = two();
    let hash = |home: &Home| {
        let plan = home.object([&SHRED[..], &["--plan"]].concat());
        plan["hash"].as_str().expect("a hash").to_owned()
    };
    let planned = hash(&home);
    assert_eq!(hash(&home), planned, "it is the same plan as long as nothing changes");
    let text = home.ok([&SHRED[..], &["--plan"]].concat());
    assert!(text.ends_with(&format!("plan: {planned}\n")), "{text}");
    append(&home, "a");
    home.fails(1, "not what was planned", &[&SHRED[..], &["--apply", &planned]].concat());
    home.fails(2, "64 hexadecimal digits", &[&SHRED[..], &["--apply", "12"]].concat());
    home.fails(2, "cannot be used with", &[&SHRED[..], &["--apply", &planned, "--plan"]].concat());
    assert_eq!(fates(&home), ["open", "open", "open"]);
    let planned = hash(&home);
    let printed = home.json([&SHRED[..], &["--apply", &planned]].concat());
    assert_eq!(printed.last().map(|done| done["keys"].clone()), Some(json!(2)));
    assert_eq!(fates(&home), ["shredded", "shredded", "shredded"]);
}

#[test]
fn rekey_keeps_every_payload_and_resume_says_that_nothing_was_pending() {
    let home = two();
    let before = home.object(["stats", "s"])["keyset"]["epoch"].as_u64();
    let rekeyed = home.object(["rekey", "s"]);
    assert_eq!(rekeyed["destruction"], "old_copies_dead");
    assert!(rekeyed["epoch"].as_u64() > before);
    assert_eq!(fates(&home), ["open", "open"]);
    assert!(home.ok(["resume", "s"]).contains("nothing was pending"));
    assert_eq!(home.object(["resume", "s"]), json!({ "finished": null, "intent": null }));
    assert_eq!(home.object(["stats", "s"])["pending"], Value::Null);
    let plain = Home::new();
    plain.ok(["init", "s", "--plaintext"]);
    plain.fails(2, "in plaintext", &["rekey", "s"]);
    assert!(plain.ok(["resume", "s"]).contains("nothing was pending"));
    assert!(plain.ok(["holds", "s"]).contains("nothing is held"));
}
