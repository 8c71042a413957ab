//! What a build and single questions cost at 1,000,000 events: percentiles, which means hide.
//!
//! `cargo bench -p batpak-graph --bench percentiles`
#![expect(clippy::expect_used, reason = "a bench stops at what it did not expect")]

mod shapes;

use std::hint::black_box;
use std::time::{Duration, Instant};

use batpak_graph::{Graph, Node};
use shapes::{Log, Random, Shape};

const EVENTS: u32 = 1_000_000;
const PAIRS: usize = 1_000;
/// Twelve bytes a cause, and the room that a column may hold beyond what it has.
const EDGE_BYTES: f64 = 12.0 * 33.0 / 32.0;

fn main() {
    println!("{EVENTS} events, {PAIRS} questions each; times in microseconds: p50, p99, most");
    for shape in [Shape::Recent, Shape::Anywhere, Shape::Threads] {
        let log = Log::new(EVENTS, shape);
        let begun = Instant::now();
        let graph = Graph::build(&log).expect("the log is sound");
        let built = begun.elapsed();
        let edges_len = graph.edges_len();
        assert_eq!(edges_len, log.edges_len());
        let for_events = graph.memory_bytes() as f64 - EDGE_BYTES * edges_len as f64;
        println!("{shape:?}: {edges_len} causes, built in {} ms", built.as_millis());
        println!(
            "  memory: {} bytes, {:.1} an event when a cause is counted as {:.2}",
            graph.memory_bytes(),
            for_events / f64::from(EVENTS),
            EDGE_BYTES
        );
        let mut random = Random(7);
        let near: Vec<_> = (0..PAIRS).map(|at| walked_back(&graph, 1 + at as u32 % 100, &mut random)).collect();
        let beside: Vec<_> = (0..PAIRS).map(|at| apart(&graph, 1 + at as u32 % 100, &mut random)).collect();
        let far: Vec<_> = (0..PAIRS).map(|_| sorted(any(&graph, &mut random), any(&graph, &mut random))).collect();
        report("is-ancestor, at most 100 causes away", &near, |a, b| graph.is_ancestor(a, b));
        report("is-ancestor, at most 100 positions apart", &beside, |a, b| graph.is_ancestor(a, b));
        report("is-ancestor, random pairs", &far, |a, b| graph.is_ancestor(a, b));
        report("common ancestors, random pairs", &far, |a, b| graph.common_ancestors(a, b));
    }
}

fn any(graph: &Graph, random: &mut Random) -> Node {
    graph.nodes().nth(random.below(EVENTS) as usize).expect("the number is below the length")
}

fn sorted(a: Node, b: Node) -> (Node, Node) {
    (a.min(b), a.max(b))
}

/// Two events `positions` apart.
fn apart(graph: &Graph, positions: u32, random: &mut Random) -> (Node, Node) {
    let earlier = random.below(EVENTS - positions) as usize;
    let node = |at| graph.nodes().nth(at).expect("the number is below the length");
    (node(earlier), node(earlier + positions as usize))
}

/// An event, and one that it is reached from by `causes` random steps back, or fewer at a root.
fn walked_back(graph: &Graph, causes: u32, random: &mut Random) -> (Node, Node) {
    let later = any(graph, random);
    let mut earlier = later;
    for _ in 0..causes {
        let near: Vec<Node> = graph.causes(earlier).collect();
        if near.is_empty() {
            break;
        }
        earlier = near[random.below(near.len() as u32) as usize];
    }
    (earlier, later)
}

fn report<T>(what: &str, pairs: &[(Node, Node)], ask: impl Fn(Node, Node) -> T) {
    let timed = pairs.iter().map(|&(a, b)| {
        let begun = Instant::now();
        black_box(ask(black_box(a), black_box(b)));
        begun.elapsed()
    });
    let mut times: Vec<Duration> = timed.collect();
    times.sort_unstable();
    let at = |share: usize| times[(times.len() - 1) * share / 100].as_secs_f64() * 1e6;
    println!("  {what}: {:.1}, {:.1}, {:.1}", at(50), at(99), at(100));
}
