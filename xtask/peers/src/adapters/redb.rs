//! redb 4: one table, the key an entity and the number of its event; one write transaction an append.

use redb::{Database, Durability as Promise, ReadableDatabase, ReadableTable, TableDefinition};

use super::{Counters, join, split};
use crate::Outcome;
use crate::log::{EventLog, EventRef, Item, Options, Visit};
use crate::request::Durability;

const EVENTS: TableDefinition<'_, (u64, u64), &[u8]> = TableDefinition::new("events");

/// A database.
pub(crate) struct Redb {
    database: Database,
    counters: Counters,
    promise: Promise,
}

impl Redb {
    /// Opens it, and finds where each entity stands.
    pub(crate) fn open(options: &Options<'_>) -> Outcome<Redb> {
        let database = Database::create(options.dir.join("events.redb"))?;
        let transaction = database.begin_write()?;
        let counters = {
            let table = transaction.open_table(EVENTS)?;
            Counters::restore(options.entities, |entity| {
                let last = table.range((entity, 0)..=(entity, u64::MAX))?.next_back();
                Ok(last.transpose()?.map_or(0, |(key, _)| key.value().1 + 1))
            })?
        };
        transaction.commit()?;
        let synced = options.durability == Durability::Synced;
        let promise = if synced { Promise::Immediate } else { Promise::None };
        Ok(Redb { database, counters, promise })
    }
}

impl EventLog for Redb {
    fn append(&self, item: Item<'_>) -> Outcome<EventRef> {
        let mut event = Vec::with_capacity(1);
        self.append_batch(&[item], &mut event)?;
        event.pop().ok_or_else(|| "one event was appended".into())
    }

    fn append_batch(&self, items: &[Item<'_>], events: &mut Vec<EventRef>) -> Outcome {
        let mut transaction = self.database.begin_write()?;
        transaction.set_durability(self.promise)?;
        {
            let mut table = transaction.open_table(EVENTS)?;
            for (entity, payload) in items {
                let number = self.counters.take(*entity)?;
                table.insert((*entity, number), *payload)?;
                events.push(join(*entity, number));
            }
        }
        Ok(transaction.commit()?)
    }

    fn sync(&self) -> Outcome {
        let mut transaction = self.database.begin_write()?;
        transaction.set_durability(Promise::Immediate)?;
        Ok(transaction.commit()?)
    }

    fn get(&self, event: EventRef, visit: Visit<'_>) -> Outcome {
        let table = self.database.begin_read()?.open_table(EVENTS)?;
        visit(table.get(split(event))?.ok_or("no such event")?.value());
        Ok(())
    }

    fn replay(&self, visit: Visit<'_>) -> Outcome<u64> {
        self.show_all((0, 0), (u64::MAX, u64::MAX), visit)
    }

    fn stream(&self, entity: u64, visit: Visit<'_>) -> Outcome<u64> {
        self.show_all((entity, 0), (entity, u64::MAX), visit)
    }

    fn close(self: Box<Self>) -> Outcome {
        self.sync()
    }
}

impl Redb {
    fn show_all(&self, from: (u64, u64), to: (u64, u64), visit: Visit<'_>) -> Outcome<u64> {
        let table = self.database.begin_read()?.open_table(EVENTS)?;
        let mut count = 0;
        for event in table.range(from..=to)? {
            visit(event?.1.value());
            count += 1;
        }
        Ok(count)
    }
}
