//! Where secrets must not be: in the memory of a process that has done with them, and in the blocks of a disk after a shred.
//!
//! The store that is searched draws its secrets from a seed, so the search knows every secret byte. In each search there is something that
//! must be found: one that finds nothing proves nothing.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that meets what it does not expect has failed")]

mod image;
mod memory;
mod mount;
mod needles;
mod search;
mod seeded;
mod subject;

/// Whether what cannot be searched here is a failure.
fn required() -> bool {
    std::env::var_os("BATPAK_TORTURE").is_some_and(|value| value == "require")
}
