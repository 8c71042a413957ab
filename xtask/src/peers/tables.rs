//! The tables of PERFORMANCE.md, from results.
//!
//! Invariant: a cell without a measurement is a dash, and never a figure of an earlier run.

use super::adapter::{ADAPTERS, Adapter};
use super::goal::{Bound, Goal, Standing};
use super::goals;
use super::number::shown;
use super::results::{Results, Side};

/// A column: its heading, the case, the value.
type Column<'a> = (&'a str, &'a str, &'static str);

const RATE: &str = "events_per_s";

const PEERS: [Column<'_>; 12] = [
    ("synced", "peers/append/synced/256/1", RATE),
    ("synced, 4 KiB", "peers/append/synced/4096/1", RATE),
    ("synced, 8 threads", "peers/append/synced/256/8", RATE),
    ("events a flush", "peers/append/synced/256/8", "events_per_flush"),
    ("synced batches of 100", "peers/batch/synced/256", RATE),
    ("buffered", "peers/append/buffered/256/1", RATE),
    ("buffered, 4 KiB", "peers/append/buffered/4096/1", RATE),
    ("get", "peers/get/1000000/256/1", RATE),
    ("replay", "peers/replay/1000000/256", RATE),
    ("open clean, ms", "peers/open/clean/1000000/16", "open_ms"),
    ("open unclean, ms", "peers/open/unclean/1000000/16", "open_ms"),
    ("bytes an event", "fill/1000000/16/256/clean", "closed_bytes_per_event"),
];

const MAIN: [Column<'_>; 6] = [PEERS[0], PEERS[2], PEERS[5], PEERS[7], PEERS[8], PEERS[9]];

const OTHERS: [Column<'_>; 10] = [
    ("synced, 64 B", "append/synced/64/1", RATE),
    ("synced, 64 KiB", "append/synced/65536/1", RATE),
    ("synced, 64 B, 4 threads", "append/synced/64/4", RATE),
    ("synced, 64 B to 4 KiB, 8 threads", "mixed/synced/8", RATE),
    ("buffered, 64 B", "append/buffered/64/1", RATE),
    ("buffered, 1 KiB", "append/buffered/1024/1", RATE),
    ("buffered, 64 KiB", "append/buffered/65536/1", RATE),
    ("buffered, 64 B, 4 threads", "append/buffered/64/4", RATE),
    ("buffered, 64 B to 4 KiB", "mixed/buffered/1", RATE),
    ("buffered, 64 B to 4 KiB, 2 threads", "mixed/buffered/2", RATE),
];

const LATENCIES: [Column<'_>; 6] = [
    ("p50", "", "p50_us"),
    ("p90", "", "p90_us"),
    ("p99", "", "p99_us"),
    ("p99.9", "", "p99.9_us"),
    ("p99.99", "", "p99.99_us"),
    ("longest", "", "longest_us"),
];

/// The goals, with the reasons that stand in the document for those that are missed.
pub(super) fn goals(results: &Results, reason: impl Fn(&str) -> Option<String>) -> String {
    let mut rows =
        String::from("| # | goal | asked | median | quartiles | runs | | why |\n|---|---|---|---|---|---|---|---|\n");
    let (mut met, mut missed) = (0, 0);
    for goal in goals::all() {
        let standing = goal.standing(results);
        met += u32::from(standing == Standing::Met);
        missed += u32::from(standing == Standing::Missed);
        let word = match standing {
            Standing::Met => "met",
            Standing::Missed => "**missed**",
            Standing::FewRounds => "few rounds",
            Standing::NotMeasured => "not measured",
        };
        let why = if standing == Standing::Missed { reason(&goal.number).unwrap_or_default() } else { String::new() };
        let Goal { number, what, unit, .. } = &goal;
        let (median, quartiles, count) = match goal.found(results) {
            Some(found) => {
                let quartiles = format!("{} to {}", shown(found.low), shown(found.high));
                (with_unit(found.median, unit), quartiles, found.count.to_string())
            }
            None => ("-".to_owned(), "-".to_owned(), "0".to_owned()),
        };
        let asked = asked(goal.bound, unit);
        rows += &format!("| {number} | {what} | {asked} | {median} | {quartiles} | {count} | {word} | {why} |\n");
    }
    format!("{met} met, {missed} missed.\n\n{rows}")
}

fn asked(bound: Bound, unit: &str) -> String {
    match bound {
        Bound::AtLeast(value) => format!(">= {}", with_unit(value, unit)),
        Bound::AtMost(value) => format!("<= {}", with_unit(value, unit)),
    }
}

fn with_unit(value: f64, unit: &str) -> String {
    match unit {
        "" => shown(value),
        "x" => format!("{value:.2} x"),
        unit => format!("{} {unit}", shown(value)),
    }
}

/// The store and its peers side by side.
pub(super) fn peers(results: &Results) -> String {
    table(results, "events a second, 256 B", &PEERS)
}

/// A few columns of it, for the README.
pub(super) fn main(results: &Results) -> String {
    table(results, "events a second, 256 B", &MAIN)
}

/// Sizes and mixtures that no goal names.
pub(super) fn others(results: &Results) -> String {
    table(results, "events a second", &OTHERS)
}

/// How long an append takes: synced; and buffered while segments roll and a reader replays.
pub(super) fn latencies(results: &Results) -> String {
    let titled = |title: &str, case: &str| {
        let columns = LATENCIES.map(|(heading, _, value)| (heading, case, value));
        format!("{}\n", table(results, title, &columns))
    };
    titled("microseconds a synced append, 256 B, one thread", "peers/append/synced/256/1")
        + &titled("microseconds a synced append, 256 B, 8 threads", "peers/append/synced/256/8")
        + &titled("microseconds a buffered append, 256 B, beside a replay", "stall")
}

/// Medians of all adapters that have any.
fn table(results: &Results, title: &str, columns: &[Column<'_>]) -> String {
    let headings: Vec<&str> = columns.iter().map(|(heading, ..)| *heading).collect();
    let mut text = format!("| {title} | {} |\n|---{}|\n", headings.join(" | "), "|---".repeat(columns.len()));
    for Adapter { key: adapter, name, .. } in ADAPTERS {
        let cell = |(_, case, value): &Column<'_>| {
            let found = results.spread(&Side::new(*case, adapter, value));
            let failed = || results.error(case, adapter).map(|_| "fails".to_owned());
            found.map(|found| shown(found.median)).or_else(failed).unwrap_or_else(|| "-".to_owned())
        };
        let cells: Vec<String> = columns.iter().map(cell).collect();
        if cells.iter().any(|cell| cell != "-") {
            text += &format!("| {name} | {} |\n", cells.join(" | "));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_shows_medians_and_dashes_and_leaves_out_empty_rows() {
        let results = Results::planted(&[(1, 0, "a", "floor", RATE, 17_000.0), (1, 0, "a", "redb", RATE, 3500.0)]);
        let found = table(&results, "title", &[("one", "a", RATE), ("two", "b", RATE)]);
        let expected = "| title | one | two |\n|---|---|---|\n\
                        | floor: one growing file, a CRC, no index | 17.0k | - |\n| redb 4 | 3,500 | - |\n";
        assert_eq!(found, expected);
    }

    #[test]
    fn goals_show_a_reason_only_where_one_is_missed() {
        let case = "append/synced/256/1";
        let pair = |round| [(1, round, case, "batpak", RATE, 0.5), (1, round, case, "batpak-plain", RATE, 1.0)];
        let results = Results::planted(&(0..15).flat_map(pair).collect::<Vec<_>>());
        let found = goals(&results, |number| Some(format!("because of {number}")));
        let line = found.lines().find(|line| line.starts_with("| P1.3 ")).unwrap();
        assert_eq!(
            line,
            "| P1.3 | synced, 256 B: sealed / plain | >= 0.97 x | 0.50 x | 0.50 to 0.50 | 15 | **missed** | because of P1.3 |"
        );
        assert_eq!(found.matches("because of").count(), 1);
    }
}
