//! How often this process flushed a file: every call of `fdatasync` and `fsync`, whoever made it.
//!
//! Both names are defined here, before those of the C library, and hand the call on to the kernel: what std, the peers and SQLite flush
//! is counted alike, at the price of one atomic addition. Invariant: the answer of the kernel, and errno, reach the caller unchanged.
#![allow(unsafe_code, reason = "two functions of the C library are defined in its place, to be counted")]

use std::sync::atomic::{AtomicU64, Ordering};

static FLUSHES: AtomicU64 = AtomicU64::new(0);

/// Returns how many flushes there were since the process began.
pub(crate) fn count() -> u64 {
    FLUSHES.load(Ordering::Relaxed)
}

fn flush(call: libc::c_long, file: libc::c_int) -> libc::c_int {
    FLUSHES.fetch_add(1, Ordering::Relaxed);
    // SAFETY: both calls take one file descriptor, and any number is allowed as one.
    let answer = unsafe { libc::syscall(call, file) };
    answer as libc::c_int
}

// SAFETY: name and signature are those of POSIX, and so is what it does.
#[unsafe(no_mangle)]
extern "C" fn fdatasync(file: libc::c_int) -> libc::c_int {
    flush(libc::SYS_fdatasync, file)
}

// SAFETY: name and signature are those of POSIX, and so is what it does.
#[unsafe(no_mangle)]
extern "C" fn fsync(file: libc::c_int) -> libc::c_int {
    flush(libc::SYS_fsync, file)
}
