//! What the image says about where its root secret comes from.
//!
//! Everything here is public and stands in the plain header, with one exception that the name says: under `Local` the
//! root secret itself stands there. It is held wiped on drop, and printed never.

use core::fmt;

use batpak_crypto::RootSecret;
use zeroize::Zeroizing;

use crate::error::KeysetError;

/// The longest parameters of an outside provider, in bytes.
pub const PROVIDER_PARAMS_BYTES_MAX: usize = 1024;

/// Names the kind of a provider of root secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ProviderKind {
    /// A service outside of the process: a key management service, a security module, a keyring.
    External,
    /// A key file outside of the store's directory.
    KeyFile,
    /// In the image itself.
    Local,
    /// A passphrase alone.
    Passphrase,
    /// A passphrase and a key file.
    PassphraseKeyFile,
}

impl ProviderKind {
    /// Every kind, in the order of the codes.
    pub const ALL: [Self; 5] = [Self::Local, Self::KeyFile, Self::Passphrase, Self::PassphraseKeyFile, Self::External];

    /// Returns the code on disk: 1 to 5.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Local => 1,
            Self::KeyFile => 2,
            Self::Passphrase => 3,
            Self::PassphraseKeyFile => 4,
            Self::External => 5,
        }
    }

    /// Reads a code; none for one that this version does not know.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }
}

/// The public parameters of argon2id, as the image keeps them. `batpak-crypto` checks floors and caps when it derives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Argon2Record {
    /// The version of the algorithm, 0x13.
    pub version: u32,
    /// Memory in KiB.
    pub m_kib: u32,
    /// Passes.
    pub t: u32,
    /// Lanes.
    pub p: u32,
    /// The salt.
    pub salt: [u8; 16],
}

/// What the plain header says of the provider: its kind, and what the kind needs to be asked again.
pub struct ProviderRecord {
    pub(crate) source: Source,
}

pub(crate) enum Source {
    External(Box<[u8]>),
    KeyFile,
    Local(RootSecret),
    Passphrase(Argon2Record),
    PassphraseKeyFile(Argon2Record),
}

impl ProviderRecord {
    /// Keeps the root secret in the image itself. Whoever has the image then has every key: this protects nothing
    /// but the files of the living store after a shred.
    #[must_use]
    pub fn local(secret: &RootSecret) -> Self {
        Self::of(Source::Local(copied(secret)))
    }

    /// Takes the root secret from a key file outside of the store's directory.
    #[must_use]
    pub fn key_file() -> Self {
        Self::of(Source::KeyFile)
    }

    /// Takes the root secret from a passphrase.
    #[must_use]
    pub fn passphrase(argon2: Argon2Record) -> Self {
        Self::of(Source::Passphrase(argon2))
    }

    /// Takes the root secret from a passphrase and a key file.
    #[must_use]
    pub fn passphrase_key_file(argon2: Argon2Record) -> Self {
        Self::of(Source::PassphraseKeyFile(argon2))
    }

    /// Takes the root secret from a service, with what must be said to it: public bytes, at most
    /// [`PROVIDER_PARAMS_BYTES_MAX`]. They stand in clear in the image.
    ///
    /// # Errors
    /// [`KeysetError::ParamsTooLong`].
    pub fn external(params: &[u8]) -> Result<Self, KeysetError> {
        if params.len() > PROVIDER_PARAMS_BYTES_MAX {
            return Err(KeysetError::ParamsTooLong { bytes: params.len() });
        }
        Ok(Self::of(Source::External(Box::from(params))))
    }

    const fn of(source: Source) -> Self {
        Self { source }
    }

    /// Returns the kind.
    #[must_use]
    pub const fn kind(&self) -> ProviderKind {
        match self.source {
            Source::External(_) => ProviderKind::External,
            Source::KeyFile => ProviderKind::KeyFile,
            Source::Local(_) => ProviderKind::Local,
            Source::Passphrase(_) => ProviderKind::Passphrase,
            Source::PassphraseKeyFile(_) => ProviderKind::PassphraseKeyFile,
        }
    }

    /// Returns the parameters of argon2id, of the two kinds that have a passphrase.
    #[must_use]
    pub const fn argon2(&self) -> Option<&Argon2Record> {
        match &self.source {
            Source::Passphrase(argon2) | Source::PassphraseKeyFile(argon2) => Some(argon2),
            _ => None,
        }
    }

    /// Returns what an outside provider is to be told; empty for every other kind.
    #[must_use]
    pub fn params(&self) -> &[u8] {
        match &self.source {
            Source::External(params) => params,
            _ => &[],
        }
    }

    /// Returns a copy of the root secret that stands in the image, of the kind `Local` only.
    #[must_use]
    pub fn local_secret(&self) -> Option<RootSecret> {
        match &self.source {
            Source::Local(secret) => Some(copied(secret)),
            _ => None,
        }
    }

    /// Makes a second record that says the same. Under `Local` this copies the secret, hence not `Clone`.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self::of(match &self.source {
            Source::External(params) => Source::External(params.clone()),
            Source::KeyFile => Source::KeyFile,
            Source::Local(secret) => Source::Local(copied(secret)),
            Source::Passphrase(argon2) => Source::Passphrase(*argon2),
            Source::PassphraseKeyFile(argon2) => Source::PassphraseKeyFile(*argon2),
        })
    }
}

fn copied(secret: &RootSecret) -> RootSecret {
    let mut bytes = Zeroizing::new([0; 32]);
    bytes.copy_from_slice(secret.expose());
    RootSecret::from_bytes(bytes)
}

impl fmt::Debug for ProviderRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProviderRecord")
            .field("kind", &self.kind())
            .field("argon2", &self.argon2())
            .finish_non_exhaustive()
    }
}
