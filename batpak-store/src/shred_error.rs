//! What a shred can fail with, and whatever else takes its turn: plans, readmissions, rekeys and holds.
//!
//! Invariant: whether something was destroyed can be told by the variant: `Pending` and `RekeyPending` are begun and can only be finished;
//! after every other nothing was, unless the append it names left that to the next open.

use batpak_format::CoordinateError;
use batpak_keyset::{Granularity, KeyScope};

use crate::{AppendError, PlanHash, ProviderError, PublishError, ReadError};

/// Why a shred, a plan of one, a readmission, a rekey or a hold failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ShredError {
    /// What is named is held already; the hold stays as it is.
    #[error("it is held already, by the event at position {position}")]
    AlreadyHeld {
        /// Position of the hold.
        position: u64,
    },
    /// The event of the store itself could not be written. Nothing was destroyed, unless the source says that reopening decides.
    #[error("the shred could not be put on record")]
    Append(#[from] AppendError),
    /// A name of a selector is not valid.
    #[error("the selector is not valid")]
    Name(#[from] CoordinateError),
    /// No hold names exactly this.
    #[error("it is not held: a hold is released by the name that it was set with")]
    NotHeld,
    /// No event that the selectors name has a key, and no key scope can be refused ahead.
    #[error("nothing is there to be shredded")]
    Nothing,
    /// The intent is on record and its keys are not all destroyed yet: [`Store::resume`](crate::Store::resume) finishes it, and so does the
    /// next open for writing.
    #[error("the shred of the intent at position {intent} is pending: resume it, or open the store again for writing")]
    Pending {
        /// Position of the intent.
        intent: u64,
        /// What kept it from being finished.
        source: Unfinished,
    },
    /// The store's own events are never sealed and never shredded.
    #[error("the store's own events have no keys: name an entity, kind or category of callers")]
    Reserved,
    /// The keyset may be sealed under the new root secret already: [`Store::resume`](crate::Store::resume) finishes it, and so
    /// does the next open for writing.
    #[error("the rekey is pending: resume it, or open the store again for writing")]
    RekeyPending(#[source] Unfinished),
    /// What would be destroyed is not what was planned; nothing was destroyed.
    #[error("what would be shredded now is not what was planned: plan it again")]
    PlanChanged {
        /// The plan as of now.
        found: PlanHash,
        /// The plan that was to be carried out.
        planned: PlanHash,
    },
    /// A plaintext store has no keys.
    #[error("the store is in plaintext: there is no key to destroy")]
    Plaintext,
    /// The provider of the root secret refused; nothing was destroyed.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// The new frontiers could not be made durable; nothing was destroyed.
    #[error("the keyset could not be prepared for the shred")]
    Prepare(#[from] PublishError),
    /// The events could not be read that the selectors name.
    #[error("the events could not be read")]
    Read(#[from] ReadError),
    /// The reference is too long.
    #[error("the reference has {bytes} bytes, at most 64 are kept, for ever and in clear")]
    ReferenceTooLong {
        /// Its length in bytes.
        bytes: usize,
    },
    /// Everything that the selectors name is held; nothing was destroyed.
    #[error("all {} key scopes that are named are held: release them first", key_scopes.len())]
    Withheld {
        /// The key scopes.
        key_scopes: Vec<KeyScope>,
    },
    /// The store was opened for reading without its keys, and which of them would be destroyed is not known.
    #[error("the store is open without its keys: open it with the provider of its root secret")]
    WithoutKeys,
    /// The selector cuts through key scopes.
    #[error("the store has one key per {granularity}, so nothing can be shredded or held by {asked}")]
    WrongGranularity {
        /// What the store was created with.
        granularity: Granularity,
        /// What the selector names.
        asked: Granularity,
    },
}

/// What kept a shred or a rekey from being finished.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Unfinished {
    /// The completion could not be written.
    #[error("its completion could not be written")]
    Completion(#[source] AppendError),
    /// The provider could not destroy the old root secret.
    #[error("the old root secret could not be destroyed")]
    Provider(#[source] ProviderError),
    /// The keyset could not be published.
    #[error("the keyset could not be published")]
    Publication(#[source] PublishError),
}
