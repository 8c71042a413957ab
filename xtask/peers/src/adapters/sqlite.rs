//! SQLite in WAL mode: one connection behind a lock, a table of events with an index over entity and number. Synced is
//! `synchronous=FULL`, all else NORMAL.

use std::sync::{Mutex, MutexGuard};

use rusqlite::{Connection, params};

use super::Counters;
use crate::Outcome;
use crate::log::{EventLog, EventRef, Item, Options, Visit};
use crate::request::Durability;

const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS events(
    id INTEGER PRIMARY KEY, entity INTEGER NOT NULL, number INTEGER NOT NULL, payload BLOB NOT NULL,
    UNIQUE(entity, number));";
const INSERT: &str = "INSERT INTO events(entity, number, payload) VALUES (?1, ?2, ?3)";
const LAST: &str = "SELECT COALESCE(MAX(number) + 1, 0) FROM events WHERE entity = ?1";
const ALL: &str = "SELECT payload FROM events ORDER BY id";
const OF_ENTITY: &str = "SELECT payload FROM events WHERE entity = ?1 ORDER BY number";
const ONE: &str = "SELECT payload FROM events WHERE id = ?1";

/// A database.
pub(crate) struct Sqlite {
    connection: Mutex<Connection>,
    counters: Counters,
}

impl Sqlite {
    /// Opens it with a cache of 256 MiB, and finds where each entity stands.
    pub(crate) fn open(options: &Options<'_>) -> Outcome<Sqlite> {
        let connection = Connection::open(options.dir.join("events.db"))?;
        let level = if options.durability == Durability::Synced { "FULL" } else { "NORMAL" };
        connection.execute_batch(&format!(
            "PRAGMA journal_mode=WAL; PRAGMA synchronous={level}; PRAGMA cache_size=-262144; {SCHEMA}"
        ))?;
        let counters = Counters::restore(options.entities, |entity| {
            let next: i64 = connection.query_row(LAST, [entity as i64], |row| row.get(0))?;
            Ok(next as u64)
        })?;
        Ok(Sqlite { connection: Mutex::new(connection), counters })
    }

    fn connection(&self) -> Outcome<MutexGuard<'_, Connection>> {
        self.connection.lock().map_err(|_| "a thread panicked with the lock".into())
    }

    fn show_all(&self, query: &str, parameters: impl rusqlite::Params, visit: Visit<'_>) -> Outcome<u64> {
        let connection = self.connection()?;
        let mut statement = connection.prepare_cached(query)?;
        let (mut rows, mut count) = (statement.query(parameters)?, 0);
        while let Some(row) = rows.next()? {
            visit(row.get_ref(0)?.as_blob()?);
            count += 1;
        }
        Ok(count)
    }
}

impl EventLog for Sqlite {
    fn append(&self, (entity, payload): Item<'_>) -> Outcome<EventRef> {
        let connection = self.connection()?;
        let number = self.counters.take(entity)? as i64;
        connection.prepare_cached(INSERT)?.execute(params![entity as i64, number, payload])?;
        Ok(connection.last_insert_rowid() as EventRef)
    }

    fn append_batch(&self, items: &[Item<'_>], events: &mut Vec<EventRef>) -> Outcome {
        let mut connection = self.connection()?;
        let transaction = connection.transaction()?;
        {
            let mut statement = transaction.prepare_cached(INSERT)?;
            for (entity, payload) in items {
                let number = self.counters.take(*entity)? as i64;
                events.push(statement.insert(params![*entity as i64, number, payload])? as EventRef);
            }
        }
        Ok(transaction.commit()?)
    }

    fn sync(&self) -> Outcome {
        Ok(self.connection()?.query_row("PRAGMA wal_checkpoint(FULL)", [], |_| Ok(()))?)
    }

    fn get(&self, event: EventRef, visit: Visit<'_>) -> Outcome {
        match self.show_all(ONE, [event as i64], visit)? {
            0 => Err("no such event".into()),
            _ => Ok(()),
        }
    }

    fn replay(&self, visit: Visit<'_>) -> Outcome<u64> {
        self.show_all(ALL, [], visit)
    }

    fn stream(&self, entity: u64, visit: Visit<'_>) -> Outcome<u64> {
        self.show_all(OF_ENTITY, [entity as i64], visit)
    }

    fn close(self: Box<Self>) -> Outcome {
        let connection = self.connection.into_inner().map_err(|_| "a thread panicked with the lock")?;
        connection.close().map_err(|(_, why)| why.into())
    }
}
