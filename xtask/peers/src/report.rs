//! What a measurement found: names and numbers.
//!
//! Invariant: units stand last in the names; rates are per second.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::Outcome;
use crate::usage::Usage;

/// Shares of the calls, with the names of their latencies.
const QUANTILES: [(f64, &str); 6] = [
    (0.5, "p50_us"),
    (0.9, "p90_us"),
    (0.99, "p99_us"),
    (0.999, "p99.9_us"),
    (0.9999, "p99.99_us"),
    (1.0, "longest_us"),
];

/// Names and numbers.
#[derive(Debug, Default, Serialize)]
#[serde(transparent)]
pub(crate) struct Report(BTreeMap<&'static str, f64>);

impl Report {
    /// Adds a number.
    pub(crate) fn set(&mut self, name: &'static str, value: f64) {
        self.0.insert(name, value);
    }

    /// Adds how many events a second there were, and the seconds.
    pub(crate) fn rate(&mut self, events: u64, took: Duration) {
        self.set("events_per_s", events as f64 / took.as_secs_f64());
        self.set("seconds", took.as_secs_f64());
    }

    /// Adds what each event cost the kernel.
    pub(crate) fn usage(&mut self, events: u64, usage: Usage) {
        let each = |count: u64| count as f64 / events as f64;
        self.set("writes_per_event", each(usage.writes));
        self.set("written_bytes_per_event", each(usage.written));
        self.set("switches_per_event", each(usage.switches));
        self.set("flushes", usage.flushes as f64);
        if usage.flushes > 0 {
            self.set("events_per_flush", events as f64 / usage.flushes as f64);
        }
    }

    /// Adds the distribution of latencies.
    pub(crate) fn latencies(&mut self, latencies: &Latencies) {
        for (quantile, name) in QUANTILES {
            self.set(name, latencies.0.value_at_quantile(quantile) as f64 / 1e3);
        }
    }
}

/// Latencies of calls, in nanoseconds, to three digits.
#[derive(Debug)]
pub(crate) struct Latencies(Histogram<u64>);

impl Latencies {
    /// Starts without any; a latency may be a minute at most.
    pub(crate) fn new() -> Outcome<Latencies> {
        Ok(Latencies(Histogram::new_with_bounds(1, 60_000_000_000, 3)?))
    }

    /// Adds one.
    pub(crate) fn add(&mut self, latency: Duration) {
        self.0.saturating_record(latency.as_nanos() as u64);
    }

    /// Adds those of another thread.
    pub(crate) fn join(&mut self, other: &Latencies) -> Outcome {
        Ok(self.0.add(&other.0)?)
    }
}
