//! Answering from an index file.
//!
//! Invariant: the same answers as the part in memory that it was made of. A hash leads to few events, and each is read before it counts.

use std::{ops::Range, sync::OnceLock};

use batpak_format::{Cause, EventId, EventKind, FooterRow, Frame, KeyId};
use batpak_keyset::KeyScope;
use bytes::Bytes;

use super::{
    PartHead, Section,
    keyed::{Key, Keyed},
    list::{List, take_varint},
    source::Frames,
    table::{Shape, word},
};
use crate::{
    ReadError,
    index::{Address, Edges, Head, TakeKeys, Walked},
    sync::{AtomicU64, Ordering},
};

/// See the module.
#[derive(Debug)]
pub(crate) struct MappedPart {
    pub(super) head: PartHead,
    pub(super) rows: [Option<FooterRow>; Section::ALL.len()],
    pub(super) bytes: Bytes,
    /// The sections that were found whole, a bit each.
    pub(super) checked: AtomicU64,
    /// The shapes of the tables that were looked at.
    pub(super) shapes: [OnceLock<Shape>; Section::ALL.len()],
    pub(super) frames: Frames,
}

impl MappedPart {
    pub(crate) const fn head(&self) -> &PartHead {
        &self.head
    }

    fn damaged(&self) -> ReadError {
        ReadError::IndexDamaged { segment: self.head.segment, first_position: self.head.first }
    }

    /// The bytes of a section, checked; empty when the file has none.
    fn section(&self, section: Section) -> Result<&[u8], ReadError> {
        let at = section.tag() as usize - Section::Head as usize;
        let Some(row) = self.rows.get(at).and_then(Option::as_ref) else { return Ok(&[]) };
        let bit = 1 << at;
        if self.checked.load(Ordering::Acquire) & bit == 0 {
            if !row.is_whole(&self.bytes) {
                return Err(self.damaged());
            }
            self.checked.fetch_or(bit, Ordering::AcqRel);
        }
        Ok(row.bytes(&self.bytes))
    }

    /// Checks the whole file, also what was found whole before.
    pub(crate) fn check(&self) -> Result<(), ReadError> {
        if self.rows.iter().flatten().all(|row| row.is_whole(&self.bytes)) { Ok(()) } else { Err(self.damaged()) }
    }

    /// A section that begins with a table; none when the file has none.
    pub(super) fn keyed(&self, section: Section) -> Result<Option<Keyed<'_>>, ReadError> {
        let at = section.tag() as usize - Section::Head as usize;
        let (Some(row), Some(shape)) = (self.rows.get(at).and_then(Option::as_ref), self.shapes.get(at)) else {
            return Ok(None);
        };
        let shape = match shape.get() {
            Some(shape) => *shape,
            None => {
                let read = Shape::read(self.section(section)?).ok_or_else(|| self.damaged())?;
                *shape.get_or_init(|| read)
            }
        };
        let (table, lists) = shape.of(row.bytes(&self.bytes));
        Ok(Some(Keyed { table, lists }))
    }

    fn offset(&self, place: u32) -> Result<u64, ReadError> {
        word(self.section(Section::Offsets)?, place as usize).map(u64::from).ok_or_else(|| self.damaged())
    }

    pub(super) fn global(&self, place: u32) -> u64 {
        self.head.first + u64::from(place)
    }

    /// The place of a position that is here.
    pub(super) fn place(&self, position: u64) -> Option<u32> {
        u32::try_from(position.checked_sub(self.head.first)?).ok().filter(|place| u64::from(*place) < self.head.count)
    }

    /// Lends the frame of an event.
    pub(super) fn frame<R>(&self, place: u32, read: impl FnOnce(&Frame<'_>) -> R) -> Result<R, ReadError> {
        self.frames.with(self.global(place), self.offset(place)?, read)
    }

    /// The list of a key; `is` tells by an event of a list whether it is the key's.
    pub(super) fn list(
        &self,
        section: Section,
        key: Key,
        is: &dyn Fn(&Frame<'_>) -> bool,
    ) -> Result<Option<List<'_>>, ReadError> {
        let Some(keyed) = self.keyed(section)? else { return Ok(None) };
        for list in keyed.find(key) {
            if self.frame(list.last(), is)? {
                return Ok(Some(list));
            }
        }
        Ok(None)
    }

    fn stream(&self, key: Key, entity: &str) -> Result<Option<List<'_>>, ReadError> {
        self.list(Section::Entities, key, &|frame| frame.header().entity() == entity)
    }

    pub(crate) fn position_of(&self, key: Key, id: &EventId) -> Result<Option<u64>, ReadError> {
        if !self.head.may_hold(id) {
            return Ok(None);
        }
        for place in self.keyed(Section::Ids)?.into_iter().flat_map(|ids| ids.values(key)) {
            if self.frame(place, |frame| frame.header().id() == *id)? {
                return Ok(Some(self.global(place)));
            }
        }
        Ok(None)
    }

    /// The positions of the events here that may have an id: hardly ever one that does not.
    pub(crate) fn positions_near(&self, key: Key, id: &EventId) -> Result<impl Iterator<Item = u64>, ReadError> {
        let ids = if self.head.may_hold(id) { self.keyed(Section::Ids)? } else { None };
        Ok(ids.into_iter().flat_map(move |ids| ids.values(key)).map(|place| self.global(place)))
    }

    pub(crate) fn address(&self, position: u64) -> Result<Option<Address>, ReadError> {
        let Some(place) = self.place(position) else { return Ok(None) };
        Ok(Some(Address { segment: self.head.segment, offset: self.offset(place)? }))
    }

    pub(crate) fn id_at(&self, position: u64) -> Result<Option<EventId>, ReadError> {
        self.place(position).map(|place| self.frame(place, |frame| frame.header().id())).transpose()
    }

    pub(crate) fn kind_at(&self, position: u64) -> Result<Option<EventKind>, ReadError> {
        self.place(position).map(|place| self.frame(place, |frame| frame.header().kind())).transpose()
    }

    pub(crate) fn head_of(&self, key: Key, entity: &str) -> Result<Option<Head>, ReadError> {
        let Some(list) = self.stream(key, entity)? else { return Ok(None) };
        let head = |frame: &Frame<'_>| {
            let header = frame.header();
            Head { revision: header.revision(), position: header.position(), chain_hash: header.chain_hash() }
        };
        self.frame(list.last(), head).map(Some)
    }

    /// The position of an entity's event by its revision, if it is one of these.
    pub(crate) fn position_at(&self, key: Key, entity: &str, revision: u64) -> Result<Option<u64>, ReadError> {
        let Some(list) = self.stream(key, entity)? else { return Ok(None) };
        let at = revision.checked_sub(list.base).and_then(|at| usize::try_from(at).ok());
        Ok(at.and_then(|at| list.get(at)).map(|place| self.global(place)))
    }

    /// How many of the entity's events stand before a position; none when that cannot be told from this part.
    pub(crate) fn revisions_below(&self, key: Key, entity: &str, position: u64) -> Result<Option<u64>, ReadError> {
        let Some(list) = self.stream(key, entity)? else { return Ok(None) };
        let bound = u32::try_from(position.saturating_sub(self.head.first)).unwrap_or(u32::MAX);
        let below = list.below(bound);
        Ok((below > 0).then_some(list.base + below as u64))
    }

    /// The keys of a key scope in order, each with the position of the first event here that names it.
    pub(crate) fn keys_of(&self, key: Key, scope: &KeyScope) -> Result<Vec<(KeyId, u64)>, ReadError> {
        let is = |frame: &Frame<'_>| self.frames.source.key_scope(frame).as_ref() == Some(scope);
        match self.list(Section::KeyScopes, key, &is)? {
            Some(list) => self.keys_in(list),
            None => Ok(Vec::new()),
        }
    }

    /// The key that a key scope has after these events.
    pub(crate) fn key_of(&self, key: Key, scope: &KeyScope) -> Result<Option<KeyId>, ReadError> {
        let is = |frame: &Frame<'_>| self.frames.source.key_scope(frame).as_ref() == Some(scope);
        let Some(list) = self.list(Section::KeyScopes, key, &is)? else { return Ok(None) };
        self.frame(list.last(), |frame| frame.header().encryption().map(|encryption| encryption.key_id))
    }

    fn keys_in(&self, list: List<'_>) -> Result<Vec<(KeyId, u64)>, ReadError> {
        let mut keys = Vec::with_capacity(list.count());
        for place in list.iter() {
            let key_id = self.frame(place, |frame| frame.header().encryption().map(|encryption| encryption.key_id))?;
            keys.extend(key_id.map(|key_id| (key_id, self.global(place))));
        }
        Ok(keys)
    }

    pub(crate) fn keys_within(&self, within: &dyn Fn(&KeyScope) -> bool, take: TakeKeys<'_>) -> Result<(), ReadError> {
        let Some(keyed) = self.keyed(Section::KeyScopes)? else { return Ok(()) };
        for list in keyed.all() {
            let scope = self.frame(list.last(), |frame| self.frames.source.key_scope(frame))?;
            if let Some(scope) = scope.filter(|scope| within(scope)) {
                take(&scope, self.keys_in(list)?);
            }
        }
        Ok(())
    }

    /// The keys that events here name, in runs: the first one, and how many.
    pub(crate) fn named(&self) -> Result<Vec<(u64, u32)>, ReadError> {
        let mut bytes = self.section(Section::Named)?;
        let (mut runs, mut end) = (Vec::new(), 0_u64);
        while !bytes.is_empty() {
            let run = take_varint(&mut bytes).zip(take_varint(&mut bytes));
            let run = run.and_then(|(gap, count)| Some((end.checked_add(gap)?, u32::try_from(count).ok()?)));
            let (first, count) = run.ok_or_else(|| self.damaged())?;
            end = first.saturating_add(u64::from(count));
            runs.push((first, count));
        }
        Ok(runs)
    }

    /// Goes through the events of a range of positions, in order, as far as they are here.
    pub(crate) fn walk(&self, positions: Range<u64>, take: &mut dyn FnMut(Walked<'_>)) -> Result<(), ReadError> {
        for position in positions.start.max(self.head.first)..positions.end.min(self.head.next()) {
            let Some(place) = self.place(position) else { return Ok(()) };
            self.frame(place, |frame| {
                let header = frame.header();
                let (id, kind) = (header.id(), header.kind());
                take(Walked { position, id, entity: header.entity(), scope: header.scope(), kind });
            })?;
        }
        Ok(())
    }

    pub(crate) fn caused_by(&self, key: Key, id: &EventId) -> Result<Vec<u64>, ReadError> {
        let is = |frame: &Frame<'_>| frame.header().causes().any(|cause| cause.id == *id);
        self.positions(self.list(Section::Causes, key, &is)?)
    }

    pub(crate) fn correlated(&self, key: Key, id: &EventId) -> Result<Vec<u64>, ReadError> {
        let is = |frame: &Frame<'_>| frame.header().correlation() == Some(*id);
        self.positions(self.list(Section::Correlations, key, &is)?)
    }

    /// Shows the frames of the store's own events that an open takes in.
    pub(crate) fn records(&self, take: &mut dyn FnMut(&Frame<'_>)) -> Result<(), ReadError> {
        for place in self.section(Section::Records)?.as_chunks().0 {
            self.frame(u32::from_le_bytes(*place), &mut *take)?;
        }
        Ok(())
    }

    fn positions(&self, list: Option<List<'_>>) -> Result<Vec<u64>, ReadError> {
        Ok(list.into_iter().flat_map(List::iter).map(|place| self.global(place)).collect())
    }

    /// The edges of an event, its causes as its frame has them.
    pub(crate) fn edges(&self, position: u64) -> Result<Option<Edges>, ReadError> {
        let edges = |frame: &Frame<'_>| {
            let header = frame.header();
            Edges {
                position,
                id: header.id(),
                kind: header.kind(),
                entity: header.entity().into(),
                scope: header.scope().into(),
                correlation: header.correlation(),
                causes: header.causes().collect::<Vec<Cause>>(),
            }
        };
        self.place(position).map(|place| self.frame(place, edges)).transpose()
    }

    /// Lends the frame at a position that is here.
    pub(crate) fn frame_at<R>(
        &self,
        position: u64,
        read: impl FnOnce(&Frame<'_>) -> R,
    ) -> Result<Option<R>, ReadError> {
        self.place(position).map(|place| self.frame(place, read)).transpose()
    }
}
