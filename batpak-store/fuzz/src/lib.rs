//! Hostile directories and operation sequences for batpak-store, on the disk in memory.

use batpak_format_fuzz::Seeds;

pub mod directory;
pub mod mutated;
pub mod operations;
pub mod place;

/// The targets of this crate.
pub const TARGETS: [(&str, fn() -> Seeds); 3] =
    [("directory", directory::seeds), ("mutated", mutated::seeds), ("operations", operations::seeds)];
