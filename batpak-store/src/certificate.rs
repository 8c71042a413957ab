//! Certificates of shreds: issued from the log alone, as often as they are asked for, and held against any copy of it.
//!
//! Invariants: no key is asked for and nothing is changed. What a certificate states was read in one verified walk from genesis to the
//! completion, so that the log it comes from held up to there; and the same log gives the same bytes.

mod check;
mod field;
mod finding;
mod issue;

use batpak_format::{Certificate, CertificateFormatError};

use self::issue::Issue;
use crate::{Problem, ReadError, Store};

pub use field::CertificateField;
pub use finding::{CertificateFinding, CertificateReport};

/// Why a certificate could not be issued.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// What stands in the log fits no certificate.
    #[error("what the log says of the shred fits no certificate")]
    Format(#[from] CertificateFormatError),
    /// No shred intent stands at the position.
    #[error("no shred intent stands at position {position}: name the position that the shred returned")]
    NoIntent {
        /// The position.
        position: u64,
    },
    /// The shred has no completion yet.
    #[error("the shred of the intent at position {intent} is pending: open the store for writing, which finishes it")]
    Pending {
        /// Position of the intent.
        intent: u64,
    },
    /// The log cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The log does not hold up to the completion; a certificate from it would be worth nothing.
    #[error("the log is not sound, first at position {}: {}", first.position, first.kind)]
    Unsound {
        /// How many things do not hold.
        problems: u64,
        /// The first of them.
        first: Problem,
    },
}

impl Store {
    /// Issues the certificate of the shred whose intent stands at a position, calling `progress` with the number of events done.
    ///
    /// The log is verified from genesis to the completion for it. Any intent of a batch names its shred. It needs no key: a read-only
    /// store, and one that was opened without keys, issue the same certificate, at any time.
    ///
    /// # Errors
    /// [`CertificateError::NoIntent`], [`CertificateError::Pending`] while the shred is not completed, [`CertificateError::Unsound`]
    /// when the log does not hold, [`CertificateError::Read`] when it cannot be read, and [`CertificateError::Format`] for records
    /// that no shred of this version writes.
    pub fn certificate(&self, intent: u64, progress: &mut dyn FnMut(u64)) -> Result<Certificate, CertificateError> {
        self.refresh()?;
        let shred = self.shred_at(intent)?.ok_or(CertificateError::NoIntent { position: intent })?;
        let mut issue = Issue::new(self, shred);
        let report = self.walk_for(&mut issue, progress)?;
        if let Some(first) = report.problems.into_iter().next() {
            return Err(CertificateError::Unsound { problems: report.problems_total, first });
        }
        let certificate = issue.finish()?.ok_or(CertificateError::Pending { intent })?;
        // What cannot be written down is no certificate.
        certificate.hash()?;
        Ok(certificate)
    }
}
