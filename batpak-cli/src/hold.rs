//! `batpak hold`, `release` and `holds`: keeps what is named from being shredded, ends that, and lists what is held.
//!
//! Invariant: a hold and its release are events of the store; what is listed is what the log says, and no key is needed to list it.

use std::{
    io::{self, Write},
    path::PathBuf,
};

use batpak_store::{Durability, EventId, Store};
use clap::Args;
use serde::Serialize;

use crate::{
    error::CliError,
    open::{Keys, open_without_keys},
    output::{Output, Shown},
    selection::{Named, Selection},
};

const ABOUT: &str = "\
Keep what is named from being shredded

A shred leaves out what is held, and its record names it as withheld. Exactly one thing is named: a
key scope by the granularity of the store, or anything coarser, which stands for every key scope
under it, also those to come. Appends and reads go on. `batpak release` ends it.";

/// What is held or released, and why.
#[derive(Debug, Args)]
struct Target {
    /// The directory of the store
    #[arg(value_name = "STORE")]
    dir: PathBuf,

    #[command(flatten)]
    selection: Selection,

    /// This one event, in a store with one key per event
    #[arg(long, value_name = "ID")]
    event: Option<EventId>,

    /// Your own reference, a case's number say, at most 64 bytes; kept in clear for ever
    #[arg(long, value_name = "R", default_value = "", hide_default_value = true)]
    reference: String,
}

impl Target {
    fn named(&self) -> Result<Named, CliError> {
        let mut named = self.selection.named()?;
        named.extend(self.event.map(Named::Event));
        match <[Named; 1]>::try_from(named) {
            Ok([named]) => Ok(named),
            Err(_) => Err(CliError::Flags(
                "name one thing: --entity, --entity with --scope, --scope, --category, --kind or --event",
            )),
        }
    }

    fn open(&self, keys: &Keys) -> Result<Store, CliError> {
        keys.open(&self.dir, Durability::Synced)
    }
}

/// Keep what is named from being shredded
#[derive(Debug, Args)]
#[command(long_about = ABOUT)]
pub struct Hold {
    #[command(flatten)]
    target: Target,
}

impl Hold {
    /// Sets the hold.
    pub fn run(&self, keys: &Keys, output: &mut Output) -> Result<(), CliError> {
        let named = self.target.named()?;
        let store = self.target.open(keys)?;
        let position = store.hold(&named.selector(), &self.target.reference)?;
        store.close()?;
        output.show(&HeldLine { held: named.to_string(), position })
    }
}

/// End a hold: what is named may be shredded again
#[derive(Debug, Args)]
pub struct Release {
    #[command(flatten)]
    target: Target,
}

impl Release {
    /// Ends the hold.
    pub fn run(&self, keys: &Keys, output: &mut Output) -> Result<(), CliError> {
        let named = self.target.named()?;
        let store = self.target.open(keys)?;
        let position = store.release(&named.selector(), &self.target.reference)?;
        store.close()?;
        output.show(&ReleasedLine { released: named.to_string(), position })
    }
}

/// List what is held; no key is needed
#[derive(Debug, Args)]
pub struct Holds {
    /// The directory of the store
    #[arg(value_name = "STORE")]
    dir: PathBuf,
}

impl Holds {
    /// Prints the holds in force, in the order of the log.
    pub fn run(&self, output: &mut Output) -> Result<(), CliError> {
        let holds = open_without_keys(&self.dir)?.holds()?;
        if holds.is_empty() && !output.is_json() {
            return output.show(&NothingLine);
        }
        holds.into_iter().try_for_each(|hold| {
            output.show(&HoldLine {
                held: hold.key_scope.to_string(),
                position: hold.position,
                reference: hold.reference,
            })
        })
    }
}

/// What `hold` prints.
#[derive(Debug, Serialize)]
struct HeldLine {
    held: String,
    position: u64,
}

impl Shown for HeldLine {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "held: {} is left out of every shred, on record at position {}", self.held, self.position)
    }
}

/// What `release` prints.
#[derive(Debug, Serialize)]
struct ReleasedLine {
    released: String,
    position: u64,
}

impl Shown for ReleasedLine {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "released: {} may be shredded again, on record at position {}", self.released, self.position)
    }
}

/// One line of `holds`.
#[derive(Debug, Serialize)]
struct HoldLine {
    held: String,
    position: u64,
    reference: String,
}

impl Shown for HoldLine {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "{} since position {} {}", self.held, self.position, self.reference)
    }
}

/// What `holds` tells people when nothing is held.
#[derive(Debug, Serialize)]
struct NothingLine;

impl Shown for NothingLine {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "nothing is held")
    }
}
