//! The certificate of a shred: what was destroyed, when, and what that is worth, to be held against a log by whoever has one.
//!
//! Invariant: a certificate has one encoding, so its hash names it; what a decoder takes, the encoder writes byte for byte.

mod codec;
mod events_hash;
mod position;
mod section;
mod target;

use crate::codec::Reader;
use crate::error::CertificateFormatError;
use crate::hash::ChainHash;
use crate::id::StoreId;
use crate::newtype::{byte_newtype, write_hex};
use crate::time::Timestamp;

pub use events_hash::EventsHasher;
pub use position::PositionRun;
pub use section::{CERTIFICATE_SECTION_BYTES_MAX, CERTIFICATE_SECTIONS_MAX, CertificateSection};
pub use target::{CertifiedTarget, KeyCommitment};

/// What every certificate begins with.
pub const CERTIFICATE_MAGIC: [u8; 8] = *b"BATPAKCT";
/// The version of the certificate's bytes.
pub const CERTIFICATE_VERSION: u16 = 1;
/// The most elements of a list in a certificate.
pub const CERTIFICATE_LIST_MAX: usize = 1 << 28;

byte_newtype! {
    /// Names a certificate: BLAKE3 of its canonical bytes, sections left out.
    CertificateHash, 32
}

impl std::fmt::Display for CertificateHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write_hex(f, self.as_bytes())
    }
}

/// An event of the store's own that a certificate rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the three fields are the format")]
pub struct CertifiedEvent {
    /// Its position.
    pub position: u64,
    /// When it was committed.
    pub time: Timestamp,
    /// The link of the system entity's chain that it closes; through it, every record before it is fixed too.
    pub chain_hash: ChainHash,
}

/// What the destruction of the keys is worth against copies that were made before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the three are the format; another needs another version")]
pub enum CertifiedWorth {
    /// The root secret stood in the image: old copies of the directory open what they held.
    LiveFilesOnly,
    /// Whoever knows the passphrase opens old copies of the directory.
    OldCopiesNotCovered,
    /// Old copies of the directory are dead from this moment on.
    OldCopiesDeadFrom(Timestamp),
}

/// What a shred destroyed, as its log states it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "a certificate cannot be made in part: a new field must break its makers"
)]
pub struct Certificate {
    /// The store.
    pub store: StoreId,
    /// When the store was created.
    pub created: Timestamp,
    /// The chain hash of its genesis event, at position 0.
    pub genesis_chain_hash: ChainHash,
    /// Which events share a key, as the code of batpak-keyset; never 0.
    pub granularity: u8,
    /// The caller's reason, as a code of its own.
    pub reason: u16,
    /// Who kept the root secret, as the code of batpak-keyset; never 0.
    pub provider_kind: u8,
    /// What the destruction is worth.
    pub worth: CertifiedWorth,
    /// Keys that could not be reached: a copy of them elsewhere may live on.
    pub unreachable: u32,
    /// The first epoch of the keyset that is without the keys.
    pub epoch: u64,
    /// The completion.
    pub completion: CertifiedEvent,
    /// BLAKE3 over the chain hashes of all events whose keys were destroyed, by position: which ciphertexts they are.
    pub events_hash: [u8; 32],
    /// The caller's reference, at most 64 bytes.
    pub reference: String,
    /// The intents, by position, all before the completion: one, or those of a batch.
    pub intents: Vec<CertifiedEvent>,
    /// What was destroyed, by the bytes of the key scopes, none twice.
    pub targets: Vec<CertifiedTarget>,
    /// The key scopes that were named and kept because they were held, in their canonical bytes, sorted, none twice.
    pub withheld: Vec<Box<[u8]>>,
    /// What was added to the certificate without changing it, by tag, none twice: signatures, once there are any.
    pub sections: Vec<CertificateSection>,
}

impl Certificate {
    /// Encodes the certificate.
    ///
    /// # Errors
    /// [`CertificateFormatError::TooLong`] when a text, a key scope or a list passes its cap; the other variants for what the
    /// decoder would refuse.
    pub fn encode(&self) -> Result<Vec<u8>, CertificateFormatError> {
        let mut out = self.statement()?;
        section::put_all(&mut out, &self.sections)?;
        Ok(out)
    }

    /// Decodes a certificate. What it allocates is bounded by the bytes that are there.
    ///
    /// # Errors
    /// [`CertificateFormatError::BadMagic`], [`CertificateFormatError::UnknownVersion`] and
    /// [`CertificateFormatError::UnknownRequiredSection`] for what this version cannot read, and the other variants for bytes
    /// that no encoder writes.
    pub fn decode(bytes: &[u8]) -> Result<Self, CertificateFormatError> {
        let mut reader = Reader::new(bytes);
        let mut certificate = codec::read(&mut reader)?;
        certificate.sections = section::read_all(&mut reader)?;
        Ok(certificate)
    }

    /// Returns the hash that names the certificate: BLAKE3 of its canonical bytes, sections left out, so that a signature over
    /// the hash can be added as a section.
    ///
    /// # Errors
    /// As [`Certificate::encode`].
    pub fn hash(&self) -> Result<CertificateHash, CertificateFormatError> {
        Ok(CertificateHash::from_bytes(*blake3::hash(&self.statement()?).as_bytes()))
    }

    /// Returns how many events lost their key.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.targets.iter().map(CertifiedTarget::events).fold(0, u64::saturating_add)
    }

    /// Returns how many keys of key scopes were destroyed; reserved leaves that no event names are not counted.
    #[must_use]
    pub fn keys(&self) -> u64 {
        let scopes = self.targets.iter().filter(|target| !target.key_scope.is_empty());
        scopes.map(CertifiedTarget::keys).fold(0, u64::saturating_add)
    }

    /// The bytes that the hash is taken over: all but the sections.
    fn statement(&self) -> Result<Vec<u8>, CertificateFormatError> {
        let mut out = Vec::new();
        codec::put(self, &mut out)?;
        Ok(out)
    }
}
