//! The backends side by side: sealing and opening, 64 bytes to 64 KiB, in turns, so that a busy machine slows both.
//!
//! `cargo bench -p batpak-crypto --bench backends`
//!
//! Prints what one call takes in nanoseconds by median, and the median of the ratios of neighbouring rounds with the
//! quartiles on both sides.
#![expect(clippy::expect_used, reason = "a bench stops at what it did not expect")]

use std::hint::black_box;
use std::time::Instant;

use batpak_crypto::{Aead, Nonce, Portable, Ring, Tag};

const PAYLOAD_BYTES: [usize; 5] = [64, 256, 1 << 10, 4 << 10, 64 << 10];
/// As long as the AAD of an event with two names of 13 bytes.
const AAD: [u8; 55] = [0xAD; 55];
const NONCE: Nonce = Nonce::from_bytes([0x24; 24]);
const KEY: [u8; 32] = [0x42; 32];
const ROUNDS: usize = 101;
/// Bytes that one round works on, with 200 a call for what does not grow with the payload.
const ROUND_BYTES: usize = 1 << 18;

fn main() {
    println!("bytes: portable ns, ring ns, ratio (quartiles)");
    for bytes in PAYLOAD_BYTES {
        compare("seal", bytes, seal::<Portable>, seal::<Ring>);
        compare("open", bytes, open::<Portable>, open::<Ring>);
    }
}

/// What both backends work on.
struct Message {
    sealed: Vec<u8>,
    tag: Tag,
    buffer: Vec<u8>,
}

fn seal<A: Aead>(message: &mut Message) {
    let tag = A::seal_in_place(black_box(&KEY), &NONCE, &AAD, &mut message.buffer).expect("the payload is short");
    black_box(tag);
}

/// The copy that it opens, and the making of it, cost both backends the same.
fn open<A: Aead>(message: &mut Message) {
    let Message { sealed, tag, buffer } = message;
    buffer.copy_from_slice(sealed);
    A::open_in_place(black_box(&KEY), &NONCE, &AAD, buffer, tag).expect("it was sealed so");
}

fn compare(what: &str, bytes: usize, portable: fn(&mut Message), ring: fn(&mut Message)) {
    let mut sealed = vec![0x5A; bytes];
    let tag = Portable::seal_in_place(&KEY, &NONCE, &AAD, &mut sealed).expect("the payload is short");
    let mut message = Message { buffer: sealed.clone(), sealed, tag };
    let calls = ROUND_BYTES / (bytes + 200);
    let mut ns = |work: fn(&mut Message)| {
        let begun = Instant::now();
        for _ in 0..calls {
            work(&mut message);
        }
        begun.elapsed().as_nanos() as f64 / calls as f64
    };
    let rounds: Vec<(f64, f64)> = (0..ROUNDS).map(|_| (ns(portable), ns(ring))).collect();
    let quarter = |values: Vec<f64>, quarters: usize| {
        let mut values = values;
        values.sort_by(f64::total_cmp);
        values[(values.len() - 1) * quarters / 4]
    };
    let by_portable = quarter(rounds.iter().map(|round| round.0).collect(), 2);
    let by_ring = quarter(rounds.iter().map(|round| round.1).collect(), 2);
    let ratios: Vec<f64> = rounds.iter().map(|(portable, ring)| portable / ring).collect();
    let [low, ratio, high] = [1, 2, 3].map(|quarters| quarter(ratios.clone(), quarters));
    println!("{what} {bytes}: {by_portable:.0}, {by_ring:.0}, {ratio:.2} ({low:.2} to {high:.2})");
}
