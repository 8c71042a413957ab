//! The keyset, from outside: what it promises to the store that carries out its publications.
#![allow(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    missing_docs,
    reason = "functions that tests share are test code too"
)]

mod allocation;
mod destruction;
mod disk;
mod extents;
mod fixed;
mod golden;
mod load;
#[path = "../../../batpak-format/tests/meter.rs"]
mod meter;
mod model;
mod provider;
mod publication;
mod reservation;
mod scope;
mod slots;
mod verdict;
