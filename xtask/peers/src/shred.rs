//! Shreds: the keys of so many entities, scattered over a folder that was filled before, destroyed in one call.
//!
//! Invariant: no entity is shredded twice: `first` counts the calls before.

use std::time::Instant;

use crate::Outcome;
use crate::append::opened;
use crate::report::Report;
use crate::request::Request;
use crate::usage::Usage;

/// Shreds as many entities as the request has events.
///
/// # Errors
///
/// When the adapter fails or has no shred.
pub(crate) fn measure(request: &Request) -> Outcome<Report> {
    let log = opened(request)?;
    let apart = request.entities / request.events.max(1);
    let victims: Vec<u64> = (0..request.events).map(|n| (n * apart + request.first) % request.entities).collect();
    let before = Usage::now()?;
    let begun = Instant::now();
    log.shred(&victims)?;
    let took = begun.elapsed();
    let usage = Usage::now()?.since(before);
    log.close()?;
    let mut report = Report::default();
    report.set("shred_ms", took.as_secs_f64() * 1e3);
    report.set("flushes", usage.flushes as f64);
    report.set("written_kib", usage.written as f64 / 1024.0);
    Ok(report)
}
