//! Hostile bytes for the scan and the recovery of batpak-segment.

use batpak_format_fuzz::Seeds;

pub mod log;
pub mod scan;

/// The targets of this crate.
pub const TARGETS: [(&str, fn() -> Seeds); 1] = [("scan", scan::seeds)];
