//! Zeros behind the content of a file: blocks written ahead of a log, and what fills an image up to its length.
//!
//! Invariant: the answer is the same as byte by byte; whole pieces are looked at so that megabytes of zeros cost what reading them costs.

/// So many bytes are folded into one before anybody looks.
const PIECE_BYTES: usize = 64;

/// Returns how many bytes there are up to the last one that is not zero; 0 when all are.
#[must_use]
pub fn content_len(bytes: &[u8]) -> usize {
    let holds = |piece: &[u8]| piece.iter().fold(0, |all, byte| all | byte) != 0;
    let mut end = bytes.len();
    for piece in bytes.rchunks(PIECE_BYTES) {
        if holds(piece) {
            return end - piece.iter().rev().take_while(|byte| **byte == 0).count();
        }
        end -= piece.len();
    }
    0
}

#[cfg(test)]
mod tests {
    use super::content_len;

    #[test]
    fn content_len_is_that_of_a_look_at_every_byte() {
        for len in 0..200 {
            assert_eq!(content_len(&vec![0; len]), 0);
            for last in 0..len {
                let mut bytes = vec![0; len];
                bytes[last] = 0x80;
                assert_eq!(content_len(&bytes), last + 1, "{len} bytes");
                bytes[0] = 1;
                assert_eq!(content_len(&bytes), last + 1, "{len} bytes, one before");
            }
        }
    }
}
