//! Intents that were read, for as long as others are not: whoever reads the events of large shreds decodes each of their intents once.
//!
//! Invariant: memory is bounded, whatever the log says: at most [`BYTES_MAX`] bytes, and what one intent has above a half of them.

use std::{collections::HashMap, sync::Arc};

use batpak_format::{KeyId, KeyRun, ShredTarget};
use batpak_keyset::KeyScope;

use crate::shreds::within;

/// So many bytes are kept: those of half a million key scopes with short names.
const BYTES_MAX: usize = 32 << 20;
/// What an intent takes beside what it says.
const ENTRY_BYTES: usize = 192;

/// An intent, as far as key scopes are asked for. Leaves that no event names have none.
#[derive(Debug)]
pub(crate) struct ReadIntent {
    position: u64,
    /// The key scopes in the order of their bytes, one behind the other.
    scopes: Box<[u8]>,
    /// The keys of each, one behind the other.
    runs: Box<[KeyRun]>,
    /// Where each key scope ends, and where its keys do.
    ends: Box<[(usize, usize)]>,
}

impl ReadIntent {
    pub(crate) fn new(position: u64, mut targets: Vec<ShredTarget>) -> Self {
        targets.retain(|target| !target.key_scope.is_empty());
        targets.sort_by(|a, b| a.key_scope.cmp(&b.key_scope));
        let mut scopes = Vec::with_capacity(targets.iter().map(|target| target.key_scope.len()).sum());
        let mut runs = Vec::with_capacity(targets.iter().map(|target| target.runs.len()).sum());
        let mut ends = Vec::with_capacity(targets.len());
        for target in targets {
            scopes.extend_from_slice(&target.key_scope);
            runs.extend_from_slice(&target.runs);
            ends.push((scopes.len(), runs.len()));
        }
        Self { position, scopes: scopes.into(), runs: runs.into(), ends: ends.into() }
    }

    /// The key scope at a place in the order, and its keys.
    fn at(&self, place: usize) -> Option<(&[u8], &[KeyRun])> {
        let (scope_end, runs_end) = *self.ends.get(place)?;
        let before = place.checked_sub(1).and_then(|before| self.ends.get(before));
        let (scope, runs) = before.copied().unwrap_or_default();
        Some((self.scopes.get(scope..scope_end)?, self.runs.get(runs..runs_end)?))
    }

    /// The lists of keys of a key scope.
    fn of(&self, scope: &KeyScope) -> impl Iterator<Item = &[KeyRun]> {
        let (mut from, mut to) = (0, self.ends.len());
        while from < to {
            let middle = usize::midpoint(from, to);
            if self.at(middle).is_some_and(|(found, _)| found < scope.as_bytes()) {
                from = middle + 1
            } else {
                to = middle
            }
        }
        (from..)
            .map_while(move |place| self.at(place).filter(|(found, _)| *found == scope.as_bytes()))
            .map(|(_, runs)| runs)
    }

    pub(crate) fn names_scope(&self, scope: &KeyScope) -> bool {
        self.of(scope).next().is_some()
    }

    /// Whether it names a key of a key scope.
    pub(crate) fn names(&self, scope: &KeyScope, key_id: KeyId) -> bool {
        self.of(scope).flatten().any(|run| within(run, key_id))
    }

    fn bytes(&self) -> usize {
        ENTRY_BYTES + self.scopes.len() + size_of_val(&*self.runs) + size_of_val(&*self.ends)
    }
}

/// See the module. When the newer ones have a half of the bytes they become the older ones, and the older ones go.
#[derive(Debug, Default)]
pub(crate) struct SettledIntents {
    newer: HashMap<u64, Arc<ReadIntent>>,
    older: HashMap<u64, Arc<ReadIntent>>,
    /// Of the newer ones.
    bytes: usize,
}

impl SettledIntents {
    pub(crate) fn get(&mut self, position: u64) -> Option<Arc<ReadIntent>> {
        if let Some(intent) = self.newer.get(&position) {
            return Some(Arc::clone(intent));
        }
        let intent = self.older.remove(&position)?;
        self.keep(Arc::clone(&intent));
        Some(intent)
    }

    pub(crate) fn keep(&mut self, intent: Arc<ReadIntent>) {
        let bytes = intent.bytes();
        if self.newer.insert(intent.position, intent).is_some() {
            // Two have read it at the same time.
            return;
        }
        self.bytes += bytes;
        if self.bytes > BYTES_MAX / 2 {
            self.older = std::mem::take(&mut self.newer);
            self.bytes = 0;
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use batpak_keyset::{Granularity, scope_for};

    use super::*;
    use crate::{Coordinate, EventId, EventKind};

    fn scope(name: &str) -> KeyScope {
        let kind = EventKind::new(1, 1).expect("category 1 is a caller's");
        scope_for(
            Granularity::Entity,
            &Coordinate::new(name, "s").expect("short names"),
            kind,
            EventId::from_bytes([0; 16]),
        )
    }

    fn target(scope: &[u8], keys: &[(u64, u32)]) -> ShredTarget {
        let run = |(first, count): &(u64, u32)| KeyRun { first: KeyId::from_u64(*first), count: *count };
        ShredTarget { key_scope: scope.into(), runs: keys.iter().map(run).collect() }
    }

    #[test]
    fn read_intent_names_the_pairs_of_its_targets_and_no_others() {
        let [a, b, c] = ["a", "b", "c"].map(scope);
        let targets = vec![
            target(c.as_bytes(), &[(30, 2)]),
            target(&[], &[(90, 9)]),
            target(a.as_bytes(), &[(10, 1), (14, 2)]),
            // What an encoder does not write counts all the same.
            target(c.as_bytes(), &[(40, 1)]),
            target(scope("ahead").as_bytes(), &[]),
        ];
        let intent = ReadIntent::new(7, targets);
        let named =
            |scope: &KeyScope| (0..100).filter(|key| intent.names(scope, KeyId::from_u64(*key))).collect::<Vec<_>>();
        assert_eq!([&a, &b, &c].map(named), [vec![10, 14, 15], vec![], vec![30, 31, 40]]);
        assert_eq!(named(&scope("ahead")), [0_u64; 0]);
        assert_eq!([&a, &b, &c, &scope("ahead")].map(|scope| intent.names_scope(scope)), [true, false, true, true]);
    }

    #[test]
    fn intents_that_were_not_asked_for_the_longest_go_first() {
        let mut kept = SettledIntents::default();
        let of = |position, bytes| Arc::new(ReadIntent::new(position, vec![target(&vec![b'k'; bytes], &[(1, 1)])]));
        let quarter = BYTES_MAX / 4 - 1024;
        (0..3).for_each(|position| kept.keep(of(position, quarter)));
        assert!(
            kept.get(0).is_some() && kept.newer.contains_key(&0) && kept.older.len() == 2,
            "it is a newer one again"
        );
        kept.keep(of(3, quarter));
        kept.keep(of(4, quarter));
        assert_eq!([0, 1, 2, 3, 4].map(|position| kept.get(position).is_some()), [true, false, false, true, true]);
        kept.keep(of(9, BYTES_MAX));
        assert!(kept.get(9).is_some(), "one always is");
        let small = (0..200_000).map(|position| of(100 + position, 1));
        small.for_each(|intent| kept.keep(intent));
        let bytes: usize = kept.newer.values().chain(kept.older.values()).map(|intent| intent.bytes()).sum();
        assert!((BYTES_MAX / 2..=BYTES_MAX).contains(&bytes), "{bytes}");
    }
}
