//! One page of the keyset: mint keys, publish them, destroy one, and open what is left under another root secret.

use std::error::Error;

use batpak_crypto::{OsEntropy, RootSecret, SecretId};
use batpak_format::{KeyRun, StoreId};
use batpak_keyset::{
    CopyBytes, CreateKeyset, ExtentRewrite, Granularity, KeyMissing, Keyset, LoadInput, LogSeen, ProviderRecord,
    SecretChange, candidates,
};

fn main() -> Result<(), Box<dyn Error>> {
    let store = StoreId::random([0x2A; 16]);
    let root = RootSecret::generate(&OsEntropy)?;
    let mut keyset = Keyset::create(
        CreateKeyset {
            store,
            granularity: Granularity::Entity,
            provider: ProviderRecord::key_file(),
            secret_id: SecretId::generate(&OsEntropy)?,
        },
        &OsEntropy,
    )?;

    let (mut publications, mut ids) = (0, Vec::new());
    for _ in 0..10_000 {
        ids.push(keyset.take(&OsEntropy)?);
        if keyset.wants_publication() {
            let publication = keyset.publication(&root, LogSeen::NOTHING, &OsEntropy)?;
            // A store does the steps here, and reports each copy; this page keeps the image in memory.
            keyset.durable(&publication);
            publications += 1;
        }
    }
    println!("minted {} keys with {publications} publications", ids.len());

    let victim = ids[1234];
    let next = RootSecret::generate(&OsEntropy)?;
    let moved = SecretChange::Move { secret_id: SecretId::generate(&OsEntropy)?, provider: ProviderRecord::key_file() };
    let run = KeyRun { first: victim, count: 1 };
    let frontiers = keyset.beside(&[run], ExtentRewrite::WithNext, &OsEntropy)?;
    keyset.stage(frontiers, Some(10_001), moved)?;
    let publication = keyset.publication(&next, LogSeen::NOTHING, &OsEntropy)?;
    keyset.durable(&publication);
    keyset.adopt_staged()?;
    println!("destroyed key {victim}; the image has {} bytes", publication.image.len());

    let image = CopyBytes::Bytes(&publication.image);
    let judged = candidates(&LoadInput { store: Some(store), a: image, b: image })?;
    assert!(judged.open(&root).is_err(), "the old root secret opens nothing any more");
    let loaded = judged.open(&next)?.keyset;
    assert!(matches!(loaded.key(victim), Err(KeyMissing::Destroyed)));
    let others = ids.iter().filter(|id| **id != victim);
    println!("keys that are left: {}", others.filter(|id| loaded.key(**id).is_ok()).count());
    Ok(())
}
