//! A graph that follows its log.

use batpak_format::EventId;
use batpak_graph::Graph;
use proptest::prelude::*;

use crate::world::{Given, Log, causes, id, node, numbers};

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn follow_in_pieces_equals_build(causes in causes(), piece in 1_usize..9) {
        let given: Vec<Given> = causes.iter().enumerate().map(|(number, causes)| Given::new(number as u64, causes)).collect();
        let whole = Graph::build(&Log(given.clone())).unwrap();
        let mut graph = Graph::new();
        let mut log = Log::default();
        for piece in given.chunks(piece) {
            log.0.extend_from_slice(piece);
            prop_assert_eq!(graph.follow(&log).unwrap(), piece.len() as u64);
            prop_assert_eq!(graph.follow(&log).unwrap(), 0);
        }
        prop_assert_eq!(graph.len(), whole.len());
        prop_assert_eq!(graph.edges_len(), whole.edges_len());
        prop_assert_eq!(graph.chain_longest(), whole.chain_longest());
        for event in whole.nodes() {
            prop_assert!(graph.causes(event).eq(whole.causes(event)));
            prop_assert!(graph.caused_by(event).eq(whole.caused_by(event)));
            prop_assert_eq!(graph.event(event).layer(), whole.event(event).layer());
        }
    }
}

#[test]
fn nodes_stay_valid_while_the_graph_grows() {
    let mut log = Log(vec![Given::new(3, &[]), Given::new(7, &[3])]);
    let mut graph = Graph::build(&log).unwrap();
    let early = node(&graph, 7);
    log.0.push(Given::new(20, &[7]));
    assert_eq!(graph.follow(&log).unwrap(), 1);
    assert_eq!(graph.event(early).id(), id(7));
    assert_eq!(numbers(graph.caused_by(early)), [2]);
    assert_eq!(graph.next_position(), 21);
    assert_eq!(graph.node_at(7), Some(early));
    assert_eq!(graph.node_at(8), None);
}

#[test]
fn correlated_gives_each_correlation_in_causal_order() {
    let correlations: [Option<EventId>; 6] = [Some(id(0)), None, Some(id(99)), Some(id(0)), Some(id(0)), Some(id(99))];
    let given = correlations
        .iter()
        .enumerate()
        .map(|(number, &correlation)| Given { correlation, ..Given::new(number as u64, &[]) });
    let graph = Graph::build(&Log(given.collect())).unwrap();
    assert_eq!(numbers(graph.correlated(&id(0))), [0, 3, 4]);
    assert_eq!(numbers(graph.correlated(&id(99))), [2, 5]);
    assert_eq!(numbers(graph.correlated(&id(1))), [0_usize; 0]);
    assert_eq!(graph.event(node(&graph, 2)).correlation(), Some(id(99)));
    assert_eq!(graph.event(node(&graph, 1)).correlation(), None);
}

#[test]
fn event_shows_what_the_source_gave() {
    let given = Given { scope: "orders".to_owned(), ..Given::new(4, &[]) };
    let graph = Graph::build(&Log(vec![given])).unwrap();
    let event = graph.event(node(&graph, 4));
    assert_eq!((event.entity(), event.scope(), event.position()), ("entity-4", "orders", 4));
    assert_eq!((event.id(), event.kind(), event.layer()), (id(4), crate::world::KIND, 0));
}
