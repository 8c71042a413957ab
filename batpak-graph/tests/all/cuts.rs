//! Causal cuts: closed under causes, determined by their frontier.

use batpak_graph::{GraphError, Node};
use proptest::prelude::*;

use crate::world::{Model, causes, graph, id, node, numbers};

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn cut_is_closed_and_its_frontier_gives_it_back(causes in causes(), picks in proptest::collection::vec(0_usize..1_000, 0..6)) {
        let model = Model::new(causes);
        let graph = model.graph();
        let nodes: Vec<Node> = picks.iter().map(|pick| node(&graph, (pick % graph.len()) as u64)).collect();
        let cut = graph.cut_of(&nodes);
        let expected = nodes.iter().fold(0, |set, node| set | model.past[node.index()] | 1 << node.index());
        let held: Vec<usize> = (0..graph.len()).filter(|&event| expected >> event & 1 == 1).collect();
        prop_assert_eq!(numbers(cut.nodes()), held.clone());
        prop_assert_eq!(cut.len(), held.len());
        let frontier: Vec<Node> = cut.frontier().collect();
        for (at, &one) in frontier.iter().enumerate() {
            prop_assert!(frontier.iter().skip(at + 1).all(|&other| !graph.is_ancestor(one, other)));
        }
        prop_assert_eq!(numbers(graph.cut_of(&frontier).nodes()), held);
        prop_assert!(graph.cut_from(cut.nodes()).is_ok());
        for next in cut.ready() {
            prop_assert!(!cut.contains(next));
            prop_assert!(graph.cut_from(cut.nodes().chain([next])).is_ok());
        }
    }

    #[test]
    fn cut_from_refuses_exactly_what_is_not_closed(causes in causes(), set in any::<u64>()) {
        let model = Model::new(causes);
        let graph = model.graph();
        let nodes = graph.nodes().filter(|node| set >> node.index() & 1 == 1);
        let closed = graph.nodes().all(|node| {
            set >> node.index() & 1 == 0 || model.past[node.index()] & !set == 0
        });
        prop_assert_eq!(graph.cut_from(nodes).is_ok(), closed);
    }
}

#[test]
fn cut_at_a_position_is_what_was_read_up_to_there() {
    let graph = graph(&[&[], &[0], &[], &[1], &[2, 3], &[], &[0]]);
    let cut = graph.cut_at(5);
    assert_eq!(numbers(cut.nodes()), [0, 1, 2, 3, 4]);
    assert_eq!(numbers(cut.frontier()), [4]);
    assert_eq!(numbers(cut.ready()), [5, 6]);
    assert!(cut.contains(node(&graph, 4)) && !cut.contains(node(&graph, 5)));
    assert!(graph.cut_at(0).is_empty());
    assert_eq!(graph.cut_at(u64::MAX).len(), 7);
}

#[test]
fn cut_latest_is_the_last_event_of_each_entity() {
    // Entities are the numbers modulo five.
    let graph = graph(&[&[], &[0], &[], &[], &[], &[0], &[], &[]]);
    let latest = graph.cut_at(7).latest();
    let seen: Vec<(u64, &str)> = latest.iter().map(|event| (event.position(), event.entity())).collect();
    assert_eq!(seen, [(2, "entity-2"), (3, "entity-3"), (4, "entity-4"), (5, "entity-0"), (6, "entity-1")]);
}

#[test]
fn cut_that_lacks_a_cause_names_both_events() {
    let graph = graph(&[&[], &[0], &[1]]);
    let refused = graph.cut_from([node(&graph, 2), node(&graph, 0)]);
    assert!(matches!(
        refused,
        Err(GraphError::CutNotClosed { event, cause }) if event == id(2) && cause == id(1)
    ));
}
