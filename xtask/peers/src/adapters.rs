//! The adapters: one file a peer, opened by name.
//!
//! Invariant: each is used as its own documentation says for the durability that is asked; what a log leaves to its caller, like
//! numbering the events of an entity, its adapter does.

mod batpak;
mod fjall;
mod floor;
mod okaywal;
mod published;
mod raft_engine;
mod redb;
mod sealing;
mod sqlite;

use std::sync::atomic::{AtomicU64, Ordering};

use crate::Outcome;
use crate::log::{EventLog, EventRef, Options};
use floor::Kind;

pub(crate) use sealing::{Aead, RingAead, Seal};

/// Opens the log of an adapter.
///
/// # Errors
///
/// For a name that no adapter has, and when the log does not open.
pub(crate) fn open(name: &str, options: &Options<'_>) -> Outcome<Box<dyn EventLog>> {
    Ok(match name {
        "floor" => Box::new(floor::Floor::open(options, Kind::Growing)?),
        "floor-written" => Box::new(floor::Floor::open(options, Kind::Written)?),
        "floor-buffer" => Box::new(floor::Floor::open(options, Kind::Buffer)?),
        "floor-ring" => Box::new(floor::Floor::open(options, Kind::Sealed(Aead::Ring))?),
        "floor-chacha" => Box::new(floor::Floor::open(options, Kind::Sealed(Aead::Portable))?),
        "batpak" => Box::new(batpak::Batpak::open(options, batpak::Kind::Sealed)?),
        "batpak-plain" => Box::new(batpak::Batpak::open(options, batpak::Kind::Plain)?),
        "published" => Box::new(published::Published::open(options, published::Kind::Plain)?),
        "published-group" => Box::new(published::Published::open(options, published::Kind::Group)?),
        "published-sealed" => Box::new(published::Published::open(options, published::Kind::Sealed)?),
        "fjall" => Box::new(fjall::Fjall::open(options)?),
        "redb" => Box::new(redb::Redb::open(options)?),
        "raft-engine" => Box::new(raft_engine::RaftEngine::open(options)?),
        "okaywal" => Box::new(okaywal::OkayWal::open(options)?),
        "sqlite" => Box::new(sqlite::Sqlite::open(options)?),
        unknown => return Err(format!("{unknown} is no adapter").into()),
    })
}

/// The number of the next event of each entity, for peers whose keys their caller makes.
#[derive(Debug)]
struct Counters(Vec<AtomicU64>);

impl Counters {
    /// Starts each where the log says it stands.
    fn restore(entities: u64, mut next: impl FnMut(u64) -> Outcome<u64>) -> Outcome<Counters> {
        (0..entities).map(|entity| next(entity).map(AtomicU64::new)).collect::<Outcome<_>>().map(Counters)
    }

    /// Takes the next number of an entity.
    fn take(&self, entity: u64) -> Outcome<u64> {
        let counter =
            self.0.get(entity as usize).ok_or("a peer with counters takes no entities beyond those it has")?;
        Ok(counter.fetch_add(1, Ordering::Relaxed))
    }
}

/// An entity and the number of its event, as the reference of the event.
fn join(entity: u64, number: u64) -> EventRef {
    EventRef::from(entity) << 64 | EventRef::from(number)
}

/// The entity and the number in a reference.
fn split(event: EventRef) -> (u64, u64) {
    ((event >> 64) as u64, event as u64)
}
