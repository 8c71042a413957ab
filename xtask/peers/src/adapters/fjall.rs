//! fjall 3: one keyspace, the key an entity and the number of its event; a synced append persists the journal.

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};

use super::{Counters, join, split};
use crate::Outcome;
use crate::log::{EventLog, EventRef, Item, Options, Visit};
use crate::request::Durability;

/// A database.
pub(crate) struct Fjall {
    database: Database,
    events: Keyspace,
    counters: Counters,
    synced: bool,
}

impl Fjall {
    /// Opens it, and finds where each entity stands.
    pub(crate) fn open(options: &Options<'_>) -> Outcome<Fjall> {
        let database = Database::builder(options.dir).open()?;
        let events = database.keyspace("events", KeyspaceCreateOptions::default)?;
        let counters = Counters::restore(options.entities, |entity| {
            let Some(last) = events.prefix(entity.to_be_bytes()).next_back() else { return Ok(0) };
            let key: [u8; 16] = (*last.key()?).try_into()?;
            Ok(split(EventRef::from_be_bytes(key)).1 + 1)
        })?;
        Ok(Fjall { database, events, counters, synced: options.durability == Durability::Synced })
    }
}

impl EventLog for Fjall {
    fn append(&self, (entity, payload): Item<'_>) -> Outcome<EventRef> {
        let event = join(entity, self.counters.take(entity)?);
        self.events.insert(event.to_be_bytes(), payload)?;
        if self.synced {
            self.database.persist(PersistMode::SyncData)?;
        }
        Ok(event)
    }

    fn append_batch(&self, items: &[Item<'_>], events: &mut Vec<EventRef>) -> Outcome {
        let mode = if self.synced { PersistMode::SyncData } else { PersistMode::Buffer };
        let mut batch = self.database.batch().durability(Some(mode));
        for (entity, payload) in items {
            let event = join(*entity, self.counters.take(*entity)?);
            batch.insert(&self.events, event.to_be_bytes(), *payload);
            events.push(event);
        }
        Ok(batch.commit()?)
    }

    fn sync(&self) -> Outcome {
        Ok(self.database.persist(PersistMode::SyncAll)?)
    }

    fn get(&self, event: EventRef, visit: Visit<'_>) -> Outcome {
        visit(&self.events.get(event.to_be_bytes())?.ok_or("no such event")?);
        Ok(())
    }

    fn replay(&self, visit: Visit<'_>) -> Outcome<u64> {
        self.show_all(self.events.iter(), visit)
    }

    fn stream(&self, entity: u64, visit: Visit<'_>) -> Outcome<u64> {
        self.show_all(self.events.prefix(entity.to_be_bytes()), visit)
    }

    fn close(self: Box<Self>) -> Outcome {
        self.sync()
    }
}

impl Fjall {
    fn show_all(&self, found: impl Iterator<Item = fjall::Guard>, visit: Visit<'_>) -> Outcome<u64> {
        let mut count = 0;
        for event in found {
            visit(&event.value()?);
            count += 1;
        }
        Ok(count)
    }
}
