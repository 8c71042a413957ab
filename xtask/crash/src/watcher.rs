//! Watches the disk of a run: checks each write, and keeps the disk as it was before each change.
//!
//! Invariant: a shot holds the disk, the journal and the ledger of one instant; the journal lags behind what the store has
//! promised by nothing, for a promise is made between two calls and written down before the second.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, Weak};

use batpak_store::keyset::Granularity;
use batpak_store::{EventId, Payload, Store, StoreId};

use crate::journal::Journal;
use crate::ledger::{Ledger, has_plaintext};
use crate::lock;
use crate::place::{DIR, Setup};
use crate::sim::{Op, State, Watch};
use crate::violation::Violation;

/// One instant.
#[derive(Clone, Debug)]
pub(crate) struct Shot {
    pub(crate) state: State,
    pub(crate) journal: Journal,
    pub(crate) ledger: Arc<Ledger>,
    /// The workload's operation that was under way.
    pub(crate) step: usize,
    /// Whether that operation has returned.
    pub(crate) ended: bool,
}

/// An event that is read while a shred of it runs.
struct Probe {
    store: Weak<Store>,
    id: EventId,
    /// The segment that the intent was written to.
    intent_in: Option<PathBuf>,
    intent_synced: bool,
}

#[derive(Default)]
struct Inner {
    journal: Journal,
    ledger: Arc<Ledger>,
    shots: Vec<Shot>,
    step: usize,
    store: Option<StoreId>,
    violations: Vec<Violation>,
}

/// See the module.
pub(crate) struct Watcher {
    setup: Setup,
    inner: Mutex<Inner>,
    probe: Mutex<Option<Probe>>,
    /// From which operation on shots are kept.
    keep_from: usize,
}

impl Watcher {
    pub(crate) fn new(setup: Setup, journal: Journal, ledger: Arc<Ledger>, keep_from: usize) -> Arc<Self> {
        let inner = Inner { journal, ledger, ..Inner::default() };
        Arc::new(Self { setup, inner: Mutex::new(inner), probe: Mutex::new(None), keep_from })
    }

    pub(crate) fn journal<R>(&self, work: impl FnOnce(&mut Journal) -> R) -> R {
        work(&mut lock(&self.inner).journal)
    }

    pub(crate) fn store_is(&self, id: StoreId) {
        lock(&self.inner).store = Some(id);
    }

    pub(crate) fn step(&self, step: usize) {
        lock(&self.inner).step = step;
    }

    pub(crate) fn violated(&self, violation: Violation) {
        lock(&self.inner).violations.push(violation);
    }

    pub(crate) fn violations(&self) -> Vec<Violation> {
        lock(&self.inner).violations.clone()
    }

    pub(crate) fn take_shots(&self) -> Vec<Shot> {
        std::mem::take(&mut lock(&self.inner).shots)
    }

    pub(crate) fn ledger(&self) -> Arc<Ledger> {
        Arc::clone(&lock(&self.inner).ledger)
    }

    /// Keeps this instant, after an operation has returned.
    pub(crate) fn shoot(&self, state: &State) {
        let mut inner = lock(&self.inner);
        if inner.step >= self.keep_from {
            let shot = inner.shot(state, true);
            inner.shots.push(shot);
        }
    }

    /// Reads an event before each change of the disk until [`Watcher::probed`].
    pub(crate) fn probe(&self, store: &Arc<Store>, id: EventId) {
        let probe = Probe { store: Arc::downgrade(store), id, intent_in: None, intent_synced: false };
        *lock(&self.probe) = Some(probe);
    }

    pub(crate) fn probed(&self) {
        *lock(&self.probe) = None;
    }

    fn look(&self, op: Op<'_>, path: &Path) {
        let Some(mut probe) = lock(&self.probe).take() else { return };
        if let Some(store) = probe.store.upgrade() {
            let read = store.get(probe.id);
            let payload = read.ok().flatten().map(|event| event.payload);
            let problem = match payload {
                Some(Payload::Open(_)) if probe.intent_synced => Some("reads open though the intent is durable"),
                Some(Payload::Shredded(_)) if !probe.intent_synced => Some("reads Shredded and no intent is durable"),
                Some(Payload::KeyLost(_)) => Some("reads KeyLost while it is shredded"),
                _ => None,
            };
            if let Some(problem) = problem {
                self.violated(Violation::new("I13", problem));
            }
        }
        // Of that segment: index files of others are synced beside it.
        if matches!(op, Op::Sync) && probe.intent_in.as_deref() == Some(path) {
            probe.intent_synced = true;
        }
        *lock(&self.probe) = Some(probe);
    }
}

impl Inner {
    fn shot(&self, state: &State, ended: bool) -> Shot {
        Shot {
            state: state.clone(),
            journal: self.journal.clone(),
            ledger: Arc::clone(&self.ledger),
            step: self.step,
            ended,
        }
    }

    fn write(
        &mut self,
        setup: Setup,
        path: &Path,
        offset: u64,
        bytes: &[u8],
        state: &State,
    ) -> Result<bool, Violation> {
        if !setup.is_sealed() {
            return Ok(false);
        }
        let last = self.journal.events.len().saturating_sub(4);
        let payloads: Vec<Arc<[u8]>> =
            self.journal.events[last..].iter().map(|event| Arc::clone(&event.payload)).collect();
        if has_plaintext(bytes, &payloads) {
            return Err(Violation::new("I14", format!("plaintext is written to {}", path.display())));
        }
        let Some(store) = self.store.filter(|_| path.starts_with(format!("{DIR}/segments"))) else { return Ok(false) };
        let granularity =
            if setup.granularity == Granularity::Event { Granularity::Event } else { Granularity::Entity };
        let ledger = Arc::make_mut(&mut self.ledger);
        Ok(ledger.segment_write(state, path, offset, bytes, store, granularity)?.is_intent)
    }
}

impl Watch for Watcher {
    fn before(&self, op: Op<'_>, path: &Path, state: &State) {
        self.look(op, path);
        let mut inner = lock(&self.inner);
        if inner.step >= self.keep_from {
            let shot = inner.shot(state, false);
            inner.shots.push(shot);
        }
        if let Op::Write { offset, bytes } = op {
            match inner.write(self.setup, path, offset, bytes, state) {
                Ok(is_intent) => {
                    drop(inner);
                    if is_intent && let Some(probe) = lock(&self.probe).as_mut() {
                        probe.intent_in = Some(path.to_owned());
                    }
                }
                Err(violation) => inner.violations.push(violation),
            }
        }
    }
}
