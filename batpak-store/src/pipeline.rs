//! Placed events on their way to the disk: a queue in position order, written by whoever needs it written.
//!
//! Invariants: there is no writer thread; one caller at a time holds the write turn and writes for all who wait. An event counts as
//! written when everything before it is. A failed write fails every event behind it, is cut off again, and sets index and heads
//! back; if one of the failed was acknowledged, or the cut fails, the pipeline is poisoned, and nothing is acknowledged any more.

use std::{io, sync::Arc, time::Duration};

use batpak_format::ChainHash;
use batpak_segment::{DiskFile, Tail};
use bytes::Bytes;

use crate::{
    AppendError,
    defect::{Defect, seeded},
    index::Address,
    segments::SegmentLog,
    state::{Ahead, Failure, State},
    sync::{Beat, Mutex, MutexGuard, Signal, lock, write},
    turn::{Pen, WriteFailure},
    view::View,
};

/// The file that a sync of the log goes to.
pub(crate) type LogFile = Arc<dyn DiskFile>;

/// See the module. Each who waits waits for one thing, so that nobody is woken for another's.
#[derive(Debug)]
pub(crate) struct Pipeline {
    pub(crate) state: Mutex<State>,
    /// Counts the write turns that ended.
    pub(crate) beat: Beat,
    /// A write turn ended.
    pub(crate) progress: Signal,
    /// A sync ended.
    pub(crate) synced: Signal,
    /// As many appends wait for a sync as its leader waits for.
    pub(crate) gathered: Signal,
    /// The pipeline is closing or poisoned, which ends the drainer.
    pub(crate) ending: Signal,
    /// Much was written and not synced, or the pipeline ends.
    pub(crate) behind: Signal,
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
        let Start { log, tail, next_position, chain } = start;
        Self {
            state: Mutex::new(State::new(Pen::new(log), tail, next_position, chain)),
            beat: Beat::new(),
            progress: Signal::new(),
            synced: Signal::new(),
            gathered: Signal::new(),
            ending: Signal::new(),
            behind: Signal::new(),
            view,
            in_flight_bytes_max,
        }
    }

    /// Waits until a placed unit is with the operating system, writing it and what is before it when nobody else does.
    pub(crate) fn written<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        ahead: &Ahead,
    ) -> (MutexGuard<'a, State>, Result<(), AppendError>) {
        loop {
            if let Some(outcome) = state.outcome(ahead) {
                return (state, outcome);
            }
            state = self.write_or_wait(state);
        }
    }

    /// Writes everything that is placed now.
    pub(crate) fn drain(&self) -> Result<(), AppendError> {
        self.drained(lock(&self.state)).1
    }

    /// As [`Pipeline::drain`], from a state on that is held.
    pub(crate) fn drained<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
    ) -> (MutexGuard<'a, State>, Result<(), AppendError>) {
        let (target, era) = (state.next_position, state.era());
        while state.written < target && state.era() == era && state.poison.is_none() {
            state = self.write_or_wait(state);
        }
        let outcome = state.refusal(era);
        (state, outcome)
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
        match state.pen.take() {
            Some(pen) if !state.queue.is_empty() => self.write_queue(state, pen),
            None => self.wait_turn(state),
            free => {
                state.pen = free;
                self.progress.wait(state)
            }
        }
    }

    /// Waits until the write turn that another caller holds has ended; most end before a sleep would have begun.
    fn wait_turn<'a>(&'a self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        let seen = self.beat.count();
        drop(state);
        let ended = self.beat.went_on(seen);
        let state = lock(&self.state);
        if ended || state.pen.is_some() || state.poison.is_some() { state } else { self.progress.wait(state) }
    }

    /// Waits for the end of a write turn, at most so long.
    pub(crate) fn wait_progress<'a>(
        &'a self,
        state: MutexGuard<'a, State>,
        timeout: Duration,
    ) -> MutexGuard<'a, State> {
        self.progress.wait_timeout(&self.state, state, timeout)
    }

    /// Returns the frame at an address that is placed and not yet written.
    pub(crate) fn unwritten(&self, position: u64, address: Address) -> Option<Bytes> {
        lock(&self.state).unwritten(position, address)
    }

    /// Takes the log out for good, once nothing is queued and nobody writes or syncs: for close.
    pub(crate) fn take_log(&self) -> Option<SegmentLog> {
        let mut state = lock(&self.state);
        while state.poison.is_none() && (state.pen.is_none() || !state.queue.is_empty() || state.sync.running) {
            state = if state.sync.running { self.synced.wait(state) } else { self.write_or_wait(state) };
        }
        state.pen.take().map(|pen| pen.log)
    }

    /// What an append to a shredded key scope is told. A poisoned store does not know what it refuses by: a readmission that could not
    /// be put on record may stand on the disk.
    pub(crate) fn refusal(&self) -> AppendError {
        match &lock(&self.state).poison {
            Some(why) => AppendError::Poisoned(Arc::clone(why)),
            None => AppendError::ScopeShredded,
        }
    }

    /// Marks the pipeline poisoned and wakes everybody.
    pub(crate) fn poison(&self, state: &mut State, why: Arc<io::Error>) {
        state.poison.get_or_insert(why);
        self.beat.next();
        for signal in [&self.progress, &self.synced, &self.gathered, &self.ending, &self.behind] {
            signal.notify_all();
        }
    }

    /// Takes back every queued run: index and heads are as they were before them.
    pub(crate) fn set_back(&self, state: &mut State, failure: WriteFailure) {
        let why = Arc::new(failure.why);
        let mut index = write(&self.view.index);
        let mut from = state.next_position;
        while let Some(run) = state.queue.pop_back() {
            for previous in run.undo.iter().rev() {
                index.pop(*previous);
            }
            state.queued_bytes -= run.len();
            state.chain = run.chain_before;
            from = run.first;
            state.keep(run);
        }
        drop(index);
        state.next_position = from;
        if state.acknowledged > from {
            state.acknowledged = from;
            state.poison.get_or_insert(Arc::clone(&why));
        }
        self.view.set_visible(state.written.max(state.acknowledged));
        state.note_failure(Failure { from, why: Arc::clone(&why), unknown: failure.unknown });
        if failure.unknown {
            state.poison.get_or_insert(Arc::clone(&why));
        }
        if state.poison.is_some() {
            self.poison(state, why);
        }
    }
}

#[cfg(all(test, not(loom)))]
#[allow(clippy::unwrap_used, reason = "helpers of tests panic where a test would")]
mod tests {
    use std::{
        io::ErrorKind,
        sync::atomic::{AtomicBool, Ordering},
        time::Duration,
    };

    use batpak_segment::{DiskOp, MemoryDisk};

    use super::*;
    use crate::{Config, Coordinate, Durability, Encryption, EventKind, Local, NewEvent, Store, store::Side};

    fn store(disk: &MemoryDisk) -> Store {
        let config = Config::new(Encryption::sealed(Local::new()))
            .disk(Arc::new(disk.clone()))
            .deferred_buffer(1 << 20, Duration::from_secs(3600));
        Store::create("/store", config).unwrap()
    }

    fn event(payload: &[u8]) -> NewEvent<'_> {
        NewEvent::new(Coordinate::new("a", "s").unwrap(), EventKind::new(1, 1).unwrap(), payload)
    }

    #[test]
    fn failed_write_behind_what_was_written_gives_its_bytes_back_and_poisons_nothing() {
        let disk = MemoryDisk::new();
        let store = store(&disk);
        store.append(&event(b"deferred").durability(Durability::Deferred)).unwrap();
        store.sync().unwrap();
        let failed = AtomicBool::new(false);
        disk.fail(Box::new(move |call| {
            let fails = matches!(call.op, DiskOp::Write { .. }) && !failed.swap(true, Ordering::Relaxed);
            fails.then(|| ErrorKind::StorageFull.into())
        }));
        assert!(matches!(store.append(&event(b"fails")), Err(AppendError::NotWritten(_))));
        disk.clear_hooks();
        let Side::Writer(writer) = &store.side else { panic!("it is a writer") };
        assert_eq!(lock(&writer.pipeline.state).queued_bytes, 0);
        store.append(&event(b"goes on")).unwrap();
    }

    #[test]
    fn deferred_events_stay_in_the_buffer_while_their_sum_has_room() {
        let store = store(&MemoryDisk::new());
        for _ in 0..20 {
            store.append(&event(&[1; 20_000]).durability(Durability::Deferred)).unwrap();
        }
        assert_eq!(store.view.visible() - store.view.written(), 20);
    }
}
