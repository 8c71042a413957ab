//! The provider of the root secret that asks the service.
//!
//! Invariants: a secret that the service made is read back before anything is sealed under it. What the service does not answer, or
//! answers in bytes that are no answer, is an error that says so; it is never taken for a missing secret.

use std::{fmt, io, path::PathBuf, sync::Arc};

use batpak_store::{
    Destruction, NewSecret, ProviderContext, ProviderError, RootSecretProvider,
    crypto::{RootSecret, SecretId},
    format::Timestamp,
    keyset::{ProviderKind, ProviderRecord},
    segment::{Access, DiskFile},
};

use super::wire::{Answer, Operation, Request, Status};

/// What the keyset says in clear of where its root secret is; a socket's path would be wrong after a move.
const PARAMS: &[u8] = b"key_service/1";

/// A way to the service.
pub trait Ask: Send + Sync + fmt::Debug {
    /// Asks, and returns what the service answered.
    ///
    /// # Errors
    /// [`KeyServiceError`] when it gave no answer; what it was asked may have been done or not.
    fn ask(&self, request: &Request) -> Result<Answer, KeyServiceError>;
}

/// Why the service gave no answer that can be used. It is the source of a [`ProviderError::Outside`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyServiceError {
    /// The service could not use its own files.
    #[error("the key service cannot use its own folder: see what it printed, mend that, then open the store again")]
    Failed,
    /// The bytes that came back are no answer.
    #[error("what answers at {} is not the key service: name its socket", socket.display())]
    Garbage {
        /// The socket.
        socket: PathBuf,
    },
    /// Another writer of this store, or of a copy of it, uses the service.
    #[error("another writer holds {}: close the store there, a copy of it too", path.display())]
    Held {
        /// The file that is locked.
        path: PathBuf,
    },
    /// The lock file could not be used.
    #[error("cannot lock {}", path.display())]
    Hold {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The keyset was made with another service.
    #[error("the keyset names another key service: open the store with that one")]
    OtherService,
    /// The secret that the service made is not the one that it returns.
    #[error("the key service does not return the secret that it made: nothing was sealed under it")]
    Unstable,
    /// Nothing answers.
    #[error("the key service at {} does not answer: start it, then open the store again", socket.display())]
    Unreachable {
        /// The socket.
        socket: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
}

impl From<KeyServiceError> for ProviderError {
    fn from(why: KeyServiceError) -> Self {
        Self::Outside(Box::new(why))
    }
}

/// Keeps the root secret in the service.
#[derive(Debug)]
pub struct KeyService<A> {
    ask: A,
    holds: PathBuf,
}

impl<A: Ask> KeyService<A> {
    /// Takes a way to the service, and the folder in which writers lock each other out: one for all that use the service.
    pub fn new(ask: A, holds: impl Into<PathBuf>) -> Self {
        Self { ask, holds: holds.into() }
    }

    fn ask(
        &self,
        context: &ProviderContext<'_>,
        operation: Operation,
        id: Option<SecretId>,
    ) -> Result<Answer, ProviderError> {
        let answer = self.ask.ask(&Request { operation, store: context.store, id })?;
        match answer.status {
            Status::Done => Ok(answer),
            Status::Missing => Err(ProviderError::Missing),
            Status::CurrentChanged => Err(ProviderError::CurrentChanged),
            Status::Exists => Err(ProviderError::Exists { path: PathBuf::from(format!("{}", context.store)) }),
            Status::Failed => Err(KeyServiceError::Failed.into()),
        }
    }

    fn fetch(&self, context: &ProviderContext<'_>, id: SecretId) -> Result<RootSecret, ProviderError> {
        Ok(RootSecret::from_bytes(self.ask(context, Operation::Fetch, Some(id))?.secret))
    }

    /// Has a secret made, and reads it back.
    fn made(
        &self,
        context: &ProviderContext<'_>,
        operation: Operation,
        id: Option<SecretId>,
    ) -> Result<NewSecret, ProviderError> {
        let made = self.ask(context, operation, id)?;
        let root = self.fetch(context, made.id)?;
        if root.expose() != &*made.secret {
            return Err(KeyServiceError::Unstable.into());
        }
        let record = ProviderRecord::external(PARAMS).map_err(|_| KeyServiceError::OtherService)?;
        Ok(NewSecret { id: made.id, root, record })
    }
}

impl<A: Ask> RootSecretProvider for KeyService<A> {
    fn kind(&self) -> ProviderKind {
        ProviderKind::External
    }

    fn create(&self, context: &ProviderContext<'_>) -> Result<NewSecret, ProviderError> {
        self.made(context, Operation::Create, None)
    }

    fn renew(&self, context: &ProviderContext<'_>) -> Result<NewSecret, ProviderError> {
        self.made(context, Operation::Renew, None)
    }

    fn take_back(&self, context: &ProviderContext<'_>) {
        // A store whose creation failed does not depend on it: the service keeps a secret that nothing is sealed under.
        drop(self.ask(context, Operation::TakeBack, None));
    }

    fn unlock(
        &self,
        context: &ProviderContext<'_>,
        record: &ProviderRecord,
        id: SecretId,
    ) -> Result<RootSecret, ProviderError> {
        if record.params() != PARAMS {
            return Err(KeyServiceError::OtherService.into());
        }
        self.fetch(context, id)
    }

    fn store_next(
        &self,
        context: &ProviderContext<'_>,
        _record: &ProviderRecord,
        current: SecretId,
    ) -> Result<NewSecret, ProviderError> {
        self.made(context, Operation::StoreNext, Some(current))
    }

    fn settle(
        &self,
        context: &ProviderContext<'_>,
        keep: SecretId,
        now: Timestamp,
    ) -> Result<Destruction, ProviderError> {
        self.ask(context, Operation::Settle, Some(keep))?;
        // This service destroys at once. One that keeps what was deleted for some days says when those days end.
        Ok(Destruction::OldCopiesDeadFrom(now))
    }

    /// Two writers, on a store and on a copy of its directory, would replace each other's next secret: one locks the other out.
    fn hold(&self, context: &ProviderContext<'_>) -> Result<Option<Arc<dyn DiskFile>>, ProviderError> {
        let path = self.holds.join(format!("{}.hold", context.store));
        let refused = |source| KeyServiceError::Hold { path: path.clone(), source };
        let file = match context.disk.open(&path, Access::ReadWrite) {
            Err(why) if why.kind() == io::ErrorKind::NotFound => {
                let made = context.disk.create_new(&path, 0o600).map_err(refused)?;
                context.disk.sync_dir(&self.holds).map_err(refused)?;
                made
            }
            opened => opened.map_err(refused)?,
        };
        match file.try_lock() {
            Ok(true) => Ok(Some(file)),
            Ok(false) => Err(KeyServiceError::Held { path: path.clone() }.into()),
            Err(why) => Err(refused(why).into()),
        }
    }
}
