//! How a verb opens its store: the provider of the root secret from the flags, else from what the store says of itself.
//!
//! Invariant: nothing but the flags and the store's own genesis event decides where a secret is looked for, and a passphrase is
//! wiped after its use.

use std::{
    os::unix::ffi::OsStringExt,
    path::{Path, PathBuf},
};

use batpak_store::{
    Config, Durability, Encryption, KeyFile, Local, OpenError, OpenReport, Passphrase, ProviderKind, Store, StoreInfo,
    keyset::Finding, segment::RealDisk,
};
use clap::Args;
use zeroize::Zeroizing;

use crate::{error::CliError, output::warn};

/// Where the root secret is, when it is not where the store says.
#[derive(Clone, Debug, Default, Args)]
pub struct Keys {
    /// The key file of the store; without it the place that `init` recorded is used
    #[arg(long, global = true, display_order = 98, value_name = "PATH")]
    pub key_file: Option<PathBuf>,

    /// The environment variable that holds the passphrase of the store
    #[arg(long, global = true, display_order = 99, value_name = "VAR")]
    pub passphrase_env: Option<String>,
}

impl Keys {
    /// Tells whether no flag was given.
    pub const fn is_empty(&self) -> bool {
        self.key_file.is_none() && self.passphrase_env.is_none()
    }

    /// Returns how a store is opened without any key.
    pub fn without() -> Config {
        Config::new(Encryption::none()).without_keys()
    }

    /// Returns the encryption that the flags alone describe; `None` when there is no flag.
    ///
    /// # Errors
    /// [`CliError::PassphraseUnset`].
    pub fn encryption(&self) -> Result<Option<Encryption>, CliError> {
        Ok(match (&self.key_file, &self.passphrase_env) {
            (None, None) => None,
            (Some(path), None) => Some(Encryption::sealed(KeyFile::new(path))),
            (None, Some(variable)) => Some(Encryption::sealed(Passphrase::new(passphrase(variable)?))),
            (Some(path), Some(variable)) => {
                Some(Encryption::sealed(Passphrase::with_key_file(passphrase(variable)?, path)))
            }
        })
    }

    /// Opens a store for writing.
    ///
    /// # Errors
    /// [`CliError::Open`] when the store refuses; the errors of a root secret that was not named.
    pub fn open(&self, dir: &Path, durability: Durability) -> Result<Store, CliError> {
        self.open_accepting(dir, durability, |config| config)
    }

    /// Opens a store for writing, with what `accept` adds to how it is opened.
    ///
    /// # Errors
    /// As [`Keys::open`].
    pub fn open_accepting(
        &self,
        dir: &Path,
        durability: Durability,
        accept: impl FnOnce(Config) -> Config,
    ) -> Result<Store, CliError> {
        let config = accept(self.config(dir)?.durability(durability));
        let store = Store::open(dir, config).map_err(refused(dir))?;
        warn_of(store.open_report());
        Ok(store)
    }

    /// Opens a store for reading, also beside a writer.
    ///
    /// # Errors
    /// As [`Keys::open`].
    pub fn open_read_only(&self, dir: &Path) -> Result<Store, CliError> {
        let store = Store::open_read_only(dir, self.config(dir)?).map_err(refused(dir))?;
        if store.open_report().keyset_rolled_back {
            warn(
                "the keyset is older than the log, and payloads under keys that it does not know read as lost: restore the \
                 latest copy of keyset.a and keyset.b",
            );
        }
        Ok(store)
    }

    /// Returns how a store is opened, from the flags and from its genesis event.
    fn config(&self, dir: &Path) -> Result<Config, CliError> {
        self.config_of(&inspect(dir)?)
    }

    /// Returns how a store of which this is known is opened.
    ///
    /// # Errors
    /// Those of a root secret that was not named.
    pub fn config_of(&self, info: &StoreInfo) -> Result<Config, CliError> {
        let encryption = match self.with_recorded(info)?.encryption()? {
            Some(encryption) => encryption,
            None if info.encrypted => Encryption::sealed(Local::new()),
            None => Encryption::none(),
        };
        Ok(Config::new(encryption))
    }

    /// Returns the key file that a store is opened with, when it is sealed under one.
    ///
    /// # Errors
    /// As [`Keys::config_of`].
    pub fn key_file_of(&self, info: &StoreInfo) -> Result<Option<PathBuf>, CliError> {
        Ok(self.with_recorded(info)?.key_file)
    }

    /// Fills in what the flags leave open and the store says; no key at all is right for `Local` and plaintext.
    fn with_recorded(&self, info: &StoreInfo) -> Result<Self, CliError> {
        let mut keys = self.clone();
        let needs_file = matches!(info.provider, Some(ProviderKind::KeyFile | ProviderKind::PassphraseKeyFile));
        let needs_passphrase =
            matches!(info.provider, Some(ProviderKind::Passphrase | ProviderKind::PassphraseKeyFile));
        if matches!(info.provider, Some(ProviderKind::External)) {
            return Err(CliError::ProviderUnknown);
        }
        if needs_passphrase && keys.passphrase_env.is_none() {
            return Err(CliError::PassphraseNeeded);
        }
        if needs_file && keys.key_file.is_none() {
            if info.provider_hint.is_empty() {
                return Err(CliError::KeyFileNeeded);
            }
            keys.key_file = Some(PathBuf::from(&info.provider_hint));
        }
        Ok(keys)
    }
}

/// Reads what a store says of itself, without any key.
///
/// # Errors
/// [`CliError::Open`] when there is no store.
pub fn inspect(dir: &Path) -> Result<StoreInfo, CliError> {
    Store::inspect(dir, &RealDisk).map_err(refused(dir))
}

/// Opens a store for reading without any key: headers, hashes and chains can be checked, payloads stay closed.
///
/// # Errors
/// [`CliError::Open`] when the store refuses.
pub fn open_without_keys(dir: &Path) -> Result<Store, CliError> {
    Store::open_read_only(dir, Keys::without()).map_err(refused(dir))
}

/// Warns of what opening for writing found and mended. What a killed process leaves is mended too, and is no news but for the
/// bytes that were cut.
fn warn_of(report: &OpenReport) {
    if let Some(torn) = report.torn.filter(|torn| torn.bytes > 0) {
        warn(&format!("an append that was not finished, {} bytes at the end of the log, was cut off", torn.bytes));
    }
    if let Some(intent) = report.shred_finished {
        warn(&format!("a shred that was begun at position {intent} and not finished is finished now"));
    }
    for finding in &report.keyset {
        match finding {
            Finding::CopyDamaged(copy) | Finding::CopyMissing(copy) | Finding::CopyUnreadable(copy) => {
                warn(&format!("{} was damaged or missing, and was made again from the other copy", copy.file_name()));
            }
            Finding::PageLost { page, .. } => {
                warn(&format!("the keys of page {page} are lost: restore the keyset from its latest backup"));
            }
            _ => {}
        }
    }
    if report.copied {
        warn("the store was copied or restored: a copy that is written to needs a key file of its own");
    }
}

/// Says which store refused.
pub fn refused(dir: &Path) -> impl FnOnce(OpenError) -> CliError {
    let dir = dir.to_owned();
    move |source| CliError::Open { dir, source: Box::new(source) }
}

/// Takes the passphrase from the environment, byte for byte.
fn passphrase(variable: &str) -> Result<Zeroizing<Vec<u8>>, CliError> {
    match std::env::var_os(variable) {
        Some(text) if !text.is_empty() => Ok(Zeroizing::new(text.into_vec())),
        _ => Err(CliError::PassphraseUnset { variable: variable.to_owned() }),
    }
}
