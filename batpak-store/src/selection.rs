//! Which key scopes a shred is about, or which are held.
//!
//! Invariant: a key scope that is named itself is found by one look-up, so that thousands can be named at once; only selectors that are
//! coarser than the store's granularity are compared one by one.

use std::collections::HashSet;

use batpak_keyset::{Granularity, KeyScope};

/// See the module.
#[derive(Clone, Debug, Default)]
pub(crate) struct Selection {
    named: HashSet<KeyScope>,
    coarser: Vec<KeyScope>,
}

impl Selection {
    /// Sorts selectors by what they are to a store of this granularity.
    pub(crate) fn new(granularity: Granularity, selectors: Vec<KeyScope>) -> Self {
        let (named, coarser) = selectors.into_iter().partition(|selector| selector.granularity() == granularity);
        let named: Vec<KeyScope> = named;
        Self { named: named.into_iter().collect(), coarser }
    }

    /// Tells whether a key scope of the store lies within.
    pub(crate) fn covers(&self, scope: &KeyScope) -> bool {
        self.named.contains(scope) || self.coarser.iter().any(|selector| selector.contains(scope))
    }

    /// Tells whether a key scope is named itself.
    pub(crate) fn names(&self, scope: &KeyScope) -> bool {
        self.named.contains(scope)
    }

    /// The key scopes that are named themselves.
    pub(crate) fn named(&self) -> impl Iterator<Item = &KeyScope> {
        self.named.iter()
    }

    /// The selectors that cover more than one key scope.
    pub(crate) fn coarser(&self) -> impl Iterator<Item = &KeyScope> {
        self.coarser.iter()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.named.is_empty() && self.coarser.is_empty()
    }
}
