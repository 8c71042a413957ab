//! Where the root secret is: found, moved, missing, exposed, misplaced, wrong; and two writers.

use std::{fs, io::Write, os::unix::fs::PermissionsExt, process::Command};

use crate::harness::{Home, Run, finished};

fn with_passphrase(home: &Home, passphrase: &str, args: &[&str]) -> Run {
    let mut command: Command = home.command(args);
    finished(command.env("PASS", passphrase))
}

const APPEND: [&str; 10] = ["append", "s", "--entity", "a", "--scope", "t", "--kind", "1:1", "--data", "x"];

#[test]
fn key_file_is_found_where_init_recorded_it_and_where_a_flag_says() {
    let home = Home::sealed();
    home.ok(APPEND);
    let from_elsewhere =
        finished(home.command(["read", "../s"]).current_dir(home.path("s").join("segments/../../s")).arg("--json"));
    assert_eq!(from_elsewhere.code, 0, "{}", from_elsewhere.stderr);
    fs::rename(home.path("k"), home.path("moved")).unwrap();
    home.fails(3, "is missing", &["read", "s"]);
    assert_eq!(home.json(["read", "s", "--key-file", "moved"]).len(), 1);
    assert_eq!(home.json(["--key-file", "moved", "read", "s"]).len(), 1);
}

#[test]
fn key_file_of_another_store_is_refused() {
    let home = Home::sealed();
    home.ok(["init", "other", "--granularity", "entity", "--key-file", "k2"]);
    home.fails(3, "belongs to store", &["read", "s", "--key-file", "k2"]);
    home.fails(3, "exists", &["init", "third", "--granularity", "entity", "--key-file", "k2"]);
}

#[test]
fn key_file_that_others_can_read_is_refused() {
    let home = Home::sealed();
    fs::set_permissions(home.path("k"), fs::Permissions::from_mode(0o644)).unwrap();
    home.fails(3, "can be read by others", &["read", "s"]);
    home.fails(3, "can be read by others", &APPEND);
}

#[test]
fn key_file_inside_the_store_is_refused() {
    let home = Home::new();
    home.fails(3, "inside the store", &["init", "s", "--granularity", "entity", "--key-file", "s/k"]);
    assert!(!home.path("s/k").exists());
}

#[test]
fn passphrase_must_be_named_set_and_right() {
    let home = Home::new();
    let init = ["init", "s", "--granularity", "scope", "--passphrase-env", "PASS"];
    home.fails(2, "PASS", &init);
    assert_eq!(with_passphrase(&home, "correct", &init).code, 0);
    assert_eq!(with_passphrase(&home, "correct", &[&APPEND[..], &["--passphrase-env", "PASS"]].concat()).code, 0);
    home.fails(2, "--passphrase-env", &["read", "s"]);
    home.fails(2, "PASS", &["read", "s", "--passphrase-env", "PASS"]);
    let wrong = with_passphrase(&home, "canary-17", &["read", "s", "--passphrase-env", "PASS"]);
    assert_eq!((wrong.code, wrong.stderr.contains("is the passphrase right?")), (3, true), "{}", wrong.stderr);
    assert!(!wrong.stderr.contains("canary-17"), "a passphrase stands in a message");
    let right = with_passphrase(&home, "correct", &["read", "s", "--passphrase-env", "PASS", "--json"]);
    assert_eq!((right.code, right.stdout.lines().count()), (0, 1));
    assert_eq!(home.object(["verify", "s", "--no-keys"])["sound"], true);
}

#[test]
fn passphrase_and_key_file_are_both_needed() {
    let home = Home::new();
    let both = ["--passphrase-env", "PASS", "--key-file", "k"];
    let init = [&["init", "s", "--granularity", "entity"][..], &both].concat();
    assert_eq!(with_passphrase(&home, "correct", &init).code, 0);
    let append = [&APPEND[..], &["--passphrase-env", "PASS"]].concat();
    assert_eq!(with_passphrase(&home, "correct", &append).code, 0);
    home.fails(2, "--passphrase-env", &["read", "s"]);
    assert_eq!(with_passphrase(&home, "wrong", &["read", "s", "--passphrase-env", "PASS"]).code, 3);
    fs::remove_file(home.path("k")).unwrap();
    assert_eq!(with_passphrase(&home, "correct", &["read", "s", "--passphrase-env", "PASS"]).code, 3);
}

#[test]
fn provider_of_another_kind_is_named() {
    let home = Home::sealed();
    let run = with_passphrase(&home, "canary-17", &["read", "s", "--passphrase-env", "PASS"]);
    assert_eq!((run.code, run.stderr.contains("kept by a key file")), (3, true), "{}", run.stderr);
}

#[test]
fn second_writer_is_refused_and_readers_are_not() {
    let home = Home::sealed();
    let mut first = home.piped(["import", "jsonl", "s", "-"]);
    let mut input = first.stdin.take().unwrap();
    for number in 0..256 {
        writeln!(input, "{{\"entity\":\"e\",\"scope\":\"s\",\"kind\":\"1:1\",\"payload\":{number}}}").unwrap();
    }
    input.flush().unwrap();
    while home.json(["read", "s"]).len() < 256 {}
    home.fails(3, "another process", &APPEND);
    assert_eq!(home.object(["verify", "s"])["opened"], 256);
    assert_eq!(home.object(["stats", "s"])["events"], 257);
    drop(input);
    assert!(first.wait().unwrap().success());
    home.ok(APPEND);
}

#[test]
fn foreign_file_in_the_store_is_named() {
    let home = Home::sealed();
    home.write("s/segments/notes.txt", "x");
    home.fails(3, "notes.txt", &["read", "s"]);
}
