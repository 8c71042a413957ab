//! `batpak verify`: checks every frame, hash and chain, and that every sealed payload opens or says why not.
//!
//! Invariant: what it prints and its exit code agree, and without keys it needs no provider.

use std::{
    io::{self, Write},
    path::PathBuf,
};

use batpak_store::{OpenError, VerifyOptions, VerifyReport};
use clap::Args;
use serde::Serialize;

use crate::{
    error::CliError,
    open::{Keys, open_without_keys},
    output::{Output, Shown, bytes_human},
    progress::Progress,
};

const ABOUT: &str = "\
Check every frame, hash and chain, and that each sealed payload opens, is shredded on record, or
is reported lost

The exit code is 1 when the store is not sound: damage, tampering, or a lost key. A chain does
not show a tail that was cut.";

/// Check every frame, hash and chain, and that each sealed payload opens, is shredded on record, or is reported lost
#[derive(Debug, Args)]
#[command(long_about = ABOUT)]
pub struct Verify {
    /// The directory of the store
    #[arg(value_name = "STORE")]
    dir: PathBuf,

    /// Open no payload: frames, hashes and chains are checked without any key
    #[arg(long)]
    no_keys: bool,
}

impl Verify {
    /// Verifies the store.
    pub fn run(&self, keys: &Keys, output: &mut Output) -> Result<(), CliError> {
        let opened = if self.no_keys { open_without_keys(&self.dir) } else { keys.open_read_only(&self.dir) };
        let store = opened.map_err(not_sound)?;
        let options = if self.no_keys { VerifyOptions::without_keys() } else { VerifyOptions::full() };
        let progress = Progress::start("verify", Some(store.stats().events));
        let report = store.verify(options, &mut |done| progress.set(done))?;
        drop(progress);
        output.show(&VerifyLine::new(&report, !self.no_keys))?;
        if report.is_sound() {
            return Ok(());
        }
        Err(CliError::NotSound { problems: report.problems_total, lost: report.lost })
    }
}

/// Turns an open that failed on damage into the answer of a verification.
pub fn not_sound(error: CliError) -> CliError {
    match error {
        CliError::Open { source, .. } if is_damage(&source) => CliError::NotSoundToOpen { source },
        other => other,
    }
}

/// Tells whether a store did not open because of what stands in it.
const fn is_damage(error: &OpenError) -> bool {
    matches!(
        error,
        OpenError::Genesis(_)
            | OpenError::KeysetCorrupt(_)
            | OpenError::KeysetMissing
            | OpenError::KeysetRolledBack { .. }
            | OpenError::LogRolledBack { .. }
            | OpenError::Recovery(_)
    )
}

/// What `verify` prints.
#[derive(Debug, Serialize)]
pub struct VerifyLine {
    sound: bool,
    keys: bool,
    events: u64,
    system_events: u64,
    bytes: u64,
    opened: u64,
    shredded: u64,
    lost: u64,
    problems_total: u64,
    problems: Vec<ProblemLine>,
    index_damaged: Vec<u64>,
}

#[derive(Debug, Serialize)]
struct ProblemLine {
    segment: u64,
    offset: u64,
    position: u64,
    what: String,
}

impl VerifyLine {
    /// Takes what a verification found.
    pub fn new(report: &VerifyReport, keys: bool) -> Self {
        Self {
            sound: report.is_sound(),
            keys,
            events: report.events,
            system_events: report.system_events,
            bytes: report.bytes,
            opened: report.opened,
            shredded: report.shredded,
            lost: report.lost,
            problems_total: report.problems_total,
            problems: report
                .problems
                .iter()
                .map(|problem| ProblemLine {
                    segment: problem.segment,
                    offset: problem.offset,
                    position: problem.position,
                    what: problem.kind.to_string(),
                })
                .collect(),
            index_damaged: report.index_damaged.clone(),
        }
    }
}

impl Shown for VerifyLine {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        let answer = if self.sound { "sound" } else { "NOT SOUND" };
        writeln!(out, "{answer}: {} events, {}", self.events, bytes_human(self.bytes))?;
        writeln!(out, "  frames, hashes and chains checked, the store's own {} events too", self.system_events)?;
        if self.keys {
            writeln!(
                out,
                "  payloads: {} opened, {} shredded on record, {} lost",
                self.opened, self.shredded, self.lost
            )?;
        } else {
            writeln!(out, "  payloads: not opened (--no-keys)")?;
        }
        for problem in &self.problems {
            writeln!(
                out,
                "  position {} (segment {}, byte {}): {}",
                problem.position, problem.segment, problem.offset, problem.what
            )?;
        }
        let unlisted = self.problems_total.saturating_sub(self.problems.len() as u64);
        if unlisted > 0 {
            writeln!(out, "  and {unlisted} more")?;
        }
        for segment in &self.index_damaged {
            writeln!(out, "  segment {segment}: its index file is damaged; it is made again when it is needed")?;
        }
        Ok(())
    }
}
