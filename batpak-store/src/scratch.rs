//! What a thread keeps from one append to the next, so that the next allocates nothing: a buffer for a frame, one for associated data,
//! and the key scopes that it met last.
//!
//! Invariants: no plaintext of a sealed store stays in here, since a frame is sealed, or wiped, before its buffer comes back; what is
//! kept is bounded.

use std::cell::RefCell;

use batpak_format::{Coordinate, EventId, EventKind};
use batpak_keyset::{Granularity, KeyScope, encode_scope, scope_for};

use crate::sync::thread_local;

/// A longer buffer is not kept.
const FRAME_BYTES_MAX: usize = 64 * 1024;
/// So many key scopes are kept, each in the one place that its bytes choose. A power of two.
const SCOPES: usize = 64;

#[derive(Default)]
struct Scratch {
    frame: Vec<u8>,
    bytes: Vec<u8>,
    scopes: Vec<Option<KeyScope>>,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::new(Scratch::default());
}

/// Takes the thread's buffer for a frame, with whatever it holds.
pub(crate) fn take_frame() -> Vec<u8> {
    SCRATCH.try_with(|scratch| std::mem::take(&mut scratch.borrow_mut().frame)).unwrap_or_default()
}

/// Gives a buffer for a frame back, or another in its place; of two, the larger one is kept.
pub(crate) fn give_frame(frame: Vec<u8>) {
    // A thread that ends has no use for it.
    let _ = SCRATCH.try_with(|scratch| {
        let kept = &mut scratch.borrow_mut().frame;
        if (kept.capacity() + 1..=FRAME_BYTES_MAX).contains(&frame.capacity()) {
            *kept = frame;
        }
    });
}

/// Does the work with an empty buffer.
pub(crate) fn with_bytes<R>(work: impl FnOnce(&mut Vec<u8>) -> R) -> R {
    let mut bytes = SCRATCH.try_with(|scratch| std::mem::take(&mut scratch.borrow_mut().bytes)).unwrap_or_default();
    bytes.clear();
    let done = work(&mut bytes);
    let _ = SCRATCH.try_with(|scratch| scratch.borrow_mut().bytes = bytes);
    done
}

/// The key scope of an event; of one that the thread has met of late, without an allocation.
pub(crate) fn key_scope(granularity: Granularity, coordinate: &Coordinate, kind: EventKind, id: EventId) -> KeyScope {
    let met = SCRATCH.try_with(|scratch| {
        let Scratch { bytes, scopes, .. } = &mut *scratch.borrow_mut();
        bytes.clear();
        encode_scope(granularity, coordinate, kind, id, bytes);
        scopes.resize(SCOPES, None);
        let place = scopes.get_mut(place_of(bytes))?;
        match place {
            Some(scope) if scope.as_bytes() == bytes.as_slice() => Some(scope.clone()),
            _ => Some(place.insert(scope_for(granularity, coordinate, kind, id)).clone()),
        }
    });
    met.ok().flatten().unwrap_or_else(|| scope_for(granularity, coordinate, kind, id))
}

/// FNV-1a, folded: who makes names collide only makes them be encoded again.
fn place_of(bytes: &[u8]) -> usize {
    let hash = bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    (hash ^ hash >> 32) as usize % SCOPES
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn key_scope_is_that_of_the_event_whatever_the_thread_met_before() {
        let kind = EventKind::from_u16(0x1001);
        let id = EventId::from_key(b"x");
        for round in 0..3 {
            for n in 0..10 * SCOPES {
                let coordinate = Coordinate::new(&format!("entity-{n}"), "s").unwrap();
                for granularity in Granularity::ALL {
                    let met = key_scope(granularity, &coordinate, kind, id);
                    assert_eq!(met, scope_for(granularity, &coordinate, kind, id), "round {round}");
                }
            }
        }
    }

    #[test]
    fn take_frame_gives_what_was_given_unless_it_is_long() {
        give_frame(Vec::with_capacity(1000));
        assert_eq!((take_frame().capacity(), take_frame().capacity()), (1000, 0));
        give_frame(Vec::with_capacity(FRAME_BYTES_MAX + 1));
        assert_eq!(take_frame().capacity(), 0);
    }
}
