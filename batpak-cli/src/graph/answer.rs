//! The answer to a question, and how each part of it is printed.
//!
//! Invariant: an answer holds numbers of events; texts are made one line at a time, so a long answer stays small.

use std::io::{self, Write};

use batpak_graph::{Cut, Fault, Graph, Node, Relation, Unfollowed};
use batpak_store::EventId;
use serde::{Serialize, Serializer};

use crate::{
    error::CliError,
    graph::line::{EventLine, Told},
    output::{Output, Shown, counted},
};

/// The most faults that are listed.
const FAULTS_LISTED_MAX: usize = 1000;

/// What was found.
#[derive(Debug)]
pub struct Answer {
    /// The parts, each printed on its own.
    pub items: Vec<Item>,
    /// Whether a limit of the question kept something back.
    pub is_limited: bool,
    /// Why the answer is no, if it is.
    pub no: Option<CliError>,
}

/// A part of an answer.
#[derive(Debug)]
pub enum Item {
    /// An event, and how far it is from the one asked about.
    Event { node: Node, depth: Option<u32> },
    /// How two events stand to each other.
    Relation { first: Node, second: Node, relation: Relation },
    /// A chain of causes, from the earlier end on.
    Path(Vec<Node>),
    /// A cut.
    Cut(CutParts),
    /// Whether all causes can be true.
    Verified(Verified),
}

/// What there is to say of a cut.
#[derive(Debug)]
pub struct CutParts {
    nodes: Vec<Node>,
    frontier: Vec<Node>,
    latest: Vec<Node>,
    ready: Vec<Node>,
}

/// What a verification of the causes found.
#[derive(Debug)]
pub struct Verified {
    events: usize,
    causes: usize,
    external: usize,
    /// How many faults there are.
    pub faults_total: usize,
    faults: Vec<Fault>,
}

impl Answer {
    /// Makes an answer that is yes and whole.
    pub const fn of(items: Vec<Item>) -> Self {
        Self { items, is_limited: false, no: None }
    }

    /// Makes an answer of events.
    pub fn of_events(nodes: impl IntoIterator<Item = Node>) -> Self {
        Self::of(nodes.into_iter().map(|node| Item::Event { node, depth: None }).collect())
    }

    /// Returns the events that the answer is about.
    pub fn nodes(&self) -> Vec<Node> {
        let mut nodes = Vec::new();
        for item in &self.items {
            match item {
                Item::Event { node, .. } => nodes.push(*node),
                Item::Relation { first, second, .. } => nodes.extend([*first, *second]),
                Item::Path(path) => nodes.extend(path),
                Item::Cut(cut) => nodes.extend(&cut.nodes),
                Item::Verified(_) => {}
            }
        }
        nodes
    }

    /// Prints all parts.
    pub fn show(&self, graph: &Graph, told: Told, output: &mut Output) -> Result<(), CliError> {
        for item in &self.items {
            output.show(&Part { graph, item, told })?;
        }
        if self.is_limited {
            output.remark("There is more: the limits kept it back.")?;
        }
        Ok(())
    }
}

impl CutParts {
    /// Takes what there is to say of a cut.
    pub fn of(cut: &Cut<'_>) -> Self {
        Self {
            nodes: cut.nodes().collect(),
            frontier: cut.frontier().collect(),
            latest: cut.latest().iter().map(|event| event.node()).collect(),
            ready: cut.ready().collect(),
        }
    }
}

impl Verified {
    /// Checks all causes.
    pub fn of(graph: &Graph) -> Self {
        let unfollowed = graph.nodes().flat_map(|node| graph.causes_unfollowed(node));
        let external = unfollowed.filter(|cause| cause.reason == Unfollowed::External).count();
        let mut faults = Vec::new();
        let mut faults_total = 0;
        for fault in graph.faults() {
            faults_total += 1;
            if faults.len() < FAULTS_LISTED_MAX {
                faults.push(fault);
            }
        }
        Self { events: graph.len(), causes: graph.edges_len(), external, faults_total, faults }
    }
}

/// A part of an answer with what is needed to print it.
pub struct Part<'a> {
    /// Where the events are.
    pub graph: &'a Graph,
    /// The part.
    pub item: &'a Item,
    /// How much is told of each event.
    pub told: Told,
}

#[derive(Serialize)]
struct RelationLine {
    relation: &'static str,
    first: String,
    second: String,
}

#[derive(Serialize)]
struct PathLine<'g> {
    causes: usize,
    events: Vec<EventLine<'g>>,
}

#[derive(Serialize)]
struct CutLine<'g> {
    events: usize,
    frontier: Vec<EventLine<'g>>,
    latest: Vec<EventLine<'g>>,
    ready: Vec<EventLine<'g>>,
}

#[derive(Serialize)]
struct VerifiedLine {
    sound: bool,
    events: usize,
    causes: usize,
    external: usize,
    faults_total: usize,
    faults: Vec<FaultLine>,
}

#[derive(Default, Serialize)]
struct FaultLine {
    what: &'static str,
    event: String,
    position: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause_position: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    circle: Option<Vec<String>>,
}

impl Part<'_> {
    fn id(&self, node: Node) -> String {
        self.graph.event(node).id().to_string()
    }

    fn all(&self, nodes: &[Node]) -> Vec<EventLine<'_>> {
        EventLine::all(self.graph, nodes, self.told)
    }
}

impl Serialize for Part<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.item {
            Item::Event { node, depth } => EventLine::new(self.graph, *node, *depth, self.told).serialize(serializer),
            Item::Relation { first, second, relation } => {
                let relation = relation_word(*relation);
                RelationLine { relation, first: self.id(*first), second: self.id(*second) }.serialize(serializer)
            }
            Item::Path(path) => {
                PathLine { causes: path.len().saturating_sub(1), events: self.all(path) }.serialize(serializer)
            }
            Item::Cut(cut) => CutLine {
                events: cut.nodes.len(),
                frontier: self.all(&cut.frontier),
                latest: self.all(&cut.latest),
                ready: self.all(&cut.ready),
            }
            .serialize(serializer),
            Item::Verified(verified) => VerifiedLine {
                sound: verified.faults_total == 0,
                events: verified.events,
                causes: verified.causes,
                external: verified.external,
                faults_total: verified.faults_total,
                faults: verified.faults.iter().map(FaultLine::from).collect(),
            }
            .serialize(serializer),
        }
    }
}

impl From<&Fault> for FaultLine {
    fn from(fault: &Fault) -> Self {
        let line = |what, event: &EventId, position: &u64| Self {
            what,
            event: event.to_string(),
            position: *position,
            ..Self::default()
        };
        match fault {
            Fault::CauseLater { event, position, cause, cause_position } => Self {
                cause: Some(cause.to_string()),
                cause_position: Some(*cause_position),
                ..line("cause_later", event, position)
            },
            Fault::Cycle { event, position, circle } => {
                Self { circle: Some(circle.iter().map(EventId::to_string).collect()), ..line("cycle", event, position) }
            }
            Fault::SelfCause { event, position } => line("self_cause", event, position),
            Fault::UnknownCause { event, position, cause } => {
                Self { cause: Some(cause.to_string()), ..line("unknown_cause", event, position) }
            }
            // A fault that this version has no word for.
            _ => Self { what: "other", ..Self::default() },
        }
    }
}

impl Shown for Part<'_> {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        match self.item {
            Item::Event { node, depth } => EventLine::new(self.graph, *node, *depth, self.told).human(out),
            Item::Relation { relation, .. } => writeln!(out, "{}", relation_word(*relation)),
            Item::Path(path) => {
                writeln!(out, "{}", counted(path.len().saturating_sub(1) as u64, "cause", "causes"))?;
                indented(out, &self.all(path))
            }
            Item::Cut(cut) => {
                writeln!(out, "{}", counted(cut.nodes.len() as u64, "event", "events"))?;
                let parts =
                    [("frontier", &cut.frontier), ("latest of each entity", &cut.latest), ("ready", &cut.ready)];
                for (name, nodes) in parts {
                    writeln!(out, "{name}: {}", nodes.len())?;
                    indented(out, &self.all(nodes))?;
                }
                Ok(())
            }
            Item::Verified(verified) => verified.human(out),
        }
    }
}

impl Verified {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        let answer = if self.faults_total == 0 { "sound" } else { "NOT SOUND" };
        let events = counted(self.events as u64, "event", "events");
        let causes = counted(self.named() as u64, "cause", "causes");
        writeln!(out, "{answer}: {events}, {causes}, {} of them external", self.external)?;
        for fault in &self.faults {
            writeln!(out, "  {fault}")?;
        }
        let unlisted = self.faults_total - self.faults.len();
        if unlisted > 0 { writeln!(out, "  and {unlisted} more") } else { Ok(()) }
    }

    /// Causes that are followed, and external ones.
    const fn named(&self) -> usize {
        self.causes + self.external
    }
}

fn indented(out: &mut dyn Write, lines: &[EventLine<'_>]) -> io::Result<()> {
    for line in lines {
        write!(out, "  ")?;
        line.human(out)?;
    }
    Ok(())
}

const fn relation_word(relation: Relation) -> &'static str {
    match relation {
        Relation::Before => "before",
        Relation::After => "after",
        Relation::Concurrent => "concurrent",
        Relation::Same => "same",
    }
}

#[cfg(test)]
mod tests {
    use batpak_store::{Cause, Causes, EventKind, format::EventEdges};
    use serde_json::{Value, json};

    use super::*;

    fn id(number: u8) -> EventId {
        EventId::from_bytes([number; 16])
    }

    /// Events of a source that checks nothing: each with the causes it names.
    fn graph(events: &[&[u8]]) -> Graph {
        let mut graph = Graph::new();
        for (number, causes) in (0..).zip(events) {
            let causes = causes.iter().map(|&cause| Cause { id: id(cause), external: cause == 99 });
            graph
                .push(&EventEdges {
                    position: u64::from(number),
                    id: id(number),
                    kind: EventKind::from_u16(0x1001),
                    entity: "e",
                    scope: "s",
                    correlation: None,
                    causes: &Causes::new(causes.collect()).unwrap(),
                })
                .unwrap();
        }
        graph
    }

    fn line(graph: &Graph, item: &Item) -> Value {
        serde_json::to_value(Part { graph, item, told: Told::All }).unwrap()
    }

    #[test]
    fn faults_are_named_with_their_events() {
        let graph = graph(&[&[1], &[0, 99], &[2], &[50]]);
        let (first, second) = (id(0).to_string(), id(1).to_string());
        let verified = Item::Verified(Verified::of(&graph));
        let faults = json!([
            { "what": "cause_later", "event": first, "position": 0, "cause": second, "cause_position": 1 },
            { "what": "self_cause", "event": id(2).to_string(), "position": 2 },
            { "what": "unknown_cause", "event": id(3).to_string(), "position": 3, "cause": id(50).to_string() },
            { "what": "cycle", "event": first, "position": 0, "circle": [first, second] },
        ]);
        let expected = json!({
            "sound": false, "events": 4, "causes": 1, "external": 1, "faults_total": 4, "faults": faults,
        });
        assert_eq!(line(&graph, &verified), expected);
        let mut text = Vec::new();
        Part { graph: &graph, item: &verified, told: Told::All }.human(&mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        assert!(text.starts_with("NOT SOUND: 4 events, 2 causes, 1 of them external\n"), "{text}");
        assert_eq!(text.lines().count(), 5);
    }

    #[test]
    fn events_say_which_of_their_causes_cannot_be_true() {
        let graph = graph(&[&[1], &[99, 0], &[2], &[50]]);
        let causes = |number| {
            let node = graph.node(&id(number)).unwrap();
            line(&graph, &Item::Event { node, depth: None })["causes"].clone()
        };
        let cause = |number| id(number).to_string();
        assert_eq!(causes(0), json!([{ "id": cause(1), "external": false, "fault": "later" }]));
        let followed_first = json!([{ "id": cause(0), "external": false }, { "id": cause(99), "external": true }]);
        assert_eq!(causes(1), followed_first);
        assert_eq!(causes(2), json!([{ "id": cause(2), "external": false, "fault": "itself" }]));
        assert_eq!(causes(3), json!([{ "id": cause(50), "external": false, "fault": "unknown" }]));
    }
}
