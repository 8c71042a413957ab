//! What a certificate says and the log does not.
//!
//! Invariant: a finding names what is contradicted and where the log does so.

use batpak_format::StoreId;
use batpak_keyset::KeyScope;

use crate::{CertificateField, Problem};

/// What became of a certificate that was held against a log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CertificateReport {
    /// What the log contradicts.
    pub findings: Vec<CertificateFinding>,
    /// Events of the log that were read for it, the store's own too.
    pub events_read: u64,
    /// Sections of a later version that this version carries and cannot look into.
    pub sections_unread: usize,
}

impl CertificateReport {
    /// Whether the log says everything that the certificate says.
    pub const fn holds(&self) -> bool {
        self.findings.is_empty()
    }
}

/// One thing that a certificate says and the log does not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateFinding {
    /// The log says otherwise.
    #[error("the {field} is another in the log, at position {position}")]
    Differs {
        /// What differs.
        field: CertificateField,
        /// Where the log says so.
        position: u64,
    },
    /// The log ends before what the certificate names.
    #[error("the certificate names position {position}, and the log ends at {end}: it was cut, or is an older copy")]
    LogEnds {
        /// The position that the certificate names.
        position: u64,
        /// The position behind the log's last event.
        end: u64,
    },
    /// The log does not hold before the completion.
    #[error("the log is not sound at position {}: {}", .0.position, .0.kind)]
    LogUnsound(Problem),
    /// The log has an intent and no completion of it where one is named.
    #[error("the log has no completion of the intent at position {intent}")]
    NotCompleted {
        /// Position of the intent.
        intent: u64,
    },
    /// No shred intent stands where the certificate names one.
    #[error("no shred intent stands at position {position}")]
    NotAnIntent {
        /// The position.
        position: u64,
    },
    /// The certificate is of another store.
    #[error("the certificate is of store {named}, the log of store {found}")]
    OtherStore {
        /// The store that the certificate names.
        named: StoreId,
        /// The store that the log belongs to.
        found: StoreId,
    },
    /// The log says otherwise of one key scope.
    #[error("{}: the {field} is another in the log, at position {position}", name_of(key_scope.as_ref()))]
    ScopeDiffers {
        /// What differs.
        field: CertificateField,
        /// The key scope; none for keys that no event names, and for bytes that are no key scope.
        key_scope: Option<KeyScope>,
        /// Where the log says so.
        position: u64,
    },
}

fn name_of(key_scope: Option<&KeyScope>) -> String {
    key_scope.map_or_else(|| "keys without a key scope".to_owned(), ToString::to_string)
}
