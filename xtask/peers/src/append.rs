//! Appends: single or in batches, from one thread or several, alone or beside readers that replay the log.
//!
//! Invariant: only the appends are inside the measured time; opening, naming and closing are not. Calls are timed one by one where a
//! flush or a neighbour outweighs the clock: synced, or with readers; elsewhere the whole is timed.

use std::fs;
use std::hint::black_box;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::events::Events;
use crate::log::{EventLog, Item, Options};
use crate::report::{Latencies, Report};
use crate::request::{Durability, Request};
use crate::usage::Usage;
use crate::{Outcome, adapters};

/// Measures a request's appends.
///
/// # Errors
///
/// When the adapter fails.
pub(crate) fn measure(request: &Request) -> Outcome<Report> {
    let mut log = opened(request)?;
    let events = Events::new(request);
    log.prepare(events.entities());
    let log = log;
    let appended = request.events / request.threads as u64 * request.threads as u64;
    let before = Usage::now()?;
    let (took, latencies, replayed) = beside_readers(request, &*log, || all_threads(request, &*log, &events))?;
    let usage = Usage::now()?.since(before);
    let mut report = Report::default();
    report.rate(appended, took);
    report.usage(appended, usage);
    if timed(request) {
        report.latencies(&latencies);
    }
    if request.readers > 0 {
        report.set("replayed_events_per_s", replayed as f64 / took.as_secs_f64());
    }
    let begun = Instant::now();
    log.sync()?;
    report.set("last_sync_ms", begun.elapsed().as_secs_f64() * 1e3);
    log.close()?;
    if !request.keep {
        fs::remove_dir_all(&request.dir)?;
    }
    Ok(report)
}

/// Opens the request's log, in an empty folder unless it is kept.
///
/// # Errors
///
/// When the folder or the adapter fails.
pub(crate) fn opened(request: &Request) -> Outcome<Box<dyn EventLog>> {
    if !request.keep && request.dir.exists() {
        fs::remove_dir_all(&request.dir)?;
    }
    fs::create_dir_all(&request.dir)?;
    adapters::open(&request.adapter, &Options::new(request))
}

fn timed(request: &Request) -> bool {
    request.durability == Durability::Synced || request.readers > 0
}

/// Runs the appends from as many threads as are asked for; returns how long it took from the first to the last.
fn all_threads(request: &Request, log: &dyn EventLog, events: &Events) -> Outcome<(Duration, Latencies)> {
    let share = request.events / request.threads as u64;
    let begun = Instant::now();
    if request.threads == 1 {
        let latencies = one_thread(request, log, events, (0, 0..share))?;
        return Ok((begun.elapsed(), latencies));
    }
    let parts: Vec<Outcome<Latencies>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..request.threads as u64)
            .map(|thread| {
                scope.spawn(move || one_thread(request, log, events, (thread, thread * share..(thread + 1) * share)))
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(|_| Err("a thread panicked".into()))).collect()
    });
    let took = begun.elapsed();
    let mut all = Latencies::new()?;
    for part in parts {
        all.join(&part?)?;
    }
    Ok((took, all))
}

/// Which entities a thread appends to: none that another thread has, as long as there are enough.
struct Turns {
    thread: u64,
    threads: u64,
    entities: u64,
}

impl Turns {
    fn of(&self, n: u64, events: &Events) -> u64 {
        if self.threads == 1 || self.entities == 0 {
            return events.item(n).0;
        }
        (self.thread + self.threads * (n % (self.entities / self.threads).max(1))) % self.entities
    }
}

/// A function of its own in the program, so that a profile can be taken of it alone.
#[inline(never)]
fn one_thread(
    request: &Request,
    log: &dyn EventLog,
    events: &Events,
    (thread, numbers): (u64, Range<u64>),
) -> Outcome<Latencies> {
    let turns = Turns { thread, threads: request.threads as u64, entities: request.entities };
    let mut latencies = Latencies::new()?;
    let timed = timed(request);
    if request.batch > 1 {
        let (mut items, mut made) = (Vec::with_capacity(request.batch), Vec::with_capacity(request.batch));
        for batch in 0..(numbers.end - numbers.start) / request.batch as u64 {
            let (start, entity) = (numbers.start + batch * request.batch as u64, turns.of(batch, events));
            items.clear();
            items.extend((0..request.batch as u64).map(|n| -> Item<'_> { (entity, events.item(start + n).1) }));
            made.clear();
            let begun = Instant::now();
            log.append_batch(&items, &mut made)?;
            latencies.add(begun.elapsed());
        }
    } else if timed {
        for n in numbers {
            let item = (turns.of(n, events), events.item(n).1);
            let begun = Instant::now();
            log.append(item)?;
            latencies.add(begun.elapsed());
        }
    } else {
        for n in numbers {
            log.append((turns.of(n, events), events.item(n).1))?;
        }
    }
    Ok(latencies)
}

/// Runs a measurement beside the request's readers; returns how many events they read meanwhile.
fn beside_readers(
    request: &Request,
    log: &dyn EventLog,
    measured: impl FnOnce() -> Outcome<(Duration, Latencies)>,
) -> Outcome<(Duration, Latencies, u64)> {
    let (over, read) = (AtomicBool::new(false), AtomicU64::new(0));
    let (done, read_well) = std::thread::scope(|scope| {
        let readers: Vec<_> = (0..request.readers)
            .map(|_| {
                scope.spawn(|| -> Outcome {
                    while !over.load(Ordering::Relaxed) {
                        let replayed = log.replay(&mut |payload| {
                            black_box(payload.first());
                        })?;
                        read.fetch_add(replayed, Ordering::Relaxed);
                    }
                    Ok(())
                })
            })
            .collect();
        let done = measured();
        over.store(true, Ordering::Relaxed);
        let read_well: Outcome = readers
            .into_iter()
            .try_for_each(|reader| reader.join().unwrap_or_else(|_| Err("a reader panicked".into())));
        (done, read_well)
    });
    read_well?;
    let (took, latencies) = done?;
    Ok((took, latencies, read.into_inner()))
}
