//! BLAKE3 of a short input under a secret, one 64-byte block of its output at a time.
//!
//! The hash states and the block live in one place, which each use overwrites and the end of the work wipes, and with it
//! the stack below, where BLAKE3 leaves copies of a key. Inputs are shorter than a chunk (1,024 bytes), so the hasher's
//! stack of chaining values never holds anything.

use blake3::hazmat::HasherExt;
use blake3::{Hasher, OutputReader};
use zeroize::{Zeroize, ZeroizeOnDrop, optimization_barrier};

use crate::stack;

/// Bytes of one block of output.
pub(crate) const BLOCK_LEN: usize = 64;

/// Bytes of stack that the work leaves behind at most: some temporary hashers of 1.9 KiB in an unoptimized build.
const STACK_BYTES: usize = if cfg!(debug_assertions) { 32 << 10 } else { 4 << 10 };

/// A reusable place for hash states that hold secrets.
pub(crate) struct Expand {
    hasher: Hasher,
    output: OutputReader,
    block: [u8; BLOCK_LEN],
}

impl Expand {
    /// Does the work with an empty place, and wipes the place and the stack that was used. What the work returns must
    /// hold no secret by value.
    pub(crate) fn scope<R>(work: impl FnOnce(&mut Self) -> R) -> R {
        let mut expand = Self::new();
        stack::wiped::<STACK_BYTES, _>(|| work(&mut expand))
    }

    fn new() -> Self {
        let hasher = Hasher::new();
        let output = hasher.finalize_xof();
        Self { hasher, output, block: [0; BLOCK_LEN] }
    }

    /// Block `number` of the output of BLAKE3 keyed by `key` over `input`.
    pub(crate) fn keyed(&mut self, key: &[u8; 32], input: &[u8], number: u64) -> &[u8; BLOCK_LEN] {
        self.hasher = Hasher::new_keyed(key);
        self.hasher.update(input);
        self.read(number)
    }

    /// The first block of BLAKE3 `derive_key` under the context of `context_key`, over `input`.
    pub(crate) fn derived(&mut self, context_key: &[u8; 32], input: &[&[u8]]) -> &[u8; BLOCK_LEN] {
        self.hasher = Hasher::new_from_context_key(context_key);
        for part in input {
            self.hasher.update(part);
        }
        self.read(0)
    }

    /// Reads a whole block, which goes straight to its place: for a part of one, BLAKE3 makes a copy that it does not
    /// wipe.
    fn read(&mut self, number: u64) -> &[u8; BLOCK_LEN] {
        self.output = self.hasher.finalize_xof();
        self.output.set_position(BLOCK_LEN as u64 * number);
        self.output.fill(&mut self.block);
        &self.block
    }
}

impl Zeroize for Expand {
    /// Overwrites the hasher with one under a key of zeros, behind the same barrier that `zeroize` uses: its own
    /// `Zeroize` also writes its 1,728 bytes of chaining values, never used here, and costs more than the hash.
    fn zeroize(&mut self) {
        self.hasher = Hasher::new_keyed(&[0; 32]);
        optimization_barrier(&self.hasher);
        self.output.zeroize();
        self.block.zeroize();
    }
}

impl Drop for Expand {
    fn drop(&mut self) {
        self.zeroize();
    }
}

impl ZeroizeOnDrop for Expand {}
