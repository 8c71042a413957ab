//! Deep chains, many effects, and the memory an event costs.

use batpak_graph::{Graph, Limits, Relation};

use crate::world::{Given, Log, node, random_log};

fn chain(len: u64) -> Graph {
    let mut graph = Graph::new();
    for number in 0..len {
        let causes: Vec<u64> = number.checked_sub(1).into_iter().collect();
        graph.push(&Given::new(number, &causes).edges()).unwrap();
    }
    graph
}

#[test]
fn chain_of_a_million_overflows_nothing() {
    let len = 1_000_000;
    let graph = chain(len);
    let (first, last) = (node(&graph, 0), node(&graph, len - 1));
    assert_eq!(graph.relation(first, last), Relation::Before);
    assert_eq!(graph.ancestors(last).count(), len as usize - 1);
    assert_eq!(graph.descendants(first).count(), len as usize - 1);
    assert_eq!(graph.past(last, Limits::default()).count(), len as usize - 1);
    assert_eq!(graph.chain_longest().len(), len as usize);
    assert_eq!(graph.path_shortest(first, last).unwrap().len(), len as usize);
    assert_eq!(graph.paths(first, last, u32::MAX).count(), 1);
    assert_eq!(graph.common_ancestors(first, last), [first]);
    assert_eq!(graph.between(first, last).count(), len as usize);
    assert_eq!(graph.cut_of(&[last]).len(), len as usize);
    assert_eq!(graph.layers().len(), len as usize);
    assert_eq!(graph.verify(), Ok(()));
}

#[test]
fn memory_stays_under_64_bytes_an_event_and_16_an_edge() {
    for len in [40_000, 100_000, 150_000] {
        let log = random_log(len, 5_000, 4);
        let plain = Graph::build(&log).unwrap();
        let budget = 64 * plain.len() + 16 * plain.edges_len();
        assert!(plain.memory_bytes() < budget, "{} of {budget}", plain.memory_bytes());
        let given = log.0.into_iter().map(|given| Given { correlation: Some(given.id), ..given });
        let correlated = Graph::build(&Log(given.collect())).unwrap();
        assert!(correlated.memory_bytes() > plain.memory_bytes());
    }
}

#[test]
fn event_with_many_effects_is_searched_within_its_limits() {
    let len = 100_000;
    let mut graph = Graph::new();
    graph.push(&Given::new(0, &[]).edges()).unwrap();
    for number in 1..len {
        graph.push(&Given::new(number, &[0]).edges()).unwrap();
    }
    let hub = node(&graph, 0);
    let mut reach = graph.future(hub, Limits { depth_max: 1, events_max: 10 });
    assert_eq!(reach.by_ref().count(), 10);
    assert!(reach.is_limited());
    assert_eq!(graph.caused_by(hub).count(), len as usize - 1);
    assert!(graph.is_ancestor(hub, node(&graph, len - 1)));
    assert_eq!(graph.relation(node(&graph, 5), node(&graph, len - 1)), Relation::Concurrent);
}
