//! The store of this repository, through its public interface, with its defaults.
//!
//! Invariant: nothing is set that a caller would not set: encryption, which events share a key, and durability.

use std::ops::{ControlFlow, Range};

use batpak_store::{
    Config, Coordinate, Durability as Promise, Encryption, EventId, EventKind, Granularity, Local, NewEvent, Query,
    Selector, Store, VerifyOptions,
};

use crate::Outcome;
use crate::log::{EventLog, EventRef, Item, Options, Visit};
use crate::request::{Durability, Keys};

/// 13 bytes, as the names of entities have them below a million.
const SCOPE: &str = "scope-0000001";

/// Whether payloads are sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// As it is by default.
    Sealed,
    /// Hashed and chained only.
    Plain,
}

/// A store.
pub(crate) struct Batpak {
    store: Store,
    kind: EventKind,
    /// The coordinates that the caller has at hand, and the number of the first.
    coordinates: Vec<Coordinate>,
    first: u64,
}

impl Batpak {
    /// Opens the store, or creates it in an empty folder.
    pub(crate) fn open(options: &Options<'_>, kind: Kind) -> Outcome<Batpak> {
        let encryption = match kind {
            Kind::Sealed => Encryption::sealed(Local::new()),
            Kind::Plain => Encryption::none(),
        };
        let durability = match options.durability {
            Durability::Synced => Promise::Synced,
            Durability::Buffered => Promise::Buffered,
            Durability::Deferred => Promise::Deferred,
        };
        let granularity = match options.keys {
            Keys::Entity => Granularity::Entity,
            Keys::One => Granularity::Scope,
        };
        let config = Config::new(encryption).durability(durability).granularity(granularity);
        let is_new = std::fs::read_dir(options.dir)?.next().is_none();
        let store = if is_new { Store::create(options.dir, config)? } else { Store::open(options.dir, config)? };
        Ok(Batpak { store, kind: EventKind::new(1, 1)?, coordinates: Vec::new(), first: 0 })
    }

    fn event<'a>(&self, (entity, payload): Item<'a>) -> Outcome<NewEvent<'a>> {
        let at_hand = entity.checked_sub(self.first).and_then(|at| self.coordinates.get(at as usize));
        let coordinate = at_hand.ok_or("the entity was not made ready")?;
        Ok(NewEvent::new(coordinate.clone(), self.kind, payload))
    }

    /// Shows the payloads of a query's events.
    fn show(&self, query: &Query, visit: Visit<'_>) -> Outcome<u64> {
        let mut count = 0;
        let ended = self.store.replay(query, |event| {
            let Some(payload) = event.payload().open() else { return ControlFlow::Break(()) };
            visit(payload);
            count += 1;
            ControlFlow::Continue(())
        })?;
        if ended.is_break() { Err("a payload does not open".into()) } else { Ok(count) }
    }
}

fn name(entity: u64) -> String {
    format!("entity-{entity:06}")
}

fn reference(id: EventId) -> EventRef {
    EventRef::from_le_bytes(*id.as_bytes())
}

impl EventLog for Batpak {
    fn prepare(&mut self, entities: Range<u64>) {
        self.first = entities.start;
        self.coordinates = entities.filter_map(|entity| Coordinate::new(&name(entity), SCOPE).ok()).collect();
    }

    fn append(&self, item: Item<'_>) -> Outcome<EventRef> {
        Ok(reference(self.store.append(&self.event(item)?)?.id))
    }

    fn append_batch(&self, items: &[Item<'_>], events: &mut Vec<EventRef>) -> Outcome {
        let made: Vec<_> = items.iter().map(|item| self.event(*item)).collect::<Outcome<_>>()?;
        events.extend(self.store.append_batch(&made)?.iter().map(|receipt| reference(receipt.id)));
        Ok(())
    }

    fn sync(&self) -> Outcome {
        Ok(self.store.sync()?)
    }

    fn get(&self, event: EventRef, visit: Visit<'_>) -> Outcome {
        let found = self.store.get(EventId::from_bytes(event.to_le_bytes()))?.ok_or("no such event")?;
        visit(found.payload.open().ok_or("the payload does not open")?);
        Ok(())
    }

    fn replay(&self, visit: Visit<'_>) -> Outcome<u64> {
        self.show(&Query::all(), visit)
    }

    fn stream(&self, entity: u64, visit: Visit<'_>) -> Outcome<u64> {
        self.show(&Query::all().entity(name(entity)), visit)
    }

    fn verify(&self) -> Outcome<u64> {
        let report = self.store.verify(VerifyOptions::without_keys(), &mut |_| {})?;
        if report.is_sound() { Ok(report.events) } else { Err("the log is not sound".into()) }
    }

    fn shred(&self, entities: &[u64]) -> Outcome {
        let selectors: Vec<_> = entities.iter().map(|entity| Selector::Entity(name(*entity))).collect();
        self.store.shred(&selectors, 1, "")?;
        Ok(())
    }

    fn close(self: Box<Self>) -> Outcome {
        Ok(self.store.close()?)
    }
}
