//! What the log says was shredded: which key of which key scope, and where the intent stands.
//!
//! Invariant: built from intents of the verified log alone, so that a lost key is never taken for a shredded one.

use std::collections::HashMap;

use batpak_format::{KeyId, ShredIntent};
use batpak_keyset::KeyScope;

/// See the module.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shreds {
    by_scope: HashMap<Box<[u8]>, Vec<Target>>,
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
        for target in &intent.targets {
            let targets = self.by_scope.entry(target.key_scope.clone()).or_default();
            let runs = target.runs.iter();
            targets.extend(runs.map(|run| Target { first: run.first, count: run.count, intent: position }));
        }
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
