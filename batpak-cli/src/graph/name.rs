//! How an event is named on the command line: by its id, else by the caller's key.
//!
//! Invariant: a text that is the id of an event means that event, also when it is another one's key.

use std::{convert::Infallible, str::FromStr};

use batpak_graph::{Graph, Node};
use batpak_store::EventId;

use crate::{error::CliError, import::line::id_of};

/// The name of an event, as it was typed.
#[derive(Clone, Debug)]
pub struct EventName(String);

impl FromStr for EventName {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.to_owned()))
    }
}

impl EventName {
    /// Finds the event.
    ///
    /// # Errors
    /// [`CliError::NameNotFound`].
    pub fn find(&self, graph: &Graph) -> Result<Node, CliError> {
        let by_id = EventId::from_str(&self.0).ok().and_then(|id| graph.node(&id).ok());
        let found = by_id.or_else(|| graph.node(&id_of(&self.0)).ok());
        found.ok_or_else(|| CliError::NameNotFound { name: self.0.clone() })
    }

    /// Returns the name as it was typed.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Finds each of some events.
///
/// # Errors
/// As [`EventName::find`], for the first that is not found.
pub fn find_all(names: &[EventName], graph: &Graph) -> Result<Vec<Node>, CliError> {
    names.iter().map(|name| name.find(graph)).collect()
}
