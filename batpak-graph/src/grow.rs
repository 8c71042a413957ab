//! How a graph grows: event by event, or by following a source.
//!
//! Invariant: an event is checked before anything is changed, and causes are looked up only among the events
//! before it.

use std::ops::ControlFlow;

use batpak_format::{Cause, EdgeSource, EventEdges, EventId};

use crate::error::{FollowError, GraphError};
use crate::graph::{Correlated, EDGES_MAX, EVENTS_MAX, Effect, Graph, Kept, NONE, Row};
use crate::node::Node;

impl Graph {
    /// Makes the graph of all events that `source` has now.
    ///
    /// # Errors
    ///
    /// As [`Graph::follow`].
    pub fn build<S: EdgeSource>(source: &S) -> Result<Graph, FollowError<S::Error>> {
        let mut graph = Graph::new();
        graph.follow(source)?;
        Ok(graph)
    }

    /// Takes in the events that `source` has gained since the last call, and says how many.
    ///
    /// A graph follows one source: positions go on where the last call ended.
    ///
    /// # Errors
    ///
    /// [`FollowError::Source`] when the source fails, [`FollowError::Event`] when it gives an event that
    /// [`Graph::push`] refuses. The events before it stay; the next call goes on with the refused one.
    pub fn follow<S: EdgeSource>(&mut self, source: &S) -> Result<u64, FollowError<S::Error>> {
        let before = self.len();
        let mut refused = None;
        let end = source.edges(self.next_position, &mut |edges| match self.push(&edges) {
            Ok(_) => ControlFlow::Continue(()),
            Err(error) => {
                refused = Some(error);
                ControlFlow::Break(())
            }
        });
        if let Some(error) = refused {
            return Err(FollowError::Event(error));
        }
        self.next_position = self.next_position.max(end.map_err(FollowError::Source)?);
        Ok((self.len() - before) as u64)
    }

    /// Takes in one event, later than all that are there.
    ///
    /// Causes are looked up among the events before it. What is not found, and what is marked external, is
    /// kept for [`Graph::faults`] and for drawings.
    ///
    /// # Errors
    ///
    /// [`GraphError::DuplicateId`], [`GraphError::PositionNotRising`] and [`GraphError::Full`]; the graph is
    /// then as it was.
    pub fn push(&mut self, edges: &EventEdges<'_>) -> Result<Node, GraphError> {
        let hash = self.hashing.id(edges.id.as_bytes());
        self.admit(edges, hash)?;
        let event = self.ids.len() as u32;
        let layer = self.push_causes(event, edges);
        self.rows.at_mut(event).layer = layer;
        self.rows.push(Row::next(self.causes.len() as u32));
        self.rows.at_mut(event).jump = self.jump_for(event);
        self.rows.at_mut(event).label = self.label_for(event);
        self.look_for_landmark(event);
        self.push_correlation(event, edges.correlation);
        self.ids.push(edges.id);
        self.positions.push(edges.position);
        self.kinds.push(edges.kind);
        let coordinate = self.coordinates.number(edges.entity, edges.scope, &self.hashing);
        self.coordinate_at.push(coordinate);
        let (ids, hashing) = (&self.ids, &self.hashing);
        self.index.insert(hash, event, |event| hashing.id(ids.at(event).as_bytes()));
        self.next_position = edges.position.saturating_add(1);
        if layer > self.layer(self.deepest) {
            self.deepest = event;
        }
        Ok(Node(event))
    }

    fn admit(&self, edges: &EventEdges<'_>, hash: u64) -> Result<(), GraphError> {
        let id = edges.id;
        if let Some(found) = self.index.find(hash, |event| self.ids.at(event) == id) {
            let first = self.positions.at(found);
            return Err(GraphError::DuplicateId { id, position: edges.position, first });
        }
        match self.positions.last() {
            Some(previous) if edges.position <= previous => {
                return Err(GraphError::PositionNotRising { id, position: edges.position, previous });
            }
            _ => {}
        }
        if self.len() == EVENTS_MAX || EDGES_MAX - self.causes.len() <= edges.causes.len() {
            return Err(GraphError::Full { id });
        }
        Ok(())
    }

    /// Enters the causes of `event` and returns its layer.
    fn push_causes(&mut self, event: u32, edges: &EventEdges<'_>) -> u32 {
        let mut layer = 0;
        for Cause { id, external } in edges.causes.iter() {
            match if external { None } else { self.find(&id) } {
                Some(cause) => {
                    layer = layer.max(self.layer(cause) + 1);
                    self.push_edge(event, cause);
                }
                None => self.unfollowed.push(Kept { id, event, external }),
            }
        }
        layer
    }

    fn push_edge(&mut self, event: u32, cause: u32) {
        let edge = self.causes.len() as u32;
        self.causes.push(cause);
        let last = std::mem::replace(&mut self.rows.at_mut(cause).effects_last, edge);
        let next = if last == NONE { edge } else { std::mem::replace(&mut self.effects.at_mut(last).next, edge) };
        self.effects.push(Effect { event, next });
    }

    fn push_correlation(&mut self, event: u32, id: Option<EventId>) {
        let Some(id) = id else {
            self.correlation_at.push(Correlated { correlation: NONE, next: NONE });
            return;
        };
        let (correlation, last) = self.correlations.enter(id, event, &self.hashing);
        let next = match last {
            Some(last) => std::mem::replace(&mut self.correlation_at.at_mut(last).next, event),
            None => event,
        };
        self.correlation_at.push(Correlated { correlation, next });
    }
}
