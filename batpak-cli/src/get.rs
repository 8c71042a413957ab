//! `batpak get`: prints one event.
//!
//! Invariant: an event whose payload was shredded is found, and says so; only an id that the store does not have is not found.

use std::path::PathBuf;

use batpak_store::EventId;
use clap::{ArgGroup, Args};

use crate::{error::CliError, event::EventLine, open::Keys, output::Output};

/// Print one event
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("which").required(true))]
pub struct Get {
    /// The directory of the store
    #[arg(value_name = "STORE")]
    dir: PathBuf,

    /// The event's id
    #[arg(value_name = "ID", group = "which")]
    id: Option<EventId>,

    /// The key that the event was appended with
    #[arg(long, group = "which")]
    key: Option<String>,
}

impl Get {
    /// Prints the event.
    pub fn run(&self, keys: &Keys, output: &mut Output) -> Result<(), CliError> {
        let id = match (self.id, &self.key) {
            (Some(id), _) => id,
            (None, Some(key)) => EventId::from_key(key.as_bytes()),
            (None, None) => return Err(CliError::Flags("name the event: an ID, or --key KEY")),
        };
        let store = keys.open_read_only(&self.dir)?;
        let event = store.get(id)?.ok_or(CliError::NotFound { id })?;
        output.show(&EventLine::of(&event))
    }
}
