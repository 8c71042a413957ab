//! What opening a store found and mended.

use batpak_keyset::Finding;
use batpak_segment::Torn;

/// What opening a store found and mended. A caller that keeps an eye on its disks logs it.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct OpenReport {
    /// The log ended in the footer of a clean close, and nothing had to be written.
    pub clean: bool,
    /// The tail that was cut off: bytes that were being written when the process or the machine stopped.
    pub torn: Option<Torn>,
    /// Rolled segments whose index file was missing, damaged or not finished, and was made again. After a crash this may be one, the last
    /// that was rolled; a damaged file may cover up to 64.
    pub index_rebuilt: Vec<u64>,
    /// Events that were read from the log, one by one: those that no index file covers. After an unclean end they are the ones behind the last
    /// piece of the active segment that had become durable and got its file.
    pub events_read: u64,
    /// Position of the intent of a shred that an earlier process began and this open finished.
    pub shred_finished: Option<u64>,
    /// What was found of the keyset's copies, each healed by a writer.
    pub keyset: Vec<Finding>,
    /// The keyset is older than the log, which only a read-only open lets pass: what it does not know reads as lost.
    pub keyset_rolled_back: bool,
    /// The keyset's file is not the one that was created with the store: the directory was copied, or restored. New keys come from
    /// a fresh page; a copy that is to be written needs a key file of its own.
    pub copied: bool,
}

impl OpenReport {
    pub(crate) fn created() -> Self {
        Self { clean: true, ..Self::default() }
    }
}
