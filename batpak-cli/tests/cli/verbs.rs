//! init, append, get, read, verify, stats: what they answer and what they refuse.

use std::fs;

use crate::harness::Home;

const NO_ID: &str = "00000000-0000-0000-0000-000000000000";

fn append(home: &Home, entity: &str, more: &[&str]) -> serde_json::Value {
    let mut args = vec!["append", "s", "--entity", entity, "--scope", "town", "--kind", "1:2"];
    args.extend(more);
    home.object(args)
}

#[test]
fn append_prints_the_receipt_that_get_finds() {
    let home = Home::sealed();
    let first = append(&home, "a", &["--data", "one", "--tag", "x", "--time", "2024-05-01T12:00:00Z"]);
    assert_eq!(first["revision"], 0);
    assert!(first["repeat"].is_null());
    let id = first["id"].as_str().unwrap();
    let second = append(&home, "a", &["--data", "two", "--cause", id, "--key", "k2"]);
    assert_eq!(second["revision"], 1);
    assert_eq!(second["position"], first["position"].as_u64().unwrap() + 1);

    let event = home.object(["get", "s", id]);
    assert_eq!(event["id"], first["id"]);
    assert_eq!(event["entity"], "a");
    assert_eq!(event["scope"], "town");
    assert_eq!(event["kind"], "1:2");
    assert_eq!(event["time"], "2024-05-01T12:00:00Z");
    assert_eq!(event["time_us"], 1_714_564_800_000_000_i64);
    assert_eq!(event["content_type"], "text");
    assert_eq!(event["tags"], serde_json::json!(["x"]));
    assert_eq!(event["causes"], serde_json::json!([]));
    assert_eq!(event["payload"], "open");
    assert_eq!(event["data"], "one");
    assert_eq!(event["event_hash"], first["event_hash"]);
    assert_eq!(event["chain_hash"], first["chain_hash"]);
    assert!(event["key_id"].is_string());

    let by_key = home.object(["get", "s", "--key", "k2"]);
    assert_eq!(by_key["id"], second["id"]);
    assert_eq!(by_key["causes"], serde_json::json!([{ "id": id, "external": false }]));
}

#[test]
fn append_takes_a_file_and_standard_input_byte_for_byte() {
    let home = Home::sealed();
    home.write("payload", [0xff, 0, 1]);
    append(&home, "a", &["--file", "payload", "--key", "file"]);
    let event = home.object(["get", "s", "--key", "file"]);
    assert_eq!(event["data_base64"], "/wAB");
    assert!(event.get("data").is_none());
    assert_eq!(event["content_type"], "bytes");
    let args = ["append", "s", "--entity", "a", "--scope", "t", "--kind", "0xe:1", "--key", "in", "-"];
    assert_eq!(home.run_with_input(args, b"line\n").code, 0);
    let event = home.object(["get", "s", "--key", "in"]);
    assert_eq!((event["data"].as_str(), event["kind"].as_str()), (Some("line\n"), Some("14:1")));
}

#[test]
fn append_under_a_known_key_is_a_repeat_or_a_conflict() {
    let home = Home::sealed();
    let first = append(&home, "a", &["--data", "one", "--key", "k"]);
    let again = append(&home, "a", &["--data", "one", "--key", "k", "--durability", "buffered"]);
    assert_eq!(again["repeat"], "same_content");
    assert_eq!((&again["position"], &again["id"]), (&first["position"], &first["id"]));
    let args = ["append", "s", "--entity", "a", "--scope", "town", "--kind", "1:2", "--key", "k", "--data", "other"];
    home.fails(1, "other content", &args);
    assert_eq!(home.json(["read", "s"]).len(), 1);
}

#[test]
fn append_refuses_what_is_reserved_unknown_or_malformed() {
    let home = Home::sealed();
    let refused = |code, says: &str, entity: &str, kind: &str, more: &[&str]| {
        let mut args = vec!["append", "s", "--entity", entity, "--scope", "t", "--kind", kind, "--data", "x"];
        args.extend(more);
        home.fails(code, says, &args);
    };
    refused(2, "reserved category", "a", "0:1", &[]);
    refused(2, "reserved category", "a", "13:1", &[]);
    refused(2, "belongs to the store", "$batpak", "1:1", &[]);
    refused(2, "empty", "", "1:1", &[]);
    refused(2, "control character", "a\nb", "1:1", &[]);
    refused(2, "CATEGORY:TYPE", "a", "one", &[]);
    refused(2, "uuid", "a", "1:1", &["--cause", "one"]);
    refused(2, "twice", "a", "1:1", &["--tag", "x", "--tag", "x"]);
    refused(2, "RFC 3339", "a", "1:1", &["--time", "noon"]);
    refused(1, "is not in the log", "a", "1:1", &["--cause", NO_ID]);
    refused(1, "is not in the log", "a", "1:1", &["--cause-key", "nobody"]);
    refused(2, "cannot be used with", "a", "1:1", &["--file", "f"]);
    home.fails(2, "required", &["append", "s", "--entity", "a", "--scope", "t", "--kind", "1:1"]);
    home.fails(
        3,
        "cannot read nothing",
        &["append", "s", "--entity", "a", "--scope", "t", "--kind", "1:1", "--file", "nothing"],
    );
    assert_eq!(home.json(["read", "s"]).len(), 0);
}

#[test]
fn append_refuses_a_payload_over_the_cap() {
    let home = Home::sealed();
    let cap = 16 * 1024 * 1024;
    home.write("cap", vec![7; cap]);
    home.write("over", vec![7; cap + 1]);
    append(&home, "a", &["--file", "cap"]);
    home.fails(
        2,
        "at most 16777216",
        &["append", "s", "--entity", "a", "--scope", "t", "--kind", "1:1", "--file", "over"],
    );
    assert_eq!(home.object(["verify", "s"])["opened"], 1);
}

#[test]
fn get_says_no_for_an_unknown_id() {
    let home = Home::sealed();
    home.fails(1, "no event has the id", &["get", "s", NO_ID]);
    home.fails(1, "no event has the id", &["get", "s", "--key", "nobody"]);
    home.fails(2, "uuid", &["get", "s", "one"]);
    home.fails(2, "required", &["get", "s"]);
}

#[test]
fn read_filters_turns_and_limits() {
    let home = Home::sealed();
    let mut lines = String::new();
    for number in 0..6 {
        lines += &format!(
            "{{\"entity\":\"e{}\",\"scope\":\"s{}\",\"kind\":\"1:{}\",\"key\":\"{number}\",\"tags\":[\"t{}\"],\"time\":{number},\"payload\":\"{number}\"}}\n",
            number % 2,
            number % 3,
            number % 2 + 1,
            number / 3,
        );
    }
    home.write("six", lines);
    home.ok(["import", "jsonl", "s", "six"]);
    let read = |more: &[&str]| {
        let args = ["read", "s"].iter().chain(more).copied();
        home.json(args).iter().map(|event| event["data"].as_str().unwrap().to_owned()).collect::<Vec<_>>().join("")
    };
    assert_eq!(read(&[]), "012345");
    assert_eq!(read(&["--reverse"]), "543210");
    assert_eq!(read(&["--reverse", "--limit", "2"]), "54");
    assert_eq!(read(&["--entity", "e1"]), "135");
    assert_eq!(read(&["--scope", "s2"]), "25");
    assert_eq!(read(&["--kind", "1:1"]), "024");
    assert_eq!(read(&["--kind", "1:1", "--kind", "1:2"]), "012345");
    assert_eq!(read(&["--tag", "t1", "--entity", "e0"]), "4");
    assert_eq!(read(&["--tag", "t1", "--tag", "t0"]), "");
    assert_eq!(read(&["--since", "2", "--until", "4"]), "23");
    let second = home.json(["read", "s"])[1]["position"].to_string();
    assert_eq!(read(&["--from", &second, "--limit", "2"]), "12");
    assert_eq!(read(&["--to", &second]), "0");
}

#[test]
fn read_system_shows_the_stores_own_events() {
    let home = Home::sealed();
    let events = home.json(["read", "s", "--system"]);
    assert_eq!(events.len(), 1);
    assert_eq!((events[0]["kind"].as_str(), events[0]["content_type"].as_str()), (Some("0:1"), Some("system")));
    assert_eq!(home.json(["read", "s"]).len(), 0);
}

#[test]
fn verify_counts_what_it_opened() {
    let home = Home::sealed();
    append(&home, "a", &["--data", "one"]);
    append(&home, "b", &["--data", "two"]);
    let report = home.object(["verify", "s"]);
    assert_eq!(report["sound"], true);
    assert_eq!((report["opened"].as_u64(), report["lost"].as_u64()), (Some(2), Some(0)));
    assert_eq!(report["problems"], serde_json::json!([]));
    let report = home.object(["verify", "s", "--no-keys"]);
    assert_eq!((report["sound"].as_bool(), report["keys"].as_bool()), (Some(true), Some(false)));
    assert_eq!(report["opened"], 0);
    assert!(home.ok(["verify", "s"]).starts_with("sound: "));
}

#[test]
fn verify_says_no_for_a_changed_byte() {
    let home = Home::sealed();
    for number in 0..8 {
        append(&home, "a", &["--data", &format!("event number {number}")]);
    }
    let segment = fs::read_dir(home.path("s/segments")).unwrap().next().unwrap().unwrap().path();
    let mut bytes = fs::read(&segment).unwrap();
    bytes[700] ^= 1;
    fs::write(&segment, bytes).unwrap();
    for args in [&["verify", "s"][..], &["verify", "s", "--no-keys"]] {
        home.fails(1, "not sound", args);
    }
}

#[test]
fn stats_counts_events_and_bytes() {
    let home = Home::sealed();
    append(&home, "a", &["--data", "one"]);
    append(&home, "b", &["--data", "two"]);
    let stats = home.object(["stats", "s"]);
    assert_eq!(stats["encrypted"], true);
    assert_eq!(stats["granularity"], "entity");
    assert_eq!(stats["provider"], "key_file");
    assert!(stats["log_bytes"].as_u64().unwrap() > 0);
    assert!(home.ok(["stats", "s"]).contains("events"));
}

#[test]
fn init_refuses_where_a_store_stands_and_needs_a_choice() {
    let home = Home::sealed();
    home.fails(3, "already holds", &["init", "s", "--granularity", "event", "--key-file", "k2"]);
    home.fails(2, "say where the root secret is kept", &["init", "n", "--granularity", "event"]);
    home.fails(2, "choose one", &["init", "n", "--granularity", "event", "--local-key", "--key-file", "k2"]);
    home.fails(2, "--granularity", &["init", "n", "--local-key"]);
    home.fails(2, "granularity", &["init", "n", "--granularity", "house", "--local-key"]);
    home.fails(2, "cannot be used with", &["init", "n", "--plaintext", "--local-key"]);
    assert!(!home.path("n").exists());
}

#[test]
fn init_local_key_warns_and_works() {
    let home = Home::new();
    let run = home.run(["init", "s", "--granularity", "event", "--local-key"]);
    assert_eq!(run.code, 0);
    assert!(run.stderr.contains("warning") && run.stderr.contains("copy"), "{}", run.stderr);
    append(&home, "a", &["--data", "one"]);
    assert_eq!(home.object(["verify", "s"])["opened"], 1);
}

#[test]
fn init_plaintext_seals_nothing_and_refuses_keys() {
    let home = Home::new();
    assert_eq!(home.object(["init", "s", "--plaintext"])["encrypted"], false);
    append(&home, "a", &["--data", "one"]);
    let events = home.json(["read", "s"]);
    assert!(events[0].get("key_id").is_none());
    home.write("k", "");
    home.fails(3, "plaintext", &["read", "s", "--key-file", "k"]);
}

#[test]
fn every_verb_refuses_a_directory_without_a_store() {
    let home = Home::new();
    for args in [
        &["get", "s", NO_ID][..],
        &["read", "s"],
        &["verify", "s"],
        &["verify", "s", "--no-keys"],
        &["stats", "s"],
        &["import", "jsonl", "s", "-"],
        &["append", "s", "--entity", "a", "--scope", "t", "--kind", "1:1", "--data", "x"],
    ] {
        home.fails(3, "batpak init", args);
    }
}
