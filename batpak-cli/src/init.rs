//! `batpak init`: makes a store.
//!
//! Invariant: where the root secret is kept is said on the command line; there is no default.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
};

use batpak_store::{Config, Encryption, Granularity, Local, ProviderKind, Store, StoreInfo};
use clap::Args;
use serde::Serialize;

use crate::{
    error::CliError,
    open::{Keys, refused},
    output::{Output, Shown, warn},
};

const LOCAL_KEY_WARNING: &str = "the root secret stands in the store's own directory: whoever has the directory, or any copy \
    of it, opens every payload that it held, also payloads that were shredded after the copy was made";

const ABOUT: &str = "\
Make a store in an empty or new directory

Where the root secret is kept must be said:
  --key-file PATH                       in a file outside of the store, which is made here
  --passphrase-env VAR                  in your memory: the passphrase is in the environment variable VAR
  --key-file PATH --passphrase-env VAR  in both, and both are needed
  --local-key                           in the store itself: copies of the directory open what they held
  --plaintext                           nowhere: payloads stand in clear, and nothing can be shredded

The kind of the provider and the place of the key file are recorded in the store, in clear; never a secret.";

/// Make a store in an empty or new directory
#[derive(Debug, Args)]
#[command(long_about = ABOUT)]
pub struct Init {
    /// The directory of the store
    #[arg(value_name = "STORE")]
    dir: PathBuf,

    /// Which events share a key and are shredded together: entity, coordinate, scope, category, kind or event
    #[arg(long, required_unless_present = "plaintext", conflicts_with = "plaintext")]
    granularity: Option<Granularity>,

    /// Keep the root secret in the store itself: copies of the directory open what they held
    #[arg(long, conflicts_with = "plaintext")]
    local_key: bool,

    /// Make a plaintext store: payloads stand in clear, and nothing can be shredded
    #[arg(long)]
    plaintext: bool,
}

impl Init {
    /// Makes the store.
    pub fn run(&self, keys: &Keys, output: &mut Output) -> Result<(), CliError> {
        let keys = self.checked(keys)?;
        let encryption = match keys.encryption()? {
            Some(encryption) => encryption,
            None if self.plaintext => Encryption::none(),
            None => Encryption::sealed(Local::new()),
        };
        let mut config = Config::new(encryption).provider_hint(hint(keys.key_file.as_deref()));
        if let Some(granularity) = self.granularity {
            config = config.granularity(granularity);
        }
        if self.local_key {
            warn(LOCAL_KEY_WARNING);
        }
        let store = Store::create(&self.dir, config).map_err(refused(&self.dir))?;
        let line = InitLine::new(&self.dir, store.info());
        store.close()?;
        output.show(&line)
    }

    /// Checks that exactly one place was named, and makes the key file's path absolute.
    fn checked(&self, keys: &Keys) -> Result<Keys, CliError> {
        let own = self.local_key || self.plaintext;
        if own && !keys.is_empty() {
            return Err(CliError::Flags(
                "--local-key and --plaintext do not go together with --key-file or --passphrase-env: choose one",
            ));
        }
        if !own && keys.is_empty() {
            return Err(CliError::Flags(
                "say where the root secret is kept: --key-file PATH, --passphrase-env VAR, both of them, --local-key, \
                 or --plaintext for a store that seals nothing (see batpak init --help)",
            ));
        }
        let mut keys = keys.clone();
        if let Some(path) = &keys.key_file {
            keys.key_file = Some(absolute(path)?);
        }
        Ok(keys)
    }
}

/// Makes a path independent of the directory it was typed in.
fn absolute(path: &Path) -> Result<PathBuf, CliError> {
    std::path::absolute(path).map_err(|source| CliError::Folder { path: path.to_owned(), source })
}

/// Returns what is recorded of the key file's place; a path that is not UTF-8 cannot be.
fn hint(key_file: Option<&Path>) -> String {
    let Some(path) = key_file else { return String::new() };
    if let Some(text) = path.to_str() {
        return text.to_owned();
    }
    warn("the path of the key file is not UTF-8 and is not recorded: give --key-file each time");
    String::new()
}

/// What `init` prints.
#[derive(Debug, Serialize)]
struct InitLine {
    store: String,
    dir: String,
    encrypted: bool,
    granularity: Option<String>,
    provider: Option<&'static str>,
    provider_hint: String,
}

impl InitLine {
    fn new(dir: &Path, info: &StoreInfo) -> Self {
        Self {
            store: info.store.to_string(),
            dir: dir.display().to_string(),
            encrypted: info.encrypted,
            granularity: info.granularity.map(|granularity| granularity.to_string()),
            provider: info.provider.map(provider_name),
            provider_hint: info.provider_hint.clone(),
        }
    }
}

/// Names a kind of provider.
pub const fn provider_name(kind: ProviderKind) -> &'static str {
    match kind {
        ProviderKind::Local => "local",
        ProviderKind::KeyFile => "key_file",
        ProviderKind::Passphrase => "passphrase",
        ProviderKind::PassphraseKeyFile => "passphrase_and_key_file",
        _ => "external",
    }
}

impl Shown for InitLine {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "made store {} in {}", self.store, self.dir)?;
        match (&self.granularity, self.provider) {
            (Some(granularity), Some(provider)) => {
                writeln!(out, "one key per {granularity}, root secret: {}", provider.replace('_', " "))?;
            }
            _ => writeln!(out, "plaintext: payloads stand in clear, and nothing can be shredded")?,
        }
        if self.provider_hint.is_empty() {
            return Ok(());
        }
        writeln!(out, "key file: {} (keep a copy of it apart from the store)", self.provider_hint)
    }
}
