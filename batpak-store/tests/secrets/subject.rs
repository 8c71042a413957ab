//! The process that is searched: it goes through the life of a store, and stands still at each stage until it is told to go on.

use std::{
    io::Write,
    path::{Path, PathBuf},
    sync::Arc,
};

use batpak_store::{
    Config, Coordinate, Encryption, EventKind, KeyFile, Local, NewEvent, OpenError, Passphrase, Query, Selector, Store,
    crypto::passphrase::Argon2Params,
};

use crate::{
    needles::{PARAMS, PASSPHRASE},
    seeded::Seeded,
};

/// Names the place, the seed and the keeper for the process that is searched.
pub const PLACE: &str = "BATPAK_TEST_MEMORY_PLACE";
pub const SEED: &str = "BATPAK_TEST_MEMORY_SEED";
pub const KEEPER: &str = "BATPAK_TEST_MEMORY_KEEPER";

/// How the root secret is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keeper {
    KeyFile,
    Local,
    PassphraseKeyFile,
}

impl Keeper {
    pub const ALL: [Self; 3] = [Self::KeyFile, Self::Local, Self::PassphraseKeyFile];

    fn encryption(self, place: &Path) -> Encryption {
        let file = place.join("root.key");
        let params = Argon2Params { ..PARAMS };
        match self {
            Self::KeyFile => Encryption::sealed(KeyFile::new(file)),
            Self::Local => Encryption::sealed(Local::new()),
            Self::PassphraseKeyFile => {
                Encryption::sealed(Passphrase::with_key_file(PASSPHRASE.to_vec(), file).params(params))
            }
        }
    }
}

/// Says what was drawn, and that a stage is reached, and waits.
fn stage(name: &str, entropy: &Seeded) {
    for (draw, len) in entropy.draws() {
        println!("drew {draw} {len}");
    }
    println!("stage {name}");
    std::io::stdout().flush().unwrap();
    std::io::stdin().read_line(&mut String::new()).unwrap();
}

pub fn run() {
    let Some(place) = std::env::var_os(PLACE).map(PathBuf::from) else { return };
    let seed = std::env::var(SEED).unwrap().parse().unwrap();
    let named = std::env::var(KEEPER).unwrap();
    let keeper = Keeper::ALL.into_iter().find(|keeper| format!("{keeper:?}") == named).unwrap();
    let entropy = Arc::new(Seeded::new(seed));
    let dir = place.join("store");
    let config = || Config::new(keeper.encryption(&place)).entropy(entropy.clone()).segment_bytes(64 << 10);
    let kind = EventKind::new(1, 1).unwrap();
    let append = |store: &Store, entity: &str| {
        store.append(&NewEvent::new(Coordinate::new(entity, "s").unwrap(), kind, b"payload")).unwrap();
    };
    let all = |store: &Store| assert!(store.read(&Query::all()).unwrap().all(|event| event.is_ok()));

    let store = Store::create(&dir, config()).unwrap();
    println!("store {}", store.info().store);
    let log = dir.join("segments/00000000000000000001.seg");
    for entity in ["victim", "survivor", "victim"] {
        append(&store, entity);
    }
    all(&store);
    let early = std::fs::read(&log).unwrap();
    stage("open", &entropy);
    store.shred(&[Selector::Entity("victim".into())], 0, "").unwrap();
    all(&store);
    append(&store, "survivor");
    stage("shredded", &entropy);
    drop(store);
    stage("dropped", &entropy);
    let store = Store::open(&dir, config()).unwrap();
    append(&store, "survivor");
    all(&store);
    store.close().unwrap();
    let store = Store::open_read_only(&dir, config()).unwrap();
    all(&store);
    drop(store);
    stage("opened and dropped", &entropy);
    let late = std::fs::read(&log).unwrap();
    std::fs::write(&log, early).unwrap();
    let refused = Store::open(&dir, config()).unwrap_err();
    assert!(matches!(refused, OpenError::LogRolledBack { .. }), "{refused:?}");
    std::fs::write(&log, late).unwrap();
    stage("refused", &entropy);
    Box::leak(kept(keeper, &place));
    stage("kept", &entropy);
}

/// A copy of the second root secret, or of its part in the key file, that nobody wipes.
fn kept(keeper: Keeper, place: &Path) -> Box<[u8]> {
    match keeper {
        Keeper::Local => {
            let image = std::fs::read(place.join("store/keyset.a")).unwrap();
            let header = batpak_store::keyset::ImageHeader::decode(&image).unwrap();
            header.provider.local_secret().unwrap().expose().to_vec().into_boxed_slice()
        }
        Keeper::KeyFile | Keeper::PassphraseKeyFile => {
            let file = std::fs::read(place.join("root.key")).unwrap();
            let slots = batpak_store::keyset::KeyFile::decode(&file, None).unwrap();
            slots.current().secret.expose().to_vec().into_boxed_slice()
        }
    }
}
