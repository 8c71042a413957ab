//! Placed events on their way to the disk: a queue in position order, written by whoever needs it written.
//!
//! Invariants: there is no writer thread; one caller at a time holds the write turn and writes for all who wait. An event counts as
//! written when everything before it is. A failed write fails every event behind it, is cut off again, and sets index and heads
//! back; if one of the failed was acknowledged, or the cut fails, the pipeline is poisoned, and nothing is acknowledged any more.

use std::{collections::VecDeque, io, sync::Arc};

use batpak_format::ChainHash;
use batpak_segment::{DiskFile, Place, Tail};
use bytes::Bytes;

use crate::{
    AppendError,
    defect::{Defect, seeded},
    durability::Syncing,
    gate::Moment,
    index::Address,
    segments::{CompletionRoom, Roll, SegmentLog},
    sync::{Condvar, Mutex, MutexGuard, lock, wait, wait_timeout, write},
    view::View,
};

/// At most so many bytes are gathered into one write.
const GATHER_BYTES: usize = 1024 * 1024;

/// One append or batch: frames that are contiguous in one segment.
#[derive(Debug)]
pub(crate) struct Unit {
    pub(crate) first: u64,
    pub(crate) place: Place,
    /// Set when the unit opens a new segment.
    pub(crate) roll: Option<Roll>,
    pub(crate) bytes: Bytes,
    /// Chain hash of the log's last event, before the unit and after it.
    pub(crate) chain_before: ChainHash,
    pub(crate) chain_after: ChainHash,
    /// For each of its events the chain hash that the entity had before.
    pub(crate) undo: Vec<ChainHash>,
    pub(crate) facts: UnitFacts,
}

/// What the footer of the unit's segment will say of it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct UnitFacts {
    pub(crate) key_id_max: Option<batpak_format::KeyId>,
    pub(crate) intent: Option<u64>,
    /// Whether it completes a shred.
    pub(crate) completes: bool,
}

impl Unit {
    pub(crate) fn next(&self) -> u64 {
        self.first + self.undo.len() as u64
    }
}

/// A placed unit, as the one who waits for it knows it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ahead {
    first: u64,
    next: u64,
    era: u64,
}

/// What the commit lock guards.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) tail: Tail,
    pub(crate) next_position: u64,
    pub(crate) chain: ChainHash,
    pub(crate) queue: VecDeque<Unit>,
    pub(crate) queued_bytes: usize,
    /// Positions below are with the operating system, and the chain hash there.
    pub(crate) written: u64,
    pub(crate) written_chain: ChainHash,
    pub(crate) sync: Syncing,
    /// Absent while a caller holds the write turn.
    log: Option<SegmentLog>,
    /// Positions below were acknowledged from the write buffer.
    pub(crate) acknowledged: u64,
    failures: Vec<Failure>,
    failures_before: u64,
    waiting: u64,
    pub(crate) poison: Option<Arc<io::Error>>,
    pub(crate) closing: bool,
}

/// A write that failed: everything from a position on was taken back.
#[derive(Debug)]
struct Failure {
    from: u64,
    why: Arc<io::Error>,
    /// Whether some of it may stand on the disk all the same.
    unknown: bool,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Pipeline {
    pub(crate) state: Mutex<State>,
    pub(crate) changed: Condvar,
    pub(crate) view: Arc<View>,
    pub(crate) in_flight_bytes_max: usize,
}

/// Where a recovered or new log goes on.
#[derive(Debug)]
pub(crate) struct Start {
    pub(crate) log: SegmentLog,
    pub(crate) tail: Tail,
    pub(crate) next_position: u64,
    pub(crate) chain: ChainHash,
}

impl Pipeline {
    pub(crate) fn new(start: Start, view: Arc<View>, in_flight_bytes_max: usize) -> Self {
        let file = start.log.file();
        Self {
            state: Mutex::new(State {
                tail: start.tail,
                next_position: start.next_position,
                chain: start.chain,
                queue: VecDeque::new(),
                queued_bytes: 0,
                written: start.next_position,
                written_chain: start.chain,
                sync: Syncing::new(file, start.next_position, start.chain),
                log: Some(start.log),
                acknowledged: 0,
                failures: Vec::new(),
                failures_before: 0,
                waiting: 0,
                poison: None,
                closing: false,
            }),
            changed: Condvar::new(),
            view,
            in_flight_bytes_max,
        }
    }

    /// Waits until a placed unit is with the operating system, writing it and what is before it when nobody else does.
    pub(crate) fn written(&self, ahead: &Ahead) -> Result<(), AppendError> {
        let mut state = lock(&self.state);
        loop {
            if let Some(outcome) = state.outcome(ahead) {
                return outcome;
            }
            state = self.write_or_wait(state);
        }
    }

    /// Writes everything that is placed now.
    pub(crate) fn drain(&self) -> Result<(), AppendError> {
        let mut state = lock(&self.state);
        let target = state.next_position;
        let era = state.era();
        while state.written < target && state.era() == era && state.poison.is_none() {
            state = self.write_or_wait(state);
        }
        state.refusal(era)
    }

    /// Returns when a unit of `bytes` may be placed: the pipeline takes appends, and the bytes in flight leave room.
    pub(crate) fn admit(&self, bytes: usize) -> Result<MutexGuard<'_, State>, AppendError> {
        let mut state = lock(&self.state);
        loop {
            if state.closing && !seeded(Defect::AppendAfterClose) {
                return Err(AppendError::Closed);
            }
            if let Some(why) = &state.poison {
                return Err(AppendError::Poisoned(Arc::clone(why)));
            }
            if state.queue.is_empty() || state.queued_bytes + bytes <= self.in_flight_bytes_max {
                return Ok(state);
            }
            state = self.write_or_wait(state);
        }
    }

    /// Takes the write turn if it is free and writes what is queued; else waits for a change.
    pub(crate) fn write_or_wait<'a>(&'a self, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        match state.log.take() {
            Some(log) if !state.queue.is_empty() => self.write_queue(state, log),
            taken => {
                state.log = taken;
                wait(&self.changed, state)
            }
        }
    }

    /// Waits for a change at most so long.
    pub(crate) fn wait_change<'a>(
        &'a self,
        state: MutexGuard<'a, State>,
        timeout: std::time::Duration,
    ) -> MutexGuard<'a, State> {
        wait_timeout(&self.changed, &self.state, state, timeout)
    }

    /// Writes the queue as it stands, in order, outside the lock.
    fn write_queue<'a>(&'a self, state: MutexGuard<'a, State>, log: SegmentLog) -> MutexGuard<'a, State> {
        let jobs: Vec<Job> = state.queue.iter().map(Job::of).collect();
        drop(state);
        let mut turn = Turn { pipeline: self, log: Some(log) };
        let outcome = turn.write(&jobs);
        turn.end(outcome)
    }

    /// One past the last position that is with the operating system.
    pub(crate) fn written_mark(&self) -> u64 {
        lock(&self.state).written
    }

    /// Returns the frame at an address that is placed and not yet written.
    pub(crate) fn unwritten(&self, position: u64, address: Address) -> Option<Bytes> {
        lock(&self.state).unwritten(position, address)
    }

    /// Takes the log out for good, once nothing is queued and nobody writes or syncs: for close.
    pub(crate) fn take_log(&self) -> Option<SegmentLog> {
        let mut state = lock(&self.state);
        while state.poison.is_none() && (state.log.is_none() || !state.queue.is_empty() || state.sync.running) {
            state = if state.sync.running { wait(&self.changed, state) } else { self.write_or_wait(state) };
        }
        state.log.take()
    }

    /// Marks the pipeline poisoned and wakes everybody.
    pub(crate) fn poison(&self, state: &mut State, why: Arc<io::Error>) {
        state.poison.get_or_insert(why);
        self.changed.notify_all();
    }

    /// Takes back every queued unit: index and heads are as they were before them.
    fn set_back(&self, state: &mut State, failure: WriteFailure) {
        let why = Arc::new(failure.why);
        let mut index = write(&self.view.index);
        let mut from = state.next_position;
        while let Some(unit) = state.queue.pop_back() {
            for previous in unit.undo.iter().rev() {
                index.pop(*previous);
            }
            state.queued_bytes -= unit.bytes.len();
            state.chain = unit.chain_before;
            from = unit.first;
        }
        state.next_position = from;
        if state.acknowledged > from {
            state.acknowledged = from;
            state.poison.get_or_insert(Arc::clone(&why));
        }
        self.view.set_visible(state.written.max(state.acknowledged));
        if state.waiting > 0 {
            state.failures.push(Failure { from, why: Arc::clone(&why), unknown: failure.unknown });
        } else {
            state.failures_before += 1;
        }
        if failure.unknown {
            state.poison.get_or_insert(why);
        }
    }
}

impl State {
    /// Counts the failures so far: who was placed before one and lies behind it has failed.
    pub(crate) fn era(&self) -> u64 {
        self.failures_before + self.failures.len() as u64
    }

    /// The frame at an address that is placed and not yet written.
    pub(crate) fn unwritten(&self, position: u64, address: Address) -> Option<Bytes> {
        let at = self.queue.partition_point(|unit| unit.next() <= position);
        let unit = self.queue.get(at)?;
        let start = usize::try_from(address.offset.checked_sub(unit.place.offset)?).ok()?;
        (unit.place.segment == address.segment && start < unit.bytes.len()).then(|| unit.bytes.slice(start..))
    }

    /// This state, to be told from a later one.
    pub(crate) fn moment(&self) -> Moment {
        Moment { next_position: self.next_position, era: self.era() }
    }

    /// Registers a unit that somebody will wait for.
    pub(crate) fn ahead(&mut self, first: u64, next: u64) -> Ahead {
        self.waiting += 1;
        Ahead { first, next, era: self.era() }
    }

    /// Forgets a unit that nobody waits for any more.
    pub(crate) fn leave(&mut self) {
        self.waiting -= 1;
        if self.waiting == 0 {
            self.failures_before += self.failures.len() as u64;
            self.failures.clear();
        }
    }

    /// Says whether a unit is written or has failed; nothing is acknowledged once the pipeline is poisoned.
    pub(crate) fn outcome(&self, ahead: &Ahead) -> Option<Result<(), AppendError>> {
        let since = usize::try_from(ahead.era.saturating_sub(self.failures_before)).unwrap_or(usize::MAX);
        let failed = self.failures.iter().skip(since).find(|failure| failure.from <= ahead.first);
        if let Some(failure) = failed {
            let why = Arc::clone(&failure.why);
            return Some(Err(if failure.unknown { AppendError::Poisoned(why) } else { AppendError::NotWritten(why) }));
        }
        if let Some(why) = &self.poison {
            return Some(Err(AppendError::Poisoned(Arc::clone(why))));
        }
        (self.written >= ahead.next).then_some(Ok(()))
    }

    /// Fails when something failed since `era`.
    pub(crate) fn refusal(&self, era: u64) -> Result<(), AppendError> {
        if let Some(why) = &self.poison {
            return Err(AppendError::Poisoned(Arc::clone(why)));
        }
        if self.era() == era {
            return Ok(());
        }
        let why = self.failures.last().map(|failure| Arc::clone(&failure.why));
        Err(AppendError::NotWritten(why.unwrap_or_else(|| Arc::new(io::ErrorKind::Other.into()))))
    }
}

impl Ahead {
    /// One past the unit's last position.
    pub(crate) fn next(&self) -> u64 {
        self.next
    }
}

/// What the one who writes needs of a unit.
#[derive(Debug)]
struct Job {
    place: Place,
    roll: Option<Roll>,
    bytes: Bytes,
    next: u64,
    chain_after: ChainHash,
    facts: UnitFacts,
}

impl Job {
    fn of(unit: &Unit) -> Self {
        Self {
            place: unit.place,
            roll: unit.roll,
            bytes: unit.bytes.clone(),
            next: unit.next(),
            chain_after: unit.chain_after,
            facts: unit.facts,
        }
    }
}

/// How a write turn ended.
#[derive(Debug)]
struct Outcome {
    /// Units that are with the operating system.
    done: usize,
    /// Positions that a roll made durable.
    rolled_below: Option<(u64, ChainHash)>,
    failed: Option<WriteFailure>,
}

#[derive(Debug)]
struct WriteFailure {
    why: io::Error,
    /// Whether what the disk holds is unknown now: a sync or the cut failed.
    unknown: bool,
}

/// The write turn; it is given back on every way out, and a panic inside it poisons.
struct Turn<'a> {
    pipeline: &'a Pipeline,
    log: Option<SegmentLog>,
}

impl<'a> Turn<'a> {
    fn write(&mut self, jobs: &[Job]) -> Outcome {
        let mut outcome = Outcome { done: 0, rolled_below: None, failed: None };
        let Some(log) = self.log.as_mut() else { return outcome };
        while let Some(job) = jobs.get(outcome.done) {
            if let Some(roll) = job.roll.as_ref().filter(|_| !seeded(Defect::RollSkipped)) {
                match log.roll(roll) {
                    Ok(()) => outcome.rolled_below = Some((roll.first_position, roll.chain)),
                    Err(failure) => {
                        outcome.failed = Some(WriteFailure { why: failure.why, unknown: failure.unknown });
                        return outcome;
                    }
                }
            }
            let group = gather(jobs, outcome.done);
            match write_group(log, group) {
                Ok(()) => outcome.done += group.len(),
                Err(why) if seeded(Defect::FullRetried) && why.kind() == io::ErrorKind::StorageFull => {}
                Err(why) => {
                    let unknown = log.cut(job.place.offset).is_err();
                    outcome.failed = Some(WriteFailure { why, unknown });
                    return outcome;
                }
            }
        }
        outcome
    }

    /// Gives the turn back and tells everybody.
    fn end(mut self, outcome: Outcome) -> MutexGuard<'a, State> {
        let pipeline = self.pipeline;
        let mut state = lock(&pipeline.state);
        for _ in 0..outcome.done {
            if let Some(unit) = state.queue.pop_front() {
                state.queued_bytes -= unit.bytes.len();
                state.written = unit.next();
                state.written_chain = unit.chain_after;
            }
        }
        let log = self.log.take();
        if let Some(log) = &log {
            state.sync.file = log.file();
        }
        if let Some((below, chain)) = outcome.rolled_below {
            state.sync.reach(below, chain);
        }
        if let Some(failure) = outcome.failed {
            pipeline.set_back(&mut state, failure);
            if let Some(log) = &log {
                state.tail = log.tail(state.tail);
            }
        }
        state.log = log;
        pipeline.view.set_visible(state.written.max(state.acknowledged));
        pipeline.changed.notify_all();
        state
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if self.log.is_some() {
            let mut state = lock(&self.pipeline.state);
            self.pipeline.poison(&mut state, Arc::new(io::Error::other("the thread that wrote for others panicked")));
        }
    }
}

/// Units that are contiguous and go into one write.
fn gather(jobs: &[Job], first: usize) -> &[Job] {
    let mut bytes = 0;
    let mut end = first;
    while let Some(job) = jobs.get(end) {
        bytes += job.bytes.len();
        if end > first && (job.roll.is_some() || bytes > GATHER_BYTES) {
            break;
        }
        end += 1;
    }
    jobs.get(first..end).unwrap_or_default()
}

fn write_group(log: &mut SegmentLog, group: &[Job]) -> io::Result<()> {
    let Some(first) = group.first() else { return Ok(()) };
    let facts = || group.iter().map(|job| &job.facts);
    let room = match (facts().any(|facts| facts.intent.is_some()), facts().any(|facts| facts.completes)) {
        (true, _) => CompletionRoom::Kept,
        (false, true) => CompletionRoom::Used,
        (false, false) => CompletionRoom::AsBefore,
    };
    if group.len() == 1 {
        log.write(first.place.offset, &first.bytes, room)?;
    } else {
        let mut gathered = Vec::with_capacity(group.iter().map(|job| job.bytes.len()).sum());
        group.iter().for_each(|job| gathered.extend_from_slice(&job.bytes));
        log.write(first.place.offset, &gathered, room)?;
    }
    for job in group {
        log.note(job.next, job.chain_after, job.facts);
    }
    Ok(())
}

/// The file that a sync of the log goes to.
pub(crate) type LogFile = Arc<dyn DiskFile>;
