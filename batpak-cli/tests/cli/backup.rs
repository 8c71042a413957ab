//! `backup`, `restore`, `drill`, and what `stats` and `keys` say of them.

use std::{fs, io::Write};

use crate::harness::Home;

const BACKUP: [&str; 5] = ["backup", "s", "b", "--keyset", "ks"];
const DRILL: [&str; 4] = ["drill", "b", "--keyset", "ks"];

/// A store with three authors.
fn filled() -> Home {
    let home = Home::sealed();
    for (entity, data) in [("ann", "one"), ("bob", "two"), ("cid", "three")] {
        home.ok(["append", "s", "--entity", entity, "--scope", "x", "--kind", "1:1", "--data", data]);
    }
    home
}

#[test]
fn backup_restores_and_its_drill_is_sound() {
    let home = filled();
    let backup = home.object(BACKUP);
    assert_eq!((backup["events"].as_u64(), backup["noted"].as_bool()), (Some(4), Some(true)));
    let drill = home.object(DRILL);
    assert_eq!(
        (&drill["sound"], &drill["events"], &drill["keys"], &drill["opened"], &drill["shredded"], &drill["lost"]),
        (&true.into(), &3.into(), &true.into(), &3.into(), &0.into(), &0.into())
    );
    let restored = home.object(["restore", "b", "again", "--keyset", "ks"]);
    assert_eq!((&restored["events"], &restored["epoch"]), (&4.into(), &backup["epoch"]));
    let read = |dir: &str| home.json(["read", dir]).iter().map(|event| event["data"].clone()).collect::<Vec<_>>();
    assert_eq!(read("again"), read("s"));
    home.ok(["append", "again", "--entity", "ann", "--scope", "x", "--kind", "1:1", "--data", "goes on"]);
    assert_eq!(home.object(["verify", "again"])["sound"], true);
    assert!(home.ok(BACKUP).starts_with("backed up: 4 events in 1 segment, keyset of epoch "));
    assert!(home.ok(DRILL).ends_with("the backup is sound\n"));
}

#[test]
fn log_alone_is_restored_and_drilled_without_keys() {
    let home = filled();
    home.ok(BACKUP);
    assert_eq!(home.object(["restore", "b", "log"])["epoch"], serde_json::Value::Null);
    assert_eq!(home.object(["verify", "log", "--no-keys"])["sound"], true);
    home.fails(3, "keyset is missing", &["read", "log"]);
    fs::remove_file(home.path("k")).unwrap();
    home.fails(1, "key file", &DRILL);
    let drill = home.object(["drill", "b", "--keyset", "ks", "--no-keys"]);
    assert_eq!((&drill["sound"], &drill["keys"], &drill["opened"]), (&true.into(), &false.into(), &().into()));
}

#[test]
fn folders_that_will_not_do_are_refused() {
    let home = filled();
    home.fails(2, "name a folder for its keyset", &["backup", "s", "b"]);
    home.fails(2, "would hold the log and the keyset", &["backup", "s", "b", "--keyset", "b"]);
    home.write("letter", "mine");
    fs::create_dir(home.path("full")).unwrap();
    home.write("full/letter", "mine");
    home.fails(3, "full holds letter", &["backup", "s", "full", "--keyset", "ks"]);
    home.fails(3, "is a store", &["backup", "s", "s/inside", "--keyset", "ks"]);
    home.fails(3, "holds no backup", &["restore", "full", "again", "--keyset", "ks"]);
    home.fails(3, "holds no backup", &["drill", "full", "--keyset", "ks"]);
    home.ok(BACKUP);
    home.fails(3, "choose an empty folder", &["restore", "b", "full", "--keyset", "ks"]);
    home.ok(["init", "other", "--granularity", "entity", "--key-file", "other.key"]);
    home.fails(3, "holds a backup of store", &["backup", "other", "b", "--keyset", "ks2"]);
    home.ok(["backup", "s", "together", "--same-folder"]);
    home.ok(["drill", "together", "--same-folder"]);
}

#[test]
fn drill_finds_damage_an_old_keyset_and_an_old_log() {
    let home = filled();
    home.ok(BACKUP);
    home.ok(["shred", "s", "--entity", "bob", "--reason", "1", "--yes"]);
    // The key file has moved on: what was backed up before the shred opens no more.
    home.fails(1, "root secret of this keyset is missing", &DRILL);
    home.ok(["backup", "s", "b2", "--keyset", "ks2"]);
    let drill = home.object(["drill", "b2", "--keyset", "ks2"]);
    assert_eq!((&drill["opened"], &drill["shredded"], &drill["lost"]), (&2.into(), &1.into(), &0.into()));
    home.fails(1, "acknowledged events are missing", &["drill", "b", "--keyset", "ks2"]);
    let segment = home.path("b2/segments/00000000000000000001.seg");
    let mut bytes = fs::read(&segment).unwrap();
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    fs::write(&segment, &bytes).unwrap();
    home.fails(1, "is damaged", &["drill", "b2", "--keyset", "ks2"]);
    fs::write(&segment, &bytes[..at]).unwrap();
    home.fails(1, "missing or cut short", &["drill", "b2", "--keyset", "ks2"]);
    fs::write(home.path("b2/log.manifest"), "x").unwrap();
    home.fails(1, "no manifest", &["drill", "b2", "--keyset", "ks2"]);
}

#[test]
fn drill_leaves_no_trial_behind() {
    let home = filled();
    home.ok(BACKUP);
    fs::create_dir(home.path("scratch")).unwrap();
    home.ok([&DRILL[..], &["--scratch", "scratch"]].concat());
    assert_eq!(fs::read_dir(home.path("scratch")).unwrap().count(), 0);
}

#[test]
fn stats_and_keys_say_what_was_backed_up_and_when_it_is_stale() {
    let home = filled();
    assert_eq!(home.object(["stats", "s"])["last_backup"], serde_json::Value::Null);
    assert!(home.ok(["stats", "s"]).contains("last backup  none that is known of"));
    let epoch = home.object(BACKUP)["epoch"].clone();
    for verb in ["stats", "keys"] {
        let note = home.object([verb, "s"])["last_backup"].clone();
        assert_eq!((&note["events"], &note["epoch"], &note["keyset_stale"]), (&4.into(), &epoch, &false.into()));
        assert!(!home.ok([verb, "s"]).contains("back up the keyset again"));
    }
    home.ok(["shred", "s", "--entity", "bob", "--reason", "1", "--yes"]);
    for verb in ["stats", "keys"] {
        assert_eq!(home.object([verb, "s"])["last_backup"]["keyset_stale"], true);
        assert!(home.ok([verb, "s"]).contains("back up the keyset again"), "{verb}");
    }
    home.ok(BACKUP);
    assert_eq!(home.object(["stats", "s"])["last_backup"]["keyset_stale"], false);
}

#[test]
fn keys_prints_numbers_and_no_secret() {
    let home = filled();
    home.ok(["shred", "s", "--entity", "bob", "--reason", "1", "--yes"]);
    let keys = home.object(["keys", "s"]);
    assert_eq!((&keys["granularity"], &keys["provider"]), (&"entity".into(), &"key_file".into()));
    assert_eq!((&keys["pending"], &keys["secret_moving"]), (&().into(), &false.into()));
    assert_eq!(keys["epochs"][0], keys["epochs"][1]);
    assert_eq!(keys["epochs"][0], keys["epoch"]);
    let pages = keys["pages"].as_array().unwrap();
    let sum = |field: &str| pages.iter().map(|page| page[field].as_u64().unwrap()).sum::<u64>();
    assert_eq!((sum("named"), sum("destroyed") >= 1), (3, true), "{keys}");
    let text = home.ok(["keys", "s"]);
    assert!(text.contains("punctured") && text.contains("pending      nothing"), "{text}");
    let secret = fs::read(home.path("k")).unwrap()[56..88].to_vec();
    let hex: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(!text.contains(&hex) && !keys.to_string().contains(&hex));
    home.ok(["init", "p", "--plaintext"]);
    home.fails(2, "in plaintext", &["keys", "p"]);
}

#[test]
fn backup_beside_an_import_restores() {
    let home = Home::sealed();
    let mut import = home.piped(["import", "jsonl", "s", "-"]);
    let mut input = import.stdin.take().unwrap();
    for number in 0..600 {
        writeln!(input, "{{\"entity\":\"e{number}\",\"scope\":\"s\",\"kind\":\"1:1\",\"payload\":{number}}}").unwrap();
    }
    input.flush().unwrap();
    while home.object(["stats", "s"])["events"].as_u64() < Some(257) {}
    let backed_up = home.object(BACKUP)["events"].as_u64();
    assert!(backed_up >= Some(257), "{backed_up:?}");
    drop(input);
    assert!(import.wait().unwrap().success());
    let drill = home.object(DRILL);
    assert_eq!((&drill["sound"], drill["opened"].as_u64()), (&true.into(), backed_up.map(|events| events - 1)));
}
