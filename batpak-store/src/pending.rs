//! What is begun and can only be finished: a shred from its intent on, a rekey from its first image on.
//!
//! Invariants: at most one is pending; whoever takes the shred turn finishes it first, and so does every open for writing. Finishing is
//! the same work whether the call that began it does it, a later one, or [`Store::resume`]; what is done already is not done again.

use std::sync::Arc;

use batpak_format::{KeyId, Record, Rekeyed, ShredCompleted, Timestamp};
use batpak_keyset::KeysetError;

use crate::{
    AppendError, Destruction, Durability, OpenError, ShredError, Store, Unfinished,
    keys::Keys,
    secret::{ProviderContext, RootSecretProvider},
    sync::{MutexGuard, lock, write},
    writer::Writer,
};

/// What is begun and not finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Pending {
    /// The keyset may be sealed under a new root secret, and the old one is not destroyed.
    Rekey,
    /// An intent is on record: its events read as shredded, and its keys may still be in the keyset, or the old root secret with its
    /// provider.
    Shred {
        /// Position of the intent, of the last one when they are a batch.
        intent: u64,
    },
}

/// What was pending and is finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finished {
    /// What it was.
    pub what: Pending,
    /// Position of the event that says it is done.
    pub completion: u64,
    /// What the destruction of the old root secret is worth against old copies.
    pub destruction: Destruction,
}

/// What is begun, with what is needed to finish it.
#[derive(Clone, Debug)]
pub(crate) struct Begun {
    pub(crate) what: Pending,
    /// Keys that must not be lent any more when the old nodes are wiped, sorted.
    pub(crate) keys: Arc<[KeyId]>,
    /// How many of them could not be reached.
    unreachable: u64,
    /// Whether both copies hold an image with the new frontiers.
    pub(crate) published: bool,
}

impl Begun {
    pub(crate) fn new(what: Pending, mut keys: Vec<KeyId>, unreachable: u64) -> Self {
        keys.sort_unstable();
        Self { what, keys: keys.into(), unreachable, published: false }
    }

    fn unfinished(&self, source: Unfinished) -> ShredError {
        match self.what {
            Pending::Rekey => ShredError::RekeyPending(source),
            Pending::Shred { intent } => ShredError::Pending { intent, source },
        }
    }
}

/// The shred turn, with nothing pending when it was taken.
#[derive(Debug)]
pub(crate) struct ShredTurn<'a> {
    pub(crate) writer: &'a Writer,
    pub(crate) keys: &'a Keys,
    pub(crate) provider: &'a dyn RootSecretProvider,
    _turn: MutexGuard<'a, ()>,
}

impl Store {
    /// Finishes a shred or a rekey that is pending, without opening the store again. Returns none when nothing was.
    ///
    /// # Errors
    /// [`ShredError::Pending`] or [`ShredError::RekeyPending`] when it still cannot be finished; [`ShredError::Append`] in a store that
    /// is open for reading only.
    pub fn resume(&self) -> Result<Option<Finished>, ShredError> {
        self.finish(&self.turn()?)
    }

    /// Takes the shred turn, and finishes what is pending first.
    pub(crate) fn shred_turn(&self) -> Result<ShredTurn<'_>, ShredError> {
        let turn = self.turn()?;
        self.finish(&turn)?;
        Ok(turn)
    }

    fn turn(&self) -> Result<ShredTurn<'_>, ShredError> {
        let writer = self.writer()?;
        writer.check_process()?;
        let (Some(keys), Some(provider)) = (writer.keys.as_deref(), self.config.encryption.provider()) else {
            return Err(ShredError::Plaintext);
        };
        Ok(ShredTurn { writer, keys, provider: &**provider, _turn: lock(&writer.shred_turn) })
    }

    /// Finishes what is begun, from wherever it stands.
    pub(crate) fn finish(&self, turn: &ShredTurn<'_>) -> Result<Option<Finished>, ShredError> {
        let Some(begun) = turn.keys.begun() else { return Ok(None) };
        self.carry_out(turn, &begun).map(Some).map_err(|why| begun.unfinished(why))
    }

    fn carry_out(&self, turn: &ShredTurn<'_>, begun: &Begun) -> Result<Finished, Unfinished> {
        let keys = turn.keys;
        if !begun.published {
            // An intent whose frontiers are not staged is carried out by the next open, which computes them again.
            if !keys.with_keyset(batpak_keyset::Keyset::is_staged) {
                return Err(Unfinished::Publication(KeysetError::NothingStaged.into()));
            }
            keys.in_publication_turn(|durable| keys.publish_staged(turn.writer.pipeline.log_seen(), durable))
                .map_err(Unfinished::Publication)?;
        }
        keys.adopt(&begun.keys).map_err(Unfinished::Publication)?;
        if begun.what == Pending::Rekey {
            keys.retire_page();
        }
        let secret_id = keys.with_keyset(batpak_keyset::Keyset::secret_id);
        let destruction = turn
            .provider
            .settle(&self.provider_context(), secret_id, turn.writer.clock.now())
            .map_err(Unfinished::Provider)?;
        let record = match begun.what {
            Pending::Rekey => Record::Rekeyed(Rekeyed { epoch: keys.epoch(), secret_id: *secret_id.as_bytes() }),
            Pending::Shred { intent } => completed(intent, keys.epoch(), turn.provider, destruction, begun.unreachable),
        };
        let completion = self.append_system(&record, Durability::Synced).map_err(Unfinished::Completion)?.position;
        keys.finished(begun.what);
        Ok(Finished { what: begun.what, completion, destruction })
    }

    /// Puts on record that an open has finished a shred, and how many keys it could not reach. Returns false, with the shred still
    /// pending, when the old root secret could not be destroyed.
    pub(crate) fn complete_shred(&self, intent: u64, unreachable: u64) -> Result<bool, OpenError> {
        let (Some(keys), Some(provider)) = (self.keys(), self.config.encryption.provider()) else { return Ok(false) };
        if keys.begun().is_some() {
            return Ok(false);
        }
        let secret_id = keys.with_keyset(batpak_keyset::Keyset::secret_id);
        let destruction = match provider.settle(&self.provider_context(), secret_id, self.config.clock.now()) {
            Err(why) if why.may_pass() => {
                keys.leave_pending(Pending::Shred { intent }, unreachable);
                return Ok(false);
            }
            settled => settled?,
        };
        let record = completed(intent, keys.epoch(), &**provider, destruction, unreachable);
        self.append_system(&record, Durability::Synced).map_err(|why: AppendError| OpenError::Append(why))?;
        write(&keys.shreds).complete(intent);
        Ok(true)
    }

    pub(crate) fn provider_context(&self) -> ProviderContext<'_> {
        let config = &self.config;
        ProviderContext { store: self.info.store, dir: &self.dir, disk: &*config.disk, entropy: &*config.entropy }
    }
}

/// The record of a shred that is done.
fn completed(
    intent: u64,
    epoch: u64,
    provider: &dyn RootSecretProvider,
    destruction: Destruction,
    unreachable: u64,
) -> Record {
    let (code, effective_at): (u8, Option<Timestamp>) = match destruction {
        Destruction::LiveFilesOnly => (1, None),
        Destruction::OldCopiesNotCovered => (2, None),
        Destruction::OldCopiesDeadFrom(from) => (3, Some(from)),
    };
    Record::ShredCompleted(ShredCompleted {
        intent,
        epoch,
        provider_kind: provider.kind().code(),
        destruction: code,
        effective_at,
        unreachable: u32::try_from(unreachable).unwrap_or(u32::MAX),
    })
}
