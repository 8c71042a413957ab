//! A store that is driven on a simulated disk, and the journal of what it was asked and answered.
//!
//! Invariant: what an operation answers is in the journal before the disk is called again. Without a fault every answer but the one
//! that is due is a violation.

use std::sync::Arc;

use batpak_store::{AppendError, Coordinate, Durability, EventKind, NewEvent, OpenError, Receipt, Store};

use crate::journal::{Asked, Journal};
use crate::ledger::{CANARY, Ledger};
use crate::place::{DIR, Setup};
use crate::random::mix;
use crate::sim::{SimDisk, State};
use crate::violation::{Violation, chain};
use crate::watcher::Watcher;

mod keys;

/// An operation of a workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Op {
    /// Appends to an entity that has a key.
    Old,
    /// Appends to an entity that has none.
    New,
    /// Appends three events as one: an old entity, two new ones.
    Batch,
    /// Shreds the entity that was written to last.
    Shred,
    /// Appends an event that does not fit the segment.
    Roll,
    /// Closes and opens.
    Reopen,
    /// Takes leaves until the page is used up, and appends under the next page.
    Turnover,
    /// Syncs what was acknowledged without a sync.
    Sync,
    /// Moves to another root secret.
    Rekey,
    /// Lets the entity that was shredded last take events again.
    Readmit,
    /// Shreds every second one of so many keys that their frontier needs an extent.
    Scatter,
    /// Shreds the others.
    Gather,
}

/// A store on a simulated disk.
pub(crate) struct Life {
    pub(crate) setup: Setup,
    pub(crate) disk: SimDisk,
    pub(crate) watcher: Arc<Watcher>,
    store: Option<Arc<Store>>,
    seed: u64,
    opens: u64,
    /// Whether faults may be the reason of an answer.
    pub(crate) faulty: bool,
    /// Whether no more than that goes wrong: from some call on the disk has no space left.
    pub(crate) full: bool,
}

impl Life {
    /// A life on a disk, with the journal and the ledger of its world so far; shots are kept from an operation on.
    pub(crate) fn on(setup: Setup, state: State, seed: u64, world: (Journal, Arc<Ledger>), keep_from: usize) -> Self {
        let disk = SimDisk::new(state, mix(&[seed, 3]));
        let watcher = Watcher::new(setup, world.0, world.1, keep_from);
        disk.watch(Some(Arc::clone(&watcher) as Arc<dyn crate::sim::Watch>));
        Self { setup, disk, watcher, store: None, seed, opens: 0, faulty: false, full: false }
    }

    fn config(&mut self) -> batpak_store::Config {
        self.opens += 1;
        self.setup.config(&self.disk, mix(&[self.seed, self.opens]))
    }

    pub(crate) fn store(&self) -> Option<&Arc<Store>> {
        self.store.as_ref()
    }

    pub(crate) fn create(&mut self) -> Result<(), OpenError> {
        let config = self.config().granularity(self.setup.granularity);
        let store = Store::create(DIR, config)?;
        self.watcher.store_is(store.info().store);
        self.watcher.journal(|journal| journal.created = true);
        self.store = Some(Arc::new(store));
        Ok(())
    }

    pub(crate) fn open(&mut self) -> Result<(), OpenError> {
        let config = self.config();
        if let Ok(info) = Store::inspect(DIR, &self.disk) {
            self.watcher.store_is(info.store);
        }
        self.store = Some(Arc::new(Store::open(DIR, config)?));
        Ok(())
    }

    pub(crate) fn open_with(
        &mut self,
        change: impl FnOnce(batpak_store::Config) -> batpak_store::Config,
    ) -> Result<(), OpenError> {
        let config = change(self.config());
        if let Ok(info) = Store::inspect(DIR, &self.disk) {
            self.watcher.store_is(info.store);
        }
        self.store = Some(Arc::new(Store::open(DIR, config)?));
        Ok(())
    }

    /// Ends the process: nothing of the store is written any more.
    pub(crate) fn kill(&mut self) {
        self.disk.watch(None);
        self.disk.kill();
        self.store = None;
    }

    /// Keeps the instant at which nothing is under way.
    pub(crate) fn rest(&self) {
        let struck = self.disk.calls().1;
        self.watcher.journal(|journal| journal.struck |= struck);
        self.watcher.shoot(&self.disk.state());
    }

    /// Does one operation; false when the store cannot go on.
    pub(crate) fn perform(&mut self, op: Op) -> bool {
        let Some(store) = self.store.clone() else { return false };
        let before = self.disk.failed_segment_syncs();
        let alive = match op {
            Op::Reopen => {
                drop(store);
                return self.reopen();
            }
            Op::Old => self.append_old(&store, 200),
            Op::New => self.append_new(&store),
            Op::Batch => self.batch(&store),
            Op::Roll => self.append_old(&store, 3600),
            Op::Sync => self.sync(&store),
            Op::Turnover => self.turnover(&store),
            Op::Shred => self.shred(&store),
            Op::Rekey => self.rekey(&store),
            Op::Readmit => self.readmit(&store),
            Op::Scatter => self.scatter(&store),
            Op::Gather => self.gather(&store),
        };
        if self.disk.hung() {
            self.watcher.violated(Violation::new("I21", format!("{op:?} does not end")));
            return false;
        }
        let unsynced = before > 0 && matches!(op, Op::Old | Op::New | Op::Batch | Op::Roll | Op::Sync);
        if alive && unsynced {
            self.watcher.violated(Violation::new("I6", format!("{op:?} is acknowledged after a failed sync")));
        }
        true
    }

    /// The fault is over: the store goes on, if need be after it was opened anew.
    pub(crate) fn freed(&mut self) {
        let struck = self.disk.calls().1;
        self.disk.fault(None);
        (self.faulty, self.full) = (false, false);
        let poisoned = self.watcher.journal(|journal| journal.poisoned);
        if self.store.is_some() && !poisoned {
            // What struck may poison as late as now: a write buffer that could not be drained.
            self.faulty = struck && self.setup.durability == Durability::Deferred;
            self.perform(Op::Old);
            self.rest();
        }
        drop(self.store.take());
        self.faulty = false;
        self.disk.forget_failures();
        match self.open() {
            Ok(()) => {
                if self.resume() {
                    self.perform(Op::New);
                }
            }
            Err(why) => self.unexpected("open after the fault", &why),
        }
        self.rest();
    }

    fn reopen(&mut self) -> bool {
        let Some(store) = self.store.take() else { return false };
        let Ok(store) = Arc::try_unwrap(store) else { return false };
        match store.close() {
            Ok(()) => self.watcher.journal(|journal| {
                journal.written = journal.events.len();
                journal.durable = journal.events.len();
            }),
            Err(why) => self.unexpected("close", &why),
        }
        self.disk.forget_failures();
        match self.open() {
            Ok(()) => {}
            Err(why) => {
                self.unexpected("open", &why);
                return false;
            }
        }
        self.resume()
    }

    /// Takes over what an open has found.
    pub(crate) fn resume(&mut self) -> bool {
        let Some(store) = &self.store else { return false };
        let journal = self.watcher.journal(|journal| journal.clone());
        match crate::oracle::judge(store, &journal, self.least(&journal)) {
            Ok(seen) => {
                self.watcher.journal(|journal| *journal = journal.resolved(seen.count, &seen.shredded));
                true
            }
            Err(violation) => {
                if !self.faulty || violation.invariant != "I3" {
                    self.watcher.violated(violation);
                }
                false
            }
        }
    }

    /// How much must be there when the process ends; a failed sync takes back what only the page cache had.
    fn least(&self, journal: &Journal) -> usize {
        if journal.poisoned { journal.durable } else { journal.written }
    }

    fn unexpected(&self, what: &str, why: &dyn std::error::Error) {
        let struck = self.faulty && self.disk.calls().1;
        let poisoned = self.watcher.journal(|journal| journal.poisoned);
        if !struck && !poisoned {
            self.watcher.violated(Violation::new("I22", format!("{what} fails without a reason: {}", chain(why))));
        }
    }

    fn append_old(&self, store: &Store, bytes: usize) -> bool {
        match self.watcher.journal(|journal| journal.live_entity(0)) {
            Some(entity) => self.append(store, &[(entity, bytes)]),
            None => self.append_new(store),
        }
    }

    fn append_new(&self, store: &Store) -> bool {
        let entity = self.watcher.journal(Journal::fresh_entity);
        let poisoned = || self.watcher.journal(|journal| journal.poisoned);
        // As a caller does who was told that nothing was written.
        self.append(store, &[(Arc::clone(&entity), 200)])
            || (self.faulty && !poisoned() && self.append(store, &[(entity, 200)]))
    }

    fn batch(&self, store: &Store) -> bool {
        let events = self.watcher.journal(|journal| {
            let old = journal.live_entity(0).unwrap_or_else(|| "entity-0".into());
            vec![(old, 150), (journal.fresh_entity(), 700), (journal.fresh_entity(), 150)]
        });
        self.append(store, &events)
    }

    /// Appends events as one and writes down what becomes of them.
    fn append(&self, store: &Store, events: &[(Arc<str>, usize)]) -> bool {
        let asked: Vec<Asked> = self.watcher.journal(|journal| {
            let unit = journal.events.len();
            let ask = |(entity, bytes): &(Arc<str>, usize)| Asked {
                id: journal.fresh_id(),
                entity: Arc::clone(entity),
                payload: payload(journal.ids, *bytes).into(),
                unit,
            };
            let asked: Vec<Asked> = events.iter().map(ask).collect();
            journal.events.extend_from_slice(&asked);
            asked
        });
        let new: Vec<NewEvent<'_>> =
            asked.iter().map(|asked| event(&asked.entity, &asked.payload).id(asked.id)).collect();
        let answer = match new.as_slice() {
            [one] => store.append(one).map(|receipt| vec![receipt]),
            many => store.append_batch(many),
        };
        self.answered(&asked, answer)
    }

    fn answered(&self, asked: &[Asked], answer: Result<Vec<Receipt>, AppendError>) -> bool {
        let (count, durability) = (asked.len(), self.setup.durability);
        match answer {
            Ok(_) => {
                let refused = self.watcher.journal(|journal| {
                    let all = journal.events.len();
                    if durability >= Durability::Buffered {
                        journal.written = all;
                    }
                    if durability == Durability::Synced {
                        journal.durable = all;
                    }
                    for asked in asked {
                        journal.unsure.remove(&asked.entity);
                    }
                    asked.iter().find(|asked| journal.refused.contains(&asked.entity)).map(|asked| asked.entity.clone())
                });
                if let Some(entity) = refused {
                    self.watcher.violated(Violation::new("I9", format!("{entity} takes an event after its shred")));
                }
                true
            }
            Err(AppendError::Poisoned(why)) => {
                self.watcher.journal(|journal| journal.poisoned = true);
                self.unexpected("append", &why);
                false
            }
            Err(why) => {
                let due = self.watcher.journal(|journal| {
                    journal.events.truncate(journal.events.len() - count);
                    let shredded = |asked: &Asked| {
                        journal.refused.contains(&asked.entity) || journal.unsure.contains(&asked.entity)
                    };
                    matches!(why, AppendError::ScopeShredded) && asked.iter().any(shredded)
                });
                if !due {
                    self.unexpected("append", &why);
                }
                false
            }
        }
    }

    fn sync(&self, store: &Store) -> bool {
        match store.sync() {
            Ok(()) => {
                self.watcher.journal(|journal| {
                    journal.written = journal.events.len();
                    journal.durable = journal.events.len();
                });
                true
            }
            Err(why) => {
                self.watcher.journal(|journal| journal.poisoned |= matches!(why, AppendError::Poisoned(_)));
                self.unexpected("sync", &why);
                false
            }
        }
    }
}

fn payload(number: u64, bytes: usize) -> Vec<u8> {
    let mut payload = CANARY.to_vec();
    payload.extend_from_slice(&number.to_le_bytes());
    payload.resize(bytes.max(payload.len()), b'.');
    payload
}

fn event<'a>(entity: &str, payload: &'a [u8]) -> NewEvent<'a> {
    let coordinate = Coordinate::new(entity, "scope").expect("the name is short and printable");
    NewEvent::new(coordinate, EventKind::new(1, 7).expect("the category is a caller's"), payload)
}
