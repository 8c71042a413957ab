//! Opens: how long one takes, and what memory it leaves taken, in a process that did nothing else.
//!
//! Invariant: a clean open is closed again. An unclean one leaves the log as a crash would: events behind the last flush, nothing closed;
//! the next open of the same folder finds that, so a folder is opened once after it was filled before its opens count as unclean.

use std::time::Instant;

use crate::append::opened;
use crate::events::Events;
use crate::log::Item;
use crate::report::Report;
use crate::request::Request;
use crate::{Outcome, usage};

/// Events that an unclean process appends and flushes: part of a segment to check at the next open.
const FLUSHED: u64 = 50_000;
/// Events behind them that it does not flush.
const UNFLUSHED: u64 = 1000;

/// Measures an open, and leaves the folder as the request says.
///
/// # Errors
///
/// When the adapter fails.
pub(crate) fn measure(request: &Request) -> Outcome<Report> {
    let before = usage::anonymous()?;
    let begun = Instant::now();
    let mut log = opened(request)?;
    let took = begun.elapsed();
    let mib = |bytes: u64| bytes as f64 / (1 << 20) as f64;
    let mut report = Report::default();
    report.set("open_ms", took.as_secs_f64() * 1e3);
    report.set("anonymous_mib", mib(usage::anonymous()?.saturating_sub(before)));
    report.set("mapped_mib", mib(usage::mapped()?));
    if request.unclean {
        let events = Events::new(&Request { entities: request.entities.max(1), ..request.clone() });
        log.prepare(events.entities());
        let append = |count: u64| -> Outcome {
            for start in (0..count).step_by(100) {
                let items: Vec<Item<'_>> = (start..start + 100).map(|n| events.item(n)).collect();
                log.append_batch(&items, &mut Vec::new())?;
            }
            Ok(())
        };
        append(FLUSHED)?;
        log.sync()?;
        append(UNFLUSHED)?;
        // Neither closed nor dropped: the process ends as a crash ends it.
        std::mem::forget(log);
    } else {
        log.close()?;
    }
    Ok(report)
}
