//! What the commit lock guards: the end of the log, the queue of runs, how far they are written, and what failed.
//!
//! Invariants: the queue is in position order, and its first `writing` runs are with the one who holds the write turn. Whoever waits for a
//! unit is told of every failure since it was placed.

use std::{collections::VecDeque, io, sync::Arc};

use batpak_format::{ChainHash, Frame, FrameLen};
use batpak_segment::Tail;
use bytes::Bytes;

use crate::{
    AppendError,
    durability::Syncing,
    gate::Moment,
    index::Address,
    run::{Beginning, COPIED_BYTES_MAX, RUN_BYTES, Run},
    turn::Pen,
};

/// So many runs are kept for later.
const SPARE_RUNS: usize = 8;

/// See the module.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) tail: Tail,
    pub(crate) next_position: u64,
    pub(crate) chain: ChainHash,
    pub(crate) queue: VecDeque<Box<Run>>,
    /// So many of the queue are being written.
    pub(crate) writing: usize,
    #[expect(clippy::vec_box, reason = "a run moves between here and the queue as a pointer")]
    spare: Vec<Box<Run>>,
    pub(crate) queued_bytes: usize,
    /// Positions below are with the operating system, and the chain hash there.
    pub(crate) written: u64,
    pub(crate) written_chain: ChainHash,
    pub(crate) sync: Syncing,
    /// Absent while a caller holds the write turn.
    pub(crate) pen: Option<Box<Pen>>,
    /// Positions below were acknowledged from the write buffer.
    pub(crate) acknowledged: u64,
    failures: Vec<Failure>,
    failures_before: u64,
    waiting: u64,
    pub(crate) poison: Option<Arc<io::Error>>,
    pub(crate) closing: bool,
}

/// A placed unit, as the one who waits for it knows it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ahead {
    first: u64,
    next: u64,
    era: u64,
}

impl Ahead {
    /// One past the unit's last position.
    pub(crate) fn next(&self) -> u64 {
        self.next
    }
}

/// A write that failed: everything from a position on was taken back.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) from: u64,
    pub(crate) why: Arc<io::Error>,
    /// Whether some of it may stand on the disk all the same.
    pub(crate) unknown: bool,
}

impl State {
    pub(crate) fn new(pen: Pen, tail: Tail, next_position: u64, chain: ChainHash) -> Self {
        Self {
            tail,
            next_position,
            chain,
            queue: VecDeque::new(),
            writing: 0,
            spare: Vec::with_capacity(SPARE_RUNS),
            queued_bytes: 0,
            written: next_position,
            written_chain: chain,
            sync: Syncing::new(pen.file(), next_position, chain),
            pen: Some(Box::new(pen)),
            acknowledged: 0,
            failures: Vec::new(),
            failures_before: 0,
            waiting: 0,
            poison: None,
            closing: false,
        }
    }

    /// The run that the unit joins which is being placed.
    pub(crate) fn run_placed(&mut self) -> &mut Run {
        self.queue.back_mut().expect("run_for has put it there, and the lock is held since")
    }

    /// Finds the run for a unit of so many bytes: the last one, or one that begins with it.
    pub(crate) fn run_for(&mut self, at: Beginning, bytes: usize) -> &mut Run {
        let joins = self.queue.len() > self.writing
            && at.roll.is_none()
            && bytes <= COPIED_BYTES_MAX
            && self.queue.back().is_some_and(|run| run.len() + bytes <= RUN_BYTES);
        if !joins {
            let run = match self.spare.pop() {
                Some(mut run) => {
                    run.begin(at);
                    run
                }
                None => Box::new(Run::new(at)),
            };
            self.queue.push_back(run);
        }
        self.run_placed()
    }

    /// Keeps a run for later that has left the queue.
    pub(crate) fn keep(&mut self, run: Box<Run>) {
        if self.spare.len() < SPARE_RUNS && run.is_kept() {
            self.spare.push(run);
        }
    }

    /// Counts the failures so far: who was placed before one and lies behind it has failed.
    pub(crate) fn era(&self) -> u64 {
        self.failures_before + self.failures.len() as u64
    }

    /// Notes a failure for those who wait.
    pub(crate) fn note_failure(&mut self, failure: Failure) {
        if self.waiting > 0 {
            self.failures.push(failure);
        } else {
            self.failures_before += 1;
        }
    }

    /// The frame at an address that is placed and not yet written.
    pub(crate) fn unwritten(&self, position: u64, address: Address) -> Option<Bytes> {
        let at = self.queue.partition_point(|run| run.next() <= position);
        let run = self.queue.get(at)?;
        let start = usize::try_from(address.offset.checked_sub(run.place.offset)?).ok()?;
        let frame = run.bytes().get(start..).filter(|_| run.place.segment == address.segment)?;
        match Frame::peek_len(frame) {
            Ok(FrameLen::Len(len)) => Some(Bytes::copy_from_slice(frame.get(..len as usize)?)),
            _ => None,
        }
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

    /// Says whether a unit has failed; nothing is acknowledged once the pipeline is poisoned.
    pub(crate) fn failed(&self, ahead: &Ahead) -> Option<AppendError> {
        let since = usize::try_from(ahead.era.saturating_sub(self.failures_before)).unwrap_or(usize::MAX);
        if let Some(failure) = self.failures.iter().skip(since).find(|failure| failure.from <= ahead.first) {
            let why = Arc::clone(&failure.why);
            return Some(if failure.unknown { AppendError::Poisoned(why) } else { AppendError::NotWritten(why) });
        }
        self.poison.as_ref().map(|why| AppendError::Poisoned(Arc::clone(why)))
    }

    /// Says whether a unit is written or has failed.
    pub(crate) fn outcome(&self, ahead: &Ahead) -> Option<Result<(), AppendError>> {
        match self.failed(ahead) {
            Some(why) => Some(Err(why)),
            None => (self.written >= ahead.next).then_some(Ok(())),
        }
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

#[cfg(all(test, not(loom)))]
mod tests {
    use batpak_segment::MemoryDisk;
    use std::sync::Arc;

    use crate::{Config, Coordinate, Encryption, EventId, EventKind, Local, NewEvent, Store, store::Side, sync::lock};

    #[test]
    fn whoever_is_answered_or_gives_up_waits_no_more() {
        let config = Config::new(Encryption::sealed(Local::new())).disk(Arc::new(MemoryDisk::new()));
        let store = Store::create("/store", config).unwrap();
        let Side::Writer(writer) = &store.side else { panic!("it is a writer") };
        let waiting = || lock(&writer.pipeline.state).waiting;
        let event = NewEvent::new(Coordinate::new("a", "s").unwrap(), EventKind::new(1, 1).unwrap(), b"x");
        let known = event.clone().id(EventId::from_bytes([7; 16]));
        let ticket = store.submit(&event).unwrap();
        store.append(&known).unwrap();
        assert_eq!(waiting(), 1, "the ticket");
        drop(ticket);
        assert_eq!(waiting(), 0);
        store.append(&known).unwrap();
        store.append_batch(std::slice::from_ref(&known)).unwrap();
        assert!(store.append_batch(&[known, event]).is_err(), "one is known, the other is not");
        assert_eq!(waiting(), 0);
    }
}
