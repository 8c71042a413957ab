//! Reads in order: the whole log, one entity's stream, and a full verification, over a folder that was filled before.
//!
//! Invariant: the first pass warms the pages and is not counted; the number of events is compared.

use std::hint::black_box;
use std::time::Instant;

use crate::Outcome;
use crate::append::opened;
use crate::log::EventLog;
use crate::report::Report;
use crate::request::Request;

/// Measures a replay of the whole log.
///
/// # Errors
///
/// When the adapter fails, or another number of events is there.
pub(crate) fn whole(request: &Request) -> Outcome<Report> {
    pass(request, |log| {
        let mut bytes = 0;
        let count = log.replay(&mut |payload| {
            bytes += payload.len();
            black_box(payload.first());
        })?;
        at_least(count, request.events)?;
        Ok((count, bytes as u64))
    })
}

/// Measures a replay of one entity's events: that of the entity in the middle.
///
/// # Errors
///
/// When the adapter fails or has no streams.
pub(crate) fn stream(request: &Request) -> Outcome<Report> {
    pass(request, |log| {
        let mut bytes = 0;
        let count = log.stream(request.entities / 2, &mut |payload| {
            bytes += payload.len();
            black_box(payload.first());
        })?;
        at_least(count, request.events / request.entities.max(1))?;
        Ok((count, bytes as u64))
    })
}

/// Measures a full verification.
///
/// # Errors
///
/// When the adapter fails or has no verification, or something does not hold.
pub(crate) fn verify(request: &Request) -> Outcome<Report> {
    pass(request, |log| {
        let count = log.verify()?;
        at_least(count, request.events)?;
        Ok((count, count * request.payload as u64))
    })
}

fn pass(request: &Request, measured: impl Fn(&dyn EventLog) -> Outcome<(u64, u64)>) -> Outcome<Report> {
    let log = opened(request)?;
    measured(&*log)?;
    let begun = Instant::now();
    let (count, bytes) = measured(&*log)?;
    let took = begun.elapsed();
    log.close()?;
    let mut report = Report::default();
    report.rate(count, took);
    report.set("payload_mib_per_s", bytes as f64 / (1 << 20) as f64 / took.as_secs_f64());
    Ok(report)
}

/// A log that was opened uncleanly before has a few more.
fn at_least(found: u64, filled: u64) -> Outcome {
    if found < filled { Err(format!("{found} events, {filled} were filled in").into()) } else { Ok(()) }
}
