//! A receipt as it is printed.
//!
//! Invariant: a repeat shows as one, and how far it was compared.

use std::io::{self, Write};

use batpak_store::{Receipt, Repeat};
use serde::Serialize;

use crate::output::Shown;

/// What `append` prints.
#[derive(Debug, Serialize)]
pub struct ReceiptLine {
    id: String,
    position: u64,
    revision: u64,
    event_hash: String,
    chain_hash: String,
    repeat: Option<&'static str>,
    /// The gates that permitted.
    gates: Vec<String>,
}

impl From<&Receipt> for ReceiptLine {
    fn from(receipt: &Receipt) -> Self {
        Self {
            id: receipt.id.to_string(),
            position: receipt.position,
            revision: receipt.revision,
            event_hash: receipt.event_hash.to_string(),
            chain_hash: receipt.chain_hash.to_string(),
            repeat: receipt.repeat.map(|repeat| match repeat {
                Repeat::SameContent => "same_content",
                // A shredded original is the one reason for it today; a further reason compares no more than this one.
                _ => "content_unchecked",
            }),
            gates: receipt.gates.iter().flat_map(|gates| gates.iter()).map(ToString::to_string).collect(),
        }
    }
}

impl Shown for ReceiptLine {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "id          {}", self.id)?;
        writeln!(out, "position    {}", self.position)?;
        writeln!(out, "revision    {}", self.revision)?;
        writeln!(out, "event hash  {}", self.event_hash)?;
        writeln!(out, "chain hash  {}", self.chain_hash)?;
        if !self.gates.is_empty() {
            writeln!(out, "gates       {}", self.gates.join(", "))?;
        }
        match self.repeat {
            None => Ok(()),
            Some("same_content") => writeln!(out, "repeat      it was there already, with the same content"),
            Some(_) => writeln!(out, "repeat      it was there already; its payload could not be compared"),
        }
    }
}
