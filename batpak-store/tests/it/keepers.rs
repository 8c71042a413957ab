//! The five ways to keep a root secret, for tests that go through all of them.

use std::path::PathBuf;

use batpak_store::{Config, Encryption, KeyFile, Local, Passphrase, crypto::passphrase::Argon2Params};

use crate::kit::Place;

#[path = "../../examples/key_service/provider.rs"]
mod provider;
#[path = "../../examples/key_service/vault.rs"]
mod vault;
#[path = "../../examples/key_service/wire.rs"]
mod wire;

use provider::{Ask, KeyService, KeyServiceError};
use vault::Vault;
use wire::{Answer, Request};

/// The cheapest parameters that are allowed.
pub const CHEAP: Argon2Params = Argon2Params { m_kib: 8 << 10, t: 1, p: 1 };

/// Where a root secret is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keeper {
    Local,
    KeyFile,
    Passphrase,
    PassphraseKeyFile,
    Outside,
}

impl Keeper {
    pub const ALL: [Self; 5] = [Self::Local, Self::KeyFile, Self::Passphrase, Self::PassphraseKeyFile, Self::Outside];

    pub fn encryption(self, place: &Place) -> Encryption {
        let words = || b"correct horse".to_vec();
        match self {
            Self::Local => Encryption::sealed(Local::new()),
            Self::KeyFile => Encryption::sealed(KeyFile::new(place.key_file())),
            Self::Passphrase => Encryption::sealed(Passphrase::new(words()).params(CHEAP)),
            Self::PassphraseKeyFile => {
                Encryption::sealed(Passphrase::with_key_file(words(), place.key_file()).params(CHEAP))
            }
            Self::Outside => {
                let vault = Vault::open(place.disk.clone(), &place.root().join("vault")).unwrap();
                Encryption::sealed(KeyService::new(InProcess(vault), place.root()))
            }
        }
    }

    pub fn config(self, place: &Place) -> Config {
        place.with(self.encryption(place))
    }

    /// The file of the two slots.
    pub fn slots(self, place: &Place) -> PathBuf {
        match self {
            Self::Outside => {
                let vault = place.root().join("vault");
                let names = place.disk.list(&vault).unwrap();
                vault.join(&names.first().unwrap().name)
            }
            _ => place.key_file(),
        }
    }

    /// Whether a copy of the directory from before a change of the root secret opens nothing.
    pub const fn kills_old_copies(self) -> bool {
        matches!(self, Self::KeyFile | Self::PassphraseKeyFile | Self::Outside)
    }
}

/// The service of the example without its socket, so that a disk in memory can cut it at each of its calls; its bytes go over the same
/// encoding.
#[derive(Debug)]
struct InProcess(Vault);

impl Ask for InProcess {
    fn ask(&self, request: &Request) -> Result<Answer, KeyServiceError> {
        let heard = Request::decode(&request.encode()).unwrap();
        let said = self.0.answer(&heard).encode(&heard);
        Ok(Answer::decode(&*said, request).unwrap())
    }
}
