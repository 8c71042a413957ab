//! What can fail here: no error holds a key byte, a payload byte or free text.

use thiserror::Error;

/// Reports that the AEAD refused to seal; nothing may be written of what was to be sealed.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("sealing failed")]
pub struct SealFailed;

/// Reports that a ciphertext did not open, and nothing more: not which of key, nonce, AAD, bytes or tag was wrong.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("opening failed")]
pub struct OpenFailed;

/// Reports that no random bytes could be had.
#[derive(Clone, Copy, Debug, Default, Error, PartialEq, Eq)]
#[error("the entropy source failed")]
pub struct EntropyError {
    os_code: Option<i32>,
}

impl EntropyError {
    /// Makes the error, with the operating system's error code where there is one.
    #[must_use]
    pub const fn new(os_code: Option<i32>) -> Self {
        Self { os_code }
    }

    /// Returns the operating system's error code, if it gave one.
    #[must_use]
    pub const fn os_code(&self) -> Option<i32> {
        self.os_code
    }
}

/// Says why a key tree did not answer, or could not be made.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum TreeError {
    /// The depth is none that this version knows (4, 5 and 6).
    #[error("unknown depth of a key tree: {depth}")]
    DepthUnknown {
        /// The depth asked for.
        depth: u8,
    },
    /// The leaf was punctured: nothing that is left derives it.
    #[error("leaf {leaf} is destroyed")]
    Destroyed {
        /// The leaf asked for.
        leaf: u32,
    },
    /// No random bytes for a root.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// The bytes of a frontier are not the one form that this frontier has.
    #[error("the frontier is not canonical at entry {entry}: {defect}")]
    NotCanonical {
        /// The first entry at fault, counted from zero.
        entry: usize,
        /// What is wrong with it.
        defect: FrontierDefect,
    },
    /// The leaf is none of this tree.
    #[error("leaf {leaf} is outside a tree of {leaves} leaves")]
    OutOfRange {
        /// The leaf asked for.
        leaf: u32,
        /// The number of leaves of the tree.
        leaves: u32,
    },
}

/// Says what keeps an encoded frontier from being canonical.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum FrontierDefect {
    /// All eight children of a node stand there, where the node itself must.
    #[error("eight siblings stand for their parent")]
    Mergeable,
    /// The entry names no subtree of a tree of this depth.
    #[error("no subtree of this tree")]
    OutOfRange,
    /// The entry begins before the one in front of it ends: unsorted, doubled or overlapping.
    #[error("out of order or overlapping")]
    Overlap,
    /// The bytes end inside the entry.
    #[error("bytes end inside the entry")]
    Truncated,
}

/// Says why no root secret came of a passphrase.
#[cfg(feature = "passphrase")]
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum PassphraseError {
    /// The passphrase is empty or longer than 4,096 bytes.
    #[error("passphrase of {bytes} bytes; 1 to 4096 are allowed")]
    Length {
        /// The length of the passphrase.
        bytes: usize,
    },
    /// The memory is outside 8 MiB to 4 GiB.
    #[error("argon2id memory out of range: {m_kib} KiB")]
    MemoryOutOfRange {
        /// The memory asked for, in KiB.
        m_kib: u32,
    },
    /// The machine does not give that much memory.
    #[error("{m_kib} KiB for argon2id cannot be had")]
    MemoryUnavailable {
        /// The memory asked for, in KiB.
        m_kib: u32,
    },
    /// The parallelism is outside 1 to 16.
    #[error("argon2id parallelism out of range: {p}")]
    ParallelismOutOfRange {
        /// The parallelism asked for.
        p: u32,
    },
    /// The number of passes is outside 1 to 64.
    #[error("argon2id passes out of range: {t}")]
    PassesOutOfRange {
        /// The passes asked for.
        t: u32,
    },
    /// The backend refused what was checked before; no secret was made.
    #[error("argon2id failed")]
    Refused,
}
