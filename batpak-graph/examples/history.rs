//! Builds the causal graph of a small log and asks it what led to what; draws it when given a folder.
//!
//! `cargo run -p batpak-graph --example history [FOLDER]`

use std::convert::Infallible;
use std::error::Error;
use std::ops::ControlFlow;
use std::path::Path;

use batpak_format::{Cause, Causes, EdgeSource, EventEdges, EventId, EventKind};
use batpak_graph::{Annotate, Event, Export, Graph, Limits, Mark, Relation};

/// Entity, key of the event, keys of its causes.
const EVENTS: [(&str, &str, &[&str]); 10] = [
    ("customer-7", "registered", &[]),
    ("cart-3", "opened", &["registered"]),
    ("cart-3", "checked out", &["opened"]),
    ("order-12", "placed", &["checked out"]),
    ("payment-5", "authorised", &["placed", "bank"]),
    ("stock-1", "reserved", &["placed"]),
    ("stock-1", "counted", &[]),
    ("order-12", "shipped", &["authorised", "reserved"]),
    ("customer-7", "notified", &["shipped"]),
    ("order-12", "refused", &["shipped"]),
];

/// The events above as a source of edges, as a store or any other log can be one.
struct Shop;

impl EdgeSource for Shop {
    type Error = Infallible;

    fn edges(&self, from: u64, visit: &mut dyn FnMut(EventEdges<'_>) -> ControlFlow<()>) -> Result<u64, Infallible> {
        for (position, (entity, key, causes)) in (0..).zip(EVENTS).filter(|(position, _)| *position >= from) {
            // What the bank did is not in this log.
            let cause = |key: &&str| Cause { id: id(key), external: *key == "bank" };
            let causes = Causes::new(causes.iter().map(cause).collect()).unwrap_or_default();
            let kind = if key == "refused" { EventKind::DENIAL } else { EventKind::from_u16(0x1001) };
            let edges =
                EventEdges { position, id: id(key), kind, entity, scope: "shop", correlation: None, causes: &causes };
            if visit(edges).is_break() {
                return Ok(position + 1);
            }
        }
        Ok(EVENTS.len() as u64)
    }
}

fn id(key: &str) -> EventId {
    EventId::from_key(key.as_bytes())
}

/// Shows keys, one event as shredded, and denials.
struct Keys;

impl Annotate for Keys {
    fn label(&self, event: &Event<'_>) -> Option<String> {
        let (_, key, _) = EVENTS.iter().find(|(_, key, _)| id(key) == event.id())?;
        Some(format!("{} {key}", event.entity()))
    }

    fn mark(&self, event: &Event<'_>) -> Mark {
        if event.id() == id("registered") { Mark::Shredded } else { Mark::of_kind(event.kind()) }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let graph = Graph::build(&Shop)?;
    graph.verify()?;
    let (authorised, reserved) = (graph.node(&id("authorised"))?, graph.node(&id("reserved"))?);
    let shipped = graph.node(&id("shipped"))?;

    assert_eq!(graph.relation(authorised, shipped), Relation::Before);
    assert_eq!(graph.relation(authorised, reserved), Relation::Concurrent);

    let name = |node| Keys.label(&graph.event(node)).unwrap_or_default();
    println!(
        "both follow from: {}",
        graph.common_ancestors(authorised, reserved).into_iter().map(name).collect::<String>()
    );
    println!("what led to the shipment, nearest first:");
    for reached in graph.past(shipped, Limits { depth_max: 3, ..Limits::default() }) {
        println!("  {} {}", reached.depth, name(reached.node));
    }

    if let Some(folder) = std::env::args_os().nth(1) {
        let export = Export::new(&graph).annotated(&Keys).titled("A small shop");
        let (mut dot, mut mermaid, mut svg, mut html) = (String::new(), String::new(), String::new(), String::new());
        export.dot(&mut dot)?;
        export.mermaid(&mut mermaid)?;
        export.svg(&mut svg)?;
        export.html(&mut html)?;
        for (file, text) in [("shop.dot", dot), ("shop.mmd", mermaid), ("shop.svg", svg), ("shop.html", html)] {
            std::fs::write(Path::new(&folder).join(file), text)?;
        }
    }
    Ok(())
}
