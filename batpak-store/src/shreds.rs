//! What the log says was shredded, as far as memory has it: which key of which key scope, where the intent stands, and which key scopes
//! take no new keys.
//!
//! Memory has what the keyset may not have applied yet: its keys may still be derived, so a read asks here before it asks for the key.
//! What was applied when the store was opened is looked up ([`crate::settled`]), once a key is gone.
//!
//! Invariant: built from records of the verified log alone, so that a lost key is never taken for a shredded one.

use std::collections::{BTreeMap, HashMap};

use batpak_format::{KeyId, KeyRun, ShredIntent};
use batpak_keyset::KeyScope;
use smallvec::SmallVec;

use crate::settled::SettledBelow;

/// What the last record that names a key scope says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It was shredded, and takes no new keys.
    Refused,
    /// It was readmitted, whatever became of its keys before.
    Readmitted,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Shreds {
    by_scope: HashMap<Box<[u8]>, Named>,
    /// Position and runs of each intent, in order.
    intents: Vec<(u64, Vec<KeyRun>)>,
    /// Every key that they name: disjoint ranges, the end of each by its first key.
    keys: BTreeMap<u64, u64>,
    /// The last intent, settled or not.
    last: Option<u64>,
    /// The last intent, until its completion stands in the log.
    pending: Option<u64>,
    settled: SettledBelow,
}

/// What the records here say of a key scope.
#[derive(Debug)]
struct Named {
    standing: Standing,
    targets: SmallVec<[Target; 1]>,
}

#[derive(Debug)]
struct Target {
    run: KeyRun,
    intent: u64,
}

impl Shreds {
    /// Takes in an intent that stands at a position.
    pub(crate) fn add(&mut self, position: u64, intent: &ShredIntent) {
        let mut all = Vec::new();
        self.note_intent(position);
        for target in &intent.targets {
            all.extend_from_slice(&target.runs);
            target.runs.iter().for_each(|run| self.add_keys(*run));
            // Leaves that no event names have no key scope.
            if target.key_scope.is_empty() {
                continue;
            }
            let named = self.named(target.key_scope.clone(), Standing::Refused);
            named.targets.extend(target.runs.iter().map(|run| Target { run: *run, intent: position }));
        }
        self.intents.push((position, all));
    }

    /// Takes in that an intent stands at a position, and nothing else of it.
    pub(crate) fn note_intent(&mut self, position: u64) {
        (self.last, self.pending) = (Some(position), Some(position));
    }

    /// Takes in a completion.
    pub(crate) fn complete(&mut self, intent: u64) {
        self.pending = self.pending.filter(|pending| *pending != intent);
    }

    /// Position of the last intent, when its completion is not in the log.
    pub(crate) fn pending(&self) -> Option<u64> {
        self.pending
    }

    /// Takes in a readmission.
    pub(crate) fn readmit(&mut self, scope: &[u8]) {
        self.named(scope.into(), Standing::Readmitted);
    }

    /// Takes in what a record says of a key scope.
    fn named(&mut self, scope: Box<[u8]>, standing: Standing) -> &mut Named {
        let named = self.by_scope.entry(scope).or_insert_with(|| Named { standing, targets: SmallVec::new() });
        named.standing = standing;
        named
    }

    /// Leaves everything so far to index files.
    pub(crate) fn settle(&mut self, settled: SettledBelow) {
        *self = Self { last: self.last, pending: self.pending, settled, ..Self::default() };
    }

    /// What is left to index files.
    pub(crate) fn settled(&self) -> SettledBelow {
        self.settled
    }

    /// What the last record here that names a key scope says of it.
    pub(crate) fn standing(&self, scope: &KeyScope) -> Option<Standing> {
        Some(self.by_scope.get(scope.as_bytes())?.standing)
    }

    /// Tells whether any intent here names a key: without that no key scope needs to be looked at.
    pub(crate) fn names(&self, key_id: KeyId) -> bool {
        self.keys.range(..=key_id.as_u64()).next_back().is_some_and(|(_, end)| key_id.as_u64() < *end)
    }

    fn add_keys(&mut self, run: KeyRun) {
        let mut first = run.first.as_u64();
        let mut end = first.saturating_add(u64::from(run.count));
        while let Some((&before, &before_end)) = self.keys.range(..=end).next_back()
            && before_end >= first
        {
            self.keys.remove(&before);
            (first, end) = (first.min(before), end.max(before_end));
        }
        self.keys.insert(first, end);
    }

    /// Position of the last intent.
    pub(crate) fn last(&self) -> Option<u64> {
        self.last
    }

    /// The keys that intents behind a position destroy. It is one that the keyset has applied: none of them is settled.
    pub(crate) fn runs_after(&self, applied: Option<u64>) -> Vec<KeyRun> {
        let behind = self.intents.iter().filter(|(position, _)| applied.is_none_or(|applied| *position > applied));
        behind.flat_map(|(_, runs)| runs.iter().copied()).collect()
    }

    /// Returns the position of the intent here that names a key of a key scope.
    pub(crate) fn intent(&self, scope: &KeyScope, key_id: KeyId) -> Option<u64> {
        let named = self.by_scope.get(scope.as_bytes())?;
        Some(named.targets.iter().find(|target| within(&target.run, key_id))?.intent)
    }
}

/// Whether a key is one of a run.
pub(crate) fn within(run: &KeyRun, key_id: KeyId) -> bool {
    let first = run.first.as_u64();
    (first..first + u64::from(run.count)).contains(&key_id.as_u64())
}
