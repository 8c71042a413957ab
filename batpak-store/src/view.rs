//! What readers see of the log: the index, how far it may be read, and what is held.
//!
//! Invariant: no read goes past the visible mark. Below it everything is with the operating system, or, for deferred appends, in
//! the write buffer.

use crate::{
    holds::Holds,
    index::{Address, Head, Index, MemoryIndex},
    sync::{AtomicU64, Ordering, RwLock, read},
};
use batpak_format::{EventId, KeyId};
use batpak_keyset::KeyScope;

/// See the module.
#[derive(Debug)]
pub(crate) struct View {
    pub(crate) index: RwLock<MemoryIndex>,
    visible: AtomicU64,
    pub(crate) holds: RwLock<Holds>,
}

impl View {
    /// Shows everything that the index holds.
    pub(crate) fn new(index: MemoryIndex, holds: Holds) -> Self {
        let visible = AtomicU64::new(index.len());
        Self { index: RwLock::new(index), visible, holds: RwLock::new(holds) }
    }

    /// The visible mark: one past the last position that may be read.
    pub(crate) fn visible(&self) -> u64 {
        self.visible.load(Ordering::Acquire)
    }

    pub(crate) fn set_visible(&self, mark: u64) {
        self.visible.store(mark, Ordering::Release);
    }

    pub(crate) fn position_of(&self, id: &EventId) -> Option<u64> {
        let position = read(&self.index).position_of(id)?;
        (position < self.visible()).then_some(position)
    }

    /// The current key of a key scope, also one that only an event on its way names.
    pub(crate) fn key_of(&self, scope: &KeyScope) -> Option<KeyId> {
        read(&self.index).key_of(scope)
    }

    /// The keys of a key scope, each with the position of its first event, also those that only events on their way name.
    pub(crate) fn keys_of(&self, scope: &KeyScope) -> Vec<(KeyId, u64)> {
        read(&self.index).keys_of(scope)
    }

    /// The key scopes that a test picks, each with its keys as [`View::keys_of`] gives them.
    pub(crate) fn keys_within(&self, within: &dyn Fn(&KeyScope) -> bool) -> Vec<(KeyScope, Vec<(KeyId, u64)>)> {
        read(&self.index).keys_within(within)
    }

    pub(crate) fn address(&self, position: u64) -> Option<Address> {
        if position >= self.visible() {
            return None;
        }
        read(&self.index).address(position)
    }

    pub(crate) fn position_at(&self, entity: &str, revision: u64) -> Option<u64> {
        let position = read(&self.index).position_at(entity, revision)?;
        (position < self.visible()).then_some(position)
    }

    /// The entity's last event that may be read.
    pub(crate) fn latest(&self, entity: &str) -> Option<u64> {
        let index = read(&self.index);
        let Head { mut revision, mut position, .. } = index.head(entity)?;
        while position >= self.visible() {
            revision = revision.checked_sub(1)?;
            position = index.position_at(entity, revision)?;
        }
        Some(position)
    }

    /// How many of the entity's events stand before a position.
    pub(crate) fn revisions_below(&self, entity: &str, position: u64) -> u64 {
        let index = read(&self.index);
        let (mut low, mut high) = (0, index.head(entity).map_or(0, |head| head.revision + 1));
        while low < high {
            let middle = low + (high - low) / 2;
            match index.position_at(entity, middle) {
                Some(at) if at < position => low = middle + 1,
                _ => high = middle,
            }
        }
        low
    }
}
