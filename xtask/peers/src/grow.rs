//! How the cost of an append grows with the log: single appends are measured when so many events stand before them, the rest is filled in
//! by batches.
//!
//! Invariant: each place measures as many appends as the one before, and the same log is measured throughout.

use std::fs;
use std::time::Instant;

use crate::append::opened;
use crate::events::Events;
use crate::log::{EventLog, Item};
use crate::report::Report;
use crate::request::Request;
use crate::{Outcome, usage};

/// Sizes at which the log is looked at, with the names of what is found: appends a second, microseconds an append, anonymous memory.
const PLACES: [(u64, &str, &str); 4] = [
    (10_000, "at_10k_us", "at_10k_anonymous_mib"),
    (100_000, "at_100k_us", "at_100k_anonymous_mib"),
    (1_000_000, "at_1m_us", "at_1m_anonymous_mib"),
    (10_000_000, "at_10m_us", "at_10m_anonymous_mib"),
];
/// Appends that are measured at each place: the first half warms.
const MEASURED: u64 = 20_000;
const BATCH: u64 = 1000;

/// Measures appends at every place up to the request's number of events.
///
/// # Errors
///
/// When the adapter fails.
pub(crate) fn measure(request: &Request) -> Outcome<Report> {
    let mut log = opened(request)?;
    let mut report = Report::default();
    let mut at = 0;
    for (place, cost, memory) in PLACES.into_iter().filter(|(place, ..)| *place <= request.events) {
        let mut filled = at;
        while filled < place {
            // The caller's names of new entities are made in parts, so that they take no memory to speak of.
            let count = (place - filled).min(100 * BATCH);
            let events = part(request, &mut *log, filled, count);
            fill(&*log, &events, count)?;
            filled += count;
        }
        let events = part(request, &mut *log, place, MEASURED);
        for n in 0..MEASURED / 2 {
            log.append(events.item(n))?;
        }
        let begun = Instant::now();
        for n in MEASURED / 2..MEASURED {
            log.append(events.item(n))?;
        }
        report.set(cost, begun.elapsed().as_secs_f64() * 1e6 / (MEASURED / 2) as f64);
        report.set(memory, usage::anonymous()? as f64 / (1 << 20) as f64);
        at = place + MEASURED;
    }
    log.close()?;
    fs::remove_dir_all(&request.dir)?;
    Ok(report)
}

/// The events of one part of the log, their entities' names made ready.
fn part(request: &Request, log: &mut dyn EventLog, first: u64, count: u64) -> Events {
    let events = Events::new(&Request { first, events: count, ..request.clone() });
    log.prepare(events.entities());
    events
}

fn fill(log: &dyn EventLog, events: &Events, count: u64) -> Outcome {
    let mut made = Vec::new();
    for start in (0..count).step_by(BATCH as usize) {
        let items: Vec<Item<'_>> = (start..count.min(start + BATCH)).map(|n| events.item(n)).collect();
        made.clear();
        log.append_batch(&items, &mut made)?;
    }
    Ok(())
}
