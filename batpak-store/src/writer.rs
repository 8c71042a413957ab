//! The writing side of a store: what an append needs beside the straight line itself.
//!
//! Invariant: only the process that opened the store writes; a forked child is refused before it takes a nonce or an id.

use std::{sync::Arc, time::Duration};

use batpak_crypto::{Entropy, Nonce, NonceBuffer};
use batpak_format::{EventId, StoreId};
use batpak_segment::{DiskFile, ForkMark};

use crate::{
    AppendError, Clock, Durability,
    append::SealedUnit,
    commit::{CommitContext, Committed, Condemns, Placed},
    defect::{Defect, seeded},
    fence::Fenced,
    fresh_id::fresh_id,
    indexing::Indexer,
    keys::Keys,
    pipeline::Pipeline,
    rules::Rules,
    state::{Ahead, State},
    sync::{AtomicBool, JoinHandle, Mutex, MutexGuard, Ordering, lock, try_lock, try_spawn},
};

/// A thread takes the first one that is free.
pub(crate) const NONCE_BUFFERS: usize = 4;

/// See the module.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) store: StoreId,
    pub(crate) pipeline: Arc<Pipeline>,
    pub(crate) keys: Option<Arc<Keys>>,
    pub(crate) durability: Durability,
    pub(crate) plaintext_bytes_max: u32,
    pub(crate) deferred_bytes_max: usize,
    pub(crate) deferred_delay: Duration,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    /// For nonces, and for the random bits of ids: several, so that no thread waits while another refills one.
    pub(crate) nonces: [Box<Mutex<NonceBuffer>>; NONCE_BUFFERS],
    /// One shred, rekey, readmission or hold at a time.
    pub(crate) shred_turn: Mutex<()>,
    pub(crate) process: ForkMark,
    pub(crate) drainer: Mutex<Option<JoinHandle<()>>>,
    pub(crate) drains: AtomicBool,
    pub(crate) indexer: Indexer,
    pub(crate) syncer: Mutex<Option<JoinHandle<()>>>,
    pub(crate) writes_back: AtomicBool,
    /// Held for as long as the store is open.
    pub(crate) _locks: Vec<Arc<dyn DiskFile>>,
}

impl Writer {
    pub(crate) fn check_process(&self) -> Result<(), AppendError> {
        if self.process.is_forked() { Err(AppendError::Forked) } else { Ok(()) }
    }

    fn nonces(&self) -> MutexGuard<'_, NonceBuffer> {
        self.nonces.iter().find_map(|nonces| try_lock(nonces)).unwrap_or_else(|| lock(&self.nonces[0]))
    }

    pub(crate) fn nonce(&self) -> Result<Nonce, AppendError> {
        self.nonces().next(&*self.entropy, self.process.process()).map_err(|_| AppendError::SealFailed)
    }

    /// A fresh id, ordered by time.
    pub(crate) fn fresh_id(&self) -> Result<EventId, AppendError> {
        let now = self.clock.now();
        let made = fresh_id(&mut self.nonces(), &*self.entropy, self.process.process(), now);
        made.map_err(|_| AppendError::SealFailed)
    }

    /// Step 5.
    pub(crate) fn fence<'u>(&self, unit: &'u mut SealedUnit) -> Result<Fenced<'u>, AppendError> {
        match &self.keys {
            Some(keys) => keys.pass(unit, &self.pipeline).map_err(AppendError::KeyNotDurable),
            None => Ok(Fenced::plain(unit)),
        }
    }

    /// Step 6.
    pub(crate) fn commit(
        &self,
        fenced: Fenced<'_>,
        durability: Durability,
        rules: Option<&Rules<'_>>,
    ) -> Result<Committed<'_>, AppendError> {
        self.commit_on(fenced, durability, rules, None)
    }

    /// Step 6 of a shred's intent.
    pub(crate) fn commit_condemning(
        &self,
        fenced: Fenced<'_>,
        durability: Durability,
        condemns: Option<&Condemns<'_>>,
    ) -> Result<Committed<'_>, AppendError> {
        self.commit_on(fenced, durability, None, condemns)
    }

    fn commit_on(
        &self,
        fenced: Fenced<'_>,
        durability: Durability,
        rules: Option<&Rules<'_>>,
        condemns: Option<&Condemns<'_>>,
    ) -> Result<Committed<'_>, AppendError> {
        if durability == Durability::Deferred {
            self.start_drainer()?;
        }
        let context = CommitContext {
            store: self.store,
            clock: &*self.clock,
            keyset_epoch: self.keys.as_ref().map_or(0, |keys| keys.epoch()),
            keys: self.keys.as_deref(),
            rules,
            condemns,
        };
        let committed = self.pipeline.commit(fenced, durability, &context);
        if let Err(AppendError::Read(why)) = &committed {
            self.pipeline.view.heal(why)?;
        }
        committed
    }

    /// Tells the keys which leaves a placed unit has made known. Only a unit that names a new one lets go of the commit lock for it.
    pub(crate) fn settled<'p>(&'p self, placed: Placed<'p>, unit: &SealedUnit) -> Placed<'p> {
        match &self.keys {
            Some(keys) if unit.events.iter().any(|event| event.minted().is_some()) => {
                let Placed { state, ahead } = placed;
                drop(state);
                keys.settle(&unit.events);
                Placed { state: lock(&self.pipeline.state), ahead }
            }
            _ => placed,
        }
    }

    /// Steps 7 and 8, as far as was asked, from the commit on; nobody waits for the unit afterwards.
    pub(crate) fn finish(&self, placed: Placed<'_>, durability: Durability) -> Result<(), AppendError> {
        let Placed { state, ahead } = placed;
        let (mut state, waited) = self.pipeline.wait_from(state, &ahead, durability, self.deferred_bytes_max);
        state.leave();
        self.look_behind(state);
        waited
    }

    /// As [`Writer::finish`], for intents: nothing is done between their sync and what it means to readers. What is due behind the log's
    /// end is started by the event that says the shred is done.
    pub(crate) fn finish_intents(&self, placed: Placed<'_>) -> Result<(), AppendError> {
        let Placed { state, ahead } = placed;
        let (mut state, waited) = self.pipeline.wait_from(state, &ahead, Durability::Synced, self.deferred_bytes_max);
        state.leave();
        waited
    }

    /// Steps 7 and 8, as far as was asked.
    pub(crate) fn wait(&self, ahead: &Ahead, durability: Durability) -> Result<(), AppendError> {
        let state = lock(&self.pipeline.state);
        let (state, waited) = self.pipeline.wait_from(state, ahead, durability, self.deferred_bytes_max);
        self.look_behind(state);
        waited
    }

    /// Starts what is due behind the log's end: index files of rolled segments, and the thread that syncs what was written.
    fn look_behind(&self, state: MutexGuard<'_, State>) {
        let is_write_back_due = state.is_write_back_due();
        drop(state);
        if seeded(Defect::SyncAfterWrite)
            && let Some(keys) = &self.keys
        {
            keys.sync_late();
        }
        self.index_rolled();
        if is_write_back_due && self.indexer.has_thread() {
            self.start_writing_back();
        }
    }

    /// Has an index file made of each segment that was rolled, and of each piece of the active one that has become durable.
    pub(crate) fn index_rolled(&self) {
        let view = &self.pipeline.view;
        if view.unfiled.load(Ordering::Acquire) || view.is_piece_due() {
            self.indexer.look(view, view.written());
        }
    }

    /// Has an index file made of each segment before the active one, and of each piece of that, as an open found them: what is placed from
    /// now on is not written yet, and may be taken back.
    pub(crate) fn index_ended(&self) {
        let view = &self.pipeline.view;
        self.indexer.look(view, view.written() + 1);
    }

    /// Starts the thread that drains the write buffer, at the first deferred append. Without it nothing is acknowledged from the buffer.
    fn start_drainer(&self) -> Result<(), AppendError> {
        if self.drains.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        let (pipeline, delay) = (Arc::clone(&self.pipeline), self.deferred_delay);
        let drainer = try_spawn(move || pipeline.drain_until_closed(delay)).map_err(|why| {
            self.drains.store(false, Ordering::Release);
            AppendError::NotWritten(Arc::new(why))
        })?;
        *lock(&self.drainer) = Some(drainer);
        Ok(())
    }

    /// Starts the thread that syncs what was written, when it is much for the first time; or later, when there is no thread to be had now.
    fn start_writing_back(&self) {
        if !self.writes_back.swap(true, Ordering::AcqRel) {
            let pipeline = Arc::clone(&self.pipeline);
            match try_spawn(move || pipeline.write_back_until_closed()) {
                Ok(syncer) => *lock(&self.syncer) = Some(syncer),
                Err(_) => self.writes_back.store(false, Ordering::Release),
            }
        }
    }

    /// Refuses further appends, writes and syncs what is placed, and ends the log with a footer.
    pub(crate) fn close(&self) -> Result<(), AppendError> {
        if !self.pipeline.begin_close() {
            return Ok(());
        }
        if self.check_process().is_err() {
            return Err(AppendError::Forked);
        }
        for thread in [&self.drainer, &self.syncer] {
            let thread = lock(thread).take();
            // One that panicked has poisoned the pipeline, which the sync below reports.
            drop(thread.map(JoinHandle::join));
        }
        let keyset_epoch = self.keys.as_ref().map_or(0, |keys| keys.epoch_to_vouch_for());
        self.pipeline.sync_all()?;
        self.pipeline.end(keyset_epoch)?;
        self.indexer.finish(&self.pipeline.view);
        Ok(())
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::Arc;

    use batpak_segment::MemoryDisk;

    use crate::{
        AppendError, Config, Coordinate, Encryption, EventKind, Local, NewEvent, Selector, ShredError, Store,
        store::Side,
    };

    #[test]
    fn writer_of_another_process_is_refused_and_leaves_the_log_alone() {
        let disk = MemoryDisk::new();
        let config = Config::new(Encryption::sealed(Local::new())).disk(Arc::new(disk.clone()));
        let mut store = Store::create("/store", config).unwrap();
        let event = NewEvent::new(Coordinate::new("a", "s").unwrap(), EventKind::new(1, 1).unwrap(), b"x");
        store.append(&event).unwrap();
        // What a fork is to the child: the store was opened by another process.
        let Side::Writer(writer) = &mut store.side else { panic!("it is a writer") };
        writer.process = batpak_segment::ForkMark::of_process(std::process::id() ^ 1);
        let writes = Arc::new(std::sync::atomic::AtomicU64::new(0));
        let counted = Arc::clone(&writes);
        disk.observe(Box::new(move |call| {
            if matches!(call.op, batpak_segment::DiskOp::Write { .. }) {
                counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            }
        }));
        assert!(matches!(store.append(&event), Err(AppendError::Forked)));
        assert!(matches!(store.append_batch(&[event.clone(), event]), Err(AppendError::Forked)));
        let forked = |outcome| matches!(outcome, Err(ShredError::Append(AppendError::Forked)));
        let entity = [Selector::Entity("a".into())];
        assert!(forked(store.shred(&entity, 0, "").map(drop)) && forked(store.hold(&entity[0], "").map(drop)));
        assert!(forked(store.rekey().map(drop)) && forked(store.resume().map(drop)));
        assert!(matches!(store.close(), Err(AppendError::Forked)));
        assert_eq!(writes.load(std::sync::atomic::Ordering::Relaxed), 0);
    }
}
