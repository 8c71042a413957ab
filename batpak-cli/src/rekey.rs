//! `batpak rekey`: seals the keyset under a new root secret, and destroys the old one.
//!
//! Invariant: no payload is lost by it, and it never promises more of old copies than the provider of the root secret does.

use std::{
    io::{self, Write},
    path::PathBuf,
};

use batpak_store::{Destruction, Durability};
use clap::Args;
use serde::Serialize;

use crate::{
    error::CliError,
    open::Keys,
    output::{Output, Shown},
    shred::{dead_from, worth, worth_word},
};

const ABOUT: &str = "\
Seal the keyset under a new root secret, and destroy the old one

Old copies of the keyset are then worth what the last line says, for everyone in them: take its
backup again. Every payload stays readable, and new keys come from a fresh page.";

/// Seal the keyset under a new root secret, and destroy the old one
#[derive(Debug, Args)]
#[command(long_about = ABOUT)]
pub struct Rekey {
    /// The directory of the store
    #[arg(value_name = "STORE")]
    dir: PathBuf,
}

impl Rekey {
    /// Moves to a new root secret.
    pub fn run(&self, keys: &Keys, output: &mut Output) -> Result<(), CliError> {
        let store = keys.open(&self.dir, Durability::Synced)?;
        let destruction = store.rekey()?;
        let epoch = store.stats().keyset.map(|keyset| keyset.epoch);
        store.close()?;
        output.show(&RekeyLine::of(destruction, epoch))
    }
}

/// What `rekey` prints.
#[derive(Debug, Serialize)]
struct RekeyLine {
    epoch: Option<u64>,
    destruction: &'static str,
    old_copies_dead_from: Option<String>,
    #[serde(skip)]
    worth: String,
}

impl RekeyLine {
    fn of(destruction: Destruction, epoch: Option<u64>) -> Self {
        Self {
            epoch,
            destruction: worth_word(destruction),
            old_copies_dead_from: dead_from(destruction),
            worth: worth(destruction),
        }
    }
}

impl Shown for RekeyLine {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "rekeyed: the keyset is sealed under a new root secret; take its backup again")?;
        writeln!(out, "destruction: {}", self.worth)
    }
}
