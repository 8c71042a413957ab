//! What the log says was shredded: which key of which key scope, where the intent stands, and which key scopes take no new keys.
//!
//! Invariant: built from records of the verified log alone, so that a lost key is never taken for a shredded one.

use std::collections::{BTreeMap, HashMap, HashSet};

use batpak_format::{KeyId, KeyRun, ShredIntent};
use batpak_keyset::KeyScope;

/// See the module.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shreds {
    by_scope: HashMap<Box<[u8]>, Vec<Target>>,
    /// Position and runs of each intent, in order.
    intents: Vec<(u64, Vec<KeyRun>)>,
    /// Every key that they name: disjoint ranges, the end of each by its first key.
    named: BTreeMap<u64, u64>,
    /// Key scopes that were shredded and not readmitted since.
    refused: HashSet<Box<[u8]>>,
    /// Key scopes that were readmitted, whatever became of their keys before.
    readmitted: HashSet<Box<[u8]>>,
    /// The last intent, until its completion stands in the log.
    pending: Option<u64>,
}

#[derive(Clone, Debug)]
struct Target {
    first: KeyId,
    count: u32,
    intent: u64,
}

impl Shreds {
    /// Takes in an intent that stands at a position.
    pub(crate) fn add(&mut self, position: u64, intent: &ShredIntent) {
        let mut all = Vec::new();
        self.pending = Some(position);
        for target in &intent.targets {
            all.extend_from_slice(&target.runs);
            target.runs.iter().for_each(|run| self.add_named(*run));
            // Leaves that no event names have no key scope.
            if target.key_scope.is_empty() {
                continue;
            }
            let targets = self.by_scope.entry(target.key_scope.clone()).or_default();
            let runs = target.runs.iter();
            targets.extend(runs.map(|run| Target { first: run.first, count: run.count, intent: position }));
            self.refused.insert(target.key_scope.clone());
            self.readmitted.remove(&target.key_scope);
        }
        self.intents.push((position, all));
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
        self.refused.remove(scope);
        self.readmitted.insert(scope.into());
    }

    /// Tells whether a key scope takes no new keys.
    pub(crate) fn refuses(&self, scope: &KeyScope) -> bool {
        self.refused.contains(scope.as_bytes())
    }

    /// Tells whether a key scope was readmitted, so that it takes a new key when its last one is gone.
    pub(crate) fn readmits(&self, scope: &KeyScope) -> bool {
        self.readmitted.contains(scope.as_bytes())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.intents.is_empty()
    }

    /// Tells whether any intent names a key: without that no key scope needs to be looked at.
    pub(crate) fn names(&self, key_id: KeyId) -> bool {
        self.named.range(..=key_id.as_u64()).next_back().is_some_and(|(_, end)| key_id.as_u64() < *end)
    }

    fn add_named(&mut self, run: KeyRun) {
        let mut first = run.first.as_u64();
        let mut end = first.saturating_add(u64::from(run.count));
        while let Some((&before, &before_end)) = self.named.range(..=end).next_back()
            && before_end >= first
        {
            self.named.remove(&before);
            (first, end) = (first.min(before), end.max(before_end));
        }
        self.named.insert(first, end);
    }

    /// Position of the last intent.
    pub(crate) fn last(&self) -> Option<u64> {
        self.intents.last().map(|(position, _)| *position)
    }

    /// The keys that intents behind a position destroy.
    pub(crate) fn runs_after(&self, applied: Option<u64>) -> Vec<KeyRun> {
        let behind = self.intents.iter().filter(|(position, _)| applied.is_none_or(|applied| *position > applied));
        behind.flat_map(|(_, runs)| runs.iter().copied()).collect()
    }

    /// Returns the position of the intent that names a key of a key scope.
    pub(crate) fn intent(&self, scope: &KeyScope, key_id: KeyId) -> Option<u64> {
        let targets = self.by_scope.get(scope.as_bytes())?;
        let found = targets.iter().find(|target| {
            (target.first.as_u64()..target.first.as_u64() + u64::from(target.count)).contains(&key_id.as_u64())
        })?;
        Some(found.intent)
    }
}
