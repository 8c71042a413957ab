//! What the log of a store may hold, given what its workers have said.
//!
//! Invariant: what was acknowledged is known by its position; what was begun and not answered may be there, whole, or not;
//! nothing else may be there.

use std::collections::BTreeMap;

use batpak_store::{Durability, EventId, format::KeyId};

use crate::Outcome;
use crate::line::{Ended, Line};
use crate::script::{Operation, Script, Submitted};

/// What the fault leaves of what was acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Survives {
    /// All that the operating system had.
    Buffered,
    /// All that was synced.
    Synced,
}

/// Whether calls may fail, because the fault makes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failures {
    Expected,
    None,
}

/// An event that was submitted.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) submitted: Submitted,
    /// Where it was acknowledged to be; none while only reopening can say whether it is there.
    pub(crate) position: Option<u64>,
    /// Events of one operation are there all or none.
    pub(crate) batch: usize,
    pub(crate) fate: Fate,
}

/// What became of an event's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// As this shred ended, which was begun and not answered.
    Either(usize),
    Open,
    Shredded,
}

/// Whether a key scope takes events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    Live,
    Refuses,
    /// It refuses if this shred took place, or if a readmission did not.
    Unknown(Option<usize>),
}

/// The log as far as it is known, between two checks and during them.
#[derive(Debug)]
pub(crate) struct Model {
    survives: Survives,
    failures: Failures,
    pub(crate) events: BTreeMap<EventId, Known>,
    pub(crate) scopes: BTreeMap<String, Scope>,
    /// Of each shred that was begun and not answered, whether it took place, when that is known.
    pub(crate) shreds: Vec<Option<bool>>,
    /// The log does not end before this position.
    pub(crate) end_min: u64,
    /// Positions of intents and completions that are on record.
    pub(crate) system: Vec<u64>,
    /// Whose each key is that was ever seen.
    pub(crate) owners: BTreeMap<KeyId, String>,
    /// Whether a worker had the store open.
    pub(crate) opened: bool,
    batches: usize,
}

impl Model {
    pub(crate) fn new(survives: Survives, failures: Failures) -> Model {
        Model {
            survives,
            failures,
            events: BTreeMap::new(),
            scopes: BTreeMap::new(),
            shreds: Vec::new(),
            end_min: 0,
            system: Vec::new(),
            owners: BTreeMap::new(),
            opened: false,
            batches: 0,
        }
    }

    /// Takes in what a worker has said until it ended, and what it may have begun.
    ///
    /// # Errors
    ///
    /// When two things that it said cannot both be true.
    pub(crate) fn hear(&mut self, script: Script, lines: &[Line]) -> Outcome {
        self.hear_until(script, lines, lines.len())
    }

    /// As [`Model::hear`]; of what was said after the first `trusted` lines nothing counts as said: the machine had no power
    /// by then.
    ///
    /// # Errors
    ///
    /// As [`Model::hear`].
    pub(crate) fn hear_until(&mut self, script: Script, lines: &[Line], trusted: usize) -> Outcome {
        let mut threads = vec![Thread::default(); usize::from(script.threads)];
        let (mut is_open, mut poisoned, mut seen_end) = (false, false, 0);
        for (number, line) in lines.iter().enumerate() {
            let is_trusted = number < trusted;
            match line {
                Line::Open { end } if !is_trusted => {
                    is_open = true;
                    self.lost_from(*end);
                }
                Line::Open { end } => {
                    (is_open, poisoned) = (true, false);
                    self.opened = true;
                    self.reopened(*end)?;
                    seen_end = seen_end.max(*end);
                }
                Line::Done { thread, at, ended } => {
                    let state = &mut threads[usize::from(*thread)];
                    if state.next != *at {
                        return Err(format!("the worker says {line} where operation {} is due", state.next).into());
                    }
                    let operation = script.operation(*thread, *at);
                    let is_acknowledged = matches!(ended, Ended::Acknowledged { .. });
                    if !is_trusted {
                        // A refusal tells of an intent that the disk may never have seen.
                        if !matches!(ended, Ended::Refused | Ended::Failed { .. }) {
                            self.begun(&operation);
                        }
                        state.next = at + 1;
                        continue;
                    }
                    if poisoned && is_acknowledged && operation != Operation::Reopen {
                        return Err(format!("{line}: acknowledged by a poisoned store").into());
                    }
                    // By what: a readmission that it could not put on record may stand on the disk.
                    if poisoned && *ended == Ended::Refused {
                        return Err(format!("{line}: refused by a poisoned store").into());
                    }
                    // Of several threads one may be acknowledged, and say so after another has met the failure.
                    poisoned |= matches!(ended, Ended::Undecided { .. }) && script.threads == 1;
                    if operation == Operation::Sync && is_acknowledged {
                        self.end_min = self.end_min.max(state.seen_end);
                    }
                    match (&operation, ended) {
                        // Of several threads, the one that is told of a pending intent need not be the one that made it.
                        (Operation::Shred { .. }, Ended::Pending { .. })
                            if script.threads > 1 && self.failures == Failures::Expected =>
                        {
                            self.begun(&operation);
                        }
                        _ => self.done(&operation, ended).map_err(|why| format!("{line}: {why}"))?,
                    }
                    if let Ended::Acknowledged { positions } = ended {
                        seen_end = positions.iter().fold(seen_end, |end, it| end.max(it + 1));
                    }
                    *state = Thread { next: at + 1, seen_end };
                }
                Line::NotOpen { why } if self.failures == Failures::None => {
                    return Err(format!("the worker could not open the store: {why}").into());
                }
                Line::Closed | Line::NotOpen { .. } | Line::Process { .. } => {}
            }
        }
        for (thread, state) in (0..).zip(threads).filter(|(_, state)| is_open && state.next < script.operations) {
            self.begun(&script.operation(thread, state.next));
        }
        if !is_open {
            self.maybe_opened();
        }
        Ok(())
    }

    /// A process opened the store and found its log to end here; what it found is durable.
    fn reopened(&mut self, end: u64) -> Outcome {
        if end < self.end_min {
            return Err(format!("the store was opened and ends at {end}, acknowledged up to {}", self.end_min).into());
        }
        self.lost_from(end);
        self.end_min = end;
        Ok(())
    }

    /// A process read the log and found it to end here: what was beyond is lost, and its positions are taken again. That holds
    /// without power too, since what was read was on the disk; that the log will not end before is another matter.
    fn lost_from(&mut self, end: u64) {
        self.events.retain(|_, known| known.position.is_none_or(|it| it < end));
    }

    /// A process that said nothing may have opened the store, and put a shred's completion where an event that is lost had been.
    fn maybe_opened(&mut self) {
        let durable = self.end_min;
        for known in self.events.values_mut().filter(|known| known.position.is_some_and(|it| it >= durable)) {
            known.position = None;
        }
    }

    fn done(&mut self, operation: &Operation, ended: &Ended) -> Result<(), String> {
        match (operation, ended) {
            (_, Ended::Failed { .. }) | (_, Ended::Undecided { .. }) | (_, Ended::Pending { .. })
                if self.failures == Failures::None =>
            {
                Err("failed, and no fault was made".to_owned())
            }
            (Operation::Append { events, durability }, Ended::Acknowledged { positions }) => {
                self.appended(events, *durability, positions)
            }
            (Operation::Append { events, .. }, Ended::Refused) => self.refused(events),
            (Operation::Readmit { entity }, Ended::Acknowledged { .. }) => {
                self.scopes.insert(entity.clone(), Scope::Live);
                Ok(())
            }
            (Operation::Shred { entity }, Ended::Acknowledged { positions }) => {
                self.system.extend(positions);
                self.end_min = positions.iter().fold(self.end_min, |end, it| end.max(it + 1));
                self.shredded(entity);
                Ok(())
            }
            // One that is known already kept this shred from being begun.
            (Operation::Shred { entity }, Ended::Pending { intent: Some(intent), .. }) => {
                if !self.system.contains(intent) {
                    self.system.push(*intent);
                    self.end_min = self.end_min.max(intent + 1);
                    self.shredded(entity);
                }
                Ok(())
            }
            (_, Ended::Undecided { .. }) => {
                self.begun(operation);
                Ok(())
            }
            (_, Ended::Refused) => Err("refused, and is no append".to_owned()),
            (_, Ended::Acknowledged { .. } | Ended::Failed { .. } | Ended::Pending { .. }) => Ok(()),
        }
    }

    fn appended(&mut self, events: &[Submitted], durability: Durability, positions: &[u64]) -> Result<(), String> {
        if events.len() != positions.len() {
            return Err("not a position for each event".to_owned());
        }
        self.batches += 1;
        for (event, &position) in events.iter().zip(positions) {
            match self.scopes.insert(event.entity.clone(), Scope::Live) {
                Some(Scope::Refuses) => return Err(format!("{} is shredded and took an event", event.entity)),
                Some(Scope::Unknown(Some(shred))) => self.learned(shred, false)?,
                Some(Scope::Live | Scope::Unknown(None)) | None => {}
            }
            let known =
                Known { submitted: event.clone(), position: Some(position), batch: self.batches, fate: Fate::Open };
            self.events.insert(event.id, known);
            if durability == Durability::Synced
                || durability == Durability::Buffered && self.survives == Survives::Buffered
            {
                self.end_min = self.end_min.max(position + 1);
            }
        }
        Ok(())
    }

    fn refused(&mut self, events: &[Submitted]) -> Result<(), String> {
        let scope = |entity: &str| self.scopes.get(entity).copied().unwrap_or(Scope::Live);
        let mut suspects: Vec<&str> =
            events.iter().map(|it| it.entity.as_str()).filter(|it| scope(it) != Scope::Live).collect();
        suspects.dedup();
        match suspects.as_slice() {
            [] => Err("refused, and no key scope of it is shredded".to_owned()),
            [entity] => {
                if let Some(Scope::Unknown(Some(shred))) = self.scopes.insert((*entity).to_owned(), Scope::Refuses) {
                    self.learned(shred, true)?;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn shredded(&mut self, entity: &str) {
        self.of_entity(entity).for_each(|known| known.fate = Fate::Shredded);
        self.scopes.insert(entity.to_owned(), Scope::Refuses);
    }

    /// An operation that may have taken place, or not.
    fn begun(&mut self, operation: &Operation) {
        match operation {
            Operation::Append { events, .. } => {
                let refuses = |event: &Submitted| self.scopes.get(&event.entity) == Some(&Scope::Refuses);
                if events.iter().any(refuses) {
                    return;
                }
                self.batches += 1;
                for event in events {
                    let known =
                        Known { submitted: event.clone(), position: None, batch: self.batches, fate: Fate::Open };
                    self.events.insert(event.id, known);
                }
            }
            Operation::Readmit { entity } => {
                if let Some(scope @ (Scope::Refuses | Scope::Unknown(_))) = self.scopes.get_mut(entity) {
                    *scope = Scope::Unknown(None);
                }
            }
            Operation::Shred { entity } => {
                let shred = self.shreds.len();
                self.shreds.push(None);
                for known in self.of_entity(entity).filter(|it| it.fate == Fate::Open) {
                    known.fate = Fate::Either(shred);
                }
                let scope = self.scopes.entry(entity.clone()).or_insert(Scope::Live);
                *scope = match *scope {
                    Scope::Live => Scope::Unknown(Some(shred)),
                    Scope::Refuses => Scope::Refuses,
                    Scope::Unknown(_) => Scope::Unknown(None),
                };
            }
            Operation::Rekey | Operation::Reopen | Operation::Sync => {}
        }
    }

    /// Whether a shred that was begun took place has come to light.
    ///
    /// # Errors
    ///
    /// When something else came to light before.
    pub(crate) fn learned(&mut self, shred: usize, took_place: bool) -> Result<(), String> {
        if self.shreds[shred].replace(took_place).is_some_and(|before| before != took_place) {
            return Err("a shred took place for a part of its events".to_owned());
        }
        // At once: a later shred of the scope is another one's matter.
        for known in self.events.values_mut().filter(|known| known.fate == Fate::Either(shred)) {
            known.fate = if took_place { Fate::Shredded } else { Fate::Open };
        }
        Ok(())
    }

    fn of_entity<'a>(&'a mut self, entity: &'a str) -> impl Iterator<Item = &'a mut Known> {
        self.events.values_mut().filter(move |known| known.submitted.entity == entity)
    }
}

#[derive(Clone, Copy, Default)]
struct Thread {
    /// The operation that is due.
    next: u32,
    /// Where the acknowledged log ended when the thread's last operation had returned.
    seen_end: u64,
}

#[cfg(test)]
mod tests;
