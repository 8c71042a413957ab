//! What the store must look up without reading the log: ids, positions, entity streams, and the current key of a key scope.
//!
//! Invariant: an index is derived. It can be thrown away and is built again from the log; nothing is in it that the log does
//! not say. It is changed only in position order, at its end.

mod chain;
mod column;
mod matching;
mod memory;
mod names;
mod postings;
mod sparse;

use std::{ops::Range, sync::Arc};

use batpak_format::{Cause, ChainHash, EventId, EventKind, KeyId};
use batpak_keyset::KeyScope;

pub(crate) use memory::MemoryIndex;

/// Where a frame stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    /// Segment number.
    pub segment: u64,
    /// Byte offset of the frame in its segment.
    pub offset: u64,
}

/// The last event of an entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// Its revision.
    pub revision: u64,
    /// Its position.
    pub position: u64,
    /// The entity's chain up to and with it.
    pub chain_hash: ChainHash,
}

/// One event as the index takes it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry<'a> {
    pub position: u64,
    pub id: EventId,
    pub address: Address,
    pub entity: &'a str,
    pub scope: &'a str,
    pub kind: EventKind,
    pub correlation: Option<EventId>,
    pub causes: &'a [Cause],
    pub tags: &'a [&'a str],
    pub chain_hash: ChainHash,
    /// Key scope and key id of a sealed event whose key later events may share.
    pub key: Option<(&'a KeyScope, KeyId)>,
}

/// One event as a walk shows it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Walked<'a> {
    pub position: u64,
    pub id: EventId,
    pub entity: &'a str,
    pub scope: &'a str,
    pub kind: EventKind,
}

/// What the causal graph needs of one event.
#[derive(Clone, Debug)]
pub(crate) struct Edges {
    pub position: u64,
    pub id: EventId,
    pub kind: EventKind,
    pub entity: Arc<str>,
    pub scope: Arc<str>,
    pub correlation: Option<EventId>,
    pub causes: Vec<Cause>,
}

/// Lookups over the events that were placed, in position order.
///
/// The implementation here keeps everything in memory, in under 64 bytes an event without tags and causes; one that answers from the footers of rolled
/// segments has the same face.
pub(crate) trait Index: Send + Sync {
    /// Returns the position of an event.
    fn position_of(&self, id: &EventId) -> Option<u64>;
    /// Returns the id of the event at a position.
    fn id_at(&self, position: u64) -> Option<EventId>;
    /// Returns where the event at a position stands.
    fn address(&self, position: u64) -> Option<Address>;
    /// Returns the last event of an entity.
    fn head(&self, entity: &str) -> Option<Head>;
    /// Returns the position of an entity's event by its revision.
    fn position_at(&self, entity: &str, revision: u64) -> Option<u64>;
    /// Returns the key that new events of a key scope are sealed under.
    fn key_of(&self, scope: &KeyScope) -> Option<KeyId>;
    /// Returns the keys of a key scope, each with the position of its first event.
    fn keys_of(&self, scope: &KeyScope) -> Vec<(KeyId, u64)>;
    /// Returns the key scopes that a test picks, each with its keys as `keys_of` gives them.
    fn keys_within(&self, within: &dyn Fn(&KeyScope) -> bool) -> Vec<(KeyScope, Vec<(KeyId, u64)>)>;
    /// Goes through the events of a range of positions, in order.
    fn walk(&self, positions: Range<u64>, take: &mut dyn FnMut(Walked<'_>));
    /// Returns the positions of the events that name an event as a cause, in order.
    fn caused_by(&self, id: &EventId) -> Vec<u64>;
    /// Returns the positions of the events of a correlation, in order.
    fn correlated(&self, id: &EventId) -> Vec<u64>;
    /// Returns what the causal graph needs of the event at a position.
    fn edges(&self, position: u64) -> Option<Edges>;
    /// Tells whether no further event can be taken.
    fn is_full(&self) -> bool;
    /// Returns how many events there are; their positions are dense from 0.
    fn len(&self) -> u64;
    /// Returns how many entities there are.
    fn entities(&self) -> u64;
    /// Returns the bytes of memory that it holds, allocations counted at their full size.
    fn bytes(&self) -> usize;
    /// Adds the next event.
    fn push(&mut self, entry: Entry<'_>);
    /// Takes the last event back; `previous` is the chain hash of the entity's event before it.
    fn pop(&mut self, previous: ChainHash);
}
