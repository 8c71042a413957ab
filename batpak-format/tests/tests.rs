//! What the formats promise, a file for each promise.
//!
//! Invariant: every sample is made in `samples`, so that golden files, tables and properties speak of the same bytes.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]
#![allow(clippy::panic, reason = "a helper of a test fails the test")]

/// Decoding allocates no more than its input.
mod allocation;
/// What is read of a frame without copying it.
mod borrowed;
/// Sizes above their caps are refused.
mod caps;
/// Certificates: samples, round trips, hostile bytes.
mod certificate;
/// Round trips, canonical forms, hostile bytes.
mod codec;
/// `FORMAT.md` says what the code does.
mod format_md;
/// Golden files, their truncations and their bit flips.
mod golden;
/// Vectors of the hashes; hollow and moved frames.
mod hashes;
/// Bytes that no encoder writes, each with its error.
mod malformed;
/// The samples of all tests.
mod samples;
/// What is written for people: kinds, ids, names.
mod text;
