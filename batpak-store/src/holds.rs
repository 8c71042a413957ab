//! What is held: which key scopes must not be shredded for now, by the log alone.
//!
//! Invariant: built from the records of holds and releases in the order of the log, so that every process that reads the same log knows
//! the same holds.

use std::collections::BTreeMap;

use batpak_keyset::{Granularity, KeyScope};

use crate::selection::Selection;

/// A hold that is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Hold {
    /// What is held: a key scope of the store, or a coarser one that stands for every key scope under it, also those to come.
    pub key_scope: KeyScope,
    /// Position of the event that says so.
    pub position: u64,
    /// The caller's reference, in clear.
    pub reference: String,
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub(crate) struct Holds {
    in_force: BTreeMap<KeyScope, (u64, String)>,
}

impl Holds {
    /// Takes in a hold that stands at a position. What names no key scope holds nothing.
    pub(crate) fn hold(&mut self, position: u64, key_scope: &[u8], reference: String) {
        if let Ok(key_scope) = KeyScope::from_bytes(key_scope) {
            self.in_force.entry(key_scope).or_insert((position, reference));
        }
    }

    /// Takes in a release.
    pub(crate) fn release(&mut self, key_scope: &[u8]) {
        if let Ok(key_scope) = KeyScope::from_bytes(key_scope) {
            self.in_force.remove(&key_scope);
        }
    }

    /// Returns the position of the hold that names exactly this.
    pub(crate) fn position_of(&self, key_scope: &KeyScope) -> Option<u64> {
        self.in_force.get(key_scope).map(|(position, _)| *position)
    }

    /// All that is held, sorted by what a store of this granularity makes of it.
    pub(crate) fn selection(&self, granularity: Granularity) -> Selection {
        Selection::new(granularity, self.in_force.keys().cloned().collect())
    }

    /// The holds in force, in the order of the log.
    pub(crate) fn list(&self) -> Vec<Hold> {
        let hold = |(key_scope, (position, reference)): (&KeyScope, &(u64, String))| Hold {
            key_scope: key_scope.clone(),
            position: *position,
            reference: reference.clone(),
        };
        let mut holds: Vec<Hold> = self.in_force.iter().map(hold).collect();
        holds.sort_unstable_by_key(|hold| hold.position);
        holds
    }

    pub(crate) fn len(&self) -> u64 {
        self.in_force.len() as u64
    }
}
