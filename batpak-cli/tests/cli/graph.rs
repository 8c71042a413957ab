//! `graph`: what it answers, what it draws, and what it refuses.

use serde_json::{Value, json};

use crate::harness::Home;

const NO_ID: &str = "00000000-0000-0000-0000-000000000000";

/// An order that is paid and packed at once, then shipped; and something of its own.
const SHOP: [(&str, &str, &[&str]); 5] = [
    ("order", "placed", &[]),
    ("payment", "paid", &["placed"]),
    ("stock", "packed", &["placed"]),
    ("order", "shipped", &["paid", "packed"]),
    ("stock", "counted", &[]),
];

/// Makes a sealed store `s` that holds the shop.
fn shop() -> Home {
    let home = Home::sealed();
    import(&home, "s", &SHOP);
    home
}

/// Appends an event for each entity, key and keys of causes.
fn import(home: &Home, store: &str, events: &[(&str, &str, &[&str])]) {
    let line = |(entity, key, causes): &(&str, &str, &[&str])| {
        let payload = format!("payload of {key}");
        json!({ "entity": entity, "scope": "town", "kind": "1:1", "key": key, "causes": causes, "payload": payload })
    };
    home.write("events", events.iter().map(|event| format!("{}\n", line(event))).collect::<String>());
    home.ok(["import", "jsonl", store, "events"]);
}

/// The question and its words, with `graph s` before.
fn words<'a>(question: &[&'a str]) -> Vec<&'a str> {
    ["graph", "s"].iter().chain(question).copied().collect()
}

#[track_caller]
fn asked(home: &Home, question: &[&str]) -> Vec<Value> {
    home.json(words(question))
}

/// The caller's key of each event printed, from the id that the key makes.
fn keys(events: &[Value]) -> Vec<&'static str> {
    let key_of = |event: &Value| {
        let id = event["id"].as_str().expect("it has an id");
        let known = |key: &&str| batpak_store::EventId::from_key(key.as_bytes()).to_string() == id;
        SHOP.iter().map(|(_, key, _)| *key).find(known).expect("it is of the shop")
    };
    events.iter().map(key_of).collect()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().expect("it is a list")
}

#[test]
fn order_prints_one_object_an_event_in_causal_order() {
    let home = shop();
    let events = asked(&home, &["order"]);
    assert_eq!(keys(&events), ["placed", "paid", "packed", "shipped", "counted"]);
    let id = |at: usize| &events[at]["id"];
    let shipped = json!({
        "position": events[0]["position"].as_u64().unwrap() + 3,
        "id": id(3),
        "entity": "order",
        "scope": "town",
        "kind": "1:1",
        "causes": [{ "id": id(1), "external": false }, { "id": id(2), "external": false }],
        "layer": 2,
    });
    assert_eq!(events[3], shipped);
    assert_eq!(keys(&asked(&home, &["order", "packed", "paid"])), ["placed", "paid", "packed"]);
    let text = home.ok(words(&["order"]));
    assert_eq!(text.lines().count(), 5);
    assert!(text.lines().nth(3).unwrap().ends_with("causes 2"), "{text}");
}

#[test]
fn order_of_a_correlation_leaves_out_the_rest() {
    let home = shop();
    let correlation = batpak_store::EventId::from_key(b"placed");
    let encryption = batpak_store::Encryption::sealed(batpak_store::KeyFile::new(home.path("k")));
    let store = batpak_store::Store::open(home.path("s"), batpak_store::Config::new(encryption)).unwrap();
    let town = batpak_store::Coordinate::new("order", "town").unwrap();
    let event = |payload| {
        let kind = batpak_store::EventKind::from_u16(0x1001);
        batpak_store::NewEvent::new(town.clone(), kind, payload).correlation(correlation)
    };
    let receipts = [b"one", b"two"].map(|payload| store.append(&event(payload)).unwrap());
    store.close().unwrap();
    let events = asked(&home, &["order", "--correlation", &correlation.to_string()]);
    let found: Vec<_> = events.iter().map(|event| event["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(found, receipts.map(|receipt| receipt.id.to_string()));
    assert_eq!(events[0]["correlation"], correlation.to_string());
    assert_eq!(asked(&home, &["order", "--correlation", NO_ID]), [""; 0]);
    home.fails(2, "uuid", &words(&["order", "--correlation", "placed"]));
}

#[test]
fn ancestors_and_descendants_are_nearest_first_and_end_at_the_limits() {
    let home = shop();
    let past = asked(&home, &["ancestors", "shipped"]);
    assert_eq!(keys(&past), ["paid", "packed", "placed"]);
    assert_eq!(past.iter().map(|event| event["depth"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 1, 2]);
    assert_eq!(keys(&asked(&home, &["descendants", "placed"])), ["paid", "packed", "shipped"]);
    assert_eq!(keys(&asked(&home, &["descendants", "placed", "--depth", "1"])), ["paid", "packed"]);
    assert_eq!(keys(&asked(&home, &["ancestors", "shipped", "--limit", "1"])), ["paid"]);
    let text = home.ok(words(&["ancestors", "shipped", "--depth", "1"]));
    assert!(text.ends_with("There is more: the limits kept it back.\n"), "{text}");
    assert!(!home.ok(words(&["ancestors", "shipped", "--depth", "2"])).contains("more"));
    let ids = asked(&home, &["ancestors", "paid", "--ids"]);
    assert_eq!(ids, [json!({ "id": past[2]["id"] })]);
    assert_eq!(home.ok(words(&["--ids", "ancestors", "paid"])).trim(), past[2]["id"].as_str().unwrap());
}

#[test]
fn relation_names_all_four() {
    let home = shop();
    for (first, second, relation) in [
        ("placed", "shipped", "before"),
        ("shipped", "placed", "after"),
        ("paid", "packed", "concurrent"),
        ("paid", "paid", "same"),
    ] {
        let answer = asked(&home, &["relation", first, second]);
        assert_eq!((answer.len(), &answer[0]["relation"]), (1, &json!(relation)), "{first} {second}");
        assert_eq!(home.ok(words(&["relation", first, second])), format!("{relation}\n"));
    }
}

#[test]
fn common_and_path_answer_or_say_no() {
    let home = shop();
    assert_eq!(keys(&asked(&home, &["common", "paid", "packed"])), ["placed"]);
    assert_eq!(keys(&asked(&home, &["common", "paid", "shipped"])), ["paid"]);
    home.fails(1, "no event led to both", &words(&["common", "counted", "paid"]));

    let path = asked(&home, &["path", "placed", "shipped"]);
    assert_eq!((path.len(), &path[0]["causes"]), (1, &json!(2)));
    assert_eq!(keys(list(&path[0]["events"])), ["placed", "paid", "shipped"]);
    let all = asked(&home, &["path", "placed", "shipped", "--all"]);
    assert_eq!(all.iter().map(|path| keys(list(&path["events"]))[1]).collect::<Vec<_>>(), ["paid", "packed"]);
    assert_eq!(asked(&home, &["path", "placed", "shipped", "--all", "--limit", "1"]).len(), 1);
    home.fails(1, "no such chain", &words(&["path", "placed", "shipped", "--depth", "1"]));
    home.fails(1, "one leads the other way", &words(&["path", "shipped", "placed"]));
    home.fails(1, "no such chain", &words(&["path", "counted", "placed", "--all"]));
}

#[test]
fn heads_and_cuts_show_where_a_reader_stands() {
    let home = shop();
    assert_eq!(keys(&asked(&home, &["heads"])), ["shipped", "counted"]);
    let cut = &asked(&home, &["cut", "paid", "packed"])[0];
    assert_eq!(cut["events"], 3);
    assert_eq!(keys(list(&cut["frontier"])), ["paid", "packed"]);
    assert_eq!(keys(list(&cut["latest"])), ["placed", "paid", "packed"]);
    assert_eq!(keys(list(&cut["ready"])), ["shipped", "counted"]);
    let shipped = asked(&home, &["order"])[3]["position"].to_string();
    assert_eq!(&asked(&home, &["cut", "--at", &shipped])[0], cut);
    assert_eq!(&asked(&home, &["cut", "--exact", "packed", "placed", "paid"])[0], cut);
    home.fails(1, "is not", &words(&["cut", "--exact", "paid"]));
}

#[test]
fn verify_counts_causes_and_external_ones() {
    let home = shop();
    let verified = json!({ "sound": true, "events": 5, "causes": 4, "external": 0, "faults_total": 0, "faults": [] });
    assert_eq!(asked(&home, &["verify"]), [verified]);
    assert_eq!(home.ok(words(&["verify"])), "sound: 5 events, 4 causes, 0 of them external\n");
}

#[test]
fn events_are_named_by_id_else_by_key() {
    let home = shop();
    let ids: Vec<String> =
        asked(&home, &["order"]).iter().map(|event| event["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(asked(&home, &["relation", &ids[0], "shipped"])[0]["relation"], "before");
    // A key that looks like an id is a key, unless an event has that id.
    import(&home, "s", &[("e", NO_ID, &["counted"]), ("e", &ids[0], &["counted"])]);
    assert_eq!(asked(&home, &["relation", "counted", NO_ID])[0]["relation"], "before");
    assert_eq!(asked(&home, &["relation", "counted", &ids[0]])[0]["relation"], "concurrent");
    home.fails(1, "no event has the id or the key nobody", &words(&["ancestors", "nobody"]));
    home.fails(1, "no event has the id or the key", &words(&["common", "paid", "nobody"]));
}

#[test]
fn no_key_is_needed_and_a_wrong_one_is_refused() {
    let home = shop();
    std::fs::remove_file(home.path("k")).unwrap();
    assert_eq!(asked(&home, &["order"]).len(), 5);
    home.ok(words(&["order", "--svg", "drawing"]));
    home.fails(3, "k", &words(&["order", "--svg", "drawing", "--payloads"]));
    home.fails(3, "other", &words(&["order", "--key-file", "other"]));
    let plain = Home::new();
    plain.ok(["init", "s", "--plaintext"]);
    assert_eq!(asked(&plain, &["order"]), [""; 0]);
    assert_eq!(asked(&plain, &["verify"])[0]["events"], 0);
}

#[test]
fn drawings_hold_the_answer_and_no_payload_unless_asked_for() {
    let home = shop();
    let all = ["--dot", "d", "--mermaid", "m", "--svg", "v", "--html", "h"];
    let question = |more: &[&'static str]| words(&[&["ancestors", "paid"][..], &all, more].concat());
    let drawing = |name: &str| std::fs::read_to_string(home.path(name)).unwrap();
    assert_eq!(home.json(question(&[])).len(), 1);
    for name in ["d", "m", "v", "h"] {
        assert!(drawing(name).contains("What led to paid"), "{name}");
        assert!(!drawing(name).contains("payload of"), "{name}");
        assert!(!drawing(name).contains("stock"), "{name}");
    }
    assert_eq!(drawing("d").matches("->").count(), 1);
    home.ok(question(&["--payloads"]));
    for name in ["d", "m", "v", "h"] {
        assert!(drawing(name).contains("payload of placed"), "{name}");
        assert!(!drawing(name).contains("payload of packed"), "{name}");
    }
    let drawn = |question: &[&str]| {
        let dot = home.ok(words(&[question, &["--dot", "-"]].concat()));
        assert!(dot.starts_with("digraph {"), "{dot}");
        dot.matches("fillcolor=").count()
    };
    let counts = [
        (&["order"][..], 5),
        (&["verify"], 5),
        (&["heads"], 2),
        (&["cut", "paid"], 2),
        (&["relation", "paid", "packed"], 3),
        (&["relation", "placed", "shipped"], 4),
        (&["common", "paid", "packed"], 3),
        (&["path", "placed", "shipped"], 3),
        (&["descendants", "placed", "--depth", "1"], 3),
    ];
    for (question, events) in counts {
        assert_eq!(drawn(question), events, "{question:?}");
    }
}

#[test]
fn drawing_to_standard_output_stands_alone_and_a_bad_file_is_an_error() {
    let home = shop();
    let svg = home.ok(words(&["order", "--json", "--svg", "-"]));
    assert!(svg.starts_with("<svg") && svg.ends_with("</svg>\n"));
    home.fails(2, "only one drawing", &words(&["order", "--svg", "-", "--html", "-"]));
    home.fails(2, "name one with", &words(&["order", "--payloads"]));
    home.fails(3, "cannot use none/d", &words(&["order", "--dot", "none/d"]));
    // A drawing is written again, and whole.
    home.write("d", "x".repeat(100_000));
    home.ok(words(&["order", "--dot", "d"]));
    assert!(std::fs::read_to_string(home.path("d")).unwrap().ends_with("}\n"));
    // The answer is no, and the events asked about are drawn all the same.
    let run = home.run(words(&["path", "counted", "paid", "--dot", "-"]));
    assert_eq!((run.code, run.stdout.matches("fillcolor=").count()), (1, 2));
}

const HOSTILE: [&str; 6] = [
    "<script>alert(1)</script>",
    "</script><img src=x onerror=alert(1)>",
    "quote\" onload=\"alert(1)",
    "apostrophe' `backtick` \\\" [label=x]; evil -> n0;",
    "\"] click n0 href \"javascript:alert(1)\"",
    "]]> &lt;b&gt; {{log}} <!--",
];

#[test]
fn hostile_names_are_inert_in_all_drawings() {
    let home = Home::sealed();
    let events: Vec<_> = HOSTILE.iter().map(|name| (*name, *name, &[][..])).collect();
    import(&home, "s", &events);
    home.ok(words(&["cut", HOSTILE[0], HOSTILE[1], HOSTILE[2], "--dot", "d", "--mermaid", "m", "--svg", "v"]));
    home.ok(words(&["order", "--html", "h", "--payloads"]));
    let drawing = |name: &str| std::fs::read_to_string(home.path(name)).unwrap();
    for name in ["d", "m", "v"] {
        let text = drawing(name);
        assert!(!text.contains("<script") && !text.contains("<img") && !text.contains("<!--"), "{name}: {text}");
    }
    for line in drawing("m").lines().filter(|line| line.contains("alert")) {
        let label = line.split_once('"').and_then(|(_, rest)| rest.rsplit_once('"')).unwrap().0;
        assert!(!label.contains(['"', '<', '[', '(']), "{line}");
    }
    let dot = drawing("d");
    let unquoted: String = dot.replace("\\\\", "").replace("\\\"", "").split('"').step_by(2).collect();
    assert!(!unquoted.contains("alert") && !unquoted.contains("evil"), "{unquoted}");
    for tag in drawing("v").split('<').skip(1) {
        let tag = tag.split_once('>').unwrap().0;
        assert!(!tag.contains("onload") && !tag.contains("onerror"), "{tag}");
    }
    let page = drawing("h");
    assert_eq!((page.matches("<script").count(), page.matches("</script").count()), (2, 2));
    assert!(!page.contains("<img") && page.contains("default-src 'none'"));
    // Names reach a terminal as they are; the store lets no control character into one.
    assert!(home.ok(words(&["order"])).contains("<script>alert(1)</script>@town"));
}

#[test]
fn ask_answers_each_line_and_goes_on_after_a_no() {
    let home = shop();
    let input = "relation placed paid\n\n[\"ancestors\", \"shipped\", \"--limit\", \"1\"]\nancestors nobody\n\
                 relation paid\npath paid packed\n[1]\nheads\n";
    let run = home.run_with_input(words(&["ask", "--json", "--ids"]), input.as_bytes());
    assert_eq!(run.code, 0, "{}", run.stderr);
    let answers: Vec<Value> = run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let exits: Vec<_> = answers.iter().map(|answer| answer["exit"].as_u64().unwrap()).collect();
    assert_eq!(exits, [0, 0, 1, 2, 1, 2, 0]);
    assert_eq!(answers[0]["answer"][0]["relation"], "before");
    assert!(answers.iter().all(|answer| answer["seconds"].as_f64().unwrap() >= 0.0));
    assert_eq!(keys(list(&answers[1]["answer"])), ["paid"]);
    assert!(answers[2]["error"].as_str().unwrap().contains("nobody"));
    assert!(answers[3]["error"].as_str().unwrap().contains("<SECOND>"));
    assert_eq!(answers[4]["answer"], json!([]));
    assert_eq!(keys(list(&answers[6]["answer"])), ["shipped", "counted"]);
    assert!(answers[0].get("error").is_none());
    let run = home.run_with_input(words(&["ask"]), b"relation placed paid\npath paid packed\n");
    assert_eq!(run.stdout, "before\n\nno: no such chain of causes leads from paid to packed\n\n");
    home.fails(2, "ask draws nothing", &words(&["ask", "--dot", "d"]));
}

#[test]
fn questions_typed_wrongly_say_what_to_do() {
    let home = shop();
    home.fails(2, "Usage", &["graph", "s"]);
    home.fails(2, "Usage", &words(&["ancestor", "paid"]));
    home.fails(2, "<EVENT>", &words(&["ancestors"]));
    home.fails(2, "<SECOND>", &words(&["relation", "paid"]));
    home.fails(2, "invalid value", &words(&["ancestors", "paid", "--depth", "0"]));
    home.fails(2, "--depth", &words(&["heads", "--depth", "1"]));
    home.fails(2, "--all", &words(&["path", "placed", "paid", "--limit", "1"]));
    home.fails(2, "EVENT", &words(&["cut"]));
    home.fails(2, "cannot be used with", &words(&["order", "paid", "--correlation", NO_ID]));
    home.fails(2, "cannot be used with", &words(&["cut", "--at", "1", "paid"]));
    home.fails(2, "cannot be used with", &words(&["cut", "--at", "1", "--exact"]));
    home.fails(3, "batpak init", &["graph", "none", "order"]);
    let help = home.ok(["graph", "--help"]);
    assert!(help.contains("No key of the store is needed") && help.contains("--payloads"), "{help}");
}
