//! `batpak graph`: asks the log what led to what, and draws the answer.
//!
//! Invariant: it needs no key and changes nothing; without a key, and unless payloads are asked for, no payload is read.

mod answer;
mod ask;
mod drawing;
mod line;
mod name;
mod question;

use std::path::{Path, PathBuf};

use batpak_graph::{Export, FollowError, Graph, Node};
use batpak_store::Store;
use clap::{Args, Subcommand};

use crate::{
    error::CliError,
    graph::{
        ask::Ask,
        drawing::{Draw, Notes},
        line::Told,
        question::Question,
    },
    open::{Keys, open_without_keys},
    output::Output,
};

const ABOUT: &str = "\
Ask what led to what, and draw it

An event is named by its id, else by the key that it was appended with: after `import git` a
commit's id in full is such a key. No key of the store is needed: it is opened without any unless
--key-file, --passphrase-env or --payloads is given. Causes are followed only to events of the
store; external ones are named and not followed.

A drawing shows the answer, the events that were named, and what lies between: relation and
common add the common ancestors and the ways from them, verify and order draw everything. Causes
stand above effects. The four formats can be written at once; `-` is standard output, and then the
answer itself is not printed. Payloads are in a drawing only with --payloads. With a key, shredded
events are marked.

The exit code is 1 when there is no such event, no common ancestor, no path, no such cut, or when
verify finds a cause that cannot be true.";

/// Ask what led to what, and draw it
#[derive(Debug, Args)]
#[command(long_about = ABOUT)]
pub struct GraphVerb {
    /// The directory of the store
    #[arg(value_name = "STORE")]
    dir: PathBuf,

    /// Print of each event its id only
    #[arg(long, global = true)]
    ids: bool,

    #[command(flatten)]
    draw: Draw,

    #[command(subcommand)]
    asked: Asked,
}

#[derive(Debug, Subcommand)]
enum Asked {
    #[command(flatten)]
    One(Question),
    Ask(Ask),
}

impl GraphVerb {
    /// Answers, and draws where that is asked for.
    pub fn run(&self, keys: &Keys, output: &mut Output) -> Result<(), CliError> {
        self.draw.check()?;
        let question = match &self.asked {
            Asked::One(question) => question,
            Asked::Ask(_) if self.draw.is_asked_for() => {
                return Err(CliError::Flags("ask draws nothing: draw the answer of one question"));
            }
            Asked::Ask(ask) => {
                let graph = build(&open(&self.dir, keys, false)?)?;
                return ask.run(&graph, self.told(), output);
            }
        };
        let store = open(&self.dir, keys, self.draw.payloads)?;
        let graph = build(&store)?;
        let answer = question.answer(&graph)?;
        if self.draw.is_asked_for() {
            let drawn = question.drawn(&graph, &answer)?;
            let notes = self.notes(&store, keys, &graph, &drawn)?;
            let export = Export::new(&graph).only(drawn).annotated(&notes).titled(&question.title());
            self.draw.write(&export, output)?;
        }
        if !self.draw.takes_output() {
            answer.show(&graph, self.told(), output)?;
        }
        answer.no.map_or(Ok(()), Err)
    }

    /// Asks the store about the events drawn, when it was opened with a key.
    fn notes(&self, store: &Store, keys: &Keys, graph: &Graph, drawn: &[Node]) -> Result<Notes, CliError> {
        if self.draw.payloads || !keys.is_empty() {
            Notes::read(store, graph, drawn, self.draw.payloads)
        } else {
            Ok(Notes::default())
        }
    }

    const fn told(&self) -> Told {
        if self.ids { Told::Ids } else { Told::All }
    }
}

/// Opens with the keys that are named or needed, else without any.
fn open(dir: &Path, keys: &Keys, payloads: bool) -> Result<Store, CliError> {
    if payloads || !keys.is_empty() { keys.open_read_only(dir) } else { open_without_keys(dir) }
}

/// Makes the graph of what the store holds now.
fn build(store: &Store) -> Result<Graph, CliError> {
    Graph::build(store).map_err(|error| match error {
        FollowError::Event(source) => CliError::Graph(source),
        FollowError::Source(why) => why.into(),
        // No other way to fail is known to this version.
        _ => CliError::GraphUnread,
    })
}
