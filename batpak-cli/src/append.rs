//! `batpak append`: appends one event.
//!
//! Invariant: the payload is read whole before the store is opened for writing, so slow input keeps no other writer out and a
//! failed read appends nothing.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use batpak_store::{ContentType, Coordinate, EventId, EventKind, NewEvent, Timestamp};
use clap::{ArgGroup, Args};

use crate::{
    durability::DurabilityFlag,
    error::CliError,
    open::{Keys, inspect},
    output::Output,
    receipt::ReceiptLine,
    rules::RuleFlags,
    time,
};

const ABOUT: &str = "\
Append one event and print its receipt

Entity, scope, kind, tags, causes, ids and times are stored in clear, and no shred takes them
away. Of a key only a hash is stored, as the event's id: whoever guesses the key can check the
guess. Personal data belongs in the payload, which is sealed.

With --key, appending the same event again returns the first receipt as a repeat; other content
under the same key is a conflict (exit code 1).

With --expect, --fail-if and --gate the append is refused (exit code 1) when, at the commit, the
log is not as they say; with --json the reason is an object.";

/// Append one event and print its receipt
#[derive(Debug, Args)]
#[command(long_about = ABOUT, group = ArgGroup::new("input").required(true))]
pub struct Append {
    /// The directory of the store
    #[arg(value_name = "STORE")]
    dir: PathBuf,

    /// Read the payload from standard input
    #[arg(value_name = "-", value_parser = ["-"], hide_possible_values = true, group = "input")]
    stdin: Option<String>,

    /// The entity: the stream that the event belongs to; stored in clear
    #[arg(long)]
    entity: String,

    /// The scope around the entity; stored in clear
    #[arg(long)]
    scope: String,

    /// What the event is: CATEGORY:TYPE, 0 to 15 and 0 to 4095; categories 0 and 13 are reserved
    #[arg(long, value_name = "CAT:TYPE")]
    kind: EventKind,

    /// Your own key for the event, so that a repeated append finds the first one; its hash is the id
    #[arg(long)]
    key: Option<String>,

    /// The id of an event that this one follows from; may be given up to 64 times
    #[arg(long, value_name = "ID")]
    cause: Vec<EventId>,

    /// The key of an event that this one follows from; named after those of --cause
    #[arg(long, value_name = "KEY")]
    cause_key: Vec<String>,

    /// A tag, stored in clear; may be given up to 16 times
    #[arg(long)]
    tag: Vec<String>,

    /// The time of the event, RFC 3339 or microseconds since 1970 UTC; without it the time of the append
    #[arg(long, value_parser = time::parse)]
    time: Option<Timestamp>,

    #[command(flatten)]
    rules: RuleFlags,

    /// Append past the gates named; the reason is kept for ever and in clear, in an event of the store
    #[arg(long, value_name = "REASON", requires = "gate")]
    bypass: Option<String>,

    /// When the append is acknowledged
    #[arg(long, value_enum, default_value_t)]
    durability: DurabilityFlag,

    /// The payload, as text
    #[arg(long, value_name = "TEXT", group = "input")]
    data: Option<String>,

    /// The file that holds the payload
    #[arg(long, value_name = "F", group = "input")]
    file: Option<PathBuf>,
}

impl Append {
    /// Appends the event.
    pub fn run(&self, keys: &Keys, output: &mut Output) -> Result<(), CliError> {
        let coordinate = Coordinate::new(&self.entity, &self.scope)
            .map_err(|wrong| CliError::Command(format!("--entity or --scope: {wrong}")))?;
        let payload = self.payload(inspect(&self.dir)?.plaintext_bytes_max)?;
        let store = keys.open_accepting(&self.dir, self.durability.into(), |config| {
            config.gates(self.rules.gates()).denials_recorded(self.rules.denials_recorded())
        })?;
        let event = self.rules.on(self.event(coordinate, &payload));
        let receipt = match &self.bypass {
            Some(reason) => store.append_bypassing(&event, reason)?,
            None => store.append(&event)?,
        };
        store.close()?;
        output.show(&ReceiptLine::from(&receipt))
    }

    /// Puts the event together.
    fn event<'a>(&self, coordinate: Coordinate, payload: &'a [u8]) -> NewEvent<'a> {
        let content = if self.data.is_some() { ContentType::TEXT } else { ContentType::BYTES };
        let mut event = NewEvent::new(coordinate, self.kind, payload).content_type(content);
        if let Some(key) = &self.key {
            event = event.key(key.as_bytes());
        }
        if let Some(time) = self.time {
            event = event.time(time);
        }
        for id in &self.cause {
            event = event.cause(*id);
        }
        for key in &self.cause_key {
            event = event.cause(EventId::from_key(key.as_bytes()));
        }
        for tag in &self.tag {
            event = event.tag(tag);
        }
        event
    }

    /// Reads the payload, at most one byte more than the store takes.
    fn payload(&self, plaintext_bytes_max: u32) -> Result<Vec<u8>, CliError> {
        let limit = u64::from(plaintext_bytes_max) + 1;
        match (&self.data, &self.file) {
            (Some(text), _) => Ok(text.clone().into_bytes()),
            (None, Some(path)) => File::open(path).and_then(|file| read_up_to(file, limit)).map_err(unreadable(path)),
            (None, None) => read_up_to(io::stdin().lock(), limit).map_err(unreadable(Path::new("standard input"))),
        }
    }
}

/// Reads to the end, and no further than `limit` bytes.
fn read_up_to(from: impl Read, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn unreadable(path: &Path) -> impl FnOnce(io::Error) -> CliError {
    let path = path.to_owned();
    move |source| CliError::Input { path, source }
}
