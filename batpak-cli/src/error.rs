//! Why a verb was not carried out, and the exit code that says so.
//!
//! Invariant: each error has exactly one exit code, and no message holds a passphrase, a key or a payload.

use std::{error::Error, io, path::PathBuf, process::ExitCode};

use batpak_graph::GraphError;
use batpak_store::{
    AppendError, BackupError, CertificateError, Denied, EventId, Expect, LeakError, OpenError, ReadError, ShredError,
};
use serde_json::{Map, Value, json};

use crate::{import::ImportError, output::counted};

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// The answer is no.
    No = 1,
    /// The command or its input is wrong.
    Usage = 2,
    /// The store or the disk refused.
    Refused = 3,
}

impl Exit {
    /// Returns the number that the shell sees.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// Returns the code that `main` ends with.
    pub fn code(self) -> ExitCode {
        ExitCode::from(self.number())
    }
}

/// Why a verb was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The command line could not be read; the text is clap's.
    #[error("{0}")]
    Command(String),
    /// Flags do not go together, or one is missing.
    #[error("{0}")]
    Flags(&'static str),
    /// The variable that should hold the passphrase is not set, or empty.
    #[error("the environment variable {variable}, named by --passphrase-env, is not set or is empty")]
    PassphraseUnset { variable: String },
    /// The store is sealed under a passphrase, and none was given.
    #[error(
        "the store is sealed under a passphrase: put it into an environment variable and name that with --passphrase-env VAR"
    )]
    PassphraseNeeded,
    /// The store is sealed under a key file, and where that is was not recorded.
    #[error("the store is sealed under a key file, and its place is not recorded: name it with --key-file PATH")]
    KeyFileNeeded,
    /// The root secret is with a provider that only a program can bring.
    #[error("the root secret of this store is kept by a provider that the command line does not have")]
    ProviderUnknown,
    /// What was to be appended could not be read.
    #[error("cannot read {}", path.display())]
    Input { path: PathBuf, source: io::Error },
    /// Standard output could not be written.
    #[error("cannot write to standard output")]
    Output(#[source] io::Error),
    /// A file of the command's own could not be made or measured.
    #[error("cannot use {}", path.display())]
    Folder { path: PathBuf, source: io::Error },
    /// No event has the id.
    #[error("no event has the id {id}")]
    NotFound { id: EventId },
    /// No event has the id or the key.
    #[error("no event has the id or the key {name}")]
    NameNotFound { name: String },
    /// Two events have nothing in common that led to both.
    #[error("no event led to both")]
    NoCommonAncestor,
    /// One event did not lead to another.
    #[error("no such chain of causes leads from {from} to {to}{}", if *turned { " (one leads the other way)" } else { "" })]
    NoPath { from: String, to: String, turned: bool },
    /// The events named lack a cause.
    #[error("{0}")]
    CutNotClosed(GraphError),
    /// Events name causes that cannot be true.
    #[error("the causes are not sound: {faults} faults")]
    CausesFaulty { faults: usize },
    /// The events of the store make no graph.
    #[error("the causes cannot be read: {0}")]
    Graph(GraphError),
    /// The events of the store make no graph, for a reason that this version does not know.
    #[error("the causes cannot be read")]
    GraphUnread,
    /// The store was verified and is not sound.
    #[error("the store is not sound: {problems} problems, {lost} payloads lost")]
    NotSound { problems: u64, lost: u64 },
    /// The log or the keyset is so damaged that it does not open, and that is the answer to `verify`.
    #[error("the store is not sound: {}{}", chain(source), advice(source))]
    NotSoundToOpen { source: Box<OpenError> },
    /// The store did not open.
    #[error("{}: {}{}", dir.display(), chain(source), advice(source))]
    Open { dir: PathBuf, source: Box<OpenError> },
    /// An append was refused.
    #[error("{}", chain(.0))]
    Append(Box<AppendError>),
    /// A read was refused.
    #[error("{}", chain(.0))]
    Read(Box<ReadError>),
    /// A shred or a readmission was refused.
    #[error("{}", chain(.0))]
    Shred(Box<ShredError>),
    /// No shred is on record.
    #[error("no shred is on record")]
    NoShred,
    /// The certificate of a shred could not be issued.
    #[error("{}", chain(.0))]
    Certificate(Box<CertificateError>),
    /// A file is no certificate.
    #[error("{} is no certificate: {why}", path.display())]
    NoCertificate { path: PathBuf, why: String },
    /// What stands in a certificate does not agree with itself.
    #[error(
        "{} was changed after it was issued: its hash is {found} and it states {stated}, or a name, count or time in it is another",
        path.display()
    )]
    CertificateChanged { path: PathBuf, stated: String, found: String },
    /// The log does not say what the certificate says.
    #[error("the certificate does not hold: {}", counted(*findings as u64, "finding", "findings"))]
    CertificateFails { findings: usize },
    /// A backup, a restore or a drill was refused.
    #[error("{}", chain(.0))]
    Backup(Box<BackupError>),
    /// A drill could not restore what the backup should hold, and that is the answer.
    #[error("the backup is not sound: {}", chain(.0))]
    DrillNotRestored(Box<BackupError>),
    /// A drill restored a backup that is not sound.
    #[error("the backup is not sound: {}", findings.join("; "))]
    DrillNotSound { findings: Vec<String> },
    /// A search for leaks could not be made.
    #[error("{}", chain(.0))]
    Leak(Box<LeakError>),
    /// A search for leaks did not find what was planted for it.
    #[error("the search does not find what was planted for it in {}: what it does not find says nothing", path.display())]
    LeakBlind { path: PathBuf },
    /// A search for leaks found something.
    #[error("found {hits} times what should stand nowhere")]
    Leaked { hits: u64 },
    /// An import stopped.
    #[error(transparent)]
    Import(Box<ImportError>),
}

impl CliError {
    /// Returns the message with its sources.
    pub fn message(&self) -> String {
        match self {
            Self::Input { .. } | Self::Output(_) | Self::Folder { .. } => chain(self),
            other => other.to_string(),
        }
    }

    /// Returns the exit code.
    pub fn exit(&self) -> Exit {
        match self {
            Self::NotFound { .. }
            | Self::NameNotFound { .. }
            | Self::NoCommonAncestor
            | Self::NoPath { .. }
            | Self::CutNotClosed(_)
            | Self::CausesFaulty { .. }
            | Self::NoShred
            | Self::CertificateChanged { .. }
            | Self::CertificateFails { .. }
            | Self::NotSound { .. }
            | Self::NotSoundToOpen { .. }
            | Self::DrillNotRestored(_)
            | Self::DrillNotSound { .. }
            | Self::Leaked { .. } => Exit::No,
            Self::Command(_)
            | Self::Flags(_)
            | Self::PassphraseUnset { .. }
            | Self::PassphraseNeeded
            | Self::NoCertificate { .. }
            | Self::KeyFileNeeded
            | Self::LeakBlind { .. } => Exit::Usage,
            Self::Backup(error) => backup_exit(error),
            Self::Leak(error) => leak_exit(error),
            Self::Open { source, .. } => open_exit(source),
            Self::Append(error) => append_exit(error),
            Self::Shred(error) => shred_exit(error),
            Self::Certificate(error) => certificate_exit(error),
            Self::Import(error) => error.exit(),
            Self::ProviderUnknown
            | Self::Input { .. }
            | Self::Output(_)
            | Self::Folder { .. }
            | Self::Graph(_)
            | Self::GraphUnread
            | Self::Read(_) => Exit::Refused,
        }
    }

    /// Returns what the JSON form says beyond message and exit code.
    pub fn details(&self) -> Map<String, Value> {
        match self {
            Self::Import(error) => error.details(),
            Self::Append(error) => append_details(error),
            _ => Map::new(),
        }
    }

    /// Tells whether standard output was closed by its reader.
    pub fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}

impl From<AppendError> for CliError {
    fn from(error: AppendError) -> Self {
        Self::Append(Box::new(error))
    }
}

impl From<ReadError> for CliError {
    fn from(error: ReadError) -> Self {
        Self::Read(Box::new(error))
    }
}

impl From<ShredError> for CliError {
    fn from(error: ShredError) -> Self {
        Self::Shred(Box::new(error))
    }
}

impl From<CertificateError> for CliError {
    fn from(error: CertificateError) -> Self {
        Self::Certificate(Box::new(error))
    }
}

impl From<BackupError> for CliError {
    fn from(error: BackupError) -> Self {
        Self::Backup(Box::new(error))
    }
}

impl From<LeakError> for CliError {
    fn from(error: LeakError) -> Self {
        Self::Leak(Box::new(error))
    }
}

impl From<ImportError> for CliError {
    fn from(error: ImportError) -> Self {
        Self::Import(Box::new(error))
    }
}

/// Joins an error's message with those of its sources, each once.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let message = inner.to_string();
        if !text.contains(&message) {
            text.push_str(": ");
            text.push_str(&message);
        }
        source = inner.source();
    }
    text
}

/// Returns what to type, where the library's message cannot know it.
fn advice(error: &OpenError) -> &'static str {
    match error {
        OpenError::NotAStore { .. } => " (batpak init makes one)",
        OpenError::Locked => " (get, read, verify and stats work beside a writer)",
        OpenError::KeysetMissing => " (batpak accept --key-loss)",
        OpenError::KeysetRolledBack { .. } => " (batpak accept --keyset-rollback)",
        OpenError::LogRolledBack { .. } => " (batpak accept --log-rollback)",
        OpenError::PlaintextStore => " (leave --key-file and --passphrase-env away)",
        _ => "",
    }
}

fn open_exit(error: &OpenError) -> Exit {
    match error {
        OpenError::HintTooLong { .. } => Exit::Usage,
        _ => Exit::Refused,
    }
}

/// Returns the exit code of a refused backup or restore.
fn backup_exit(error: &BackupError) -> Exit {
    match error {
        BackupError::KeysetFolderNeeded | BackupError::SameFolder { .. } => Exit::Usage,
        _ => Exit::Refused,
    }
}

/// Returns the exit code of a search that could not be made.
fn leak_exit(error: &LeakError) -> Exit {
    match error {
        LeakError::CanaryTooLong { .. } | LeakError::CanaryTooPlain | LeakError::Blind => Exit::Usage,
        _ => Exit::Refused,
    }
}

/// Returns the exit code of a refused shred or readmission.
fn shred_exit(error: &ShredError) -> Exit {
    match error {
        ShredError::AlreadyHeld { .. }
        | ShredError::NotHeld
        | ShredError::Nothing
        | ShredError::PlanChanged { .. }
        | ShredError::Withheld { .. } => Exit::No,
        ShredError::Name(_)
        | ShredError::Plaintext
        | ShredError::ReferenceTooLong { .. }
        | ShredError::Reserved
        | ShredError::WrongGranularity { .. } => Exit::Usage,
        _ => Exit::Refused,
    }
}

/// Returns the exit code of a certificate that was not issued.
const fn certificate_exit(error: &CertificateError) -> Exit {
    match error {
        CertificateError::NoIntent { .. } | CertificateError::Pending { .. } | CertificateError::Unsound { .. } => {
            Exit::No
        }
        _ => Exit::Refused,
    }
}

/// Returns the exit code of a refused append.
pub fn append_exit(error: &AppendError) -> Exit {
    match error {
        AppendError::ConditionFailed { .. }
        | AppendError::Conflict { .. }
        | AppendError::Denied { .. }
        | AppendError::DuplicateInBatch { .. }
        | AppendError::PartlyRepeated { .. }
        | AppendError::ScopeShredded
        | AppendError::UnexpectedRevision { .. }
        | AppendError::UnknownCause { .. } => Exit::No,
        AppendError::BatchTooLarge { .. }
        | AppendError::InvalidCauses(_)
        | AppendError::InvalidTags(_)
        | AppendError::PayloadTooLarge { .. }
        | AppendError::ReservedEntity
        | AppendError::ReservedKind { .. } => Exit::Usage,
        _ => Exit::Refused,
    }
}

/// Returns why the rules of an append refused it, for programs.
fn append_details(error: &AppendError) -> Map<String, Value> {
    let reason = match error {
        AppendError::ConditionFailed { position } => json!({ "code": "condition_failed", "position": position }),
        AppendError::UnexpectedRevision { expected, actual, .. } => {
            let expected = match expected {
                Expect::Exactly(revision) => json!(revision),
                Expect::NoStream => json!("none"),
                Expect::Exists => json!("exists"),
                _ => json!("any"),
            };
            json!({ "code": "unexpected_revision", "expected": expected, "actual": actual })
        }
        AppendError::Denied { denied, recorded } => {
            let denial = |denied: &Denied| {
                let Denied { gate, denial, .. } = denied;
                json!({ "gate": gate, "code": denial.code, "message": denial.message })
            };
            let denials: Vec<Value> = denied.iter().map(denial).collect();
            json!({ "code": "denied", "denials": denials, "recorded": recorded })
        }
        _ => return Map::new(),
    };
    Map::from_iter([("reason".to_owned(), reason)])
}
