//! The shred: ordered with appends, nothing is placed under a key that it destroys, and nobody holds one when it returns.

use std::sync::Arc;

use super::rig::{Rig, explore, explore_all, explore_twin};
use crate::{
    AppendError, Coordinate, Durability, EventId, EventKind, Granularity, Payload, Selector, ShredError,
    defect::Defect,
    sync::{AtomicBool, Ordering, spawn},
};

const LOST: &str = "an acknowledged event is neither open nor shredded";
const OPEN: &str = "an event acknowledged before the shred still opens";
const HELD: &str = "a destroyed key is still lent when its shred has returned";
const UNPLANNED: &str = "a plan was carried out that no longer held";

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

/// One thread appends to a key scope while another carries out a plan of its shred: the plan's events are destroyed and the append is
/// refused, or nothing is and the append is there.
fn append_beside_a_planned_shred() {
    let rig = Rig::new(|config| config.granularity(Granularity::Entity));
    rig.append("a", Durability::Buffered).expect("nothing fails");
    let selectors = [Selector::Entity("a".into())];
    let plan = rig.store.plan_shred(&selectors).expect("nothing fails");
    let other = rig.clone();
    let thread = spawn(move || other.append("a", Durability::Buffered));
    let shred = rig.store.shred_planned(&selectors, &plan.hash, 0, "");
    match (thread.join().expect("no panic"), shred) {
        (Err(AppendError::ScopeShredded), Ok(_)) => {}
        (Ok(receipt), Err(ShredError::PlanChanged { .. })) => {
            let event = rig.store.get(receipt.id).expect("it reads").expect("it is there");
            assert!(matches!(event.payload, Payload::Open(_)), "{LOST}");
        }
        (append, shred) => panic!("{UNPLANNED}: {append:?}, {shred:?}"),
    }
    rig.done();
}

/// One thread holds a key scope while another shreds it: the hold stands before the intent, and it is withheld, or behind the completion.
fn hold_beside_a_shred() {
    let rig = Rig::new(|config| config.granularity(Granularity::Entity));
    rig.append("a", Durability::Buffered).expect("nothing fails");
    let other = rig.clone();
    let thread = spawn(move || other.store.hold(&Selector::Entity("a".into()), ""));
    let shred = rig.store.shred(&[Selector::Entity("a".into())], 0, "");
    let held = thread.join().expect("no panic").expect("nothing fails");
    match shred {
        Ok(shredding) => assert!(held > shredding.completion, "a hold stands inside a shred"),
        Err(why) => assert!(matches!(why, ShredError::Withheld { .. }), "a shred was refused with {why:?}"),
    }
    rig.done();
}

#[test]
fn hold_and_shred_are_ordered() {
    explore("hold_and_shred_are_ordered", hold_beside_a_shred);
}

#[test]
fn planned_shred_destroys_what_was_planned_or_nothing() {
    explore("planned_shred_destroys_what_was_planned_or_nothing", append_beside_a_planned_shred);
}

#[test]
#[should_panic(expected = "a plan was carried out that no longer held")]
fn planned_shred_destroys_what_was_planned_or_nothing_twin() {
    explore_twin(Defect::PlanUnchecked, "", append_beside_a_planned_shred);
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

/// One thread is lent a key, as the second step of an append is, while another shreds its key scope.
fn lent_beside_a_shred() {
    let rig = Rig::new(|config| config.granularity(Granularity::Entity));
    rig.append("a", Durability::Buffered).expect("nothing fails");
    let held = Arc::new(AtomicBool::new(false));
    let (other, in_hand) = (rig.clone(), Arc::clone(&held));
    let thread = spawn(move || {
        let at = Coordinate::new("a", "s").expect("a valid name");
        let kind = EventKind::new(1, 1).expect("a valid kind");
        let keys = other.store.keys().expect("the store is sealed");
        match keys.lend(&at, kind, EventId::from_bytes([7; 16]), other.store.view()) {
            Ok(lent) => {
                in_hand.store(true, Ordering::SeqCst);
                in_hand.store(false, Ordering::SeqCst);
                drop(lent);
            }
            Err(why) => assert!(matches!(why, AppendError::ScopeShredded), "a key was refused with {why:?}"),
        }
    });
    rig.store.shred(&[Selector::Entity("a".into())], 0, "").expect("nothing fails");
    assert!(!held.load(Ordering::SeqCst), "{HELD}");
    thread.join().expect("no panic");
    rig.done();
}

#[test]
fn key_guard_outlives_no_shred() {
    explore_all("key_guard_outlives_no_shred", lent_beside_a_shred);
}

#[test]
#[should_panic(expected = "a destroyed key is still lent when its shred has returned")]
fn key_guard_outlives_no_shred_twin() {
    explore_twin(Defect::GuardsNotAwaited, "", lent_beside_a_shred);
}

/// One thread reads an event while another shreds it.
fn read_beside_a_shred() {
    let rig = Rig::new(|config| config.granularity(Granularity::Entity));
    let id = rig.append("a", Durability::Buffered).expect("nothing fails").id;
    let other = rig.clone();
    let thread = spawn(move || other.store.get(id).expect("it reads").expect("it is there"));
    rig.store.shred(&[Selector::Entity("a".into())], 0, "").expect("nothing fails");
    let event = thread.join().expect("no panic");
    assert!(!matches!(event.payload, Payload::KeyLost(_)), "{LOST}");
    rig.done();
}

#[test]
fn reader_beside_a_shred_sees_it_open_or_shredded() {
    explore("reader_beside_a_shred_sees_it_open_or_shredded", read_beside_a_shred);
}

#[test]
#[should_panic(expected = "an acknowledged event is neither open nor shredded")]
fn reader_beside_a_shred_sees_it_open_or_shredded_twin() {
    explore_twin(Defect::ProofAskedOnce, "", read_beside_a_shred);
}
