//! Where a simulated store stands, and how it is configured.
//!
//! Invariant: every store of a run is on the simulated disk, with a clock and an entropy that repeat.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use batpak_store::crypto::passphrase::Argon2Params;
use batpak_store::{Config, Durability, Encryption, Granularity, Indexing, KeyFile, Local, Passphrase};

use crate::random::{Stream, Ticks};
use crate::sim::{SimDisk, State};

/// The directory of the store.
pub(crate) const DIR: &str = "/place/store";
/// The key file, outside of it.
pub(crate) const KEY_FILE: &str = "/place/root.key";
/// The directory around both.
const PLACE: &str = "/place";

/// Who keeps the root secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sealing {
    KeyFile,
    Local,
    Plain,
    PassphraseKeyFile,
}

/// The passphrase, where there is one.
pub(crate) const PASSPHRASE: &[u8] = b"correct horse";
/// The cheapest derivation that is allowed.
const CHEAP: Argon2Params = Argon2Params { m_kib: 8 << 10, t: 1, p: 1 };

/// How the stores of a run are configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Setup {
    pub(crate) sealing: Sealing,
    pub(crate) durability: Durability,
    pub(crate) granularity: Granularity,
}

impl Setup {
    pub(crate) fn config(&self, disk: &SimDisk, seed: u64) -> Config {
        let encryption = match self.sealing {
            Sealing::KeyFile => Encryption::sealed(KeyFile::new(KEY_FILE)),
            Sealing::Local => Encryption::sealed(Local::new()),
            Sealing::Plain => Encryption::none(),
            Sealing::PassphraseKeyFile => {
                Encryption::sealed(Passphrase::with_key_file(PASSPHRASE.to_vec(), KEY_FILE).params(CHEAP))
            }
        };
        Config::new(encryption)
            .disk(Arc::new(disk.clone()))
            .durability(self.durability)
            .segment_bytes(4096)
            // Nor would its thread for index files write at a time that can be repeated.
            .indexing(Indexing::Inline)
            // The store's own thread would drain at a time of its own.
            .deferred_buffer(600, Duration::from_secs(3600))
            .clock(Arc::new(Ticks::new()))
            .entropy(Arc::new(Stream::new(seed)))
    }

    pub(crate) fn is_sealed(&self) -> bool {
        self.sealing != Sealing::Plain
    }
}

/// A disk with an empty place for a store.
pub(crate) fn empty() -> State {
    State::with_dir(Path::new(PLACE))
}
