//! Gates that many callers need.
//!
//! Invariant: each looks at what it names and at nothing else, and its codes are fixed.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use batpak_format::EventKind;

use super::{Denial, Gate, GateView, Proposal};

/// Denies payloads above a size, by kind. Code `PAYLOAD_TOO_LARGE`.
#[derive(Clone, Debug, Default)]
pub struct PayloadSize {
    bytes_max: Option<usize>,
    by_kind: HashMap<EventKind, usize>,
}

impl PayloadSize {
    /// Permits every size.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the most bytes of a payload of kinds that have no bound of their own.
    #[must_use]
    pub const fn bytes_max(mut self, bytes: usize) -> Self {
        self.bytes_max = Some(bytes);
        self
    }

    /// Sets the most bytes of a payload of a kind.
    #[must_use]
    pub fn kind(mut self, kind: EventKind, bytes_max: usize) -> Self {
        self.by_kind.insert(kind, bytes_max);
        self
    }
}

impl Gate for PayloadSize {
    fn name(&self) -> &str {
        "payload-size"
    }

    fn evaluate(&self, proposal: &Proposal<'_>, _view: &GateView<'_>) -> Result<(), Denial> {
        let bytes = proposal.payload().len();
        match self.by_kind.get(&proposal.kind()).copied().or(self.bytes_max) {
            Some(bytes_max) if bytes > bytes_max => Err(Denial::new(
                "PAYLOAD_TOO_LARGE",
                format!("the payload has {bytes} bytes, kind {} takes at most {bytes_max}", proposal.kind()),
            )),
            _ => Ok(()),
        }
    }
}

/// Denies kinds that a scope does not take; a scope that is not named takes all. Code `KIND_NOT_ALLOWED`.
#[derive(Clone, Debug, Default)]
pub struct KindsByScope {
    allowed: HashMap<String, HashSet<EventKind>>,
}

impl KindsByScope {
    /// Permits every kind everywhere.
    pub fn new() -> Self {
        Self::default()
    }

    /// Permits these kinds, and no others, in a scope; called again, these too.
    #[must_use]
    pub fn allow(mut self, scope: impl Into<String>, kinds: impl IntoIterator<Item = EventKind>) -> Self {
        self.allowed.entry(scope.into()).or_default().extend(kinds);
        self
    }
}

impl Gate for KindsByScope {
    fn name(&self) -> &str {
        "kinds-by-scope"
    }

    fn evaluate(&self, proposal: &Proposal<'_>, _view: &GateView<'_>) -> Result<(), Denial> {
        let (scope, kind) = (proposal.coordinate().scope(), proposal.kind());
        match self.allowed.get(scope) {
            Some(allowed) if !allowed.contains(&kind) => {
                Err(Denial::new("KIND_NOT_ALLOWED", format!("scope {scope} takes no events of kind {kind}")))
            }
            _ => Ok(()),
        }
    }
}

/// Denies an event whose entity has had so many events within a span of time. Code `RATE_EXCEEDED`.
///
/// One event is looked at: the one that stands as many revisions back as are allowed. It counts by its own time, against the store's
/// clock.
#[derive(Clone, Copy, Debug)]
pub struct RatePerEntity {
    events_max: u64,
    span: Duration,
}

impl RatePerEntity {
    /// Permits so many events of an entity within any span of this length.
    pub const fn new(events_max: u64, span: Duration) -> Self {
        Self { events_max, span }
    }
}

impl Gate for RatePerEntity {
    fn name(&self) -> &str {
        "rate-per-entity"
    }

    fn evaluate(&self, proposal: &Proposal<'_>, view: &GateView<'_>) -> Result<(), Denial> {
        let entity = proposal.coordinate().entity();
        let exceeded = || {
            let text = format!("{entity} has had {} events within {:?}", self.events_max, self.span);
            Denial::new("RATE_EXCEEDED", text)
        };
        if self.events_max == 0 {
            return Err(exceeded());
        }
        let next = view.revision(entity).map_or(0, |revision| revision + 1);
        let Some(id) = next.checked_sub(self.events_max).and_then(|back| view.at_revision(entity, back)) else {
            return Ok(());
        };
        let since = view.now().as_micros().saturating_sub(i64::try_from(self.span.as_micros()).unwrap_or(i64::MAX));
        match view.time(id) {
            Ok(Some(time)) if time.as_micros() <= since => Ok(()),
            Ok(Some(_)) => Err(exceeded()),
            Ok(None) | Err(_) => Err(unreadable()),
        }
    }
}

/// Denies events without a cause, of all kinds or of those named. Code `CAUSE_REQUIRED`.
#[derive(Clone, Debug, Default)]
pub struct RequireCauses {
    kinds: HashSet<EventKind>,
}

impl RequireCauses {
    /// Requires a cause of every event.
    pub fn new() -> Self {
        Self::default()
    }

    /// Requires one of events of this kind; called again, of this one too.
    #[must_use]
    pub fn kind(mut self, kind: EventKind) -> Self {
        self.kinds.insert(kind);
        self
    }
}

impl Gate for RequireCauses {
    fn name(&self) -> &str {
        "require-causes"
    }

    fn evaluate(&self, proposal: &Proposal<'_>, _view: &GateView<'_>) -> Result<(), Denial> {
        let asked = self.kinds.is_empty() || self.kinds.contains(&proposal.kind());
        if asked && proposal.causes().is_empty() {
            let text = format!("an event of kind {} names at least one cause", proposal.kind());
            return Err(Denial::new("CAUSE_REQUIRED", text));
        }
        Ok(())
    }
}

/// Denies an event whose time lies before that of its entity's last event. Code `TIME_RUNS_BACK`.
#[derive(Clone, Copy, Debug, Default)]
pub struct MonotoneTime;

impl Gate for MonotoneTime {
    fn name(&self) -> &str {
        "monotone-time"
    }

    fn evaluate(&self, proposal: &Proposal<'_>, view: &GateView<'_>) -> Result<(), Denial> {
        let Some(last) = view.head(proposal.coordinate().entity()) else { return Ok(()) };
        let time = proposal.time().unwrap_or_else(|| view.now());
        match view.time(last) {
            Ok(Some(before)) if time < before => {
                Err(Denial::new("TIME_RUNS_BACK", "the entity's last event has a later time"))
            }
            Ok(Some(_)) => Ok(()),
            Ok(None) | Err(_) => Err(unreadable()),
        }
    }
}

/// What cannot be looked at is not permitted.
fn unreadable() -> Denial {
    Denial::new("UNREADABLE", "an event that the gate must look at cannot be read")
}
