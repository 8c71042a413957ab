//! `batpak backup`: copies the log into one folder and the latest keyset into another.
//!
//! Invariant: it opens no payload and needs no key, works beside a writer, and never copies what keeps the root secret.

use std::{
    io::{self, Write},
    path::PathBuf,
};

use batpak_store::{BackupFolders, BackupReport};
use clap::Args;
use serde::Serialize;

use crate::{
    error::CliError,
    open::open_without_keys,
    output::{Output, Shown, bytes_human, counted, warn},
    progress::Progress,
};

const ABOUT: &str = "\
Copy the log into one folder and the latest keyset into another

It works beside a writer and takes one moment of the store. Into the same folders again it copies
what is new. The log can be kept historically, in a folder for each time; the keyset only as its
latest copy, overwritten each time and apart from the log: after a shred or a rekey an older copy
is dead (key file, passphrase and key file), or opens what was shredded (passphrase alone, local).

What keeps the root secret is not copied. A key file belongs to the keyset of its time: keep a
copy of it apart from both, and take it again when the keyset is.";

/// Copy the log into one folder and the latest keyset into another
#[derive(Debug, Args)]
#[command(long_about = ABOUT)]
pub struct Backup {
    /// The directory of the store
    #[arg(value_name = "STORE")]
    dir: PathBuf,

    #[command(flatten)]
    folders: Folders,
}

/// The folders of a backup.
#[derive(Debug, Args)]
pub struct Folders {
    /// The folder of the log
    #[arg(value_name = "BACKUP")]
    log: PathBuf,

    /// The folder of the keyset, apart from the log's; a plaintext store has none
    #[arg(long, value_name = "KEYSET")]
    keyset: Option<PathBuf>,

    /// Log and keyset may be in one folder
    #[arg(long)]
    same_folder: bool,
}

impl Folders {
    /// Returns them as the store takes them.
    pub fn named(&self) -> BackupFolders {
        let mut folders = BackupFolders::new(&self.log);
        if let Some(keyset) = &self.keyset {
            folders = folders.keyset(keyset);
        }
        if self.same_folder { folders.same_folder() } else { folders }
    }
}

impl Backup {
    /// Takes the backup.
    pub fn run(&self, output: &mut Output) -> Result<(), CliError> {
        let store = open_without_keys(&self.dir)?;
        let report = store.backup(&self.folders.named(), &mut Progress::of("backup"))?;
        if !report.noted {
            warn("the backup is whole, and the store's directory did not take the note of it: stats will not show it");
        }
        output.show(&BackupLine::from(&report))
    }
}

/// What `backup` prints.
#[derive(Debug, Serialize)]
struct BackupLine {
    store: String,
    events: u64,
    epoch: Option<u64>,
    segments: u64,
    segments_copied: u64,
    bytes: u64,
    bytes_copied: u64,
    noted: bool,
}

impl From<&BackupReport> for BackupLine {
    fn from(report: &BackupReport) -> Self {
        Self {
            store: report.store.to_string(),
            events: report.next_position,
            epoch: report.epoch,
            segments: report.segments,
            segments_copied: report.segments_copied,
            bytes: report.bytes,
            bytes_copied: report.bytes_copied,
            noted: report.noted,
        }
    }
}

impl Shown for BackupLine {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        let keyset = self.epoch.map_or(String::new(), |epoch| format!(", keyset of epoch {epoch}"));
        writeln!(
            out,
            "backed up: {} in {}{keyset} ({} copied, {} in all)",
            counted(self.events, "event", "events"),
            counted(self.segments, "segment", "segments"),
            bytes_human(self.bytes_copied),
            bytes_human(self.bytes)
        )
    }
}
