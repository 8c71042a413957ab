//! The figures of PERFORMANCE.md: which values each shows.
//!
//! Invariant: a figure has a point only where a measurement is; one without any is not drawn.

use super::adapter::{ADAPTERS, Adapter};
use super::number::shown;
use super::plot::{Axis, Scale, Series, bars, lines};
use super::results::{Results, Side};

/// A picture and its name.
#[derive(Debug)]
pub(super) struct Figure {
    pub(super) file: &'static str,
    pub(super) svg: String,
}

/// Sizes of the log.
const SIZES: [f64; 4] = [1e4, 1e5, 1e6, 1e7];
const QUANTILES: [(&str, &str); 6] = [
    ("p50_us", "p50"),
    ("p90_us", "p90"),
    ("p99_us", "p99"),
    ("p99.9_us", "p99.9"),
    ("p99.99_us", "p99.99"),
    ("longest_us", "longest"),
];

/// Draws all of them.
pub(super) fn all(results: &Results) -> Vec<Figure> {
    let rates = [
        ("synced.svg", "Synced appends a second, 256 B, one thread", "peers/append/synced/256/1"),
        ("synced-8.svg", "Synced appends a second, 256 B, 8 threads", "peers/append/synced/256/8"),
        ("buffered.svg", "Buffered appends a second, 256 B, one thread", "peers/append/buffered/256/1"),
        ("get.svg", "Gets by id a second, 1 M events of 256 B", "peers/get/1000000/256/1"),
        ("replay.svg", "Events replayed a second, 256 B", "peers/replay/1000000/256"),
    ];
    let rates =
        rates.into_iter().filter_map(|(file, title, case)| Some(Figure { file, svg: rate(results, title, case)? }));
    let latencies = [
        ("latency-synced.svg", "Latency of a synced append, 256 B, one thread", "peers/append/synced/256/1"),
        ("latency-synced-8.svg", "Latency of a synced append, 256 B, 8 threads", "peers/append/synced/256/8"),
        ("latency-stall.svg", "Latency of a buffered append, 256 B, beside a replay, segments rolling", "stall"),
    ];
    let latencies = latencies
        .into_iter()
        .filter_map(|(file, title, case)| Some(Figure { file, svg: latency(results, title, case)? }));
    rates.chain(sizes(results)).chain(latencies).collect()
}

fn rate(results: &Results, title: &str, case: &str) -> Option<String> {
    let mut rows = Vec::new();
    // The floor that gathers in memory is no buffered log; it would dwarf those that are.
    for Adapter { key, short, colour, .. } in ADAPTERS.into_iter().filter(|adapter| adapter.key != "floor-buffer") {
        if let Some(found) = results.spread(&Side::new(case, key, "events_per_s")) {
            rows.push((short.to_owned(), colour, found.median, shown(found.median)));
        }
    }
    let most = rows.iter().map(|row| row.2).fold(0.0, f64::max);
    let marks = vec![(0.0, "0".to_owned()), (most, shown(most))];
    let axis = Axis { title: String::new(), scale: Scale::Linear, from: 0.0, to: most, marks };
    (!rows.is_empty()).then(|| bars(title, &axis, &rows))
}

/// What grows with the log, or does not.
fn sizes(results: &Results) -> Vec<Figure> {
    let places = ["at_10k_us", "at_100k_us", "at_1m_us", "at_10m_us"];
    let grown = |case: &'static str| {
        move |adapter: &'static str, at: usize| Some(results.spread(&Side::new(case, adapter, places[at]))?.median)
    };
    let opened = |state: &'static str, value: &'static str| {
        move |adapter: &'static str, at: usize| {
            let case = format!("open/{state}/{}/16", SIZES[at] as u64);
            let own = results.spread(&Side::new(case.as_str(), adapter, value));
            Some(own.or_else(|| results.spread(&Side::new(format!("peers/{case}"), adapter, value)))?.median)
        }
    };
    let got = |adapter: &'static str, at: usize| {
        let case = format!("get/{}/256/1", SIZES[at] as u64);
        let own = results.spread(&Side::new(case.as_str(), adapter, "events_per_s"));
        let found = own.or_else(|| results.spread(&Side::new(format!("peers/{case}"), adapter, "events_per_s")));
        Some(1e6 / found?.median)
    };
    let mints = |_: &'static str, at: usize, case: &'static str| grown(case)("batpak", at);
    let figures = [
        ("size-append.svg", size("A buffered append of 256 B, by events before it", "us", of_all(grown("grow")))),
        (
            "size-mint.svg",
            size(
                "A buffered append at a new entity, by entities before it",
                "us",
                vec![
                    line("a key each", "#c0392b", |at| mints("", at, "grow/mint/entity")),
                    line("one key", "#e79b8f", |at| mints("", at, "grow/mint/one")),
                ],
            ),
        ),
        ("size-get.svg", size("A get by id, 256 B, by events in the log", "us", of_all(got))),
        (
            "size-open.svg",
            size("An open after a clean close, by events in the log", "ms", of_all(opened("clean", "open_ms"))),
        ),
        (
            "size-open-unclean.svg",
            size("An open after an unclean end, by events in the log", "ms", of_all(opened("unclean", "open_ms"))),
        ),
        (
            "size-memory.svg",
            size(
                "Anonymous memory after an open, by events in the log",
                "MiB",
                of_all(opened("clean", "anonymous_mib")),
            ),
        ),
    ];
    figures.into_iter().filter_map(|(file, svg)| Some(Figure { file, svg: svg? })).collect()
}

/// One line for each adapter that has two points.
fn of_all(value: impl Fn(&'static str, usize) -> Option<f64>) -> Vec<Series> {
    ADAPTERS.into_iter().map(|Adapter { key, short, colour, .. }| line(short, colour, |at| value(key, at))).collect()
}

fn line(name: &str, colour: &'static str, value: impl Fn(usize) -> Option<f64>) -> Series {
    let points = SIZES.iter().enumerate().filter_map(|(at, size)| Some((*size, value(at)?))).collect();
    Series { name: name.to_owned(), colour, dashed: name.starts_with("floor"), points }
}

fn size(title: &str, unit: &str, series: Vec<Series>) -> Option<String> {
    let series: Vec<Series> = series.into_iter().filter(|line| line.points.len() > 1).collect();
    let across = Axis::powers("events", SIZES.into_iter(), shown_size);
    let values = series.iter().flat_map(|line| line.points.iter().map(|(_, value)| *value));
    let up = Axis::powers(unit, values, shown_power);
    (!series.is_empty()).then(|| lines(title, &across, &up, &series))
}

fn latency(results: &Results, title: &str, case: &str) -> Option<String> {
    let point = |adapter, at: usize, value| Some((at as f64, results.spread(&Side::new(case, adapter, value))?.median));
    let series: Vec<Series> = ADAPTERS
        .into_iter()
        .map(|Adapter { key, short, colour, .. }| {
            let points = QUANTILES.iter().enumerate().filter_map(|(at, (value, _))| point(key, at, value)).collect();
            Series { name: short.to_owned(), colour, dashed: short.starts_with("floor"), points }
        })
        .filter(|line| !line.points.is_empty())
        .collect();
    let marks = QUANTILES.iter().enumerate().map(|(at, (_, name))| (at as f64, (*name).to_owned())).collect();
    let last = (QUANTILES.len() - 1) as f64;
    let across = Axis { title: "share of the appends".to_owned(), scale: Scale::Linear, from: 0.0, to: last, marks };
    let values = series.iter().flat_map(|line| line.points.iter().map(|(_, value)| *value));
    let up = Axis::powers("us", values, shown_power);
    (!series.is_empty()).then(|| lines(title, &across, &up, &series))
}

fn shown_size(events: f64) -> String {
    if events >= 1e6 { format!("{:.0} M", events / 1e6) } else { format!("{:.0} k", events / 1e3) }
}

fn shown_power(value: f64) -> String {
    match value {
        value if value >= 1e6 => format!("{:.0} M", value / 1e6),
        value if value >= 1e3 => format!("{:.0} k", value / 1e3),
        value if value >= 1.0 => format!("{value:.0}"),
        value => format!("{value}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_draws_only_what_was_measured() {
        assert!(all(&Results::default()).is_empty());
        let results = Results::planted(&[
            (1, 0, "open/clean/10000/16", "batpak", "open_ms", 0.5),
            (1, 0, "peers/open/clean/1000000/16", "batpak", "open_ms", 0.7),
            (1, 0, "stall", "floor", "p50_us", 1.0),
        ]);
        let files: Vec<&str> = all(&results).iter().map(|figure| figure.file).collect();
        assert_eq!(files, ["size-open.svg", "latency-stall.svg"]);
    }
}
