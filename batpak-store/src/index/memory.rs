//! The index of one segment's events in memory: columns by position, one table of ids, one entry an entity.
//!
//! Invariant: under 64 bytes an event (id 16, offset 4, entity, scope and kind 10, id table 6 to 12, stream 4 to 8, lists by kind and
//! by scope 4 each), plus about 150 an entity, 8 an event with causes, 25 to 50 a cause, 8 an event with tags, and 12 a tag of it. It
//! grows to one segment's events and no further: then it becomes a file. What doubles as it grows is made as large as the segment before
//! needed it, so that no append waits for a table to be moved.

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
    Address, Edges, Entry, Head, Walked, chain::Chain, column::Column, matching::Newest, names::Names,
    postings::Postings, sparse::Sparse,
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
}

/// See the module. Positions are the log's outside, and places in the part inside.
#[derive(Clone, Debug)]
pub(crate) struct MemoryPart {
    pub(super) segment: u64,
    first: u64,
    /// Where the last frame ends, in its segment.
    pub(super) end: u64,
    hasher: RandomState,
    pub(super) ids: Column<EventId>,
    pub(super) rows: Column<Row>,
    pub(super) kinds: Column<EventKind>,
    by_id: HashTable<u32>,
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
    pub(super) keys: HashMap<KeyScope, Vec<(KeyId, u32)>>,
    key_bytes: usize,
    /// The keys that one event each names.
    own_keys: Vec<OwnKeys>,
}

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
    events: usize,
    entities: usize,
    keys: usize,
}

impl MemoryPart {
    /// The index of the events from a position on, which stand in a segment.
    pub(crate) fn new(segment: u64, first: u64, room: Room) -> Self {
        Self {
            segment,
            first,
            end: 0,
            hasher: RandomState::new(),
            ids: Column::new(),
            rows: Column::new(),
            kinds: Column::new(),
            by_id: HashTable::with_capacity(room.events),
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
            keys: HashMap::with_capacity(room.keys),
            key_bytes: 0,
            own_keys: Vec::new(),
        }
    }

    /// Goes on in another segment, while there are no events.
    pub(crate) fn move_to(&mut self, segment: u64) {
        debug_assert!(self.is_empty(), "events stay in their segment");
        self.segment = segment;
    }

    /// The room that a part like this one needs.
    pub(crate) fn room(&self) -> Room {
        Room { events: self.ids.len(), entities: self.streams.len(), keys: self.keys.len() }
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

    /// Where the last frame ends, in its segment.
    pub(crate) const fn end(&self) -> u64 {
        self.end
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.ids.len() == 0
    }

    fn stream(&self, entity: &str) -> Option<&Stream> {
        self.streams.get(self.entities.find(entity)? as usize)
    }

    /// Whether the entity's head can be told from this part alone.
    pub(crate) fn knows(&self, entity: &str) -> bool {
        self.stream(entity).is_some_and(|stream| !stream.positions.is_empty() || stream.before.is_some())
    }

    /// Notes the head that an entity has before this part's events.
    pub(crate) fn note_head(&mut self, entity: &str, head: Head) {
        let number = self.entities.number(entity) as usize;
        let stream = Stream {
            positions: Vec::new(),
            chain_hash: head.chain_hash,
            first_revision: head.revision + 1,
            before: Some(head.position),
        };
        match self.streams.get_mut(number) {
            Some(known) => *known = stream,
            None => self.streams.push(stream),
        }
    }

    fn push_stream(&mut self, entry: &Entry<'_>, place: u32) -> u32 {
        let number = self.entities.number(entry.entity);
        if number as usize == self.streams.len() {
            self.streams.push(Stream {
                positions: Vec::new(),
                chain_hash: entry.chain_hash,
                first_revision: entry.revision,
                before: None,
            });
        }
        if let Some(stream) = self.streams.get_mut(number as usize) {
            stream.positions.push(place);
            stream.chain_hash = entry.chain_hash;
        }
        number
    }

    fn push_id(&mut self, id: EventId, place: u32) {
        self.ids.push(id);
        let (hasher, ids) = (&self.hasher, &self.ids);
        self.by_id.insert_unique(hasher.hash_one(id), place, |place| {
            ids.get(*place as usize).map_or(0, |id| hasher.hash_one(id))
        });
    }

    fn push_key(&mut self, scope: &KeyScope, key_id: KeyId, place: u32) {
        match self.keys.get_mut(scope) {
            Some(keys) => {
                if keys.last().is_none_or(|(last, _)| *last != key_id) {
                    keys.push((key_id, place));
                }
            }
            None => {
                self.key_bytes += scope.as_bytes().len() + size_of::<(KeyId, u32)>();
                self.keys.insert(scope.clone(), vec![(key_id, place)]);
            }
        }
    }

    fn push_own_key(&mut self, key_id: KeyId, place: u32) {
        let leaf = key_id.as_u64();
        match self.own_keys.last_mut() {
            Some(run) if run.first + u64::from(run.count) == leaf && run.place + run.count == place => run.count += 1,
            _ => self.own_keys.push(OwnKeys { first: leaf, count: 1, place }),
        }
    }

    fn pop_own_key(&mut self, place: u32) {
        let Some(run) = self.own_keys.last_mut().filter(|run| run.place + run.count == place + 1) else { return };
        run.count -= 1;
        if run.count == 0 {
            self.own_keys.pop();
        }
    }

    /// The keys that events here name, in runs: the first one, and how many.
    pub(crate) fn named(&self) -> Vec<(u64, u32)> {
        let shared = self.keys.values().flatten().map(|(key_id, _)| (key_id.as_u64(), 1));
        let mut runs: Vec<(u64, u32)> = self.own_keys.iter().map(|run| (run.first, run.count)).chain(shared).collect();
        runs.sort_unstable();
        runs.dedup_by(|next, run| {
            let joins = next.0 <= run.0 + u64::from(run.1);
            if joins {
                run.1 = run.1.max((next.0 - run.0) as u32 + next.1);
            }
            joins
        });
        runs
    }

    fn push_edges(&mut self, entry: &Entry<'_>, place: u32) {
        self.causes.push(place, entry.causes.iter().copied());
        self.correlations.push(place, entry.correlation);
        for cause in entry.causes {
            self.caused_by.push(cause.id, place);
        }
        if let Some(correlation) = entry.correlation {
            self.correlated.push(correlation, place);
        }
    }

    fn push_tags(&mut self, tags: &[&str], place: u32) {
        let (names, tagged) = (&mut self.tag_names, &mut self.tagged);
        let numbers = tags.iter().map(|tag| {
            let number = names.number(tag);
            tagged.push(number, place);
            number
        });
        self.tags.push(place, numbers);
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
        let hash = self.hasher.hash_one(id);
        let found = self.by_id.find(hash, |place| self.ids.get(*place as usize).as_ref() == Some(id))?;
        Some(self.global(*found))
    }

    pub(crate) fn id_at(&self, position: u64) -> Option<EventId> {
        self.ids.get(self.place(position)?)
    }

    pub(crate) fn address(&self, position: u64) -> Option<Address> {
        let row = self.rows.get(self.place(position)?)?;
        Some(Address { segment: self.segment, offset: u64::from(row.offset) })
    }

    pub(crate) fn head(&self, entity: &str) -> Option<Head> {
        let stream = self.stream(entity)?;
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
        Some(self.keys.get(scope)?.last()?.0)
    }

    pub(crate) fn keys_of(&self, scope: &KeyScope) -> Vec<(KeyId, u64)> {
        self.keys.get(scope).map(|keys| self.with_first(keys)).unwrap_or_default()
    }

    pub(crate) fn keys_within(
        &self,
        within: &dyn Fn(&KeyScope) -> bool,
        take: &mut dyn FnMut(&KeyScope, Vec<(KeyId, u64)>),
    ) {
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
            + self.own_keys.capacity() * size_of::<OwnKeys>()
    }

    /// Adds the next event, which stands in this part's segment.
    ///
    /// # Panics
    /// When the segment passes 4 GiB, which no segment does.
    pub(crate) fn push(&mut self, entry: &Entry<'_>) {
        debug_assert_eq!((entry.position, entry.address.segment), (self.next(), self.segment), "positions are dense");
        let place = u32::try_from(self.ids.len()).expect("a segment below 4 GiB holds fewer events");
        let offset = u32::try_from(entry.address.offset).expect("a frame begins below 4 GiB of its segment");
        self.end = entry.address.offset + u64::from(entry.len);
        let stream = self.push_stream(entry, place);
        let scope = self.scopes.number(entry.scope);
        self.rows.push(Row { offset, stream, scope });
        self.kinds.push(entry.kind);
        self.push_id(entry.id, place);
        self.push_edges(entry, place);
        self.by_kind.push(entry.kind, place);
        self.by_scope.push(scope, place);
        self.push_tags(entry.tags, place);
        match (entry.key_scope, entry.key_id) {
            (Some(scope), Some(key_id)) => self.push_key(scope, key_id, place),
            (None, Some(key_id)) => self.push_own_key(key_id, place),
            (_, None) => {}
        }
    }

    /// Takes the last event back; `previous` is the chain hash of the entity's event before it.
    pub(crate) fn pop(&mut self, previous: ChainHash) {
        let (Some(id), Some(row)) = (self.ids.pop(), self.rows.pop()) else { return };
        let place = self.ids.len() as u32;
        let hash = self.hasher.hash_one(id);
        if let Ok(found) = self.by_id.find_entry(hash, |at| *at == place) {
            found.remove();
        }
        if let Some(stream) = self.streams.get_mut(row.stream as usize) {
            stream.positions.pop();
            stream.chain_hash = previous;
        }
        self.end = u64::from(row.offset);
        self.causes.pop(place);
        self.correlations.pop(place);
        self.caused_by.pop(place);
        self.correlated.pop(place);
        if let Some(kind) = self.kinds.pop() {
            self.by_kind.pop(kind);
        }
        self.by_scope.pop(row.scope);
        self.tags.pop(place);
        self.tagged.pop(place);
        self.pop_own_key(place);
        // Rare: only a failed write takes events back, and it takes few.
        self.keys.retain(|_, keys| {
            keys.retain(|(_, first)| *first != place);
            !keys.is_empty()
        });
    }
}

#[cfg(test)]
mod tests {
    use batpak_format::Coordinate;
    use batpak_keyset::{Granularity, scope_for};

    use super::*;

    fn chain(byte: u8) -> ChainHash {
        ChainHash::from_bytes([byte; 32])
    }

    fn new() -> MemoryPart {
        MemoryPart::new(3, 0, Room::default())
    }

    fn push(index: &mut MemoryPart, entity: &str, n: u64, key_id: KeyId) {
        let id = EventId::from_key(&n.to_le_bytes());
        let coordinate = Coordinate::new(entity, "s").unwrap();
        let kind = batpak_format::EventKind::new(1, 1).unwrap();
        let scope = scope_for(Granularity::Entity, &coordinate, kind, id);
        index.push(&Entry {
            position: n,
            revision: 0,
            len: 1,
            id,
            address: Address { segment: 3, offset: 128 + n },
            entity,
            scope: "s",
            kind,
            correlation: None,
            causes: &[],
            tags: &[],
            chain_hash: chain(n as u8),
            key_id: Some(key_id),
            key_scope: Some(&scope),
        });
    }

    #[test]
    fn memory_index_answers_what_was_pushed() {
        let mut index = new();
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
        let mut index = new();
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
        assert_eq!(index.next(), 1);
    }

    #[test]
    fn memory_index_knows_causes_both_ways_and_forgets_with_pop() {
        let mut index = new();
        push(&mut index, "a", 0, KeyId::new(0, 1, 0));
        let [root, effect, outside] = [0_u64, 9, 77].map(|n| EventId::from_key(&n.to_le_bytes()));
        let causes = [Cause { id: root, external: false }, Cause { id: outside, external: true }];
        let entry = Entry {
            position: 1,
            revision: 0,
            len: 1,
            id: effect,
            address: Address { segment: 3, offset: 500 },
            entity: "b",
            scope: "s",
            kind: EventKind::from_u16(0x1001),
            correlation: Some(root),
            causes: &causes,
            tags: &[],
            chain_hash: chain(1),
            key_id: None,
            key_scope: None,
        };
        index.push(&entry);
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
        let mut index = new();
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
