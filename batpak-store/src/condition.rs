//! Append conditions: an append goes through only while nothing has been added that its decision would have had to know.
//!
//! Invariant: a condition is decided under the commit lock, from the index alone, against everything that stands in the log or is placed
//! before the event; the other events of its own batch do not count. It costs about a microsecond where one dimension is named; where
//! several are, a step for each event of one of them behind the position that the caller has seen, under the commit lock: so callers say
//! what they have seen. The idea is that of the dynamic consistency boundary (dcb.events):
//! what must be consistent is named by a query, not by a stream.

use batpak_format::EventKind;

/// Events that a condition or a gate asks for: those that fit every dimension that is named.
///
/// Named several times, entities, scopes and kinds are alternatives; of tags an event must have all. The store's own events count
/// only where their kind is named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueryItem {
    pub(crate) entities: Vec<String>,
    pub(crate) scopes: Vec<String>,
    pub(crate) kinds: Vec<EventKind>,
    pub(crate) tags: Vec<String>,
}

impl QueryItem {
    /// Every event of callers.
    pub fn any() -> Self {
        Self::default()
    }

    /// Of this entity; called again, of any of the entities.
    #[must_use]
    pub fn entity(mut self, entity: impl Into<String>) -> Self {
        self.entities.push(entity.into());
        self
    }

    /// Of this scope; called again, of any of the scopes.
    #[must_use]
    pub fn scope(mut self, scope: impl Into<String>) -> Self {
        self.scopes.push(scope.into());
        self
    }

    /// Of this kind; called again, of any of the kinds.
    #[must_use]
    pub fn kind(mut self, kind: EventKind) -> Self {
        self.kinds.push(kind);
        self
    }

    /// With this tag; called again, with all of the tags.
    #[must_use]
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.tags.push(tag.into());
        self
    }
}

/// What must not stand in the log after a position that the caller has seen.
///
/// ```
/// use batpak_store::{AppendCondition, EventKind, QueryItem};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let registered = EventKind::new(1, 1)?;
/// let free = AppendCondition::fail_if(QueryItem::any().kind(registered).tag("user:ada"));
/// let unchanged = free.clone().after(41);
/// assert_ne!(free, unchanged);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppendCondition {
    pub(crate) items: Vec<QueryItem>,
    pub(crate) after: Option<u64>,
}

impl AppendCondition {
    /// The append is refused if an event of the log matches.
    pub fn fail_if(item: QueryItem) -> Self {
        Self { items: vec![item], after: None }
    }

    /// The append is refused as well if an event matches this.
    #[must_use]
    pub fn or(mut self, item: QueryItem) -> Self {
        self.items.push(item);
        self
    }

    /// Looks only at events after a position: the last one that the caller has taken into account.
    #[must_use]
    pub const fn after(mut self, position: u64) -> Self {
        self.after = Some(position);
        self
    }
}
