//! The index of the segments before the active one: a part each, in memory until it has its file, and files of several segments as they
//! age.
//!
//! Invariants: the parts follow one another without a gap from position 0. The list is shared: a reader that has it needs no lock, and
//! a change makes another list.

use std::{collections::BTreeMap, ops::Range, sync::Arc};

use batpak_format::{EventId, EventKind, KeyId, StoreId};
use batpak_keyset::KeyScope;

use super::{Address, Edges, Head, IdHash, Key, KeyHash, MappedPart, MemoryPart, Walked, is_time_ordered};
use crate::{ReadError, condition::QueryItem};

/// So many files of one level make one of the next, of which there are so many: 1, 4, 16 and 64 segments.
const FAN_OUT: usize = 4;
const LEVEL_MAX: u32 = 3;
/// So many files a segment may have that goes on; then they are merged.
pub(crate) const FILES_MAX: usize = 4;
/// A merged file has at most so many events and bytes: above, a slot of its table of ids has too few bits of the hash, and a damaged file
/// takes long to be made again.
const EVENTS_MAX: u64 = 1 << 25;
const BYTES_MAX: usize = 512 << 20;

/// The index of one segment's events, or of some of them.
#[derive(Debug)]
pub(crate) enum Part {
    Memory(Box<MemoryPart>),
    Mapped(Box<MappedPart>),
}

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Ended {
    store: StoreId,
    parts: Arc<Vec<Arc<Part>>>,
    /// The highest id here that is ordered by time: an id above it is none of these.
    pub(super) id_max: [u8; 16],
}

impl Part {
    pub(crate) fn file(file: MappedPart) -> Arc<Self> {
        Arc::new(Self::Mapped(Box::new(file)))
    }

    pub(crate) fn mapped(&self) -> Option<&MappedPart> {
        match self {
            Self::Memory(_) => None,
            Self::Mapped(part) => Some(part),
        }
    }

    pub(crate) fn memory(&self) -> Option<&MemoryPart> {
        match self {
            Self::Memory(part) => Some(part),
            Self::Mapped(_) => None,
        }
    }

    /// The position of its first event.
    pub(crate) fn first(&self) -> u64 {
        match self {
            Self::Memory(part) => part.first(),
            Self::Mapped(part) => part.head().first,
        }
    }

    /// The highest id that is ordered by time.
    fn id_max(&self) -> Option<EventId> {
        match self {
            Self::Memory(part) => part.id_range().map(|(_, most)| most),
            Self::Mapped(part) => Some(part.head().id_max),
        }
    }

    /// One past the position of its last event.
    pub(crate) fn next(&self) -> u64 {
        match self {
            Self::Memory(part) => part.next(),
            Self::Mapped(part) => part.head().next(),
        }
    }
}

impl Ended {
    pub(crate) fn new(store: StoreId) -> Self {
        Self { store, parts: Arc::default(), id_max: [0; 16] }
    }

    pub(super) fn key(&self, key: &[u8]) -> Key {
        Key::new(&self.store, key)
    }

    fn note_ids(&mut self, part: &Part) {
        if let Some(id) = part.id_max() {
            self.id_max = self.id_max.max(*id.as_bytes());
        }
    }

    pub(crate) fn parts(&self) -> &[Arc<Part>] {
        &self.parts
    }

    pub(crate) fn push(&mut self, part: Arc<Part>) {
        self.note_ids(&part);
        Arc::make_mut(&mut self.parts).push(part);
    }

    pub(super) fn last_memory(&self) -> Option<&MemoryPart> {
        match &**self.parts.last()? {
            Part::Memory(part) => Some(part),
            Part::Mapped(_) => None,
        }
    }

    /// Takes out the last part, which was given no file yet.
    pub(super) fn pop_memory(&mut self) -> Option<Box<MemoryPart>> {
        self.last_memory()?;
        let last = Arc::make_mut(&mut self.parts).pop()?;
        match Arc::try_unwrap(last) {
            Ok(Part::Memory(part)) => Some(part),
            // A reader has it too. Rare: a write failed.
            Err(shared) => match &*shared {
                Part::Memory(part) => Some(part.clone()),
                Part::Mapped(_) => None,
            },
            Ok(Part::Mapped(_)) => None,
        }
    }

    /// Puts parts in the place of those that they cover; false when those are no longer there.
    pub(crate) fn replace(&mut self, parts: &[Arc<Part>]) -> bool {
        let (Some(first), Some(last)) = (parts.first(), parts.last()) else { return false };
        let (first, next) = (first.first(), last.next());
        let begin = self.parts.partition_point(|part| part.first() < first);
        let end = self.parts.partition_point(|part| part.next() <= next);
        let covers = |parts: &[Arc<Part>]| {
            parts.first().is_some_and(|part| part.first() == first)
                && parts.last().is_some_and(|part| part.next() == next)
        };
        if begin >= end || !self.parts.get(begin..end).is_some_and(covers) {
            return false;
        }
        Arc::make_mut(&mut self.parts).splice(begin..end, parts.iter().cloned());
        true
    }

    /// Files that are to be merged: those of one segment, or as many of one level as make one of the next, before the active segment and if
    /// an event behind them is written. The active one may have a file that says how it ended: where the next segment was lost in a crash.
    /// The smallest first: a process that ends before a large merge does has done the small ones.
    pub(super) fn mergeable(&self, active: u64, written: u64) -> Option<Vec<Arc<Part>>> {
        let files: Vec<Option<&MappedPart>> = self.parts.iter().map(|part| part.mapped()).collect();
        let pieces = |from: usize| {
            let segment = files[from]?.head().segment;
            let more = files[from..]
                .iter()
                .map_while(|file| *file)
                .take_while(|file| (file.head().segment, file.head().last_segment) == (segment, segment));
            let count = more.count();
            let group = &files[from..from + count];
            (count > 1 && may_merge(group) || count > FILES_MAX && are_few(group)).then_some(count)
        };
        let group = |from: usize| {
            let group = files.get(from..from + FAN_OUT)?;
            let level = level(group[0]?).filter(|level| *level < LEVEL_MAX)?;
            let last = group[FAN_OUT - 1]?.head();
            let has_ended = last.last_segment < active && last.next() < written;
            let same =
                group.iter().all(|file| file.is_some_and(|file| file.is_whole() && self::level(file) == Some(level)));
            (has_ended && same && may_merge(group)).then_some(FAN_OUT)
        };
        let all = || 0..files.len();
        let of_level = |from: usize| Some((files[from].and_then(level), from, group(from)?));
        let least = || all().filter_map(of_level).min().map(|(_, from, count)| (from, count));
        let found = all().find_map(|from| Some((from, pieces(from)?))).or_else(least);
        found.map(|(from, count)| self.parts[from..from + count].to_vec())
    }

    /// The first parts in memory that are of one segment, if an event behind them is written.
    pub(super) fn unfiled(&self, written: u64) -> Option<Vec<Arc<Part>>> {
        let segment = |part: &Arc<Part>| part.memory().map(MemoryPart::segment);
        let begin = self.parts.iter().position(|part| segment(part).is_some())?;
        let rest = self.parts.get(begin..)?;
        let same = rest.iter().take_while(|part| segment(part) == segment(&rest[0])).count();
        let parts = rest.get(..same)?;
        parts.last().filter(|part| part.next() < written).map(|_| parts.to_vec())
    }

    /// The file of the events from a position on.
    pub(crate) fn file_at(&self, first: u64) -> Option<Arc<Part>> {
        let at = self.parts.partition_point(|part| part.next() <= first);
        self.parts.get(at).filter(|part| part.first() == first && part.mapped().is_some()).cloned()
    }

    /// The part that holds a position.
    pub(super) fn part(&self, position: u64) -> Option<&Part> {
        let at = self.parts.partition_point(|part| part.next() <= position);
        self.parts.get(at).map(|part| &**part)
    }

    pub(super) fn segment_of(&self, position: u64) -> u64 {
        match self.part(position) {
            Some(Part::Memory(part)) => part.segment(),
            Some(Part::Mapped(part)) => part.segment_of(position),
            None => 0,
        }
    }

    /// Asks the parts from the newest to the oldest until one answers.
    pub(super) fn newest<T>(
        &self,
        ask: impl Fn(&Part) -> Result<Option<T>, ReadError>,
    ) -> Result<Option<T>, ReadError> {
        for part in self.parts.iter().rev() {
            if let Some(found) = ask(part)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// Gathers what the parts say, in order.
    fn all<T>(&self, ask: impl Fn(&Part) -> Result<Vec<T>, ReadError>) -> Result<Vec<T>, ReadError> {
        let mut all = Vec::new();
        for part in self.parts.iter() {
            all.append(&mut ask(part)?);
        }
        Ok(all)
    }

    pub(crate) fn position_of(&self, id: &EventId) -> Result<Option<u64>, ReadError> {
        self.position_of_hashed(id, IdHash::of(id))
    }

    /// As [`Ended::position_of`], with the hash that the parts in memory have of the id.
    pub(super) fn position_of_hashed(&self, id: &EventId, hash: IdHash) -> Result<Option<u64>, ReadError> {
        if is_time_ordered(id) && *id.as_bytes() > self.id_max {
            return Ok(None);
        }
        let key = self.key(id.as_bytes());
        self.newest(|part| match part {
            Part::Memory(part) => Ok(part.position_of_hashed(id, hash)),
            Part::Mapped(part) => part.position_of(key, id),
        })
    }

    pub(crate) fn id_at(&self, position: u64) -> Result<Option<EventId>, ReadError> {
        match self.part(position) {
            Some(Part::Memory(part)) => Ok(part.id_at(position)),
            Some(Part::Mapped(part)) => part.id_at(position),
            None => Ok(None),
        }
    }

    pub(crate) fn kind_at(&self, position: u64) -> Result<Option<EventKind>, ReadError> {
        match self.part(position) {
            Some(Part::Memory(part)) => Ok(part.kind_at(position)),
            Some(Part::Mapped(part)) => part.kind_at(position),
            None => Ok(None),
        }
    }

    pub(crate) fn address(&self, position: u64) -> Result<Option<Address>, ReadError> {
        match self.part(position) {
            Some(Part::Memory(part)) => Ok(part.address(position)),
            Some(Part::Mapped(part)) => part.address(position),
            None => Ok(None),
        }
    }

    pub(crate) fn head(&self, entity: &str) -> Result<Option<Head>, ReadError> {
        self.head_without(entity, None)
    }

    /// As [`Ended::head`], when a segment's parts in memory may be known not to have the entity.
    pub(super) fn head_without(&self, entity: &str, without: Option<u64>) -> Result<Option<Head>, ReadError> {
        let (key, hash) = (self.key(entity.as_bytes()), KeyHash::of(entity.as_bytes()));
        self.newest(|part| match part {
            Part::Memory(part) if without == Some(part.segment()) => Ok(None),
            Part::Memory(part) => Ok(part.head_hashed(entity, hash)),
            Part::Mapped(part) => part.head_of(key, entity),
        })
    }

    pub(crate) fn position_at(&self, entity: &str, revision: u64) -> Result<Option<u64>, ReadError> {
        let key = self.key(entity.as_bytes());
        self.newest(|part| match part {
            Part::Memory(part) => Ok(part.position_at(entity, revision)),
            Part::Mapped(part) => part.position_at(key, entity, revision),
        })
    }

    pub(crate) fn revisions_below(&self, entity: &str, position: u64) -> Result<u64, ReadError> {
        let key = self.key(entity.as_bytes());
        let below = self.newest(|part| match part {
            part if part.first() >= position => Ok(None),
            Part::Memory(part) => Ok(part.revisions_below(entity, position)),
            Part::Mapped(part) => part.revisions_below(key, entity, position),
        })?;
        Ok(below.unwrap_or(0))
    }

    /// The current key of a key scope, which a segment's parts in memory may be known not to have.
    pub(crate) fn key_of(&self, scope: &KeyScope, without: Option<u64>) -> Result<Option<KeyId>, ReadError> {
        let (key, hash) = (self.key(scope.as_bytes()), KeyHash::of(scope.as_bytes()));
        self.newest(|part| match part {
            Part::Memory(part) if without == Some(part.segment()) => Ok(None),
            Part::Memory(part) => Ok(part.key_of_hashed(scope, hash)),
            Part::Mapped(part) => part.key_of(key, scope),
        })
    }

    pub(crate) fn keys_of(&self, scope: &KeyScope) -> Result<Vec<(KeyId, u64)>, ReadError> {
        let key = self.key(scope.as_bytes());
        let mut keys = self.all(|part| match part {
            Part::Memory(part) => Ok(part.keys_of(scope)),
            Part::Mapped(part) => part.keys_of(key, scope),
        })?;
        keys.dedup_by_key(|(key_id, _)| *key_id);
        Ok(keys)
    }

    pub(crate) fn keys_within(
        &self,
        within: &dyn Fn(&KeyScope) -> bool,
    ) -> Result<BTreeMap<KeyScope, Vec<(KeyId, u64)>>, ReadError> {
        let mut found: BTreeMap<KeyScope, Vec<(KeyId, u64)>> = BTreeMap::new();
        let mut take = |scope: &KeyScope, keys: Vec<(KeyId, u64)>| merge(&mut found, scope, keys);
        for part in self.parts.iter() {
            match &**part {
                Part::Memory(part) => part.keys_within(within, &mut take),
                Part::Mapped(part) => part.keys_within(within, &mut take)?,
            }
        }
        Ok(found)
    }

    pub(crate) fn walk(&self, positions: Range<u64>, take: &mut dyn FnMut(Walked<'_>)) -> Result<(), ReadError> {
        let from = self.parts.partition_point(|part| part.next() <= positions.start);
        for part in self.parts.iter().skip(from).take_while(|part| part.first() < positions.end) {
            match &**part {
                Part::Memory(part) => part.walk(positions.clone(), take),
                Part::Mapped(part) => part.walk(positions.clone(), take)?,
            }
        }
        Ok(())
    }

    pub(crate) fn caused_by(&self, id: &EventId) -> Result<Vec<u64>, ReadError> {
        let key = self.key(id.as_bytes());
        self.all(|part| match part {
            Part::Memory(part) => Ok(part.caused_by(id)),
            Part::Mapped(part) => part.caused_by(key, id),
        })
    }

    pub(crate) fn correlated(&self, id: &EventId) -> Result<Vec<u64>, ReadError> {
        let key = self.key(id.as_bytes());
        self.all(|part| match part {
            Part::Memory(part) => Ok(part.correlated(id)),
            Part::Mapped(part) => part.correlated(key, id),
        })
    }

    pub(crate) fn edges(&self, position: u64) -> Result<Option<Edges>, ReadError> {
        match self.part(position) {
            Some(Part::Memory(part)) => Ok(part.edges(position)),
            Some(Part::Mapped(part)) => part.edges(position),
            None => Ok(None),
        }
    }

    pub(crate) fn newest_match(&self, item: &QueryItem, from: u64) -> Result<Option<u64>, ReadError> {
        self.newest(|part| match part {
            part if part.next() <= from => Ok(None),
            Part::Memory(part) => Ok(part.newest_match(item, from)),
            Part::Mapped(part) => part.newest_match(item, from),
        })
    }

    /// The positions of a window, in order, at which an event may match.
    pub(crate) fn matching(&self, item: &QueryItem, window: &Range<u64>) -> Result<Vec<u64>, ReadError> {
        let from = self.parts.partition_point(|part| part.next() <= window.start);
        let mut positions = Vec::new();
        for part in self.parts.iter().skip(from).take_while(|part| part.first() < window.end) {
            positions.append(&mut match &**part {
                Part::Memory(part) => part.matching(item, window),
                Part::Mapped(part) => part.matching(item, window)?,
            });
        }
        Ok(positions)
    }

    pub(crate) fn new_entities(&self) -> u64 {
        let new = |part: &Arc<Part>| match &**part {
            Part::Memory(part) => part.new_entities(),
            Part::Mapped(part) => part.head().new_entities,
        };
        self.parts.iter().map(new).sum()
    }

    /// Memory; maps are none.
    pub(crate) fn bytes(&self) -> usize {
        let held = |part: &Arc<Part>| match &**part {
            Part::Memory(part) => part.bytes(),
            Part::Mapped(_) => size_of::<MappedPart>(),
        };
        self.parts.iter().map(held).sum()
    }
}

/// The level of a file: how often as many as are merged went into it, by the segments that it covers.
fn level(file: &MappedPart) -> Option<u32> {
    file.segments().checked_ilog(FAN_OUT as u64)
}

/// Whether files follow one another up to the end of a rolled segment, and make one that is not too large.
fn may_merge(files: &[Option<&MappedPart>]) -> bool {
    let last = files.last().copied().flatten().and_then(|last| last.spans().last());
    last.is_some_and(|last| last.rolled.is_some()) && are_few(files)
}

/// Whether files follow one another, and make one that is not too large.
fn are_few(files: &[Option<&MappedPart>]) -> bool {
    let all = || files.iter().copied().flatten();
    all().zip(all().skip(1)).all(|(file, next)| file.is_followed_by(next))
        && all().map(|file| file.head().count).sum::<u64>() <= EVENTS_MAX
        && all().map(MappedPart::file_bytes).sum::<usize>() <= BYTES_MAX
}

/// Adds the keys that a later part has of a key scope.
pub(crate) fn merge(found: &mut BTreeMap<KeyScope, Vec<(KeyId, u64)>>, scope: &KeyScope, keys: Vec<(KeyId, u64)>) {
    let known = found.entry(scope.clone()).or_default();
    known.extend(keys);
    known.dedup_by_key(|(key_id, _)| *key_id);
}
