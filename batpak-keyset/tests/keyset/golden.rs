//! Golden files: an image of each kind of row and provider, an extent and a key file, made from fixed entropy.
//!
//! They lock the formats. A new version of a format adds files and never edits these. With `BATPAK_GOLDEN=write` a
//! missing file is written; one that is there is never changed.

use std::path::PathBuf;

use batpak_format::{ChainHash, KeyRun};
use batpak_keyset::{
    Argon2Record, CopyBytes, CopyIdentity, ExtentBytes, ExtentRewrite, KeyFile, Keyset, LoadInput, LogSeen,
    ProviderRecord, SecretChange, Slot, candidates,
};

use crate::fixed::{FixedEntropy, STORE, commitments, create, key_id, root, secret_id};

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

fn golden(name: &str, bytes: &[u8]) -> Vec<u8> {
    let path = path(name);
    if !path.exists() && std::env::var_os("BATPAK_GOLDEN").is_some_and(|value| value == "write") {
        std::fs::write(&path, bytes).unwrap();
    }
    std::fs::read(&path).unwrap_or_else(|error| panic!("golden file {name}: {error}"))
}

/// A keyset with a whole page, one punctured, two gone, and one in an extent.
fn of_every_row(provider: ProviderRecord) -> (Keyset, Vec<u8>, Vec<u8>) {
    let entropy = FixedEntropy::seeded(1);
    let mut keyset = create(provider, &entropy);
    for page in 0..5 {
        for _ in 0..100 + page {
            keyset.take(&entropy).unwrap();
        }
        keyset.retire_page();
    }
    keyset.set_identity(CopyIdentity { inode: 0x1122_3344, birth_ns: 0x5566_7788_99AA });
    let run = |page, leaf, count| KeyRun { first: key_id(page, leaf), count };
    let mut runs: Vec<KeyRun> = (0..2048).map(|at| run(5, 2 * at, 1)).collect();
    let frontiers = keyset.beside(&runs, ExtentRewrite::WithNext, &entropy).unwrap();
    let extent = frontiers.extent().unwrap().bytes.clone();
    keyset.adopt(frontiers, Some(40), SecretChange::Keep).unwrap();
    runs = vec![run(2, 7, 2), run(3, 0, 4096), run(4, 0, 4096)];
    let frontiers = keyset.beside(&runs, ExtentRewrite::WithNext, &entropy).unwrap();
    keyset.adopt(frontiers, Some(44), SecretChange::Keep).unwrap();
    let seen = LogSeen { position: 45, chain_hash: ChainHash::from_bytes([0xC4; 32]) };
    let image = keyset.publication(&root(1), seen, &entropy).unwrap().image.to_vec();
    (keyset, image, extent)
}

fn opened(image: &[u8]) -> Keyset {
    let input = LoadInput { store: Some(STORE), a: CopyBytes::Bytes(image), b: CopyBytes::Bytes(image) };
    candidates(&input).unwrap().open(&root(1)).unwrap().keyset
}

#[test]
fn golden_image_of_every_row_is_unchanged() {
    let (keyset, image, extent) = of_every_row(ProviderRecord::key_file());
    assert!(golden("image-v1-rows.bin", &image) == image, "the image has other bytes than its golden file");
    assert!(golden("extent-v1.bin", &extent) == extent, "the extent has other bytes than its golden file");
    let mut decoded = opened(&golden("image-v1-rows.bin", &image));
    assert_eq!(decoded.load_extent(1, ExtentBytes::Bytes(&golden("extent-v1.bin", &extent))), []);
    assert!(decoded.pages().eq(keyset.pages()));
    assert_eq!((decoded.applied(), decoded.log_seen().position), (Some(44), 45));
    assert_eq!(decoded.identity(), keyset.identity());
}

#[test]
fn golden_keys_are_unchanged() {
    let (keyset, ..) = of_every_row(ProviderRecord::key_file());
    let ids = [(1, 0), (1, 99), (2, 0), (2, 6), (2, 7), (2, 9), (3, 5), (5, 4), (5, 5)];
    let ids = ids.map(|(page, leaf)| key_id(page, leaf));
    let lines = ids.iter().zip(commitments(&keyset, &ids)).map(|(id, commitment)| match commitment {
        None => format!("{id} destroyed\n"),
        Some(bytes) => format!("{id} {}\n", bytes.map(|byte| format!("{byte:02x}")).concat()),
    });
    let text: String = lines.collect();
    assert_eq!(String::from_utf8(golden("keys-v1.txt", text.as_bytes())).unwrap(), text);
}

#[test]
fn golden_image_of_each_provider_is_unchanged() {
    let argon2 = Argon2Record { version: 0x13, m_kib: 65_536, t: 3, p: 1, salt: [0x5A; 16] };
    let providers = [
        ("image-v1-local.bin", ProviderRecord::local(&root(1))),
        ("image-v1-key-file.bin", ProviderRecord::key_file()),
        ("image-v1-passphrase.bin", ProviderRecord::passphrase(argon2)),
        ("image-v1-passphrase-key-file.bin", ProviderRecord::passphrase_key_file(argon2)),
        ("image-v1-external.bin", ProviderRecord::external(b"kms key 7").unwrap()),
    ];
    for (name, provider) in providers {
        let entropy = FixedEntropy::seeded(2);
        let mut keyset = create(provider, &entropy);
        keyset.take(&entropy).unwrap();
        let image = keyset.publication(&root(1), LogSeen::NOTHING, &entropy).unwrap().image;
        let golden = golden(name, &image);
        assert!(golden == image[..], "{name} has other bytes than its golden file");
        assert_eq!(opened(&golden).provider().kind(), keyset.provider().kind());
    }
}

#[test]
fn golden_key_file_is_unchanged() {
    let mut file = KeyFile::new(STORE, Slot { secret_id: secret_id(1), secret: root(1) });
    file.store_next(secret_id(1), Slot { secret_id: secret_id(2), secret: root(2) }).unwrap();
    let bytes = file.encode();
    let golden = golden("key-file-v1.bin", &bytes);
    assert!(golden == *bytes, "the key file has other bytes than its golden file");
    let decoded = KeyFile::decode(&golden, Some(STORE)).unwrap();
    assert_eq!(decoded.next().map(|slot| slot.secret_id), Some(secret_id(2)));
}
