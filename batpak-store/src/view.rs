//! What readers see of the log: the index, how far it may be read, and what is held.
//!
//! Invariants: no read goes past the visible mark. Below it everything is with the operating system, or, for deferred appends, in
//! the write buffer. The lock around the index is not held while an index file is read.

use std::{collections::BTreeMap, ops::Range, sync::Arc};

use batpak_format::{EventId, KeyId, Record, Timestamp};
use batpak_keyset::KeyScope;

use crate::{
    ReadError,
    condition::QueryItem,
    holds::Holds,
    index::{Address, Edges, Ended, Head, LogIndex, MemoryPart, Part, Source, Stand, merge},
    sync::{AtomicBool, AtomicU64, Ordering, RwLock, read},
};

/// See the module.
#[derive(Debug)]
pub(crate) struct View {
    pub(crate) source: Arc<Source>,
    pub(crate) index: RwLock<LogIndex>,
    /// Whether a segment was begun since each one before it got its index file.
    pub(crate) unfiled: AtomicBool,
    /// Where the first piece of the active segment ends that has no file yet; the last position when each has one. It is changed under the
    /// lock around the index.
    pub(crate) piece_end: AtomicU64,
    /// Below it the pieces of the active segment have files.
    pub(crate) pieces_filed: AtomicU64,
    visible: AtomicU64,
    written: AtomicU64,
    durable: AtomicU64,
    pub(crate) holds: RwLock<Holds>,
}

impl View {
    /// Shows everything that the index holds, which is durable where it may be written.
    pub(crate) fn new(source: Arc<Source>, index: LogIndex, holds: Holds) -> Self {
        let end = |parts: &[Arc<Part>]| parts.first().map_or(u64::MAX, |part| part.next());
        let (piece_end, next) = (AtomicU64::new(end(index.pieces())), || AtomicU64::new(index.len()));
        let (visible, written, durable) = (next(), next(), next());
        let (unfiled, pieces_filed) = (AtomicBool::new(true), AtomicU64::new(0));
        let (index, holds) = (RwLock::new(index), RwLock::new(holds));
        Self { source, index, unfiled, piece_end, pieces_filed, visible, written, durable, holds }
    }

    /// The visible mark: one past the last position that may be read.
    pub(crate) fn visible(&self) -> u64 {
        self.visible.load(Ordering::Acquire)
    }

    pub(crate) fn set_visible(&self, mark: u64) {
        self.visible.store(mark, Ordering::Release);
    }

    /// Positions below are with the operating system, and stay there. Readers look at it instead of the commit lock.
    pub(crate) fn written(&self) -> u64 {
        self.written.load(Ordering::Acquire)
    }

    /// Set before the visible mark is.
    pub(crate) fn set_written(&self, mark: u64) {
        self.written.store(mark, Ordering::Release);
    }

    /// Positions below are known durable.
    pub(crate) fn durable(&self) -> u64 {
        self.durable.load(Ordering::Acquire)
    }

    pub(crate) fn set_durable(&self, mark: u64) {
        self.durable.store(mark, Ordering::Release);
    }

    /// Whether a piece of the active segment that has no file yet has become durable.
    pub(crate) fn is_piece_due(&self) -> bool {
        self.piece_end.load(Ordering::Acquire) <= self.durable()
    }

    /// Asks what is in memory under the lock, and then, if that does not know, the rest without it.
    fn ask<T>(
        &self,
        memory: impl FnOnce(&MemoryPart) -> Option<T>,
        ended: impl Fn(&Ended) -> Result<Option<T>, ReadError>,
    ) -> Result<Option<T>, ReadError> {
        let index = read(&self.index);
        if let Some(found) = memory(&index.active) {
            return Ok(Some(found));
        }
        let rest = index.ended.clone();
        drop(index);
        self.ask_ended(&rest, ended)
    }

    /// Asks once more when an index file was found damaged, and made again.
    fn ask_ended<T>(&self, ended: &Ended, ask: impl Fn(&Ended) -> Result<T, ReadError>) -> Result<T, ReadError> {
        match ask(ended) {
            Err(why @ ReadError::IndexDamaged { .. }) => {
                self.heal(&why)?;
                let ended = read(&self.index).ended.clone();
                ask(&ended)
            }
            answer => answer,
        }
    }

    pub(crate) fn position_of(&self, id: &EventId) -> Result<Option<u64>, ReadError> {
        let position = self.placed(id)?;
        Ok(position.filter(|position| *position < self.visible()))
    }

    /// The position of an event, also of one that is on its way.
    pub(crate) fn placed(&self, id: &EventId) -> Result<Option<u64>, ReadError> {
        self.ask(|active| active.position_of(id), |ended| ended.position_of(id))
    }

    /// The current key of a key scope, also one that only an event on its way names.
    pub(crate) fn key_of(&self, scope: &KeyScope) -> Result<Option<KeyId>, ReadError> {
        let index = read(&self.index);
        if let Some(found) = index.active.key_of(scope) {
            return Ok(Some(found));
        }
        let (without, rest) = (index.without_scope(scope), index.ended.clone());
        drop(index);
        self.ask_ended(&rest, |ended| ended.key_of(scope, without))
    }

    /// The keys of a key scope, each with the position of its first event, also those that only events on their way name.
    pub(crate) fn keys_of(&self, scope: &KeyScope) -> Result<Vec<(KeyId, u64)>, ReadError> {
        let index = read(&self.index);
        let (ended, active) = (index.ended.clone(), index.active.keys_of(scope));
        drop(index);
        let mut keys = self.ask_ended(&ended, |ended| ended.keys_of(scope))?;
        keys.extend(active);
        keys.dedup_by_key(|(key_id, _)| *key_id);
        Ok(keys)
    }

    /// The key scopes that a test picks, each with its keys as [`View::keys_of`] gives them.
    pub(crate) fn keys_within(
        &self,
        within: &dyn Fn(&KeyScope) -> bool,
    ) -> Result<BTreeMap<KeyScope, Vec<(KeyId, u64)>>, ReadError> {
        let index = read(&self.index);
        let ended = index.ended.clone();
        let mut active = Vec::new();
        index.active.keys_within(within, &mut |scope, keys| active.push((scope.clone(), keys)));
        drop(index);
        let mut found = self.ask_ended(&ended, |ended| ended.keys_within(within))?;
        active.into_iter().for_each(|(scope, keys)| merge(&mut found, &scope, keys));
        Ok(found)
    }

    /// The positions below a bound of the records that say that a key scope was shredded, or readmitted, in order: hardly ever of one that
    /// names others alone.
    pub(crate) fn naming(&self, scope: &KeyScope, below: u64) -> Result<Vec<u64>, ReadError> {
        let ended = read(&self.index).ended.clone();
        self.ask_ended(&ended, |ended| ended.naming(&self.source, scope.as_bytes(), below))
    }

    /// The record at a position that an index file has; none for what is no record, or does not decode.
    pub(crate) fn record_at(&self, position: u64) -> Result<Option<Record>, ReadError> {
        let ended = read(&self.index).ended.clone();
        let record = self.ask_ended(&ended, |ended| {
            ended.frame_at(&self.source, position, |frame| {
                Record::decode(frame.header().kind(), frame.payload().unwrap_or_default()).ok()
            })
        })?;
        Ok(record.flatten())
    }

    pub(crate) fn address(&self, position: u64) -> Result<Option<Address>, ReadError> {
        if position >= self.visible() {
            return Ok(None);
        }
        self.ask(|active| active.address(position), |ended| ended.address(position))
    }

    /// Where the event at a position stands, and how far.
    pub(crate) fn stand(&self, position: u64) -> Result<Option<Stand>, ReadError> {
        if position >= self.visible() {
            return Ok(None);
        }
        self.ask(|active| active.stand(position), |ended| ended.stand(position))
    }

    /// Lends the visible events that may have an id to `read`, until it knows one.
    pub(crate) fn find<R>(
        &self,
        id: &EventId,
        read_at: impl Fn(Stand) -> Result<Option<R>, ReadError>,
    ) -> Result<Option<R>, ReadError> {
        let index = read(&self.index);
        let placed = index.active.find(id);
        let rest = placed.is_none().then(|| index.ended.clone());
        drop(index);
        let visible = self.visible();
        match (placed, rest) {
            (Some(stand), _) if stand.position < visible => {
                // A reader may have seen frames of a write that failed and was taken back.
                read_at(stand)?.ok_or(ReadError::Misplaced { position: stand.position }).map(Some)
            }
            (None, Some(rest)) => self.ask_ended(&rest, |ended| ended.find(id, visible, &read_at)),
            _ => Ok(None),
        }
    }

    pub(crate) fn position_at(&self, entity: &str, revision: u64) -> Result<Option<u64>, ReadError> {
        let position = self.placed_at(entity, revision)?;
        Ok(position.filter(|position| *position < self.visible()))
    }

    fn placed_at(&self, entity: &str, revision: u64) -> Result<Option<u64>, ReadError> {
        self.ask(|active| active.position_at(entity, revision), |ended| ended.position_at(entity, revision))
    }

    /// The entity's last event that may be read.
    pub(crate) fn latest(&self, entity: &str) -> Result<Option<u64>, ReadError> {
        let head = self.ask(|active| active.head(entity), |ended| ended.head(entity))?;
        let Some(Head { mut revision, mut position, .. }) = head else { return Ok(None) };
        while position >= self.visible() {
            let Some(before) = revision.checked_sub(1) else { return Ok(None) };
            let Some(at) = self.placed_at(entity, before)? else { return Ok(None) };
            (revision, position) = (before, at);
        }
        Ok(Some(position))
    }

    /// How many of the entity's events stand before a position.
    pub(crate) fn revisions_below(&self, entity: &str, position: u64) -> Result<u64, ReadError> {
        let below = self.ask(
            |active| active.revisions_below(entity, position),
            |ended| ended.revisions_below(entity, position).map(Some),
        )?;
        Ok(below.unwrap_or(0))
    }

    /// The positions of the events that name an event as a cause, in order.
    pub(crate) fn caused_by(&self, id: &EventId) -> Result<Vec<u64>, ReadError> {
        self.visible_of(|active| active.caused_by(id), |ended| ended.caused_by(id))
    }

    /// The positions of the events of a correlation, in order.
    pub(crate) fn correlated(&self, id: &EventId) -> Result<Vec<u64>, ReadError> {
        self.visible_of(|active| active.correlated(id), |ended| ended.correlated(id))
    }

    /// Leaves out of a range of positions what the index tells to have other times.
    pub(crate) fn within_times(
        &self,
        positions: Range<u64>,
        since: Option<Timestamp>,
        until: Option<Timestamp>,
    ) -> Range<u64> {
        if since.is_none() && until.is_none() {
            return positions;
        }
        read(&self.index).within_times(positions, since, until)
    }

    /// The positions of a window, in order, at which an event may match: those of one dimension that the item names.
    pub(crate) fn matching(&self, item: &QueryItem, window: Range<u64>) -> Result<Vec<u64>, ReadError> {
        let index = read(&self.index);
        let (rest, newest) = (index.ended.clone(), index.active.matching(item, &window));
        drop(index);
        let mut positions = self.ask_ended(&rest, |ended| ended.matching(item, &window))?;
        positions.extend(newest);
        Ok(positions)
    }

    fn visible_of(
        &self,
        memory: impl FnOnce(&MemoryPart) -> Vec<u64>,
        ended: impl Fn(&Ended) -> Result<Vec<u64>, ReadError>,
    ) -> Result<Vec<u64>, ReadError> {
        let index = read(&self.index);
        let (rest, newest) = (index.ended.clone(), memory(&index.active));
        drop(index);
        let mut positions = self.ask_ended(&rest, ended)?;
        positions.extend(newest);
        let visible = self.visible();
        positions.retain(|position| *position < visible);
        Ok(positions)
    }

    /// What the causal graph needs of the event at a position. The store's own events are no part of the callers' graph: as a cause
    /// one counts as lying outside of it.
    pub(crate) fn edges(&self, position: u64) -> Result<Option<Edges>, ReadError> {
        let edges = self.ask(|active| active.edges(position), |ended| ended.edges(position))?;
        let Some(mut edges) = edges else { return Ok(None) };
        for cause in edges.causes.iter_mut().filter(|cause| !cause.external) {
            if let Some(at) = self.placed(&cause.id)? {
                let kind = self.ask(|active| active.kind_at(at), |ended| ended.kind_at(at))?;
                cause.external = kind.is_some_and(|kind| kind.is_reserved());
            }
        }
        Ok(Some(edges))
    }
}
