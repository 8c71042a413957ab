//! Foreign sources that lie, and questions about what is not there.

use std::io;
use std::ops::ControlFlow;

use batpak_format::{Cause, Causes, CausesError, EdgeSource, EventEdges};
use batpak_graph::{CauseUnfollowed, Fault, FollowError, Graph, GraphError, Unfollowed};

use crate::world::{Given, Log, graph, id, known, node, numbers};

#[test]
fn id_that_is_not_there_is_a_typed_error() {
    let graph = graph(&[&[]]);
    assert!(matches!(graph.node(&id(9)), Err(GraphError::UnknownEvent { id: found }) if found == id(9)));
    assert!(matches!(Graph::new().node(&id(0)), Err(GraphError::UnknownEvent { .. })));
}

#[test]
fn dangling_cause_is_named() {
    let graph = Graph::build(&Log(vec![Given::new(0, &[]), Given::new(1, &[0, 77])])).unwrap();
    let expected = Fault::UnknownCause { event: id(1), position: 1, cause: id(77) };
    assert_eq!(graph.verify(), Err(expected.clone()));
    assert_eq!(graph.faults().collect::<Vec<_>>(), [expected]);
    assert_eq!(numbers(graph.causes(node(&graph, 1))), [0]);
}

#[test]
fn external_cause_is_not_looked_up() {
    let external = |number| Cause { id: id(number), external: true };
    let log = Log(vec![Given::new(0, &[]), Given::with(1, vec![external(0), external(77)])]);
    let graph = Graph::build(&log).unwrap();
    assert_eq!(graph.verify(), Ok(()));
    assert_eq!(numbers(graph.roots()), [0, 1]);
    let kept: Vec<CauseUnfollowed> = graph.causes_unfollowed(node(&graph, 1)).collect();
    let expected = [id(0), id(77)].map(|id| CauseUnfollowed { id, reason: Unfollowed::External });
    assert_eq!(kept, expected);
}

#[test]
fn self_cause_is_named_and_not_followed() {
    let graph = graph(&[&[], &[1, 0]]);
    let faults: Vec<Fault> = graph.faults().collect();
    assert_eq!(faults, [Fault::SelfCause { event: id(1), position: 1 }]);
    assert!(!graph.is_ancestor(node(&graph, 1), node(&graph, 1)));
    assert_eq!(numbers(graph.ancestors(node(&graph, 1))), [0]);
}

#[test]
fn cause_later_than_its_effect_is_named_and_not_followed() {
    let graph = graph(&[&[1], &[]]);
    let later = Fault::CauseLater { event: id(0), position: 0, cause: id(1), cause_position: 1 };
    assert_eq!(graph.faults().collect::<Vec<_>>(), [later]);
    assert!(!graph.is_ancestor(node(&graph, 1), node(&graph, 0)));
}

#[test]
fn cycle_is_named_and_every_search_ends() {
    let graph = graph(&[&[], &[0, 3], &[1], &[2], &[3]]);
    let faults: Vec<Fault> = graph.faults().collect();
    let circle = Box::new([id(1), id(3), id(2)]);
    assert_eq!(
        faults,
        [
            Fault::CauseLater { event: id(1), position: 1, cause: id(3), cause_position: 3 },
            Fault::Cycle { event: id(1), position: 1, circle },
        ]
    );
    assert_eq!(
        faults[1].to_string(),
        format!("event {} at position 1 follows from itself through 2 other events", id(1))
    );
    assert_eq!(numbers(graph.ancestors(node(&graph, 4))), [3, 2, 1, 0]);
    assert_eq!(numbers(graph.descendants(node(&graph, 1))), [2, 3, 4]);
}

#[test]
fn each_group_of_a_cyclic_source_gives_its_shortest_circle() {
    // 0 and 1 cause each other; 2, 3, 4 go around, with a shorter way over 2 and 3; 5 stands apart.
    let graph = graph(&[&[1], &[0], &[1, 4, 3], &[2], &[3], &[4]]);
    let circle = |fault| match fault {
        Fault::Cycle { circle, .. } => Some(circle.to_vec()),
        _ => None,
    };
    let circles: Vec<_> = graph.faults().filter_map(circle).collect();
    assert_eq!(circles, [vec![id(0), id(1)], vec![id(2), id(3)]]);
}

#[test]
fn circle_of_the_whole_log_needs_no_recursion() {
    let len = 200_000;
    let mut log = Log((0..len)
        .map(|number| Given::new(number, &number.checked_sub(1).map_or(vec![len - 1], |cause| vec![cause])))
        .collect());
    log.0[0] = Given::with(0, vec![known(len - 1)]);
    let graph = Graph::build(&log).unwrap();
    let faults: Vec<Fault> = graph.faults().collect();
    assert!(
        matches!(&faults[..], [Fault::CauseLater { .. }, Fault::Cycle { circle, .. }] if circle.len() == len as usize)
    );
}

#[test]
fn id_given_twice_is_refused_and_changes_nothing() {
    let mut log = Log(vec![Given::new(0, &[]), Given::new(1, &[0])]);
    log.0.push(Given { position: 2, ..Given::new(0, &[1]) });
    let mut graph = Graph::new();
    for _ in 0..2 {
        let refused = graph.follow(&log);
        assert!(matches!(
            refused,
            Err(FollowError::Event(GraphError::DuplicateId { id: twice, position: 2, first: 0 })) if twice == id(0)
        ));
        assert_eq!((graph.len(), graph.edges_len(), graph.next_position()), (2, 1, 2));
    }
}

#[test]
fn positions_that_do_not_rise_are_refused() {
    let mut graph = graph(&[&[], &[]]);
    for position in [0, 1] {
        let late = Given { position, ..Given::new(5, &[]) };
        assert!(matches!(
            graph.push(&late.edges()),
            Err(GraphError::PositionNotRising { id: found, position: at, previous: 1 }) if found == id(5) && at == position
        ));
    }
    assert_eq!(graph.len(), 2);
}

#[test]
fn highest_position_is_taken() {
    let mut graph = Graph::new();
    let last = Given { position: u64::MAX, ..Given::new(1, &[]) };
    assert!(graph.push(&last.edges()).is_ok());
    assert_eq!(graph.next_position(), u64::MAX);
}

#[test]
fn sixty_five_causes_are_refused_and_sixty_four_taken() {
    let causes = |count| Causes::new((0..count).map(known).collect());
    assert!(matches!(causes(65), Err(CausesError::TooMany { count: 65 })));
    let mut given: Vec<Given> = (0..64).map(|number| Given::new(number, &[])).collect();
    given.push(Given { causes: causes(64).unwrap(), ..Given::new(64, &[]) });
    let graph = Graph::build(&Log(given)).unwrap();
    assert_eq!(graph.causes(node(&graph, 64)).len(), 64);
    assert_eq!(graph.ancestors(node(&graph, 64)).count(), 64);
}

/// Fails after one event.
struct Failing;

impl EdgeSource for Failing {
    type Error = io::Error;

    fn edges(&self, _: u64, visit: &mut dyn FnMut(EventEdges<'_>) -> ControlFlow<()>) -> Result<u64, io::Error> {
        let given = Given::new(0, &[]);
        assert!(visit(given.edges()).is_continue());
        Err(io::ErrorKind::UnexpectedEof.into())
    }
}

#[test]
fn failing_source_keeps_what_it_gave() {
    let mut graph = Graph::new();
    let failed = graph.follow(&Failing);
    assert!(matches!(failed, Err(FollowError::Source(error)) if error.kind() == io::ErrorKind::UnexpectedEof));
    assert_eq!((graph.len(), graph.next_position()), (1, 1));
}

#[test]
#[should_panic(expected = "the node is of another graph")]
fn node_of_a_longer_graph_panics() {
    let longer = graph(&[&[], &[]]);
    let _ = graph(&[&[]]).event(node(&longer, 1));
}
