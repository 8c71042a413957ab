//! What a shred would take away.
//!
//! Invariant: it counts what the store holds at that moment, and changes nothing.

use std::io::{self, Write};

use batpak_store::{Payload, Query, Store};
use serde::Serialize;

use crate::{
    error::CliError,
    output::{Shown, counted},
    selection::Named,
    shred::done::list_withheld,
};

/// What `--plan` prints, and what stands before a shred.
#[derive(Debug, Serialize)]
pub struct PlanLine {
    stage: &'static str,
    named: Vec<String>,
    /// What the store has one key for.
    granularity: Option<String>,
    events: u64,
    /// Payloads that can be opened now.
    open: u64,
    shredded: u64,
    lost: u64,
    entities: u64,
    key_scopes: Vec<String>,
    keys: u64,
    withheld: Vec<String>,
    hash: String,
}

impl PlanLine {
    /// Counts the events that are named and what became of their payloads.
    pub fn of(store: &Store, named: &[Named]) -> Result<Self, CliError> {
        let granularity = store.info().granularity.map(|granularity| granularity.to_string());
        let names = named.iter().map(Named::to_string).collect();
        let selectors: Vec<_> = named.iter().map(Named::selector).collect();
        let of_store = store.plan_shred(&selectors)?;
        let mut plan = Self {
            stage: "plan",
            named: names,
            granularity,
            events: 0,
            open: 0,
            shredded: 0,
            lost: 0,
            entities: 0,
            key_scopes: of_store.key_scopes.iter().map(|planned| planned.key_scope.to_string()).collect(),
            keys: of_store.keys,
            withheld: of_store.withheld.iter().map(ToString::to_string).collect(),
            hash: of_store.hash.to_string(),
        };
        let mut entities = std::collections::HashSet::new();
        for event in store.read(&Query::all().headers_only(true))? {
            let header = event?.header;
            if !named.iter().any(|name| name.holds(&header)) {
                continue;
            }
            plan.events += 1;
            match store.at(header.position)?.map(|event| event.payload) {
                Some(Payload::Open(_)) => plan.open += 1,
                Some(Payload::Shredded(_)) => plan.shredded += 1,
                Some(Payload::KeyLost(_)) => plan.lost += 1,
                _ => {}
            }
            entities.insert(header.coordinate.entity().to_owned());
        }
        plan.entities = entities.len() as u64;
        Ok(plan)
    }
}

impl Shown for PlanLine {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "named: {}", self.named.join(", "))?;
        if let Some(granularity) = &self.granularity {
            writeln!(out, "  one key per {granularity}")?;
        }
        let events = counted(self.events, "event", "events");
        writeln!(out, "  {events} of {}", counted(self.entities, "entity", "entities"))?;
        writeln!(out, "  {} that can be opened now", counted(self.open, "payload", "payloads"))?;
        let keys = counted(self.keys, "key", "keys");
        let scopes = counted(self.key_scopes.len() as u64, "key scope", "key scopes");
        writeln!(out, "  {keys} to be destroyed, of {scopes}")?;
        list_withheld(&self.withheld, out)?;
        if self.shredded > 0 {
            writeln!(out, "  {} shredded before", self.shredded)?;
        }
        if self.lost > 0 {
            writeln!(out, "  {} with a lost key", self.lost)?;
        }
        writeln!(out, "plan: {}", self.hash)
    }
}
