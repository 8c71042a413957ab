//! What a unit must meet at its commit beside what every unit must: expected revisions, append conditions, gates.
//!
//! Invariant: decided under the commit lock, against the log as it stands with everything that is placed; earlier events of a batch count
//! for revisions and for gates. A unit without rules does not come here.

use std::sync::Arc;

use batpak_format::EventId;

use crate::{
    AppendError, Denied, GateSet, NewEvent, QueryItem, Store,
    gate::{Entry, GateView, Moment, Placed, Proposal},
    index::LogIndex,
    state::State,
};

/// The rules of one unit.
#[derive(Debug)]
pub(crate) struct Rules<'a> {
    pub(crate) store: &'a Store,
    /// The callers' events of the unit.
    pub(crate) events: &'a [NewEvent<'a>],
    pub(crate) gates: Asked,
}

/// Which gates are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// All, to the first denial.
    UntilDenied,
    /// All, whatever they say.
    All,
    /// None if the log is as it was then: they have permitted.
    Unless(Moment),
    /// None: the append goes past them, on record.
    None,
}

/// Names of the gates that permitted; none where none was asked.
pub(crate) type Permitted = Option<Arc<[Arc<str>]>>;

impl<'a> Rules<'a> {
    /// The rules of these events; none when there is nothing to be decided.
    pub(crate) fn of(store: &'a Store, events: &'a [NewEvent<'a>], gates: Asked) -> Option<Self> {
        let gated = gates != Asked::None && !store.config.gates.is_empty();
        let ruled = |event: &NewEvent<'_>| {
            event.expect.is_some() || event.condition.is_some() || (gates != Asked::None && event.gates.is_some())
        };
        (gated || events.iter().any(ruled)).then_some(Self { store, events, gates })
    }

    /// Decides; `ids` are those of the events, in order.
    pub(crate) fn decide(&self, ids: &[EventId], state: &State, index: &LogIndex) -> Result<Permitted, AppendError> {
        let mut placed: Vec<Placed<'_>> = Vec::with_capacity(self.events.len());
        for (at, (event, id)) in self.events.iter().zip(ids).enumerate() {
            let entity = event.coordinate.entity();
            let earlier = placed.iter().rev().find(|earlier| earlier.event.coordinate.entity() == entity);
            let actual = match earlier {
                Some(earlier) => Some(earlier.revision),
                None => index.head(entity)?.map(|head| head.revision),
            };
            self.expected(at, event, actual)?;
            unmatched(event, index)?;
            placed.push(Placed { id: *id, event, revision: actual.map_or(0, |revision| revision + 1) });
        }
        self.permitted(&placed, state, index)
    }

    fn expected(&self, at: usize, event: &NewEvent<'_>, actual: Option<u64>) -> Result<(), AppendError> {
        match event.expect {
            Some(expected) if !expected.holds(actual) => {
                Err(AppendError::UnexpectedRevision { event: at, expected, actual })
            }
            _ => Ok(()),
        }
    }

    fn permitted(&self, placed: &[Placed<'_>], state: &State, index: &LogIndex) -> Result<Permitted, AppendError> {
        if self.gates == Asked::None || self.gates == Asked::Unless(state.moment()) {
            return Ok(None);
        }
        let now = self.store.config.clock.now();
        let mut names: Vec<Arc<str>> = Vec::new();
        let mut denied: Vec<Denied> = Vec::new();
        for (at, candidate) in placed.iter().enumerate() {
            let view = GateView::new(self.store, index, state, placed.get(..at).unwrap_or_default(), now);
            let proposal = Proposal::with_id(candidate.event, candidate.id);
            for gate in self.of_event(candidate.event) {
                let decision = gate.evaluate(&proposal, &view, at);
                if let Some(why) = view.failure() {
                    return Err(why.into());
                }
                match decision {
                    Ok(()) => names.push(gate.name()),
                    Err(denial) => {
                        denied.push(denial);
                        if self.gates != Asked::All {
                            return Err(AppendError::Denied { denied, recorded: None });
                        }
                    }
                }
            }
        }
        match (denied.is_empty(), names.is_empty()) {
            (true, true) => Ok(None),
            (true, false) => Ok(Some(unique(names))),
            (false, _) => Err(AppendError::Denied { denied, recorded: None }),
        }
    }

    fn of_event(&self, event: &'a NewEvent<'a>) -> impl Iterator<Item = &'a Entry> {
        self.store.config.gates.entries().chain(event.gates.into_iter().flat_map(GateSet::entries))
    }
}

/// The gates of a batch are asked for each event, and named once.
fn unique(mut names: Vec<Arc<str>>) -> Arc<[Arc<str>]> {
    let mut seen = std::collections::HashSet::new();
    names.retain(|name| seen.insert(Arc::clone(name)));
    names.into()
}

fn unmatched(event: &NewEvent<'_>, index: &LogIndex) -> Result<(), AppendError> {
    let Some(condition) = &event.condition else { return Ok(()) };
    let mut newest = None;
    for item in &condition.items {
        newest = newest.max(index.newest_match(item, condition.after)?);
    }
    newest.map_or(Ok(()), |position| Err(AppendError::ConditionFailed { position }))
}

impl QueryItem {
    /// Whether a new event matches.
    pub(crate) fn takes(&self, event: &NewEvent<'_>) -> bool {
        let any_of = |wanted: &[String], has: &str| wanted.is_empty() || wanted.iter().any(|name| name == has);
        any_of(&self.entities, event.coordinate.entity())
            && any_of(&self.scopes, event.coordinate.scope())
            && (self.kinds.is_empty() || self.kinds.contains(&event.kind))
            && self.tags.iter().all(|tag| event.tags.contains(tag))
    }
}
