//! `batpak import`: appends many events, from JSON lines or from a git history.
//!
//! Invariant: events go in as atomic chunks, so an import that stopped anywhere leaves whole chunks, and the same import again
//! adds what is missing and nothing twice.

pub mod authors;
pub mod git;
pub mod history;
pub mod jsonl;
pub mod line;

use std::{
    io::{self, Write},
    time::{Duration, Instant},
};

use batpak_store::{AppendError, StoreInfo};
use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::{
    error::{CliError, Exit, append_exit, chain},
    import::{history::HistoryError, line::LineError},
    open::Keys,
    output::{Output, Shown},
    time,
};

/// The most events of one chunk.
pub const CHUNK_EVENTS_MAX: usize = 256;
/// The most bytes of one chunk, unless a single event has more.
const CHUNK_BYTES_MAX: u64 = 4 * 1024 * 1024;

const ABOUT: &str = "\
Append many events

Entities, scopes, kinds, tags, causes, ids and times are stored in clear, and no shred takes
them away. Of a key only a hash is stored, as the event's id: whoever guesses the key can check
the guess. Payloads are sealed.

Events go in as atomic chunks. An import that was stopped, killed too, is finished by running it
again.";

/// Append many events, from JSON lines or from a git history
#[derive(Debug, Args)]
#[command(long_about = ABOUT)]
pub struct Import {
    #[command(subcommand)]
    source: Source,
}

#[derive(Debug, Subcommand)]
enum Source {
    Jsonl(jsonl::ImportJsonl),
    Git(git::ImportGit),
}

impl Import {
    /// Carries out the import.
    pub fn run(&self, keys: &Keys, output: &mut Output) -> Result<(), CliError> {
        match &self.source {
            Source::Jsonl(verb) => verb.run(keys, output),
            Source::Git(verb) => verb.run(keys, output),
        }
    }
}

/// Returns how many bytes a chunk may have in this store: a chunk never crosses two segments.
pub fn chunk_bytes_max(info: &StoreInfo) -> u64 {
    CHUNK_BYTES_MAX.min(info.segment_bytes / 2)
}

/// What an import did so far.
#[derive(Clone, Copy, Debug)]
pub struct Counts {
    /// Events that are new in the store.
    pub added: u64,
    /// Events that were in the store already, with the same content.
    pub repeated: u64,
    started: Instant,
}

impl Counts {
    /// Starts to count.
    pub fn start() -> Self {
        Self { added: 0, repeated: 0, started: Instant::now() }
    }

    /// Returns how many events were seen.
    pub const fn seen(&self) -> u64 {
        self.added + self.repeated
    }

    /// Returns the time since the start.
    pub fn took(&self) -> Duration {
        self.started.elapsed()
    }
}

/// What an import prints.
#[derive(Debug, Serialize)]
pub struct ImportLine {
    added: u64,
    repeated: u64,
    seconds: f64,
    events_per_second: f64,
}

impl From<&Counts> for ImportLine {
    fn from(counts: &Counts) -> Self {
        let took = counts.took();
        Self {
            added: counts.added,
            repeated: counts.repeated,
            seconds: took.as_secs_f64(),
            events_per_second: time::rate(counts.seen(), took),
        }
    }
}

impl Shown for ImportLine {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(
            out,
            "{} events added, {} were there already ({:.2} s, {:.0} events/s)",
            self.added, self.repeated, self.seconds, self.events_per_second
        )
    }
}

/// Why an import stopped. The chunks before stay in the store; nothing of the chunk at hand was written.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// A line of the input is not what it should be.
    #[error(
        "line {line}: {}; nothing of its chunk was written, {added} events were added before it: correct the line and import again",
        chain(source)
    )]
    Line {
        /// Its number, from 1.
        line: u64,
        /// How many events were added before its chunk.
        added: u64,
        /// What is wrong.
        source: LineError,
    },
    /// The store refused a line.
    #[error("line {line}: {}; nothing of its chunk was written, {added} events were added before it", chain(source))]
    RefusedLine {
        /// Its number, from 1.
        line: u64,
        /// How many events were added before its chunk.
        added: u64,
        /// What the store said.
        source: AppendError,
    },
    /// The store refused a chunk.
    #[error("{}; nothing of this chunk was written, {added} events were added before it", chain(source))]
    Refused {
        /// How many events were added before the chunk.
        added: u64,
        /// What the store said.
        source: AppendError,
    },
    /// The input could not be read.
    #[error("cannot read the input after line {line}: {source}; {added} events were added")]
    Input {
        /// The last line that was read.
        line: u64,
        /// How many events were added.
        added: u64,
        /// The system's answer.
        source: io::Error,
    },
    /// A commit of the history cannot be an event.
    #[error(
        "commit {commit}: {}; nothing of its chunk was written, {added} events were added before it",
        chain(source)
    )]
    Commit {
        /// The commit's id.
        commit: String,
        /// How many events were added before its chunk.
        added: u64,
        /// What is wrong.
        source: git::CommitError,
    },
    /// The history could not be read.
    #[error("{source}")]
    History {
        /// How many events were added.
        added: u64,
        /// What git said.
        source: HistoryError,
    },
}

impl ImportError {
    /// Returns the exit code.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Line { source, .. } => source.exit(),
            Self::RefusedLine { source, .. } | Self::Refused { source, .. } => append_exit(source),
            Self::Commit { source, .. } => source.exit(),
            Self::History { source, .. } => source.exit(),
            Self::Input { .. } => Exit::Refused,
        }
    }

    /// Returns where it stopped, for the JSON form.
    pub fn details(&self) -> Map<String, Value> {
        let details = match self {
            Self::Line { line, added, .. }
            | Self::RefusedLine { line, added, .. }
            | Self::Input { line, added, .. } => {
                json!({ "line": line, "added": added })
            }
            Self::Commit { commit, added, .. } => json!({ "commit": commit, "added": added }),
            Self::Refused { added, .. } | Self::History { added, .. } => json!({ "added": added }),
        };
        match details {
            Value::Object(map) => map,
            _ => Map::new(),
        }
    }
}
