//! The revision that a caller expects of a stream when it appends to it.
//!
//! Invariant: it is compared under the commit lock with the revision that the stream has there, earlier events of the same batch
//! counted; so of callers that expect the same, one wins.

/// What must hold of the event's entity at the commit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Expect {
    /// Anything.
    #[default]
    Any,
    /// The entity has no event.
    NoStream,
    /// The entity has an event.
    Exists,
    /// The entity's last event has this revision, counted from 0.
    Exactly(u64),
}

impl Expect {
    /// Whether a stream whose last event has this revision is as expected.
    pub(crate) fn holds(self, actual: Option<u64>) -> bool {
        match self {
            Self::Any => true,
            Self::NoStream => actual.is_none(),
            Self::Exists => actual.is_some(),
            Self::Exactly(revision) => actual == Some(revision),
        }
    }
}

impl std::fmt::Display for Expect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Any => f.write_str("any revision"),
            Self::NoStream => f.write_str("no event"),
            Self::Exists => f.write_str("at least one event"),
            Self::Exactly(revision) => write!(f, "revision {revision}"),
        }
    }
}
