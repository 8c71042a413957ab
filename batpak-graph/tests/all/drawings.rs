//! The drawings as they are written, checked by computation.

use std::collections::{BTreeMap, HashSet};
use std::fmt;

use batpak_format::{Cause, EventEdges, EventKind};
use batpak_graph::{Annotate, Event, Export, Graph, Mark};
use serde_json::Value;

use crate::world::{Given, KIND, Log, Random, graph, id, known, node, random_log};

pub type Writer = for<'g> fn(&Export<'g>, &mut dyn fmt::Write) -> fmt::Result;

pub const DOT: Writer = |export, out| export.dot(out);
pub const MERMAID: Writer = |export, out| export.mermaid(out);
pub const SVG: Writer = |export, out| export.svg(out);
pub const HTML: Writer = |export, out| export.html(out);
pub const WRITERS: [Writer; 4] = [DOT, MERMAID, SVG, HTML];

pub fn written(export: &Export<'_>, writer: Writer) -> String {
    let mut out = String::new();
    writer(export, &mut out).unwrap();
    out
}

/// The value of an attribute in a line of SVG.
fn attribute<'a>(line: &'a str, name: &str) -> &'a str {
    let start = line.find(&format!(" {name}=\"")).unwrap() + name.len() + 3;
    &line[start..start + line[start..].find('"').unwrap()]
}

fn number(line: &str, name: &str) -> i64 {
    attribute(line, name).parse().unwrap()
}

/// Left, top, right and bottom of each event in an SVG.
fn boxes(svg: &str) -> BTreeMap<i64, [i64; 4]> {
    let events = svg.lines().filter(|line| line.starts_with("<svg class=\"event\""));
    let corners = events.map(|line| {
        let (x, y) = (number(line, "x"), number(line, "y"));
        (number(line, "data-event"), [x, y, x + number(line, "width"), y + number(line, "height")])
    });
    corners.collect()
}

type Route = (i64, i64, Vec<(i64, i64)>);

/// Cause, effect and all points, control points included, of each line in an SVG.
fn routes(svg: &str) -> Vec<Route> {
    let lines = svg.lines().filter(|line| line.contains("data-cause"));
    lines
        .map(|line| {
            let path = attribute(line.strip_prefix("<path").unwrap(), "d").replace(['M', 'L', 'C'], " ");
            let numbers: Vec<i64> = path.split_whitespace().map(|number| number.parse().unwrap()).collect();
            let points = numbers.chunks(2).map(|point| (point[0], point[1])).collect();
            (number(line, "data-cause"), number(line, "data-effect"), points)
        })
        .collect()
}

fn assert_drawn_in_order(graph: &Graph, svg: &str) {
    let boxes = boxes(svg);
    assert_eq!(boxes.len(), graph.len());
    let mut sorted: Vec<_> = boxes.values().collect();
    sorted.sort();
    for (at, one) in sorted.iter().enumerate() {
        for other in sorted.iter().skip(at + 1).take_while(|other| other[0] < one[2]) {
            assert!(other[1] >= one[3] || other[3] <= one[1], "{one:?} and {other:?} overlap");
        }
    }
    let routes = routes(svg);
    assert_eq!(routes.len(), graph.edges_len());
    let mut drawn = HashSet::new();
    for (cause, effect, points) in routes {
        let (from, to) = (boxes[&cause], boxes[&effect]);
        assert!(from[3] < to[1], "cause {cause} is not above effect {effect}");
        assert_eq!(points.first(), Some(&((from[0] + from[2]) / 2, from[3])));
        assert_eq!(points.last(), Some(&((to[0] + to[2]) / 2, to[1])));
        assert!(points.is_sorted_by_key(|&(_, y)| y), "the line from {cause} to {effect} turns back: {points:?}");
        assert!(drawn.insert((cause, effect)));
    }
    for event in graph.nodes() {
        for cause in graph.causes(event) {
            assert!(drawn.contains(&(cause.index() as i64, event.index() as i64)));
        }
    }
}

/// Events in some threads that fork and join, as a history does.
fn history(len: u64) -> Log {
    let mut random = Random::new(9);
    let mut heads: Vec<u64> = vec![0];
    let mut given = vec![Given::new(0, &[])];
    for number in 1..len {
        let at = random.below(heads.len() as u64) as usize;
        let mut causes = vec![heads[at]];
        let other = heads[random.below(heads.len() as u64) as usize];
        match random.below(10) {
            0 if heads.len() < 12 => heads.push(number),
            1 if other != heads[at] => {
                causes.push(other);
                heads.retain(|&head| head != other && head != causes[0]);
                heads.push(number);
            }
            _ => heads[at] = number,
        }
        given.push(Given::new(number, &causes));
    }
    Log(given)
}

#[test]
fn svg_of_2_000_events_has_no_overlap_and_no_line_against_the_order() {
    for log in [random_log(2_000, 60, 1), random_log(2_000, 2_000, 2), history(2_000)] {
        let graph = Graph::build(&log).unwrap();
        assert_drawn_in_order(&graph, &written(&Export::new(&graph), SVG));
    }
}

#[test]
fn svg_of_one_wide_layer_and_of_one_deep_chain_has_no_overlap() {
    let star = (0..2_000).map(|number| Given::new(number, if number == 0 { &[] } else { &[0] }));
    let star = Graph::build(&Log(star.collect())).unwrap();
    let svg = written(&Export::new(&star), SVG);
    assert_drawn_in_order(&star, &svg);
    let width: i64 = number(svg.lines().next().unwrap(), "width");
    assert!(width < 20_000, "a layer of 2,000 events is folded, not {width} wide");
    let strangers = (0..500).map(|number| Given::new(number, &[]));
    let strangers = Graph::build(&Log(strangers.collect())).unwrap();
    assert_drawn_in_order(&strangers, &written(&Export::new(&strangers), SVG));
    let chain = (0..2_000_u64).map(|number| Given::new(number, &number.checked_sub(1).into_iter().collect::<Vec<_>>()));
    let chain = Graph::build(&Log(chain.collect())).unwrap();
    assert_drawn_in_order(&chain, &written(&Export::new(&chain), SVG));
}

#[test]
fn drawing_of_nothing_is_whole() {
    let graph = Graph::new();
    for writer in WRITERS {
        assert!(!written(&Export::new(&graph), writer).is_empty());
    }
    assert!(Export::new(&graph).drawing().places().is_empty());
}

#[test]
fn drawings_are_the_same_each_time() {
    let log = history(300);
    for writer in WRITERS {
        let once = |_| written(&Export::new(&Graph::build(&log).unwrap()), writer);
        assert_eq!(once(1), once(2));
    }
}

#[test]
fn dot_and_mermaid_hold_each_event_and_cause_once() {
    let graph = Graph::build(&history(200)).unwrap();
    let export = Export::new(&graph);
    let dot = written(&export, DOT);
    let mermaid = written(&export, MERMAID);
    assert_eq!(dot.matches("fillcolor=").count(), 200);
    assert_eq!(mermaid.lines().filter(|line| line.ends_with("\"]")).count(), 200);
    for event in graph.nodes() {
        for cause in graph.causes(event) {
            let (cause, event) = (cause.index(), event.index());
            assert_eq!(dot.matches(&format!("  n{cause} -> n{event};\n")).count(), 1);
            assert_eq!(mermaid.matches(&format!("  n{cause} --> n{event}\n")).count(), 1);
        }
    }
    assert_eq!(dot.matches(" -> ").count(), graph.edges_len());
    assert_eq!(mermaid.matches(" --> ").count(), graph.edges_len());
}

#[test]
fn only_some_events_are_drawn_with_the_causes_among_them() {
    let graph = graph(&[&[], &[0], &[0, 1], &[2], &[3]]);
    let some = [4, 2, 1, 2].map(|number| node(&graph, number));
    let export = Export::new(&graph).only(some);
    assert_eq!(export.nodes(), [1, 2, 4].map(|number| node(&graph, number)));
    let dot = written(&export, DOT);
    assert_eq!(dot.lines().filter(|line| line.contains(" -> ")).collect::<Vec<_>>(), ["  n0 -> n1;"]);
    assert_eq!(dot.matches("causes not drawn: 1").count(), 3);
    assert_eq!(routes(&written(&export, SVG)).len(), 1);
}

struct Notes;

impl Annotate for Notes {
    fn mark(&self, event: &Event<'_>) -> Mark {
        match event.position() {
            1 => Mark::Shredded,
            2 => Mark::Denial,
            _ => Mark::Plain,
        }
    }

    fn label(&self, event: &Event<'_>) -> Option<String> {
        (event.position() == 0).then(|| "the first".to_owned())
    }

    fn payload(&self, event: &Event<'_>) -> Option<String> {
        (event.position() == 0).then(|| "canary payload".to_owned())
    }
}

/// Keeps all but the payloads.
struct Unpaid;

impl Annotate for Unpaid {
    fn mark(&self, event: &Event<'_>) -> Mark {
        Notes.mark(event)
    }
}

#[test]
fn marks_and_labels_are_drawn_and_payloads_only_when_given() {
    let graph = graph(&[&[], &[0], &[1], &[2]]);
    for writer in WRITERS {
        let noted = written(&Export::new(&graph).annotated(&Notes), writer);
        let unpaid = written(&Export::new(&graph).annotated(&Unpaid), writer);
        assert_eq!(noted.matches("canary payload").count(), 1);
        assert!(noted.contains("the first"));
        assert!(!unpaid.contains("canary") && !unpaid.contains("the first"));
        assert!(!written(&Export::new(&graph), writer).contains("canary"));
    }
    let svg = written(&Export::new(&graph).annotated(&Notes), SVG);
    assert!(svg.contains("data-event=\"1\" data-mark=\"shredded\""));
    assert!(svg.contains("data-event=\"2\" data-mark=\"denial\""));
    let dot = written(&Export::new(&graph).annotated(&Notes), DOT);
    assert_eq!((dot.matches("octagon").count(), dot.matches("filled,rounded,dashed").count()), (1, 1));
    let mermaid = written(&Export::new(&graph).annotated(&Notes), MERMAID);
    assert!(mermaid.contains("  class n1 shredded\n") && mermaid.contains("  class n2 denial\n"));
    assert_eq!(page_data(&written(&Export::new(&graph).annotated(&Notes), HTML))["mark"], "0210");
}

#[test]
fn denials_are_marked_by_their_kind() {
    let mut graph = Graph::new();
    for (number, kind) in [(0, KIND), (1, EventKind::DENIAL), (2, EventKind::BYPASS)] {
        graph.push(&EventEdges { kind, ..Given::new(number, &[]).edges() }).unwrap();
    }
    let export = Export::new(&graph);
    let svg = written(&export, SVG);
    assert_eq!(svg.matches("data-mark=\"denial\"").count(), 1);
    assert!(svg.contains("data-event=\"1\" data-mark=\"denial\""));
    assert_eq!(written(&export, DOT).matches("octagon").count(), 1);
    assert!(written(&export, MERMAID).contains("  class n1 denial\n"));
    assert_eq!(page_data(&written(&export, HTML))["mark"], "010");
}

#[test]
fn causes_from_outside_are_drawn_apart() {
    let external = Cause { id: id(50), external: true };
    let log = Log(vec![Given::with(0, vec![external, known(60)]), Given::with(1, vec![external, known(0)])]);
    let graph = Graph::build(&log).unwrap();
    let export = Export::new(&graph);
    let dot = written(&export, DOT);
    assert_eq!(dot.matches(&format!("label=\"external cause\\n{}\"", id(50))).count(), 1);
    assert_eq!(dot.matches(&format!("label=\"unknown cause\\n{}\"", id(60))).count(), 1);
    assert_eq!(dot.matches("  x0 -> ").count(), 2);
    let mermaid = written(&export, MERMAID);
    assert_eq!((mermaid.matches("  x0 -.-> ").count(), mermaid.matches("  x1 -.-> ").count()), (2, 1));
    assert_eq!(written(&export, SVG).matches(&format!("unknown cause: {}", id(60))).count(), 1);
    let data = page_data(&written(&export, HTML));
    assert_eq!(data["outside"]["1"], serde_json::json!([["external cause", id(50).to_string()]]));
}

/// The JSON that a page carries.
pub fn page_data(html: &str) -> Value {
    let start = html.find("id=\"log\">").unwrap() + "id=\"log\">".len();
    let end = start + html[start..].find("</script>").unwrap();
    serde_json::from_str(&html[start..end]).unwrap()
}

#[test]
fn html_of_20_000_events_is_under_10_mb_and_says_what_the_graph_says() {
    let graph = Graph::build(&random_log(20_000, 400, 5)).unwrap();
    let html = written(&Export::new(&graph).titled("Twenty thousand"), HTML);
    assert!(html.len() <= 10_000_000, "{} bytes", html.len());
    let data = page_data(&html);
    for column in ["x", "y", "layer", "position", "entity", "scope", "kind"] {
        assert_eq!(data[column].as_array().unwrap().len(), 20_000, "{column}");
    }
    assert_eq!(data["ids"].as_str().unwrap().len(), 32 * 20_000);
    let flat: Vec<usize> = data["lines"].as_array().unwrap().iter().map(|n| n.as_i64().unwrap() as usize).collect();
    let mut lines = HashSet::new();
    let mut rest = &flat[..];
    while let [cause, effect, bends, ..] = *rest {
        lines.insert((cause, effect));
        rest = &rest[3 + bends..];
    }
    assert_eq!(lines.len(), graph.edges_len());
    for event in graph.nodes() {
        assert!(graph.causes(event).all(|cause| lines.contains(&(cause.index(), event.index()))));
    }
}

#[test]
fn html_needs_nothing_from_outside() {
    let graph = graph(&[&[], &[0]]);
    let html = written(&Export::new(&graph), HTML);
    assert!(html.contains("default-src 'none'"));
    for outside in ["http:", "https:", "src=", "href=", "@import", "url(", "fetch(", "innerHTML", "{{"] {
        assert!(!html.contains(outside), "{outside}");
    }
}

#[test]
fn html_keeps_positions_that_javascript_numbers_cannot_hold() {
    let position = u64::MAX - 1;
    let graph = Graph::build(&Log(vec![Given { position, ..Given::new(0, &[]) }])).unwrap();
    let data = page_data(&written(&Export::new(&graph), HTML));
    assert_eq!(data["position"][0], position.to_string());
}
