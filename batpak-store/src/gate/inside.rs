//! Whether this thread is inside a gate.
//!
//! Invariant: set around every evaluation and taken back on every way out, so that a call back into a store is told from any other.

use std::cell::Cell;

use crate::sync::thread_local;

thread_local! {
    #[expect(clippy::missing_const_for_thread_local, reason = "the shim's has no form for constants")]
    static INSIDE: Cell<bool> = Cell::new(false);
}

/// Tells whether a gate runs on this thread.
pub(crate) fn is_inside() -> bool {
    INSIDE.with(Cell::get)
}

/// Marks this thread until the mark is dropped.
pub(crate) fn inside() -> Inside {
    INSIDE.with(|inside| inside.set(true));
    Inside
}

/// See [`inside`].
#[derive(Debug)]
pub(crate) struct Inside;

impl Drop for Inside {
    fn drop(&mut self) {
        INSIDE.with(|inside| inside.set(false));
    }
}
