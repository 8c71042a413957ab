//! The causal graph of the log, from the index: what an event caused, what belongs together, and the edges for `batpak-graph`.
//!
//! Invariant: no key is needed. Events are shown outside the index lock, so a visitor never holds up a writer.

use std::ops::ControlFlow;

use batpak_format::{Causes, EdgeSource, EventEdges, EventId};

use crate::{ReadError, Store, index::Edges};

impl Store {
    /// Returns the positions of the events that name an event as a cause, in order. The cause itself may lie outside the store.
    ///
    /// # Errors
    /// [`ReadError`] when a read-only store cannot look at how the log grew.
    pub fn caused_by(&self, id: EventId) -> Result<Vec<u64>, ReadError> {
        self.refresh()?;
        self.view().caused_by(&id)
    }

    /// Returns the positions of the events of a correlation, in order.
    ///
    /// # Errors
    /// As [`Store::caused_by`].
    pub fn correlated(&self, id: EventId) -> Result<Vec<u64>, ReadError> {
        self.refresh()?;
        self.view().correlated(&id)
    }
}

/// Shows the events of callers that are visible when the visit begins. A read-only store takes in what was written since with
/// [`Store::follow`], [`Store::read`] or any other read.
impl EdgeSource for Store {
    type Error = ReadError;

    fn edges(&self, from: u64, visit: &mut dyn FnMut(EventEdges<'_>) -> ControlFlow<()>) -> Result<u64, ReadError> {
        let visible = self.view().visible();
        for position in from..visible {
            let Some(edges) = self.view().edges(position)?.filter(|edges| !edges.kind.is_reserved()) else { continue };
            if show(edges, visit).is_break() {
                return Ok(position + 1);
            }
        }
        Ok(visible.max(from))
    }
}

fn show(edges: Edges, visit: &mut dyn FnMut(EventEdges<'_>) -> ControlFlow<()>) -> ControlFlow<()> {
    let causes = Causes::new(edges.causes).unwrap_or_default();
    visit(EventEdges {
        position: edges.position,
        id: edges.id,
        kind: edges.kind,
        entity: &edges.entity,
        scope: &edges.scope,
        correlation: edges.correlation,
        causes: &causes,
    })
}
