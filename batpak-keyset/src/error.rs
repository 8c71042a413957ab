//! What can fail here: typed, and without a key byte, a path or free text.
//!
//! A variant exists only where a caller acts differently on it. A key that is missing is a value of its own,
//! [`KeyMissing`], and says nothing about whether it was shredded: only the verified log can.

use batpak_crypto::{EntropyError, SealFailed, TreeError};
use batpak_format::{CodecError, StoreId};
use thiserror::Error;

use crate::publication::Copy;

/// Says why a key cannot be derived. Whether it was shredded is a fact of the log, never of this answer.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyMissing {
    /// The leaf was punctured, or its whole page is gone.
    #[error("the key is destroyed")]
    Destroyed,
    /// The page's nodes stand in an extent that was not loaded yet.
    #[error("the key's page stands in extent {extent}, which is not loaded")]
    NotLoaded {
        /// The extent to load, with [`Keyset::load_extent`](crate::Keyset::load_extent).
        extent: u64,
    },
    /// No page of the table has this number, or the page has no such leaf.
    #[error("the keyset does not know the key's page")]
    UnknownPage,
    /// Both blobs of the page in its extent are damaged: the key is lost, not destroyed.
    #[error("both copies of the key's page in extent {extent} are damaged")]
    Unreadable {
        /// The extent.
        extent: u64,
    },
}

/// Says why a change to a keyset, or its publication, was refused. Nothing of the keyset changed.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeysetError {
    /// Frontiers are staged already: their shred can only be finished.
    #[error("a shred is staged and must be finished first")]
    AlreadyStaged,
    /// No random bytes.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// No epoch is left above those that were used.
    #[error("no epoch is left")]
    EpochsExhausted,
    /// A page to be changed stands in an extent that was not loaded yet.
    #[error("extent {number} is not loaded")]
    ExtentNotLoaded {
        /// The extent to load first.
        number: u64,
    },
    /// No extent number is left above those that were used.
    #[error("no extent number is left")]
    ExtentsExhausted,
    /// The image would pass 4 GiB.
    #[error("the keyset image would pass 4 GiB")]
    ImageTooLarge,
    /// Nothing is staged that could be put in place.
    #[error("no frontiers are staged")]
    NothingStaged,
    /// No page number is left above those that were used.
    #[error("no page number is left")]
    PagesExhausted,
    /// The parameters of an outside provider are longer than the header holds.
    #[error("{bytes} bytes of provider parameters; at most 1024 are allowed")]
    ParamsTooLong {
        /// The length given.
        bytes: usize,
    },
    /// The image has read-compatible flags that this version does not know: it may be read and not written.
    #[error("the keyset image has flags {flags:#010x}, which this version may read and not write")]
    ReadOnly {
        /// The unknown flags.
        flags: u32,
    },
    /// A run of key ids goes past the last leaf of its page.
    #[error("a run of keys goes past the end of page {page}")]
    RunOutOfRange {
        /// The page.
        page: u32,
    },
    /// Sealing the image failed.
    #[error(transparent)]
    Seal(#[from] SealFailed),
    /// The frontiers were computed beside pages that have changed since.
    #[error("the frontiers were computed beside an older state of the keyset")]
    StaleFrontiers,
    /// A key tree refused.
    #[error(transparent)]
    Tree(TreeError),
}

/// Says why a keyset could not be loaded. The store refuses to open; nothing is written.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum LoadError {
    /// The keyset belongs to another store.
    #[error("{} belongs to store {found}", copy.file_name())]
    ForeignKeyset {
        /// The copy at fault.
        copy: Copy,
        /// The store it names.
        found: StoreId,
    },
    /// The image opened, and what it says is not what any keyset encodes to.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// No copy is whole, or both are whole, have the same epoch and differ.
    #[error("neither copy of the keyset can be used")]
    KeysetCorrupt,
    /// There is no copy at all.
    #[error("the keyset is missing")]
    KeysetMissing,
    /// The image has incompatible flags that this version does not know.
    #[error("{} needs features {flags:#010x}, which this version does not know", copy.file_name())]
    RequiredFlags {
        /// The copy at fault.
        copy: Copy,
        /// The unknown flags.
        flags: u32,
    },
    /// The image is whole and does not open under this root secret.
    #[error("the root secret does not open the keyset")]
    RootSecretWrong,
    /// The image is of a version that this one does not know.
    #[error("{} has format version {version}, which this version does not know", copy.file_name())]
    UnknownVersion {
        /// The copy at fault.
        copy: Copy,
        /// The version it names.
        version: u16,
    },
}

/// Says what is wrong with the bytes of an image that is whole.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ImageError {
    /// A row names an extent that is not listed, an extent is listed and not named, or a blob lies outside of it.
    #[error("page {page} does not stand in the extent it names")]
    ExtentMismatch {
        /// The page, or 0 for a listed extent that no page names.
        page: u32,
    },
    /// The nodes of a page are not a canonical frontier.
    #[error("page {page}: {source}")]
    Frontier {
        /// The page.
        page: u32,
        /// What is wrong with it.
        source: TreeError,
    },
    /// A field has a value that no keyset encodes.
    #[error("field at byte {at} has no valid value")]
    InvalidField {
        /// Where the field begins, counted from the start of its part.
        at: usize,
    },
    /// Rows are not in the one order and form that a table has.
    #[error("the page table is not canonical at page {page}")]
    NotCanonical {
        /// The page at fault.
        page: u32,
    },
    /// The bytes end inside a field.
    #[error("bytes end inside a field")]
    Truncated,
    /// Bytes follow the last field.
    #[error("bytes follow the last field")]
    TrailingBytes,
    /// A row of the page table has a tag that this version does not know.
    #[error("unknown tag of a page row: {tag}")]
    UnknownRow {
        /// The tag.
        tag: u8,
    },
}

/// Says why a key file was refused.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyFileError {
    /// No slot is whole.
    #[error("no slot of the key file is whole")]
    Corrupt,
    /// The current secret is not the one the change was to follow.
    #[error("the current secret of the key file is another one")]
    CurrentChanged,
    /// The key file belongs to another store.
    #[error("the key file belongs to store {found}")]
    Foreign {
        /// The store it names.
        found: StoreId,
    },
    /// There is no next secret to promote.
    #[error("the key file holds no next secret")]
    NoNext,
    /// No sequence number is left.
    #[error("no sequence number of the key file is left")]
    SequenceExhausted,
    /// The key file is of a version that this one does not know.
    #[error("key file version {version} is unknown")]
    UnknownVersion {
        /// The version it names.
        version: u16,
    },
    /// The key file does not have the length of two slots.
    #[error("a key file of {bytes} bytes; 1024 are needed")]
    WrongLength {
        /// The length found.
        bytes: usize,
    },
}

/// Says why a granularity or a key scope could not be read.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ScopeError {
    /// The bytes are the canonical form of no key scope.
    #[error("the bytes are no canonical key scope")]
    NotCanonical,
    /// The code is none of 1 to 6.
    #[error("unknown granularity code: {code}")]
    UnknownGranularity {
        /// The code.
        code: u8,
    },
    /// The name is none of entity, coordinate, scope, category, kind and event.
    #[error("unknown granularity; one of entity, coordinate, scope, category, kind, event is needed")]
    UnknownName,
}

impl From<CodecError> for ImageError {
    fn from(error: CodecError) -> Self {
        match error {
            CodecError::TrailingBytes => Self::TrailingBytes,
            _ => Self::Truncated,
        }
    }
}

impl From<TreeError> for KeysetError {
    fn from(error: TreeError) -> Self {
        match error {
            TreeError::Entropy(error) => Self::Entropy(error),
            other => Self::Tree(other),
        }
    }
}
