//! The store as its users see it: every test runs on the real disk and on the one in memory, unless it is about one of them.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that meets what it does not expect has failed")]

mod kit;

mod accept;
mod allocation;
mod backup;
mod backup_online;
mod between;
mod causality;
mod certificate;
mod certificate_batch;
mod certificate_findings;
mod creation;
mod cuts;
mod destructions;
mod disk_full;
mod drill;
mod expectations;
mod extents;
mod fence;
mod findings;
mod flips;
mod follow;
mod forged;
mod gates;
mod granularities;
mod holds;
mod keepers;
mod keyset_findings;
mod lifecycle;
mod log_refusals;
mod many;
mod matrix;
#[path = "../../../batpak-format/tests/meter.rs"]
mod meter;
mod mismatches;
mod model;
mod old_copies;
mod plans;
mod processes;
mod provider_cuts;
mod provider_product;
mod providers;
mod races;
mod read_only;
mod reading;
mod refusals;
mod repeats;
mod resumes;
mod rounds;
mod shred;
mod spots;
mod tight;
mod torn;
mod typed;
mod verification;
