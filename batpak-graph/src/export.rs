//! Drawings of a graph, or of some of its events: DOT, Mermaid, SVG and a self-contained HTML page.
//!
//! Invariant: names and ids reach a drawing only through [`text`], so whatever a source puts into a name stays
//! text; and no payload is in a drawing unless [`Annotate::payload`] gives one.

mod colour;
mod dot;
mod drawing;
mod html;
mod layering;
mod mermaid;
mod svg;
mod text;

use std::collections::BTreeMap;
use std::fmt;

use batpak_format::{EventId, EventKind};

use crate::graph::Graph;
use crate::node::{Event, Node, Unfollowed};

pub use drawing::{Drawing, Line, Place};

/// What a caller knows about events and the graph does not. All its answers default to what the graph knows.
pub trait Annotate {
    /// How the event is marked. By default as its kind says.
    fn mark(&self, event: &Event<'_>) -> Mark {
        Mark::of_kind(event.kind())
    }

    /// A name for the event that its coordinate does not give: the caller's key, a commit, a title.
    fn label(&self, event: &Event<'_>) -> Option<String> {
        let _ = event;
        None
    }

    /// Its payload, to be shown in clear in the drawing.
    fn payload(&self, event: &Event<'_>) -> Option<String> {
        let _ = event;
        None
    }
}

/// Adds nothing: no labels, no payloads, and no marks but those of kinds.
impl Annotate for () {}

/// How an event stands out in a drawing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Mark {
    /// The event notes the refusal of a gate.
    Denial,
    /// Nothing marks the event.
    #[default]
    Plain,
    /// The event's payload was shredded.
    Shredded,
}

impl Mark {
    /// How events of this kind stand out: refusals have a kind of their own.
    pub const fn of_kind(kind: EventKind) -> Mark {
        match kind {
            EventKind::DENIAL => Mark::Denial,
            _ => Mark::Plain,
        }
    }
}

/// What to draw of a graph. The default is all of it, without annotations.
///
/// Each writer gives its text to a [`fmt::Write`] and fails only when that does.
#[derive(Clone)]
pub struct Export<'g> {
    graph: &'g Graph,
    /// Sorted, each once.
    nodes: Vec<Node>,
    notes: &'g dyn Annotate,
    title: String,
}

impl fmt::Debug for Export<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Export { graph: _, nodes, notes: _, title } = self;
        f.debug_struct("Export").field("nodes", &nodes.len()).field("title", title).finish_non_exhaustive()
    }
}

impl<'g> Export<'g> {
    /// Draws all events of `graph`.
    pub fn new(graph: &'g Graph) -> Export<'g> {
        Export { graph, nodes: graph.nodes().collect(), notes: &(), title: "Causes".to_owned() }
    }

    /// Draws only `nodes`, and of their causes those that are among them.
    pub fn only(mut self, nodes: impl IntoIterator<Item = Node>) -> Export<'g> {
        self.nodes = self.graph.order_of(nodes);
        self
    }

    /// Takes marks, labels and payloads from `notes`.
    pub fn annotated(mut self, notes: &'g dyn Annotate) -> Export<'g> {
        self.notes = notes;
        self
    }

    /// Names the drawing.
    pub fn titled(mut self, title: &str) -> Export<'g> {
        title.clone_into(&mut self.title);
        self
    }

    /// Computes the places of the layered drawing that SVG and HTML show.
    pub fn drawing(&self) -> Drawing {
        Drawing::new(self)
    }

    /// The events drawn, in causal order; drawings number them so.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    fn events(&self) -> impl Iterator<Item = Event<'g>> {
        self.nodes.iter().map(|&node| self.graph.event(node))
    }

    /// The causes of the event drawn as `number`, as far as they are drawn.
    fn causes(&self, number: usize) -> impl Iterator<Item = usize> {
        self.graph.causes(self.nodes[number]).filter_map(|cause| self.number(cause))
    }

    /// How many followed causes of the event drawn as `number` are not drawn.
    fn causes_left_out(&self, number: usize) -> usize {
        self.graph.causes(self.nodes[number]).filter(|&cause| self.number(cause).is_none()).count()
    }

    fn number(&self, node: Node) -> Option<usize> {
        if self.nodes.len() == self.graph.len() {
            return Some(node.index());
        }
        self.nodes.binary_search(&node).ok()
    }

    fn entity(&self, number: usize) -> u32 {
        self.graph.entity_number(self.nodes[number].0)
    }

    /// The causes that are not events of the graph, or not earlier ones, each with a number for the drawing and
    /// the events that name it.
    fn strangers(&self) -> BTreeMap<(EventId, &'static str), Vec<usize>> {
        let mut strangers: BTreeMap<_, Vec<usize>> = BTreeMap::new();
        for (number, event) in self.events().enumerate() {
            for cause in event.causes_unfollowed() {
                strangers.entry((cause.id, reason_word(cause.reason))).or_default().push(number);
            }
        }
        strangers
    }

    /// One line that names an event: label or entity, then position and kind.
    fn headline(&self, event: &Event<'_>) -> String {
        let name = self.notes.label(event).unwrap_or_else(|| event.entity().to_owned());
        format!("{name} #{} {}", event.position(), event.kind())
    }

    /// All that is known of an event, a line each.
    fn details(&self, number: usize, event: &Event<'_>) -> Vec<(&'static str, String)> {
        let mut lines = Vec::new();
        lines.extend(self.notes.label(event).map(|label| ("label", label)));
        lines.push(("entity", event.entity().to_owned()));
        lines.push(("scope", event.scope().to_owned()));
        lines.push(("kind", event.kind().to_string()));
        lines.push(("position", event.position().to_string()));
        lines.push(("id", event.id().to_string()));
        lines.extend(event.correlation().map(|id| ("correlation", id.to_string())));
        let mark = mark_word(self.notes.mark(event));
        lines.extend((!mark.is_empty()).then(|| ("mark", mark.to_owned())));
        let strangers = event.causes_unfollowed();
        lines.extend(strangers.map(|cause| (reason_word(cause.reason), cause.id.to_string())));
        let left_out = self.causes_left_out(number);
        lines.extend((left_out > 0).then(|| ("causes not drawn", left_out.to_string())));
        lines.extend(self.notes.payload(event).map(|payload| ("payload", payload)));
        lines
    }
}

fn mark_word(mark: Mark) -> &'static str {
    match mark {
        Mark::Denial => "denial",
        Mark::Plain => "",
        Mark::Shredded => "shredded",
    }
}

fn reason_word(reason: Unfollowed) -> &'static str {
    match reason {
        Unfollowed::External => "external cause",
        Unfollowed::Itself => "itself as cause",
        Unfollowed::Later => "later cause",
        Unfollowed::Unknown => "unknown cause",
    }
}
