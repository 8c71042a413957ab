//! Gates in the order in which they are asked, with what is counted of each.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::{Duration, Instant},
};

use super::{Denial, Denied, GATE_DEFECT, Gate, GateView, Proposal, inside};
use crate::sync::{AtomicU64, Ordering};

/// An evaluation that holds the commit lock for longer counts as slow.
const SLOW: Duration = Duration::from_micros(100);

/// Gates, asked in the order in which they were added. Clones share gates and counts.
///
/// ```
/// use batpak_store::{Denial, GateSet};
///
/// let gates = GateSet::new().closure("no-empty-payload", |proposal, _view| match proposal.payload() {
///     [] => Err(Denial::new("EMPTY", "a payload has at least one byte")),
///     _ => Ok(()),
/// });
/// assert_eq!(gates.names().collect::<Vec<_>>(), ["no-empty-payload"]);
/// ```
#[derive(Clone, Debug, Default)]
pub struct GateSet(Vec<Arc<Entry>>);

/// What was counted of a gate since its set was made.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GateStats {
    /// The gate's name.
    pub name: String,
    /// How often it was asked.
    pub evaluated: u64,
    /// How often it denied, panics included.
    pub denied: u64,
    /// How often it panicked.
    pub panicked: u64,
    /// Payloads that it opened.
    pub opened: u64,
    /// How often it held the commit lock for more than 100 microseconds.
    pub slow: u64,
    /// The longest evaluation.
    pub longest: Duration,
}

/// A gate with its counts.
pub(crate) struct Entry {
    name: Arc<str>,
    gate: Box<dyn Gate>,
    evaluated: AtomicU64,
    denied: AtomicU64,
    panicked: AtomicU64,
    opened: AtomicU64,
    slow: AtomicU64,
    longest_ns: AtomicU64,
}

impl GateSet {
    /// No gates: everything is permitted.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a gate behind the others.
    #[must_use]
    pub fn with(mut self, gate: impl Gate + 'static) -> Self {
        self.0.push(Arc::new(Entry::new(Box::new(gate))));
        self
    }

    /// Adds a gate that is a closure.
    #[must_use]
    pub fn closure<F>(self, name: impl Into<String>, evaluate: F) -> Self
    where
        F: Fn(&Proposal<'_>, &GateView<'_>) -> Result<(), Denial> + Send + Sync + 'static,
    {
        self.with(Closure { name: name.into(), evaluate })
    }

    /// Returns the gates' names in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|entry| &*entry.name)
    }

    /// Returns what was counted of each gate, in order.
    pub fn stats(&self) -> Vec<GateStats> {
        self.0.iter().map(|entry| entry.stats()).collect()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.0.iter().map(|entry| &**entry)
    }
}

struct Closure<F> {
    name: String,
    evaluate: F,
}

impl<F> Gate for Closure<F>
where
    F: Fn(&Proposal<'_>, &GateView<'_>) -> Result<(), Denial> + Send + Sync,
{
    fn name(&self) -> &str {
        &self.name
    }

    fn evaluate(&self, proposal: &Proposal<'_>, view: &GateView<'_>) -> Result<(), Denial> {
        (self.evaluate)(proposal, view)
    }
}

impl Entry {
    fn new(gate: Box<dyn Gate>) -> Self {
        let zero = || AtomicU64::new(0);
        Self {
            name: gate.name().into(),
            gate,
            evaluated: zero(),
            denied: zero(),
            panicked: zero(),
            opened: zero(),
            slow: zero(),
            longest_ns: zero(),
        }
    }

    pub(crate) fn name(&self) -> Arc<str> {
        Arc::clone(&self.name)
    }

    /// Asks the gate. A panic is caught: nothing of the store is borrowed mutably by a gate, so nothing is left half changed.
    pub(crate) fn evaluate(&self, proposal: &Proposal<'_>, view: &GateView<'_>, event: usize) -> Result<(), Denied> {
        let began = Instant::now();
        let opened = view.opened();
        let verdict = {
            let _inside = inside();
            catch_unwind(AssertUnwindSafe(|| self.gate.evaluate(proposal, view)))
        };
        let verdict = verdict.unwrap_or_else(|_| {
            self.panicked.fetch_add(1, Ordering::Relaxed);
            Err(Denial::new(GATE_DEFECT, "the gate panicked, which counts as a denial"))
        });
        self.count(began.elapsed(), view.opened() - opened, verdict.is_err());
        verdict.map_err(|denial| Denied { gate: self.name.to_string(), event, denial })
    }

    fn count(&self, took: Duration, opened: u64, denied: bool) {
        self.evaluated.fetch_add(1, Ordering::Relaxed);
        self.denied.fetch_add(u64::from(denied), Ordering::Relaxed);
        self.opened.fetch_add(opened, Ordering::Relaxed);
        self.slow.fetch_add(u64::from(took > SLOW), Ordering::Relaxed);
        self.longest_ns.fetch_max(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    fn stats(&self) -> GateStats {
        let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
        GateStats {
            name: self.name.to_string(),
            evaluated: load(&self.evaluated),
            denied: load(&self.denied),
            panicked: load(&self.panicked),
            opened: load(&self.opened),
            slow: load(&self.slow),
            longest: Duration::from_nanos(load(&self.longest_ns)),
        }
    }
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Gate").field(&self.name).finish()
    }
}
