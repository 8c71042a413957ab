//! The index in memory: columns by position, one table of ids, one entry an entity.
//!
//! Invariant: under 64 bytes an event (id 16, address 8, entity, scope and kind 10, id table 6 to 12, stream 4 to 8, lists by kind and
//! by scope 4 each), plus about 150 an entity, 8 an event with causes, 25 to 50 a cause, 8 an event with tags, and 12 a tag of it. It takes 2^32 - 1 events, and says so before it is asked to take more.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    ops::Range,
    sync::Arc,
};

use batpak_format::{Cause, ChainHash, EventId, EventKind, KeyId};
use batpak_keyset::KeyScope;
use hashbrown::HashTable;

use super::{
    Address, Edges, Entry, Head, Index, Walked, chain::Chain, column::Column, matching::Newest, names::Names,
    postings::Postings, sparse::Sparse,
};

/// Addresses are packed: the upper bits are the segment number, the lower ones the offset.
const OFFSET_BITS: u32 = 32;

/// What is kept of each event.
#[derive(Clone, Copy, Debug)]
struct Row {
    address: u64,
    stream: u32,
    scope: u32,
}

#[derive(Debug)]
struct Stream {
    positions: Vec<u32>,
    chain_hash: ChainHash,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct MemoryIndex {
    hasher: RandomState,
    ids: Column<EventId>,
    rows: Column<Row>,
    kinds: Column<EventKind>,
    by_id: HashTable<u32>,
    entities: Names,
    /// By the entity's number.
    streams: Vec<Stream>,
    scopes: Names,
    causes: Sparse<Cause>,
    correlations: Sparse<EventId>,
    caused_by: Postings<EventId>,
    correlated: Postings<EventId>,
    by_kind: Chain<EventKind>,
    by_scope: Chain<u32>,
    tag_names: Names,
    /// Numbers of the tags that an event has.
    tags: Sparse<u32>,
    tagged: Postings<u32>,
    keys: HashMap<KeyScope, Vec<(KeyId, u32)>>,
    key_bytes: usize,
}

impl MemoryIndex {
    pub(crate) fn new() -> Self {
        Self {
            hasher: RandomState::new(),
            ids: Column::new(),
            rows: Column::new(),
            kinds: Column::new(),
            by_id: HashTable::new(),
            entities: Names::default(),
            streams: Vec::new(),
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
            keys: HashMap::new(),
            key_bytes: 0,
        }
    }

    fn stream(&self, entity: &str) -> Option<&Stream> {
        self.streams.get(self.entities.find(entity)? as usize)
    }

    fn push_stream(&mut self, entry: &Entry<'_>, position: u32) -> u32 {
        let number = self.entities.number(entry.entity);
        if number as usize == self.streams.len() {
            self.streams.push(Stream { positions: Vec::new(), chain_hash: entry.chain_hash });
        }
        if let Some(stream) = self.streams.get_mut(number as usize) {
            stream.positions.push(position);
            stream.chain_hash = entry.chain_hash;
        }
        number
    }

    fn push_id(&mut self, id: EventId, position: u32) {
        self.ids.push(id);
        let (hasher, ids) = (&self.hasher, &self.ids);
        self.by_id.insert_unique(hasher.hash_one(id), position, |position| {
            ids.get(*position as usize).map_or(0, |id| hasher.hash_one(id))
        });
    }

    fn push_key(&mut self, scope: &KeyScope, key_id: KeyId, position: u32) {
        match self.keys.get_mut(scope) {
            Some(keys) => {
                if keys.last().is_none_or(|(last, _)| *last != key_id) {
                    keys.push((key_id, position));
                }
            }
            None => {
                self.key_bytes += scope.as_bytes().len() + size_of::<(KeyId, u32)>();
                self.keys.insert(scope.clone(), vec![(key_id, position)]);
            }
        }
    }

    fn push_edges(&mut self, entry: &Entry<'_>, position: u32) {
        self.causes.push(position, entry.causes.iter().copied());
        self.correlations.push(position, entry.correlation);
        for cause in entry.causes {
            self.caused_by.push(cause.id, position);
        }
        if let Some(correlation) = entry.correlation {
            self.correlated.push(correlation, position);
        }
    }

    fn push_tags(&mut self, tags: &[&str], position: u32) {
        let (names, tagged) = (&mut self.tag_names, &mut self.tagged);
        let numbers = tags.iter().map(|tag| {
            let number = names.number(tag);
            tagged.push(number, position);
            number
        });
        self.tags.push(position, numbers);
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

    pub(super) fn tags_of(&self, position: u32) -> impl Iterator<Item = u32> + '_ {
        self.tags.get(position)
    }

    /// Entity and scope, by their numbers, and kind of an event.
    pub(super) fn facts(&self, position: u32) -> Option<(u32, u32, EventKind)> {
        let row = self.rows.get(position as usize)?;
        Some((row.stream, row.scope, self.kinds.get(position as usize)?))
    }

    /// The store's own events are no part of the callers' graph: as a cause one counts as lying outside of it.
    fn seen_from_callers(&self, cause: Cause) -> Cause {
        let own = || self.kind(self.position_of(&cause.id)?).map(EventKind::is_reserved);
        Cause { external: cause.external || own().unwrap_or(false), ..cause }
    }

    fn kind(&self, position: u64) -> Option<EventKind> {
        self.kinds.get(usize::try_from(position).ok()?)
    }

    fn row(&self, position: u64) -> Option<Row> {
        self.rows.get(usize::try_from(position).ok()?)
    }
}

impl Index for MemoryIndex {
    fn position_of(&self, id: &EventId) -> Option<u64> {
        let hash = self.hasher.hash_one(id);
        let found = self.by_id.find(hash, |position| self.ids.get(*position as usize).as_ref() == Some(id))?;
        Some(u64::from(*found))
    }

    fn id_at(&self, position: u64) -> Option<EventId> {
        self.ids.get(usize::try_from(position).ok()?)
    }

    fn address(&self, position: u64) -> Option<Address> {
        let packed = self.row(position)?.address;
        Some(Address { segment: packed >> OFFSET_BITS, offset: packed & ((1 << OFFSET_BITS) - 1) })
    }

    fn head(&self, entity: &str) -> Option<Head> {
        let stream = self.stream(entity)?;
        let position = u64::from(*stream.positions.last()?);
        Some(Head { revision: stream.positions.len() as u64 - 1, position, chain_hash: stream.chain_hash })
    }

    fn position_at(&self, entity: &str, revision: u64) -> Option<u64> {
        let positions = &self.stream(entity)?.positions;
        positions.get(usize::try_from(revision).ok()?).copied().map(u64::from)
    }

    fn key_of(&self, scope: &KeyScope) -> Option<KeyId> {
        Some(self.keys.get(scope)?.last()?.0)
    }

    fn keys_of(&self, scope: &KeyScope) -> Vec<(KeyId, u64)> {
        self.keys.get(scope).map(|keys| with_first(keys)).unwrap_or_default()
    }

    fn keys_within(&self, within: &dyn Fn(&KeyScope) -> bool) -> Vec<(KeyScope, Vec<(KeyId, u64)>)> {
        let picked = self.keys.iter().filter(|(scope, _)| within(scope));
        picked.map(|(scope, keys)| (scope.clone(), with_first(keys))).collect()
    }

    fn walk(&self, positions: Range<u64>, take: &mut dyn FnMut(Walked<'_>)) {
        for position in positions {
            let (Some(row), Some(kind)) = (self.row(position), self.kind(position)) else { return };
            let id = usize::try_from(position).ok().and_then(|at| self.ids.get(at));
            let (entity, scope) = (self.entities.name(row.stream), self.scopes.name(row.scope));
            if let (Some(id), Some(entity), Some(scope)) = (id, entity, scope) {
                take(Walked { position, id, entity, scope, kind });
            }
        }
    }

    fn caused_by(&self, id: &EventId) -> Vec<u64> {
        self.caused_by.positions(id)
    }

    fn correlated(&self, id: &EventId) -> Vec<u64> {
        self.correlated.positions(id)
    }

    fn edges(&self, position: u64) -> Option<Edges> {
        let row = self.row(position)?;
        let at = u32::try_from(position).ok()?;
        Some(Edges {
            position,
            id: self.ids.get(at as usize)?,
            kind: self.kind(position)?,
            entity: Arc::clone(self.entities.name(row.stream)?),
            scope: Arc::clone(self.scopes.name(row.scope)?),
            correlation: self.correlations.get(at).next(),
            causes: self.causes.get(at).map(|cause| self.seen_from_callers(cause)).collect(),
        })
    }

    fn is_full(&self) -> bool {
        self.ids.len() >= u32::MAX as usize
    }

    fn len(&self) -> u64 {
        self.ids.len() as u64
    }

    fn entities(&self) -> u64 {
        self.streams.iter().filter(|stream| !stream.positions.is_empty()).count() as u64
    }

    fn bytes(&self) -> usize {
        let streams: usize = self.streams.iter().map(|stream| stream.positions.capacity() * size_of::<u32>()).sum();
        self.ids.bytes()
            + self.rows.bytes()
            + self.kinds.bytes()
            + self.by_id.allocation_size()
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
            + self.keys.capacity() * (size_of::<(KeyScope, Vec<(KeyId, u32)>)>() + 1)
            + self.key_bytes
    }

    fn push(&mut self, entry: Entry<'_>) {
        debug_assert_eq!(entry.position, self.len(), "positions are dense");
        let position = u32::try_from(entry.position).expect("a full index is asked to take no more");
        let stream = self.push_stream(&entry, position);
        let scope = self.scopes.number(entry.scope);
        let address = entry.address.segment << OFFSET_BITS | entry.address.offset;
        self.rows.push(Row { address, stream, scope });
        self.kinds.push(entry.kind);
        self.push_id(entry.id, position);
        self.push_edges(&entry, position);
        self.by_kind.push(entry.kind, position);
        self.by_scope.push(scope, position);
        self.push_tags(entry.tags, position);
        if let Some((scope, key_id)) = entry.key {
            self.push_key(scope, key_id, position);
        }
    }

    fn pop(&mut self, previous: ChainHash) {
        let (Some(id), Some(row)) = (self.ids.pop(), self.rows.pop()) else { return };
        let position = u32::try_from(self.ids.len()).expect("a full index is asked to take no more");
        let hash = self.hasher.hash_one(id);
        if let Ok(found) = self.by_id.find_entry(hash, |at| *at == position) {
            found.remove();
        }
        if let Some(stream) = self.streams.get_mut(row.stream as usize) {
            stream.positions.pop();
            stream.chain_hash = previous;
        }
        self.causes.pop(position);
        self.correlations.pop(position);
        self.caused_by.pop(position);
        self.correlated.pop(position);
        if let Some(kind) = self.kinds.pop() {
            self.by_kind.pop(kind);
        }
        self.by_scope.pop(row.scope);
        self.tags.pop(position);
        self.tagged.pop(position);
        // Rare: only a failed write takes events back, and it takes few.
        self.keys.retain(|_, keys| {
            keys.retain(|(_, first)| *first != position);
            !keys.is_empty()
        });
    }
}

fn with_first(keys: &[(KeyId, u32)]) -> Vec<(KeyId, u64)> {
    keys.iter().map(|(key_id, first)| (*key_id, u64::from(*first))).collect()
}

#[cfg(test)]
mod tests {
    use batpak_format::Coordinate;
    use batpak_keyset::{Granularity, scope_for};

    use super::*;

    fn chain(byte: u8) -> ChainHash {
        ChainHash::from_bytes([byte; 32])
    }

    fn push(index: &mut MemoryIndex, entity: &str, n: u64, key_id: KeyId) {
        let id = EventId::from_key(&n.to_le_bytes());
        let coordinate = Coordinate::new(entity, "s").unwrap();
        let kind = batpak_format::EventKind::new(1, 1).unwrap();
        let scope = scope_for(Granularity::Entity, &coordinate, kind, id);
        index.push(Entry {
            position: n,
            id,
            address: Address { segment: 3, offset: 128 + n },
            entity,
            scope: "s",
            kind,
            correlation: None,
            causes: &[],
            tags: &[],
            chain_hash: chain(n as u8),
            key: Some((&scope, key_id)),
        });
    }

    #[test]
    fn memory_index_answers_what_was_pushed() {
        let mut index = MemoryIndex::new();
        push(&mut index, "a", 0, KeyId::new(0, 1, 0));
        push(&mut index, "b", 1, KeyId::new(0, 1, 1));
        push(&mut index, "a", 2, KeyId::new(0, 1, 0));
        assert_eq!(index.head("a"), Some(Head { revision: 1, position: 2, chain_hash: chain(2) }));
        assert_eq!(index.position_at("a", 0), Some(0));
        assert_eq!(index.position_at("b", 1), None);
        assert_eq!(index.position_of(&EventId::from_key(&1u64.to_le_bytes())), Some(1));
        assert_eq!(index.address(2), Some(Address { segment: 3, offset: 130 }));
    }

    #[test]
    fn memory_index_pop_restores_head_ids_and_keys() {
        let mut index = MemoryIndex::new();
        push(&mut index, "a", 0, KeyId::new(0, 1, 0));
        let coordinate = Coordinate::new("a", "s").unwrap();
        let kind = batpak_format::EventKind::new(1, 1).unwrap();
        let scope = scope_for(Granularity::Entity, &coordinate, kind, EventId::from_key(b"x"));
        push(&mut index, "a", 1, KeyId::new(0, 1, 9));
        assert_eq!(index.key_of(&scope), Some(KeyId::new(0, 1, 9)));
        index.pop(chain(0));
        assert_eq!(index.key_of(&scope), Some(KeyId::new(0, 1, 0)));
        assert_eq!(index.head("a"), Some(Head { revision: 0, position: 0, chain_hash: chain(0) }));
        assert_eq!(index.position_of(&EventId::from_key(&1u64.to_le_bytes())), None);
        assert_eq!(index.len(), 1);
    }

    #[test]
    fn memory_index_knows_causes_both_ways_and_forgets_with_pop() {
        let mut index = MemoryIndex::new();
        push(&mut index, "a", 0, KeyId::new(0, 1, 0));
        let [root, effect, outside] = [0_u64, 9, 77].map(|n| EventId::from_key(&n.to_le_bytes()));
        let causes = [Cause { id: root, external: false }, Cause { id: outside, external: true }];
        let entry = Entry {
            position: 1,
            id: effect,
            address: Address { segment: 3, offset: 500 },
            entity: "b",
            scope: "s",
            kind: EventKind::from_u16(0x1001),
            correlation: Some(root),
            causes: &causes,
            tags: &[],
            chain_hash: chain(1),
            key: None,
        };
        index.push(entry);
        assert_eq!((index.caused_by(&root), index.caused_by(&outside)), (vec![1], vec![1]));
        assert_eq!(index.correlated(&root), [1]);
        let edges = index.edges(1).unwrap();
        assert_eq!((edges.causes.as_slice(), edges.correlation), (&causes[..], Some(root)));
        assert_eq!((&*edges.entity, &*edges.scope, edges.id), ("b", "s", effect));
        index.pop(chain(0));
        assert_eq!((index.caused_by(&root), index.correlated(&root)), (vec![], vec![]));
        assert!(index.edges(0).unwrap().causes.is_empty());
    }

    #[test]
    fn memory_index_stays_under_64_bytes_an_event() {
        let mut index = MemoryIndex::new();
        let names: Vec<String> = (0..16).map(|n| format!("entity-{n:06}")).collect();
        // Just past a doubling of the id table: its worst fill.
        let events = 120_000;
        for n in 0..events {
            push(&mut index, &names[n as usize % 16], n, KeyId::new(0, 1, n as u32 % 16));
        }
        let per_event = index.bytes() as f64 / events as f64;
        assert!(per_event < 64.0, "{per_event} bytes an event");
        assert!(per_event > 36.0, "the count must cover the columns: {per_event}");
    }
}
