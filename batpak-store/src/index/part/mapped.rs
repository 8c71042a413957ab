//! Answering from an index file.
//!
//! Invariant: the same answers as the part in memory that it was made of. A hash leads to few events, and each is read before it counts.

use std::{
    ops::Range,
    sync::{Arc, OnceLock},
};

use batpak_format::{Cause, EventId, EventKind, FooterRow, Frame, KeyId, SEGMENT_HEADER_LEN};
use batpak_keyset::KeyScope;
use bytes::Bytes;

use super::{
    PartHead, Section, Source, Span,
    keyed::{Key, Keyed},
    list::{List, take_varint},
    source::Frames,
    table::{Shape, Table, word},
};
use crate::{
    ReadError,
    index::{Address, Edges, Head, Stand, TakeKeys, Times, Walked},
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
    pub(super) source: Arc<Source>,
    pub(super) spans: Vec<Span>,
    /// The place of the first event of each, and the frames of its segment.
    pub(super) first_places: Vec<u32>,
    pub(super) frames: Vec<Frames>,
}

impl MappedPart {
    pub(crate) const fn head(&self) -> &PartHead {
        &self.head
    }

    /// The segments that it covers, in order: one entry each, or more than one that follow one another.
    pub(crate) fn spans(&self) -> &[Span] {
        &self.spans
    }

    /// Where the first frame begins in its segment, and where the last one ends in its.
    pub(crate) fn bounds(&self) -> Option<(u64, u64)> {
        Some((self.spans.first()?.begin, self.spans.last()?.end))
    }

    /// The positions of each entry, and their times.
    pub(crate) fn spans_of_positions(&self) -> impl Iterator<Item = (Range<u64>, Times)> {
        let ends = self.spans.iter().skip(1).map(|span| span.first).chain([self.head.next()]);
        self.spans.iter().zip(ends).map(|(span, end)| (span.first..end, span.times))
    }

    /// Whether it covers whole segments, which are rolled.
    pub(crate) fn is_whole(&self) -> bool {
        self.bounds().is_some_and(|(begin, _)| begin == SEGMENT_HEADER_LEN as u64)
            && self.spans.last().is_some_and(|last| last.rolled.is_some())
    }

    /// How many segments it covers, or pieces of them.
    pub(crate) const fn segments(&self) -> u64 {
        self.head.last_segment - self.head.segment + 1
    }

    /// Whether another file goes on where this one ends.
    pub(crate) fn is_followed_by(&self, next: &Self) -> bool {
        let ends = self.spans.last().zip(next.spans.first());
        self.head.next() == next.head.first && ends.is_some_and(|(end, begin)| begin.follows(end))
    }

    /// The bytes of its file.
    pub(crate) fn file_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The entry that a place is in.
    fn entry(&self, place: u32) -> usize {
        self.first_places.partition_point(|first| *first <= place).saturating_sub(1)
    }

    /// The segment of a position that is here.
    pub(crate) fn segment_of(&self, position: u64) -> u64 {
        let entry = self.place(position).map(|place| self.entry(place));
        entry.and_then(|entry| self.spans.get(entry)).map_or(0, |span| span.segment)
    }

    fn damaged(&self) -> ReadError {
        ReadError::IndexDamaged { segment: self.head.segment, first_position: self.head.first }
    }

    pub(super) fn row(&self, section: Section) -> Option<&FooterRow> {
        self.rows.get(section.tag() as usize - Section::Head as usize).and_then(Option::as_ref)
    }

    /// The bytes of a section, checked; empty when the file has none.
    pub(super) fn section(&self, section: Section) -> Result<&[u8], ReadError> {
        let at = section.tag() as usize - Section::Head as usize;
        let Some(row) = self.row(section) else { return Ok(&[]) };
        let bit = 1 << at;
        if self.checked.load(Ordering::Acquire) & bit == 0 {
            if !row.is_whole(&self.bytes) {
                return Err(self.damaged());
            }
            self.checked.fetch_or(bit, Ordering::AcqRel);
        }
        Ok(row.bytes(&self.bytes))
    }

    /// Checks the whole file, also what was found whole before; no lookup checks a section then.
    pub(crate) fn check(&self) -> Result<(), ReadError> {
        if !self.rows.iter().flatten().all(|row| row.is_whole(&self.bytes)) {
            return Err(self.damaged());
        }
        self.checked.store(u64::MAX, Ordering::Release);
        Ok(())
    }

    /// A section that begins with a table, and what stands behind the table; none when the file has none.
    pub(super) fn table(&self, section: Section) -> Result<Option<(Table<'_>, &[u8])>, ReadError> {
        let at = section.tag() as usize - Section::Head as usize;
        let (Some(row), Some(shape)) = (self.row(section), self.shapes.get(at)) else { return Ok(None) };
        let shape = match shape.get() {
            Some(shape) => *shape,
            None => {
                let read = Shape::read(self.section(section)?).ok_or_else(|| self.damaged())?;
                *shape.get_or_init(|| read)
            }
        };
        Ok(Some(shape.of(row.bytes(&self.bytes))))
    }

    pub(super) fn keyed(&self, section: Section) -> Result<Option<Keyed<'_>>, ReadError> {
        let Some((table, rest)) = self.table(section)? else { return Ok(None) };
        Keyed::new(table, rest, &self.first_places).ok_or_else(|| self.damaged()).map(Some)
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

    /// Lends the frame of an event. That the offsets are whole is asked when there is no such frame: one that is found is the event's.
    pub(super) fn frame<R>(&self, place: u32, read: impl FnOnce(&Frame<'_>) -> R) -> Result<R, ReadError> {
        let frames = self.frames.get(self.entry(place)).ok_or_else(|| self.damaged())?;
        let offsets = self.row(Section::Offsets).map_or(&[][..], |row| row.bytes(&self.bytes));
        let offset = word(offsets, place as usize).ok_or_else(|| self.damaged())?;
        let lent = frames.with(self.global(place), u64::from(offset), read);
        if lent.is_err() {
            self.section(Section::Offsets)?;
        }
        lent
    }

    /// The lists of a key that a test picks by what they say of themselves, the newest first; `is` tells by an event of a list whether it
    /// is the key's. There is one in each entry with events of the key.
    fn lists_where<'a>(
        &'a self,
        (section, key): (Section, Key),
        pick: impl Fn(&List<'a>) -> bool + 'a,
        is: impl Fn(&Frame<'_>) -> bool + 'a,
    ) -> Result<impl Iterator<Item = Result<List<'a>, ReadError>> + 'a, ReadError> {
        let lists = self.keyed(section)?.into_iter().flat_map(move |keyed| keyed.find(key)).filter(pick);
        Ok(lists.filter_map(move |list| match self.frame(list.last(), &is) {
            Ok(true) => Some(Ok(list)),
            Ok(false) => None,
            Err(why) => Some(Err(why)),
        }))
    }

    /// All lists of a key, the newest first.
    fn lists<'a>(
        &'a self,
        section: Section,
        key: Key,
        is: impl Fn(&Frame<'_>) -> bool + 'a,
    ) -> Result<impl Iterator<Item = Result<List<'a>, ReadError>> + 'a, ReadError> {
        self.lists_where((section, key), |_| true, is)
    }

    /// The newest list of an entity that a test picks.
    fn stream<'a>(
        &'a self,
        key: Key,
        entity: &'a str,
        pick: impl Fn(&List<'a>) -> bool + 'a,
    ) -> Result<Option<List<'a>>, ReadError> {
        let is = move |frame: &Frame<'_>| frame.header().entity() == entity;
        self.lists_where((Section::Entities, key), pick, is)?.next().transpose()
    }

    pub(crate) fn position_of(&self, key: Key, id: &EventId) -> Result<Option<u64>, ReadError> {
        if !self.head.may_hold(id) {
            return Ok(None);
        }
        for place in self.table(Section::Ids)?.into_iter().flat_map(|(ids, _)| ids.find(key.hash)) {
            if self.frame(place, |frame| frame.header().id() == *id)? {
                return Ok(Some(self.global(place)));
            }
        }
        Ok(None)
    }

    /// The positions of the events here that may have an id: hardly ever one that does not.
    pub(crate) fn positions_near(&self, key: Key, id: &EventId) -> Result<impl Iterator<Item = u64>, ReadError> {
        let ids = if self.head.may_hold(id) { self.table(Section::Ids)? } else { None };
        Ok(ids.into_iter().flat_map(move |(ids, _)| ids.find(key.hash)).map(|place| self.global(place)))
    }

    pub(crate) fn address(&self, position: u64) -> Result<Option<Address>, ReadError> {
        let Some(place) = self.place(position) else { return Ok(None) };
        let segment = self.spans.get(self.entry(place)).map_or(0, |span| span.segment);
        Ok(Some(Address { segment, offset: self.offset(place)? }))
    }

    /// Where the event at a position stands, and how far.
    pub(crate) fn stand(&self, position: u64) -> Result<Option<Stand>, ReadError> {
        let Some(place) = self.place(position) else { return Ok(None) };
        let entry = self.entry(place);
        let Some(span) = self.spans.get(entry) else { return Err(self.damaged()) };
        let offset = self.offset(place)?;
        let behind = self.first_places.get(entry + 1).map_or(self.head.count, |first| u64::from(*first));
        let is_last = u64::from(place) + 1 >= behind;
        let end = if is_last { span.end } else { self.offset(place + 1)? };
        let address = Address { segment: span.segment, offset };
        Ok(Some(Stand { position, address, len: end.saturating_sub(offset) }))
    }

    pub(crate) fn id_at(&self, position: u64) -> Result<Option<EventId>, ReadError> {
        self.place(position).map(|place| self.frame(place, |frame| frame.header().id())).transpose()
    }

    pub(crate) fn kind_at(&self, position: u64) -> Result<Option<EventKind>, ReadError> {
        self.place(position).map(|place| self.frame(place, |frame| frame.header().kind())).transpose()
    }

    pub(crate) fn head_of(&self, key: Key, entity: &str) -> Result<Option<Head>, ReadError> {
        let Some(list) = self.stream(key, entity, |_| true)? else { return Ok(None) };
        let head = |frame: &Frame<'_>| {
            let header = frame.header();
            Head { revision: header.revision(), position: header.position(), chain_hash: header.chain_hash() }
        };
        self.frame(list.last(), head).map(Some)
    }

    /// The position of an entity's event by its revision, if it is one of these.
    pub(crate) fn position_at(&self, key: Key, entity: &str, revision: u64) -> Result<Option<u64>, ReadError> {
        let at = move |list: &List<'_>| {
            let at = usize::try_from(revision.checked_sub(list.base)?).ok()?;
            Some(at).filter(|at| *at < list.count())
        };
        let Some(list) = self.stream(key, entity, move |list| at(list).is_some())? else { return Ok(None) };
        Ok(at(&list).and_then(|at| list.get(at)).map(|place| self.global(place)))
    }

    /// How many of the entity's events stand before a position; none when that cannot be told from this part.
    pub(crate) fn revisions_below(&self, key: Key, entity: &str, position: u64) -> Result<Option<u64>, ReadError> {
        let bound = u32::try_from(position.saturating_sub(self.head.first)).unwrap_or(u32::MAX);
        let list = self.stream(key, entity, move |list| list.get(0).is_some_and(|first| first < bound))?;
        Ok(list.map(|list| list.base + list.below(bound) as u64))
    }

    /// The keys of a key scope in order, each with the position of the first event here that names it; one may be named again.
    pub(crate) fn keys_of(&self, key: Key, scope: &KeyScope) -> Result<Vec<(KeyId, u64)>, ReadError> {
        let mut lists: Vec<List<'_>> = self.scope_lists(key, scope)?.collect::<Result<_, _>>()?;
        lists.reverse();
        let mut keys = Vec::new();
        for list in lists {
            keys.append(&mut self.keys_in(list)?);
        }
        Ok(keys)
    }

    /// The key that a key scope has after these events.
    pub(crate) fn key_of(&self, key: Key, scope: &KeyScope) -> Result<Option<KeyId>, ReadError> {
        let Some(list) = self.scope_lists(key, scope)?.next().transpose()? else { return Ok(None) };
        self.frame(list.last(), |frame| frame.header().encryption().map(|encryption| encryption.key_id))
    }

    fn scope_lists<'a>(
        &'a self,
        key: Key,
        scope: &'a KeyScope,
    ) -> Result<impl Iterator<Item = Result<List<'a>, ReadError>> + 'a, ReadError> {
        self.lists(Section::KeyScopes, key, move |frame| self.source.key_scope(frame).as_ref() == Some(scope))
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
            let scope = self.frame(list.last(), |frame| self.source.key_scope(frame))?;
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
        self.positions(self.lists(Section::Causes, key, is)?)
    }

    pub(crate) fn correlated(&self, key: Key, id: &EventId) -> Result<Vec<u64>, ReadError> {
        let is = |frame: &Frame<'_>| frame.header().correlation() == Some(*id);
        self.positions(self.lists(Section::Correlations, key, is)?)
    }

    /// Shows the frames of holds and releases.
    pub(crate) fn records(&self, take: &mut dyn FnMut(&Frame<'_>)) -> Result<(), ReadError> {
        for place in self.section(Section::Records)?.as_chunks().0 {
            self.frame(u32::from_le_bytes(*place), &mut *take)?;
        }
        Ok(())
    }

    /// In order.
    fn positions<'a>(
        &self,
        newest_first: impl Iterator<Item = Result<List<'a>, ReadError>>,
    ) -> Result<Vec<u64>, ReadError> {
        let lists: Vec<List<'a>> = newest_first.collect::<Result<_, _>>()?;
        Ok(lists.into_iter().rev().flat_map(List::iter).map(|place| self.global(place)).collect())
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
