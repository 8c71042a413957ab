//! `batpak drill`: restores a backup for a trial, verifies it without and with keys, and removes the trial.
//!
//! Invariant: what it prints and its exit code agree; neither the backup nor a living store is changed.

use std::{
    io::{self, Write},
    path::PathBuf,
};

use batpak_store::{BackupError, OpenError, Store, VerifyReport, segment::RealDisk};
use clap::Args;
use serde::Serialize;
use tempfile::TempDir;

use crate::{
    backup::Folders,
    error::{CliError, chain},
    open::Keys,
    output::{Output, Shown},
    progress::Progress,
    restore::RestoreLine,
};

const ABOUT: &str = "\
Restore a backup for a trial, verify it, and remove the trial

Every frame, hash and chain is checked without keys; then, with a keyset and the root secret, that
each payload opens or is shredded on record. The root secret is looked for where the log says, or
where --key-file and --passphrase-env say; --no-keys goes without. The exit code is 1 for any
finding. What the drill shows holds until the next shred or rekey: back up the keyset then.";

/// Restore a backup for a trial, verify it, and remove the trial
#[derive(Debug, Args)]
#[command(long_about = ABOUT)]
pub struct Drill {
    #[command(flatten)]
    folders: Folders,

    /// Open no payload: frames, hashes and chains are checked without any key
    #[arg(long)]
    no_keys: bool,

    /// Where the trial is made, in a folder of its own; without it where temporary files go
    #[arg(long, value_name = "DIR")]
    scratch: Option<PathBuf>,
}

impl Drill {
    /// Carries out the drill.
    pub fn run(&self, keys: &Keys, output: &mut Output) -> Result<(), CliError> {
        let folders = self.folders.named();
        let info = folders.inspect(&RealDisk).map_err(not_restored)?;
        let keys = if self.no_keys { Keys::default() } else { keys.clone() };
        let config = if self.no_keys { Keys::without() } else { keys.config_of(&info)? };
        let place = self.scratch.clone().unwrap_or_else(std::env::temp_dir);
        let failed = |source| CliError::Folder { path: place.clone(), source };
        let trial = TempDir::with_prefix_in("batpak-drill-", &place).map_err(failed)?;
        let drill = Store::drill(&folders, trial.path(), &config, &mut Progress::of("drill")).map_err(not_restored)?;
        trial.close().map_err(failed)?;
        let line = DrillLine::from(&drill);
        output.show(&line)?;
        if line.sound { Ok(()) } else { Err(CliError::DrillNotSound { findings: line.findings }) }
    }
}

/// Turns a backup that cannot be restored for what stands in it into the answer of the drill.
fn not_restored(error: BackupError) -> CliError {
    match error {
        BackupError::Damaged { .. }
        | BackupError::Incomplete { .. }
        | BackupError::Manifest { .. }
        | BackupError::Unfinished { .. } => CliError::DrillNotRestored(Box::new(error)),
        other => other.into(),
    }
}

/// What `drill` prints.
#[derive(Debug, Serialize)]
struct DrillLine {
    sound: bool,
    restored: RestoreLine,
    events: Option<u64>,
    problems: Option<u64>,
    keys: bool,
    opened: Option<u64>,
    shredded: Option<u64>,
    lost: Option<u64>,
    findings: Vec<String>,
}

impl From<&batpak_store::Drill> for DrillLine {
    fn from(drill: &batpak_store::Drill) -> Self {
        let without = drill.without_keys.as_ref().ok();
        let with = drill.with_keys.as_ref().and_then(|opened| opened.as_ref().ok());
        Self {
            sound: drill.is_sound(),
            restored: RestoreLine::from(&drill.restored),
            events: without.map(|report| report.events),
            problems: without.map(|report| report.problems_total.max(with.map_or(0, |with| with.problems_total))),
            keys: with.is_some(),
            opened: with.map(|report| report.opened),
            shredded: with.map(|report| report.shredded),
            lost: with.map(|report| report.lost),
            findings: findings(drill),
        }
    }
}

/// Says what was found, in words.
fn findings(drill: &batpak_store::Drill) -> Vec<String> {
    let mut findings = Vec::new();
    let mut of = |opened: &Result<VerifyReport, Box<OpenError>>, how: &str| match opened {
        Ok(report) => {
            if report.problems_total > 0 {
                findings.push(format!("{} problems {how}", report.problems_total));
            }
            if report.lost > 0 {
                findings.push(format!("{} payloads lost", report.lost));
            }
        }
        Err(why) => findings.push(format!("it does not open {how}: {}", chain(why))),
    };
    of(&drill.without_keys, "without keys");
    if let Some(opened) = &drill.with_keys {
        of(opened, "with keys");
    }
    if drill.keyset_rolled_back {
        findings.push("the keyset is older than the log".to_owned());
    }
    findings
}

impl Shown for DrillLine {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        self.restored.human(out)?;
        if let (Some(events), Some(problems)) = (self.events, self.problems) {
            writeln!(out, "verified: {events} events, {problems} problems")?;
        }
        match (self.opened, self.shredded, self.lost) {
            (Some(opened), Some(shredded), Some(lost)) => {
                writeln!(out, "payloads: {opened} open, {shredded} shredded on record, {lost} lost")?;
            }
            _ => writeln!(out, "payloads: not opened")?,
        }
        for finding in &self.findings {
            writeln!(out, "found: {finding}")?;
        }
        writeln!(out, "{}", if self.sound { "the backup is sound" } else { "the backup is not sound" })
    }
}
