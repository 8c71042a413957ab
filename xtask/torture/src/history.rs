//! What threads did to one store at the same time: calls with the moments between which each took place, and their answers.

/// One call on one key scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    /// Which key scope.
    pub(crate) scope: usize,
    /// Nanoseconds from the beginning of the run to the moment before the call.
    pub(crate) invoked: u64,
    /// The same, to the moment after it returned.
    pub(crate) returned: u64,
    pub(crate) what: What,
}

/// What was called, and the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// The event was appended at this position.
    Appended { event: u64, position: u64 },
    /// This was read under the event's id.
    Got { event: u64, seen: Seen },
    /// The scope's last event was at this position; none was there.
    Latest { position: Option<u64> },
    /// The scope was readmitted, by the record at this position.
    Readmitted { position: u64 },
    /// An append was refused, because the scope is shredded.
    Refused,
    /// The scope was shredded, by the intent at this position.
    Shredded { position: u64 },
}

/// What a read of one event saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// No such event.
    Absent,
    /// The event, with the payload that was submitted.
    Open,
    /// The event, and that its key was destroyed.
    Shredded,
    /// Anything else: another payload, a lost key.
    Wrong,
}

impl What {
    /// The position of the record or event that the call wrote; none for one that wrote nothing.
    pub(crate) const fn position(&self) -> Option<u64> {
        match *self {
            What::Appended { position, .. } | What::Readmitted { position } | What::Shredded { position } => {
                Some(position)
            }
            What::Got { .. } | What::Latest { .. } | What::Refused => None,
        }
    }
}
