//! The published crate `batpak` 0.10: another code base, which this one shares only its name with.
//!
//! It acknowledges an append before its flush; so a synced append asks for its gate of durability, and the flush after every event.
//! Payloads travel as MessagePack byte strings, which is what it stores.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use published::id::IdempotencyKey;
use published::prelude::*;
use published::store::{
    BatchAppendItem, CausationRef, DeliveryPayload, DurabilityGate, KeyScopeGranularity, WatermarkKind,
};
use serde::{Serialize, Serializer};

use crate::Outcome;
use crate::log::{EventLog, EventRef, Item, Options, Visit};
use crate::request::{Durability, Keys};

const EVENT: EventKind = EventKind::custom(0xF, 1);
/// How long a synced append may wait for its flush.
const GATE: Duration = Duration::from_secs(30);
/// Events of one page of a replay.
const PAGE: usize = 4096;

/// How it is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// As it is by default.
    Plain,
    /// With groups of up to 64 appends a flush, for which it asks for idempotency keys.
    Group,
    /// With its payload encryption.
    Sealed,
}

/// A store of it.
pub(crate) struct Published {
    store: Store<Open>,
    kind: Kind,
    gate: Option<DurabilityGate>,
    coordinates: Vec<Coordinate>,
    first: u64,
    appended: AtomicU64,
}

/// Bytes, and not a sequence of numbers.
struct Bytes<'a>(&'a [u8]);

impl Serialize for Bytes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

impl Published {
    /// Opens it.
    pub(crate) fn open(options: &Options<'_>, kind: Kind) -> Outcome<Published> {
        let synced = options.durability == Durability::Synced;
        let events_a_flush = if synced { 1 } else { u32::MAX };
        let mut config =
            StoreConfig::new(options.dir).with_sync_mode(SyncMode::SyncData).with_sync_every_n_events(events_a_flush);
        if kind == Kind::Group {
            config = config.with_group_commit_max_batch(64);
        }
        if kind == Kind::Sealed {
            config = config.with_payload_encryption(match options.keys {
                Keys::Entity => KeyScopeGranularity::PerEntity,
                Keys::One => KeyScopeGranularity::PerCategory,
            });
        }
        let gate = synced.then(|| DurabilityGate::new(WatermarkKind::Durable, GATE));
        let store = Store::open(config)?;
        Ok(Published { store, kind, gate, coordinates: Vec::new(), first: 0, appended: AtomicU64::new(0) })
    }

    fn coordinate(&self, entity: u64) -> Outcome<&Coordinate> {
        let at_hand = entity.checked_sub(self.first).and_then(|at| self.coordinates.get(at as usize));
        Ok(at_hand.ok_or("the entity was not made ready")?)
    }

    fn of_one_event(&self) -> AppendOptions {
        let options = AppendOptions::new();
        if self.kind != Kind::Group {
            return options;
        }
        let number = self.appended.fetch_add(1, Ordering::Relaxed);
        options.with_idempotency(IdempotencyKey::from(u128::from(number) + 1))
    }

    fn gated(&self, options: AppendOptions) -> AppendOptions {
        match self.gate {
            Some(gate) => options.with_gate(gate),
            None => options,
        }
    }

    fn read(&self, id: EventId) -> Outcome<Vec<u8>> {
        if self.kind != Kind::Sealed {
            return Ok(self.store.read_raw(id)?.event.payload);
        }
        match self.store.read_delivery_payload(id)? {
            DeliveryPayload::Readable(found) => Ok(found.event.payload),
            _ => Err("the payload does not open".into()),
        }
    }
}

/// A MessagePack byte string.
fn encoded(payload: &[u8]) -> Vec<u8> {
    let bytes = payload.len() as u32;
    let mut out = Vec::with_capacity(payload.len() + 5);
    match bytes {
        0..0x100 => out.extend([0xC4, bytes as u8]),
        0x100..0x1_0000 => {
            out.push(0xC5);
            out.extend((bytes as u16).to_be_bytes());
        }
        _ => {
            out.push(0xC6);
            out.extend(bytes.to_be_bytes());
        }
    }
    out.extend_from_slice(payload);
    out
}

/// What is behind the head of a MessagePack byte string.
fn decoded(stored: &[u8]) -> &[u8] {
    match stored {
        [0xC4, _, payload @ ..] | [0xC5, _, _, payload @ ..] | [0xC6, _, _, _, _, payload @ ..] => payload,
        other => other,
    }
}

impl EventLog for Published {
    fn prepare(&mut self, entities: Range<u64>) {
        self.first = entities.start;
        let named = entities.filter_map(|entity| Coordinate::new(format!("entity-{entity:06}"), "scope-0000001").ok());
        self.coordinates = named.collect();
    }

    fn append(&self, (entity, payload): Item<'_>) -> Outcome<EventRef> {
        let options = self.gated(self.of_one_event());
        let receipt = self.store.append_with_options(self.coordinate(entity)?, EVENT, &Bytes(payload), options)?;
        Ok(receipt.event_id.into())
    }

    fn append_batch(&self, items: &[Item<'_>], events: &mut Vec<EventRef>) -> Outcome {
        let item = |(entity, payload): &Item<'_>| -> Outcome<BatchAppendItem> {
            let coordinate = self.coordinate(*entity)?.clone();
            let (options, cause) = (self.of_one_event(), CausationRef::None);
            Ok(BatchAppendItem::from_msgpack_bytes(coordinate, EVENT, encoded(payload), options, cause))
        };
        // It takes 256 items at once by default.
        for part in items.chunks(200) {
            let made = part.iter().map(item).collect::<Outcome<_>>()?;
            let receipts = self.store.append_batch_with_options(made, self.gated(AppendOptions::new()))?;
            events.extend(receipts.iter().map(|receipt| EventRef::from(receipt.event_id)));
        }
        Ok(())
    }

    fn sync(&self) -> Outcome {
        Ok(self.store.sync()?)
    }

    fn get(&self, event: EventRef, visit: Visit<'_>) -> Outcome {
        visit(decoded(&self.read(EventId::from(event))?));
        Ok(())
    }

    fn replay(&self, visit: Visit<'_>) -> Outcome<u64> {
        // Its pages are fast for a filter that lets every kind pass; its own events are left out here.
        let all = Region::all().with_fact(KindFilter::Any);
        let (mut after, mut count) = (None, 0);
        loop {
            let page = self.store.query_entries_after(&all, after, PAGE);
            let Some(last) = page.last() else { return Ok(count) };
            after = Some(last.global_sequence());
            for entry in page.iter().filter(|entry| entry.event_kind() == EVENT) {
                visit(decoded(&self.read(entry.event_id())?));
                count += 1;
            }
        }
    }

    fn close(self: Box<Self>) -> Outcome {
        self.store.close()?;
        Ok(())
    }
}
