//! The keyset of the batpak event store: who holds which key, as pure values.
//!
//! You probably want `batpak-store`: it carries out what this crate decides, and holds every payload back until the
//! key that opens it is on disk. This crate does no I/O, starts no thread and holds no lock: it turns a change of keys
//! into an ordered list of writes and syncs, a [`Publication`], and counts as durable only what is reported back.
//!
//! Start from [`Keyset`]. Its keys are leaves of small trees, 4,096 to a page, so that minting one writes nothing
//! ([`Keyset::take`]) and destroying one replaces a page by what is left of it ([`Keyset::beside`]). Leaves are reserved
//! in an image of the whole keyset, about once in 4,096 mints; a key id below [`Keyset::covered_below`] is reserved
//! durably. The image has two copies, of which one is whole at any moment; [`candidates`] chooses between them at open.
//!
//! ```
//! use batpak_crypto::{OsEntropy, RootSecret, SecretId};
//! use batpak_format::StoreId;
//! use batpak_keyset::{CopyBytes, CreateKeyset, Granularity, Keyset, LoadInput, LogSeen, ProviderRecord, candidates};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let store = StoreId::from_bytes([7; 16]);
//! let root = RootSecret::generate(&OsEntropy)?;
//! let secret_id = SecretId::generate(&OsEntropy)?;
//! let provider = ProviderRecord::key_file();
//! let create = CreateKeyset { store, granularity: Granularity::Entity, provider, secret_id };
//! let mut keyset = Keyset::create(create, &OsEntropy)?;
//!
//! let (id, key, _commitment) = keyset.mint(&OsEntropy)?;
//! assert!(id >= keyset.covered_below(), "nothing sealed under it may be written yet");
//!
//! let publication = keyset.publication(&root, LogSeen::NOTHING, &OsEntropy)?;
//! // Here the caller does publication.steps(): write one copy, sync it, and then:
//! keyset.durable(&publication);
//! assert!(id < keyset.covered_below());
//!
//! let image = CopyBytes::Bytes(&publication.image);
//! let judged = candidates(&LoadInput { store: Some(store), a: image, b: image })?;
//! let again = judged.open(&root)?.keyset;
//! assert_eq!(again.key(id)?.1.as_bytes(), keyset.key(id)?.1.as_bytes());
//! # drop(key);
//! # Ok(())
//! # }
//! ```
//!
//! Three things hold in every sequence of calls, failures and crashes:
//!
//! - No key id is given out twice once it was covered: reservations never fall, and a process takes only leaves that it
//!   reserved itself.
//! - What becomes durable is what an encoded image held, and nothing that was taken or destroyed after it.
//! - An epoch is given to one image only, also when its publication failed.
//!
//! The bytes of every file are in `FORMAT.md` beside this crate's manifest. No secret is cloned, compared or printed;
//! decoding allocates in proportion to the bytes given, whatever counts they claim.
#![forbid(unsafe_code)]

mod body;
mod bounds;
mod check;
mod defect;
mod destruction;
mod error;
mod extent;
#[cfg(test)]
mod format_md;
mod frontiers;
mod header;
mod image;
mod keyset;
mod load;
mod mint;
#[cfg(doctest)]
mod misuse;
mod page;
mod provider;
mod publication;
mod rows;
mod scope;
mod secrets;
mod slots;
mod snapshot;
mod table;
mod verdict;

#[cfg(batpak_defects)]
pub use defect::{Defect, seed};
pub use error::{ImageError, KeyFileError, KeyMissing, KeysetError, LoadError, ScopeError};
pub use extent::{EXTENT_HEADER_LEN, EXTENT_MAGIC, EXTENT_VERSION, ExtentBytes, ExtentWrite};
pub use frontiers::{ExtentRewrite, Frontiers, SecretChange};
pub use header::{
    CopyIdentity, IMAGE_HEADER_LEN, IMAGE_LOCAL_SECRET_AT, IMAGE_MAGIC, IMAGE_VERSION, INCOMPATIBLE_FLAGS_KNOWN,
    ImageHeader, LogSeen, READ_COMPATIBLE_FLAGS_KNOWN,
};
pub use image::{IMAGE_CHECK_LEN, IMAGE_PAD, INLINE_BYTES_MIN};
pub use keyset::{CreateKeyset, Keyset};
pub use load::{Candidates, CopyBytes, Finding, LoadInput, Loaded, candidates};
pub use mint::RESERVATION_LEAVES;
pub use page::{PageState, PageSummary};
pub use provider::{Argon2Record, PROVIDER_PARAMS_BYTES_MAX, ProviderKind, ProviderRecord};
pub use publication::{Copy, Image, Publication, Rewrite, Step};
pub use scope::{Granularity, KEY_SCOPE_BYTES_MAX, KeyScope, encode_scope, scope_for};
pub use slots::{KEY_FILE_LEN, KeyFile, SECTOR_LEN, SectorWrite, Slot};
pub use verdict::{IntentFacts, LogFacts, LogVerdict};
