//! What a life does with keys: mints, shreds, readmits and rekeys.
//!
//! Invariant: as that of the life; a shred stands in the journal before the store is asked for it.

use std::sync::Arc;

use batpak_store::{AppendError, EventId, Selector, ShredError, Store};

use super::{Life, event};
use crate::journal::{Asked, Fate, Journal, Shred};
use crate::ledger::CANARY;
use crate::violation::Violation;

impl Life {
    /// Mints on entities whose events are refused at the commit, which costs leaves and no log.
    pub(super) fn turnover(&self, store: &Store) -> bool {
        if !self.setup.is_sealed() {
            return self.append_new(store);
        }
        let pages = |store: &Store| store.stats().keyset.map_or(0, |keyset| keyset.pages);
        let before = pages(store);
        let nobody = EventId::from_bytes([9; 16]);
        // A page and the reservations that the appends before have taken of it.
        for _ in 0..2 * 4096 {
            let entity = self.watcher.journal(Journal::fresh_entity);
            let refused = store.append(&event(&entity, CANARY).cause(nobody));
            if !matches!(refused, Err(AppendError::UnknownCause { .. })) {
                if let Err(why) = refused {
                    self.unexpected("append", &why);
                }
                return false;
            }
            if pages(store) > before.max(1) {
                break;
            }
        }
        // The page ahead is reserved before the last leaf of the one before is taken.
        self.append_new(store)
    }

    pub(super) fn shred(&self, store: &Arc<Store>) -> bool {
        let Some(entity) = self.watcher.journal(|journal| journal.last_entity()) else {
            return false;
        };
        let first = self.watcher.journal(|journal| {
            let open =
                |(at, event): &(usize, &Asked)| event.entity == entity && journal.fate(*at, &entity) == Fate::Open;
            journal.events.iter().enumerate().find(open).map(|(_, event)| event.id)
        });
        if !self.faulty
            && let Some(id) = first
        {
            self.watcher.probe(store, id);
        }
        let done = self.shred_all(store, vec![entity]);
        self.watcher.probed();
        done
    }

    fn shred_all(&self, store: &Store, entities: Vec<Arc<str>>) -> bool {
        let selectors: Vec<Selector> = entities.iter().map(|name| Selector::Entity(name.to_string())).collect();
        self.watcher.journal(|journal| {
            let shred = Shred { entities: entities.clone(), before: journal.events.len(), certain: false };
            journal.shreds.push(shred);
        });
        let answer = store.shred(&selectors, 7, "a test");
        let certain = matches!(answer, Ok(_) | Err(ShredError::Pending { .. }));
        if self.full && matches!(answer, Err(ShredError::Pending { .. })) {
            self.watcher.violated(Violation::new("I21", "a shred on a full disk passes its intent and is not done"));
        }
        let unknown = matches!(&answer, Err(ShredError::Append(AppendError::Poisoned(_))));
        self.watcher.journal(|journal| {
            journal.poisoned |= unknown || matches!(answer, Err(ShredError::Pending { .. }));
            if answer.is_ok() {
                // The intent is synced, and all that stands before it.
                journal.written = journal.events.len();
                journal.durable = journal.events.len();
            }
            if certain {
                journal.refused.extend(entities.iter().cloned());
                if let Some(shred) = journal.shreds.last_mut() {
                    shred.certain = true;
                }
            } else if !unknown {
                journal.shreds.pop();
            }
        });
        match answer {
            Ok(_) | Err(ShredError::Plaintext) => true,
            Err(why) => {
                self.unexpected("shred", &why);
                false
            }
        }
    }

    pub(super) fn rekey(&self, store: &Store) -> bool {
        match store.rekey() {
            Ok(_) | Err(ShredError::Plaintext) => true,
            Err(why) => {
                self.watcher.journal(|journal| journal.poisoned = true);
                self.unexpected("rekey", &why);
                false
            }
        }
    }

    pub(super) fn readmit(&self, store: &Store) -> bool {
        let Some(entity) = self.watcher.journal(|journal| journal.refused.first().cloned()) else { return true };
        self.watcher.journal(|journal| {
            journal.refused.remove(&entity);
            journal.unsure.insert(Arc::clone(&entity));
        });
        match store.readmit(&Selector::Entity(entity.to_string())) {
            Ok(()) => {
                self.watcher.journal(|journal| journal.unsure.remove(&entity));
                self.append(store, &[(entity, 100)])
            }
            Err(why) => {
                self.unexpected("readmit", &why);
                false
            }
        }
    }

    /// Takes a page of leaves without a log, and shreds every second one.
    pub(super) fn scatter(&self, store: &Store) -> bool {
        if !self.setup.is_sealed() {
            return true;
        }
        let nobody = EventId::from_bytes([9; 16]);
        let mut entities: Vec<Arc<str>> = Vec::new();
        for _ in 0..4096 {
            let entity = self.watcher.journal(Journal::fresh_entity);
            match store.append(&event(&entity, CANARY).cause(nobody)) {
                Err(AppendError::UnknownCause { .. }) => entities.push(entity),
                Err(why) => {
                    self.unexpected("append", &why);
                    return false;
                }
                Ok(_) => return false,
            }
        }
        let (even, odd) = (0..entities.len()).partition::<Vec<usize>, _>(|at| at % 2 == 0);
        let named = |some: Vec<usize>| some.into_iter().map(|at| Arc::clone(&entities[at])).collect::<Vec<_>>();
        self.watcher.journal(|journal| journal.scattered = named(odd));
        self.shred_all(store, named(even))
    }

    /// Shreds what a scatter has left, so that its extent is named no longer.
    pub(super) fn gather(&self, store: &Store) -> bool {
        let left = self.watcher.journal(|journal| std::mem::take(&mut journal.scattered));
        left.is_empty() || self.shred_all(store, left)
    }
}
