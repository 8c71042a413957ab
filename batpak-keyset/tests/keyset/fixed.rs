//! Fixed inputs: entropy that repeats, ids, secrets.

use std::sync::atomic::{AtomicU64, Ordering};

use batpak_crypto::{Entropy, EntropyError, RootSecret, SecretId};
use batpak_format::{KeyId, StoreId};
use batpak_keyset::{CreateKeyset, Granularity, Keyset, ProviderRecord};
use zeroize::Zeroizing;

/// Gives the same bytes in every run, and other bytes at every call.
#[derive(Debug, Default)]
pub struct FixedEntropy {
    calls: AtomicU64,
}

impl FixedEntropy {
    pub fn seeded(seed: u64) -> Self {
        Self { calls: AtomicU64::new(seed << 32) }
    }
}

impl Entropy for FixedEntropy {
    fn fill(&self, out: &mut [u8]) -> Result<(), EntropyError> {
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        let mut output = blake3::Hasher::new().update(&call.to_le_bytes()).finalize_xof();
        output.fill(out);
        Ok(())
    }
}

/// Never has a byte.
#[derive(Debug)]
pub struct NoEntropy;

impl Entropy for NoEntropy {
    fn fill(&self, _out: &mut [u8]) -> Result<(), EntropyError> {
        Err(EntropyError::new(Some(5)))
    }
}

pub const STORE: StoreId = StoreId::from_bytes([0x51; 16]);

pub fn root(byte: u8) -> RootSecret {
    RootSecret::from_bytes(Zeroizing::new([byte; 32]))
}

pub const fn secret_id(byte: u8) -> SecretId {
    SecretId::from_bytes([byte; 16])
}

pub const fn key_id(page: u32, leaf: u32) -> KeyId {
    KeyId::new(0, page, leaf)
}

pub fn create(provider: ProviderRecord, entropy: &dyn Entropy) -> Keyset {
    let create = CreateKeyset { store: STORE, granularity: Granularity::Entity, provider, secret_id: secret_id(1) };
    Keyset::create(create, entropy).unwrap()
}

/// A keyset whose root secret stands in a key file.
pub fn keyset(entropy: &dyn Entropy) -> Keyset {
    create(ProviderRecord::key_file(), entropy)
}

/// The commitments of some keys; none where the key is missing.
pub fn commitments(keyset: &Keyset, ids: &[KeyId]) -> Vec<Option<[u8; 32]>> {
    ids.iter().map(|id| keyset.key(*id).ok().map(|(_, commitment)| *commitment.as_bytes())).collect()
}
