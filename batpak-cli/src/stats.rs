//! `batpak stats`: prints counts and sizes.
//!
//! Invariant: it prints nothing that is secret, and no payload is opened.

use std::{
    io::{self, Write},
    path::PathBuf,
};

use batpak_store::{LastBackup, Pending, Store};
use clap::Args;
use serde::Serialize;

use crate::{
    error::CliError,
    init::provider_name,
    open::Keys,
    output::{Output, Shown, bytes_human},
    size::Sizes,
    time,
};

/// Print counts and sizes
#[derive(Debug, Args)]
pub struct Stats {
    /// The directory of the store
    #[arg(value_name = "STORE")]
    dir: PathBuf,
}

impl Stats {
    /// Prints what there is.
    pub fn run(&self, keys: &Keys, output: &mut Output) -> Result<(), CliError> {
        let store = keys.open_read_only(&self.dir)?;
        output.show(&StatsLine::new(&store, Sizes::measure(&self.dir)?))
    }
}

/// What `stats` prints.
#[derive(Debug, Serialize)]
struct StatsLine {
    store: String,
    created: String,
    encrypted: bool,
    granularity: Option<String>,
    provider: Option<&'static str>,
    provider_hint: String,
    events: u64,
    entities: u64,
    segments: u64,
    segment_bytes: u64,
    plaintext_bytes_max: u32,
    log_bytes: u64,
    keyset_bytes: u64,
    index_bytes: u64,
    clean: bool,
    holds: u64,
    pending: Option<&'static str>,
    keyset: Option<KeysetLine>,
    last_backup: Option<BackupNote>,
}

/// What is noted of the last backup.
#[derive(Debug, Serialize)]
pub struct BackupNote {
    time: String,
    events: u64,
    epoch: Option<u64>,
    keyset_stale: bool,
}

impl From<&LastBackup> for BackupNote {
    fn from(note: &LastBackup) -> Self {
        Self {
            time: time::human(note.time),
            events: note.next_position,
            epoch: note.epoch,
            keyset_stale: note.keyset_stale,
        }
    }
}

impl BackupNote {
    /// Writes the line of the last backup, or that there was none.
    pub fn human(note: Option<&Self>, out: &mut dyn Write) -> io::Result<()> {
        let Some(note) = note else { return writeln!(out, "last backup  none that is known of") };
        let keyset = note.epoch.map_or(String::new(), |epoch| format!(", keyset of epoch {epoch}"));
        writeln!(out, "last backup  {}, {} events{keyset}", note.time, note.events)?;
        if note.keyset_stale {
            writeln!(out, "             back up the keyset again: a shred or a rekey has moved the root secret since")?;
        }
        Ok(())
    }
}

#[derive(Debug, Serialize)]
struct KeysetLine {
    epoch: u64,
    pages: u64,
    leaves_reserved: u64,
}

impl StatsLine {
    fn new(store: &Store, sizes: Sizes) -> Self {
        let (stats, info) = (store.stats(), store.info());
        Self {
            store: stats.store.to_string(),
            created: time::human(info.created),
            encrypted: stats.encrypted,
            granularity: stats.granularity.map(|granularity| granularity.to_string()),
            provider: stats.provider.map(provider_name),
            provider_hint: info.provider_hint.clone(),
            events: stats.events,
            entities: stats.entities,
            segments: stats.segments,
            segment_bytes: info.segment_bytes,
            plaintext_bytes_max: info.plaintext_bytes_max,
            log_bytes: sizes.log_bytes,
            keyset_bytes: sizes.keyset_bytes,
            index_bytes: stats.index_bytes,
            clean: store.open_report().clean,
            holds: stats.holds,
            pending: stats.pending.map(|pending| match pending {
                Pending::Shred { .. } => "shred",
                _ => "rekey",
            }),
            keyset: stats.keyset.map(|keyset| KeysetLine {
                epoch: keyset.epoch,
                pages: keyset.pages,
                leaves_reserved: keyset.leaves_reserved,
            }),
            last_backup: store.last_backup().as_ref().map(BackupNote::from),
        }
    }

    /// Writes who keeps which keys.
    fn keys_human(&self, out: &mut dyn Write) -> io::Result<()> {
        let (Some(granularity), Some(provider)) = (&self.granularity, self.provider) else {
            return writeln!(out, "payloads     in clear");
        };
        writeln!(out, "payloads     sealed, one key per {granularity}")?;
        writeln!(out, "root secret  {} {}", provider.replace('_', " "), self.provider_hint)?;
        let Some(keyset) = &self.keyset else { return Ok(()) };
        writeln!(
            out,
            "keyset       epoch {}, {} pages, {} keys reserved, {} on disk",
            keyset.epoch,
            keyset.pages,
            keyset.leaves_reserved,
            bytes_human(self.keyset_bytes)
        )
    }
}

impl Shown for StatsLine {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "store        {}", self.store)?;
        writeln!(out, "created      {}", self.created)?;
        writeln!(out, "events       {} (the store's own too)", self.events)?;
        writeln!(out, "entities     {} (the store's own too)", self.entities)?;
        writeln!(out, "log          {} in {} segments", bytes_human(self.log_bytes), self.segments)?;
        writeln!(out, "index        {} of memory", bytes_human(self.index_bytes))?;
        self.keys_human(out)?;
        if self.holds > 0 {
            writeln!(out, "holds        {} in force", self.holds)?;
        }
        if let Some(pending) = self.pending {
            writeln!(out, "pending      a {pending}: the next writer finishes it, or `batpak resume`")?;
        }
        BackupNote::human(self.last_backup.as_ref(), out)?;
        let closed =
            if self.clean { "yes" } else { "no: a writer has it open, or was stopped; the next one recovers it" };
        writeln!(out, "closed       {closed}")
    }
}
