//! `leakcheck`: a clean store has no find, and what is planted is found.

use std::fs;

use crate::harness::Home;

const CANARY: &str = "jane doe, 14 canary street, nowhere";

/// A store whose one payload is the canary, and the canary in a file.
fn sealed_with_canary(init: &[&str]) -> Home {
    let home = Home::new();
    home.ok([&["init", "s", "--granularity", "entity"][..], init].concat());
    home.ok(["append", "s", "--entity", "jane", "--scope", "x", "--kind", "1:1", "--data", CANARY]);
    home.write("canary", format!("{CANARY}\n"));
    home
}

const CHECK: [&str; 4] = ["leakcheck", "s", "--canary", "canary"];

#[test]
fn clean_store_has_no_find() {
    let home = sealed_with_canary(&["--key-file", "k"]);
    let line = home.object(CHECK);
    assert_eq!((&line["hits_total"], &line["expected_total"], &line["canary"]), (&0.into(), &0.into(), &true.into()));
    // Both copies, the lock and a segment.
    assert_eq!((&line["files"], &line["root_secrets"], &line["payload_keys"]), (&4.into(), &1.into(), &1.into()));
    assert!(home.ok(CHECK).ends_with("nothing stands where it should not\n"));
    home.ok(["backup", "s", "b", "--keyset", "ks"]);
    home.ok([&CHECK[..], &["b", "ks"]].concat());
    home.ok(["leakcheck", "s"]);
}

#[test]
fn planted_canary_is_found_in_every_form() {
    let home = sealed_with_canary(&["--key-file", "k"]);
    fs::create_dir_all(home.path("logs/deep")).unwrap();
    let hex: String = CANARY.bytes().map(|byte| format!("{byte:02x}")).collect();
    let wide: Vec<u8> = CANARY.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let forms: [(&str, Vec<u8>, bool); 5] = [
        ("as it is", CANARY.into(), true),
        ("as it is", CANARY[3..19].into(), false),
        ("in hex", hex.into(), true),
        ("in base64", b"PGphbmUgZG9lLCAxNCBjYW5hcnkgc3RyZWV0LCBub3doZXJlPg==".to_vec(), true),
        ("in UTF-16", wide, true),
    ];
    for (form, bytes, whole) in forms {
        home.write("logs/deep/app.log", [b"before ", bytes.as_slice(), b" behind"].concat());
        let run = home.run([&CHECK[..], &["logs", "--json"]].concat());
        assert_eq!(run.code, 1, "{form}: {}{}", run.stdout, run.stderr);
        let line: serde_json::Value = serde_json::from_str(run.stdout.trim()).unwrap();
        let hits = line["hits"].as_array().unwrap();
        let named = |hit: &&serde_json::Value| hit["what"] == format!("canary, {form}") && hit["whole"] == whole;
        let hit = hits.iter().find(named).unwrap_or_else(|| panic!("{form}: {line}"));
        assert!(hit["file"].as_str().unwrap().ends_with("app.log") && !run.stdout.contains("jane"), "{line}");
    }
    home.fails(1, "what should stand nowhere", &[&CHECK[..], &["logs"]].concat());
    home.write("logs/deep/app.log", "nothing");
    home.ok([&CHECK[..], &["logs"]].concat());
}

#[test]
fn planted_root_secret_is_found_and_the_key_file_in_use_is_expected() {
    let home = sealed_with_canary(&["--key-file", "k"]);
    let line = home.object(["leakcheck", "s", "k"]);
    assert_eq!((&line["hits_total"], &line["expected_total"]), (&0.into(), &1.into()), "{line}");
    // A copy of it is not where it belongs; nor is its middle.
    fs::copy(home.path("k"), home.path("copy")).unwrap();
    home.fails(1, "found 1 times", &["leakcheck", "s", "copy"]);
    home.write("core", &fs::read(home.path("k")).unwrap()[60..80]);
    let run = home.run(["leakcheck", "s", "core"]);
    assert_eq!((run.code, run.stdout.contains("FOUND: part of: root secret")), (1, true), "{}", run.stdout);
}

#[test]
fn root_secret_of_a_local_store_is_expected_where_it_stands() {
    let home = sealed_with_canary(&["--local-key"]);
    let line = home.object(CHECK);
    assert_eq!((&line["hits_total"], &line["expected_total"]), (&0.into(), &2.into()), "{line}");
    let image = fs::read(home.path("s/keyset.a")).unwrap();
    home.write("dump", [&b"x"[..], &image].concat());
    home.fails(1, "found 1 times", &[&CHECK[..], &["dump"]].concat());
}

#[test]
fn canary_of_a_plaintext_store_is_found_in_its_segment() {
    let home = Home::new();
    home.ok(["init", "s", "--plaintext"]);
    home.ok(["append", "s", "--entity", "jane", "--scope", "x", "--kind", "1:1", "--data", CANARY]);
    home.write("canary", CANARY);
    home.fails(1, "found 1 times", &CHECK);
}

#[test]
fn canary_that_says_nothing_is_refused() {
    let home = sealed_with_canary(&["--key-file", "k"]);
    home.write("canary", "short");
    home.fails(2, "at least 8 bytes", &CHECK);
    home.write("canary", "a".repeat(100));
    home.fails(2, "not all the same", &CHECK);
    home.write("canary", "ab".repeat(40_000));
    home.fails(2, "take a piece of it", &CHECK);
    home.fails(3, "cannot use nowhere", &["leakcheck", "s", "nowhere"]);
}

#[test]
fn search_without_sight_is_told_and_no_answer() {
    let home = sealed_with_canary(&["--key-file", "k"]);
    // Without a place for its own planted file nothing is claimed.
    let mut command = home.command(CHECK);
    let run = crate::harness::finished(command.env("TMPDIR", home.path("gone")));
    assert_eq!((run.code, run.stdout.as_str()), (3, ""), "{}", run.stderr);
}
