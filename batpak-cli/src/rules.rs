//! Flags of `append` that say under which rules it is committed: an expected revision, a condition, gates.
//!
//! Invariant: what they ask is decided by the store, at the commit; here they are only read.

use std::{str::FromStr, time::Duration};

use batpak_store::{
    AppendCondition, EventKind, Expect, GateSet, MonotoneTime, NewEvent, PayloadSize, QueryItem, RatePerEntity,
    RequireCauses,
};
use clap::Args;

use crate::error::CliError;

/// See the module.
#[derive(Debug, Args)]
pub struct RuleFlags {
    /// What must hold of the entity's stream: none (it has no event), exists, any, or the revision of its last event
    #[arg(long, value_name = "none|exists|any|N", value_parser = parse_expect, default_value = "any")]
    expect: Expect,

    /// Refuse if an event matches: kind=C:T, tag=T, entity=E, scope=S, joined by commas; may be given again, for any of them
    #[arg(long, value_name = "MATCH")]
    fail_if: Vec<Match>,

    /// Look only at events after this position, the last one that was taken into account
    #[arg(long, value_name = "POSITION", requires = "fail_if")]
    after: Option<u64>,

    /// Ask a gate: payload-size=BYTES, rate=EVENTS/SECONDS (per entity), require-causes, monotone-time
    #[arg(long, value_name = "GATE")]
    gate: Vec<GateFlag>,

    /// Put denials of the gates on record, as events of the store
    #[arg(long, requires = "gate")]
    record_denials: bool,
}

/// Events that a condition names.
#[derive(Clone, Debug)]
struct Match(QueryItem);

/// A gate that the command line knows.
#[derive(Clone, Copy, Debug)]
enum GateFlag {
    PayloadSize(usize),
    Rate(u64, u64),
    RequireCauses,
    MonotoneTime,
}

impl RuleFlags {
    /// Puts expected revision and condition on an event.
    pub fn on<'a>(&self, event: NewEvent<'a>) -> NewEvent<'a> {
        let event = event.expect(self.expect);
        let mut items = self.fail_if.iter().map(|named| named.0.clone());
        let Some(first) = items.next() else { return event };
        let condition = items.fold(AppendCondition::fail_if(first), AppendCondition::or);
        event.condition(match self.after {
            Some(position) => condition.after(position),
            None => condition,
        })
    }

    /// Returns the gates that the store is opened with.
    pub fn gates(&self) -> GateSet {
        self.gate.iter().fold(GateSet::new(), |set, gate| match *gate {
            GateFlag::PayloadSize(bytes) => set.with(PayloadSize::new().bytes_max(bytes)),
            GateFlag::Rate(events, seconds) => set.with(RatePerEntity::new(events, Duration::from_secs(seconds))),
            GateFlag::RequireCauses => set.with(RequireCauses::new()),
            GateFlag::MonotoneTime => set.with(MonotoneTime),
        })
    }

    /// Tells whether denials go on record.
    pub const fn denials_recorded(&self) -> bool {
        self.record_denials
    }
}

fn parse_expect(text: &str) -> Result<Expect, CliError> {
    match text {
        "any" => Ok(Expect::Any),
        "none" => Ok(Expect::NoStream),
        "exists" => Ok(Expect::Exists),
        number => number
            .parse()
            .map(Expect::Exactly)
            .map_err(|_| CliError::Flags("say none, exists, any, or the revision of the entity's last event")),
    }
}

impl FromStr for Match {
    type Err = CliError;

    fn from_str(text: &str) -> Result<Self, CliError> {
        let unread = || CliError::Flags("say kind=C:T, tag=T, entity=E or scope=S, joined by commas");
        let mut item = QueryItem::any();
        for part in text.split(',') {
            let (name, value) = part.split_once('=').ok_or_else(unread)?;
            item = match name {
                "entity" => item.entity(value),
                "kind" => item.kind(value.parse::<EventKind>().map_err(|_| unread())?),
                "scope" => item.scope(value),
                "tag" => item.tag(value),
                _ => return Err(unread()),
            };
        }
        Ok(Self(item))
    }
}

impl FromStr for GateFlag {
    type Err = CliError;

    fn from_str(text: &str) -> Result<Self, CliError> {
        let unread = || CliError::Flags("say payload-size=BYTES, rate=EVENTS/SECONDS, require-causes or monotone-time");
        match text.split_once('=') {
            None if text == "require-causes" => Ok(Self::RequireCauses),
            None if text == "monotone-time" => Ok(Self::MonotoneTime),
            Some(("payload-size", bytes)) => Ok(Self::PayloadSize(bytes.parse().map_err(|_| unread())?)),
            Some(("rate", rate)) => {
                let (events, seconds) = rate.split_once('/').ok_or_else(unread)?;
                let number = |text: &str| text.parse::<u64>().map_err(|_| unread());
                Ok(Self::Rate(number(events)?, number(seconds)?))
            }
            _ => Err(unread()),
        }
    }
}
