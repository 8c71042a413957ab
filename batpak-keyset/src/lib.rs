//! The keyset of the batpak event store: who holds which key, as pure values.
#![forbid(unsafe_code)]

mod body;
mod bounds;
mod check;
mod destruction;
mod error;
mod extent;
mod frontiers;
mod header;
mod image;
mod keyset;
mod load;
mod mint;
mod page;
mod provider;
mod publication;
mod rows;
mod scope;
mod slots;
mod snapshot;
mod table;
mod verdict;

pub use error::{ImageError, KeyFileError, KeyMissing, KeysetError, LoadError, ScopeError};
pub use extent::{EXTENT_HEADER_LEN, EXTENT_MAGIC, EXTENT_VERSION, ExtentBytes, ExtentWrite};
pub use frontiers::{ExtentRewrite, Frontiers, SecretChange};
pub use header::{
    CopyIdentity, IMAGE_HEADER_LEN, IMAGE_MAGIC, IMAGE_VERSION, INCOMPATIBLE_FLAGS_KNOWN, ImageHeader, LogSeen,
    READ_COMPATIBLE_FLAGS_KNOWN,
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
