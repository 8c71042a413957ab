//! Gets by id, in random order over a folder that was filled before, its pages warm; from one thread or several, alone or beside a
//! writer.
//!
//! Invariant: each get shows the payload opened and checked, and its size is compared.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use crate::append::opened;
use crate::events::{Events, Random};
use crate::fill::references;
use crate::log::{EventLog, EventRef};
use crate::report::Report;
use crate::request::Request;
use crate::{Outcome, usage};

/// Measures so many gets a thread; the `readers` of the request are writers here: threads that append meanwhile.
///
/// # Errors
///
/// When the adapter fails, or an event has another size than it was filled with.
pub(crate) fn measure(request: &Request) -> Outcome<Report> {
    let events = wanted(request)?;
    let mut log = opened(request)?;
    let appended = Events::new(request);
    log.prepare(appended.entities());
    let log = log;
    // Every page that will be looked at, and then as many gets as warm the processor.
    log.replay(&mut |payload| {
        std::hint::black_box(payload.first());
    })?;
    draw(request, &*log, &events, 1, request.events / 10)?;
    let over = AtomicBool::new(false);
    let mut report = Report::default();
    std::thread::scope(|scope| -> Outcome {
        let writers: Vec<_> = (0..request.readers)
            .map(|_| {
                scope.spawn(|| -> Outcome {
                    let mut n = 0;
                    while !over.load(Ordering::Relaxed) {
                        log.append(appended.item(n))?;
                        n += 1;
                    }
                    Ok(())
                })
            })
            .collect();
        let begun = Instant::now();
        let got = all_threads(request, &*log, &events);
        let took = begun.elapsed();
        over.store(true, Ordering::Relaxed);
        for writer in writers {
            writer.join().unwrap_or_else(|_| Err("a writer panicked".into()))?;
        }
        got?;
        report.rate(request.events * request.threads as u64, took);
        Ok(())
    })?;
    report.set("anonymous_mib", usage::anonymous()? as f64 / (1 << 20) as f64);
    log.close()?;
    Ok(report)
}

fn all_threads(request: &Request, log: &dyn EventLog, events: &[EventRef]) -> Outcome {
    if request.threads == 1 {
        return draw(request, log, events, 2, request.events);
    }
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..request.threads as u64)
            .map(|thread| scope.spawn(move || draw(request, log, events, 2 + thread, request.events)))
            .collect();
        threads.into_iter().try_for_each(|thread| thread.join().unwrap_or_else(|_| Err("a thread panicked".into())))
    })
}

fn draw(request: &Request, log: &dyn EventLog, events: &[EventRef], seed: u64, count: u64) -> Outcome {
    let mut random = Random::new(seed);
    for _ in 0..count {
        let event = events[random.below(events.len() as u64) as usize];
        let mut bytes = 0;
        log.get(event, &mut |payload| bytes = payload.len())?;
        if bytes != request.payload && !request.mixed {
            return Err(format!("an event has {bytes} bytes, not {}", request.payload).into());
        }
    }
    Ok(())
}

/// Reads the references that the fill has left.
fn wanted(request: &Request) -> Outcome<Vec<EventRef>> {
    let bytes = fs::read(references(&request.dir))?;
    let (events, _) = bytes.as_chunks::<16>();
    if events.is_empty() {
        return Err("the folder was filled without references".into());
    }
    Ok(events.iter().map(|event| EventRef::from_le_bytes(*event)).collect())
}
