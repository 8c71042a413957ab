//! Finding the newest event that matches a query item, without reading the log.
//!
//! Invariant: exact. The walk is along the lists of one dimension, from the newest event back, and ends at the position the caller has
//! seen: one step where a single dimension is named, else as many as events of those lists stand between the two. The dimension is chosen
//! by kind and not by length: tags, else entities, scopes, kinds.

use std::ops::Range;

use batpak_format::EventKind;

use super::memory::MemoryPart;
use crate::condition::QueryItem;

/// A query item with its names looked up.
struct Wanted<'a> {
    entities: Vec<u32>,
    scopes: Vec<u32>,
    kinds: &'a [EventKind],
    tags: Vec<u32>,
}

impl MemoryPart {
    /// Returns the last position, not before `from`, at which an event matches.
    pub(crate) fn newest_match(&self, item: &QueryItem, from: u64) -> Option<u64> {
        let wanted = self.wanted(item)?;
        let from = u32::try_from(from.saturating_sub(self.first())).unwrap_or(u32::MAX);
        let lists = self.lists(&wanted);
        let newest = |mut list: Newest<'_>| list.find(|at| *at < from || self.fits(&wanted, *at));
        let found = lists.into_iter().filter_map(newest).max()?;
        (found >= from).then_some(self.first() + u64::from(found))
    }

    /// Returns the positions of a window, in order, at which an event may match: those of one dimension.
    pub(crate) fn matching(&self, item: &QueryItem, window: &Range<u64>) -> Vec<u64> {
        let Some(wanted) = self.wanted(item) else { return Vec::new() };
        let from = window.start.saturating_sub(self.first());
        let end = window.end.saturating_sub(self.first());
        let within = |list: Newest<'_>| {
            let behind = list.skip_while(move |at| u64::from(*at) >= end);
            behind.take_while(move |at| u64::from(*at) >= from).collect::<Vec<u32>>()
        };
        let mut places: Vec<u32> = self.lists(&wanted).into_iter().flat_map(within).collect();
        places.sort_unstable();
        places.dedup();
        places.into_iter().map(|place| self.first() + u64::from(place)).collect()
    }

    /// None when a name is named that no event has.
    fn wanted<'a>(&self, item: &'a QueryItem) -> Option<Wanted<'a>> {
        // Of alternatives those that no event has fall away; when all do, nothing can match.
        let some_of = |names: &[String], find: &dyn Fn(&str) -> Option<u32>| {
            let found: Vec<u32> = names.iter().filter_map(|name| find(name)).collect();
            (names.is_empty() || !found.is_empty()).then_some(found)
        };
        Some(Wanted {
            entities: some_of(&item.entities, &|name| self.entity_number(name))?,
            scopes: some_of(&item.scopes, &|name| self.scope_number(name))?,
            kinds: &item.kinds,
            tags: item.tags.iter().map(|tag| self.tag_number(tag)).collect::<Option<_>>()?,
        })
    }

    /// The lists to walk: those of one dimension, each newest first. Tags pick the fewest events, kinds the most.
    fn lists(&self, wanted: &Wanted<'_>) -> Vec<Newest<'_>> {
        let oldest_last = |tag: &&u32| self.with_tag(**tag).next();
        if let Some(tag) = wanted.tags.iter().min_by_key(oldest_last) {
            return vec![self.with_tag(*tag)];
        }
        if !wanted.entities.is_empty() {
            return wanted.entities.iter().map(|entity| self.of_entity(*entity)).collect();
        }
        if !wanted.scopes.is_empty() {
            return wanted.scopes.iter().map(|scope| self.of_scope(*scope)).collect();
        }
        if !wanted.kinds.is_empty() {
            return wanted.kinds.iter().map(|kind| self.of_kind(*kind)).collect();
        }
        let end = u32::try_from(self.next() - self.first()).unwrap_or(u32::MAX);
        vec![Box::new((0..end).rev())]
    }

    fn fits(&self, wanted: &Wanted<'_>, position: u32) -> bool {
        let Some((entity, scope, kind)) = self.facts(position) else { return false };
        let any_of = |wanted: &[u32], has: u32| wanted.is_empty() || wanted.contains(&has);
        any_of(&wanted.entities, entity)
            && any_of(&wanted.scopes, scope)
            && if wanted.kinds.is_empty() { !kind.is_reserved() } else { wanted.kinds.contains(&kind) }
            && (wanted.tags.is_empty() || wanted.tags.iter().all(|tag| self.tags_of(position).any(|has| has == *tag)))
    }
}

/// Positions, the newest first.
pub(super) type Newest<'a> = Box<dyn Iterator<Item = u32> + 'a>;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use batpak_format::{ChainHash, EventId, Timestamp};
    use proptest::prelude::*;

    use super::*;
    use crate::index::{Address, Entry};

    type Facts = (u8, u8, u16, BTreeSet<u8>);

    fn index_of(events: &[Facts]) -> MemoryPart {
        let mut index = MemoryPart::new(1, 0, crate::index::memory::Room::default());
        for (at, facts) in events.iter().enumerate() {
            push(&mut index, at as u64, facts);
        }
        index
    }

    fn push(index: &mut MemoryPart, position: u64, (entity, scope, kind, tags): &Facts) {
        let tags: Vec<String> = tags.iter().map(|tag| format!("t{tag}")).collect();
        index.push(&Entry {
            position,
            revision: position,
            len: 1,
            id: EventId::from_key(&position.to_le_bytes()),
            address: Address { segment: 1, offset: position },
            entity: &format!("e{entity}"),
            scope: &format!("s{scope}"),
            kind: EventKind::new(1, *kind).unwrap(),
            correlation: None,
            causes: &[],
            tags: &tags.iter().map(String::as_str).collect::<Vec<_>>(),
            time: Timestamp::default(),
            chain_hash: ChainHash::from_bytes([0; 32]),
            key_id: None,
            key_scope: None,
        });
    }

    fn facts() -> impl Strategy<Value = Facts> {
        (0..3u8, 0..3u8, 1..4u16, proptest::collection::btree_set(0..4u8, 0..3))
    }

    fn item() -> impl Strategy<Value = (Vec<u8>, Vec<u8>, Vec<u16>, BTreeSet<u8>)> {
        let some = |max: u8| proptest::collection::vec(0..max, 0..3);
        (some(4), some(4), proptest::collection::vec(1..5u16, 0..3), proptest::collection::btree_set(0..5u8, 0..3))
    }

    proptest! {
        #[test]
        fn newest_match_is_what_a_plain_search_finds(
            events in proptest::collection::vec(facts(), 0..30),
            (entities, scopes, kinds, tags) in item(),
            after in proptest::option::of(0..30u64),
            taken_back in 0..5usize,
        ) {
            let mut index = index_of(&events);
            for _ in 0..taken_back.min(events.len()) {
                index.pop(ChainHash::from_bytes([0; 32]));
            }
            let events = &events[..events.len() - taken_back.min(events.len())];
            let mut item = QueryItem::any();
            item.entities = entities.iter().map(|n| format!("e{n}")).collect();
            item.scopes = scopes.iter().map(|n| format!("s{n}")).collect();
            item.kinds = kinds.iter().map(|n| EventKind::new(1, *n).unwrap()).collect();
            item.tags = tags.iter().map(|n| format!("t{n}")).collect();
            let plain = events.iter().enumerate().rev().find(|(at, (entity, scope, kind, has))| {
                after.is_none_or(|after| *at as u64 > after)
                    && (entities.is_empty() || entities.contains(entity))
                    && (scopes.is_empty() || scopes.contains(scope))
                    && (kinds.is_empty() || kinds.contains(kind))
                    && tags.is_subset(has)
            });
            prop_assert_eq!(index.newest_match(&item, after.map_or(0, |after| after + 1)), plain.map(|(at, _)| at as u64));
        }
    }
}
