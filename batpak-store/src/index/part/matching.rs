//! Finding the newest event of an index file that matches a query item.
//!
//! Invariant: exact, and the same as in memory: lists of one dimension are walked from the newest event back; what else is asked for is
//! read from the event itself.

use std::ops::Range;

use batpak_format::{EventKind, Frame, Header};

use super::{MappedPart, Section, keyed::Key, list::List};
use crate::{ReadError, condition::QueryItem};

impl MappedPart {
    /// Returns the last position, not before `from`, at which an event matches.
    pub(crate) fn newest_match(&self, item: &QueryItem, from: u64) -> Result<Option<u64>, ReadError> {
        let from = self.place(from.max(self.head.first)).unwrap_or(u32::MAX);
        let Some(lists) = self.lists_of(item, from)? else {
            return self.newest_of((from..self.head.count as u32).rev(), item);
        };
        let mut newest: Option<u64> = None;
        for list in lists {
            let after = |place: &u32| *place >= from && newest.is_none_or(|newest| self.global(*place) > newest);
            newest = self.newest_of(list.newest_first().take_while(after), item)?.or(newest);
        }
        Ok(newest)
    }

    /// Returns the positions of a window, in order, at which an event may match: those of one dimension.
    pub(crate) fn matching(&self, item: &QueryItem, window: &Range<u64>) -> Result<Vec<u64>, ReadError> {
        let place = |position: u64| {
            u32::try_from(position.saturating_sub(self.head.first).min(self.head.count)).unwrap_or(u32::MAX)
        };
        let range = place(window.start)..place(window.end);
        let Some(lists) = self.lists_of(item, range.start)? else {
            return Ok(range.map(|place| self.global(place)).collect());
        };
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

    /// The lists to walk that reach up to `from`, those of a key from the newest on; none when no dimension is named. Tags pick the fewest
    /// events, kinds the most.
    fn lists_of(&self, item: &QueryItem, from: u32) -> Result<Option<Vec<List<'_>>>, ReadError> {
        let mut lists = Vec::new();
        if let Some(tag) = item.tags.first() {
            let is = |frame: &Frame<'_>| frame.header().tags().any(|has| has == tag);
            self.gather(Section::Tags, tag.as_bytes(), from, &is, &mut lists)?;
        } else if !item.entities.is_empty() {
            for entity in &item.entities {
                let is = |frame: &Frame<'_>| frame.header().entity() == entity;
                self.gather(Section::Entities, entity.as_bytes(), from, &is, &mut lists)?;
            }
        } else if !item.scopes.is_empty() {
            for scope in &item.scopes {
                let is = |frame: &Frame<'_>| frame.header().scope() == scope;
                self.gather(Section::Scopes, scope.as_bytes(), from, &is, &mut lists)?;
            }
        } else if !item.kinds.is_empty() {
            for kind in &item.kinds {
                let is = |frame: &Frame<'_>| frame.header().kind() == *kind;
                self.gather(Section::Kinds, &kind.as_u16().to_le_bytes(), from, &is, &mut lists)?;
            }
        } else {
            return Ok(None);
        }
        Ok(Some(lists))
    }

    fn gather<'a>(
        &'a self,
        section: Section,
        key: &[u8],
        from: u32,
        is: &dyn Fn(&Frame<'_>) -> bool,
        lists: &mut Vec<List<'a>>,
    ) -> Result<(), ReadError> {
        let Some(keyed) = self.keyed(section)? else { return Ok(()) };
        for list in keyed.find(self.key(key)).filter(|list| list.last() >= from) {
            if self.frame(list.last(), is)? {
                lists.push(list);
            }
        }
        Ok(())
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
