//! Keysets from fixed entropy, so that every run begins with the same bytes.

use std::sync::atomic::{AtomicU64, Ordering};

use batpak_crypto::{Entropy, EntropyError, RootSecret, SecretId};
use batpak_format::{KeyId, KeyRun, StoreId};
use batpak_keyset::{CreateKeyset, ExtentRewrite, Granularity, Keyset, LogSeen, ProviderRecord, SecretChange};
use zeroize::Zeroizing;

pub const STORE: StoreId = StoreId::from_bytes([0x51; 16]);

/// Gives the same bytes in every run, and other bytes at every call.
#[derive(Debug, Default)]
pub struct FixedEntropy(AtomicU64);

impl Entropy for FixedEntropy {
    fn fill(&self, out: &mut [u8]) -> Result<(), EntropyError> {
        let call = self.0.fetch_add(1, Ordering::Relaxed);
        blake3::Hasher::new().update(&call.to_le_bytes()).finalize_xof().fill(out);
        Ok(())
    }
}

pub fn root() -> RootSecret {
    RootSecret::from_bytes(Zeroizing::new([1; 32]))
}

pub const fn secret_id(byte: u8) -> SecretId {
    SecretId::from_bytes([byte; 16])
}

/// A keyset with whole pages and punctured ones, and with an extent where it is asked for: image and extent.
pub fn keyset(pages: u32, with_extent: bool) -> (Keyset, Vec<u8>, Vec<u8>) {
    let entropy = FixedEntropy::default();
    let (granularity, provider) = (Granularity::Entity, ProviderRecord::key_file());
    let create = CreateKeyset { store: STORE, granularity, provider, secret_id: secret_id(1) };
    let made = "fixed entropy does not fail";
    let mut keyset = Keyset::create(create, &entropy).expect(made);
    for _ in 0..pages {
        keyset.take(&entropy).expect(made);
        keyset.retire_page();
    }
    keyset.take(&entropy).expect(made);
    let leaf = |page, leaf| KeyRun { first: KeyId::new(0, page, leaf), count: 1 };
    let every = if with_extent { 2 } else { 1024 };
    let runs: Vec<KeyRun> = (0..4096).step_by(every).map(|at| leaf(1, at)).collect();
    let frontiers = keyset.beside(&runs, ExtentRewrite::WithNext, &entropy).expect(made);
    let extent = frontiers.extent().map(|extent| extent.bytes.clone()).unwrap_or_default();
    keyset.adopt(frontiers, Some(4), SecretChange::Keep).expect(made);
    let image = keyset.publication(&root(), LogSeen::NOTHING, &entropy).expect(made).image.to_vec();
    (keyset, image, extent)
}
