//! What the records of shreds among some events say, for the index file of these events: which key scopes they name, which keys, and which
//! intent is the last.
//!
//! The index in memory does not keep it: while events are in memory, so is what the records among them say. It is read from the records
//! when the file is made.
//!
//! Invariant: it is what the log says and nothing else: a record that does not decode names nothing, here as in an open.

use std::{collections::HashMap, io, sync::Arc};

use batpak_format::{EventKind, Frame, KeyRun, Record, StoreId};

use super::{
    LastIntent, MappedPart, PartHead, Section, Source,
    keyed::{Key, KeyedBuilder, hash},
    list::List,
    source::Frames,
};
use crate::{
    ReadError,
    condition::QueryItem,
    index::memory::{MemoryPart, join_runs},
};

/// Canonical key scopes with the places of the intents and readmissions that name them.
pub(crate) type ShredPlaces = HashMap<Box<[u8]>, Vec<u32>>;

/// The kinds of the records that are looked at.
const KINDS: [EventKind; 4] =
    [EventKind::SHRED_INTENT, EventKind::SHRED_COMPLETED, EventKind::SCOPE_READMITTED, EventKind::ROLLBACK_ACCEPTED];

/// See the module.
#[derive(Debug, Default)]
pub(super) struct ShredFacts {
    places: ShredPlaces,
    runs: Vec<KeyRun>,
    intent: Option<LastIntent>,
    completed: Option<u64>,
    unreached: bool,
}

impl ShredFacts {
    /// Reads the records among the events of parts that follow one another.
    pub(super) fn of(source: &Arc<Source>, parts: &[&MemoryPart]) -> io::Result<Self> {
        let mut facts = Self::default();
        let first = parts.first().map_or(0, |part| part.first());
        for part in parts {
            let read = source.shred_records(part, &mut |frame| facts.take(first, frame));
            read.map_err(|why| match why {
                ReadError::Disk { source, .. } => source,
                _ => io::ErrorKind::InvalidData.into(),
            })?;
        }
        Ok(facts)
    }

    fn take(&mut self, first: u64, frame: &Frame<'_>) {
        let (position, kind) = (frame.header().position(), frame.header().kind());
        let Ok(place) = u32::try_from(position - first) else { return };
        match frame.payload().map(|payload| Record::decode(kind, payload)) {
            Some(Ok(Record::ShredIntent(intent))) => {
                self.intent = Some(LastIntent { position, previous: intent.previous_intent });
                for target in intent.targets {
                    self.runs.extend(target.runs);
                    self.name(target.key_scope, place);
                }
            }
            Some(Ok(Record::ScopeReadmitted(readmitted))) => self.name(readmitted.key_scope, place),
            Some(Ok(Record::ShredCompleted(completed))) if kind == EventKind::SHRED_COMPLETED => {
                self.completed = Some(completed.intent);
                self.unreached |= completed.unreachable > 0;
            }
            Some(Ok(Record::RollbackAccepted(_))) => self.unreached = true,
            _ => {}
        }
    }

    /// Leaves that no event names have no key scope.
    fn name(&mut self, key_scope: Box<[u8]>, place: u32) {
        let places = self.places.entry(key_scope).or_default();
        if places.last() != Some(&place) {
            places.push(place);
        }
    }

    /// The head with what is said of shreds.
    pub(super) fn head(&self, head: PartHead) -> PartHead {
        PartHead { intent: self.intent, completed: self.completed, unreached: self.unreached, ..head }
    }

    /// The keys that events name, and those that intents name, as runs in order.
    pub(super) fn named(&self, mut runs: Vec<(u64, u32)>) -> Vec<(u64, u32)> {
        if !self.runs.is_empty() {
            runs.extend(self.runs.iter().map(|run| (run.first.as_u64(), run.count)));
            join_runs(&mut runs);
        }
        runs
    }

    /// The section of key scopes; none when no record names one.
    pub(super) fn section(&self, store: &StoreId) -> Option<Vec<u8>> {
        let mut builder = KeyedBuilder::default();
        for (scope, places) in self.places.iter().filter(|(scope, _)| !scope.is_empty()) {
            builder.add(hash(store, scope), 0, places);
        }
        builder.finish()
    }

    pub(super) fn into_places(self) -> ShredPlaces {
        self.places
    }
}

impl Source {
    /// Shows the frames of the records of shreds among the events of a part in memory, in order.
    fn shred_records(self: &Arc<Self>, part: &MemoryPart, take: &mut dyn FnMut(&Frame<'_>)) -> Result<(), ReadError> {
        let mut places = part.kinds.iter().zip(0_u32..).filter(|(kind, _)| KINDS.contains(kind)).peekable();
        if places.peek().is_none() {
            return Ok(());
        }
        let frames = Frames::new(Arc::clone(self), part.segment);
        places.try_for_each(|(_, place)| {
            let offset = part.rows.get(place as usize).map_or(0, |row| u64::from(row.offset));
            frames.with(part.first() + u64::from(place), offset, &mut *take)
        })
    }

    /// The places of the records among the events of a part in memory that name a key scope. They are read once: such a part is there in
    /// the place of a damaged file that could not be made again.
    pub(crate) fn shred_places<'p>(
        self: &Arc<Self>,
        part: &'p MemoryPart,
        key_scope: &[u8],
    ) -> Result<&'p [u32], ReadError> {
        let places = match part.shred_places.get() {
            Some(places) => places,
            None => {
                let refused = |why| ReadError::Disk { path: self.segments.clone(), source: why };
                let read = ShredFacts::of(self, &[part]).map_err(refused)?;
                part.shred_places.get_or_init(|| read.into_places())
            }
        };
        Ok(places.get(key_scope).map_or(&[], |places| places))
    }

    /// Lends the frame of an event of a part in memory that is with the operating system.
    pub(crate) fn frame_of<R>(
        self: &Arc<Self>,
        part: &MemoryPart,
        position: u64,
        read: impl FnOnce(&Frame<'_>) -> R,
    ) -> Result<Option<R>, ReadError> {
        let Some(address) = part.address(position) else { return Ok(None) };
        Frames::new(Arc::clone(self), address.segment).with(position, address.offset, read).map(Some)
    }
}

impl MappedPart {
    /// Whether a record here says that a key scope was shredded, or readmitted.
    pub(crate) fn names_scopes(&self) -> bool {
        self.row(Section::Shreds).is_some()
    }

    /// The positions of the records that name a key scope: hardly ever of one that does not.
    pub(crate) fn naming(&self, key: Key) -> Result<impl Iterator<Item = u64>, ReadError> {
        let lists = self.keyed(Section::Shreds)?.into_iter().flat_map(move |keyed| keyed.find(key));
        Ok(lists.flat_map(List::iter).map(|place| self.global(place)))
    }

    /// Shows the frames of the records of shreds, in order.
    pub(crate) fn shred_records(&self, take: &mut dyn FnMut(&Frame<'_>)) -> Result<(), ReadError> {
        let item = QueryItem { kinds: KINDS.to_vec(), ..QueryItem::default() };
        for position in self.matching(&item, &(self.head.first..self.head.next()))? {
            self.frame_at(position, &mut *take)?;
        }
        Ok(())
    }
}
