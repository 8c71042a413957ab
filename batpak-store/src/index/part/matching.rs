//! Finding the newest event of an index file that matches a query item.
//!
//! Invariant: exact, and the same as in memory: lists of one dimension are walked from the newest event back; what else is asked for is
//! read from the event itself.

use std::ops::Range;

use batpak_format::{EventKind, Header};

use super::{MappedPart, Section, keyed::Key, list::List};
use crate::{ReadError, condition::QueryItem};

impl MappedPart {
    /// Returns the last position, not before `from`, at which an event matches.
    pub(crate) fn newest_match(&self, item: &QueryItem, from: u64) -> Result<Option<u64>, ReadError> {
        let from = self.place(from.max(self.head.first)).unwrap_or(u32::MAX);
        let Some(lists) = self.lists(item)? else { return self.newest_of((from..self.head.count as u32).rev(), item) };
        let mut newest = None;
        for list in lists {
            let found = self.newest_of(list.newest_first().take_while(|place| *place >= from), item)?;
            newest = newest.max(found);
        }
        Ok(newest)
    }

    /// Returns the positions of a window, in order, at which an event may match: those of one dimension.
    pub(crate) fn matching(&self, item: &QueryItem, window: &Range<u64>) -> Result<Vec<u64>, ReadError> {
        let place = |position: u64| {
            u32::try_from(position.saturating_sub(self.head.first).min(self.head.count)).unwrap_or(u32::MAX)
        };
        let range = place(window.start)..place(window.end);
        let Some(lists) = self.lists(item)? else { return Ok(range.map(|place| self.global(place)).collect()) };
        let mut places: Vec<u32> = lists.into_iter().flat_map(|list| list.within(range.clone())).collect();
        places.sort_unstable();
        places.dedup();
        Ok(places.into_iter().map(|place| self.global(place)).collect())
    }

    fn key(&self, key: &[u8]) -> Key {
        Key::new(&self.head.store, key)
    }

    fn newest_of(&self, places: impl Iterator<Item = u32>, item: &QueryItem) -> Result<Option<u64>, ReadError> {
        for place in places {
            if self.frame(place, |frame| fits(item, frame.header()))? {
                return Ok(Some(self.global(place)));
            }
        }
        Ok(None)
    }

    /// The lists to walk; none when no dimension is named. Tags pick the fewest events, kinds the most.
    fn lists(&self, item: &QueryItem) -> Result<Option<Vec<List<'_>>>, ReadError> {
        if let Some(tag) = item.tags.first() {
            let list = self
                .list(Section::Tags, self.key(tag.as_bytes()), &|frame| frame.header().tags().any(|has| has == tag))?;
            return Ok(Some(list.into_iter().collect()));
        }
        let mut lists = Vec::new();
        if !item.entities.is_empty() {
            for entity in &item.entities {
                let is = &|frame: &batpak_format::Frame<'_>| frame.header().entity() == entity;
                lists.extend(self.list(Section::Entities, self.key(entity.as_bytes()), is)?);
            }
        } else if !item.scopes.is_empty() {
            for scope in &item.scopes {
                let is = &|frame: &batpak_format::Frame<'_>| frame.header().scope() == scope;
                lists.extend(self.list(Section::Scopes, self.key(scope.as_bytes()), is)?);
            }
        } else if !item.kinds.is_empty() {
            for kind in &item.kinds {
                let is = &|frame: &batpak_format::Frame<'_>| frame.header().kind() == *kind;
                lists.extend(self.list(Section::Kinds, self.key(&kind.as_u16().to_le_bytes()), is)?);
            }
        } else {
            return Ok(None);
        }
        Ok(Some(lists))
    }
}

fn fits(item: &QueryItem, header: &Header<'_>) -> bool {
    let any_of = |names: &[String], has: &str| names.is_empty() || names.iter().any(|name| name == has);
    let kind: EventKind = header.kind();
    any_of(&item.entities, header.entity())
        && any_of(&item.scopes, header.scope())
        && if item.kinds.is_empty() { !kind.is_reserved() } else { item.kinds.contains(&kind) }
        && item.tags.iter().all(|tag| header.tags().any(|has| has == *tag))
}
