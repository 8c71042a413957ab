//! What a search for leaks prints.
//!
//! Invariant: every hit is counted, so many are listed, and none shows what was found.

use std::io::{self, Write};

use batpak_store::LeakSearch;
use serde::Serialize;

use crate::output::{Shown, bytes_human, counted};

/// So many hits are listed.
const HITS_LISTED: usize = 1000;

/// What `leakcheck` prints.
#[derive(Debug, Serialize)]
pub struct LeakLine {
    pub files: u64,
    pub bytes: u64,
    canary: bool,
    root_secrets: u64,
    payload_keys: u64,
    nodes: u64,
    keks: u64,
    pub hits_total: u64,
    expected_total: u64,
    hits: Vec<HitLine>,
}

/// One place where something was found.
#[derive(Debug, Serialize)]
pub struct HitLine {
    pub what: String,
    pub file: String,
    pub offset: u64,
    pub bytes: usize,
    pub whole: bool,
    pub expected: bool,
}

impl LeakLine {
    /// Begins to count.
    pub fn new(search: &LeakSearch) -> Self {
        let secrets = search.secrets();
        Self {
            files: 0,
            bytes: 0,
            canary: secrets.texts > 0,
            root_secrets: secrets.root_secrets,
            payload_keys: secrets.payload_keys,
            nodes: secrets.nodes,
            keks: secrets.keks,
            hits_total: 0,
            expected_total: 0,
            hits: Vec::new(),
        }
    }

    /// Counts a hit.
    pub fn add(&mut self, hit: HitLine) {
        *if hit.expected { &mut self.expected_total } else { &mut self.hits_total } += 1;
        if self.hits.len() < HITS_LISTED {
            self.hits.push(hit);
        }
    }
}

impl Shown for LeakLine {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        let canary = if self.canary { "the canary, " } else { "" };
        writeln!(
            out,
            "searched {} ({}) for {canary}{} root secret, {}, {}, {}",
            counted(self.files, "file", "files"),
            bytes_human(self.bytes),
            self.root_secrets,
            counted(self.payload_keys, "payload key", "payload keys"),
            counted(self.nodes, "node", "nodes"),
            counted(self.keks, "key of an extent", "keys of extents"),
        )?;
        for hit in &self.hits {
            let part = if hit.whole { "" } else { "part of: " };
            let mark = if hit.expected { "expected" } else { "FOUND" };
            writeln!(out, "{mark}: {part}{} in {} at byte {} ({} bytes)", hit.what, hit.file, hit.offset, hit.bytes)?;
        }
        let unlisted = (self.hits_total + self.expected_total).saturating_sub(self.hits.len() as u64);
        if unlisted > 0 {
            writeln!(out, "  and {unlisted} more")?;
        }
        match self.hits_total {
            0 => writeln!(out, "nothing stands where it should not"),
            hits => writeln!(out, "{} where nothing should be found", counted(hits, "find", "finds")),
        }
    }
}
