//! The part of the demo that destroys a key.
//!
//! Invariant: what it says became of the payloads is read from the store after it was opened again.

use std::{
    collections::HashMap,
    io::{self, Write},
    path::Path,
    time::Instant,
};

use batpak_store::{Config, Destruction, Payload, Query, Selector, Store, VerifyOptions};
use serde::Serialize;

use super::{Step, verify};
use crate::{
    certificate::{self, Reserved},
    error::CliError,
    open::{open_without_keys, refused},
    output::counted,
    shred::worth,
};

/// What the demo writes into the store as the reference of its shred.
const REFERENCE: &str = "batpak demo";
/// The file of the certificate, beside the store.
pub const CERTIFICATE: &str = "certificate.json";

/// What became of the entity that was shredded, and of the others.
#[derive(Debug, Serialize)]
pub struct Shredded {
    pub entity: String,
    seconds: f64,
    intent: u64,
    keys: u64,
    shredded: u64,
    open: u64,
    verify: Step,
    verify_without_keys: Step,
    certificate: String,
    #[serde(skip)]
    destruction: Destruction,
}

impl Shredded {
    /// Shreds an entity of the store, opens it again, reads and verifies.
    pub fn take(dir: &Path, entity: String, sealed: impl Fn() -> Config) -> Result<Self, CliError> {
        let store = Store::open(dir, sealed()).map_err(refused(dir))?;
        let started = Instant::now();
        let shredding = store.shred(&[Selector::Entity(entity.clone())], 1, REFERENCE)?;
        let seconds = started.elapsed().as_secs_f64();
        let issued = certificate::issue(&store, shredding.intent)?;
        let file = dir.with_file_name(CERTIFICATE);
        Reserved::new(&file)?.write(&issued)?;
        store.close()?;

        let store = Store::open_read_only(dir, sealed()).map_err(refused(dir))?;
        let (mut shredded, mut open) = (0, 0);
        for event in store.read(&Query::all())? {
            match event?.payload {
                Payload::Open(_) => open += 1,
                Payload::Shredded(_) => shredded += 1,
                _ => {}
            }
        }
        let keyless = open_without_keys(dir)?;
        let checked = certificate::check(&keyless, &certificate::read(&file)?)?;
        checked.verdict()?;
        Ok(Self {
            entity,
            seconds,
            intent: shredding.intent,
            keys: shredding.keys,
            shredded,
            open,
            verify: verify(&store, VerifyOptions::full())?,
            verify_without_keys: verify(&keyless, VerifyOptions::without_keys())?,
            certificate: checked.hash,
            destruction: shredding.destruction,
        })
    }

    /// Writes the lines for people.
    pub fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        let keys = counted(self.keys, "key", "keys");
        let took = self.seconds * 1000.0;
        writeln!(out, "  {:<15} {}, {keys} destroyed in {took:.1} ms", "then shredded", self.entity)?;
        let events = counted(self.shredded, "event", "events");
        writeln!(out, "  {:<15} {events} read as shredded, {} still open", "", self.open)?;
        writeln!(out, "  {:<15} {}", "", worth(self.destruction))?;
        writeln!(out, "  {:<15} with keys, and without any", "still verifies")?;
        let hash = self.certificate.get(..16).unwrap_or_default();
        writeln!(out, "  {:<15} {hash}..., written, and checked against the log without any key", "certificate")
    }
}

/// Returns the entity that has the most events; of several the one that came first.
pub fn most_events(store: &Store) -> Result<Option<String>, CliError> {
    let mut counts: HashMap<String, (u64, std::cmp::Reverse<u64>)> = HashMap::new();
    for event in store.read(&Query::all().headers_only(true))? {
        let header = event?.header;
        let first = std::cmp::Reverse(header.position);
        counts.entry(header.coordinate.entity().to_owned()).or_insert((0, first)).0 += 1;
    }
    Ok(counts.into_iter().max_by_key(|(_, rank)| *rank).map(|(entity, _)| entity))
}
