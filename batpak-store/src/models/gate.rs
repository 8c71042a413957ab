//! Gates: the verdict and the event are one step.

use super::rig::{Rig, explore, explore_twin};
use crate::{AppendError, Denial, Durability, GateSet, defect::Defect, sync::spawn};

const BOTH: &str = "a gate that allows one of two events let both through";

/// Two appends of which a gate allows one: exactly one commits.
fn two_appends_of_which_one_is_allowed() {
    let only_one =
        GateSet::new().closure("only-one", |proposal, view| match view.revision(proposal.coordinate().entity()) {
            None => Ok(()),
            Some(_) => Err(Denial::new("TAKEN", "the entity has an event")),
        });
    let rig = Rig::new(|config| config.gates(only_one));
    let other = rig.clone();
    let thread = spawn(move || other.append("a", Durability::Buffered));
    let results = [rig.append("a", Durability::Buffered), thread.join().expect("no panic")];
    let denied = |result: &&Result<_, AppendError>| matches!(result, Err(AppendError::Denied { .. }));
    let count = (results.iter().filter(|result| result.is_ok()).count(), results.iter().filter(denied).count());
    assert!(count == (1, 1), "{BOTH}");
    rig.done();
}

#[test]
fn gate_that_allows_one_of_two_commits_exactly_one() {
    explore("gate_that_allows_one_of_two_commits_exactly_one", two_appends_of_which_one_is_allowed);
}

#[test]
#[should_panic(expected = "a gate that allows one of two events let both through")]
fn gate_that_allows_one_of_two_commits_exactly_one_twin() {
    explore_twin(Defect::GatesBeforeTheCommit, "", two_appends_of_which_one_is_allowed);
}
