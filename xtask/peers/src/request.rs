//! What is to be measured: one workload of one adapter, as JSON.
//!
//! Invariant: what a request does not say has one default, so that a line of results means the same in every run.

use std::path::PathBuf;

use serde::Deserialize;

/// One measurement.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Request {
    pub(crate) workload: Workload,
    pub(crate) adapter: String,
    /// A folder of its own. Emptied before, unless it is kept.
    pub(crate) dir: PathBuf,
    #[serde(default)]
    pub(crate) durability: Durability,
    #[serde(default)]
    pub(crate) keys: Keys,
    /// Bytes of a payload.
    #[serde(default = "payload")]
    pub(crate) payload: usize,
    /// Whether payloads differ in size: 64 bytes to twice `payload`.
    #[serde(default)]
    pub(crate) mixed: bool,
    /// How many events are appended, read or opened.
    #[serde(default)]
    pub(crate) events: u64,
    #[serde(default = "one")]
    pub(crate) threads: usize,
    /// Events of a batch; 1 for single appends.
    #[serde(default = "one")]
    pub(crate) batch: usize,
    /// How many entities take turns; 0 for a new one each event.
    #[serde(default = "entities")]
    pub(crate) entities: u64,
    /// The number of the first event, where a folder has events already.
    #[serde(default)]
    pub(crate) first: u64,
    /// Threads that replay the log meanwhile.
    #[serde(default)]
    pub(crate) readers: usize,
    /// Whether the folder stays, with what it has.
    #[serde(default)]
    pub(crate) keep: bool,
    /// Whether the log is left as a crash leaves it.
    #[serde(default)]
    pub(crate) unclean: bool,
}

/// What is done.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Workload {
    /// Appends, single or in batches, from one thread or several.
    Append,
    /// Fills a folder for the reading workloads.
    Fill,
    /// Appends at growing sizes of the log.
    Grow,
    /// Gets by id, in random order.
    Get,
    /// A replay of the whole log.
    Replay,
    /// A replay of one entity's events.
    Stream,
    /// A full verification.
    Verify,
    /// An open.
    Open,
    /// A shred of so many key scopes in one call.
    Shred,
    /// The machine: the hashes of an event.
    Hash,
    /// The machine: opening a sealed payload.
    Aead,
    /// The machine: a write and a flush.
    Disk,
}

/// What an append promises when it returns.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Durability {
    /// It is on the disk.
    #[default]
    Synced,
    /// The operating system has it, or the peer's weakest promise.
    Buffered,
    /// The process has it.
    Deferred,
}

/// Which events share a key.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Keys {
    /// Those of an entity.
    #[default]
    Entity,
    /// All of them.
    One,
}

fn payload() -> usize {
    256
}

fn one() -> usize {
    1
}

fn entities() -> u64 {
    16
}
