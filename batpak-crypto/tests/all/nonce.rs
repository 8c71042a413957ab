//! Nonces: never twice, at most 42 ahead, dropped on a fork, none when entropy fails.

use std::collections::HashSet;

use batpak_crypto::{Entropy, EntropyError, NONCE_LEN, NONCES_BUFFERED_MAX, Nonce, NonceBuffer, NonceMode};

use crate::entropy::Counting;

#[test]
fn nonce_buffer_draws_42_at_a_time() {
    let source = Counting::new();
    let mut nonces = NonceBuffer::new(NonceMode::Buffered);
    assert_eq!(nonces.buffered(), 0);
    let mut seen = HashSet::new();
    for round in 0..5 {
        for taken in 1..=NONCES_BUFFERED_MAX {
            assert!(seen.insert(nonces.next(&source, 7).unwrap()));
            assert_eq!(source.calls(), round + 1);
            assert_eq!(nonces.buffered(), NONCES_BUFFERED_MAX - taken);
        }
    }
    assert_eq!(source.bytes(), 5 * 1024);
    assert_eq!((NONCES_BUFFERED_MAX, NONCE_LEN), (42, 24));
}

#[test]
fn draw_takes_other_bytes_from_the_same_buffer_and_none_twice() {
    let (source, same) = (Counting::new(), Counting::new());
    let mut nonces = NonceBuffer::new(NonceMode::Buffered);
    for refill in 1..=2 {
        let mut expected = [0; 1024];
        same.fill(&mut expected).unwrap();
        let mut left = expected.as_slice();
        // 34 bytes a round: thirty rounds are one buffer, and its last four bytes are dropped.
        for _ in 0..30 {
            let drawn: [u8; 10] = nonces.draw(&source, 7).unwrap();
            let nonce = nonces.next(&source, 7).unwrap();
            for handed_out in [&drawn[..], nonce.as_bytes()] {
                left = left.strip_suffix(handed_out).unwrap();
            }
            assert_eq!((source.calls(), source.bytes()), (refill, 1024 * refill));
        }
        assert_eq!(left.len(), 4);
    }
    let mut alone = NonceBuffer::new(NonceMode::PerCall);
    let drawn: [u8; 10] = alone.draw(&source, 7).unwrap();
    assert_eq!((source.bytes(), alone.buffered(), drawn == [0; 10]), (2 * 1024 + 10, 0, false));
}

#[test]
fn nonce_buffer_is_dropped_when_the_process_changes() {
    let source = Counting::new();
    let mut nonces = NonceBuffer::new(NonceMode::Buffered);
    let mut seen = HashSet::new();
    assert!(seen.insert(nonces.next(&source, 7).unwrap()));
    assert_eq!(nonces.buffered(), 41);
    assert!(seen.insert(nonces.next(&source, 8).unwrap()));
    assert_eq!((source.calls(), nonces.buffered()), (2, 41));
    // And back: what was drawn under 7 is gone.
    assert!(seen.insert(nonces.next(&source, 7).unwrap()));
    assert_eq!((source.calls(), nonces.buffered()), (3, 41));
    assert!(seen.insert(nonces.next(&source, 7).unwrap()));
    assert_eq!((source.calls(), nonces.buffered()), (3, 40));
}

#[test]
fn nonce_buffer_draws_again_in_a_process_with_id_zero() {
    let source = Counting::new();
    let mut nonces = NonceBuffer::new(NonceMode::Buffered);
    let first = nonces.next(&source, 0).unwrap();
    assert_eq!(source.calls(), 1);
    assert_ne!(first.as_bytes(), &[0; 24]);
}

#[test]
fn per_call_draws_each_nonce_alone() {
    let source = Counting::new();
    let mut nonces = NonceBuffer::new(NonceMode::PerCall);
    let mut seen = HashSet::new();
    for call in 1..=40 {
        assert!(seen.insert(nonces.next(&source, 7).unwrap()));
        assert_eq!((source.calls(), source.bytes()), (call, call * 24));
        assert_eq!(nonces.buffered(), 0);
    }
}

#[test]
fn failing_entropy_gives_an_error_and_leaves_the_buffer_empty() {
    for mode in [NonceMode::Buffered, NonceMode::PerCall] {
        let dead = Counting::failing_after(0);
        let mut nonces = NonceBuffer::new(mode);
        for call in 1..=3 {
            assert!(matches!(nonces.next(&dead, 7), Err(e) if e == EntropyError::new(Some(5))));
            assert_eq!((dead.calls(), nonces.buffered()), (call, 0));
        }
        // It recovers with the source, from fresh bytes.
        let source = Counting::new();
        assert!(nonces.next(&source, 7).is_ok());
        assert_eq!(source.calls(), 1);
    }
}

#[test]
fn nonce_buffer_hands_out_what_it_holds_before_a_failing_refill() {
    let source = Counting::failing_after(1);
    let mut nonces = NonceBuffer::new(NonceMode::Buffered);
    for _ in 0..NONCES_BUFFERED_MAX {
        nonces.next(&source, 7).unwrap();
    }
    assert!(nonces.next(&source, 7).is_err());
    assert!(nonces.next(&source, 7).is_err());
}

#[test]
fn failing_refill_after_a_fork_hands_out_nothing_of_the_parent() {
    let source = Counting::failing_after(1);
    let mut nonces = NonceBuffer::new(NonceMode::Buffered);
    nonces.next(&source, 7).unwrap();
    assert!(nonces.next(&source, 8).is_err());
    assert!(nonces.next(&source, 7).is_err());
    assert_eq!(nonces.buffered(), 0);
}

#[test]
fn clear_drops_what_waits() {
    let source = Counting::new();
    let mut nonces = NonceBuffer::new(NonceMode::Buffered);
    nonces.next(&source, 7).unwrap();
    nonces.clear();
    assert_eq!(nonces.buffered(), 0);
    nonces.next(&source, 7).unwrap();
    assert_eq!(source.calls(), 2);
}

#[test]
fn nonce_prints_its_hex_and_its_buffer_prints_none() {
    let nonce = Nonce::from_bytes([0xAB; 24]);
    assert_eq!(format!("{nonce:?}"), "ab".repeat(24));
    let mut nonces = NonceBuffer::new(NonceMode::Buffered);
    nonces.next(&Counting::new(), 7).unwrap();
    assert_eq!(format!("{nonces:?}"), "NonceBuffer { mode: Buffered, left: 41, .. }");
}
