//! The hash of a name or a key scope in the tables in memory: the same in all of them, so that who asks several parts takes it once.
//!
//! Invariant: it is keyed at random in each process, so that nobody can choose names that meet in one place.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    sync::OnceLock,
};

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeyHash(u64);

impl KeyHash {
    pub(crate) fn of(key: &[u8]) -> Self {
        static KEY: OnceLock<RandomState> = OnceLock::new();
        let mut hasher = KEY.get_or_init(RandomState::new).build_hasher();
        hasher.write(key);
        Self(hasher.finish())
    }

    pub(crate) const fn as_u64(self) -> u64 {
        self.0
    }
}
