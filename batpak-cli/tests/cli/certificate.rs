//! `certificate`: issued, shown, written with a shred, and held against stores and copies of their logs.

use std::{fs, path::Path};

use serde_json::{Value, json};

use crate::harness::Home;

const SHRED: [&str; 8] = ["shred", "s", "--entity", "a", "--reason", "7", "--reference", "ticket 12"];

/// A store `s` with three events of `a` and one of `b`, of which `a` was shredded, and the certificate in the file `c`.
fn certified() -> Home {
    let home = Home::sealed();
    fill(&home, "s");
    home.ok([&SHRED[..], &["--yes", "--certificate", "c"]].concat());
    home
}

fn fill(home: &Home, store: &str) {
    for entity in ["a", "a", "b", "a"] {
        append(home, store, entity);
    }
}

fn append(home: &Home, store: &str, entity: &str) {
    home.ok(["append", store, "--entity", entity, "--scope", "town", "--kind", "1:1", "--data", "x"]);
}

fn value(home: &Home, name: &str) -> Value {
    serde_json::from_slice(&fs::read(home.path(name)).expect("it was written")).expect("it is JSON")
}

fn copy_log(home: &Home, from: &str, to: &str) {
    let segments = |store: &str| home.path(store).join("segments");
    fs::create_dir_all(segments(to)).expect("it is new");
    for entry in fs::read_dir(segments(from)).expect("it is there") {
        let name = entry.expect("it can be listed").file_name();
        fs::copy(segments(from).join(&name), segments(to).join(&name)).expect("it can be copied");
    }
}

fn verified(home: &Home, certificate: &str, store: &str) -> Value {
    home.object(["certificate", "verify", certificate, store])
}

#[test]
fn certificate_is_written_by_the_shred_and_issued_again_the_same() {
    let home = certified();
    let written = value(&home, "c");
    assert_eq!(home.object(["certificate", "s"]), written);
    assert_eq!(home.object(["certificate", "s", "--intent", "5"]), written);
    assert_eq!(home.object(["certificate", "s", "--intent", "last", "--out", "again"]), written);
    assert_eq!(fs::read(home.path("again")).unwrap(), fs::read(home.path("c")).unwrap());
    assert_eq!(home.object(["certificate", "show", "c"]), written);
    // What --json prints is a certificate too.
    home.write("printed", home.ok(["certificate", "s", "--json"]));
    assert_eq!(verified(&home, "printed", "s")["holds"], true);
}

#[test]
fn certificate_file_says_what_was_destroyed() {
    let home = certified();
    let written = value(&home, "c");
    let event = |position: u64| home.json(["read", "s", "--system"])[position as usize].clone();
    let (genesis, intent, completion, first) = (event(0), event(5), event(6), event(1));
    let record = |event: &Value| {
        json!({
            "position": event["position"], "time": event["time"], "time_us": event["time_us"],
            "chain_hash": event["chain_hash"],
        })
    };
    let stats = home.object(["stats", "s"]);
    assert_eq!(written["store"], stats["store"]);
    assert_eq!((&written["created"], &written["genesis_chain_hash"]), (&stats["created"], &genesis["chain_hash"]));
    assert_eq!((&written["intents"], &written["completion"]), (&json!([record(&intent)]), &record(&completion)));
    assert_eq!(
        (&written["granularity"], &written["provider"], &written["destruction"]),
        (&json!("entity"), &json!("key_file"), &json!("old_copies_dead"))
    );
    assert_eq!((&written["reason"], &written["reference"]), (&json!(7), &json!("ticket 12")));
    assert_eq!((&written["keys"], &written["events"], &written["unreachable"]), (&json!(1), &json!(3), &json!(0)));
    let [reserved, target] = written["key_scopes"].as_array().unwrap().as_slice() else { panic!("{written}") };
    // What the processes before had reserved and not used.
    assert_eq!((&reserved["name"], &reserved["key_scope"], &reserved["events"]), (&Value::Null, &json!(""), &json!(0)));
    assert!(reserved["keys"].as_u64() > Some(0) && target["keys"] == 1, "{written}");
    assert_eq!((&target["name"], &target["key_scope"]), (&json!("entity a"), &json!("01010061")));
    assert_eq!(target["key_ids"], json!([{ "first": first["key_id"], "count": 1 }]));
    assert_eq!(target["positions"], json!([{ "first": 1, "count": 2 }, { "first": 4, "count": 1 }]));
    assert_eq!(target["commitments"][0]["key_id"], first["key_id"]);
    assert_eq!((&written["withheld"], &written["sections"]), (&json!([]), &json!([])));
}

#[test]
fn certificate_is_shown_to_people() {
    let home = certified();
    let written = value(&home, "c");
    let text = home.ok(["certificate", "s"]);
    assert_eq!(home.ok(["certificate", "show", "c"]), text);
    for line in [
        format!("certificate  {}\n", written["hash"].as_str().unwrap()),
        "intent       position 5, ".to_owned(),
        "completion   position 6, ".to_owned(),
        "reason       7, reference ticket 12\n".to_owned(),
        "destroyed    1 key, one per entity, that sealed 3 events\n".to_owned(),
        " that were reserved and never used\n  entity a: 3 events, at 1 to 2, 4\n".to_owned(),
        "root secret  key file\n".to_owned(),
        "worth        old copies dead from 20".to_owned(),
    ] {
        assert!(text.contains(&line), "{line:?} is not in: {text}");
    }
    let shown = home.ok(["certificate", "verify", "c", "s"]);
    assert!(
        shown.ends_with(
            " holds\n  7 events of the log checked, from the first one to the completion, without any key\n"
        )
    );
}

#[test]
fn certificate_holds_without_keys_on_a_copy_of_the_log_alone() {
    let home = certified();
    append(&home, "s", "b");
    copy_log(&home, "s", "copy");
    assert_eq!(fs::read_dir(home.path("copy")).unwrap().count(), 1);
    fs::remove_file(home.path("k")).unwrap();
    for store in ["s", "copy"] {
        assert_eq!(
            verified(&home, "c", store),
            json!({
                "holds": true, "hash": value(&home, "c")["hash"], "events_read": 7, "sections_unread": 0, "findings": [],
            })
        );
        assert_eq!(home.object(["certificate", store]), value(&home, "c"));
    }
}

#[test]
fn certificate_of_another_store_or_of_a_log_that_was_cut_does_not_hold() {
    let home = certified();
    home.ok(["init", "other", "--granularity", "entity", "--local-key"]);
    fill(&home, "other");
    home.fails(1, "does not hold: 1 finding", &["certificate", "verify", "c", "other"]);
    let run = home.run(["certificate", "verify", "c", "other"]);
    assert!(
        run.stdout.contains("DOES NOT HOLD") && run.stdout.contains("the certificate is of store"),
        "{}",
        run.stdout
    );
    copy_log(&home, "s", "copy");
    let segment = home.path("copy/segments/00000000000000000001.seg");
    let len = fs::metadata(&segment).unwrap().len();
    cut_completion(&home, &segment, len);
    home.fails(1, "does not hold", &["certificate", "verify", "c", "copy"]);
    let run = home.run(["certificate", "verify", "c", "copy", "--json"]);
    let verdict: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!((verdict["holds"].as_bool(), verdict["findings"][0]["position"].as_u64()), (Some(false), Some(6)));
    assert!(verdict["findings"][0]["what"].as_str().unwrap().contains("the log ends at 6"), "{verdict}");
    home.fails(1, "the shred of the intent at position 5 is pending", &["certificate", "copy"]);
}

/// Cuts a copy of the log until its last event is gone.
fn cut_completion(home: &Home, segment: &Path, mut len: u64) {
    let events = || home.object(["verify", "copy", "--no-keys"])["system_events"].as_u64();
    let file = fs::OpenOptions::new().write(true).open(segment).expect("it is there");
    while events() == Some(3) {
        len -= 8;
        file.set_len(len).expect("it can be cut");
    }
}

#[test]
fn certificate_that_was_changed_is_refused_whatever_was_changed() {
    let home = certified();
    let written = value(&home, "c");
    let changed = |path: &[&str], to: Value| {
        let mut changed = written.clone();
        let place = path.iter().fold(&mut changed, |at, key| match key.parse::<usize>() {
            Ok(index) => &mut at[index],
            Err(_) => &mut at[*key],
        });
        assert_ne!(*place, to);
        *place = to;
        home.write("changed", changed.to_string());
    };
    let changes: [(&[&str], Value); 12] = [
        (&["reason"], json!(8)),
        (&["reference"], json!("ticket 13")),
        (&["created"], json!("1999-01-01T00:00:00Z")),
        (&["old_copies_dead_from"], json!("1999-01-01T00:00:00Z")),
        (&["completion", "time"], Value::Null),
        (&["hash"], json!("0".repeat(64))),
        (&["events"], json!(2)),
        (&["keys"], json!(2)),
        (&["key_scopes", "1", "name"], json!("entity b")),
        (&["key_scopes", "1", "key_scope"], json!("01010062")),
        (&["key_scopes", "1", "events"], json!(2)),
        (&["granularity"], json!("1")),
    ];
    for (path, to) in changes {
        changed(path, to);
        home.fails(1, "was changed after it was issued", &["certificate", "show", "changed"]);
        home.fails(1, "was changed after it was issued", &["certificate", "verify", "changed", "s"]);
    }
    let no: [(&[&str], Value); 8] = [
        (&["certificate"], json!(2)),
        (&["store"], json!("s")),
        (&["reason"], json!(65536)),
        (&["granularity"], json!("town")),
        (&["destruction"], json!("live_files_only")),
        (&["events_hash"], json!("00")),
        (&["intents"], json!([])),
        (&["key_scopes", "1", "positions"], json!([{ "first": 9, "count": 1 }])),
    ];
    for (path, to) in no {
        changed(path, to);
        home.fails(2, "is no certificate", &["certificate", "verify", "changed", "s"]);
    }
    home.write("changed", written.to_string().replacen('{', "{\"more\":1,", 1));
    home.fails(2, "unknown field", &["certificate", "show", "changed"]);
    home.write("changed", written.to_string().replacen('{', "{\"reason\":7,", 1));
    home.fails(2, "duplicate field", &["certificate", "show", "changed"]);
    home.write("changed", "");
    home.fails(2, "is no certificate", &["certificate", "show", "changed"]);
    // The control.
    home.write("changed", written.to_string());
    assert_eq!(home.object(["certificate", "show", "changed"]), written);
}

/// Changed together with its hash, a certificate is whole again, and the log does not bear it out.
#[test]
fn certificate_that_was_made_up_is_not_borne_out() {
    let home = certified();
    let mut made = value(&home, "c");
    made["reason"] = json!(8);
    home.write("made", made.to_string());
    let said = home.run(["certificate", "show", "made"]).stderr;
    let hash = said.split("its hash is ").nth(1).and_then(|rest| rest.split(' ').next()).expect("it is named");
    made["hash"] = json!(hash);
    home.write("made", made.to_string());
    assert_eq!(home.object(["certificate", "show", "made"])["reason"], 8);
    let run = home.run(["certificate", "verify", "made", "s", "--json"]);
    let verdict: Value = serde_json::from_str(&run.stdout).unwrap();
    let finding =
        json!({ "field": "reason", "position": 5, "what": "the reason is another in the log, at position 5" });
    assert_eq!((run.code, &verdict["findings"]), (1, &json!([finding])));
}

#[test]
fn certificate_that_cannot_be_issued_says_why() {
    let home = Home::sealed();
    fill(&home, "s");
    home.fails(1, "no shred is on record", &["certificate", "s"]);
    home.ok([&SHRED[..], &["--yes"]].concat());
    home.fails(1, "no shred intent stands at position 1", &["certificate", "s", "--intent", "1"]);
    home.fails(2, "or as `last`", &["certificate", "s", "--intent", "first"]);
    home.fails(2, "STORE", &["certificate"]);
    home.fails(3, "no store", &["certificate", "nowhere"]);
    home.fails(3, "cannot read", &["certificate", "verify", "nothing", "s"]);
    home.write("there", "kept");
    home.fails(3, "there", &["certificate", "s", "--out", "there"]);
    assert_eq!(fs::read(home.path("there")).unwrap(), b"kept");
    home.ok(["init", "plain", "--plaintext"]);
    home.fails(1, "no shred is on record", &["certificate", "plain"]);
}

#[test]
fn shred_whose_certificate_cannot_be_written_destroys_nothing() {
    let home = Home::sealed();
    fill(&home, "s");
    home.write("there", "kept");
    home.fails(3, "there", &[&SHRED[..], &["--yes", "--certificate", "there"]].concat());
    home.fails(3, "no/folder", &[&SHRED[..], &["--yes", "--certificate", "no/folder"]].concat());
    assert!(home.json(["read", "s"]).iter().all(|event| event["payload"] == "open"));
    home.fails(2, "cannot be used with", &[&SHRED[..], &["--plan", "--certificate", "c"]].concat());
    // A shred that comes to nothing leaves no file behind.
    let event = "00000000-0000-7000-8000-000000000000";
    home.fails(
        2,
        "one key per entity",
        &["shred", "s", "--event", event, "--reason", "1", "--yes", "--certificate", "c"],
    );
    assert!(!home.path("c").exists());
    let done = home.json([&SHRED[..], &["--yes", "--certificate", "c"]].concat()).remove(1);
    assert_eq!(done["certificate"], value(&home, "c")["hash"]);
    assert_eq!(home.json([&SHRED[..], &["--yes"]].concat())[1]["certificate"], Value::Null);
}

/// Of every granularity and every provider that the command line has.
#[test]
fn certificates_of_every_granularity_and_provider_hold() {
    let worth = |home: &Home, granularity: &str, init: &[&str], named: &[&str]| {
        let command = |args: &[&str]| {
            let mut command = home.command(args);
            command.env("WORDS", "correct horse battery");
            let run = crate::harness::finished(&mut command);
            assert_eq!(run.code, 0, "{}", run.stderr);
        };
        let flags = if init.contains(&"--passphrase-env") { &["--passphrase-env", "WORDS"][..] } else { &[] };
        command(&[&["init", "s", "--granularity", granularity], init].concat());
        let append = ["append", "s", "--entity", "a", "--scope", "t", "--kind", "1:1", "--key", "1", "--data", "x"];
        command(&[&append[..], flags].concat());
        command(&[&["shred", "s", "--reason", "0", "--yes", "--certificate", "c"], named, flags].concat());
        assert_eq!(verified(home, "c", "s")["holds"], true);
        let written = value(home, "c");
        assert_eq!((written["granularity"].as_str(), written["events"].as_u64()), (Some(granularity), Some(1)));
        format!("{} {}", written["provider"].as_str().unwrap(), written["destruction"].as_str().unwrap())
    };
    for granularity in ["entity", "coordinate", "scope", "category", "kind", "event"] {
        let named: &[&str] = match granularity {
            "entity" => &["--entity", "a"],
            "coordinate" => &["--entity", "a", "--scope", "t"],
            "scope" => &["--scope", "t"],
            "category" => &["--category", "1"],
            "kind" => &["--kind", "1:1"],
            _ => &["--entity", "a"],
        };
        assert_eq!(worth(&Home::new(), granularity, &["--local-key"], named), "local live_files_only");
    }
    let of = |init: &[&str]| worth(&Home::new(), "entity", init, &["--entity", "a"]);
    assert_eq!(of(&["--key-file", "k"]), "key_file old_copies_dead");
    assert_eq!(of(&["--passphrase-env", "WORDS"]), "passphrase old_copies_not_covered");
    let both = of(&["--passphrase-env", "WORDS", "--key-file", "k"]);
    assert_eq!(both, "passphrase_and_key_file old_copies_dead");
}
