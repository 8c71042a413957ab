//! `batpak demo`: takes a history through a fresh sealed store, destroys a key of it, and says what it did and how fast.
//!
//! Invariant: it writes nowhere but in a folder of its own, and the key file stands beside the store, never in it.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use batpak_store::{Config, Encryption, Event, Granularity, KeyFile, Query, Store, VerifyOptions, VerifyReport};
use clap::Args;
use serde::Serialize;

use self::shred::{CERTIFICATE, Shredded, most_events};
use crate::{
    error::CliError,
    import::{Counts, git, history::Repository, jsonl},
    open::{Keys, open_without_keys, refused},
    output::{Output, Shown, bytes_human, counted, printable},
    progress::Progress,
    size::Sizes,
    time,
};

mod shred;

/// The history that is used where no repository is: invented, and of nobody.
const BUNDLED: &str = include_str!("../demo/history.jsonl");

const ABOUT: &str = "\
Import a history into a fresh sealed store, read it, verify it, shred the author with the most
events, certify that, verify it again, and say how fast

The history is that of the git repository that the command stands in, else a small bundled one.
The store goes into a temporary folder, which is removed at the end, or into DIR with --keep
DIR.";

/// Import a history into a fresh sealed store, read it, verify it, shred an author, and say how fast
#[derive(Debug, Args)]
#[command(long_about = ABOUT)]
pub struct Demo {
    /// Keep the store and its key file in this folder, which must be new or empty
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,

    /// Use the bundled history, also inside a git repository
    #[arg(long)]
    bundled: bool,
}

impl Demo {
    /// Runs the demo.
    pub fn run(&self, keys: &Keys, output: &mut Output) -> Result<(), CliError> {
        if !keys.is_empty() {
            return Err(CliError::Flags(
                "the demo makes a key file of its own: leave --key-file and --passphrase-env away",
            ));
        }
        let temporary = match self.keep {
            Some(_) => None,
            None => {
                Some(tempfile::Builder::new().prefix("batpak-demo-").tempdir().map_err(unusable(Path::new("TMPDIR")))?)
            }
        };
        let folder = match (&self.keep, &temporary) {
            (Some(folder), _) => kept(folder)?,
            (None, Some(temporary)) => temporary.path().to_owned(),
            (None, None) => return Err(CliError::Flags("there is no folder for the store")),
        };
        let line = self.through(&folder, output)?;
        output.show(&line)
    }

    /// Imports, reads, verifies and shreds.
    fn through(&self, folder: &Path, output: &mut Output) -> Result<DemoLine, CliError> {
        let (dir, key_file) = (folder.join("store"), folder.join("key"));
        let sealed = || Config::new(Encryption::sealed(KeyFile::new(&key_file)));
        let config = sealed().granularity(Granularity::Entity).provider_hint(key_file.to_string_lossy());
        let store = Store::create(&dir, config).map_err(refused(&dir))?;
        let (source, counts) = self.import(&store, output)?;
        let import = Step::took(counts.added, counts.took());
        // The store's own entity, which the genesis event stands under, is not of the history.
        let entities = store.stats().entities.saturating_sub(1);
        store.close()?;

        let opening = Instant::now();
        let store = Store::open_read_only(&dir, sealed()).map_err(refused(&dir))?;
        let open_seconds = opening.elapsed().as_secs_f64();
        let (read, payload_bytes) = read_all(&store)?;
        let newest = store.read(&Query::all().reverse().limit(1))?.next().transpose()?;
        let with_keys = verify(&store, VerifyOptions::full())?;
        let without_keys = verify(&open_without_keys(&dir)?, VerifyOptions::without_keys())?;
        let sizes = Sizes::measure(&dir)?;
        let victim = most_events(&store)?;
        drop(store);
        let shred = victim.map(|entity| Shredded::take(&dir, entity, sealed)).transpose()?;
        Ok(DemoLine {
            bundled: source.is_none(),
            source: source.unwrap_or_else(|| "bundled".to_owned()),
            events: counts.added,
            entities,
            import,
            open_seconds,
            read,
            verify: with_keys,
            verify_without_keys: without_keys,
            payload_bytes,
            log_bytes: sizes.log_bytes,
            keyset_bytes: sizes.keyset_bytes,
            newest: newest.as_ref().map(newest_line),
            shred,
            kept: self.keep.as_ref().map(|_| folder.display().to_string()),
        })
    }

    /// Imports the history of the repository around, else the bundled one.
    fn import(&self, store: &Store, output: &mut Output) -> Result<(Option<String>, Counts), CliError> {
        let found = if self.bundled { None } else { Repository::find(Path::new(".")).ok() };
        if let Some(repo) = found
            && repo.has_commits(false).is_ok_and(|some| some)
        {
            output.remark(&format!("Importing the git history of {} into a fresh sealed store ...", repo.name()))?;
            output.flush()?;
            return Ok((Some(repo.name().to_owned()), git::import(store, &repo, None, false)?));
        }
        output.remark("Importing the bundled history into a fresh sealed store (no git history stands here) ...")?;
        output.flush()?;
        Ok((None, jsonl::import(store, &mut BUNDLED.as_bytes())?))
    }
}

/// Makes the folder that is kept, and its path independent of where the command stands.
fn kept(folder: &Path) -> Result<PathBuf, CliError> {
    let folder = std::path::absolute(folder).map_err(unusable(folder))?;
    fs::create_dir_all(&folder).map_err(unusable(&folder))?;
    if fs::read_dir(&folder).map_err(unusable(&folder))?.next().is_some() {
        return Err(CliError::Flags("the folder named by --keep is not empty: choose another"));
    }
    Ok(folder)
}

fn unusable(path: &Path) -> impl FnOnce(io::Error) -> CliError {
    let path = path.to_owned();
    move |source| CliError::Folder { path, source }
}

/// Reads and opens every event; returns how fast, and the bytes of the payloads.
fn read_all(store: &Store) -> Result<(Step, u64), CliError> {
    let started = Instant::now();
    let (mut events, mut bytes) = (0, 0);
    for event in store.read(&Query::all())? {
        bytes += event?.payload.open().map_or(0, |payload| payload.len() as u64);
        events += 1;
    }
    Ok((Step::took(events, started.elapsed()), bytes))
}

/// Verifies; what is not sound in a store that was just made is an error.
fn verify(store: &Store, options: VerifyOptions) -> Result<Step, CliError> {
    let started = Instant::now();
    let progress = Progress::start("verify", Some(store.stats().events));
    let report: VerifyReport = store.verify(options, &mut |done| progress.set(done))?;
    if !report.is_sound() {
        return Err(CliError::NotSound { problems: report.problems_total, lost: report.lost });
    }
    Ok(Step::took(report.events, started.elapsed()))
}

/// Names an event and the first line of its message, when it has one.
fn newest_line(event: &Event) -> String {
    let message = event
        .payload
        .open()
        .and_then(|bytes| serde_json::from_slice::<serde_json::Value>(bytes).ok())
        .and_then(|payload| payload["message"].as_str().and_then(|text| text.lines().next()).map(printable));
    format!(
        "{}@{} revision {}, {}: {:?}",
        event.header.coordinate.entity(),
        event.header.coordinate.scope(),
        event.header.revision,
        counted(event.header.causes.len() as u64, "cause", "causes"),
        message.unwrap_or_default()
    )
}

/// One part of the demo: how many events, and how fast.
#[derive(Debug, Serialize)]
struct Step {
    events: u64,
    seconds: f64,
    events_per_second: f64,
}

impl Step {
    fn took(events: u64, took: Duration) -> Self {
        Self { events, seconds: took.as_secs_f64(), events_per_second: time::rate(events, took) }
    }
}

/// What the demo prints.
#[derive(Debug, Serialize)]
struct DemoLine {
    source: String,
    bundled: bool,
    events: u64,
    entities: u64,
    import: Step,
    open_seconds: f64,
    read: Step,
    verify: Step,
    verify_without_keys: Step,
    payload_bytes: u64,
    log_bytes: u64,
    keyset_bytes: u64,
    newest: Option<String>,
    shred: Option<Shredded>,
    kept: Option<String>,
}

impl Shown for DemoLine {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out)?;
        let with_git = if self.bundled { "" } else { ", git's own work included" };
        step(out, "imported", &self.import, &format!("sealed, synced to disk in chunks of 256{with_git}"))?;
        step(out, "read back", &self.read, "each payload opened")?;
        step(out, "verified", &self.verify, "every frame, hash, chain and seal")?;
        step(out, "verified again", &self.verify_without_keys, "every frame, hash and chain, without any key")?;
        writeln!(out, "  {:<15} {:.1} ms", "opened in", self.open_seconds * 1000.0)?;
        writeln!(out)?;
        let entities = counted(self.entities, "entity", "entities");
        writeln!(out, "  {:<15} {} of {entities}, one key each", "events", self.events)?;
        writeln!(out, "  {:<15} {}", "payloads", bytes_human(self.payload_bytes))?;
        writeln!(out, "  {:<15} {}", "log on disk", bytes_human(self.log_bytes))?;
        writeln!(out, "  {:<15} {} (two copies)", "keyset on disk", bytes_human(self.keyset_bytes))?;
        if let Some(newest) = &self.newest {
            writeln!(out, "  {:<15} {newest}", "newest event")?;
        }
        if let Some(shred) = &self.shred {
            writeln!(out)?;
            shred.human(out)?;
        }
        writeln!(out)?;
        self.further(out)
    }
}

impl DemoLine {
    /// Says how to look further.
    fn further(&self, out: &mut dyn Write) -> io::Result<()> {
        let Some(kept) = &self.kept else {
            writeln!(out, "The store was in a temporary folder, which is removed. To keep one and look around:")?;
            return writeln!(out, "  batpak demo --keep DIR");
        };
        writeln!(out, "The store is {kept}/store, its key file {kept}/key. Look further:")?;
        writeln!(out, "  batpak read {kept}/store --reverse --limit 3")?;
        if let Some(shred) = &self.shred {
            writeln!(out, "  batpak read {kept}/store --entity {} --json --limit 3", shred.entity)?;
            writeln!(out, "  batpak certificate verify {kept}/{CERTIFICATE} {kept}/store")?;
        }
        writeln!(out, "  batpak verify {kept}/store --no-keys")?;
        writeln!(out, "  batpak stats {kept}/store")
    }
}

fn step(out: &mut dyn Write, what: &str, step: &Step, how: &str) -> io::Result<()> {
    let rate = format!("{:.0} events/s", step.events_per_second);
    writeln!(out, "  {what:<15} {:>7} events in {:>8.3} s  {rate:>18}   {how}", step.events, step.seconds)
}
