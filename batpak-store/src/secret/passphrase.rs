//! The root secret from a passphrase, alone or with a key file.
//!
//! Alone, the secret moves with its salt, and whoever knows the passphrase opens old copies of the keyset. With a key file the
//! secret is BLAKE3 keyed by the output of argon2id over the file's rotating part: without that part old copies are dead.

use std::{fmt, path::PathBuf, sync::Arc};

use batpak_crypto::{
    RootSecret, SecretId,
    passphrase::{Argon2Params, SALT_LEN, derive},
};
use batpak_format::Timestamp;
use batpak_keyset::{Argon2Record, ProviderKind, ProviderRecord};
use batpak_segment::DiskFile;
use zeroize::Zeroizing;

use super::{Destruction, KeyFile, NewSecret, ProviderContext, ProviderError, RootSecretProvider};

/// The version of argon2id that is written and read: 0x13.
const ARGON2_VERSION: u32 = 0x13;

/// Derives the root secret from a passphrase with argon2id, once an open: 64 MiB, three passes, no parallelism unless set otherwise.
pub struct Passphrase {
    passphrase: Zeroizing<Vec<u8>>,
    key_file: Option<KeyFile>,
    params: Argon2Params,
}

impl Passphrase {
    /// Takes the passphrase alone. Old copies of the directory stay open for whoever knows it, also after a shred.
    pub fn new(passphrase: impl Into<Zeroizing<Vec<u8>>>) -> Self {
        Self { passphrase: passphrase.into(), key_file: None, params: Argon2Params::default() }
    }

    /// Takes the passphrase and a key file; both are needed to open the store.
    pub fn with_key_file(passphrase: impl Into<Zeroizing<Vec<u8>>>, path: impl Into<PathBuf>) -> Self {
        Self { key_file: Some(KeyFile::new(path)), ..Self::new(passphrase) }
    }

    /// Sets what a derivation costs when a secret is made; an open takes what the keyset says. Checked when it is used.
    #[must_use]
    pub fn params(mut self, params: Argon2Params) -> Self {
        self.params = params;
        self
    }

    fn fresh(&self, context: &ProviderContext<'_>) -> Result<(RootSecret, Argon2Record), ProviderError> {
        let mut salt = [0; SALT_LEN];
        context.entropy.fill(&mut salt)?;
        let root = derive(&self.passphrase, &salt, &self.params)?;
        let Argon2Params { m_kib, t, p } = self.params;
        Ok((root, Argon2Record { version: ARGON2_VERSION, m_kib, t, p, salt }))
    }

    fn make(&self, root: RootSecret, argon2: Argon2Record, beside: Option<NewSecret>, id: SecretId) -> NewSecret {
        match beside {
            Some(part) => NewSecret {
                id: part.id,
                root: root.mix(part.root.expose()),
                record: ProviderRecord::passphrase_key_file(argon2),
            },
            None => NewSecret { id, root, record: ProviderRecord::passphrase(argon2) },
        }
    }
}

impl RootSecretProvider for Passphrase {
    fn kind(&self) -> ProviderKind {
        match self.key_file {
            Some(_) => ProviderKind::PassphraseKeyFile,
            None => ProviderKind::Passphrase,
        }
    }

    fn create(&self, context: &ProviderContext<'_>) -> Result<NewSecret, ProviderError> {
        let (root, argon2) = self.fresh(context)?;
        let id = SecretId::generate(context.entropy)?;
        let part = self.key_file.as_ref().map(|file| file.create(context)).transpose()?;
        Ok(self.make(root, argon2, part, id))
    }

    fn renew(&self, context: &ProviderContext<'_>) -> Result<NewSecret, ProviderError> {
        let (root, argon2) = self.fresh(context)?;
        let id = SecretId::generate(context.entropy)?;
        let part = self.key_file.as_ref().map(|file| file.renew(context)).transpose()?;
        Ok(self.make(root, argon2, part, id))
    }

    fn take_back(&self, context: &ProviderContext<'_>) {
        if let Some(file) = &self.key_file {
            file.take_back(context);
        }
    }

    fn unlock(
        &self,
        context: &ProviderContext<'_>,
        record: &ProviderRecord,
        id: SecretId,
    ) -> Result<RootSecret, ProviderError> {
        let argon2 = record.argon2().ok_or(ProviderError::WrongKind { found: record.kind() })?;
        // The cheap refusals first: a missing key file needs no derivation.
        let part = self.key_file.as_ref().map(|file| file.secret(context, id)).transpose()?;
        let params = Argon2Params { m_kib: argon2.m_kib, t: argon2.t, p: argon2.p };
        let root = derive(&self.passphrase, &argon2.salt, &params)?;
        Ok(match part {
            Some(part) => root.mix(part.expose()),
            None => root,
        })
    }

    fn store_next(
        &self,
        context: &ProviderContext<'_>,
        record: &ProviderRecord,
        current: SecretId,
    ) -> Result<NewSecret, ProviderError> {
        let (root, argon2) = self.fresh(context)?;
        let id = SecretId::generate(context.entropy)?;
        let part = self.key_file.as_ref().map(|file| file.store_next(context, record, current)).transpose()?;
        Ok(self.make(root, argon2, part, id))
    }

    fn settle(
        &self,
        context: &ProviderContext<'_>,
        keep: SecretId,
        now: Timestamp,
    ) -> Result<Destruction, ProviderError> {
        match &self.key_file {
            Some(file) => file.settle(context, keep, now),
            None => Ok(Destruction::OldCopiesNotCovered),
        }
    }

    fn hold(&self, context: &ProviderContext<'_>) -> Result<Option<Arc<dyn DiskFile>>, ProviderError> {
        self.key_file.as_ref().map_or(Ok(None), |file| file.hold(context))
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Passphrase").field("key_file", &self.key_file).finish_non_exhaustive()
    }
}
