//! `batpak shred`: destroys keys, after saying what that takes away.
//!
//! Invariant: nothing is destroyed without `--yes` or a plan's hash, and what is named is said before it is destroyed.

use std::{io, path::PathBuf};

use batpak_store::{
    CertificateHash, Durability, EventId, PlanHash, ShredError, Store, StoreInfo, format::REFERENCE_BYTES_MAX,
};
use clap::Args;

use crate::{
    certificate::{Reserved, hash_of, issue},
    error::CliError,
    open::Keys,
    output::{Output, Shown},
    selection::{Named, Selection},
};

mod done;
mod plan;

pub use done::{dead_from, worth, worth_word};

const ABOUT: &str = "\
Destroy the keys of what is named, so that its payloads can never be opened again

What is named can be several things; every event that any of them names is shredded. The store's
granularity decides what can be named: its own key scopes, or anything that they lie within as a
whole (a store with one key per coordinate takes --entity and --scope too). With one key per event
everything can be named. Shredded key scopes take no new events until `batpak readmit`.

--plan says what would be shredded and changes nothing; --yes shreds; --apply HASH shreds if the plan
of that hash still holds, not an event more or less. There is no way back. What is held (`batpak
hold`) is left out and listed.

What is not taken away: coordinates, kinds, ids, tags, causes, sizes and times stand in clear and
stay. The reason and the reference are kept in clear for ever too: no personal data there.
Hashes and chains stay as they are, and the store still verifies.

Copies of the store that were made before: the last line says what they are worth. Copies of the
key file are yours to destroy.";

/// Destroy the keys of what is named, so that its payloads can never be opened again
#[derive(Debug, Args)]
#[command(long_about = ABOUT)]
pub struct Shred {
    /// The directory of the store
    #[arg(value_name = "STORE")]
    dir: PathBuf,

    #[command(flatten)]
    selection: Selection,

    /// This one event, in a store with one key per event
    #[arg(long, value_name = "ID")]
    event: Vec<EventId>,

    /// Your own code for why, 0 to 65535; kept in clear for ever
    #[arg(long, value_name = "CODE")]
    reason: u16,

    /// Your own reference, a ticket's number say, at most 64 bytes; kept in clear for ever
    #[arg(long, value_name = "R", default_value = "", hide_default_value = true)]
    reference: String,

    /// Say what would be shredded, and change nothing
    #[arg(long, conflicts_with_all = ["yes", "apply"])]
    plan: bool,

    /// Shred exactly what --plan said when it printed this hash; there is no way back
    #[arg(long, value_name = "HASH", conflicts_with = "yes")]
    apply: Option<PlanHash>,

    /// Shred; there is no way back
    #[arg(long)]
    yes: bool,

    /// Write the certificate of the shred into this file, which must be new
    #[arg(long, value_name = "FILE", conflicts_with = "plan")]
    certificate: Option<PathBuf>,
}

impl Shred {
    /// Says what is named, and shreds it if that was asked for.
    pub fn run(&self, keys: &Keys, output: &mut Output) -> Result<(), CliError> {
        let named = self.named()?;
        if !self.plan && !self.yes && self.apply.is_none() {
            return Err(CliError::Flags(
                "a shred cannot be undone: look at what it takes away with --plan, then give --yes, or --apply with the plan's hash, instead",
            ));
        }
        if self.reference.len() > REFERENCE_BYTES_MAX {
            return Err(ShredError::ReferenceTooLong { bytes: self.reference.len() }.into());
        }
        if self.plan {
            let store = keys.open_read_only(&self.dir)?;
            return output.show(&planned(&store, &named)?);
        }
        let store = keys.open(&self.dir, Durability::Synced)?;
        let plan = planned(&store, &named)?;
        // That nobody reads the plan does not take back the --yes, so the shred goes first and the refusal of the output after it.
        let said = if output.is_json() { output.show(&plan) } else { plan.human(&mut io::stderr()).or(Ok(())) };
        let selectors: Vec<_> = named.iter().map(Named::selector).collect();
        // A file that cannot be made is refused before anything is destroyed.
        let certificate = self.certificate.as_deref().map(Reserved::new).transpose()?;
        let shredding = match &self.apply {
            Some(hash) => store.shred_planned(&selectors, hash, self.reason, &self.reference)?,
            None => store.shred(&selectors, self.reason, &self.reference)?,
        };
        let certified = certificate.map(|file| certify(&store, shredding.intent, file)).transpose();
        store.close()?;
        said?;
        let hash = certified.as_ref().ok().copied().flatten();
        output.show(&done::DoneLine::new(&shredding, hash))?;
        certified.map(|_| ())
    }

    fn named(&self) -> Result<Vec<Named>, CliError> {
        let mut named = self.selection.named()?;
        named.extend(self.event.iter().map(|id| Named::Event(*id)));
        if named.is_empty() {
            return Err(CliError::Flags(
                "name what is to be shredded: --entity, --scope, --category, --kind or --event",
            ));
        }
        Ok(named)
    }
}

/// Issues the certificate of a shred into its file.
fn certify(store: &Store, intent: u64, file: Reserved) -> Result<CertificateHash, CliError> {
    let certificate = issue(store, intent)?;
    file.write(&certificate)?;
    hash_of(&certificate)
}

/// Counts what is named, unless the store cannot shred by it.
fn planned(store: &Store, named: &[Named]) -> Result<plan::PlanLine, CliError> {
    check(store.info(), named)?;
    plan::PlanLine::of(store, named)
}

/// Refuses what the store would refuse, before anything is counted.
fn check(info: &StoreInfo, named: &[Named]) -> Result<(), ShredError> {
    let granularity = info.granularity.ok_or(ShredError::Plaintext)?;
    match named.iter().map(Named::granularity).find(|asked| !asked.covers(granularity)) {
        Some(asked) => Err(ShredError::WrongGranularity { granularity, asked }),
        None => Ok(()),
    }
}
