//! `import jsonl`: fields, chunks, repeats, conflicts, malformed lines.

use crate::harness::Home;

fn line(number: usize) -> String {
    format!(
        "{{\"entity\":\"e\",\"scope\":\"s\",\"kind\":\"1:1\",\"key\":\"k{number}\",\"payload\":{{\"n\": {number}}}}}\n"
    )
}

fn lines(count: usize) -> String {
    (0..count).map(line).collect()
}

/// Imports a text, and returns exit code, standard output and the last line of standard error as JSON.
fn import(home: &Home, text: &str) -> (i32, serde_json::Value) {
    let run = home.run_with_input(["import", "jsonl", "s", "-", "--json"], text.as_bytes());
    let printed = if run.code == 0 { &run.stdout } else { &run.stderr };
    (run.code, serde_json::from_str(printed.trim_end()).expect("it prints one object"))
}

#[test]
fn import_takes_every_field() {
    let home = Home::sealed();
    let text = concat!(
        "{\"entity\":\"e\",\"scope\":\"s\",\"kind\":\"1:2\",\"key\":\"a\",\"payload\":\"text \\u00e9\"}\n",
        "\n",
        "{\"kind\":4098,\"scope\":\"s\",\"entity\":\"e\",\"key\":\"b\",\"causes\":[\"a\"],\"tags\":[\"t2\",\"t1\"],",
        "\"time\":\"2024-05-01T14:00:00+02:00\",\"payload\":{ \"z\" : 1.50, \"a\" : [null, \"x y\"] }}\r\n",
        "{\"entity\":\"e\",\"scope\":\"s\",\"kind\":\"1:2\",\"time\":-5,\"payload_base64\":\"/wA=\"}",
    );
    let (code, printed) = import(&home, text);
    assert_eq!((code, printed["added"].as_u64(), printed["repeated"].as_u64()), (0, Some(3), Some(0)));
    let events = home.json(["read", "s"]);
    assert_eq!((events[0]["data"].as_str(), events[0]["content_type"].as_str()), (Some("text \u{e9}"), Some("text")));
    assert_eq!(events[1]["data"], "{\"z\":1.50,\"a\":[null,\"x y\"]}");
    assert_eq!(events[1]["kind"], "1:2");
    assert_eq!(events[1]["content_type"], "json");
    assert_eq!(events[1]["tags"], serde_json::json!(["t1", "t2"]));
    assert_eq!(events[1]["time"], "2024-05-01T12:00:00Z");
    assert_eq!(events[1]["causes"], serde_json::json!([{ "id": events[0]["id"], "external": false }]));
    assert_eq!((events[2]["data_base64"].as_str(), events[2]["time_us"].as_i64()), (Some("/wA="), Some(-5)));
    assert_eq!(events[2]["content_type"], "bytes");
}

#[test]
fn import_twice_adds_nothing() {
    let home = Home::sealed();
    let text = lines(300);
    assert_eq!(import(&home, &text).1["added"], 300);
    let (code, printed) = import(&home, &(text + &line(300)));
    assert_eq!((code, printed["added"].as_u64(), printed["repeated"].as_u64()), (0, Some(1), Some(300)));
    assert_eq!(home.object(["verify", "s"])["opened"], 301);
}

#[test]
fn malformed_line_is_named_and_nothing_of_its_chunk_is_written() {
    let home = Home::sealed();
    let text = lines(299) + "{\"entity\":\"e\"\n" + &line(300);
    let (code, error) = import(&home, &text);
    assert_eq!((code, error["line"].as_u64(), error["added"].as_u64()), (2, Some(300), Some(256)));
    assert!(error["error"].as_str().unwrap().starts_with("line 300: "));
    assert_eq!(home.json(["read", "s"]).len(), 256);
    let corrected = lines(299) + &line(300);
    assert_eq!(import(&home, &corrected).1["added"], 44);
}

#[test]
fn malformed_line_after_a_whole_chunk_leaves_that_chunk() {
    let home = Home::sealed();
    let (code, error) = import(&home, &(lines(256) + "x\n"));
    assert_eq!((code, error["line"].as_u64(), error["added"].as_u64()), (2, Some(257), Some(256)));
    assert_eq!(home.json(["read", "s"]).len(), 256);
}

#[test]
fn wrong_lines_say_what_is_wrong() {
    let home = Home::sealed();
    let refused = |line: &str, says: &str, exit: i32| {
        let (code, error) = import(&home, line);
        assert_eq!((code, error["line"].as_u64()), (exit, Some(1)));
        assert!(error["error"].as_str().unwrap().contains(says), "{error}");
    };
    refused("[]", "line 1: ", 2);
    refused("{\"entity\":\"e\",\"scope\":\"s\",\"kind\":\"1:1\"}", "payload", 2);
    refused(
        "{\"entity\":\"e\",\"scope\":\"s\",\"kind\":\"1:1\",\"payload\":1,\"colour\":2}",
        "unknown field `colour`",
        2,
    );
    refused("{\"entity\":\"e\",\"kind\":\"1:1\",\"payload\":1}", "missing field `scope`", 2);
    refused("{\"entity\":\"\",\"scope\":\"s\",\"kind\":\"1:1\",\"payload\":1}", "entity name is empty", 2);
    refused("{\"entity\":\"$batpak\",\"scope\":\"s\",\"kind\":\"1:1\",\"payload\":1}", "store's own", 2);
    refused("{\"entity\":\"e\",\"scope\":\"s\",\"kind\":\"0:1\",\"payload\":1}", "reserved", 2);
    refused("{\"entity\":\"e\",\"scope\":\"s\",\"kind\":\"1:1\",\"payload_base64\":\"#\"}", "base64", 2);
    refused(
        "{\"entity\":\"e\",\"scope\":\"s\",\"kind\":\"1:1\",\"causes\":[\"nobody\"],\"payload\":1}",
        "\"nobody\"",
        1,
    );
    assert_eq!(home.json(["read", "s"]).len(), 0);
}

#[test]
fn other_content_under_a_known_key_is_a_conflict() {
    let home = Home::sealed();
    import(&home, &lines(3));
    let other = line(3) + "{\"entity\":\"e\",\"scope\":\"s\",\"kind\":\"1:1\",\"key\":\"k1\",\"payload\":\"other\"}\n";
    let (code, error) = import(&home, &other);
    assert_eq!((code, error["line"].as_u64(), error["added"].as_u64()), (1, Some(2), Some(0)));
    assert!(error["error"].as_str().unwrap().contains("\"k1\""));
    assert_eq!(home.json(["read", "s"]).len(), 3);
}

#[test]
fn key_twice_in_a_chunk_is_a_repeat_or_a_conflict() {
    let home = Home::sealed();
    let (code, printed) = import(&home, &(line(1) + &line(1)));
    assert_eq!((code, printed["added"].as_u64(), printed["repeated"].as_u64()), (0, Some(1), Some(1)));
    let other = line(2).replace("{\"n\": 2}", "0");
    let (code, error) = import(&home, &(line(2) + &other));
    assert_eq!((code, error["line"].as_u64()), (1, Some(2)));
    assert_eq!(home.json(["read", "s"]).len(), 1);
}

#[test]
fn cause_on_a_later_line_is_unknown() {
    let home = Home::sealed();
    let text = "{\"entity\":\"e\",\"scope\":\"s\",\"kind\":\"1:1\",\"key\":\"a\",\"causes\":[\"k5\"],\"payload\":1}\n"
        .to_owned()
        + &line(5);
    let (code, error) = import(&home, &text);
    assert_eq!((code, error["line"].as_u64()), (1, Some(1)));
    assert_eq!(home.json(["read", "s"]).len(), 0);
}

#[test]
fn large_payloads_make_smaller_chunks() {
    let home = Home::sealed();
    let large = "x".repeat(3 * 1024 * 1024);
    let line = |key| {
        format!("{{\"entity\":\"e\",\"scope\":\"s\",\"kind\":\"1:1\",\"key\":\"{key}\",\"payload\":\"{large}\"}}\n")
    };
    let (code, printed) = import(&home, &(line("a") + &line("b") + &line("c")));
    assert_eq!((code, printed["added"].as_u64()), (0, Some(3)));
    assert!(home.json(["read", "s"])[2].get("batch").is_none());
}

#[test]
fn file_that_is_not_there_is_named() {
    let home = Home::sealed();
    home.fails(3, "nothing.jsonl", &["import", "jsonl", "s", "nothing.jsonl"]);
}
