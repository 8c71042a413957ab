//! What became of a certificate that was held against a log.
//!
//! Invariant: it holds exactly when there is no finding, and what could not be looked at is said.

use std::io::{self, Write};

use batpak_store::{CertificateFinding, CertificateHash, CertificateReport};
use serde::Serialize;

use crate::{
    error::CliError,
    output::{Shown, counted},
};

/// What `certificate verify` prints.
#[derive(Debug, Serialize)]
pub struct VerdictLine {
    holds: bool,
    pub hash: String,
    events_read: u64,
    sections_unread: usize,
    findings: Vec<FindingLine>,
}

#[derive(Debug, Serialize)]
struct FindingLine {
    field: Option<String>,
    position: Option<u64>,
    what: String,
}

impl VerdictLine {
    /// Takes what was found.
    pub fn new(report: &CertificateReport, hash: CertificateHash) -> Self {
        Self {
            holds: report.holds(),
            hash: hash.to_string(),
            events_read: report.events_read,
            sections_unread: report.sections_unread,
            findings: report.findings.iter().map(FindingLine::of).collect(),
        }
    }

    /// Turns findings into the answer no.
    ///
    /// # Errors
    /// [`CliError::CertificateFails`].
    pub const fn verdict(&self) -> Result<(), CliError> {
        if self.holds { Ok(()) } else { Err(CliError::CertificateFails { findings: self.findings.len() }) }
    }
}

impl FindingLine {
    fn of(finding: &CertificateFinding) -> Self {
        let (field, position) = match finding {
            CertificateFinding::Differs { field, position }
            | CertificateFinding::ScopeDiffers { field, position, .. } => (Some(field.to_string()), Some(*position)),
            CertificateFinding::LogEnds { position, .. } | CertificateFinding::NotAnIntent { position } => {
                (None, Some(*position))
            }
            CertificateFinding::LogUnsound(problem) => (None, Some(problem.position)),
            CertificateFinding::NotCompleted { intent } => (None, Some(*intent)),
            _ => (None, None),
        };
        Self { field, position, what: finding.to_string() }
    }
}

impl Shown for VerdictLine {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        let answer = if self.holds { "holds" } else { "DOES NOT HOLD" };
        writeln!(out, "certificate {} {answer}", self.hash)?;
        let events = counted(self.events_read, "event", "events");
        writeln!(out, "  {events} of the log checked, from the first one to the completion, without any key")?;
        if self.sections_unread > 0 {
            let sections = counted(self.sections_unread as u64, "section", "sections");
            writeln!(out, "  {sections} of a later version not looked at")?;
        }
        self.findings.iter().try_for_each(|finding| writeln!(out, "  {}", finding.what))
    }
}
