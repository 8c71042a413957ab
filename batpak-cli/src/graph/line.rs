//! What is printed of an event of the graph: one object, or one line.
//!
//! Invariant: only what stands in clear in the store, and never a payload.

use std::io::{self, Write};

use batpak_graph::{Event, Graph, Node, Unfollowed};
use serde::Serialize;

use crate::output::printable;

/// How much is told of each event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// All that the graph knows.
    All,
    /// Its id.
    Ids,
}

/// An event, as it is printed.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum EventLine<'g> {
    Whole(Whole<'g>),
    Id { id: String },
}

/// All that the graph knows of an event.
#[derive(Debug, Serialize)]
pub struct Whole<'g> {
    position: u64,
    id: String,
    entity: &'g str,
    scope: &'g str,
    kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    correlation: Option<String>,
    causes: Vec<CauseLine>,
    layer: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    depth: Option<u32>,
}

#[derive(Debug, Serialize)]
struct CauseLine {
    id: String,
    external: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<&'static str>,
}

impl<'g> EventLine<'g> {
    /// Takes an event, and how far it is from the one that was asked about.
    pub fn new(graph: &'g Graph, node: Node, depth: Option<u32>, told: Told) -> Self {
        let event = graph.event(node);
        match told {
            Told::Ids => Self::Id { id: event.id().to_string() },
            Told::All => Self::Whole(Whole {
                position: event.position(),
                id: event.id().to_string(),
                entity: event.entity(),
                scope: event.scope(),
                kind: event.kind().to_string(),
                correlation: event.correlation().map(|id| id.to_string()),
                causes: causes(graph, &event),
                layer: event.layer(),
                depth,
            }),
        }
    }

    /// Takes events in their order.
    pub fn all(graph: &'g Graph, nodes: &[Node], told: Told) -> Vec<Self> {
        nodes.iter().map(|&node| Self::new(graph, node, None, told)).collect()
    }

    /// Writes the line for people.
    pub fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        let event = match self {
            Self::Id { id } => return writeln!(out, "{id}"),
            Self::Whole(event) => event,
        };
        let (entity, scope) = (printable(event.entity), printable(event.scope));
        write!(out, "#{} {entity}@{scope}  kind {}  {}", event.position, event.kind, event.id)?;
        if let Some(depth) = event.depth {
            write!(out, "  depth {depth}")?;
        }
        let external = event.causes.iter().filter(|cause| cause.external).count();
        match (event.causes.len(), external) {
            (0, _) => writeln!(out),
            (causes, 0) => writeln!(out, "  causes {causes}"),
            (causes, external) => writeln!(out, "  causes {causes} ({external} external)"),
        }
    }
}

/// Returns the causes: those that are followed as they are named, then those that are not.
fn causes(graph: &Graph, event: &Event<'_>) -> Vec<CauseLine> {
    let followed = graph.causes(event.node()).map(|cause| CauseLine {
        id: graph.event(cause).id().to_string(),
        external: false,
        fault: None,
    });
    let unfollowed = event.causes_unfollowed().map(|cause| CauseLine {
        id: cause.id.to_string(),
        external: cause.reason == Unfollowed::External,
        fault: fault(cause.reason),
    });
    followed.chain(unfollowed).collect()
}

const fn fault(reason: Unfollowed) -> Option<&'static str> {
    match reason {
        Unfollowed::Itself => Some("itself"),
        Unfollowed::Later => Some("later"),
        Unfollowed::Unknown => Some("unknown"),
        _ => None,
    }
}
