//! A certificate as it is printed.
//!
//! Invariant: with `--json` it is the file form, so what is printed can be kept as a certificate.

use std::io::{self, Write};

use batpak_store::{Certificate, CertifiedWorth, Destruction};
use serde::Serialize;

use super::file::{CertificateFile, EventForm, PositionRunForm, TargetForm};
use crate::{
    error::CliError,
    output::{Shown, counted, printable},
    shred::worth,
};

/// The most key scopes, and runs of positions, that are listed for people.
const LISTED_MAX: usize = 20;
const RUNS_LISTED_MAX: usize = 8;

/// What `certificate` and `certificate show` print.
#[derive(Debug, Serialize)]
pub struct CertificateLine {
    #[serde(flatten)]
    form: CertificateFile,
    #[serde(skip)]
    worth: String,
}

impl CertificateLine {
    /// Takes a certificate.
    ///
    /// # Errors
    /// [`CliError::Certificate`] when it has no canonical bytes.
    pub fn of(certificate: &Certificate) -> Result<Self, CliError> {
        let destruction = match certificate.worth {
            CertifiedWorth::LiveFilesOnly => Destruction::LiveFilesOnly,
            CertifiedWorth::OldCopiesNotCovered => Destruction::OldCopiesNotCovered,
            CertifiedWorth::OldCopiesDeadFrom(time) => Destruction::OldCopiesDeadFrom(time),
        };
        Ok(Self { form: CertificateFile::of(certificate)?, worth: worth(destruction) })
    }
}

impl Shown for CertificateLine {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        let form = &self.form;
        writeln!(out, "certificate  {}", form.hash)?;
        writeln!(out, "store        {}, created {}", form.store, moment(form.created.as_ref(), form.created_us))?;
        form.intents.iter().try_for_each(|intent| event(out, "intent", intent))?;
        event(out, "completion", &form.completion)?;
        let reference = if form.reference.is_empty() { "none" } else { &printable(&form.reference) };
        writeln!(out, "reason       {}, reference {reference}", form.reason)?;
        let keys = counted(form.keys, "key", "keys");
        let events = counted(form.events, "event", "events");
        writeln!(out, "destroyed    {keys}, one per {}, that sealed {events}", form.granularity)?;
        form.key_scopes.iter().take(LISTED_MAX).try_for_each(|target| scope(out, target))?;
        more(out, form.key_scopes.len())?;
        if !form.withheld.is_empty() {
            let kept = counted(form.withheld.len() as u64, "key scope", "key scopes");
            writeln!(out, "withheld     {kept}, kept because they were held")?;
            for kept in form.withheld.iter().take(LISTED_MAX) {
                writeln!(out, "  {}", kept.name.as_ref().unwrap_or(&kept.key_scope))?;
            }
            more(out, form.withheld.len())?;
        }
        if form.unreachable > 0 {
            let keys = counted(form.unreachable.into(), "key", "keys");
            writeln!(out, "unreachable  {keys} that the keyset could not read; a copy elsewhere may live on")?;
        }
        writeln!(out, "root secret  {}", form.provider.replace('_', " "))?;
        writeln!(out, "worth        {}", self.worth)
    }
}

fn event(out: &mut dyn Write, what: &str, event: &EventForm) -> io::Result<()> {
    let when = moment(event.time.as_ref(), event.time_us);
    writeln!(out, "{what:<12} position {}, {when}, chain hash {}", event.position, event.chain_hash)
}

fn scope(out: &mut dyn Write, target: &TargetForm) -> io::Result<()> {
    let Some(name) = &target.name else {
        return writeln!(out, "  and {} that were reserved and never used", counted(target.keys, "key", "keys"));
    };
    let run = |run: &PositionRunForm| match run.count {
        1 => run.first.to_string(),
        count => format!("{} to {}", run.first, run.first.saturating_add(count - 1)),
    };
    let mut runs: Vec<_> = target.positions.iter().take(RUNS_LISTED_MAX).map(run).collect();
    if target.positions.len() > RUNS_LISTED_MAX {
        runs.push("...".to_owned());
    }
    let at = if runs.is_empty() { String::new() } else { format!(", at {}", runs.join(", ")) };
    writeln!(out, "  {name}: {}{at}", counted(target.events, "event", "events"))
}

fn more(out: &mut dyn Write, len: usize) -> io::Result<()> {
    match len.saturating_sub(LISTED_MAX) {
        0 => Ok(()),
        unlisted => writeln!(out, "  and {unlisted} more"),
    }
}

fn moment(time: Option<&String>, micros: i64) -> String {
    time.cloned().unwrap_or_else(|| format!("{micros} us"))
}
