//! Which events a read returns.
//!
//! Invariant: a query looks at what stands in clear; it opens no payload to decide. An entity, or a scope, kinds or tags that few events
//! have, are found through the index.

use batpak_format::{EventKind, Header, Timestamp};

/// Which events a read returns, and in which order. Every condition that is set must hold.
#[derive(Clone, Debug, Default)]
pub struct Query {
    pub(crate) from: u64,
    pub(crate) to: Option<u64>,
    pub(crate) reverse: bool,
    pub(crate) limit: Option<u64>,
    pub(crate) entity: Option<String>,
    pub(crate) scope: Option<String>,
    pub(crate) kinds: Vec<EventKind>,
    pub(crate) tags: Vec<String>,
    pub(crate) since: Option<Timestamp>,
    pub(crate) until: Option<Timestamp>,
    pub(crate) system: bool,
    pub(crate) headers_only: bool,
}

impl Query {
    /// All events of callers, in position order, with their payloads.
    pub fn all() -> Self {
        Self::default()
    }

    /// Leaves out what stands before a position.
    #[must_use]
    pub const fn from(mut self, position: u64) -> Self {
        self.from = position;
        self
    }

    /// Leaves out what stands at a position and after it.
    #[must_use]
    pub const fn to(mut self, position: u64) -> Self {
        self.to = Some(position);
        self
    }

    /// Returns the last event first.
    #[must_use]
    pub const fn reverse(mut self) -> Self {
        self.reverse = true;
        self
    }

    /// Ends after so many events.
    #[must_use]
    pub const fn limit(mut self, events: u64) -> Self {
        self.limit = Some(events);
        self
    }

    /// Asks for one entity's events; no others are read.
    #[must_use]
    pub fn entity(mut self, entity: impl Into<String>) -> Self {
        self.entity = Some(entity.into());
        self
    }

    /// Asks for the events of one scope.
    #[must_use]
    pub fn scope(mut self, scope: impl Into<String>) -> Self {
        self.scope = Some(scope.into());
        self
    }

    /// Asks for events of this kind; called again, of any of the kinds.
    #[must_use]
    pub fn kind(mut self, kind: EventKind) -> Self {
        self.kinds.push(kind);
        self
    }

    /// Asks for events with this tag; called again, with all of the tags.
    #[must_use]
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.tags.push(tag.into());
        self
    }

    /// Leaves out events of an earlier time. Of the segments before the first one with an event that is asked for none is read.
    #[must_use]
    pub const fn since(mut self, time: Timestamp) -> Self {
        self.since = Some(time);
        self
    }

    /// Leaves out events of this time and later ones. Of the segments behind the last one with an event that is asked for none is read.
    #[must_use]
    pub const fn until(mut self, time: Timestamp) -> Self {
        self.until = Some(time);
        self
    }

    /// Returns the store's own events too.
    #[must_use]
    pub const fn include_system(mut self, include: bool) -> Self {
        self.system = include;
        self
    }

    /// Opens no payload: each comes as [`Payload::Unread`](crate::Payload::Unread), and no key is needed.
    #[must_use]
    pub const fn headers_only(mut self, headers_only: bool) -> Self {
        self.headers_only = headers_only;
        self
    }

    /// Says whether an event is asked for; its position is looked after by whoever walks the log.
    pub(crate) fn matches(&self, header: &Header<'_>) -> bool {
        (self.system || !header.kind().is_reserved())
            && self.entity.as_deref().is_none_or(|entity| header.entity() == entity)
            && self.scope.as_deref().is_none_or(|scope| header.scope() == scope)
            && (self.kinds.is_empty() || self.kinds.contains(&header.kind()))
            && self.tags.iter().all(|tag| header.tags().any(|has| has == tag))
            && self.since.is_none_or(|since| header.time() >= since)
            && self.until.is_none_or(|until| header.time() < until)
    }
}
