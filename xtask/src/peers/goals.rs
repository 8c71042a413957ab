//! The goals: which two values are compared, and what their ratio has to reach.
//!
//! Invariant: every value that a goal names is measured by the matrix of the goals.

use super::goal::{Bound, Goal};
use super::matrix::{LARGE, folder};
use super::results::Side;

const RATE: &str = "events_per_s";

/// The goals of one number, counted on.
struct Numbered {
    number: &'static str,
    goals: Vec<Goal>,
}

impl Numbered {
    fn new(number: &'static str) -> Numbered {
        Numbered { number, goals: Vec::new() }
    }

    /// A rate of one adapter over that of another, in two cases.
    fn rates(self, what: &str, over: (&str, &'static str), under: (&str, &'static str), least: f64) -> Numbered {
        let (over, under) = (Side::new(over.0, over.1, RATE), Side::new(under.0, under.1, RATE));
        self.add(what, over, Some(under), Bound::AtLeast(least), "x")
    }

    /// A rate of one adapter over that of another, in the same case.
    fn beside(self, what: &str, case: &str, over: &'static str, under: &'static str, least: f64) -> Numbered {
        self.rates(what, (case, over), (case, under), least)
    }

    fn add(mut self, what: &str, over: Side, under: Option<Side>, bound: Bound, unit: &'static str) -> Numbered {
        let number = format!("{}.{}", self.number, self.goals.len() + 1);
        self.goals.push(Goal { number, what: what.to_owned(), over, under, bound, unit });
        self
    }
}

/// All goals, P1 to P13.
pub(super) fn all() -> Vec<Goal> {
    let numbered = [p1(), p2(), p3(), p4(), p5(), p6(), p7(), p8(), p9(), p10(), p11(), p12(), p13()];
    numbered.into_iter().flat_map(|numbered| numbered.goals).collect()
}

fn p1() -> Numbered {
    let (small, large) = ("append/synced/256/1", "append/synced/4096/1");
    Numbered::new("P1")
        .beside("synced, 256 B: sealed / floor over written blocks", small, "batpak", "floor-written", 0.95)
        .beside("synced, 4 KiB: sealed / floor over written blocks", large, "batpak", "floor-written", 0.95)
        .beside("synced, 256 B: sealed / plain", small, "batpak", "batpak-plain", 0.97)
        .beside("synced, 4 KiB: sealed / plain", large, "batpak", "batpak-plain", 0.97)
        .beside("synced, 4 KiB: sealed / raft-engine", large, "batpak", "raft-engine", 1.4)
}

fn p2() -> Numbered {
    let a_flush = |threads: u64| Side::new(format!("append/synced/256/{threads}"), "batpak", "events_per_flush");
    let threads = |goals: Numbered, threads: u64, peer: &'static str, least: f64| {
        let what = format!("synced, {threads} threads: sealed / {peer}");
        goals.beside(&what, &format!("append/synced/256/{threads}"), "batpak", peer, least)
    };
    let goals = threads(Numbered::new("P2"), 8, "raft-engine", 1.3);
    let goals = goals.add("synced, 8 threads: events a flush", a_flush(8), None, Bound::AtLeast(6.0), "");
    let goals = goals.add("synced, 64 threads: events a flush", a_flush(64), None, Bound::AtLeast(25.0), "");
    let goals = threads(goals, 64, "okaywal", 1.2);
    threads(threads(goals, 2, "raft-engine", 1.1), 16, "raft-engine", 1.1)
}

fn p3() -> Numbered {
    let (small, large) = ("batch/synced/256", "batch/synced/4096");
    Numbered::new("P3")
        .beside("batches of 100, 256 B: plain / floor", small, "batpak-plain", "floor", 0.9)
        .beside("batches of 100, 256 B: sealed / plain", small, "batpak", "batpak-plain", 0.78)
        .beside("batches of 100, 4 KiB: plain / floor", large, "batpak-plain", "floor", 0.68)
        .beside("batches of 100, 4 KiB: sealed / plain", large, "batpak", "batpak-plain", 0.72)
}

fn p4() -> Numbered {
    let mut goals = Numbered::new("P4");
    for (durability, size, payload, plain, sealed) in [
        ("buffered", "256 B", 256, 0.55, 0.42),
        ("buffered", "4 KiB", 4096, 0.65, 0.47),
        ("deferred", "256 B", 256, 1.0, 0.65),
        ("deferred", "4 KiB", 4096, 1.0, 0.66),
    ] {
        let (case, floor) = (format!("append/{durability}/{payload}/1"), format!("append/buffered/{payload}/1"));
        for (adapter, name, least) in [("batpak-plain", "plain", plain), ("batpak", "sealed", sealed)] {
            let what = format!("{durability}, {size}: {name} / floor");
            goals = goals.rates(&what, (&case, adapter), (&floor, "floor"), least);
        }
    }
    for (case, value, what, most) in [
        ("calls/buffered", "calls_per_event", "buffered, 256 B, sealed: system calls an append", 1.05),
        ("append/buffered/256/1", "switches_per_event", "buffered, 256 B, sealed: context switches an append", 0.01),
    ] {
        goals = goals.add(what, Side::new(case, "batpak", value), None, Bound::AtMost(most), "");
    }
    goals
}

fn p5() -> Numbered {
    let mut goals = Numbered::new("P5");
    for (adapter, name, least) in [("batpak", "sealed", 1.5), ("batpak-plain", "plain", 1.2)] {
        for (size, payload) in [("256 B", 256), ("4 KiB", 4096)] {
            let (two, one) = (format!("append/buffered/{payload}/2"), format!("append/buffered/{payload}/1"));
            let what = format!("buffered, {size}, {name}: 2 threads / 1");
            goals = goals.rates(&what, (&two, adapter), (&one, adapter), least);
        }
    }
    goals
}

fn p6() -> Numbered {
    let cost = |case, value| Side::new(case, "batpak", value);
    Numbered::new("P6")
        .rates(
            "a new key each append, buffered / one key",
            ("mint/buffered/entity", "batpak"),
            ("mint/buffered/one", "batpak"),
            0.88,
        )
        .rates(
            "a new key each append, synced / one key",
            ("mint/synced/entity", "batpak"),
            ("mint/synced/one", "batpak"),
            0.97,
        )
        .add(
            "cost of the millionth new key / the ten thousandth",
            cost("mint/grow/entity", "at_1m_us"),
            Some(cost("mint/grow/entity", "at_10k_us")),
            Bound::AtMost(1.25),
            "x",
        )
}

fn p7() -> Numbered {
    let one = |events: u64, payload: u64| format!("get/{events}/{payload}/1");
    let (small, large) = (one(1_000_000, 256), one(LARGE.events, LARGE.payload));
    Numbered::new("P7")
        .beside("get, 1 M events: plain / floor", &small, "batpak-plain", "floor", 1.8)
        .beside("get, 1 M events: sealed / floor", &small, "batpak", "floor", 0.95)
        .beside("get, 4 KiB: plain / floor", &large, "batpak-plain", "floor", 3.0)
        .beside("get, 4 KiB: sealed / floor", &large, "batpak", "floor", 1.1)
        .rates("get, sealed: 2 readers / 1", ("get/1000000/256/2", "batpak"), (&small, "batpak"), 1.6)
}

fn p8() -> Numbered {
    let case = |workload: &str, payload: u64| {
        let events = if payload == 256 { 1_000_000 } else { LARGE.events };
        format!("{workload}/{events}/{payload}")
    };
    let mut goals = Numbered::new("P8");
    for (size, payload, least) in [("256 B", 256, 0.9), ("4 KiB", 4096, 1.5)] {
        let what = format!("replay, {size}: plain / floor");
        goals = goals.beside(&what, &case("replay", payload), "batpak-plain", "floor", least);
        let (hash, aead) = (format!("hash/{payload}"), format!("aead/{payload}"));
        let what = format!("verification, {size}: plain / hash rate");
        goals = goals.rates(&what, (&case("verify", payload), "batpak-plain"), (&hash, "blake3"), 0.83);
        let what = format!("replay, {size}: sealed / AEAD rate");
        goals = goals.rates(&what, (&case("replay", payload), "batpak"), (&aead, "ring"), 0.77);
    }
    goals
}

fn open(state: &str, events: u64, entities: u64, value: &'static str) -> Side {
    Side::new(format!("open/{state}/{events}/{entities}"), "batpak", value)
}

fn p9() -> Numbered {
    let ms = |goals: Numbered, what: &str, state: &str, events: u64, most: f64| {
        goals.add(what, open(state, events, 16, "open_ms"), None, Bound::AtMost(most), "ms")
    };
    let goals = ms(Numbered::new("P9"), "open after a clean close, 1 M events", "clean", 1_000_000, 1.0);
    let goals = ms(goals, "open after a clean close, 10 M events", "clean", 10_000_000, 3.0);
    let goals = ms(goals, "open after an unclean end, 1 M events", "unclean", 1_000_000, 15.0);
    ms(goals, "open after an unclean end, 10 M events", "unclean", 10_000_000, 15.0)
}

fn p10() -> Numbered {
    let mut goals = Numbered::new("P10");
    for (events, entities, what) in [
        (1_000_000, 16, "anonymous memory after opening 1 M events"),
        (10_000_000, 16, "anonymous memory after opening 10 M events"),
        (1_000_000, 100_000, "the same, 1 M events, 100,000 entities"),
        (1_000_000, 1_000_000, "the same, 1 M events, 1 M entities"),
        (10_000_000, 1_000_000, "the same, 10 M events, 1 M entities"),
    ] {
        let side = open("clean", events, entities, "anonymous_mib");
        goals = goals.add(what, side, None, Bound::AtMost(8.0), "MiB");
    }
    goals
}

fn p11() -> Numbered {
    let fill = |payload: u64, events: u64, adapter, value| {
        Side::new(format!("fill/{events}/16/{payload}/clean"), adapter, value)
    };
    let small = |adapter| fill(256, folder(1_000_000, 16).events, adapter, "closed_bytes_per_event");
    let large = fill(LARGE.payload, LARGE.events, "batpak", "closed_bytes_per_event");
    let running = fill(256, 1_000_000, "batpak", "running_block_bytes_per_event");
    Numbered::new("P11")
        .add("bytes on disk an event, closed, 256 B plain", small("batpak-plain"), None, Bound::AtMost(402.0), "B")
        .add("bytes on disk an event, closed, 256 B sealed", small("batpak"), None, Bound::AtMost(450.0), "B")
        .add("bytes on disk an event, closed, 4 KiB sealed", large, None, Bound::AtMost(1.05 * 4096.0), "B")
        .add("bytes on disk an event, running, 256 B sealed", running, None, Bound::AtMost(450.0 * 1.125), "B")
}

fn p12() -> Numbered {
    let shred = |scopes: &str, value| Side::new(format!("shred/{scopes}"), "batpak", value);
    Numbered::new("P12")
        .add("shred of one scope among 1 M: flushes", shred("1", "flushes"), None, Bound::AtMost(8.0), "")
        .add("shred of one scope among 1 M: written", shred("1", "written_kib"), None, Bound::AtMost(1024.0), "KiB")
        .add("shred of 10,000 scattered scopes", shred("10000", "shred_ms"), None, Bound::AtMost(1000.0), "ms")
        .add(
            "open with 1 M scopes / with one",
            open("clean", 1_000_000, 1_000_000, "open_ms"),
            Some(open("clean", 1_000_000, 1, "open_ms")),
            Bound::AtMost(1.1),
            "x",
        )
}

fn p13() -> Numbered {
    let stall = |adapter, value| Side::new("stall", adapter, value);
    let (p999, longest) = ("p99.9_us", "longest_us");
    let most = Bound::AtMost(3.0);
    Numbered::new("P13")
        .add(
            "buffered beside a replay, p99.9: sealed / floor",
            stall("batpak", p999),
            Some(stall("floor", p999)),
            most,
            "x",
        )
        .add(
            "buffered beside a replay, p99.9: plain / floor",
            stall("batpak-plain", p999),
            Some(stall("floor", p999)),
            most,
            "x",
        )
        .add("buffered beside a replay, longest, sealed", stall("batpak", longest), None, Bound::AtMost(2000.0), "us")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peers::matrix;

    #[test]
    fn goals_name_only_what_the_matrix_of_the_goals_measures() {
        let groups = matrix::goals();
        let cases: Vec<_> = groups.iter().flat_map(|group| [group.cases.clone(), group.fills()].concat()).collect();
        let measured =
            |side: &Side| cases.iter().any(|case| case.name == side.case && case.adapters.contains(&side.adapter));
        for goal in all() {
            assert!(measured(&goal.over), "{}: {:?}", goal.number, goal.over);
            assert!(goal.under.as_ref().is_none_or(measured), "{}: {:?}", goal.number, goal.under);
        }
    }
}
