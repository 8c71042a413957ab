//! The write turn: one caller at a time writes the queue, for all who wait, outside the commit lock.
//!
//! Invariants: runs are written in order. The turn is given back on every way out, and a panic inside it poisons. What failed, and all
//! behind it, is cut off again before anything else is written there.

use std::{io, sync::Arc};

use batpak_format::ChainHash;
use batpak_segment::Place;

use crate::{
    defect::{Defect, seeded},
    pipeline::{LogFile, Pipeline},
    run::{Run, RunFacts},
    segments::{CompletionRoom, Roll, SegmentLog},
    state::State,
    sync::{MutexGuard, lock},
};

/// What the holder of the write turn writes with.
#[derive(Debug)]
pub(crate) struct Pen {
    pub(crate) log: SegmentLog,
    /// Empty but during a turn; kept for its room.
    jobs: Vec<Job>,
}

impl Pen {
    pub(crate) fn new(log: SegmentLog) -> Self {
        Self { log, jobs: Vec::new() }
    }

    pub(crate) fn file(&self) -> LogFile {
        self.log.file()
    }
}

/// What the one who writes needs of a run.
#[derive(Debug)]
struct Job {
    place: Place,
    roll: Option<Roll>,
    bytes: Arc<Vec<u8>>,
    next: u64,
    chain_after: ChainHash,
    facts: RunFacts,
}

impl Job {
    fn of(run: &Run) -> Self {
        Self {
            place: run.place,
            roll: run.roll,
            bytes: Arc::clone(run.bytes()),
            next: run.next(),
            chain_after: run.chain_after,
            facts: run.facts,
        }
    }

    fn room(&self) -> CompletionRoom {
        match (self.facts.intent, self.facts.completes) {
            (Some(_), _) => CompletionRoom::Kept,
            (None, true) => CompletionRoom::Used,
            (None, false) => CompletionRoom::AsBefore,
        }
    }
}

/// How a write turn ended.
#[derive(Debug)]
struct Outcome {
    /// Runs that are with the operating system.
    done: usize,
    /// Positions that a roll made durable.
    rolled_below: Option<(u64, ChainHash)>,
    failed: Option<WriteFailure>,
}

#[derive(Debug)]
pub(crate) struct WriteFailure {
    pub(crate) why: io::Error,
    /// Whether what the disk holds is unknown now: a sync or the cut failed.
    pub(crate) unknown: bool,
}

struct Turn<'a> {
    pipeline: &'a Pipeline,
    pen: Option<Box<Pen>>,
}

impl Pipeline {
    /// Writes the queue as it stands, in order, outside the lock.
    pub(crate) fn write_queue<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        mut pen: Box<Pen>,
    ) -> MutexGuard<'a, State> {
        pen.jobs.extend(state.queue.iter().map(|run| Job::of(run)));
        state.writing = pen.jobs.len();
        drop(state);
        let mut turn = Turn { pipeline: self, pen: Some(pen) };
        let outcome = turn.write();
        turn.end(outcome)
    }
}

impl<'a> Turn<'a> {
    fn write(&mut self) -> Outcome {
        let mut outcome = Outcome { done: 0, rolled_below: None, failed: None };
        let Some(Pen { log, jobs }) = self.pen.as_deref_mut() else { return outcome };
        while let Some(job) = jobs.get(outcome.done) {
            if let Some(roll) = job.roll.as_ref().filter(|_| !seeded(Defect::RollSkipped)) {
                match log.roll(roll) {
                    Ok(()) => outcome.rolled_below = Some((roll.first_position, roll.chain)),
                    Err(failure) => {
                        outcome.failed = Some(WriteFailure { why: failure.why, unknown: failure.unknown });
                        break;
                    }
                }
            }
            match log.write(job.place.offset, &job.bytes, job.room()) {
                Ok(()) => {
                    log.note(job.next, job.chain_after, job.facts);
                    outcome.done += 1;
                }
                Err(why) if seeded(Defect::FullRetried) && why.kind() == io::ErrorKind::StorageFull => {}
                Err(why) => {
                    let unknown = log.cut(job.place.offset).is_err();
                    outcome.failed = Some(WriteFailure { why, unknown });
                    break;
                }
            }
        }
        // The runs' buffers are theirs alone again.
        jobs.clear();
        outcome
    }

    /// Gives the turn back and tells whoever waits for it.
    fn end(mut self, outcome: Outcome) -> MutexGuard<'a, State> {
        let pipeline = self.pipeline;
        let mut state = lock(&pipeline.state);
        state.writing = 0;
        for _ in 0..outcome.done {
            if let Some(run) = state.queue.pop_front() {
                state.queued_bytes -= run.len();
                state.sync.unsynced += run.len();
                state.written = run.next();
                state.written_chain = run.chain_after;
                state.keep(run);
            }
        }
        let pen = self.pen.take();
        if let Some((below, chain)) = outcome.rolled_below {
            if let Some(pen) = &pen {
                state.sync.file = pen.file();
            }
            state.sync.reach(below, chain);
            pipeline.view.set_durable(state.sync.durable);
        }
        if let Some(failure) = outcome.failed {
            pipeline.set_back(&mut state, failure);
            if let Some(pen) = &pen {
                state.tail = pen.log.tail(state.tail);
            }
        }
        state.pen = pen;
        pipeline.view.set_written(state.written);
        pipeline.view.set_visible(state.written.max(state.acknowledged));
        pipeline.beat.next();
        pipeline.progress.notify_all();
        if state.is_write_back_due() && !state.sync.running {
            pipeline.behind.notify_all();
        }
        state
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if self.pen.is_some() {
            let mut state = lock(&self.pipeline.state);
            self.pipeline.poison(&mut state, Arc::new(io::Error::other("the thread that wrote for others panicked")));
        }
    }
}
