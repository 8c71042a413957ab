//! The rules of an append: expected revision, condition, gates, and the way past them.

use serde_json::{Value, json};

use crate::harness::Home;

fn args<'a>(entity: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut args = vec!["append", "s", "--entity", entity, "--scope", "town", "--kind", "1:2", "--data", "x"];
    args.extend(more);
    args
}

/// The reason in the error of an append that must end with code 1.
#[track_caller]
fn reason(home: &Home, entity: &str, more: &[&str]) -> Value {
    let run = home.run(args(entity, more).into_iter().chain(["--json"]));
    assert_eq!(run.code, 1, "{}", run.stderr);
    let last = run.stderr.lines().last().expect("there is a message");
    let error: Value = serde_json::from_str(last).expect("the message is an object");
    error["reason"].clone()
}

#[test]
fn append_holds_the_stream_to_what_is_expected() {
    let home = Home::sealed();
    home.ok(args("a", &["--expect", "none"]));
    let refused = json!({ "code": "unexpected_revision", "expected": "none", "actual": 0 });
    assert_eq!(reason(&home, "a", &["--expect", "none"]), refused);
    home.ok(args("a", &["--expect", "0"]));
    let refused = json!({ "code": "unexpected_revision", "expected": 0, "actual": 1 });
    assert_eq!(reason(&home, "a", &["--expect", "0"]), refused);
    home.ok(args("a", &["--expect", "exists"]));
    home.ok(args("b", &["--expect", "any"]));
    let refused = json!({ "code": "unexpected_revision", "expected": "exists", "actual": null });
    assert_eq!(reason(&home, "c", &["--expect", "exists"]), refused);
    home.fails(1, "its last revision is 2", &args("a", &["--expect", "1"]));
    home.fails(2, "say none, exists, any", &args("a", &["--expect", "nothing"]));
}

#[test]
fn append_fails_if_an_event_matches_after_what_was_seen() {
    let home = Home::sealed();
    let first = home.object(args("a", &["--tag", "name:ada", "--fail-if", "tag=name:ada,kind=1:2"]));
    let refused = json!({ "code": "condition_failed", "position": first["position"] });
    assert_eq!(reason(&home, "b", &["--fail-if", "tag=name:ada,kind=1:2"]), refused);
    assert_eq!(reason(&home, "b", &["--fail-if", "entity=nobody", "--fail-if", "scope=town"]), refused);
    let after = first["position"].to_string();
    home.ok(args("b", &["--fail-if", "tag=name:ada", "--after", &after]));
    home.fails(2, "--fail-if", &args("b", &["--after", "1"]));
    home.fails(2, "joined by commas", &args("b", &["--fail-if", "color=red"]));
}

#[test]
fn append_asks_gates_records_denials_and_goes_past_them_on_record() {
    let home = Home::sealed();
    let gates = ["--gate", "require-causes", "--gate", "payload-size=1"];
    let denied = reason(&home, "a", &gates);
    assert_eq!((denied["code"].as_str(), denied["recorded"].is_null()), (Some("denied"), true));
    assert_eq!(denied["denials"][0]["gate"], "require-causes");
    assert_eq!(denied["denials"][0]["code"], "CAUSE_REQUIRED");
    let recorded = reason(&home, "a", &["--gate", "require-causes", "--record-denials"]);
    assert_eq!(recorded["recorded"], 1);
    let past = home.object(args("a", &["--gate", "require-causes", "--bypass", "first of its kind"]));
    let id = past["id"].as_str().unwrap().to_owned();
    let permitted = home.object(args("a", &[&gates[..], &["--cause", &id]].concat()));
    assert_eq!(permitted["gates"], json!(["require-causes", "payload-size"]));
    assert_eq!(past["gates"], json!([]));
    home.fails(1, "denied by rate-per-entity (RATE_EXCEEDED)", &args("a", &["--gate", "rate=2/3600"]));
    home.fails(2, "--gate", &args("a", &["--bypass", "why"]));
    home.fails(2, "say payload-size=BYTES", &args("a", &["--gate", "no-such-gate"]));
    let report = home.object(["verify", "s"]);
    // Genesis, the denial, the bypass.
    assert_eq!(report["system_events"], 3);
}
