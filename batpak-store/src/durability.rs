//! Group sync: one caller syncs the log for all who wait.
//!
//! The leader of a sync waits a moment for those who came with the last one, writes what is placed, and syncs; so a group of appends is
//! one write and one sync, and whoever is not the leader takes the commit lock twice and sleeps once.
//!
//! Invariants: a sync vouches for what was written before it began. A failed sync is never tried again: it acknowledges nobody, wakes
//! everybody and poisons the pipeline.

use std::{sync::Arc, time::Duration};

use batpak_format::ChainHash;
use batpak_keyset::LogSeen;

use crate::{
    AppendError, Durability,
    defect::{Defect, seeded},
    pipeline::{LogFile, Pipeline},
    state::{Ahead, State},
    sync::{MutexGuard, lock},
};

/// A leader waits so long at most until as many appends wait as were about when the last sync ended. Otherwise the threads part in two
/// groups that take turns, and each sync serves half of them. With the slack of a timer it is below 0.1 ms, less than a sync; a single
/// thread never waits.
const GATHER_TIME: Duration = Duration::from_micros(50);

/// When so much is written and not synced, the store's own thread syncs it, so that a roll, which syncs what is left of its segment,
/// stalls nobody for long: half of what the segment has room for yet, and at least so much, towards its end.
const WRITE_BACK_BYTES: usize = 2 * 1024 * 1024;
const WRITE_BACK_BYTES_MIN: usize = 128 * 1024;

/// How far the log is durable, and who is making it more so.
#[derive(Debug)]
pub(crate) struct Syncing {
    pub(crate) file: LogFile,
    /// Positions below are durable, and the chain hash there.
    pub(crate) durable: u64,
    pub(crate) durable_chain: ChainHash,
    /// Whether a caller syncs now.
    pub(crate) running: bool,
    /// How many syncs ended well.
    pub(crate) count: u64,
    /// How many appends have come to wait for a sync so far, the leaders' own counted, and how many of them the last one was for.
    came: u64,
    served: u64,
    /// How many were about when the last sync ended: those that it served, and those that had come meanwhile.
    group: u64,
    /// Bytes that were written since the last sync began.
    pub(crate) unsynced: usize,
}

impl Syncing {
    pub(crate) fn new(file: LogFile, durable: u64, durable_chain: ChainHash) -> Self {
        Self { file, durable, durable_chain, running: false, count: 0, came: 0, served: 0, group: 1, unsynced: 0 }
    }

    /// Whether as many appends wait as were about when the last sync ended.
    fn is_gathered(&self) -> bool {
        self.came - self.served >= self.group
    }

    /// Notes that everything below a position is durable.
    pub(crate) fn reach(&mut self, below: u64, chain: ChainHash) {
        if below > self.durable {
            self.durable = below;
            self.durable_chain = chain;
        }
    }
}

impl State {
    /// Whether the store's own thread syncs what was written.
    pub(crate) fn is_write_back_due(&self) -> bool {
        let left = self.tail.segment_bytes.saturating_sub(self.tail.offset);
        self.sync.unsynced >= write_back_after(left)
    }
}

/// How much is written and not synced when the store's own thread syncs it, in a segment with room for so many bytes.
fn write_back_after(left: u64) -> usize {
    usize::try_from(left / 2).unwrap_or(usize::MAX).clamp(WRITE_BACK_BYTES_MIN, WRITE_BACK_BYTES)
}

impl Pipeline {
    /// Waits until a placed unit is as durable as was asked. Deferred ones are written here when so many bytes are queued.
    ///
    /// It goes on from the state under which the unit was placed: with nobody else about, placing and taking the write turn is one piece of
    /// work under one lock.
    pub(crate) fn wait_from<'a>(
        &'a self,
        state: MutexGuard<'a, State>,
        ahead: &Ahead,
        durability: Durability,
        deferred_bytes_max: usize,
    ) -> (MutexGuard<'a, State>, Result<(), AppendError>) {
        match durability {
            Durability::Synced if seeded(Defect::AckBeforeSync) => self.written(state, ahead),
            Durability::Synced => self.durable(state, ahead),
            Durability::Buffered => self.written(state, ahead),
            Durability::Deferred if state.queued_bytes >= deferred_bytes_max => self.drained(state),
            Durability::Deferred => (state, Ok(())),
        }
    }

    /// Writes and syncs everything that is placed now.
    pub(crate) fn sync_all(&self) -> Result<(), AppendError> {
        let (mut state, drained) = self.drained(lock(&self.state));
        drained?;
        let target = state.written;
        loop {
            if let Some(why) = &state.poison {
                return Err(AppendError::Poisoned(Arc::clone(why)));
            }
            if state.sync.durable >= target {
                return Ok(());
            }
            state = if state.sync.running { self.synced.wait(state) } else { self.lead_sync(state, None) };
        }
    }

    /// How far the log is durable, for the keyset to keep.
    pub(crate) fn log_seen(&self) -> LogSeen {
        let state = lock(&self.state);
        LogSeen { position: state.sync.durable, chain_hash: state.sync.durable_chain }
    }

    /// Waits until a placed unit is durable. Whoever leads a sync writes for all who wait; the others only sleep.
    fn durable<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        ahead: &Ahead,
    ) -> (MutexGuard<'a, State>, Result<(), AppendError>) {
        let mut came = false;
        loop {
            if let Some(why) = state.failed(ahead) {
                return (state, Err(why));
            }
            if state.sync.durable >= ahead.next() {
                return (state, Ok(()));
            }
            if !std::mem::replace(&mut came, true) {
                state.sync.came += 1;
                if state.sync.is_gathered() {
                    self.gathered.notify_all();
                }
            }
            state = if state.sync.running { self.synced.wait(state) } else { self.lead_sync(state, Some(ahead)) };
        }
    }

    /// Syncs, outside the lock: for an append what is placed now, after it was written; else what is written now.
    fn lead_sync<'a>(&'a self, mut state: MutexGuard<'a, State>, ahead: Option<&Ahead>) -> MutexGuard<'a, State> {
        state.sync.running = true;
        let turn = SyncTurn { pipeline: self, ended: false };
        let mut served = state.sync.served;
        if let Some(ahead) = ahead {
            state = self.gather(state);
            served = state.sync.came;
            state = self.drained(state).0;
            if state.failed(ahead).is_some() || state.sync.durable >= ahead.next() {
                return turn.end(state);
            }
        }
        let (target, chain) = (state.written, state.written_chain);
        state.sync.unsynced = 0;
        let file = Arc::clone(&state.sync.file);
        drop(state);
        let synced = file.sync_data();
        let result = if seeded(Defect::FailedSyncRetried) { synced.or_else(|_| file.sync_data()) } else { synced };
        let mut state = lock(&self.state);
        match result {
            Ok(()) => {
                state.sync.reach(target, chain);
                self.view.set_durable(state.sync.durable);
                state.sync.count += 1;
                if ahead.is_some() {
                    state.sync.group = state.sync.came - state.sync.served;
                    state.sync.served = served;
                }
            }
            Err(why) if seeded(Defect::FailedSyncWakesNobody) => {
                state.poison.get_or_insert(Arc::new(why));
                return turn.end_silently(state);
            }
            Err(why) => self.poison(&mut state, Arc::new(why)),
        }
        turn.end(state)
    }

    /// Syncs what was written whenever it is much, until the pipeline is closed or poisoned: the body of the store's own thread.
    pub(crate) fn write_back_until_closed(&self) {
        let mut state = lock(&self.state);
        while !state.closing && state.poison.is_none() {
            state = if state.is_write_back_due() && !state.sync.running {
                self.lead_sync(state, None)
            } else {
                self.behind.wait(state)
            };
        }
    }

    /// Waits a moment for the appends that came with the last sync.
    fn gather<'a>(&'a self, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        if !state.sync.is_gathered() && state.poison.is_none() && !state.closing {
            state = self.gathered.wait_timeout(&self.state, state, GATHER_TIME);
        }
        state
    }
}

/// The sync turn; a panic inside it poisons and wakes everybody.
struct SyncTurn<'a> {
    pipeline: &'a Pipeline,
    ended: bool,
}

impl<'a> SyncTurn<'a> {
    /// Gives the turn back and wakes everybody, without the lock: they all want it.
    fn end(self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        let pipeline = self.pipeline;
        let state = self.end_silently(state);
        let waiters = pipeline.synced.waiters();
        drop(state);
        waiters.wake();
        lock(&pipeline.state)
    }

    fn end_silently(mut self, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.ended = true;
        state.sync.running = false;
        state
    }
}

impl Drop for SyncTurn<'_> {
    fn drop(&mut self) {
        if !self.ended {
            let mut state = lock(&self.pipeline.state);
            state.sync.running = false;
            self.pipeline
                .poison(&mut state, Arc::new(std::io::Error::other("the thread that synced for others panicked")));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn less_is_left_unsynced_towards_the_end_of_a_segment() {
        const MIB: u64 = 1 << 20;
        let lefts = [64 * MIB, 4 * MIB, 4 * MIB - 2, MIB, MIB / 4, MIB / 8, 0];
        assert_eq!(
            lefts.map(write_back_after),
            [2 << 20, 2 << 20, (2 << 20) - 1, 512 << 10, 128 << 10, 128 << 10, 128 << 10]
        );
    }
}
