//! Providers of the root secret that the keyset image is sealed under.
//!
//! Invariants: choosing one is explicit. A provider keeps the current secret and at most one next one; `store_next` is
//! compare-and-swap on the current id; a secret that is asked for and not there is an error that says so, and never replaced by a
//! fresh one.

mod key_file;
mod local;
mod passphrase;

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use batpak_crypto::{Entropy, EntropyError, PassphraseError, RootSecret, SecretId};
use batpak_format::{StoreId, Timestamp};
use batpak_keyset::{KeyFileError, ProviderKind, ProviderRecord};
use batpak_segment::{Disk, DiskFile};

pub use key_file::KeyFile;
pub use local::Local;
pub use passphrase::Passphrase;

/// What a provider may use, and for which store it is asked.
#[derive(Debug)]
pub struct ProviderContext<'a> {
    /// The store.
    pub store: StoreId,
    /// Its directory, in which no key file may stand.
    pub dir: &'a Path,
    /// The disk that key files are on.
    pub disk: &'a dyn Disk,
    /// Where secrets come from.
    pub entropy: &'a dyn Entropy,
}

/// A root secret, its name, and what the keyset image says of it in clear.
#[derive(Debug)]
pub struct NewSecret {
    /// Its name.
    pub id: SecretId,
    /// The secret.
    pub root: RootSecret,
    /// What is needed to ask for it again.
    pub record: ProviderRecord,
}

/// What the destruction of an old root secret is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Destruction {
    /// The secret stands in the image: old copies of the directory open what they held.
    LiveFilesOnly,
    /// Whoever knows the passphrase opens old copies of the directory.
    OldCopiesNotCovered,
    /// Old copies of the directory are dead from this moment on.
    OldCopiesDeadFrom(Timestamp),
}

/// Keeps root secrets. Implement it for a key management service, a security module or a keyring.
///
/// Every call has to end, also when the service does not answer: with [`ProviderError::Outside`] and a source that says what to do.
/// No answer, or one that cannot be read, is never [`ProviderError::Missing`]. A secret that another process made is read back before
/// it is returned: an image is sealed under it next, and opens under no other. The example `key_service` does all of it over a socket.
pub trait RootSecretProvider: Send + Sync + fmt::Debug {
    /// What it is; the image says so, and another kind is refused at open.
    fn kind(&self) -> ProviderKind;

    /// Makes and keeps the first secret of a new store. What is kept must be durable when it returns.
    ///
    /// # Errors
    /// [`ProviderError`]; nothing was kept.
    fn create(&self, context: &ProviderContext<'_>) -> Result<NewSecret, ProviderError>;

    /// Makes and keeps a secret for a store whose keyset is lost, in place of whatever is kept for it. Durable when it returns.
    ///
    /// # Errors
    /// [`ProviderError`]; what was kept is as it was.
    fn renew(&self, context: &ProviderContext<'_>) -> Result<NewSecret, ProviderError>;

    /// Takes back what `create` kept: the store could not be made.
    fn take_back(&self, context: &ProviderContext<'_>) {
        let _ = context;
    }

    /// Returns the secret that an image names.
    ///
    /// # Errors
    /// [`ProviderError::Missing`] when it does not have it.
    fn unlock(
        &self,
        context: &ProviderContext<'_>,
        record: &ProviderRecord,
        id: SecretId,
    ) -> Result<RootSecret, ProviderError>;

    /// Makes and keeps the next secret beside the current one, replacing a next one that is there. Durable when it returns.
    ///
    /// # Errors
    /// [`ProviderError::CurrentChanged`] when `current` is not the current secret.
    fn store_next(
        &self,
        context: &ProviderContext<'_>,
        record: &ProviderRecord,
        current: SecretId,
    ) -> Result<NewSecret, ProviderError>;

    /// Makes `keep` the current secret, and destroys every other. Called again with nothing to do, it does nothing.
    ///
    /// # Errors
    /// [`ProviderError::Missing`] when it does not have `keep`.
    fn settle(
        &self,
        context: &ProviderContext<'_>,
        keep: SecretId,
        now: Timestamp,
    ) -> Result<Destruction, ProviderError>;

    /// Takes what must not be used by two writers at a time; it is held until the store is closed. Writers on a store and on a copy of
    /// its directory have the same current secret, and either would replace the other's next one, under which an image may stand.
    ///
    /// # Errors
    /// [`ProviderError::InUse`] when another process holds it.
    fn hold(&self, context: &ProviderContext<'_>) -> Result<Option<Arc<dyn DiskFile>>, ProviderError> {
        let _ = context;
        Ok(None)
    }
}

/// Why a provider refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProviderError {
    /// The current secret is not the one that the change was to follow: another process changed it.
    #[error("the root secret was changed by another process: open the store again")]
    CurrentChanged,
    /// The disk refused.
    #[error("cannot use the key file {}", path.display())]
    Disk {
        /// The key file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// No randomness could be had.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// A key file stands where a new one was to be made.
    #[error("the key file {} exists: each store has its own, name one that does not exist", path.display())]
    Exists {
        /// The key file.
        path: PathBuf,
    },
    /// Others than its owner may read the key file.
    #[error("the key file {} can be read by others (mode {mode:o}): set it to 600", path.display())]
    Exposed {
        /// The key file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The key file belongs to another store.
    #[error("the key file {} belongs to store {found}: name the one that was made with this store", path.display())]
    ForeignKeyFile {
        /// The key file.
        path: PathBuf,
        /// The store it belongs to.
        found: StoreId,
    },
    /// The key file is open in another writer.
    #[error("the key file {} is in use by another writer", path.display())]
    InUse {
        /// The key file.
        path: PathBuf,
    },
    /// The key file would stand inside the store's directory, where every copy of the store would carry it along.
    #[error("the key file {} is inside the store's directory: keep it elsewhere, best on another medium", path.display())]
    InsideStore {
        /// The key file.
        path: PathBuf,
    },
    /// The key file is damaged or no key file.
    #[error("the key file {} cannot be used: restore it from its backup", path.display())]
    KeyFile {
        /// The key file.
        path: PathBuf,
        /// What is wrong with it.
        source: KeyFileError,
    },
    /// There is no key file.
    #[error("the key file {} is missing: put it back, or name where it is now", path.display())]
    KeyFileMissing {
        /// The key file.
        path: PathBuf,
    },
    /// The provider does not have the secret that the keyset is sealed under.
    #[error("the root secret of this keyset is missing: the key file, or the keyset, is an older copy")]
    Missing,
    /// The secret that the provider gave does not open the keyset.
    #[error("the root secret does not open the keyset: is the passphrase right?")]
    Wrong,
    /// The passphrase, or its parameters, cannot be used.
    #[error(transparent)]
    Passphrase(#[from] PassphraseError),
    /// The store's root secret is kept by another kind of provider.
    #[error("the store's root secret is kept by {}: open it with that provider", name_of(*.found))]
    WrongKind {
        /// The kind that the keyset names.
        found: ProviderKind,
    },
    /// An outside provider failed.
    #[error("the provider of the root secret failed")]
    Outside(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl ProviderError {
    /// Whether the same call may go well later: the medium or the service failed, and what was asked was right.
    pub(crate) const fn may_pass(&self) -> bool {
        matches!(self, Self::Disk { .. } | Self::Outside(_))
    }
}

/// Names a kind of provider for people.
pub(crate) fn name_of(kind: ProviderKind) -> &'static str {
    match kind {
        ProviderKind::Local => "the keyset itself (local)",
        ProviderKind::KeyFile => "a key file",
        ProviderKind::Passphrase => "a passphrase",
        ProviderKind::PassphraseKeyFile => "a passphrase and a key file",
        _ => "an outside provider",
    }
}
