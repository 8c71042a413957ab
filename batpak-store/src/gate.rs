//! Gates: the caller's rules, decided at the commit against the state that the event would join.
//!
//! Invariants: a gate runs under the commit lock, so nothing is placed between its verdict and its event. It fails closed: a gate that
//! panics denies with [`GATE_DEFECT`]. It cannot append, wait on the store or see keys; calling back into a store is an error, never a
//! deadlock.
//!
//! The commit lock is the only serial part of the store: while a gate thinks, nobody appends. A gate looks things up and decides; what
//! takes long is done before the append, and made safe by [`Expect`](crate::Expect) or an
//! [`AppendCondition`](crate::AppendCondition). Slow ones are told by [`Stats::gates`](crate::Stats).

mod builtin;
mod inside;
mod proposal;
mod set;
mod view;

use std::borrow::Cow;

pub use builtin::{KindsByScope, MonotoneTime, PayloadSize, RatePerEntity, RequireCauses};
pub use proposal::{Permit, Proposal};
pub use set::{GateSet, GateStats};
pub use view::GateView;

pub(crate) use inside::{inside, is_inside};
pub(crate) use proposal::Moment;
pub(crate) use set::Entry;
pub(crate) use view::Placed;

/// The code of a denial whose gate panicked.
pub const GATE_DEFECT: &str = "GATE_DEFECT";

/// A rule that an append must pass.
///
/// A closure is made a gate by [`GateSet::closure`].
pub trait Gate: Send + Sync {
    /// The gate's name: in receipts, denials and the log. At most 255 bytes of it are recorded.
    fn name(&self) -> &str;

    /// Permits the event or denies it.
    ///
    /// # Errors
    /// The [`Denial`].
    fn evaluate(&self, proposal: &Proposal<'_>, view: &GateView<'_>) -> Result<(), Denial>;
}

/// Why a gate refuses an event.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Denial {
    /// The gate's code for the reason, which callers act on. It is put on record where denials are; at most 255 bytes of it.
    pub code: Cow<'static, str>,
    /// For people. It goes to the caller only and never into the log.
    pub message: String,
}

impl Denial {
    /// Makes a denial.
    pub fn new(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into() }
    }
}

/// A denial with the gate that gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Denied {
    /// The gate's name.
    pub gate: String,
    /// Which event of a batch was denied, from 0.
    pub event: usize,
    /// Why.
    pub denial: Denial,
}

/// Gate and code: the message is the gate's own and may speak of a payload.
impl std::fmt::Display for Denied {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.gate, self.denial.code)
    }
}
