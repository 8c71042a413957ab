//! The pipeline: acknowledged means synced, a failure wakes everybody, readers stay below the visible mark, rolls and close lose nothing.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use batpak_segment::DiskOp;

use super::rig::{Rig, explore, explore_all, explore_twin, is_log};
use crate::{AppendError, Durability, Query, defect::Defect, sync::spawn};

const UNSYNCED: &str = "an append was acknowledged that a crash would lose";
const ASLEEP: &str = "a waiter sleeps on after a failed sync";
const UNWRITTEN: &str = "a reader saw an event that was not written";
const CLOSED: &str = "close lost an event that was acknowledged";
const LOST: &str = "a roll lost an event";

/// After a synced append returns, a crash leaves it.
fn crash_after_ack() {
    let rig = Rig::new(|config| config);
    let other = rig.clone();
    let thread = spawn(move || other.append("a", Durability::Synced).map(drop));
    let receipt = rig.append("b", Durability::Synced).expect("nothing fails");
    let left = rig.memory.copy();
    thread.join().expect("no panic").expect("nothing fails");
    left.crash();
    let segment = std::path::Path::new("/store/segments/00000000000000000001.seg");
    let file =
        batpak_segment::Disk::open(&left, segment, batpak_segment::Access::Read).expect("the segment is durable");
    let mut bytes = vec![0; usize::try_from(file.len().expect("it has a length")).expect("it is small")];
    file.read_exact_at(&mut bytes, 0).expect("it reads");
    let id = receipt.id.as_bytes();
    assert!(bytes.windows(id.len()).any(|window| window == id), "{UNSYNCED}");
    rig.done();
}

#[test]
fn acked_means_synced() {
    explore("acked_means_synced", crash_after_ack);
}

#[test]
#[should_panic(expected = "an append was acknowledged that a crash would lose")]
fn acked_means_synced_twin() {
    explore_twin(Defect::AckBeforeSync, "", crash_after_ack);
}

/// The first sync of the log fails: nobody is acknowledged, everybody wakes.
fn sync_refused() {
    let rig = Rig::new(|config| config);
    rig.append("warm", Durability::Buffered).expect("nothing fails yet");
    let failed = AtomicBool::new(false);
    rig.fail(move |call| {
        is_log(call.path) && matches!(call.op, DiskOp::SyncData) && !failed.swap(true, Ordering::Relaxed)
    });
    let poisoned = |result| {
        assert!(matches!(result, Err(AppendError::Poisoned(_))), "acknowledged after a failed sync: {result:?}")
    };
    let other = rig.clone();
    let thread = spawn(move || other.append("a", Durability::Synced));
    poisoned(rig.append("b", Durability::Synced));
    poisoned(thread.join().expect("no panic"));
}

#[test]
fn failed_sync_wakes_every_waiter() {
    explore("failed_sync_wakes_every_waiter", sync_refused);
}

#[test]
#[should_panic(expected = "a waiter sleeps on after a failed sync")]
fn failed_sync_wakes_every_waiter_twin() {
    explore_twin(Defect::FailedSyncWakesNobody, ASLEEP, sync_refused);
}

/// A reader beside an append that is refused by the disk sees nothing of it.
fn read_beside_a_refused_write() {
    let rig = Rig::new(|config| config);
    rig.append("warm", Durability::Buffered).expect("nothing fails yet");
    rig.fail(|call| {
        is_log(call.path) && matches!(call.op, DiskOp::Write { bytes, .. } if bytes.iter().any(|byte| *byte != 0))
    });
    let other = rig.clone();
    let thread = spawn(move || other.append("a", Durability::Buffered));
    let seen = rig.store.read(&Query::all().headers_only(true)).expect("it reads").filter(Result::is_ok).count();
    let refused = thread.join().expect("no panic");
    assert!(seen == 1, "{UNWRITTEN}");
    assert!(matches!(refused, Err(AppendError::NotWritten(_))), "a write that failed was acknowledged");
    rig.done();
}

#[test]
fn reader_never_sees_past_the_visible_mark() {
    explore_all("reader_never_sees_past_the_visible_mark", read_beside_a_refused_write);
}

#[test]
#[should_panic(expected = "a reader saw an event that was not written")]
fn reader_never_sees_past_the_visible_mark_twin() {
    explore_twin(Defect::VisibleWhenPlaced, "", read_beside_a_refused_write);
}

/// Two appends of which each fills a segment: both are there afterwards.
fn rolls() {
    let rig = Rig::new(|config| config.segment_bytes(0));
    let filler = vec![7; 4000];
    let other = rig.clone();
    let payload = filler.clone();
    let append = |rig: &Rig, entity: &str, payload: &[u8]| {
        let coordinate = crate::Coordinate::new(entity, "s").expect("a valid name");
        let kind = crate::EventKind::new(1, 1).expect("a valid kind");
        rig.store.append(&crate::NewEvent::new(coordinate, kind, payload).durability(Durability::Buffered)).map(drop)
    };
    let thread = spawn(move || append(&other, "a", &payload));
    append(&rig, "b", &filler).expect("nothing fails");
    thread.join().expect("no panic").expect("nothing fails");
    let read = rig.store.read(&Query::all()).expect("it reads").filter(Result::is_ok).count();
    assert!(read == 2 && rig.store.stats().segments == 3, "{LOST}");
    rig.done();
}

#[test]
fn roll_loses_no_event() {
    explore("roll_loses_no_event", rolls);
}

#[test]
#[should_panic(expected = "a roll lost an event")]
fn roll_loses_no_event_twin() {
    explore_twin(Defect::RollSkipped, "", rolls);
}

/// One thread appends while another closes: both return, and what was acknowledged is durable.
fn close_beside_an_append() {
    let rig = Rig::new(|config| config.in_flight_bytes_max(1));
    let other = rig.clone();
    let acknowledged = Arc::new(AtomicBool::new(false));
    let noted = Arc::clone(&acknowledged);
    let thread = spawn(move || {
        let result = other.append("a", Durability::Deferred);
        noted.store(result.is_ok(), Ordering::Relaxed);
        assert!(matches!(result, Ok(_) | Err(AppendError::Closed)), "an append beside close ended with {result:?}");
    });
    let writer = rig.store.writer().expect("it is a writer");
    writer.close().expect("nothing fails");
    thread.join().expect("no panic");
    let events = rig.store.stats().durable_mark.expect("it is a writer");
    let expected = if acknowledged.load(Ordering::Relaxed) { 2 } else { 1 };
    assert!(events == expected, "{CLOSED}");
    rig.done();
}

#[test]
fn close_wakes_everyone() {
    explore("close_wakes_everyone", close_beside_an_append);
}

#[test]
#[should_panic(expected = "close lost an event that was acknowledged")]
fn close_wakes_everyone_twin() {
    explore_twin(Defect::AppendAfterClose, "", close_beside_an_append);
}
