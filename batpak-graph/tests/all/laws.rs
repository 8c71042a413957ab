//! The laws of a partial order, and every query against the slow model.

use batpak_graph::{Graph, Limits, Node, Relation};
use proptest::prelude::*;

use crate::world::{Model, Random, causes, graph, node, numbers, random_log};

fn pairs(len: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..len).flat_map(move |first| (0..len).map(move |second| (first, second)))
}

fn at(graph: &Graph, number: usize) -> Node {
    node(graph, number as u64)
}

fn members(set: u64) -> Vec<usize> {
    (0..64).filter(|&event| set >> event & 1 == 1).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn relation_is_a_partial_order_and_the_models(causes in causes()) {
        let model = Model::new(causes);
        let graph = model.graph();
        let len = graph.len();
        for (first, second) in pairs(len) {
            let expected = match (first == second, model.is_ancestor(first, second), model.is_ancestor(second, first)) {
                (true, false, false) => Relation::Same,
                (false, true, false) => Relation::Before,
                (false, false, true) => Relation::After,
                (false, false, false) => Relation::Concurrent,
                impossible => return Err(TestCaseError::fail(format!("{impossible:?}"))),
            };
            prop_assert_eq!(graph.relation(at(&graph, first), at(&graph, second)), expected);
        }
        for (first, second) in pairs(len).filter(|&(a, b)| graph.is_ancestor(at(&graph, a), at(&graph, b))) {
            prop_assert!(!graph.is_ancestor(at(&graph, second), at(&graph, first)));
            for third in (0..len).filter(|&c| graph.is_ancestor(at(&graph, second), at(&graph, c))) {
                prop_assert!(graph.is_ancestor(at(&graph, first), at(&graph, third)));
            }
        }
    }

    #[test]
    fn ancestors_and_descendants_are_the_models(causes in causes()) {
        let model = Model::new(causes);
        let graph = model.graph();
        for event in 0..graph.len() {
            let mut past = members(model.past[event]);
            past.reverse();
            prop_assert_eq!(numbers(graph.ancestors(at(&graph, event))), past);
            let future: Vec<usize> = (0..graph.len()).filter(|&later| model.is_ancestor(event, later)).collect();
            prop_assert_eq!(numbers(graph.descendants(at(&graph, event))), future);
        }
    }

    #[test]
    fn past_and_future_are_nearest_first_and_keep_their_limits(causes in causes(), depth_max in 0_u32..6, events_max in 0_usize..12) {
        let model = Model::new(causes);
        let graph = model.graph();
        let limits = Limits { depth_max, events_max };
        for event in 0..graph.len() {
            let distance = |other: usize| model.distance(event.min(other), event.max(other));
            for is_past in [true, false] {
                let search = |limits| if is_past { graph.past(at(&graph, event), limits) } else { graph.future(at(&graph, event), limits) };
                let whole: Vec<_> = search(Limits::default()).collect();
                prop_assert!(whole.is_sorted_by_key(|reached| reached.depth));
                for reached in &whole {
                    prop_assert_eq!(distance(reached.node.index()), Some(reached.depth));
                }
                let expected = (0..graph.len()).filter(|&other| if is_past { model.is_ancestor(other, event) } else { model.is_ancestor(event, other) });
                prop_assert_eq!(whole.len(), expected.count());
                let mut limited = search(limits);
                let found: Vec<_> = limited.by_ref().collect();
                let within = whole.iter().filter(|reached| reached.depth <= depth_max).take(events_max);
                prop_assert!(found.iter().eq(within));
                prop_assert_eq!(limited.is_limited(), found.len() < whole.len());
            }
        }
    }

    #[test]
    fn common_ancestors_are_the_latest_of_the_models(causes in causes()) {
        let model = Model::new(causes);
        let graph = model.graph();
        for (first, second) in pairs(graph.len()) {
            let both = (model.past[first] | 1 << first) & (model.past[second] | 1 << second);
            let covered = members(both).into_iter().fold(0, |set, event| set | model.past[event]);
            let mut expected = members(both & !covered);
            expected.reverse();
            prop_assert_eq!(numbers(graph.common_ancestors(at(&graph, first), at(&graph, second))), expected);
        }
    }

    #[test]
    fn paths_are_chains_and_all_of_them(causes in causes(), causes_max in 0_u32..8) {
        let model = Model::new(causes);
        let graph = model.graph();
        for (first, second) in pairs(graph.len()) {
            let (earlier, later) = (at(&graph, first), at(&graph, second));
            let shortest = graph.path_shortest(earlier, later);
            let distance = model.distance(first, second);
            prop_assert_eq!(shortest.as_ref().map(|path| path.len() as u32 - 1), distance);
            let mut paths: Vec<Vec<Node>> = graph.paths(earlier, later, causes_max).collect();
            prop_assert_eq!(paths.len(), model.paths(first, second, causes_max));
            for path in paths.iter().chain(&shortest) {
                prop_assert_eq!((path[0], path[path.len() - 1]), (earlier, later));
                for step in path.windows(2) {
                    prop_assert!(graph.causes(step[1]).any(|cause| cause == step[0]));
                }
            }
            paths.sort();
            paths.dedup();
            prop_assert_eq!(paths.len(), model.paths(first, second, causes_max));
            let on_path = (0..graph.len()).filter(|&event| {
                (event == first || model.is_ancestor(first, event)) && (event == second || model.is_ancestor(event, second))
            });
            prop_assert_eq!(numbers(graph.between(earlier, later)), on_path.collect::<Vec<_>>());
        }
    }

    #[test]
    fn order_layers_and_chain_follow_the_causes(causes in causes()) {
        let model = Model::new(causes);
        let graph = model.graph();
        let order = numbers(graph.order());
        prop_assert_eq!(&order, &(0..graph.len()).collect::<Vec<_>>());
        let layers = graph.layers();
        prop_assert_eq!(layers.iter().map(<[Node]>::len).sum::<usize>(), graph.len());
        for (layer, nodes) in layers.iter().enumerate() {
            prop_assert!(nodes.is_sorted() && !nodes.is_empty());
            for &node in nodes {
                prop_assert_eq!(graph.event(node).layer() as usize, layer);
                let above = graph.causes(node).map(|cause| graph.event(cause).layer() as usize + 1).max();
                prop_assert_eq!(above.unwrap_or(0), layer);
            }
        }
        let chain = graph.chain_longest();
        prop_assert_eq!(chain.len(), layers.len());
        for step in chain.windows(2) {
            prop_assert!(graph.causes(step[1]).any(|cause| cause == step[0]));
        }
        let heads = (0..graph.len()).filter(|&event| !model.past.iter().any(|past| past >> event & 1 == 1));
        prop_assert_eq!(numbers(graph.heads()), heads.collect::<Vec<_>>());
        let roots = (0..graph.len()).filter(|&event| model.causes[event].is_empty());
        prop_assert_eq!(numbers(graph.roots()), roots.collect::<Vec<_>>());
    }

    #[test]
    fn caused_by_is_the_converse_of_causes(causes in causes()) {
        let model = Model::new(causes);
        let graph = model.graph();
        for event in graph.nodes() {
            let expected = graph.nodes().filter(|&effect| graph.causes(effect).any(|cause| cause == event));
            prop_assert!(graph.caused_by(event).eq(expected));
            let named: Vec<u64> = graph.causes(event).map(|cause| cause.index() as u64).collect();
            prop_assert_eq!(&named, &model.causes[event.index()]);
        }
    }
}

#[test]
fn common_ancestors_of_a_criss_cross_are_two() {
    let graph = graph(&[&[], &[0], &[0], &[1, 2], &[2, 1]]);
    assert_eq!(numbers(graph.common_ancestors(node(&graph, 3), node(&graph, 4))), [2, 1]);
    assert_eq!(numbers(graph.common_ancestors(node(&graph, 3), node(&graph, 1))), [1]);
    assert_eq!(numbers(graph.common_ancestors(node(&graph, 4), node(&graph, 4))), [4]);
}

#[test]
fn common_ancestors_of_strangers_are_none() {
    let graph = graph(&[&[], &[], &[0], &[1]]);
    assert_eq!(numbers(graph.common_ancestors(node(&graph, 2), node(&graph, 3))), [0_usize; 0]);
}

#[test]
fn is_ancestor_agrees_with_ancestors_where_the_dive_gives_up() {
    for (window, seed) in [(2_000, 1), (20_000, 2), (3, 3)] {
        let graph = Graph::build(&random_log(20_000, window, seed)).unwrap();
        let mut random = Random::new(seed + 10);
        for _ in 0..12 {
            let later = node(&graph, random.below(20_000));
            let past: std::collections::HashSet<Node> = graph.ancestors(later).collect();
            for _ in 0..200 {
                let earlier = node(&graph, random.below(20_000));
                assert_eq!(graph.is_ancestor(earlier, later), past.contains(&earlier));
            }
        }
    }
}
