//! What a shred has destroyed, and what that is worth.
//!
//! Invariant: it never promises more of old copies than the provider of the root secret does.

use std::io::{self, Write};

use batpak_store::{CertificateHash, Destruction, Shredding};
use serde::Serialize;

use crate::{
    output::{Shown, counted},
    time,
};

/// The most key scopes that are listed for people.
const LISTED_MAX: usize = 20;

/// What `shred` prints when it is done.
#[derive(Debug, Serialize)]
pub struct DoneLine {
    stage: &'static str,
    intent: u64,
    completion: u64,
    key_scopes: Vec<String>,
    withheld: Vec<String>,
    keys: u64,
    unreachable: u64,
    destruction: &'static str,
    old_copies_dead_from: Option<String>,
    certificate: Option<String>,
    #[serde(skip)]
    worth: String,
}

impl DoneLine {
    /// Takes what was destroyed, and the hash of the certificate if one was written.
    pub fn new(shredding: &Shredding, certificate: Option<CertificateHash>) -> Self {
        Self {
            stage: "done",
            intent: shredding.intent,
            completion: shredding.completion,
            key_scopes: shredding.key_scopes.iter().map(ToString::to_string).collect(),
            withheld: shredding.withheld.iter().map(ToString::to_string).collect(),
            keys: shredding.keys,
            unreachable: shredding.unreachable,
            destruction: worth_word(shredding.destruction),
            old_copies_dead_from: dead_from(shredding.destruction),
            worth: worth(shredding.destruction),
            certificate: certificate.map(|hash| hash.to_string()),
        }
    }
}

/// Says in one word what a destruction is worth.
pub const fn worth_word(destruction: Destruction) -> &'static str {
    match destruction {
        Destruction::LiveFilesOnly => "live_files_only",
        Destruction::OldCopiesDeadFrom(_) => "old_copies_dead",
        _ => "old_copies_not_covered",
    }
}

/// Says since when old copies are dead, where they are.
pub fn dead_from(destruction: Destruction) -> Option<String> {
    match destruction {
        Destruction::OldCopiesDeadFrom(from) => Some(time::human(from)),
        _ => None,
    }
}

/// Lists for people what is held.
pub fn list_withheld(withheld: &[String], out: &mut dyn Write) -> io::Result<()> {
    if withheld.is_empty() {
        return Ok(());
    }
    writeln!(out, "withheld: {} held, and kept", counted(withheld.len() as u64, "key scope is", "key scopes are"))?;
    withheld.iter().take(LISTED_MAX).try_for_each(|key_scope| writeln!(out, "  {key_scope}"))
}

/// Says what a destruction is worth against copies that were made before.
pub fn worth(destruction: Destruction) -> String {
    match destruction {
        Destruction::LiveFilesOnly => "live files only".to_owned(),
        Destruction::OldCopiesDeadFrom(from) => format!("old copies dead from {}", time::human(from)),
        _ => "old copies: not covered".to_owned(),
    }
}

impl Shown for DoneLine {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "shredded: {} destroyed", counted(self.keys, "key", "keys"))?;
        for key_scope in self.key_scopes.iter().take(LISTED_MAX) {
            writeln!(out, "  {key_scope}")?;
        }
        let unlisted = self.key_scopes.len().saturating_sub(LISTED_MAX);
        if unlisted > 0 {
            writeln!(out, "  and {unlisted} more")?;
        }
        list_withheld(&self.withheld, out)?;
        writeln!(out, "on record: intent at position {}, completion at position {}", self.intent, self.completion)?;
        if self.unreachable > 0 {
            let keys = counted(self.unreachable, "key", "keys");
            writeln!(out, "unreachable: {keys} that the keyset cannot read; a copy elsewhere may live on")?;
        }
        if let Some(hash) = &self.certificate {
            writeln!(out, "certificate: {hash}")?;
        }
        writeln!(out, "destruction: {}", self.worth)
    }
}

#[cfg(test)]
mod tests {
    use batpak_store::Timestamp;

    use super::*;

    #[test]
    fn worth_says_what_old_copies_still_open() {
        assert_eq!(worth(Destruction::LiveFilesOnly), "live files only");
        assert_eq!(worth(Destruction::OldCopiesNotCovered), "old copies: not covered");
        let from = Timestamp::from_micros(0);
        assert_eq!(worth(Destruction::OldCopiesDeadFrom(from)), "old copies dead from 1970-01-01T00:00:00Z");
    }
}
