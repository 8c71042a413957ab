//! Pipes that close, logs that grow, payloads that would steer a terminal, and commands typed wrongly.

use std::io::{BufRead, BufReader, Read};

use crate::harness::Home;

fn many(events: usize) -> String {
    let line =
        |number| format!("{{\"entity\":\"e\",\"scope\":\"s\",\"kind\":\"1:1\",\"payload\":\"payload {number}\"}}\n");
    (0..events).map(line).collect()
}

#[test]
fn closed_output_ends_quietly() {
    let home = Home::sealed();
    home.write("many", many(5000));
    home.ok(["import", "jsonl", "s", "many"]);
    for mode in [&["read", "s", "--json"][..], &["read", "s"]] {
        let mut child = home.piped(mode);
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        assert!(!line.is_empty());
        drop(out);
        let mut messages = String::new();
        child.stderr.take().unwrap().read_to_string(&mut messages).unwrap();
        assert_eq!((child.wait().unwrap().code(), messages.as_str()), (Some(0), ""));
    }
}

#[test]
fn read_follow_prints_what_comes_later() {
    let home = Home::sealed();
    home.write("three", many(3));
    home.ok(["import", "jsonl", "s", "three"]);
    let mut child = home.piped(["read", "s", "--follow", "--json", "--limit", "5"]);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    for _ in 0..3 {
        assert!(lines.next().unwrap().unwrap().contains("payload "));
    }
    for data in ["later", "last"] {
        home.ok(["append", "s", "--entity", "x", "--scope", "s", "--kind", "1:1", "--data", data]);
        let event: serde_json::Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        assert_eq!(event["data"], data);
    }
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn payload_cannot_steer_a_terminal() {
    let home = Home::sealed();
    home.ok(["append", "s", "--entity", "x", "--scope", "s", "--kind", "1:1", "--data", "\u{1b}[2Jred"]);
    let text = home.ok(["read", "s"]);
    assert!(!text.contains('\u{1b}') && text.contains("\\u{1b}[2Jred"));
}

#[test]
fn commands_typed_wrongly_say_what_to_do() {
    let home = Home::new();
    home.fails(2, "Usage", &["reed", "s"]);
    home.fails(2, "tip", &["read", "s", "--limits", "3"]);
    home.fails(2, "Usage", &["import", "s"]);
    home.fails(2, "invalid value", &["read", "s", "--limit", "many"]);
    home.fails(2, "cannot be used with", &["read", "s", "--follow", "--reverse"]);
    let help = home.ok(["append", "--help"]);
    assert!(help.contains("stored in clear"));
    assert!(home.ok(["import", "git", "--help"]).contains("stored in clear"));
    assert!(home.ok(["import", "jsonl", "--help"]).contains("stored in clear"));
}

#[cfg(target_os = "linux")]
#[test]
fn full_disk_under_the_output_is_an_error() {
    let home = Home::sealed();
    home.write("many", many(10));
    home.ok(["import", "jsonl", "s", "many"]);
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let run = home.command(["read", "s"]).stdout(full).output().unwrap();
    assert_eq!(run.status.code(), Some(3));
    assert!(String::from_utf8(run.stderr).unwrap().contains("standard output"));
}
