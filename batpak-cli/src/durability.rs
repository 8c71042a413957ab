//! When an append is acknowledged, as a flag.
//!
//! Invariant: without the flag it is synced.

use batpak_store::Durability;
use clap::ValueEnum;

/// When an append is acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum DurabilityFlag {
    /// When the disk has it: survives the machine
    #[default]
    Synced,
    /// When the operating system has it: survives the process, not the machine
    Buffered,
    /// When the store's write buffer has it: survives neither
    Deferred,
}

impl From<DurabilityFlag> for Durability {
    fn from(flag: DurabilityFlag) -> Self {
        match flag {
            DurabilityFlag::Synced => Self::Synced,
            DurabilityFlag::Buffered => Self::Buffered,
            DurabilityFlag::Deferred => Self::Deferred,
        }
    }
}
