//! What does not hold.

use std::fmt;

/// An invariant of the design that was found broken, and how.
#[derive(Clone, Debug)]
pub(crate) struct Violation {
    /// Its number.
    pub(crate) invariant: &'static str,
    pub(crate) what: String,
}

impl Violation {
    pub(crate) fn new(invariant: &'static str, what: impl Into<String>) -> Self {
        Self { invariant, what: what.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.invariant, self.what)
    }
}

/// An error with its sources.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut shown = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let text = inner.to_string();
        if !shown.ends_with(&text) {
            shown += ": ";
            shown += &text;
        }
        source = inner.source();
    }
    shown
}
