//! What was asked of a store and what it answered: all that an oracle may hold it to.
//!
//! Invariant: an event is taken out only when the store said that it is not in the log; what it did not say stays possible.

use std::collections::BTreeSet;
use std::sync::Arc;

use batpak_store::EventId;

/// An event that was handed to the store.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) id: EventId,
    pub(crate) entity: Arc<str>,
    pub(crate) payload: Arc<[u8]>,
    /// Where its batch begins, in events of callers.
    pub(crate) unit: usize,
}

/// A shred that was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Shred {
    pub(crate) entities: Vec<Arc<str>>,
    /// It is about the events before this one.
    pub(crate) before: usize,
    /// Whether the store said that it is done or can only be finished.
    pub(crate) certain: bool,
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub(crate) struct Journal {
    /// Whether the creation returned.
    pub(crate) created: bool,
    /// In the order of their positions.
    pub(crate) events: Vec<Asked>,
    /// So many are there when the process ends.
    pub(crate) written: usize,
    /// So many are there when the machine ends.
    pub(crate) durable: usize,
    pub(crate) shreds: Vec<Shred>,
    /// Entities that take no events for sure.
    pub(crate) refused: BTreeSet<Arc<str>>,
    /// Entities of which nobody knows whether they do.
    pub(crate) unsure: BTreeSet<Arc<str>>,
    /// Whether the store said that only reopening decides.
    pub(crate) poisoned: bool,
    /// Whether a fault has struck: a second copy of the keyset may then be behind.
    pub(crate) struck: bool,
    /// Entities made so far.
    pub(crate) entities: u64,
    /// Entities that a scatter has left their keys.
    pub(crate) scattered: Vec<Arc<str>>,
    /// Ids made so far.
    pub(crate) ids: u64,
}

/// What must be true of an event's payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Open,
    Shredded,
    /// Either, and for all events of the entity alike.
    Either,
}

impl Journal {
    pub(crate) fn fate(&self, at: usize, entity: &str) -> Fate {
        let about = |shred: &&Shred| at < shred.before && shred.entities.iter().any(|name| &**name == entity);
        match self.shreds.iter().filter(about).map(|shred| shred.certain).max() {
            None => Fate::Open,
            Some(true) => Fate::Shredded,
            Some(false) => Fate::Either,
        }
    }

    /// The journal of the world in which a recovery left so many events, and shredded these entities.
    pub(crate) fn resolved(&self, count: usize, shredded: &BTreeSet<Arc<str>>) -> Self {
        let mut journal = self.clone();
        journal.events.truncate(count);
        (journal.written, journal.durable) = (count, count);
        (journal.poisoned, journal.struck) = (false, false);
        journal.created = true;
        for shred in journal.shreds.iter_mut().filter(|shred| !shred.certain) {
            shred.before = shred.before.min(count);
            // An entity without events shows nothing.
            let shows = |name: &Arc<str>| shredded.contains(name);
            shred.certain = shred.entities.iter().any(shows);
            let refused = shred.entities.clone();
            journal.unsure.extend(refused.iter().filter(|name| !journal.refused.contains(*name)).cloned());
        }
        journal.shreds.retain(|shred| shred.certain);
        journal
    }

    /// What a check depends on, as a number: two equal states with equal expectations are one.
    pub(crate) fn expectation(&self, killed: bool) -> u64 {
        let certain = self.shreds.iter().filter(|shred| shred.certain).count() as u64;
        let least = if killed { self.written } else { self.durable };
        let parts =
            [self.events.len() as u64, least as u64, self.shreds.len() as u64, certain, u64::from(self.created)];
        crate::random::mix(&parts)
    }

    pub(crate) fn fresh_id(&mut self) -> EventId {
        self.ids += 1;
        EventId::from_key(&self.ids.to_le_bytes())
    }

    pub(crate) fn fresh_entity(&mut self) -> Arc<str> {
        self.entities += 1;
        format!("entity-{}", self.entities).into()
    }

    /// The last entity that has events and takes more, leaving out so many.
    pub(crate) fn live_entity(&self, skip: usize) -> Option<Arc<str>> {
        let mut seen: Vec<&Arc<str>> = Vec::new();
        for event in &self.events {
            let dead = self.refused.contains(&event.entity) || self.unsure.contains(&event.entity);
            if !dead && !seen.contains(&&event.entity) {
                seen.push(&event.entity);
            }
        }
        seen.get(skip).map(|entity| Arc::clone(entity))
    }

    pub(crate) fn last_entity(&self) -> Option<Arc<str>> {
        let mut live = self.events.iter().rev().map(|event| &event.entity);
        live.find(|entity| !self.refused.contains(*entity) && !self.unsure.contains(*entity)).cloned()
    }
}
