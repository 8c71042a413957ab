//! The same work done here and with `petgraph`: build from ids, is-ancestor, common ancestors, causal order.
//!
//! `cargo bench -p batpak-graph --bench beside_petgraph`
//!
//! Both start from the same log of ids and causes by id, and answer the same questions about the same pairs.
//! `petgraph` holds no ids, so a hash map stands beside it.
#![expect(clippy::expect_used, reason = "a bench stops at what it did not expect")]
#![allow(missing_docs, reason = "the macros of the harness make public functions")]

#[expect(dead_code, reason = "only one of the shapes is compared")]
mod shapes;

use std::collections::HashMap;
use std::hint::black_box;
use std::time::Duration;

use batpak_format::EventId;
use batpak_graph::{Graph, Node};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use petgraph::Direction;
use petgraph::algo::{DfsSpace, has_path_connecting, toposort};
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::{Dfs, Reversed};
use shapes::{Log, Random, Shape};

const SIZES: [u32; 3] = [10_000, 100_000, 1_000_000];

type Other = DiGraph<(), ()>;

fn other(log: &Log) -> (HashMap<EventId, NodeIndex>, Other) {
    let mut index = HashMap::with_capacity(log.ids.len());
    let mut graph = Other::with_capacity(log.ids.len(), log.edges_len());
    for (id, causes) in log.ids.iter().zip(&log.causes) {
        let event = graph.add_node(());
        index.insert(*id, event);
        for cause in causes.iter() {
            graph.add_edge(index[&cause.id], event, ());
        }
    }
    (index, graph)
}

/// The common ancestors that are in the past of no other: two searches, and one more over what they share.
fn other_common(graph: &Other, first: NodeIndex, second: NodeIndex) -> Vec<NodeIndex> {
    let past = |event| {
        let mut marks = vec![false; graph.node_count()];
        let mut search = Dfs::new(Reversed(graph), event);
        while let Some(found) = search.next(Reversed(graph)) {
            marks[found.index()] = true;
        }
        marks
    };
    let (first, second) = (past(first), past(second));
    let both = |event: NodeIndex| first[event.index()] && second[event.index()];
    let lowest = |event: &NodeIndex| both(*event) && !graph.neighbors_directed(*event, Direction::Outgoing).any(both);
    graph.node_indices().filter(lowest).collect()
}

fn pairs(len: u32) -> Vec<(u32, u32)> {
    let mut random = Random(3);
    let pair = |_| {
        let (one, other) = (random.below(len), random.below(len));
        (one.min(other), one.max(other))
    };
    (0..64).map(pair).collect()
}

fn all(criterion: &mut Criterion) {
    for len in SIZES {
        let log = Log::new(len, Shape::Recent);
        let graph = Graph::build(&log).expect("the log is sound");
        let (_, other_graph) = other(&log);
        let pairs = pairs(len);
        let nodes: Vec<Node> = graph.nodes().collect();
        let own: Vec<(Node, Node)> = pairs.iter().map(|&(a, b)| (nodes[a as usize], nodes[b as usize])).collect();
        let theirs: Vec<(NodeIndex, NodeIndex)> =
            pairs.iter().map(|&(a, b)| (NodeIndex::new(a as usize), NodeIndex::new(b as usize))).collect();
        agree(&graph, &own, &other_graph, &theirs);

        let mut group = criterion.benchmark_group("build");
        group.throughput(Throughput::Elements(u64::from(len)));
        group.bench_function(BenchmarkId::new("batpak", len), |b| b.iter(|| Graph::build(&log)));
        group.bench_function(BenchmarkId::new("petgraph", len), |b| b.iter(|| other(&log)));
        group.finish();

        let mut group = criterion.benchmark_group("is_ancestor");
        group.throughput(Throughput::Elements(1));
        let mut own_pairs = own.iter().cycle();
        group.bench_function(BenchmarkId::new("batpak", len), |b| {
            b.iter(|| own_pairs.next().map(|&(a, b)| black_box(graph.is_ancestor(a, b))));
        });
        let mut their_pairs = theirs.iter().cycle();
        let mut space = DfsSpace::new(&other_graph);
        group.bench_function(BenchmarkId::new("petgraph", len), |b| {
            b.iter(|| their_pairs.next().map(|&(a, b)| has_path_connecting(&other_graph, a, b, Some(&mut space))));
        });
        group.finish();

        let mut group = criterion.benchmark_group("common_ancestors");
        group.throughput(Throughput::Elements(1));
        group.bench_function(BenchmarkId::new("batpak", len), |b| {
            b.iter(|| own_pairs.next().map(|&(a, b)| graph.common_ancestors(a, b)));
        });
        group.bench_function(BenchmarkId::new("petgraph", len), |b| {
            b.iter(|| their_pairs.next().map(|&(a, b)| other_common(&other_graph, a, b)));
        });
        group.finish();

        let mut group = criterion.benchmark_group("order");
        group.throughput(Throughput::Elements(u64::from(len)));
        group.bench_function(BenchmarkId::new("batpak", len), |b| {
            b.iter(|| graph.order().map(|node| graph.event(node).position()).fold(0, |sum, at| sum ^ at));
        });
        group.bench_function(BenchmarkId::new("petgraph", len), |b| b.iter(|| toposort(&other_graph, None)));
        group.finish();
    }
}

fn agree(graph: &Graph, own: &[(Node, Node)], other: &Other, theirs: &[(NodeIndex, NodeIndex)]) {
    for (&(a, b), &(their_a, their_b)) in own.iter().zip(theirs).take(16) {
        assert_eq!(graph.is_ancestor(a, b), a != b && has_path_connecting(other, their_a, their_b, None));
        let mut common: Vec<usize> = graph.common_ancestors(a, b).into_iter().map(Node::index).collect();
        common.reverse();
        let theirs = other_common(other, their_a, their_b);
        assert_eq!(common, theirs.into_iter().map(NodeIndex::index).collect::<Vec<_>>());
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(800));
    targets = all
}
criterion_main!(benches);
