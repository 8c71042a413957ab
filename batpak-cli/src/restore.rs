//! `batpak restore`: makes a store's directory of a backup.
//!
//! Invariant: it writes into an empty or new directory only, and every byte is held against the backup's manifest.

use std::{
    io::{self, Write},
    path::PathBuf,
};

use batpak_store::{RestoreReport, Store, segment::RealDisk};
use clap::Args;
use serde::Serialize;

use crate::{
    backup::Folders,
    error::CliError,
    output::{Output, Shown, bytes_human, counted},
    progress::Progress,
};

const ABOUT: &str = "\
Make a store's directory of a backup

Without --keyset the log alone is restored: it can be verified with --no-keys. The root secret is
not in the backup: put the key file back by yourself. When log and keyset are not of one time, the
next open says which is older; see `batpak accept`. A store restored beside the living one needs a
key file of its own before it is written to.";

/// Make a store's directory of a backup
#[derive(Debug, Args)]
#[command(long_about = ABOUT)]
pub struct Restore {
    #[command(flatten)]
    folders: Folders,

    /// The directory to restore into: empty, or new
    #[arg(value_name = "STORE")]
    dir: PathBuf,
}

impl Restore {
    /// Restores the backup.
    pub fn run(&self, output: &mut Output) -> Result<(), CliError> {
        let report = Store::restore(&self.folders.named(), &self.dir, &RealDisk, &mut Progress::of("restore"))?;
        output.show(&RestoreLine::from(&report))
    }
}

/// What `restore` prints, and `drill` in its answer.
#[derive(Debug, Serialize)]
pub struct RestoreLine {
    store: String,
    events: u64,
    epoch: Option<u64>,
    segments: u64,
    bytes: u64,
}

impl From<&RestoreReport> for RestoreLine {
    fn from(report: &RestoreReport) -> Self {
        Self {
            store: report.store.to_string(),
            events: report.next_position,
            epoch: report.epoch,
            segments: report.segments,
            bytes: report.bytes,
        }
    }
}

impl Shown for RestoreLine {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        let keyset = self.epoch.map_or(", no keyset".to_owned(), |epoch| format!(", keyset of epoch {epoch}"));
        writeln!(
            out,
            "restored: {} in {}{keyset} ({})",
            counted(self.events, "event", "events"),
            counted(self.segments, "segment", "segments"),
            bytes_human(self.bytes)
        )
    }
}
