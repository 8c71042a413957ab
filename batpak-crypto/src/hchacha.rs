//! HChaCha20: a key and 16 bytes of nonce become the key of one message.
//!
//! Made after section 2.2 of draft-irtf-cfrg-xchacha-03. Invariant: nothing is decided by the value of a secret, and
//! what it leaves on the stack is wiped by the caller ([`crate::stack`]).

use core::array::from_fn;

/// Four words of the state, worked on side by side.
type Row = [u32; 4];

/// "expand 32-byte k", as little-endian words.
const CONSTANTS: Row = [0x6170_7865, 0x3320_646e, 0x7962_2d32, 0x6b20_6574];

/// Twenty rounds are ten of columns and ten of diagonals.
const DOUBLE_ROUNDS: usize = 10;

/// Writes HChaCha20 of `key` and `input` to `out`: the first and the last row of the state after the rounds.
pub(crate) fn subkey(key: &[u8; 32], input: &[u8; 16], out: &mut [u8; 32]) {
    let (low, high) = key.split_at(16);
    let (mut a, mut b, mut c, mut d) = (CONSTANTS, row(low), row(high), row(input));
    for _ in 0..DOUBLE_ROUNDS {
        (a, b, c, d) = quarter_rounds(a, b, c, d);
        // Diagonals become columns, and columns again.
        (b, c, d) = (turned(b, 1), turned(c, 2), turned(d, 3));
        (a, b, c, d) = quarter_rounds(a, b, c, d);
        (b, c, d) = (turned(b, 3), turned(c, 2), turned(d, 1));
    }
    for (bytes, word) in out.chunks_exact_mut(4).zip(a.iter().chain(&d)) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
}

fn row(bytes: &[u8]) -> Row {
    from_fn(|at| u32::from_le_bytes(from_fn(|byte| bytes[4 * at + byte])))
}

/// Four quarter rounds, one a column. Rows go by value, so that they stay in registers.
#[inline]
fn quarter_rounds(mut a: Row, mut b: Row, mut c: Row, mut d: Row) -> (Row, Row, Row, Row) {
    (a, d) = step(a, b, d, 16);
    (c, b) = step(c, d, b, 12);
    (a, d) = step(a, b, d, 8);
    (c, b) = step(c, d, b, 7);
    (a, b, c, d)
}

/// `sum + term`, and `(mixed ^ (sum + term)) <<< bits`, in each column.
#[inline]
fn step(sum: Row, term: Row, mixed: Row, bits: u32) -> (Row, Row) {
    let sum: Row = from_fn(|at| sum[at].wrapping_add(term[at]));
    (sum, from_fn(|at| (mixed[at] ^ sum[at]).rotate_left(bits)))
}

#[inline]
fn turned(row: Row, words: usize) -> Row {
    from_fn(|at| row[(at + words) % 4])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Section 2.2.1 of the draft.
    #[test]
    fn subkey_is_that_of_the_draft() {
        let key = core::array::from_fn(|at| at as u8);
        let input = [0, 0, 0, 9, 0, 0, 0, 0x4a, 0, 0, 0, 0, 0x31, 0x41, 0x59, 0x27];
        let mut out = [0; 32];
        subkey(&key, &input, &mut out);
        let expected = [
            0x82, 0x41, 0x3b, 0x42, 0x27, 0xb2, 0x7b, 0xfe, 0xd3, 0x0e, 0x42, 0x50, 0x8a, 0x87, 0x7d, 0x73, 0xa0, 0xf9,
            0xe4, 0xd5, 0x8a, 0x74, 0xa8, 0x53, 0xc1, 0x2e, 0xc4, 0x13, 0x26, 0xd3, 0xec, 0xdc,
        ];
        assert_eq!(out, expected);
    }

    #[test]
    fn subkey_depends_on_every_byte() {
        let made = |key: &[u8; 32], input: &[u8; 16]| {
            let mut out = [0; 32];
            subkey(key, input, &mut out);
            out
        };
        let plain = made(&[0; 32], &[0; 16]);
        for at in 0..32 {
            let mut key = [0; 32];
            key[at] = 1;
            assert_ne!(made(&key, &[0; 16]), plain);
        }
        for at in 0..16 {
            let mut input = [0; 16];
            input[at] = 1;
            assert_ne!(made(&[0; 32], &input), plain);
        }
    }
}
