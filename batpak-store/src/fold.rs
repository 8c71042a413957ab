//! State from events: a stream, folded from its first event to its last.
//!
//! Invariant: every event of the stream reaches the fold, shredded and lost ones as such; an error ends it.

use crate::{Event, ReadError, Store};

impl Store {
    /// Folds an entity's events, in order, into a state.
    ///
    /// # Errors
    /// [`ReadError`], and what `f` answers.
    pub fn fold<S, E: From<ReadError>>(
        &self,
        entity: &str,
        state: S,
        mut f: impl FnMut(S, Event) -> Result<S, E>,
    ) -> Result<S, E> {
        self.stream(entity, 0)?.try_fold(state, |state, event| f(state, event?))
    }
}
