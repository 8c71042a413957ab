//! The keys' side of a shred: what is marked, what is condemned, and the frontiers that take the place of the old nodes.
//!
//! Invariants: from the intent on every image carries the new frontiers and the new root secret. The old nodes leave memory only after
//! an image without them is durable in both copies, and no key that was derived from them is lent any more.

use std::collections::BTreeMap;

use batpak_format::{KeyId, KeyRun, ShredIntent};
use batpak_keyset::{ExtentRewrite, Frontiers, KeyScope, LogSeen, SecretChange};

use crate::{
    ProviderError, PublishError,
    keys::{KeyState, Keys},
    secret::{NewSecret, ProviderContext, RootSecretProvider},
    selection::Selection,
    sync::{lock, wait, write},
    view::View,
};

impl Keys {
    /// Makes appends to these key scopes wait.
    pub(crate) fn mark(&self, selection: &Selection) {
        lock(&self.state).marked = selection.clone();
    }

    /// Lets appends go on: to be refused where an intent is on record.
    pub(crate) fn unmark(&self) {
        lock(&self.state).marked = Selection::default();
        self.changed.notify_all();
    }

    /// The key scopes that a selection covers, each with its keys that are not destroyed, the provisional ones too; and those that are
    /// named without having a key.
    pub(crate) fn victims(&self, selection: &Selection, view: &View) -> Vec<(KeyScope, Vec<KeyId>)> {
        // Before the index: a key that leaves the provisional ones is in the index by then.
        let state = lock(&self.state);
        let mut victims: BTreeMap<KeyScope, Vec<KeyId>> =
            view.keys_within(&|scope| selection.covers(scope)).into_iter().collect();
        for (scope, key_id) in state.provisional.iter().filter(|(scope, _)| selection.covers(scope)) {
            victims.entry(scope.clone()).or_default().push(*key_id);
        }
        for scope in selection.named() {
            victims.entry(scope.clone()).or_default();
        }
        for keys in victims.values_mut() {
            keys.sort_unstable();
            keys.dedup();
            keys.retain(|key_id| state.keyset.key(*key_id).is_ok());
        }
        victims.into_iter().collect()
    }

    /// Computes what is left when keys are destroyed, and makes an extent durable if one is needed; nothing changes yet.
    pub(crate) fn beside(&self, runs: &[KeyRun], rewrite: ExtentRewrite) -> Result<Frontiers, PublishError> {
        let mut frontiers = lock(&self.state).keyset.beside(runs, rewrite, &*self.entropy)?;
        if let Some(extent) = frontiers.extent() {
            for step in extent.steps() {
                if let Err(why) = self.files.carry_out_extent(step, extent) {
                    lock(&self.state).keyset.abandon(&frontiers);
                    return Err(why.into());
                }
            }
            frontiers.extent_written();
        }
        Ok(frontiers)
    }

    /// Has the provider make the next root secret.
    pub(crate) fn next_secret(
        &self,
        provider: &dyn RootSecretProvider,
        context: &ProviderContext<'_>,
    ) -> Result<NewSecret, ProviderError> {
        let (record, current) =
            self.with_state(|state| (state.keyset.provider().duplicate(), state.keyset.secret_id()));
        provider.store_next(context, &record, current)
    }

    /// Mints nothing more from the pages there are.
    pub(crate) fn retire_page(&self) {
        lock(&self.state).keyset.retire_page();
    }

    /// Gives up frontiers of a shred that came to nothing.
    pub(crate) fn abandon(&self, frontiers: &Frontiers) {
        lock(&self.state).keyset.abandon(frontiers);
    }

    /// Refuses events under these keys from here on.
    pub(crate) fn condemn(&self, keys: &[KeyId]) {
        write(&self.condemned).extend(keys);
    }

    /// Takes back what was condemned: the intent could not be written.
    pub(crate) fn pardon(&self) {
        write(&self.condemned).clear();
    }

    /// Takes a durable intent onto the record: reads answer from it from here on.
    pub(crate) fn record_intent(&self, position: u64, intent: &ShredIntent) {
        write(&self.shreds).add(position, intent);
        write(&self.condemned).clear();
    }

    /// Publishes an image with new frontiers and a new root secret, to both copies. The publication turn is the caller's.
    pub(crate) fn publish_frontiers(
        &self,
        frontiers: Frontiers,
        intent: Option<u64>,
        secret: NewSecret,
        seen: LogSeen,
        durable: &mut dyn FnMut(KeyId),
    ) -> Result<(), PublishError> {
        {
            let mut state = lock(&self.state);
            let change = SecretChange::Move { secret_id: secret.id, provider: secret.record };
            state.keyset.stage(frontiers, intent, change)?;
            state.root = secret.root;
        }
        self.publish(seen, durable)
    }

    /// Puts the published frontiers in place and waits until no victim is lent: the old nodes are gone from memory then.
    pub(crate) fn adopt(&self, victims: &[(KeyScope, Vec<KeyId>)]) -> Result<(), PublishError> {
        let mut state = lock(&self.state);
        state.keyset.adopt_staged()?;
        let lent =
            |state: &KeyState| victims.iter().flat_map(|(_, keys)| keys).any(|key_id| state.lent.contains_key(key_id));
        for (scope, _) in victims {
            state.provisional.remove(scope);
        }
        while lent(&state) {
            state = wait(&self.changed, state);
        }
        Ok(())
    }

    /// Runs work in the publication turn.
    pub(crate) fn in_publication_turn<R>(&self, work: impl FnOnce(&mut dyn FnMut(KeyId)) -> R) -> R {
        self.fence.exclusive(work)
    }

    /// The current root secret, as the provider asks for it.
    pub(crate) fn with_state<R>(&self, look: impl FnOnce(&KeyState) -> R) -> R {
        look(&lock(&self.state))
    }
}

/// Keys as runs: sorted, disjoint, each within a page.
pub(crate) fn runs_of(keys: &[KeyId]) -> Vec<KeyRun> {
    let mut runs: Vec<KeyRun> = Vec::new();
    for id in keys {
        match runs.last_mut() {
            Some(run) if run.first.page() == id.page() && run.first.as_u64() + u64::from(run.count) == id.as_u64() => {
                run.count += 1;
            }
            _ => runs.push(KeyRun { first: *id, count: 1 }),
        }
    }
    runs
}
