//! The shred: ordered with appends, and nothing is placed under a key that it destroys.

use super::rig::{Rig, explore, explore_twin};
use crate::{AppendError, Durability, Granularity, Payload, Selector, defect::Defect, sync::spawn};

const LOST: &str = "an acknowledged event is neither open nor shredded";
const OPEN: &str = "an event acknowledged before the shred still opens";

/// One thread appends to a key scope while another shreds it: what was acknowledged reads as shredded, or was refused.
fn append_beside_a_shred(first: bool) {
    let rig = Rig::new(|config| config.granularity(Granularity::Entity));
    if first {
        rig.append("a", Durability::Buffered).expect("nothing fails");
    }
    let other = rig.clone();
    let thread = spawn(move || other.append("a", Durability::Buffered));
    rig.store.shred(&[Selector::Entity("a".into())], 0, "").expect("nothing fails");
    match thread.join().expect("no panic") {
        Ok(receipt) => {
            let event = rig.store.get(receipt.id).expect("it reads").expect("it is there");
            assert!(!matches!(event.payload, Payload::KeyLost(_)), "{LOST}");
            assert!(matches!(event.payload, Payload::Shredded(_)), "{OPEN}");
        }
        Err(why) => assert!(matches!(why, AppendError::ScopeShredded), "an append was refused with {why:?}"),
    }
    rig.done();
}

#[test]
fn shred_and_append_are_ordered() {
    explore("shred_and_append_are_ordered", || append_beside_a_shred(true));
}

#[test]
fn shred_and_the_first_append_of_its_scope_are_ordered() {
    explore("shred_and_the_first_append_of_its_scope_are_ordered", || append_beside_a_shred(false));
}

#[test]
#[should_panic(expected = "an acknowledged event is neither open nor shredded")]
fn append_never_frames_under_a_destroyed_key_twin() {
    explore_twin(Defect::CondemnedPlaced, "", || append_beside_a_shred(true));
}
