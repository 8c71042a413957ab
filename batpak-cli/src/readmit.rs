//! `batpak readmit`: lets a key scope that was shredded, or whose key is lost, take new events.
//!
//! Invariant: it gives back no payload; new events come under new keys.

use std::{
    io::{self, Write},
    path::PathBuf,
};

use batpak_store::Durability;
use clap::Args;
use serde::Serialize;

use crate::{
    error::CliError,
    open::Keys,
    output::{Output, Shown},
    selection::Selection,
};

const ABOUT: &str = "\
Let a key scope that was shredded, or whose key is lost, take new events

What was shredded stays shredded: new events come under a new key. Exactly one key scope is named,
by the granularity of the store; --entity together with --scope is a coordinate.";

/// Let a key scope that was shredded, or whose key is lost, take new events
#[derive(Debug, Args)]
#[command(long_about = ABOUT)]
pub struct Readmit {
    /// The directory of the store
    #[arg(value_name = "STORE")]
    dir: PathBuf,

    #[command(flatten)]
    selection: Selection,
}

impl Readmit {
    /// Readmits the key scope.
    pub fn run(&self, keys: &Keys, output: &mut Output) -> Result<(), CliError> {
        let named = self.selection.named()?;
        let [named] = named.as_slice() else {
            return Err(CliError::Flags(
                "name one key scope: --entity, --entity with --scope, --scope, --category or --kind",
            ));
        };
        let store = keys.open(&self.dir, Durability::Synced)?;
        store.readmit(&named.selector())?;
        store.close()?;
        output.show(&ReadmitLine { readmitted: named.to_string() })
    }
}

/// What `readmit` prints.
#[derive(Debug, Serialize)]
struct ReadmitLine {
    readmitted: String,
}

impl Shown for ReadmitLine {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "readmitted: {} takes new events; what was shredded stays shredded", self.readmitted)
    }
}
