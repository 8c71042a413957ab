//! The root secret in the keyset image itself.
//!
//! Whoever has a copy of the directory has everything that was in it then: a shred covers the live files only.

use batpak_crypto::{RootSecret, SecretId};
use batpak_format::Timestamp;
use batpak_keyset::{ProviderKind, ProviderRecord};

use super::{Destruction, NewSecret, ProviderContext, ProviderError, RootSecretProvider};

/// Keeps the root secret beside the data. A stolen directory opens, and so does every copy that was taken before a shred.
#[derive(Clone, Copy, Debug, Default)]
pub struct Local(());

impl Local {
    /// Chooses it.
    #[must_use]
    pub const fn new() -> Self {
        Self(())
    }
}

impl RootSecretProvider for Local {
    fn kind(&self) -> ProviderKind {
        ProviderKind::Local
    }

    fn create(&self, context: &ProviderContext<'_>) -> Result<NewSecret, ProviderError> {
        let root = RootSecret::generate(context.entropy)?;
        let record = ProviderRecord::local(&root);
        Ok(NewSecret { id: SecretId::generate(context.entropy)?, root, record })
    }

    fn renew(&self, context: &ProviderContext<'_>) -> Result<NewSecret, ProviderError> {
        self.create(context)
    }

    fn unlock(
        &self,
        _context: &ProviderContext<'_>,
        record: &ProviderRecord,
        _id: SecretId,
    ) -> Result<RootSecret, ProviderError> {
        record.local_secret().ok_or(ProviderError::WrongKind { found: record.kind() })
    }

    fn store_next(
        &self,
        context: &ProviderContext<'_>,
        _record: &ProviderRecord,
        _current: SecretId,
    ) -> Result<NewSecret, ProviderError> {
        self.create(context)
    }

    /// The old secret was destroyed with the old image.
    fn settle(
        &self,
        _context: &ProviderContext<'_>,
        _keep: SecretId,
        _now: Timestamp,
    ) -> Result<Destruction, ProviderError> {
        Ok(Destruction::LiveFilesOnly)
    }
}
