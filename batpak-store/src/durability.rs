//! Group sync: one caller syncs the log for all who wait.
//!
//! Invariants: a sync vouches for what was written before it began. A failed sync is never tried again: it acknowledges nobody, wakes
//! everybody and poisons the pipeline.

use std::sync::Arc;

use batpak_format::ChainHash;
use batpak_keyset::LogSeen;

use crate::{
    AppendError,
    defect::{Defect, seeded},
    pipeline::{Ahead, LogFile, Pipeline, State},
    sync::{MutexGuard, lock, wait},
};

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
}

impl Syncing {
    pub(crate) fn new(file: LogFile, durable: u64, durable_chain: ChainHash) -> Self {
        Self { file, durable, durable_chain, running: false, count: 0 }
    }

    /// Notes that everything below a position is durable.
    pub(crate) fn reach(&mut self, below: u64, chain: ChainHash) {
        if below > self.durable {
            self.durable = below;
            self.durable_chain = chain;
        }
    }
}

impl Pipeline {
    /// Waits until a placed unit is durable, syncing it and what is before it when nobody else does.
    pub(crate) fn synced(&self, ahead: &Ahead) -> Result<(), AppendError> {
        self.written(ahead)?;
        if seeded(Defect::AckBeforeSync) {
            return Ok(());
        }
        self.durable_to(lock(&self.state), ahead.next())
    }

    /// Writes and syncs everything that is placed now.
    pub(crate) fn sync_all(&self) -> Result<(), AppendError> {
        self.drain()?;
        let state = lock(&self.state);
        let target = state.written;
        self.durable_to(state, target)
    }

    /// How far the log is durable, for the keyset to keep.
    pub(crate) fn log_seen(&self) -> LogSeen {
        let state = lock(&self.state);
        LogSeen { position: state.sync.durable, chain_hash: state.sync.durable_chain }
    }

    fn durable_to<'a>(&'a self, mut state: MutexGuard<'a, State>, target: u64) -> Result<(), AppendError> {
        loop {
            if let Some(why) = &state.poison {
                return Err(AppendError::Poisoned(Arc::clone(why)));
            }
            if state.sync.durable >= target {
                return Ok(());
            }
            state = if state.sync.running { wait(&self.changed, state) } else { self.lead_sync(state) };
        }
    }

    /// Syncs what is written now, outside the lock.
    fn lead_sync<'a>(&'a self, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        let (target, chain) = (state.written, state.written_chain);
        let file = Arc::clone(&state.sync.file);
        state.sync.running = true;
        drop(state);
        let turn = SyncTurn { pipeline: self, ended: false };
        let synced = file.sync_data();
        let result = if seeded(Defect::FailedSyncRetried) { synced.or_else(|_| file.sync_data()) } else { synced };
        let mut state = turn.end();
        match result {
            Ok(()) => {
                state.sync.reach(target, chain);
                state.sync.count += 1;
            }
            Err(why) if seeded(Defect::FailedSyncWakesNobody) => {
                state.poison.get_or_insert(Arc::new(why));
                return state;
            }
            Err(why) => self.poison(&mut state, Arc::new(why)),
        }
        self.changed.notify_all();
        state
    }
}

/// The sync turn; a panic inside it poisons and wakes everybody.
struct SyncTurn<'a> {
    pipeline: &'a Pipeline,
    ended: bool,
}

impl<'a> SyncTurn<'a> {
    fn end(mut self) -> MutexGuard<'a, State> {
        self.ended = true;
        let mut state = lock(&self.pipeline.state);
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
