//! Fills a folder with events for the workloads that read, and says what they take on disk.
//!
//! The references of up to a million events, evenly drawn, are left beside the folder, in the file that [`references`] names.
//! Invariant: the folder is left cleanly closed, or as a process that ends without a word leaves it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::append::opened;
use crate::events::Events;
use crate::log::{EventLog, Item};
use crate::report::Report;
use crate::request::Request;
use crate::{Outcome, usage};

/// Events of a batch, for those to whom a single append is a transaction.
const BATCH: u64 = 1000;
/// Logs that are filled one by one: to append in batches would change what is on disk, or what a read has to fetch.
const ONE_BY_ONE: [&str; 8] =
    ["batpak", "batpak-plain", "fjall", "floor", "floor-buffer", "floor-chacha", "floor-ring", "raft-engine"];
const REFERENCES_MAX: u64 = 1_000_000;

/// The file with the references of a folder's events, 16 bytes each.
pub(crate) fn references(dir: &Path) -> PathBuf {
    dir.with_extension("references")
}

/// Fills the request's folder.
///
/// # Errors
///
/// When the adapter or the folder fails.
pub(crate) fn measure(request: &Request) -> Outcome<Report> {
    let mut log = opened(request)?;
    let events = Events::new(request);
    log.prepare(events.entities());
    let mut report = Report::default();
    let took = append_all(request, &*log, &events)?;
    report.rate(request.events, took);
    log.sync()?;
    let each = |bytes: u64| bytes as f64 / request.events as f64;
    let (bytes, blocks) = usage::on_disk(&request.dir)?;
    report.set("running_bytes_per_event", each(bytes));
    report.set("running_block_bytes_per_event", each(blocks));
    report.set("running_anonymous_mib", usage::anonymous()? as f64 / (1 << 20) as f64);
    if request.unclean {
        // Neither closed nor dropped: the process ends here, and the line is what it leaves besides the folder.
        std::mem::forget(log);
        return Ok(report);
    }
    let begun = Instant::now();
    log.close()?;
    report.set("close_ms", begun.elapsed().as_secs_f64() * 1e3);
    let (bytes, blocks) = usage::on_disk(&request.dir)?;
    report.set("closed_bytes_per_event", each(bytes));
    report.set("closed_block_bytes_per_event", each(blocks));
    Ok(report)
}

fn append_all(request: &Request, log: &dyn EventLog, events: &Events) -> Outcome<Duration> {
    let stride = request.events.div_ceil(REFERENCES_MAX).max(1);
    let mut drawn = Vec::new();
    let (mut items, mut made): (Vec<Item<'_>>, Vec<_>) = (Vec::new(), Vec::new());
    let batch = if ONE_BY_ONE.contains(&request.adapter.as_str()) { 1 } else { BATCH };
    let begun = Instant::now();
    for start in (0..request.events).step_by(batch as usize) {
        let end = request.events.min(start + batch);
        items.clear();
        items.extend((start..end).map(|n| events.item(n)));
        made.clear();
        match items.as_slice() {
            [item] => made.push(log.append(*item)?),
            items => log.append_batch(items, &mut made)?,
        }
        let wanted = (start..end).zip(&made).filter(|(n, _)| n % stride == 0);
        drawn.extend(wanted.flat_map(|(_, event)| event.to_le_bytes()));
    }
    let took = begun.elapsed();
    fs::write(references(&request.dir), drawn)?;
    Ok(took)
}
