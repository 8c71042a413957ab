//! Faults at the N-th call of the disk: once, twice and for good. A publication that fails is followed by one ahead of need, which
//! would mend what a wrong fence let through: only two failures in a row show it.
//!
//! Invariant: a fault is one that a call of this kind can have: no space only where space is taken, an interruption only where the
//! call says so.

use std::io::{self, ErrorKind};

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Half of the bytes are read or written.
    Short,
    /// The call is interrupted before it did anything.
    Interrupted,
    /// The disk is full.
    Full,
    /// The disk fails.
    Broken,
}

impl Kind {
    pub(crate) const ALL: [Self; 4] = [Self::Short, Self::Interrupted, Self::Full, Self::Broken];
}

/// How long faults last, in calls.
pub(crate) const LASTS: [u64; 3] = [1, 2, u64::MAX];

/// A fault and when it strikes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault {
    pub(crate) kind: Kind,
    /// The call it strikes first, from 1.
    pub(crate) call: u64,
    /// How many calls it strikes, from that one on.
    pub(crate) lasts: u64,
}

/// What a call does, as far as a fault asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Does {
    /// Reads bytes.
    Read,
    /// Writes bytes; whether they need space.
    Write { takes_space: bool },
    /// Makes a name, which needs space.
    Create,
    /// Makes something durable.
    Sync,
    /// Anything else.
    Other,
}

/// What becomes of a call.
#[derive(Debug)]
pub(crate) enum Verdict {
    Goes,
    Halved,
    Fails(io::Error),
}

impl Fault {
    pub(crate) fn verdict(&self, call: u64, does: Does) -> Verdict {
        if call < self.call || call - self.call >= self.lasts {
            return Verdict::Goes;
        }
        let moves = matches!(does, Does::Read | Does::Write { .. });
        // A caller may go on for ever with half of a byte; an interruption for good is a hang.
        match self.kind {
            Kind::Short if moves => Verdict::Halved,
            Kind::Interrupted if moves && (call == self.call || call.is_multiple_of(2)) => {
                Verdict::Fails(ErrorKind::Interrupted.into())
            }
            Kind::Full if matches!(does, Does::Write { takes_space: true } | Does::Create) => {
                Verdict::Fails(ErrorKind::StorageFull.into())
            }
            Kind::Broken => Verdict::Fails(io::Error::other("the simulated disk failed")),
            _ => Verdict::Goes,
        }
    }
}
