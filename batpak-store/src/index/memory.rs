//! The index in memory: columns by position, one table of ids, one entry an entity.
//!
//! Invariant: under 64 bytes an event (id 16, address 8, entity 4, id table 9 to 18, stream 8 to 16), plus about 150 an entity.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
};

use batpak_format::{ChainHash, EventId, KeyId};
use batpak_keyset::KeyScope;
use hashbrown::HashTable;

use super::{Address, Entry, Head, Index, column::Column};

/// Addresses are packed: the upper bits are the segment number, the lower ones the offset.
const OFFSET_BITS: u32 = 32;

#[derive(Debug)]
struct Stream {
    positions: Vec<u64>,
    chain_hash: ChainHash,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct MemoryIndex {
    hasher: RandomState,
    ids: Column<EventId>,
    addresses: Column<u64>,
    stream_of: Column<u32>,
    by_id: HashTable<u64>,
    entities: HashMap<Box<str>, u32>,
    streams: Vec<Stream>,
    keys: HashMap<KeyScope, Vec<(KeyId, u64)>>,
    name_bytes: usize,
}

impl MemoryIndex {
    pub(crate) fn new() -> Self {
        Self {
            hasher: RandomState::new(),
            ids: Column::new(),
            addresses: Column::new(),
            stream_of: Column::new(),
            by_id: HashTable::new(),
            entities: HashMap::new(),
            streams: Vec::new(),
            keys: HashMap::new(),
            name_bytes: 0,
        }
    }

    fn stream(&self, entity: &str) -> Option<&Stream> {
        self.streams.get(*self.entities.get(entity)? as usize)
    }

    fn stream_number(&mut self, entity: &str, root: ChainHash) -> u32 {
        if let Some(number) = self.entities.get(entity) {
            return *number;
        }
        let number = u32::try_from(self.streams.len()).expect("four billion entities do not fit in memory");
        self.entities.insert(entity.into(), number);
        self.name_bytes += entity.len();
        self.streams.push(Stream { positions: Vec::new(), chain_hash: root });
        number
    }

    fn push_key(&mut self, scope: &KeyScope, key_id: KeyId, position: u64) {
        match self.keys.get_mut(scope) {
            Some(keys) => {
                if keys.last().is_none_or(|(last, _)| *last != key_id) {
                    keys.push((key_id, position));
                }
            }
            None => {
                self.name_bytes += scope.as_bytes().len() + size_of::<(KeyId, u64)>();
                self.keys.insert(scope.clone(), vec![(key_id, position)]);
            }
        }
    }
}

impl Index for MemoryIndex {
    fn position_of(&self, id: &EventId) -> Option<u64> {
        let hash = self.hasher.hash_one(id);
        self.by_id.find(hash, |position| self.ids.get(*position as usize).as_ref() == Some(id)).copied()
    }

    fn address(&self, position: u64) -> Option<Address> {
        let packed = self.addresses.get(usize::try_from(position).ok()?)?;
        Some(Address { segment: packed >> OFFSET_BITS, offset: packed & ((1 << OFFSET_BITS) - 1) })
    }

    fn head(&self, entity: &str) -> Option<Head> {
        let stream = self.stream(entity)?;
        let position = *stream.positions.last()?;
        Some(Head { revision: stream.positions.len() as u64 - 1, position, chain_hash: stream.chain_hash })
    }

    fn position_at(&self, entity: &str, revision: u64) -> Option<u64> {
        self.stream(entity)?.positions.get(usize::try_from(revision).ok()?).copied()
    }

    fn key_of(&self, scope: &KeyScope) -> Option<KeyId> {
        Some(self.keys.get(scope)?.last()?.0)
    }

    fn len(&self) -> u64 {
        self.ids.len() as u64
    }

    fn entities(&self) -> u64 {
        self.streams.iter().filter(|stream| !stream.positions.is_empty()).count() as u64
    }

    fn bytes(&self) -> usize {
        let streams: usize = self.streams.iter().map(|stream| stream.positions.capacity() * 8).sum();
        self.ids.bytes()
            + self.addresses.bytes()
            + self.stream_of.bytes()
            + self.by_id.allocation_size()
            + self.streams.capacity() * size_of::<Stream>()
            + streams
            + self.entities.capacity() * (size_of::<(Box<str>, u32)>() + 1)
            + self.keys.capacity() * (size_of::<(KeyScope, Vec<(KeyId, u64)>)>() + 1)
            + self.name_bytes
    }

    fn push(&mut self, entry: Entry<'_>) {
        debug_assert_eq!(entry.position, self.len(), "positions are dense");
        let number = self.stream_number(entry.entity, entry.chain_hash);
        if let Some(stream) = self.streams.get_mut(number as usize) {
            stream.positions.push(entry.position);
            stream.chain_hash = entry.chain_hash;
        }
        self.ids.push(entry.id);
        self.addresses.push(entry.address.segment << OFFSET_BITS | entry.address.offset);
        self.stream_of.push(number);
        let (hasher, ids) = (&self.hasher, &self.ids);
        let hash = hasher.hash_one(entry.id);
        self.by_id.insert_unique(hash, entry.position, |position| {
            ids.get(*position as usize).map_or(0, |id| hasher.hash_one(id))
        });
        if let Some((scope, key_id)) = entry.key {
            self.push_key(scope, key_id, entry.position);
        }
    }

    fn pop(&mut self, previous: ChainHash) {
        let (Some(id), Some(_), Some(number)) = (self.ids.pop(), self.addresses.pop(), self.stream_of.pop()) else {
            return;
        };
        let position = self.ids.len() as u64;
        let hash = self.hasher.hash_one(id);
        if let Ok(found) = self.by_id.find_entry(hash, |at| *at == position) {
            found.remove();
        }
        if let Some(stream) = self.streams.get_mut(number as usize) {
            stream.positions.pop();
            stream.chain_hash = previous;
        }
        // Rare: only a failed write takes events back, and it takes few.
        self.keys.retain(|_, keys| {
            keys.retain(|(_, first)| *first != position);
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
