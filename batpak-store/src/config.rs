//! What a caller decides about a store: sealing, durability, sizes, and the disk, clock and entropy it works with.
//!
//! Invariant: encryption is chosen in words. There is no default that keeps a key beside the data without being asked to.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use batpak_crypto::{Entropy, NonceMode, OsEntropy};
use batpak_format::{PLAINTEXT_BYTES_LIMIT, PLAINTEXT_BYTES_MAX_DEFAULT, Timestamp};
use batpak_keyset::Granularity;
use batpak_segment::{Disk, RealDisk};

use crate::{GateSet, Indexing, accept::Accepted, secret::RootSecretProvider};

/// Smallest segment that can be asked for.
pub const SEGMENT_BYTES_MIN: u64 = 4 * 1024;
/// Largest segment that can be asked for. A single frame larger than the segment size has a segment of its own.
pub const SEGMENT_BYTES_LIMIT: u64 = 1024 * 1024 * 1024;

/// When an append is acknowledged. The fence, key durable before frame, holds in all three.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Durability {
    /// When the store's write buffer has it: survives neither the process nor the machine. The buffer is drained by size, by
    /// time, by `sync` and by `close`.
    Deferred,
    /// When the operating system has it: survives the process, not the machine. Whenever 2 MiB are written and not synced, a thread of
    /// the store's own syncs them, so that no append has to wait for a whole segment when one is rolled.
    Buffered,
    /// When the disk has it: fdatasync has returned.
    #[default]
    Synced,
}

/// Whether and how a store is sealed.
#[derive(Clone)]
pub struct Encryption(Option<Arc<dyn RootSecretProvider>>);

impl Encryption {
    /// A plaintext store: payloads stand in clear, and nothing can be shredded.
    pub fn none() -> Self {
        Self(None)
    }

    /// A sealed store whose root secret `provider` keeps.
    pub fn sealed(provider: impl RootSecretProvider + 'static) -> Self {
        Self(Some(Arc::new(provider)))
    }

    /// As [`Encryption::sealed`], with a provider chosen at run time.
    pub fn sealed_by(provider: Arc<dyn RootSecretProvider>) -> Self {
        Self(Some(provider))
    }

    pub(crate) fn provider(&self) -> Option<&Arc<dyn RootSecretProvider>> {
        self.0.as_ref()
    }
}

impl fmt::Debug for Encryption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            None => f.write_str("none"),
            Some(provider) => write!(f, "sealed by {:?}", provider.kind()),
        }
    }
}

/// Where the store gets the time from.
pub trait Clock: Send + Sync + fmt::Debug {
    /// The time now, microseconds since 1970 UTC.
    fn now(&self) -> Timestamp;
}

/// The operating system's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let micros = match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => {
                let whole = i64::try_from(since.as_secs()).ok().and_then(|secs| secs.checked_mul(1_000_000));
                whole.map_or(i64::MAX, |whole| whole.saturating_add(i64::from(since.subsec_micros())))
            }
            Err(before) => i64::try_from(before.duration().as_micros()).map_or(i64::MIN, |micros| -micros),
        };
        Timestamp::from_micros(micros)
    }
}

/// How a store is created and opened.
#[derive(Clone, Debug)]
pub struct Config {
    pub(crate) encryption: Encryption,
    pub(crate) granularity: Option<Granularity>,
    pub(crate) durability: Durability,
    pub(crate) segment_bytes: u64,
    pub(crate) plaintext_bytes_max: u32,
    pub(crate) in_flight_bytes_max: usize,
    pub(crate) deferred_bytes_max: usize,
    pub(crate) deferred_delay: Duration,
    pub(crate) provider_hint: String,
    pub(crate) nonce_mode: NonceMode,
    pub(crate) without_keys: bool,
    pub(crate) gates: GateSet,
    pub(crate) denials_recorded: bool,
    pub(crate) accepted: Accepted,
    pub(crate) indexing: Indexing,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
}

impl Config {
    /// Starts from the defaults: per-entity keys, synced appends, segments of 64 MiB, plaintext up to 16 MiB, 64 MiB in flight,
    /// a write buffer of 1 MiB drained at least every 10 ms, the real disk, clock and entropy.
    pub fn new(encryption: Encryption) -> Self {
        Self {
            encryption,
            granularity: None,
            durability: Durability::default(),
            segment_bytes: 64 * 1024 * 1024,
            plaintext_bytes_max: PLAINTEXT_BYTES_MAX_DEFAULT,
            in_flight_bytes_max: 64 * 1024 * 1024,
            deferred_bytes_max: 1024 * 1024,
            deferred_delay: Duration::from_millis(10),
            provider_hint: String::new(),
            nonce_mode: NonceMode::Buffered,
            without_keys: false,
            gates: GateSet::new(),
            denials_recorded: false,
            accepted: Accepted::default(),
            indexing: Indexing::default(),
            disk: Arc::new(RealDisk),
            clock: Arc::new(SystemClock),
            entropy: Arc::new(OsEntropy),
        }
    }

    /// Sets which events share a key. Fixed at creation; at open it is compared with what the store was created with.
    #[must_use]
    pub fn granularity(mut self, granularity: Granularity) -> Self {
        self.granularity = Some(granularity);
        self
    }

    /// Sets when appends are acknowledged that do not say so themselves.
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Sets the size at which a segment is rolled, in bytes; clamped to [`SEGMENT_BYTES_MIN`]..=[`SEGMENT_BYTES_LIMIT`].
    #[must_use]
    pub fn segment_bytes(mut self, bytes: u64) -> Self {
        self.segment_bytes = bytes.clamp(SEGMENT_BYTES_MIN, SEGMENT_BYTES_LIMIT);
        self
    }

    /// Sets who makes the index files of a segment that was rolled, and of the durable pieces of the last one.
    #[must_use]
    pub fn indexing(mut self, indexing: Indexing) -> Self {
        self.indexing = indexing;
        self
    }

    /// Sets the largest plaintext that an append takes, in bytes; at most 1 GiB, which larger values are cut to.
    #[must_use]
    pub fn plaintext_bytes_max(mut self, bytes: u32) -> Self {
        self.plaintext_bytes_max = bytes.min(PLAINTEXT_BYTES_LIMIT);
        self
    }

    /// Sets how many bytes may be placed and unwritten; beyond them an append helps writing before it is placed.
    #[must_use]
    pub fn in_flight_bytes_max(mut self, bytes: usize) -> Self {
        self.in_flight_bytes_max = bytes;
        self
    }

    /// Sets the size and the age at which the write buffer of deferred appends is drained.
    #[must_use]
    pub fn deferred_buffer(mut self, bytes_max: usize, delay: Duration) -> Self {
        self.deferred_bytes_max = bytes_max;
        self.deferred_delay = delay;
        self
    }

    /// Notes at creation, in clear and for people, where the root secret is kept; at most 1,024 bytes, never a secret.
    #[must_use]
    pub fn provider_hint(mut self, hint: impl Into<String>) -> Self {
        self.provider_hint = hint.into();
        self
    }

    /// Sets how nonces are drawn; [`NonceMode::PerCall`] is for machines that are cloned while they run.
    #[must_use]
    pub fn nonce_mode(mut self, mode: NonceMode) -> Self {
        self.nonce_mode = mode;
        self
    }

    /// Sets the gates that every append of a caller must pass.
    #[must_use]
    pub fn gates(mut self, gates: GateSet) -> Self {
        self.gates = gates;
        self
    }

    /// Puts denials of gates on record: each becomes an event with gate, code, kind and coordinate, as durable as the append asked.
    #[must_use]
    pub const fn denials_recorded(mut self, recorded: bool) -> Self {
        self.denials_recorded = recorded;
        self
    }

    /// Opens an encrypted store read-only without its keys: headers, hashes and the causal graph, no payloads.
    #[must_use]
    pub const fn without_keys(mut self) -> Self {
        self.without_keys = true;
        self
    }

    /// Opens a store whose keyset is gone: every payload sealed so far is lost for good, and an event says that this was accepted. The
    /// provider makes a new root secret. A damaged keyset is no missing one: its files are removed first, knowingly.
    #[must_use]
    pub const fn accept_key_loss(mut self) -> Self {
        self.accepted.key_loss = true;
        self
    }

    /// Opens a store whose keyset is older than its log: payloads under keys that it does not know are lost, and an event says that
    /// this was accepted.
    #[must_use]
    pub const fn accept_keyset_rollback(mut self) -> Self {
        self.accepted.keyset_rollback = true;
        self
    }

    /// Opens a store whose log is older than its keyset: acknowledged events are missing, and an event says that this was accepted.
    #[must_use]
    pub const fn accept_log_rollback(mut self) -> Self {
        self.accepted.log_rollback = true;
        self
    }

    /// Sets the disk.
    #[must_use]
    pub fn disk(mut self, disk: Arc<dyn Disk>) -> Self {
        self.disk = disk;
        self
    }

    /// Sets the clock.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Sets where keys, nonces and ids come from.
    #[must_use]
    pub fn entropy(mut self, entropy: Arc<dyn Entropy>) -> Self {
        self.entropy = entropy;
        self
    }
}
