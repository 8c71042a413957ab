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
        let (destruction, dead_from) = match shredding.destruction {
            Destruction::LiveFilesOnly => ("live_files_only", None),
            Destruction::OldCopiesDeadFrom(from) => ("old_copies_dead", Some(time::human(from))),
            _ => ("old_copies_not_covered", None),
        };
        Self {
            stage: "done",
            intent: shredding.intent,
            completion: shredding.completion,
            key_scopes: shredding.key_scopes.iter().map(ToString::to_string).collect(),
            keys: shredding.keys,
            unreachable: shredding.unreachable,
            destruction,
            old_copies_dead_from: dead_from,
            worth: worth(shredding.destruction),
            certificate: certificate.map(|hash| hash.to_string()),
        }
    }
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
