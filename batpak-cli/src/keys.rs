//! `batpak keys`: prints what may be told of a store's keys.
//!
//! Invariant: numbers only; no key, node or root secret.

use std::{
    io::{self, Write},
    path::PathBuf,
};

use batpak_store::{ExtentReport, KeyReport, PageReport, Pending, keyset::PageState};
use clap::Args;
use serde::Serialize;

use crate::{
    error::CliError,
    init::provider_name,
    open::Keys,
    output::{Output, Shown, counted},
    stats::BackupNote,
};

/// Print pages, reservations, epochs and what is pending, never a secret
#[derive(Debug, Args)]
pub struct KeysVerb {
    /// The directory of the store
    #[arg(value_name = "STORE")]
    dir: PathBuf,
}

impl KeysVerb {
    /// Prints the report.
    pub fn run(&self, keys: &Keys, output: &mut Output) -> Result<(), CliError> {
        let store = keys.open_read_only(&self.dir)?;
        let report = store.key_report()?.ok_or(CliError::Flags("the store is in plaintext: it has no keys"))?;
        output.show(&KeysLine::from(&report))
    }
}

/// What `keys` prints.
#[derive(Debug, Serialize)]
struct KeysLine {
    granularity: String,
    provider: &'static str,
    epoch: u64,
    epochs: [Option<u64>; 2],
    applied: Option<u64>,
    pending: Option<&'static str>,
    shred_intent: Option<u64>,
    secret_moving: bool,
    pages: Vec<PageLine>,
    extents: Vec<ExtentLine>,
    last_backup: Option<BackupNote>,
}

#[derive(Debug, Serialize)]
struct PageLine {
    page: u32,
    pages: u32,
    keys: u32,
    reserved: u32,
    named: u64,
    destroyed: Option<u64>,
    nodes: Option<u32>,
    state: &'static str,
    extent: Option<u64>,
}

#[derive(Debug, Serialize)]
struct ExtentLine {
    extent: u64,
    pages: u64,
}

impl From<&KeyReport> for KeysLine {
    fn from(report: &KeyReport) -> Self {
        Self {
            granularity: report.granularity.to_string(),
            provider: provider_name(report.provider),
            epoch: report.epoch,
            epochs: report.copies.map(|copy| copy.map(|copy| copy.epoch)),
            applied: report.applied,
            pending: report.pending.map(|pending| if matches!(pending, Pending::Rekey) { "rekey" } else { "shred" }),
            shred_intent: match report.pending {
                Some(Pending::Shred { intent }) => Some(intent),
                _ => None,
            },
            secret_moving: report.secret_moving,
            pages: report.pages.iter().map(PageLine::from).collect(),
            extents: report.extents.iter().map(ExtentLine::from).collect(),
            last_backup: report.last_backup.as_ref().map(BackupNote::from),
        }
    }
}

impl From<&PageReport> for PageLine {
    fn from(page: &PageReport) -> Self {
        let (state, extent) = match page.state {
            PageState::Extent { number, .. } => ("extent", Some(number)),
            PageState::Gone => ("gone", None),
            PageState::Punctured => ("punctured", None),
            PageState::Unreadable { number } => ("unreadable", Some(number)),
            PageState::Whole => ("whole", None),
            _ => ("unknown", None),
        };
        Self {
            page: page.number,
            pages: page.pages,
            keys: page.keys,
            reserved: page.reserved,
            named: page.named,
            destroyed: page.destroyed,
            nodes: page.nodes,
            state,
            extent,
        }
    }
}

impl From<&ExtentReport> for ExtentLine {
    fn from(extent: &ExtentReport) -> Self {
        Self { extent: extent.number, pages: extent.pages }
    }
}

impl Shown for KeysLine {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "one key per  {}", self.granularity)?;
        writeln!(out, "root secret  {}", self.provider.replace('_', " "))?;
        let [a, b] = self.epochs.map(|epoch| epoch.map_or("missing".to_owned(), |epoch| format!("epoch {epoch}")));
        writeln!(out, "keyset.a     {a}")?;
        writeln!(out, "keyset.b     {b}")?;
        let pending = match (self.pending, self.shred_intent, self.secret_moving) {
            (_, Some(intent), _) => format!("a shred, intent at position {intent}: open the store for writing"),
            (Some(_), ..) | (.., true) => "a new root secret: open the store for writing".to_owned(),
            _ => "nothing".to_owned(),
        };
        writeln!(out, "pending      {pending}")?;
        for page in &self.pages {
            let last = page.page + (page.pages - 1);
            let number = if page.pages == 1 { page.page.to_string() } else { format!("{}-{last}", page.page) };
            let unknown = || "?".to_owned();
            writeln!(
                out,
                "page {number:<8}{} of {} keys reserved, {} in events, {} destroyed, {} nodes left, {}{}",
                page.reserved,
                page.keys,
                page.named,
                page.destroyed.map_or_else(unknown, |destroyed| destroyed.to_string()),
                page.nodes.map_or_else(unknown, |nodes| nodes.to_string()),
                page.state,
                page.extent.map_or(String::new(), |extent| format!(" {extent}"))
            )?;
        }
        for extent in &self.extents {
            writeln!(out, "extent {:<6}{}", extent.extent, counted(extent.pages, "page", "pages"))?;
        }
        BackupNote::human(self.last_backup.as_ref(), out)
    }
}
