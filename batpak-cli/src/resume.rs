//! `batpak resume`: finishes a shred that was begun and not finished, and says so.
//!
//! Invariant: opening a store for writing finishes what is pending, whatever the verb; this one does nothing else, and tells what it was.

use std::{
    io::{self, Write},
    path::PathBuf,
};

use batpak_store::{Durability, Pending};
use clap::Args;
use serde::Serialize;

use crate::{
    error::CliError,
    open::Keys,
    output::{Output, Shown},
};

const ABOUT: &str = "\
Finish a shred that was begun and not finished

From its intent on a shred can only be finished: every verb that opens the store for writing does so
first. This one does nothing else, and says what it was; that nothing was pending is well, too.";

/// Finish a shred that was begun and not finished
#[derive(Debug, Args)]
#[command(long_about = ABOUT)]
pub struct Resume {
    /// The directory of the store
    #[arg(value_name = "STORE")]
    dir: PathBuf,
}

impl Resume {
    /// Opens the store, which finishes what is pending, and closes it.
    pub fn run(&self, keys: &Keys, output: &mut Output) -> Result<(), CliError> {
        let store = keys.open(&self.dir, Durability::Synced)?;
        let by_open = store.open_report().shred_finished.map(|intent| Pending::Shred { intent });
        let encrypted = store.info().encrypted;
        let later = if encrypted { store.resume()?.map(|finished| finished.what) } else { None };
        store.close()?;
        output.show(&ResumeLine::of(by_open.or(later)))
    }
}

/// What `resume` prints.
#[derive(Debug, Serialize)]
struct ResumeLine {
    finished: Option<&'static str>,
    intent: Option<u64>,
}

impl ResumeLine {
    const fn of(finished: Option<Pending>) -> Self {
        match finished {
            Some(Pending::Shred { intent }) => Self { finished: Some("shred"), intent: Some(intent) },
            Some(_) => Self { finished: Some("rekey"), intent: None },
            None => Self { finished: None, intent: None },
        }
    }
}

impl Shown for ResumeLine {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        match (self.finished, self.intent) {
            (_, Some(intent)) => writeln!(out, "finished: the shred of the intent at position {intent}"),
            (Some(what), None) => writeln!(out, "finished: a {what}"),
            (None, None) => writeln!(out, "nothing was pending"),
        }
    }
}
