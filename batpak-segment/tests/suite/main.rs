//! What a segment log does on a real disk and on one in memory: a table of contents.
#![allow(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    clippy::missing_errors_doc,
    missing_docs,
    reason = "helpers of tests panic where a test would"
)]

mod known;
mod log;
#[path = "../../../batpak-format/tests/meter.rs"]
mod meter;
mod place;

mod allocation;
mod batch;
mod crash;
mod damage;
mod disk;
mod faults;
mod foreign;
mod read;
mod recovery;
mod truncation;
mod unopened;
mod write;
