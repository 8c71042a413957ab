//! Payload keys that were derived, for as long as somebody reads many events.
//!
//! Invariants: bounded at [`SLOTS`] keys. A key is used under its slot's lock and never leaves it; the lock is held for one AEAD call,
//! never in a caller's code. When the keyset changes every slot is emptied, and no key that was derived before goes in any more; when
//! nobody reads on, too: no payload key outlives its use.

use batpak_crypto::PayloadKey;
use batpak_format::KeyId;

use crate::sync::{AtomicU64, Ordering, RwLock, RwLockReadGuard, try_read, try_write, write};

/// Keys that follow one another stand in different slots.
const SLOTS: u64 = if cfg!(all(test, loom)) { 2 } else { 1024 };

type Slot = RwLock<Option<(KeyId, PayloadKey)>>;

/// See the module.
#[derive(Debug)]
pub(crate) struct KeyCache {
    slots: Box<[Slot]>,
    /// Counts the changes of the keyset.
    generation: AtomicU64,
    /// How many read on.
    users: AtomicU64,
}

/// The keyset as it was when a key was derived.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Generation(u64);

/// A key that stays in its slot while it is used.
#[derive(Debug)]
pub(crate) struct CachedKey<'c>(RwLockReadGuard<'c, Option<(KeyId, PayloadKey)>>);

impl CachedKey<'_> {
    pub(crate) fn key(&self) -> Option<&PayloadKey> {
        self.0.as_ref().map(|(_, key)| key)
    }
}

impl KeyCache {
    pub(crate) fn new() -> Self {
        let slots = (0..SLOTS).map(|_| RwLock::new(None)).collect();
        Self { slots, generation: AtomicU64::new(0), users: AtomicU64::new(0) }
    }

    fn slot(&self, key_id: KeyId) -> Option<&Slot> {
        self.slots.get(usize::try_from(key_id.as_u64() % SLOTS).ok()?)
    }

    /// Returns a key if it is there; without waiting, whoever else uses the slot.
    pub(crate) fn get(&self, key_id: KeyId) -> Option<CachedKey<'_>> {
        if self.users.load(Ordering::Acquire) == 0 {
            return None;
        }
        let slot = try_read(self.slot(key_id)?)?;
        slot.as_ref().is_some_and(|(cached, _)| *cached == key_id).then_some(CachedKey(slot))
    }

    /// The keyset as it is now; asked for under the keyset's lock, with the key.
    pub(crate) fn generation(&self) -> Generation {
        Generation(self.generation.load(Ordering::Acquire))
    }

    /// Keeps a key for those who read on, unless the keyset changed since it was derived.
    pub(crate) fn keep(&self, derived: Generation, key_id: KeyId, key: PayloadKey) {
        if self.users.load(Ordering::Acquire) > 0
            && let Some(mut slot) = self.slot(key_id).and_then(try_write)
            && self.generation.load(Ordering::Acquire) == derived.0
        {
            *slot = Some((key_id, key));
        }
    }

    /// Wipes every key, once nobody uses it. The keyset has changed, and its lock is held or gives the old keys no more.
    pub(crate) fn forget(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
        self.clear();
    }

    fn clear(&self) {
        for slot in &self.slots {
            *write(slot) = None;
        }
    }

    /// Lets keys stay until this, and every other use, is dropped.
    pub(crate) fn read_on(&self) -> ReadingOn<'_> {
        self.users.fetch_add(1, Ordering::AcqRel);
        ReadingOn { cache: self }
    }
}

/// Somebody reads many events.
#[derive(Debug)]
pub(crate) struct ReadingOn<'c> {
    cache: &'c KeyCache,
}

impl Drop for ReadingOn<'_> {
    fn drop(&mut self) {
        if self.cache.users.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.cache.clear();
        }
    }
}
