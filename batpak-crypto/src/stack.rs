//! Work whose stack is wiped behind it.
//!
//! Ciphers and hashes leave copies of their keys in dead frames, their own and those of the libraries below. The work
//! runs in a frame of its own, and when it is done the stack where that frame began is overwritten.
//! Registers are the machine's.

use zeroize::zeroize_stack;

/// Does the work and wipes the next `BYTES` of stack below the caller, where all of its frames lay. What the work
/// returns must hold no secret by value.
pub(crate) fn wiped<const BYTES: usize, R>(work: impl FnOnce() -> R) -> R {
    let done = run(work);
    zeroize_stack::<BYTES>();
    done
}

/// Kept out of its caller, so that all of its stack lies below.
#[inline(never)]
fn run<R>(work: impl FnOnce() -> R) -> R {
    work()
}
