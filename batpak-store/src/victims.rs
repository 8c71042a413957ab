//! What a shred destroys: the key scopes that its selectors name, each with its keys, and those among them that are held.
//!
//! Invariants: every key of a key scope that no intent on record names is a victim, one that cannot be reached too; a held key scope
//! is none. Key scopes that are named themselves are looked up, so that a shred of one costs the same among a million.

use std::collections::BTreeMap;

use batpak_format::{EventHeader, KeyId};
use batpak_keyset::{Granularity, KeyScope, scope_for};

use crate::{
    Query, ReadError, Store,
    keys::Keys,
    selection::Selection,
    shreds::Standing,
    sync::{lock, read},
    view::View,
};

/// See the module. Both lists are sorted, and nothing is in both.
#[derive(Clone, Debug, Default)]
pub(crate) struct Victims {
    pub(crate) scopes: Vec<Victim>,
    pub(crate) withheld: Vec<KeyScope>,
}

/// A key scope that is to be shredded.
#[derive(Clone, Debug)]
pub(crate) struct Victim {
    pub(crate) scope: KeyScope,
    /// Its keys that no intent names yet, sorted; none when it is only refused ahead.
    pub(crate) keys: Vec<KeyId>,
    /// Where the first event under one of them stands at the earliest.
    pub(crate) from: u64,
}

impl Store {
    /// What selectors name now.
    pub(crate) fn victims(&self, keys: &Keys, selection: &Selection) -> Result<Victims, ReadError> {
        let held = read(&self.view.holds).selection(keys.granularity);
        match keys.granularity {
            Granularity::Event => self.events_named(keys, selection, &held),
            _ => keys.victims(selection, &held, self.view()),
        }
    }

    /// With a key for each event: the events that are named and not shredded yet. Whether a coarser name holds one stands in its header.
    fn events_named(&self, keys: &Keys, selection: &Selection, held: &Selection) -> Result<Victims, ReadError> {
        let mut victims = Victims::default();
        let mut take = |header: EventHeader| {
            let Some(encryption) = header.encryption else { return Ok(()) };
            let of = |granularity| scope_for(granularity, &header.coordinate, header.kind, header.id);
            let scope = of(Granularity::Event);
            let within =
                |names: &Selection| names.covers(&scope) || names.coarser().any(|name| of(name.granularity()) == *name);
            if !within(selection) || keys.intent(&scope, encryption.key_id)?.is_some() {
                return Ok(());
            }
            if within(held) {
                victims.withheld.push(scope);
            } else {
                victims.scopes.push(Victim { scope, keys: vec![encryption.key_id], from: header.position });
            }
            Ok::<(), ReadError>(())
        };
        if selection.coarser().next().is_none() {
            for id in selection.named().filter_map(KeyScope::event) {
                self.header(id)?.into_iter().try_for_each(&mut take)?;
            }
        } else {
            for event in self.read(&Query::all().headers_only(true))? {
                take(event?.header)?;
            }
        }
        victims.scopes.sort_unstable_by(|a, b| a.scope.cmp(&b.scope));
        victims.withheld.sort_unstable();
        Ok(victims)
    }
}

impl Keys {
    /// The key scopes that a selection covers, each with its keys that no intent names, the provisional ones too; and those that are
    /// named without having a key.
    fn victims(&self, selection: &Selection, held: &Selection, view: &View) -> Result<Victims, ReadError> {
        // Before the index: a key that leaves the provisional ones is in the index by then.
        let state = lock(&self.state);
        let mut found: BTreeMap<KeyScope, Vec<(KeyId, u64)>> = BTreeMap::new();
        for scope in selection.named() {
            let mut keys = view.keys_of(scope)?;
            keys.extend(state.provisional.get(scope).map(|key_id| (*key_id, u64::MAX)));
            found.insert(scope.clone(), keys);
        }
        if selection.coarser().next().is_some() {
            let within = |scope: &KeyScope| selection.covers(scope) && !selection.names(scope);
            found.extend(view.keys_within(&within)?);
            for (scope, key_id) in state.provisional.iter().filter(|(scope, _)| within(scope)) {
                found.entry(scope.clone()).or_default().push((*key_id, u64::MAX));
            }
        }
        drop(state);
        let mut victims = Victims::default();
        for (scope, keys) in found {
            let victim = self.victim(scope, keys)?;
            // A key scope that is shredded already has nothing left to lose, unless it is asked for itself.
            let spent = victim.keys.is_empty()
                && !selection.names(&victim.scope)
                && self.standing(&victim.scope)? == Some(Standing::Refused);
            if held.covers(&victim.scope) {
                victims.withheld.push(victim.scope);
            } else if !spent {
                victims.scopes.push(victim);
            }
        }
        Ok(victims)
    }

    fn victim(&self, scope: KeyScope, keys: Vec<(KeyId, u64)>) -> Result<Victim, ReadError> {
        let (mut left, mut from) = (Vec::with_capacity(keys.len()), u64::MAX);
        for (key_id, first) in keys {
            if self.intent(&scope, key_id)?.is_none() {
                left.push(key_id);
                from = from.min(first);
            }
        }
        left.sort_unstable();
        left.dedup();
        Ok(Victim { scope, keys: left, from })
    }
}

impl Victims {
    /// The victims' keys, sorted.
    pub(crate) fn keys(&self) -> Vec<KeyId> {
        let mut keys: Vec<KeyId> = self.scopes.iter().flat_map(|victim| victim.keys.iter().copied()).collect();
        keys.sort_unstable();
        keys
    }
}
