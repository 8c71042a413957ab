//! State from events: a stream, folded from its first event to its last.
//!
//! Invariant: every event of the stream reaches the fold, shredded and lost ones as such; an error ends it.

use std::ops::ControlFlow;

use crate::{EventView, Query, ReadError, Store};

impl Store {
    /// Folds an entity's events, in order, into a state. They are lent, as [`Store::replay`] does.
    ///
    /// # Errors
    /// [`ReadError`], and what `f` answers.
    pub fn fold<S, E: From<ReadError>>(
        &self,
        entity: &str,
        state: S,
        mut f: impl FnMut(S, EventView<'_>) -> Result<S, E>,
    ) -> Result<S, E> {
        let mut state = Some(state);
        let folded = self.replay(&Query::all().entity(entity).include_system(true), |event| {
            let Some(before) = state.take() else { return ControlFlow::Continue(()) };
            match f(before, event) {
                Ok(next) => {
                    state = Some(next);
                    ControlFlow::Continue(())
                }
                Err(error) => ControlFlow::Break(error),
            }
        })?;
        match (folded, state) {
            (ControlFlow::Break(error), _) => Err(error),
            (ControlFlow::Continue(_), Some(state)) => Ok(state),
            (ControlFlow::Continue(_), None) => unreachable!("only a fold that broke has taken its state away"),
        }
    }
}
