//! `batpak import jsonl`: one event a line.
//!
//! Invariant: a chunk is read whole and found to be right before anything of it is appended, and it is appended as one batch.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::PathBuf,
};

use batpak_store::{AppendError, EventId, Store};
use clap::Args;

use crate::{
    durability::DurabilityFlag,
    error::CliError,
    import::{
        CHUNK_EVENTS_MAX, Counts, ImportError, ImportLine, chunk_bytes_max,
        line::{Draft, LineError, id_of},
    },
    open::Keys,
    output::Output,
    progress::Progress,
};

const ABOUT: &str = "\
Append one event a line of JSON

Fields of a line: entity, scope, kind (\"1:2\", or its number), key (your own, so that the line
can be imported again), causes (keys of events that are in the store or on earlier lines), tags,
time (RFC 3339, or microseconds since 1970 UTC), and payload or payload_base64. A payload that
is a string is stored as its UTF-8 text, any other value as compact JSON. Other fields are
refused.

Up to 256 lines are one chunk, which is appended whole or not at all. At a malformed line the
import stops with exit code 2 and the line's number. A line whose key is in the store with the
same content is counted as a repeat; with other content it is a conflict, exit code 1. A line
without a key is a new event each time.

Everything but the payload is stored in clear (of a key only its hash, as the event's id), and
no shred takes it away.";

/// Append one event a line of JSON
#[derive(Debug, Args)]
#[command(long_about = ABOUT)]
pub struct ImportJsonl {
    /// The directory of the store
    #[arg(value_name = "STORE")]
    dir: PathBuf,

    /// The file, or - for standard input
    #[arg(value_name = "FILE|-")]
    file: PathBuf,

    /// When each chunk is acknowledged; at its end an import syncs everything, whichever this is
    #[arg(long, value_enum, default_value_t)]
    durability: DurabilityFlag,
}

impl ImportJsonl {
    /// Imports the lines.
    pub fn run(&self, keys: &Keys, output: &mut Output) -> Result<(), CliError> {
        let mut input: Box<dyn BufRead> = if self.file.as_os_str() == "-" {
            Box::new(io::stdin().lock())
        } else {
            let file = File::open(&self.file).map_err(|source| CliError::Input { path: self.file.clone(), source })?;
            Box::new(BufReader::new(file))
        };
        let store = keys.open(&self.dir, self.durability.into())?;
        let counts = import(&store, &mut *input)?;
        store.close()?;
        output.show(&ImportLine::from(&counts))
    }
}

/// Imports every line of `input`.
///
/// # Errors
/// [`ImportError`]; the chunks before the one at hand stay.
pub fn import(store: &Store, input: &mut dyn BufRead) -> Result<Counts, ImportError> {
    let payload_bytes_max = store.info().plaintext_bytes_max;
    // A byte of a payload takes at most six in JSON (a control character as \u00XX); the rest of a line is names.
    let line_bytes_max = 6 * u64::from(payload_bytes_max) + 1024 * 1024;
    let bytes_max = chunk_bytes_max(store.info());
    let progress = Progress::start("import", None);
    let mut chunk = Chunk::new(store);
    let mut number = 0;
    let mut text = Vec::new();
    loop {
        let added = chunk.counts.added;
        let ended = read_line(input, &mut text, line_bytes_max).map_err(|source| ImportError::Input {
            line: number,
            added,
            source,
        })?;
        if ended {
            chunk.write()?;
            return Ok(chunk.counts);
        }
        number += 1;
        if text.trim_ascii().is_empty() {
            continue;
        }
        let malformed = |source| ImportError::Line { line: number, added, source };
        if text.len() as u64 > line_bytes_max {
            return Err(malformed(LineError::TooLong { bytes_max: line_bytes_max }));
        }
        let draft = Draft::parse(&text, payload_bytes_max).map_err(malformed)?;
        if chunk.bytes + draft.frame_bytes() > bytes_max {
            chunk.write()?;
        }
        chunk.push(number, draft)?;
        if chunk.drafts.len() == CHUNK_EVENTS_MAX {
            chunk.write()?;
        }
        progress.set(chunk.counts.seen());
    }
}

/// Reads a line into `text`, one byte more than allowed at most; returns whether the input has ended.
fn read_line(input: &mut dyn BufRead, text: &mut Vec<u8>, bytes_max: u64) -> io::Result<bool> {
    text.clear();
    Ok(input.take(bytes_max + 1).read_until(b'\n', text)? == 0)
}

/// Lines that are appended together.
struct Chunk<'a> {
    store: &'a Store,
    drafts: Vec<(u64, Draft)>,
    /// Where in `drafts` an id stands.
    ids: HashMap<EventId, usize>,
    bytes: u64,
    counts: Counts,
}

impl<'a> Chunk<'a> {
    fn new(store: &'a Store) -> Self {
        Self { store, drafts: Vec::new(), ids: HashMap::new(), bytes: 0, counts: Counts::start() }
    }

    /// Takes a line; one that stands in the chunk already is a repeat or a conflict.
    fn push(&mut self, line: u64, draft: Draft) -> Result<(), ImportError> {
        if let Some(id) = draft.id() {
            if let Some((first, earlier)) = self.ids.get(&id).and_then(|at| self.drafts.get(*at)) {
                if *earlier != draft {
                    let source = LineError::KeyRepeated { first: *first };
                    return Err(ImportError::Line { line, added: self.counts.added, source });
                }
                self.counts.repeated += 1;
                return Ok(());
            }
            self.ids.insert(id, self.drafts.len());
        }
        self.bytes += draft.frame_bytes();
        self.drafts.push((line, draft));
        Ok(())
    }

    /// Appends what is new as one batch, after what is in the store already was compared.
    fn write(&mut self) -> Result<(), ImportError> {
        let (mut known, mut new) = (Vec::new(), Vec::new());
        for (line, draft) in &self.drafts {
            let is_known = draft.id().map_or(Ok(false), |id| self.store.contains(id));
            if is_known.map_err(|source| self.refused(Some(*line), source.into()))? {
                known.push((line, draft));
            } else {
                new.push(draft);
            }
        }
        for (line, draft) in &known {
            // An id that is in the store is compared and never appended.
            self.store.append(&draft.event()).map_err(|source| self.refused(Some(**line), source))?;
        }
        if !new.is_empty() {
            let events: Vec<_> = new.iter().map(|draft| draft.event()).collect();
            self.store.append_batch(&events).map_err(|source| self.refused(None, source))?;
        }
        self.counts.repeated += known.len() as u64;
        self.counts.added += new.len() as u64;
        self.drafts.clear();
        self.ids.clear();
        self.bytes = 0;
        Ok(())
    }

    /// Finds the line that the store refused, and says its keys instead of the ids made from them.
    fn refused(&self, line: Option<u64>, source: AppendError) -> ImportError {
        let added = self.counts.added;
        match &source {
            AppendError::Conflict { id } => {
                let named = self.drafts.iter().find(|(_, draft)| draft.id() == Some(*id));
                if let Some((line, Draft { key: Some(key), .. })) = named {
                    return ImportError::Line { line: *line, added, source: LineError::Conflict { key: key.clone() } };
                }
            }
            AppendError::UnknownCause { cause } => {
                for (line, draft) in &self.drafts {
                    if let Some(key) = draft.causes.iter().find(|key| id_of(key) == *cause) {
                        let source = LineError::UnknownCause { key: key.clone() };
                        return ImportError::Line { line: *line, added, source };
                    }
                }
            }
            _ => {}
        }
        match line {
            Some(line) => ImportError::RefusedLine { line, added, source },
            None => ImportError::Refused { added, source },
        }
    }
}
