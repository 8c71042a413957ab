//! What the store must look up without reading the log: ids, positions, entity streams, and the current key of a key scope.
//!
//! The events of the active segment are indexed in memory, a part for each piece of it, those of rolled segments by files that are answered from memory maps. Ids
//! that are ordered by time tell their file; any other lookup asks the files from the newest to the oldest, and a key that is not there
//! is known by two cache misses a file. So that files stay few, four that follow one another are merged into one, up to 64 segments:
//! n segments have at most 9 + n / 64 files.
//!
//! Why a merge, and not a directory or filters in front of one file a segment: either of them would be more bytes (about four for each
//! key of each segment, or one and a half), would have to be kept in memory or in a file that changes with every roll, and would still
//! leave an open to open every file. A merged file has no more bytes than those it is made of (a segment's tables tell about as many bits
//! of a hash as the merged one needs, so that no frame is read for it), is written once and named at once, and tells the open what the
//! headers and footers of its segments say, so that those need not be opened either. Its price is that every byte of an index is
//! written again three times, less than a tenth of what the log itself takes, by the thread that makes the files.
//!
//! Invariants: an index is derived. It can be thrown away and is built again from the log; nothing is in it that the log does
//! not say. It is changed only in position order, at its end. Its memory is bounded by the size of a segment: the parts of the active
//! segment's pieces stay in memory until it is rolled, whether or not they have files for the next open.

mod chain;
mod column;
mod ended;
mod id_hash;
mod id_table;
mod key_hash;
mod matching;
mod memory;
mod names;
mod naming;
mod part;
mod postings;
mod seen;
mod sparse;
mod stand;
#[cfg(test)]
mod tests;
mod times;

use std::{ops::Range, sync::Arc};

use batpak_format::{Cause, ChainHash, EventId, EventKind, KeyId, StoreId, Timestamp};
use batpak_keyset::KeyScope;

use crate::{ReadError, condition::QueryItem};

pub(crate) use ended::{Ended, FILES_MAX, Part, merge};
pub(crate) use id_hash::IdHash;
use key_hash::KeyHash;
pub(crate) use memory::{MemoryPart, Room};
pub(crate) use part::{INDEX_DIR, LastIntent, MappedPart, Shelf, ShredPlaces, Source, Span};
use part::{Key, is_time_ordered};
pub(crate) use stand::Stand;
pub(crate) use times::Times;

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
    pub revision: u64,
    pub id: EventId,
    pub address: Address,
    /// Bytes of its frame.
    pub len: u32,
    pub entity: &'a str,
    pub scope: &'a str,
    pub kind: EventKind,
    pub correlation: Option<EventId>,
    pub causes: &'a [Cause],
    pub tags: &'a [&'a str],
    pub time: Timestamp,
    pub chain_hash: ChainHash,
    /// The key of a sealed event.
    pub key_id: Option<KeyId>,
    /// Its key scope, where later events may share the key.
    pub key_scope: Option<&'a KeyScope>,
}

/// Takes a key scope with its keys, each with the position of its first event.
type TakeKeys<'t> = &'t mut dyn FnMut(&KeyScope, Vec<(KeyId, u64)>);

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
#[derive(Debug)]
pub(crate) struct LogIndex {
    pub(crate) ended: Ended,
    /// The events that are placed last, in one segment.
    pub(crate) active: MemoryPart,
    /// What the next part is made with.
    room: Room,
}

impl LogIndex {
    /// The index of an empty log.
    pub(crate) fn new(store: StoreId, segment: u64) -> Self {
        let (ended, room) = (Ended::new(store), Room::default());
        Self { ended, active: MemoryPart::new(segment, 0, room), room }
    }

    /// Returns the position of an event.
    pub(crate) fn position_of(&self, id: &EventId) -> Result<Option<u64>, ReadError> {
        self.position_of_hashed(id, IdHash::of(id))
    }

    /// As [`LogIndex::position_of`], with the id's hash at hand.
    pub(crate) fn position_of_hashed(&self, id: &EventId, hash: IdHash) -> Result<Option<u64>, ReadError> {
        match self.active.position_of_hashed(id, hash) {
            None => self.ended.position_of_hashed(id, hash),
            found => Ok(found),
        }
    }

    /// Returns the id of the event at a position.
    pub(crate) fn id_at(&self, position: u64) -> Result<Option<EventId>, ReadError> {
        match self.active.id_at(position) {
            None => self.ended.id_at(position),
            found => Ok(found),
        }
    }

    /// Returns where the event at a position stands.
    pub(crate) fn address(&self, position: u64) -> Result<Option<Address>, ReadError> {
        match self.active.address(position) {
            None => self.ended.address(position),
            found => Ok(found),
        }
    }

    /// Returns the last event of an entity.
    pub(crate) fn head(&self, entity: &str) -> Result<Option<Head>, ReadError> {
        match self.active.head(entity) {
            None => self.ended.head(entity),
            found => Ok(found),
        }
    }

    /// Sees to it that the entity's head is told from memory.
    pub(crate) fn load_head(&mut self, entity: &str) -> Result<(), ReadError> {
        if !self.active.recalls(entity) {
            let without = self.active.without_entity(KeyHash::of(entity.as_bytes()));
            if let Some(head) = self.ended.head_without(entity, without)? {
                self.active.note_head(entity, head);
            }
        }
        Ok(())
    }

    /// Returns the last event of an entity whose head was loaded; since then at most one segment was begun, or one part of one.
    pub(crate) fn loaded_head(&mut self, entity: &str) -> Option<Head> {
        self.active.recall_head(entity).or_else(|| self.ended.last_memory()?.head(entity))
    }

    /// The active segment, if no part of it in memory has a key scope.
    pub(crate) fn without_scope(&self, scope: &KeyScope) -> Option<u64> {
        self.active.without_scope(KeyHash::of(scope.as_bytes()))
    }

    /// Returns the position of an entity's event by its revision.
    pub(crate) fn position_at(&self, entity: &str, revision: u64) -> Result<Option<u64>, ReadError> {
        match self.active.position_at(entity, revision) {
            None => self.ended.position_at(entity, revision),
            found => Ok(found),
        }
    }

    /// Goes through the events of a range of positions, in order.
    pub(crate) fn walk(&self, positions: Range<u64>, take: &mut dyn FnMut(Walked<'_>)) -> Result<(), ReadError> {
        self.ended.walk(positions.clone(), take)?;
        self.active.walk(positions, take);
        Ok(())
    }

    /// Returns the last position after `after` at which an event matches.
    pub(crate) fn newest_match(&self, item: &QueryItem, after: Option<u64>) -> Result<Option<u64>, ReadError> {
        let from = after.map_or(0, |after| after.saturating_add(1));
        match self.active.newest_match(item, from) {
            None => self.ended.newest_match(item, from),
            found => Ok(found),
        }
    }

    /// Returns how many events there are; their positions are dense from 0.
    pub(crate) const fn len(&self) -> u64 {
        self.active.next()
    }

    /// Returns the segment of the last event before a position; 0 when there is none.
    pub(crate) fn segment_of(&self, next: u64) -> u64 {
        match next.checked_sub(1) {
            Some(last) if last >= self.active.first() => self.active.segment(),
            Some(last) => self.ended.segment_of(last),
            None => 0,
        }
    }

    /// Returns how many entities there are.
    pub(crate) fn entities(&self) -> u64 {
        self.ended.new_entities() + self.active.new_entities()
    }

    /// Returns the bytes of memory that it holds, allocations counted at their full size.
    pub(crate) fn bytes(&self) -> usize {
        self.ended.bytes() + self.active.bytes()
    }

    /// Adds the next event, in the segment of the last one or in the next segment.
    pub(crate) fn push(&mut self, entry: &Entry<'_>) {
        self.push_hashed(entry, IdHash::of(&entry.id));
    }

    /// As [`LogIndex::push`], with the hash of the event's id at hand.
    pub(crate) fn push_hashed(&mut self, entry: &Entry<'_>, hash: IdHash) {
        if entry.address.segment != self.active.segment() {
            self.begin(entry.address.segment);
        }
        self.active.push_hashed(entry, hash);
    }

    /// Goes on in a segment.
    pub(crate) fn begin(&mut self, segment: u64) {
        if self.active.is_empty() {
            // The heads that were loaded into it are kept.
            self.active.move_to(segment);
            return;
        }
        // The last piece of a segment says little about the next one.
        self.room = self.room.or_more(self.active.room());
        self.renew(segment);
    }

    fn renew(&mut self, segment: u64) {
        let mut fresh = MemoryPart::new(segment, self.active.next(), self.room);
        if segment == self.active.segment() {
            fresh.take_seen(&mut self.active);
        } else {
            fresh.note_seen();
        }
        let ended = std::mem::replace(&mut self.active, fresh);
        self.ended.push(Arc::new(Part::Memory(Box::new(ended))));
    }

    /// Goes on in the same segment with a part of its own, once the active one has frames of so many bytes. Returns the position where
    /// that part ends.
    pub(crate) fn cut(&mut self, bytes: u64) -> Option<u64> {
        if self.active.frame_bytes() < bytes.max(1) {
            return None;
        }
        self.room = self.active.room();
        self.renew(self.active.segment());
        Some(self.active.first())
    }

    /// The parts in memory of the active segment that others stand behind, in order.
    pub(crate) fn pieces(&self) -> &[Arc<Part>] {
        let parts = self.ended.parts();
        let is_piece = |part: &Arc<Part>| part.memory().is_some_and(|part| part.segment() == self.active.segment());
        let count = parts.iter().rev().take_while(|part| is_piece(part)).count();
        &parts[parts.len() - count..]
    }

    /// The parts in memory of the first segment that has no file and has ended, all of them, if an event behind it is written.
    pub(crate) fn unfiled(&self, written: u64) -> Option<Vec<Arc<Part>>> {
        self.ended.unfiled(written).filter(|parts| {
            let of_active = |part: &MemoryPart| part.segment() == self.active.segment();
            !parts.first().and_then(|part| part.memory()).is_some_and(of_active)
        })
    }

    /// Files that are to be merged; `written` is one past the last position that is with the operating system.
    pub(crate) fn mergeable(&self, written: u64) -> Option<Vec<Arc<Part>>> {
        self.ended.mergeable(self.active.segment(), written)
    }

    /// Puts a file in the place of the active part, or behind an empty one, and goes on behind it in the same segment.
    pub(crate) fn end(&mut self, part: MappedPart) {
        let (segment, next) = (part.head().last_segment, part.head().next());
        self.ended.push(Arc::new(Part::Mapped(Box::new(part))));
        self.active = MemoryPart::new(segment, next, Default::default());
    }

    /// Takes the last event back; `previous` is the chain hash of the entity's event before it. It is one that was not written: so
    /// its part is in memory. With the first event of a part the part goes, and the one before it goes on where it was: the index is as
    /// it was before the event.
    pub(crate) fn pop(&mut self, previous: ChainHash) {
        self.active.pop(previous);
        if self.active.is_empty()
            && let Some(mut before) = self.ended.pop_memory()
        {
            if before.segment() == self.active.segment() {
                before.take_seen(&mut self.active);
            }
            self.active = *before;
        }
    }
}
