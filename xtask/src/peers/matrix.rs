//! What is measured: groups of cases, those that goals need and those that only the tables and plots need.
//!
//! Invariant: the cases of a group are measured in turn, round by round; a group's folders are filled before it and removed after it.

use super::case::{Case, Folder};
use super::run::TRACED;

/// Cases that share folders and rounds.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) name: &'static str,
    pub(super) cases: Vec<Case>,
    /// Rounds of a run for the goals; tables and plots alone take fewer.
    pub(super) rounds: u32,
}

impl Group {
    /// The folders that its cases work on, with the adapters of each.
    pub(super) fn fills(&self) -> Vec<Case> {
        let mut folders: Vec<(Folder, Vec<&'static str>)> = Vec::new();
        for case in &self.cases {
            let Some(folder) = case.folder else { continue };
            let at = folders.iter().position(|(known, _)| *known == folder).unwrap_or(folders.len());
            if at == folders.len() {
                folders.push((folder, Vec::new()));
            }
            let adapters = &mut folders[at].1;
            for adapter in &case.adapters {
                if !adapters.contains(adapter) {
                    adapters.push(*adapter);
                }
            }
        }
        folders.into_iter().map(|(folder, adapters)| folder.fill(&adapters)).collect()
    }
}

/// At least so many pairs make a goal's ratio.
pub(super) const PAIRS: u32 = 15;
/// Rounds of what only tables and plots show.
pub(super) const ROUNDS_SHOWN: u32 = 5;

const OURS: [&str; 2] = ["batpak", "batpak-plain"];
const SYNCED: [&str; 11] = [
    "floor",
    "floor-written",
    "floor-ring",
    "floor-chacha",
    "published",
    "published-sealed",
    "fjall",
    "redb",
    "raft-engine",
    "okaywal",
    "sqlite",
];
const BUFFERED: [&str; 9] = [
    "floor",
    "floor-buffer",
    "floor-ring",
    "floor-chacha",
    "published",
    "published-sealed",
    "fjall",
    "redb",
    "raft-engine",
];
const READ: [&str; 9] =
    ["floor", "floor-ring", "floor-chacha", "published", "published-sealed", "fjall", "redb", "raft-engine", "sqlite"];

/// A folder of this many events of 256 bytes, cleanly closed.
pub(super) fn folder(events: u64, entities: u64) -> Folder {
    Folder { events, entities, payload: 256, unclean: false }
}

/// A folder of 100,000 events of 4 KiB.
pub(super) const LARGE: Folder = Folder { events: 100_000, entities: 16, payload: 4096, unclean: false };
const MILLION: u64 = 1_000_000;

/// All that goals need.
pub(super) fn goals() -> Vec<Group> {
    vec![
        Group {
            name: "appends",
            cases: [synced(), batches(), unsynced(), mints(), stalls(), calls()].concat(),
            rounds: PAIRS,
        },
        Group { name: "reads, 1 M events of 256 B", cases: reads(folder(MILLION, 16)), rounds: PAIRS },
        Group { name: "reads, 100 k events of 4 KiB", cases: reads(LARGE), rounds: PAIRS },
        Group { name: "open, 1 M events", cases: opens(MILLION), rounds: PAIRS },
        // By themselves: an open reads the intents of shreds that are in no index file yet.
        Group { name: "shred, 1 M events", cases: shreds(MILLION), rounds: PAIRS },
        Group { name: "open, 10 M events", cases: opens(10 * MILLION), rounds: PAIRS },
        Group { name: "new keys to 1 M", cases: grow_mints("mint/grow", MILLION), rounds: PAIRS },
        Group { name: "size", cases: sizes(), rounds: 3 },
    ]
}

/// What the tables and plots show besides: the peers, other sizes, mixed work.
pub(super) fn shown() -> Vec<Group> {
    let peers = ["published", "published-sealed", "fjall", "redb", "raft-engine", "sqlite"];
    let rounds = ROUNDS_SHOWN;
    let sizes = [10_000, 100_000].map(|events| {
        let open = |state: &str, unclean| open(state, Folder { unclean, ..folder(events, 16) }, &READ_ALL);
        vec![open("clean", false), open("unclean", true), get(folder(events, 16), 1, &READ_ALL)]
    });
    vec![
        Group { name: "peers: appends", cases: peer_appends(), rounds },
        Group { name: "peers: reads", cases: peer_reads(), rounds },
        Group { name: "peers: sizes", cases: sizes.concat(), rounds },
        Group { name: "other payloads and mixed work", cases: others(), rounds },
        Group { name: "peers: size", cases: vec![grow("grow", MILLION, &peers)], rounds: 2 },
    ]
}

const READ_ALL: [&str; 11] = [
    "batpak",
    "batpak-plain",
    "floor",
    "floor-ring",
    "floor-chacha",
    "published",
    "published-sealed",
    "fjall",
    "redb",
    "raft-engine",
    "sqlite",
];

fn append(durability: &str, payload: u64, threads: u64, events: u64, adapters: &[&'static str]) -> Case {
    Case::new(format!("append/{durability}/{payload}/{threads}"), "append", adapters)
        .with("durability", durability)
        .with("payload", payload)
        .with("threads", threads)
        .with("events", events)
}

fn synced() -> Vec<Case> {
    vec![
        append("synced", 256, 1, 1000, &["floor-written", "batpak", "batpak-plain"]),
        append("synced", 4096, 1, 1000, &["floor-written", "batpak", "batpak-plain", "raft-engine"]),
        append("synced", 256, 2, 2000, &["batpak", "raft-engine"]),
        append("synced", 256, 8, 6000, &["batpak", "raft-engine"]),
        append("synced", 256, 16, 8000, &["batpak", "raft-engine"]),
        append("synced", 256, 64, 12_800, &["batpak", "okaywal"]),
    ]
}

fn batch(payload: u64, events: u64, adapters: &[&'static str]) -> Case {
    let case = Case::new(format!("batch/synced/{payload}"), "append", adapters);
    case.with("durability", "synced").with("payload", payload).with("batch", 100).with("events", events)
}

fn batches() -> Vec<Case> {
    let adapters = ["floor", "batpak", "batpak-plain"];
    vec![batch(256, 20_000, &adapters), batch(4096, 6000, &adapters)]
}

fn unsynced() -> Vec<Case> {
    let adapters = ["floor", "batpak", "batpak-plain"];
    vec![
        append("buffered", 256, 1, 200_000, &adapters),
        append("buffered", 4096, 1, 30_000, &adapters),
        append("buffered", 256, 2, 200_000, &OURS),
        append("buffered", 4096, 2, 30_000, &OURS),
        append("deferred", 256, 1, 200_000, &OURS),
        append("deferred", 4096, 1, 30_000, &OURS),
    ]
}

/// A new entity each event, each with a key of its own, and the same appends under one key.
fn mints() -> Vec<Case> {
    let mint = |durability: &str, keys: &str, events: u64| {
        let case = Case::new(format!("mint/{durability}/{keys}"), "append", &["batpak"]);
        case.with("durability", durability).with("keys", keys).with("entities", 0).with("events", events)
    };
    let pairs = [("buffered", 100_000), ("synced", 1000)];
    pairs
        .into_iter()
        .flat_map(|(durability, events)| ["entity", "one"].map(|keys| mint(durability, keys, events)))
        .collect()
}

/// How many system calls an append takes, those of start and end shared by all; the same each time.
fn calls() -> Vec<Case> {
    let case = |durability: &str, adapters: &[&'static str]| {
        let case = append(durability, 256, 1, if durability == "synced" { 2000 } else { 100_000 }, adapters);
        Case { name: format!("calls/{durability}"), ..case.with(TRACED, true).at_most(1) }
    };
    vec![case("buffered", &["floor", "batpak"]), case("deferred", &["batpak"]), case("synced", &["floor", "batpak"])]
}

/// Buffered appends while segments roll and a reader replays.
fn stalls() -> Vec<Case> {
    let case = Case::new("stall", "append", &["floor", "batpak", "batpak-plain"]);
    vec![case.with("durability", "buffered").with("events", 300_000).with("readers", 1)]
}

fn get(folder: Folder, threads: u64, adapters: &[&'static str]) -> Case {
    let case = Case::new(format!("get/{}/{}/{threads}", folder.events, folder.payload), "get", adapters);
    let gets = if folder.payload > 1000 { 50_000 } else { 100_000 };
    case.with("threads", threads).with("events", gets).with("durability", "buffered").on(folder)
}

fn read(workload: &str, folder: Folder, adapters: &[&'static str]) -> Case {
    Case::new(format!("{workload}/{}/{}", folder.events, folder.payload), workload, adapters).on(folder)
}

fn reads(folder: Folder) -> Vec<Case> {
    let machine = |workload: &str, adapter| {
        let case = Case::new(format!("{workload}/{}", folder.payload), workload, &[adapter]);
        case.with("payload", folder.payload).with("events", if folder.payload > 1000 { 50_000 } else { 300_000 })
    };
    let beside =
        |case: Case, writers: u64| Case { name: format!("{}/beside", case.name), ..case.with("readers", writers) };
    vec![
        get(folder, 1, &["floor", "batpak", "batpak-plain"]),
        get(folder, 2, &OURS),
        beside(get(folder, 1, &OURS), 1).at_most(3),
        read("replay", folder, &["floor", "batpak", "batpak-plain"]),
        read("verify", folder, &["batpak-plain", "batpak"]),
        read("stream", folder, &OURS).at_most(5),
        machine("hash", "blake3"),
        machine("aead", "ring"),
    ]
}

/// An open of a folder in a process of its own.
fn open(state: &str, folder: Folder, adapters: &[&'static str]) -> Case {
    let case = Case::new(format!("open/{state}/{}/{}", folder.events, folder.entities), "open", adapters);
    case.with("durability", "buffered").with("unclean", folder.unclean).on(folder)
}

fn opens(events: u64) -> Vec<Case> {
    let unclean = Folder { unclean: true, ..folder(events, 16) };
    let mut cases = vec![
        open("clean", folder(events, 16), &["batpak"]),
        open("unclean", unclean, &["batpak"]),
        open("clean", folder(events, MILLION), &["batpak"]),
    ];
    if events == MILLION {
        // Plain for what an event takes on disk, one key for what a million keys cost an open.
        cases.push(open("clean", folder(events, 16), &["batpak-plain"]));
        cases.push(open("clean", folder(events, 1), &["batpak"]));
        cases.push(open("clean", folder(events, 100_000), &["batpak"]));
    }
    cases
}

/// Each round counts on from the ones before it.
fn shreds(events: u64) -> Vec<Case> {
    let case = |(scopes, name)| {
        let case = Case::new(format!("shred/{name}"), "shred", &["batpak"]).with("events", scopes);
        case.with("durability", "buffered").on(folder(events, MILLION))
    };
    [(1, "1"), (10_000, "10000")].map(case).into()
}

/// Appends at growing sizes of the log.
fn grow(name: &str, events: u64, adapters: &[&'static str]) -> Case {
    Case::new(name, "grow", adapters).with("durability", "buffered").with("events", events)
}

/// The same, a new entity each, with a key of its own or under one key.
fn grow_mints(name: &str, events: u64) -> Vec<Case> {
    let mint = |keys: &str| grow(&format!("{name}/{keys}"), events, &["batpak"]).with("entities", 0).with("keys", keys);
    vec![mint("entity"), mint("one")]
}

fn sizes() -> Vec<Case> {
    let mut cases = vec![grow("grow", 10 * MILLION, &["batpak", "batpak-plain", "floor"])];
    cases.extend(grow_mints("grow/mint", 10 * MILLION).into_iter().map(|case| case.at_most(1)));
    cases
}

fn peer_appends() -> Vec<Case> {
    let all = |adapters: &[&'static str]| [&OURS[..], adapters].concat();
    let buffered = [&all(&BUFFERED)[..], &["sqlite"]].concat();
    vec![
        append("synced", 256, 1, 1000, &all(&SYNCED)),
        append("synced", 4096, 1, 1000, &all(&SYNCED)),
        append("synced", 256, 8, 6000, &[&all(&SYNCED)[..], &["published-group"]].concat()),
        batch(256, 20_000, &all(&SYNCED)),
        append("buffered", 256, 1, 200_000, &buffered),
        append("buffered", 4096, 1, 30_000, &buffered),
    ]
    .into_iter()
    .map(|case| Case { name: format!("peers/{}", case.name), ..case })
    .collect()
}

fn peer_reads() -> Vec<Case> {
    let all = [&OURS[..], &READ].concat();
    let million = folder(MILLION, 16);
    let unclean = Folder { unclean: true, ..million };
    vec![
        get(million, 1, &all),
        read("replay", million, &all),
        open("clean", million, &all),
        open("unclean", unclean, &all),
    ]
    .into_iter()
    .map(|case| Case { name: format!("peers/{}", case.name), ..case })
    .collect()
}

/// Sizes and mixtures that no goal names.
fn others() -> Vec<Case> {
    let adapters = ["floor", "floor-ring", "batpak", "batpak-plain", "raft-engine"];
    let mixed = |durability: &str, threads: u64, events: u64| {
        let case = append(durability, 2048, threads, events, &adapters).with("mixed", true);
        Case { name: format!("mixed/{durability}/{threads}"), ..case }
    };
    vec![
        append("synced", 64, 1, 1000, &adapters),
        append("synced", 65_536, 1, 500, &adapters),
        append("synced", 64, 4, 3000, &adapters),
        append("buffered", 64, 1, 200_000, &adapters),
        append("buffered", 1024, 1, 100_000, &adapters),
        append("buffered", 65_536, 1, 3000, &adapters),
        append("buffered", 64, 4, 200_000, &adapters),
        mixed("synced", 8, 6000),
        mixed("buffered", 1, 50_000),
        mixed("buffered", 2, 50_000),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fills_name_each_folder_once_with_all_its_adapters() {
        let one = folder(1000, 16);
        let cases =
            vec![get(one, 1, &["floor"]), get(one, 2, &["batpak", "floor"]), open("clean", folder(5, 1), &["floor"])];
        let fills = Group { name: "g", cases, rounds: 1 }.fills();
        let found: Vec<_> = fills.iter().map(|fill| (fill.name.as_str(), fill.adapters.as_slice())).collect();
        assert_eq!(found, [("fill/1000/16/256/clean", &["floor", "batpak"][..]), ("fill/5/1/256/clean", &["floor"])]);
    }

    #[test]
    fn cases_of_all_groups_differ_in_their_names() {
        let mut names: Vec<String> = goals()
            .into_iter()
            .chain(shown())
            .flat_map(|group| group.cases)
            .map(|case| format!("{} {:?}", case.name, case.adapters))
            .collect();
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
