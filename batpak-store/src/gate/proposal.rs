//! A proposal, as gates see it, and the permit for a caller that wants the verdict first.
//!
//! Invariants: a permit cannot be made but by an evaluation, holds for the event it was made for and for one append; the commit takes its
//! word only while nothing has been placed since, and else evaluates again.

use std::sync::Arc;

use batpak_format::{Cause, ContentType, Coordinate, EventId, EventKind, Timestamp};

use crate::{AppendError, NewEvent, Receipt, Store};

/// An event that is proposed to the gates: everything that a caller says of it.
#[derive(Clone, Copy, Debug)]
pub struct Proposal<'a> {
    event: &'a NewEvent<'a>,
    id: Option<EventId>,
}

impl<'a> Proposal<'a> {
    /// Proposes an event.
    pub const fn new(event: &'a NewEvent<'a>) -> Self {
        Self { event, id: event.id }
    }

    pub(crate) const fn with_id(event: &'a NewEvent<'a>, id: EventId) -> Self {
        Self { event, id: Some(id) }
    }

    /// Where the event would stand.
    pub const fn coordinate(&self) -> &'a Coordinate {
        &self.event.coordinate
    }

    /// Its kind.
    pub const fn kind(&self) -> EventKind {
        self.event.kind
    }

    /// Its id; none before the store has given it one.
    pub const fn id(&self) -> Option<EventId> {
        self.id
    }

    /// Its payload in clear.
    pub const fn payload(&self) -> &'a [u8] {
        self.event.payload
    }

    /// The version of the payload's layout.
    pub const fn payload_version(&self) -> u16 {
        self.event.payload_version
    }

    /// What the payload is.
    pub const fn content_type(&self) -> ContentType {
        self.event.content_type
    }

    /// Its tags, as they were given.
    pub fn tags(&self) -> &'a [String] {
        &self.event.tags
    }

    /// Its causes, as they were given.
    pub fn causes(&self) -> &'a [Cause] {
        &self.event.causes
    }

    /// Its correlation.
    pub const fn correlation(&self) -> Option<EventId> {
        self.event.correlation
    }

    /// Its own time; none when it gets the time of its commit.
    pub const fn time(&self) -> Option<Timestamp> {
        self.event.time
    }

    /// Asks the store's gates and the event's own, in order, as of now; the first denial stops. Expected revision and condition are
    /// looked at as well. Nothing is appended.
    ///
    /// # Errors
    /// [`AppendError::Denied`] with the one denial, and what else would refuse the append by the state of the log. Denials of an
    /// evaluation are not put on record.
    pub fn evaluate(&self, store: &'a Store) -> Result<Permit<'a>, AppendError> {
        store.permit(self.event, self.id, false)
    }

    /// As [`Proposal::evaluate`], but asks every gate and collects all denials.
    ///
    /// # Errors
    /// As [`Proposal::evaluate`].
    pub fn evaluate_all(&self, store: &'a Store) -> Result<Permit<'a>, AppendError> {
        store.permit(self.event, self.id, true)
    }
}

/// A state of the log, to be compared with a later one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    pub(crate) next_position: u64,
    /// How often placed events were taken back.
    pub(crate) era: u64,
}

/// The gates' yes to one append of one event.
///
/// It cannot be copied, and using it takes it: one permit, one append.
///
/// ```compile_fail,E0382
/// # use batpak_store::Permit;
/// fn twice(permit: Permit<'_>) {
///     permit.append().ok();
///     permit.append().ok();
/// }
/// ```
#[must_use = "a permit does nothing until it is used"]
#[derive(Debug)]
pub struct Permit<'a> {
    pub(crate) store: &'a Store,
    pub(crate) event: &'a NewEvent<'a>,
    pub(crate) id: EventId,
    pub(crate) moment: Moment,
    pub(crate) gates: Arc<[Arc<str>]>,
}

impl Permit<'_> {
    /// The gates that permitted, in order.
    pub fn gates(&self) -> impl Iterator<Item = &str> {
        self.gates.iter().map(|name| &**name)
    }

    /// The id that the event will have.
    pub const fn id(&self) -> EventId {
        self.id
    }

    /// Appends the event. The gates are asked again if anything was placed in the log since the permit was given.
    ///
    /// # Errors
    /// As [`Store::append`].
    pub fn append(self) -> Result<Receipt, AppendError> {
        self.store.append_permitted(self)
    }
}
