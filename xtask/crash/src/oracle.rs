//! Judges an open store against the journal.
//!
//! Invariant: it asks through the shipped interface only, and takes no event, order or payload on trust.

use std::collections::BTreeSet;
use std::sync::Arc;

use batpak_store::{EventKind, Payload, Query, ReadError, Store, VerifyOptions};

use crate::journal::{Fate, Journal};
use crate::violation::{Violation, chain};

/// What was seen of a store that holds what it must.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Events of callers.
    pub(crate) count: usize,
    /// Entities of which an event reads Shredded that might have read Open.
    pub(crate) shredded: BTreeSet<Arc<str>>,
    /// One past the last position.
    pub(crate) positions: u64,
}

/// Holds a store to the journal: at least `least` events, in order, whole batches, each payload as it must be.
pub(crate) fn judge(store: &Store, journal: &Journal, least: usize) -> Result<Seen, Violation> {
    let mut seen = Seen::default();
    let mut open: BTreeSet<Arc<str>> = BTreeSet::new();
    let mut intents = BTreeSet::new();
    let mut proofs = Vec::new();
    let query = Query::all().include_system(true);
    let events = store.read(&query).map_err(|why| Violation::new("I3", chain(&why)))?;
    for event in events {
        let event = event.map_err(|why| refused(&why))?;
        let position = event.header.position;
        if position != seen.positions {
            return Err(Violation::new(
                "I4",
                format!("position {position} stands where {} comes next", seen.positions),
            ));
        }
        seen.positions += 1;
        if event.header.kind.is_reserved() {
            if event.header.kind == EventKind::SHRED_INTENT {
                intents.insert(position);
            }
            continue;
        }
        let Some(asked) = journal.events.get(seen.count) else {
            return Err(Violation::new("I4", format!("position {position} holds an event that was never submitted")));
        };
        if asked.id != event.header.id || event.header.coordinate.entity() != &*asked.entity {
            return Err(Violation::new(
                "I4",
                format!("position {position} holds another event than was submitted there"),
            ));
        }
        let fate = journal.fate(seen.count, &asked.entity);
        match (&event.payload, fate) {
            (Payload::Open(bytes), Fate::Open | Fate::Either) => {
                if **bytes != *asked.payload {
                    return Err(Violation::new("I3", format!("the payload at position {position} is another one")));
                }
                if fate == Fate::Either {
                    open.insert(Arc::clone(&asked.entity));
                }
            }
            (Payload::Shredded(proof), Fate::Shredded | Fate::Either) => {
                proofs.push((position, proof.intent));
                if fate == Fate::Either {
                    seen.shredded.insert(Arc::clone(&asked.entity));
                }
            }
            (Payload::Open(_), Fate::Shredded) => {
                return Err(Violation::new("I9", format!("position {position} opens after its shred returned")));
            }
            (Payload::Shredded(_), Fate::Open) => {
                return Err(Violation::new("I13", format!("position {position} reads Shredded and was not")));
            }
            (other, _) => return Err(Violation::new("I2", format!("position {position} reads {other:?}"))),
        }
        seen.count += 1;
    }
    if let Some((position, intent)) =
        proofs.into_iter().find(|(position, intent)| !intents.contains(intent) || intent < position)
    {
        let what = format!("position {position} names an intent at {intent} that is not there");
        return Err(Violation::new("I13", what));
    }
    if let Some(entity) = open.intersection(&seen.shredded).next() {
        return Err(Violation::new("I11", format!("{entity} is shredded in part")));
    }
    whole(&seen, journal, least)?;
    Ok(seen)
}

fn whole(seen: &Seen, journal: &Journal, least: usize) -> Result<(), Violation> {
    if seen.count < least {
        let what = format!("{} events are left, {least} were acknowledged", seen.count);
        return Err(Violation::new("I3", what));
    }
    match journal.events.get(seen.count) {
        Some(next) if next.unit < seen.count => Err(Violation::new("I5", "a batch was cut in two")),
        _ => Ok(()),
    }
}

fn refused(why: &ReadError) -> Violation {
    let invariant = match why {
        ReadError::Tampered { .. } => "I2",
        _ => "I3",
    };
    Violation::new(invariant, chain(why))
}

/// Verifies the whole log.
pub(crate) fn verify(store: &Store) -> Result<(), Violation> {
    let report = store.verify(VerifyOptions::full(), &mut |_| {});
    let report = report.map_err(|why| Violation::new("I19", chain(&why)))?;
    match report.problems.first() {
        Some(problem) => Err(Violation::new("I19", format!("position {}: {}", problem.position, problem.kind))),
        None if !report.is_sound() => Err(Violation::new("I19", "verification finds a lost key")),
        None => Ok(()),
    }
}
