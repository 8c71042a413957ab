//! The index in memory of one segment's events, or of a piece of them: columns by position, tables of ids, one entry an entity.
//!
//! Invariant: under 64 bytes an event (id 16, offset 4, entity, scope and kind 10, id table 4 in order of time, else 6 to 12, stream 4 to 8, lists by kind and
//! by scope 4 each), plus about 150 an entity, 8 an event with causes, 25 to 50 a cause, 8 an event with tags, and 12 a tag of it. It
//! grows to one piece's events and no further. What doubles as it grows is made as large as the part before
//! needed it, so that no append waits for a table to be moved.

mod change;
#[cfg(test)]
mod tests;

use std::{
    ops::Range,
    sync::{Arc, OnceLock},
};

use batpak_format::{Cause, ChainHash, EventId, EventKind, KeyId};
use batpak_keyset::KeyScope;
use hashbrown::HashTable;
use smallvec::SmallVec;

use super::{
    Address, Edges, Head, IdHash, KeyHash, ShredPlaces, TakeKeys, Times, Walked, chain::Chain, column::Column,
    id_table::IdTable, matching::Newest, names::Names, postings::Postings, seen::Seen, sparse::Sparse,
};

/// What is kept of each event.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub(super) offset: u32,
    pub(super) stream: u32,
    pub(super) scope: u32,
}

#[derive(Clone, Debug)]
pub(super) struct Stream {
    /// Places in the part of the entity's events here.
    pub(super) positions: Vec<u32>,
    pub(super) chain_hash: ChainHash,
    /// The revision of its first event here.
    pub(super) first_revision: u64,
    /// The position of its last event before these, when it was looked up.
    before: Option<u64>,
    /// The key of its last event here, where others may share it.
    key: Option<KeyId>,
}

/// See the module. Positions are the log's outside, and places in the part inside.
#[derive(Clone, Debug)]
pub(crate) struct MemoryPart {
    pub(super) segment: u64,
    first: u64,
    /// Where the last frame ends, in its segment.
    pub(super) end: u64,
    pub(super) ids: Column<EventId>,
    /// Of the ids that are ordered by time; one that was taken back may stay in it.
    id_range: Option<(EventId, EventId)>,
    times: Option<Times>,
    pub(super) rows: Column<Row>,
    pub(super) kinds: Column<EventKind>,
    by_id: IdTable,
    pub(super) entities: Names,
    /// By the entity's number.
    pub(super) streams: Vec<Stream>,
    pub(super) scopes: Names,
    causes: Sparse<Cause>,
    correlations: Sparse<EventId>,
    pub(super) caused_by: Postings<EventId>,
    pub(super) correlated: Postings<EventId>,
    pub(super) by_kind: Chain<EventKind>,
    pub(super) by_scope: Chain<u32>,
    pub(super) tag_names: Names,
    /// Numbers of the tags that an event has.
    tags: Sparse<u32>,
    pub(super) tagged: Postings<u32>,
    pub(super) keys: HashTable<(KeyScope, NamedKeys)>,
    /// The key scopes of this part and of those before it in the segment.
    keys_seen: Seen,
    key_bytes: usize,
    /// The keys that one event each names.
    own_keys: Vec<OwnKeys>,
    /// Which records of shreds name a key scope, when that was asked of the part: then it stands in the place of a file.
    pub(super) shred_places: OnceLock<ShredPlaces>,
}

/// The keys of a key scope, mostly one, each with the place of its first event.
type NamedKeys = SmallVec<[(KeyId, u32); 1]>;

/// Keys that follow one another, of events that do.
#[derive(Clone, Copy, Debug)]
struct OwnKeys {
    first: u64,
    count: u32,
    place: u32,
}

/// How much room a part is made with.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Room {
    /// That come out of their order.
    other_ids: usize,
    entities: usize,
    keys: usize,
}

impl Room {
    /// The most of both.
    pub(crate) fn or_more(self, other: Self) -> Self {
        Self {
            other_ids: self.other_ids.max(other.other_ids),
            entities: self.entities.max(other.entities),
            keys: self.keys.max(other.keys),
        }
    }
}

impl MemoryPart {
    /// The index of the events from a position on, which stand in a segment.
    pub(crate) fn new(segment: u64, first: u64, room: Room) -> Self {
        Self {
            segment,
            first,
            end: 0,
            ids: Column::new(),
            id_range: None,
            times: None,
            rows: Column::new(),
            kinds: Column::new(),
            by_id: IdTable::with_capacity(room.other_ids),
            entities: Names::with_capacity(room.entities),
            streams: Vec::with_capacity(room.entities),
            scopes: Names::default(),
            causes: Sparse::new(),
            correlations: Sparse::new(),
            caused_by: Postings::new(),
            correlated: Postings::new(),
            by_kind: Chain::new(),
            by_scope: Chain::new(),
            tag_names: Names::default(),
            tags: Sparse::new(),
            tagged: Postings::new(),
            keys: HashTable::with_capacity(room.keys),
            keys_seen: Seen::default(),
            key_bytes: 0,
            own_keys: Vec::new(),
            shred_places: OnceLock::new(),
        }
    }

    /// Begins to note what names and key scopes its segment has.
    pub(super) fn note_seen(&mut self) {
        (self.entities.seen, self.keys_seen) = (Seen::new(), Seen::new());
    }

    /// Takes over what another part of the segment has noted, which then knows nothing.
    pub(super) fn take_seen(&mut self, other: &mut Self) {
        self.entities.seen = std::mem::take(&mut other.entities.seen);
        self.keys_seen = std::mem::take(&mut other.keys_seen);
    }

    /// The segment, if no part of it in memory has the entity.
    pub(super) fn without_entity(&self, hash: KeyHash) -> Option<u64> {
        (!self.entities.seen.may_hold(hash)).then_some(self.segment)
    }

    /// The segment, if no part of it in memory has the key scope.
    pub(super) fn without_scope(&self, hash: KeyHash) -> Option<u64> {
        (!self.keys_seen.may_hold(hash)).then_some(self.segment)
    }

    /// The room that a part like this one needs.
    pub(crate) fn room(&self) -> Room {
        Room { other_ids: self.by_id.others(), entities: self.streams.len(), keys: self.keys.len() }
    }

    pub(crate) const fn segment(&self) -> u64 {
        self.segment
    }

    /// The position of its first event.
    pub(crate) const fn first(&self) -> u64 {
        self.first
    }

    /// One past the position of its last event.
    pub(crate) const fn next(&self) -> u64 {
        self.first + self.ids.len() as u64
    }

    /// The lowest and the highest id that is ordered by time.
    pub(crate) fn id_range(&self) -> Option<(EventId, EventId)> {
        self.id_range
    }

    pub(crate) const fn times(&self) -> Option<Times> {
        self.times
    }

    /// Where the last frame ends, in its segment.
    pub(crate) const fn end(&self) -> u64 {
        self.end
    }

    /// The bytes of the frames, from the first one on to where the last one ends.
    pub(crate) fn frame_bytes(&self) -> u64 {
        self.rows.get(0).map_or(0, |row| self.end - u64::from(row.offset))
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.ids.len() == 0
    }

    fn stream(&self, entity: &str) -> Option<&Stream> {
        self.streams.get(self.entities.find(entity)? as usize)
    }

    /// The keys that events here name, in runs: the first one, and how many.
    pub(crate) fn named(&self) -> Vec<(u64, u32)> {
        let shared = self.keys.iter().flat_map(|(_, keys)| keys).map(|(key_id, _)| (key_id.as_u64(), 1));
        let mut runs: Vec<(u64, u32)> = self.own_keys.iter().map(|run| (run.first, run.count)).chain(shared).collect();
        join_runs(&mut runs);
        runs
    }

    pub(super) fn entity_number(&self, name: &str) -> Option<u32> {
        self.entities.find(name)
    }

    pub(super) fn scope_number(&self, name: &str) -> Option<u32> {
        self.scopes.find(name)
    }

    pub(super) fn tag_number(&self, name: &str) -> Option<u32> {
        self.tag_names.find(name)
    }

    pub(super) fn of_entity(&self, entity: u32) -> Newest<'_> {
        let positions = self.streams.get(entity as usize).map_or(&[][..], |stream| &stream.positions);
        Box::new(positions.iter().rev().copied())
    }

    pub(super) fn of_scope(&self, scope: u32) -> Newest<'_> {
        Box::new(self.by_scope.newest_first(&scope))
    }

    pub(super) fn of_kind(&self, kind: EventKind) -> Newest<'_> {
        Box::new(self.by_kind.newest_first(&kind))
    }

    pub(super) fn with_tag(&self, tag: u32) -> Newest<'_> {
        Box::new(self.tagged.newest_first(&tag))
    }

    pub(super) fn tags_of(&self, place: u32) -> impl Iterator<Item = u32> + '_ {
        self.tags.get(place)
    }

    /// Entity and scope, by their numbers, and kind of an event.
    pub(super) fn facts(&self, place: u32) -> Option<(u32, u32, EventKind)> {
        let row = self.rows.get(place as usize)?;
        Some((row.stream, row.scope, self.kinds.get(place as usize)?))
    }

    pub(crate) fn kind_at(&self, position: u64) -> Option<EventKind> {
        self.kinds.get(self.place(position)?)
    }

    /// The place of a position in the columns.
    fn place(&self, position: u64) -> Option<usize> {
        usize::try_from(position.checked_sub(self.first)?).ok()
    }

    fn global(&self, place: u32) -> u64 {
        self.first + u64::from(place)
    }

    /// Returns the position of an event.
    pub(crate) fn position_of(&self, id: &EventId) -> Option<u64> {
        self.position_of_hashed(id, IdHash::of(id))
    }

    /// As [`MemoryPart::position_of`], with the id's hash at hand.
    pub(crate) fn position_of_hashed(&self, id: &EventId, hash: IdHash) -> Option<u64> {
        Some(self.global(self.by_id.find(id, hash, &self.ids)?))
    }

    pub(crate) fn id_at(&self, position: u64) -> Option<EventId> {
        self.ids.get(self.place(position)?)
    }

    pub(crate) fn address(&self, position: u64) -> Option<Address> {
        let row = self.rows.get(self.place(position)?)?;
        Some(Address { segment: self.segment, offset: u64::from(row.offset) })
    }

    pub(crate) fn head(&self, entity: &str) -> Option<Head> {
        self.head_of(self.entities.find(entity)?)
    }

    /// As [`MemoryPart::head`], with the entity's hash at hand.
    pub(super) fn head_hashed(&self, entity: &str, hash: KeyHash) -> Option<Head> {
        self.head_of(self.entities.find_hashed(entity, hash)?)
    }

    fn head_of(&self, entity: u32) -> Option<Head> {
        let stream = self.streams.get(entity as usize)?;
        let position = match stream.positions.last() {
            Some(last) => self.global(*last),
            None => stream.before?,
        };
        let revision = stream.first_revision + stream.positions.len() as u64 - 1;
        Some(Head { revision, position, chain_hash: stream.chain_hash })
    }

    /// Returns the position of an entity's event by its revision, if it is one of these.
    pub(crate) fn position_at(&self, entity: &str, revision: u64) -> Option<u64> {
        let stream = self.stream(entity)?;
        let at = usize::try_from(revision.checked_sub(stream.first_revision)?).ok()?;
        stream.positions.get(at).map(|place| self.global(*place))
    }

    /// How many of the entity's events stand before a position; none when that cannot be told from this part.
    pub(crate) fn revisions_below(&self, entity: &str, position: u64) -> Option<u64> {
        let stream = self.stream(entity)?;
        let below = stream.positions.partition_point(|place| self.global(*place) < position);
        (below > 0).then_some(stream.first_revision + below as u64)
    }

    pub(crate) fn key_of(&self, scope: &KeyScope) -> Option<KeyId> {
        self.key_of_hashed(scope, KeyHash::of(scope.as_bytes()))
    }

    /// As [`MemoryPart::key_of`], with the key scope's hash at hand.
    pub(super) fn key_of_hashed(&self, scope: &KeyScope, hash: KeyHash) -> Option<KeyId> {
        Some(self.keys_hashed(scope, hash)?.last()?.0)
    }

    fn keys_hashed(&self, scope: &KeyScope, hash: KeyHash) -> Option<&[(KeyId, u32)]> {
        let (_, keys) = self.keys.find(hash.as_u64(), |(known, _)| known == scope)?;
        Some(keys)
    }

    pub(crate) fn keys_of(&self, scope: &KeyScope) -> Vec<(KeyId, u64)> {
        let keys = self.keys_hashed(scope, KeyHash::of(scope.as_bytes()));
        keys.map(|keys| self.with_first(keys)).unwrap_or_default()
    }

    pub(crate) fn keys_within(&self, within: &dyn Fn(&KeyScope) -> bool, take: TakeKeys<'_>) {
        for (scope, keys) in self.keys.iter().filter(|(scope, _)| within(scope)) {
            take(scope, self.with_first(keys));
        }
    }

    fn with_first(&self, keys: &[(KeyId, u32)]) -> Vec<(KeyId, u64)> {
        keys.iter().map(|(key_id, first)| (*key_id, self.global(*first))).collect()
    }

    /// Goes through the events of a range of positions, in order, as far as they are here.
    pub(crate) fn walk(&self, positions: Range<u64>, take: &mut dyn FnMut(Walked<'_>)) {
        for position in positions.start.max(self.first)..positions.end.min(self.next()) {
            let Some(place) = self.place(position) else { return };
            let (Some(row), Some(kind), Some(id)) = (self.rows.get(place), self.kinds.get(place), self.ids.get(place))
            else {
                return;
            };
            if let (Some(entity), Some(scope)) = (self.entities.name(row.stream), self.scopes.name(row.scope)) {
                take(Walked { position, id, entity, scope, kind });
            }
        }
    }

    pub(crate) fn caused_by(&self, id: &EventId) -> Vec<u64> {
        self.positions(self.caused_by.newest_first(id))
    }

    pub(crate) fn correlated(&self, id: &EventId) -> Vec<u64> {
        self.positions(self.correlated.newest_first(id))
    }

    /// In order.
    fn positions(&self, newest_first: impl Iterator<Item = u32>) -> Vec<u64> {
        let mut positions: Vec<u64> = newest_first.map(|place| self.global(place)).collect();
        positions.reverse();
        positions
    }

    /// The edges of an event, its causes as its frame has them.
    pub(crate) fn edges(&self, position: u64) -> Option<Edges> {
        let place = u32::try_from(self.place(position)?).ok()?;
        let row = self.rows.get(place as usize)?;
        Some(Edges {
            position,
            id: self.ids.get(place as usize)?,
            kind: self.kinds.get(place as usize)?,
            entity: Arc::clone(self.entities.name(row.stream)?),
            scope: Arc::clone(self.scopes.name(row.scope)?),
            correlation: self.correlations.get(place).next(),
            causes: self.causes.get(place).collect(),
        })
    }

    /// How many entities have their first event here.
    pub(crate) fn new_entities(&self) -> u64 {
        let is_new = |stream: &&Stream| stream.first_revision == 0 && !stream.positions.is_empty();
        self.streams.iter().filter(is_new).count() as u64
    }

    /// The bytes of memory that it holds, allocations counted at their full size.
    pub(crate) fn bytes(&self) -> usize {
        let streams: usize = self.streams.iter().map(|stream| stream.positions.capacity() * size_of::<u32>()).sum();
        self.ids.bytes()
            + self.rows.bytes()
            + self.kinds.bytes()
            + self.by_id.bytes()
            + self.streams.capacity() * size_of::<Stream>()
            + streams
            + self.entities.bytes()
            + self.scopes.bytes()
            + self.causes.bytes()
            + self.correlations.bytes()
            + self.caused_by.bytes()
            + self.correlated.bytes()
            + self.by_kind.bytes()
            + self.by_scope.bytes()
            + self.tag_names.bytes()
            + self.tags.bytes()
            + self.tagged.bytes()
            + self.keys.allocation_size()
            + self.keys_seen.bytes()
            + self.key_bytes
            + self.own_keys.capacity() * size_of::<OwnKeys>()
    }
}

/// Puts runs of key ids in order, each the first one and how many, and makes one of those that touch.
pub(super) fn join_runs(runs: &mut Vec<(u64, u32)>) {
    runs.sort_unstable();
    runs.dedup_by(|next, run| {
        let joins = next.0 <= run.0 + u64::from(run.1);
        if joins {
            run.1 = run.1.max((next.0 - run.0) as u32 + next.1);
        }
        joins
    });
}
