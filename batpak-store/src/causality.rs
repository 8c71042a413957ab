//! The causal graph of the log, from the index: what an event caused, what belongs together, and the edges for `batpak-graph`.
//!
//! Invariant: no frame is read and no key is needed. A range of events is copied under the index lock and shown outside it, so a
//! visitor never holds up a writer.

use std::{convert::Infallible, ops::ControlFlow};

use batpak_format::{Causes, EdgeSource, EventEdges, EventId};

use crate::{
    ReadError, Store,
    index::{Edges, Index},
    sync::read,
};

/// So many events are copied at a time.
const COPIED: u64 = 256;

impl Store {
    /// Returns the positions of the events that name an event as a cause, in order. The cause itself may lie outside the store.
    ///
    /// # Errors
    /// [`ReadError`] when a read-only store cannot look at how the log grew.
    pub fn caused_by(&self, id: EventId) -> Result<Vec<u64>, ReadError> {
        self.refresh()?;
        let positions = read(&self.view.index).caused_by(&id);
        Ok(self.visible_of(positions))
    }

    /// Returns the positions of the events of a correlation, in order.
    ///
    /// # Errors
    /// As [`Store::caused_by`].
    pub fn correlated(&self, id: EventId) -> Result<Vec<u64>, ReadError> {
        self.refresh()?;
        let positions = read(&self.view.index).correlated(&id);
        Ok(self.visible_of(positions))
    }

    fn visible_of(&self, mut positions: Vec<u64>) -> Vec<u64> {
        let visible = self.view().visible();
        positions.retain(|position| *position < visible);
        positions
    }
}

/// Shows the events of callers that are visible when the visit begins. A read-only store takes in what was written since with
/// [`Store::follow`], [`Store::read`] or any other read.
impl EdgeSource for Store {
    type Error = Infallible;

    fn edges(&self, from: u64, visit: &mut dyn FnMut(EventEdges<'_>) -> ControlFlow<()>) -> Result<u64, Infallible> {
        let visible = self.view().visible();
        let mut next = from;
        while next < visible {
            let end = visible.min(next + COPIED);
            let index = read(&self.view.index);
            let copied: Vec<Edges> = (next..end).filter_map(|position| index.edges(position)).collect();
            drop(index);
            for edges in copied.into_iter().filter(|edges| !edges.kind.is_reserved()) {
                next = edges.position + 1;
                if show(edges, visit).is_break() {
                    return Ok(next);
                }
            }
            next = end;
        }
        Ok(next.max(from))
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
