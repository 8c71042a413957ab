//! The fence: a key is durable before a frame under it is written, and one publication serves all who wait.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use batpak_crypto::RootSecret;
use batpak_format::{Frame, FrameSeed, KeyId, SEGMENT_HEADER_LEN};
use batpak_keyset::{CopyBytes, KeyMissing, Keyset, LoadInput, candidates};
use batpak_segment::DiskOp;

use super::rig::{DIR, Rig, explore, explore_all, explore_twin, is_keyset, is_log};
use crate::{AppendError, Durability, StoreId, defect::Defect, sync::spawn};

const ORPHAN: &str = "a frame was written before its key was durable";
const SLEEPER: &str = "an appender waits for a publication that has failed";
const TWICE: &str = "a waiter published again what was published for it";

/// The keyset of two copies.
pub(super) fn durable_keyset(a: CopyBytes<'_>, b: CopyBytes<'_>) -> Option<Keyset> {
    let candidates = candidates(&LoadInput { store: None, a, b }).ok()?;
    let root: RootSecret = candidates.header().provider.local_secret()?;
    Some(candidates.open(&root).ok()?.keyset)
}

/// Whether a keyset reserves the leaf of a key.
pub(super) fn reserves(keyset: &Keyset, key_id: KeyId) -> bool {
    let page = keyset.pages().find(|page| page.first == key_id.page());
    page.is_some_and(|page| key_id.leaf() < page.reserved)
}

/// Notes when a sealed frame reaches the disk whose leaf the durable keyset does not reserve (I1).
fn watch_frames(rig: &Rig) -> Arc<AtomicBool> {
    let orphan = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&orphan);
    let store: StoreId = rig.store.info().store;
    rig.memory.observe(Box::new(move |call| {
        let DiskOp::Write { offset, bytes } = call.op else { return };
        if !is_log(call.path) || offset < SEGMENT_HEADER_LEN as u64 {
            return;
        }
        let mut at = 0;
        while let Ok(frame) = Frame::decode(&bytes[at..], &FrameSeed { store, segment: 1, offset: offset + at as u64 })
        {
            if let Some(encryption) = frame.header().encryption() {
                let copy = |name: &str| {
                    let path = std::path::Path::new(DIR).join(name);
                    call.durable(&path).map_or(CopyBytes::Absent, CopyBytes::Bytes)
                };
                let keyset = durable_keyset(copy("keyset.a"), copy("keyset.b"));
                let keyset = keyset.expect("a whole copy is durable at every moment");
                let key_id = encryption.key_id;
                if !reserves(&keyset, key_id) || matches!(keyset.key(key_id), Err(KeyMissing::UnknownPage)) {
                    seen.store(true, Ordering::Relaxed);
                }
            }
            at += frame.len();
        }
    }));
    orphan
}

fn two_appends_watched() {
    let rig = Rig::new(|config| config);
    let orphan = watch_frames(&rig);
    let other = rig.clone();
    let thread = spawn(move || other.append("a", Durability::Buffered).map(drop));
    rig.append("b", Durability::Buffered).expect("nothing fails");
    thread.join().expect("no panic").expect("nothing fails");
    assert!(!orphan.load(Ordering::Relaxed), "{ORPHAN}");
    rig.done();
}

#[test]
fn key_is_durable_before_frame() {
    explore("key_is_durable_before_frame", two_appends_watched);
}

#[test]
#[should_panic(expected = "a frame was written before its key was durable")]
fn key_is_durable_before_frame_twin() {
    explore_twin(Defect::FenceOpen, "", two_appends_watched);
}

fn publications_refused() {
    let rig = Rig::new(|config| config);
    let orphan = watch_frames(&rig);
    rig.fail(|call| is_keyset(call.path) && matches!(call.op, DiskOp::Write { .. }));
    let other = rig.clone();
    let thread = spawn(move || other.append("a", Durability::Buffered));
    let results = [rig.append("b", Durability::Buffered), thread.join().expect("no panic")];
    assert!(!orphan.load(Ordering::Relaxed), "{ORPHAN}");
    for result in results {
        assert!(matches!(result, Err(AppendError::KeyNotDurable(_))), "an append was not refused: {result:?}");
    }
    assert_eq!(rig.store.stats().events, 1, "only the genesis event stands in the log");
    rig.done();
}

#[test]
fn failed_publication_stops_every_appender() {
    explore_all("failed_publication_stops_every_appender", publications_refused);
}

#[test]
#[should_panic(expected = "a frame was written before its key was durable")]
fn failed_publication_stops_every_appender_twin() {
    explore_twin(Defect::FailedPublicationAccepted, SLEEPER, publications_refused);
}

#[test]
#[should_panic(expected = "an appender waits for a publication that has failed")]
fn failed_publication_wakes_every_appender_twin() {
    explore_twin(Defect::PublicationWakesNobody, SLEEPER, publications_refused);
}

fn publications_counted() {
    let rig = Rig::new(|config| config);
    let published = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&published);
    rig.memory.observe(Box::new(move |call| {
        if is_keyset(call.path) && matches!(call.op, DiskOp::SyncData) {
            counted.fetch_add(1, Ordering::Relaxed);
        }
    }));
    let other = rig.clone();
    let thread = spawn(move || other.append("a", Durability::Buffered).map(drop));
    rig.append("b", Durability::Buffered).expect("nothing fails");
    thread.join().expect("no panic").expect("nothing fails");
    // Two syncs a publication. The first reservation covers 64 leaves, so a second publication is never needed.
    assert!(published.load(Ordering::Relaxed) == 2, "{TWICE}");
    rig.done();
}

#[test]
fn one_publication_serves_all_waiters() {
    explore("one_publication_serves_all_waiters", publications_counted);
}

#[test]
#[should_panic(expected = "a waiter published again what was published for it")]
fn one_publication_serves_all_waiters_twin() {
    explore_twin(Defect::PublishAlways, "", publications_counted);
}
