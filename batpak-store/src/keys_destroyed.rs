//! The keys' side of a shred: what is marked, what is condemned, and the frontiers that take the place of the old nodes.
//!
//! Invariants: from the intent on every image carries the new frontiers and the new root secret. The old nodes leave memory only after
//! an image without them is durable in both copies, and no key that was derived from them is lent any more.

use std::io;

use batpak_format::{KeyId, KeyRun, Record};
use batpak_keyset::{Copy, ExtentRewrite, Frontiers, LogSeen, SecretChange};

use crate::{
    Pending, ProviderError, PublishError,
    defect::{Defect, seeded},
    keys::Keys,
    pending::Begun,
    secret::{NewSecret, ProviderContext, RootSecretProvider},
    selection::Selection,
    sync::{lock, read, write},
    unframed::NamedLeaves,
};

impl Keys {
    /// Makes appends to these key scopes wait, until the mark is dropped.
    pub(crate) fn mark(&self, selection: &Selection) -> Marked<'_> {
        lock(&self.state).marked = selection.clone();
        Marked { keys: self }
    }

    /// How many of these keys can be derived now.
    pub(crate) fn derivable(&self, keys: &[KeyId]) -> u64 {
        self.with_keyset(|keyset| keys.iter().filter(|key_id| keyset.key(**key_id).is_ok()).count() as u64)
    }

    /// Notes which leaves of earlier processes no event names, before any leaf is taken.
    pub(crate) fn note_unframed(&self, named: NamedLeaves) {
        let mut state = lock(&self.state);
        state.unframed = named.others(state.keyset.pages());
    }

    /// Leaves of earlier processes that no event names, and that no shred of this process has destroyed yet.
    pub(crate) fn unframed(&self) -> Vec<KeyRun> {
        lock(&self.state).unframed.clone()
    }

    /// Computes what is left when keys are destroyed, makes an extent durable if one is needed, and grows both copies for the image to
    /// come; nothing changes yet.
    pub(crate) fn beside(&self, runs: &[KeyRun], rewrite: ExtentRewrite) -> Result<Frontiers, PublishError> {
        let mut frontiers = lock(&self.state).keyset.beside(runs, rewrite, &*self.entropy)?;
        self.make_room(&frontiers).inspect_err(|_| self.abandon(&frontiers))?;
        frontiers.extent_written();
        Ok(frontiers)
    }

    fn make_room(&self, frontiers: &Frontiers) -> io::Result<()> {
        if let Some(extent) = frontiers.extent() {
            extent.steps().into_iter().try_for_each(|step| self.files.carry_out_extent(step, extent))?;
        }
        let file_len = lock(&self.state).keyset.file_len_with(frontiers);
        Copy::BOTH.into_iter().try_for_each(|copy| self.files.grow(copy, file_len))
    }

    /// Has the provider make the next root secret.
    pub(crate) fn next_secret(
        &self,
        provider: &dyn RootSecretProvider,
        context: &ProviderContext<'_>,
    ) -> Result<NewSecret, ProviderError> {
        let (record, current) = self.with_keyset(|keyset| (keyset.provider().duplicate(), keyset.secret_id()));
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

    /// Takes durable intents onto the record: reads answer from them from here on.
    pub(crate) fn record_intents<'r>(&self, intents: impl Iterator<Item = (u64, &'r Record)>) {
        let mut state = lock(&self.state);
        let mut shreds = write(&self.shreds);
        for (position, record) in intents {
            if let Record::ShredIntent(intent) = record {
                shreds.add(position, intent);
            }
        }
        drop(shreds);
        state.unframed.clear();
        let shreds = read(&self.shreds);
        state.provisional.retain(|scope, key_id| shreds.intent(scope, *key_id).is_none());
        drop(shreds);
        drop(state);
        write(&self.condemned).clear();
    }

    /// Makes every image from here on carry new frontiers and a new root secret: what has begun can only be finished.
    pub(crate) fn stage(
        &self,
        begun: Begun,
        frontiers: Frontiers,
        intent: Option<u64>,
        secret: NewSecret,
    ) -> Result<(), PublishError> {
        let mut state = lock(&self.state);
        state.begun = Some(begun);
        let change = SecretChange::Move { secret_id: secret.id, provider: secret.record };
        state.keyset.stage(frontiers, intent, change)?;
        state.root = secret.root;
        Ok(())
    }

    /// Publishes what is staged, to both copies. The publication turn is the caller's.
    pub(crate) fn publish_staged(&self, seen: LogSeen, durable: &mut dyn FnMut(KeyId)) -> Result<(), PublishError> {
        self.publish(seen, durable)?;
        if let Some(begun) = &mut lock(&self.state).begun {
            begun.published = true;
        }
        Ok(())
    }

    /// Puts the published frontiers in place and waits until no victim is lent: the old nodes are gone from memory then. Nothing is
    /// left to do when that was done before.
    pub(crate) fn adopt(&self, victims: &[KeyId]) -> Result<(), PublishError> {
        let mut state = lock(&self.state);
        if state.keyset.is_staged() {
            state.keyset.adopt_staged()?;
        }
        let lent = |key_id: &KeyId| victims.binary_search(key_id).is_ok();
        while state.lent.iter().any(|(key_id, _)| lent(key_id)) && !seeded(Defect::GuardsNotAwaited) {
            state = self.changed.wait(state);
        }
        self.cache.forget();
        Ok(())
    }

    /// Notes at an open that only the destruction of the old root secret, and the record of it, are left to do.
    pub(crate) fn leave_pending(&self, what: Pending, unreachable: u64) {
        let mut begun = Begun::new(what, Vec::new(), unreachable);
        begun.published = true;
        lock(&self.state).begun = Some(begun);
    }

    /// What is begun and not finished.
    pub(crate) fn begun(&self) -> Option<Begun> {
        lock(&self.state).begun.clone()
    }

    /// Notes that what was begun is finished.
    pub(crate) fn finished(&self, what: Pending) {
        lock(&self.state).begun = None;
        if let Pending::Shred { intent } = what {
            write(&self.shreds).complete(intent);
        }
    }

    /// Runs work in the publication turn.
    pub(crate) fn in_publication_turn<R>(&self, work: impl FnOnce(&mut dyn FnMut(KeyId)) -> R) -> R {
        self.fence.exclusive(work)
    }
}

/// Key scopes that are marked for a shred: appends there wait, and go on when it is dropped, to be refused where an intent is on record.
#[derive(Debug)]
pub(crate) struct Marked<'k> {
    keys: &'k Keys,
}

impl Drop for Marked<'_> {
    fn drop(&mut self) {
        let mut state = lock(&self.keys.state);
        state.marked = Selection::default();
        self.keys.changed.notify_all();
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
