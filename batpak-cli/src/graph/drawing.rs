//! Drawings of an answer: which formats go where, and what the store adds to them.
//!
//! Invariant: a payload is read only to be drawn on request, or to see with a key whether it was shredded; what is marked
//! shredded is what the store says is.

use std::{
    collections::HashMap,
    fmt,
    fs::File,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use batpak_graph::{Annotate, Event, Export, Graph, Mark, Node};
use batpak_store::{EventKind, Payload, Store};
use clap::Args;

use crate::{error::CliError, output::Output};

/// Where drawings go.
#[derive(Debug, Args)]
pub struct Draw {
    /// Draw the answer for Graphviz into this file
    #[arg(long, global = true, value_name = "FILE|-")]
    dot: Option<PathBuf>,

    /// Draw the answer as a Mermaid flowchart
    #[arg(long, global = true, value_name = "FILE|-")]
    mermaid: Option<PathBuf>,

    /// Draw the answer as an SVG image
    #[arg(long, global = true, value_name = "FILE|-")]
    svg: Option<PathBuf>,

    /// Draw the answer as an HTML page with pan, zoom, search, details and a slider over positions
    #[arg(long, global = true, value_name = "FILE|-")]
    html: Option<PathBuf>,

    /// Show payloads in the drawings, in clear: no shred takes them away from there
    #[arg(long, global = true)]
    pub payloads: bool,
}

type Writer = fn(&Export<'_>, &mut dyn fmt::Write) -> fmt::Result;

impl Draw {
    fn files(&self) -> impl Iterator<Item = (&Path, Writer)> {
        let formats: [(&Option<PathBuf>, Writer); 4] = [
            (&self.dot, |export, out| export.dot(out)),
            (&self.mermaid, |export, out| export.mermaid(out)),
            (&self.svg, |export, out| export.svg(out)),
            (&self.html, |export, out| export.html(out)),
        ];
        formats.into_iter().filter_map(|(path, writer)| Some((path.as_deref()?, writer)))
    }

    /// Checks that the flags go together.
    ///
    /// # Errors
    /// [`CliError::Flags`].
    pub fn check(&self) -> Result<(), CliError> {
        if self.files().filter(|(path, _)| is_output(path)).count() > 1 {
            return Err(CliError::Flags("only one drawing can go to standard output"));
        }
        if self.payloads && !self.is_asked_for() {
            return Err(CliError::Flags(
                "--payloads shows payloads in a drawing: name one with --dot, --mermaid, --svg or --html",
            ));
        }
        Ok(())
    }

    /// Tells whether there is a drawing to make.
    pub fn is_asked_for(&self) -> bool {
        self.files().next().is_some()
    }

    /// Tells whether a drawing takes standard output for itself.
    pub fn takes_output(&self) -> bool {
        self.files().any(|(path, _)| is_output(path))
    }

    /// Writes every drawing that was asked for.
    ///
    /// # Errors
    /// [`CliError::Folder`] when a file cannot be written, [`CliError::Output`].
    pub fn write(&self, export: &Export<'_>, output: &mut Output) -> Result<(), CliError> {
        for (path, writer) in self.files() {
            if is_output(path) {
                output.write(|out| write_text(out, export, writer))?;
                continue;
            }
            let write = || {
                let mut file = BufWriter::new(File::create(path)?);
                write_text(&mut file, export, writer)?;
                file.flush()
            };
            write().map_err(|source| CliError::Folder { path: path.to_owned(), source })?;
        }
        Ok(())
    }
}

fn is_output(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// Hands text on as bytes, and keeps the error that [`fmt::Error`] has no room for.
struct Bytes<'w> {
    out: &'w mut dyn Write,
    failed: Option<io::Error>,
}

impl fmt::Write for Bytes<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.out.write_all(text.as_bytes()).map_err(|error| {
            self.failed = Some(error);
            fmt::Error
        })
    }
}

fn write_text(out: &mut dyn Write, export: &Export<'_>, writer: Writer) -> io::Result<()> {
    let mut bytes = Bytes { out, failed: None };
    let written = writer(export, &mut bytes);
    match bytes.failed {
        Some(error) => Err(error),
        None => written.map_err(io::Error::other),
    }
}

/// What the store says of the events drawn.
#[derive(Default)]
pub struct Notes {
    marks: HashMap<Node, Mark>,
    payloads: HashMap<Node, String>,
}

impl Notes {
    /// Reads the events drawn: whether each was shredded, and its payload where that is asked for.
    ///
    /// # Errors
    /// [`CliError::Read`].
    pub fn read(store: &Store, graph: &Graph, drawn: &[Node], payloads: bool) -> Result<Self, CliError> {
        let mut notes = Self::default();
        for &node in drawn {
            let Some(event) = store.at(graph.event(node).position())? else { continue };
            notes.marks.insert(node, mark(graph.event(node).kind(), &event.payload));
            if payloads {
                notes.payloads.insert(node, shown(&event.payload));
            }
        }
        Ok(notes)
    }
}

impl Annotate for Notes {
    fn mark(&self, event: &Event<'_>) -> Mark {
        self.marks.get(&event.node()).copied().unwrap_or_default()
    }

    fn payload(&self, event: &Event<'_>) -> Option<String> {
        self.payloads.get(&event.node()).cloned()
    }
}

const fn mark(kind: EventKind, payload: &Payload) -> Mark {
    match payload {
        Payload::Shredded(_) => Mark::Shredded,
        _ => Mark::of_kind(kind),
    }
}

fn shown(payload: &Payload) -> String {
    match payload {
        Payload::Open(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => text.to_owned(),
            Err(_) => format!("{} bytes, not UTF-8", bytes.len()),
        },
        Payload::Shredded(proof) => format!("shredded, on the record at position {}", proof.intent),
        Payload::KeyLost(_) => "key lost".to_owned(),
        _ => "not read".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use batpak_store::{KeyId, ShredProof};

    use super::*;

    const PLAIN: EventKind = EventKind::from_u16(0x1001);

    #[test]
    fn marks_are_what_the_store_says_is_shredded_and_what_is_a_denial() {
        let key_id = KeyId::new(0, 0, 7);
        let shredded = Payload::Shredded(ShredProof { intent: 3, key_id });
        for kind in [PLAIN, EventKind::DENIAL] {
            assert_eq!(mark(kind, &shredded), Mark::Shredded);
        }
        assert_eq!(shown(&shredded), "shredded, on the record at position 3");
        for other in [Payload::KeyLost(key_id), Payload::Unread, Payload::Open(b"\xff".to_vec().into())] {
            assert_eq!(mark(PLAIN, &other), Mark::Plain);
            assert_eq!(mark(EventKind::DENIAL, &other), Mark::Denial);
        }
        assert_eq!(shown(&Payload::Open(b"\xff".to_vec().into())), "1 bytes, not UTF-8");
    }
}
