//! raft-engine 0.4: an entity is a raft group, an event its log entry, its number the index from 1. Not valid above 16 threads: two
//! writers of one group may hand in their entries out of order.

use protobuf::well_known_types::BytesValue;
use raft_engine::{Config, Engine, LogBatch, MessageExt, ReadableSize};

use super::{Counters, join, split};
use crate::Outcome;
use crate::log::{EventLog, EventRef, Item, Options, Visit};
use crate::request::Durability;

/// Bytes of the index before the payload.
const INDEX: usize = 8;
/// Entries of one step of a replay.
const STEP: u64 = 1024;
/// A group that has no entries; a write to it makes everything before it durable.
const MARKS: u64 = u64::MAX;

/// An index and a payload in one message of bytes.
#[derive(Clone)]
struct Indexed;

impl MessageExt for Indexed {
    type Entry = BytesValue;

    fn index(entry: &BytesValue) -> u64 {
        entry.value.first_chunk().map_or(0, |index| u64::from_be_bytes(*index))
    }
}

/// An engine.
pub(crate) struct RaftEngine {
    engine: Engine,
    counters: Counters,
    entities: u64,
    synced: bool,
}

impl RaftEngine {
    /// Opens it, and finds where each entity stands.
    pub(crate) fn open(options: &Options<'_>) -> Outcome<RaftEngine> {
        let dir = options.dir.to_string_lossy().into_owned();
        // The payloads cannot be compressed.
        let config = Config { dir, batch_compression_threshold: ReadableSize(0), ..Config::default() };
        let engine = Engine::open(config)?;
        let next = |entity| Ok(engine.last_index(group(entity)).unwrap_or(0) + 1);
        let counters = Counters::restore(options.entities, next)?;
        let synced = options.durability == Durability::Synced;
        Ok(RaftEngine { engine, counters, entities: options.entities, synced })
    }
}

/// Groups are counted from 1.
fn group(entity: u64) -> u64 {
    entity + 1
}

impl EventLog for RaftEngine {
    fn append(&self, item: Item<'_>) -> Outcome<EventRef> {
        let mut event = Vec::with_capacity(1);
        self.append_batch(&[item], &mut event)?;
        event.pop().ok_or_else(|| "one event was appended".into())
    }

    fn append_batch(&self, items: &[Item<'_>], events: &mut Vec<EventRef>) -> Outcome {
        let mut batch = LogBatch::with_capacity(items.len());
        for (entity, payload) in items {
            let index = self.counters.take(*entity)?;
            let mut entry = BytesValue::new();
            entry.set_value([&index.to_be_bytes()[..], payload].concat());
            batch.add_entries::<Indexed>(group(*entity), &[entry])?;
            events.push(join(*entity, index));
        }
        self.engine.write(&mut batch, self.synced)?;
        Ok(())
    }

    fn sync(&self) -> Outcome {
        // `Engine::sync` does nothing when nothing is written with it.
        let mut batch = LogBatch::with_capacity(1);
        batch.put(MARKS, b"sync".to_vec(), vec![1])?;
        self.engine.write(&mut batch, true)?;
        Ok(())
    }

    fn get(&self, event: EventRef, visit: Visit<'_>) -> Outcome {
        let (entity, index) = split(event);
        let entry = self.engine.get_entry::<Indexed>(group(entity), index)?.ok_or("no such event")?;
        visit(&entry.value[INDEX..]);
        Ok(())
    }

    fn replay(&self, visit: Visit<'_>) -> Outcome<u64> {
        (0..self.entities).try_fold(0, |count, entity| Ok(count + self.stream(entity, visit)?))
    }

    fn stream(&self, entity: u64, visit: Visit<'_>) -> Outcome<u64> {
        let group = group(entity);
        let (Some(first), Some(last)) = (self.engine.first_index(group), self.engine.last_index(group)) else {
            return Ok(0);
        };
        let (mut at, mut step, mut count) = (first, Vec::new(), 0);
        while at <= last {
            let end = (at + STEP).min(last + 1);
            step.clear();
            self.engine.fetch_entries_to::<Indexed>(group, at, end, None, &mut step)?;
            for entry in &step {
                visit(&entry.value[INDEX..]);
            }
            count += step.len() as u64;
            at = end;
        }
        Ok(count)
    }

    fn close(self: Box<Self>) -> Outcome {
        self.sync()
    }
}
