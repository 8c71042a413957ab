//! Tests of batpak-crypto through its public functions; wiping has a process of its own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "helpers of tests may fail where tests may"
)]

mod entropy;
mod frontier;
mod nonce;
#[cfg(feature = "passphrase")]
mod passphrase;
mod seal;
mod tree;
mod vectors;
mod wrap;
