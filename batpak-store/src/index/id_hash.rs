//! The hash of an id in the tables in memory: the same in all of them, so that an append takes it once, before the commit lock.
//!
//! Invariant: it is keyed at random in each process, so that nobody can choose ids that meet in one place.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    sync::OnceLock,
};

use batpak_format::EventId;

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct IdHash(u64);

impl IdHash {
    pub(crate) fn of(id: &EventId) -> Self {
        static KEY: OnceLock<RandomState> = OnceLock::new();
        let mut hasher = KEY.get_or_init(RandomState::new).build_hasher();
        hasher.write(id.as_bytes());
        Self(hasher.finish())
    }

    pub(crate) const fn as_u64(self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn id_hash_is_one_per_id() {
        let ids: Vec<_> = (0..100u8).map(|n| EventId::from_key(&[n])).collect();
        let hashes: HashSet<u64> = ids.iter().map(|id| IdHash::of(id).as_u64()).collect();
        assert_eq!(hashes.len(), 100);
        assert!(ids.iter().all(|id| IdHash::of(id) == IdHash::of(id)));
    }
}
