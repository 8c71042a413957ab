//! `batpak accept`: opens a store that refuses to open for what it lost, once that loss is accepted.
//!
//! Invariant: nothing is accepted that was not named, and what was accepted is on record in the store.

use std::{
    io::{self, Write},
    path::PathBuf,
};

use batpak_store::{Config, Durability, EventKind, Query};
use clap::{ArgGroup, Args};
use serde::Serialize;

use crate::{
    error::CliError,
    open::{Keys, open_without_keys},
    output::{Output, Shown},
};

const ABOUT: &str = "\
Accept a loss that keeps a store from opening

Restore first what can be restored: what is accepted here is lost for good, and an event of the
store says for ever that it was accepted. Without such a loss nothing is changed.";

/// Accept a loss that keeps a store from opening
#[derive(Debug, Args)]
#[command(long_about = ABOUT, group = ArgGroup::new("loss").required(true))]
pub struct Accept {
    /// The directory of the store
    #[arg(value_name = "STORE")]
    dir: PathBuf,

    /// The keyset is gone: every payload so far is lost, and new keys begin
    #[arg(long, group = "loss")]
    key_loss: bool,

    /// The keyset is older than the log: payloads under keys that it does not know are lost
    #[arg(long, group = "loss")]
    keyset_rollback: bool,

    /// The log is older than the keyset: events that were acknowledged are missing
    #[arg(long, group = "loss")]
    log_rollback: bool,
}

impl Accept {
    /// Opens the store with the acceptance, and closes it.
    pub fn run(&self, keys: &Keys, output: &mut Output) -> Result<(), CliError> {
        let (loss, kind) = self.loss();
        let end = open_without_keys(&self.dir)?.stats().events;
        let store = keys.open_accepting(&self.dir, Durability::Synced, |config| self.accepting(config))?;
        let on_record = Query::all().from(end).kind(kind).include_system(true).limit(1);
        let position = store.read(&on_record)?.next().transpose()?.map(|event| event.header.position);
        store.close()?;
        output.show(&AcceptLine { accepted: position.map(|_| loss), position })
    }

    /// Names the loss, and the kind of the event that puts it on record.
    const fn loss(&self) -> (&'static str, EventKind) {
        if self.key_loss {
            ("key_loss", EventKind::KEY_LOSS_ACCEPTED)
        } else if self.keyset_rollback {
            ("keyset_rollback", EventKind::ROLLBACK_ACCEPTED)
        } else {
            ("log_rollback", EventKind::ROLLBACK_ACCEPTED)
        }
    }

    const fn accepting(&self, config: Config) -> Config {
        if self.key_loss {
            config.accept_key_loss()
        } else if self.keyset_rollback {
            config.accept_keyset_rollback()
        } else {
            config.accept_log_rollback()
        }
    }
}

/// What `accept` prints.
#[derive(Debug, Serialize)]
struct AcceptLine {
    accepted: Option<&'static str>,
    position: Option<u64>,
}

impl Shown for AcceptLine {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        match (self.accepted, self.position) {
            (Some(accepted), Some(position)) => {
                writeln!(out, "accepted: {}, on record at position {position}", accepted.replace('_', " "))
            }
            _ => writeln!(out, "nothing had to be accepted: the store opens as it is"),
        }
    }
}
