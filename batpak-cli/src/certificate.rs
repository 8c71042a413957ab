//! `batpak certificate`: issues, shows and checks the certificate of a shred.
//!
//! Invariant: no key is asked for and the store is not changed; what is issued is taken from the log alone.

mod file;
mod hex;
mod names;
mod shown;
mod verdict;

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    str::FromStr,
};

use batpak_store::{Certificate, CertificateHash, EventKind, Query, Store, format::SYSTEM_ENTITY};
use clap::{Args, Subcommand};

use self::{file::CertificateFile, shown::CertificateLine, verdict::VerdictLine};
use crate::{error::CliError, open::open_without_keys, output::Output, progress::Progress, verify::not_sound};

const ABOUT: &str = "\
Issue the certificate of a shred, or check one against a log

`batpak certificate STORE` issues the certificate of a shred from the log: what was destroyed, when,
by which records, and what that is worth. The log is verified up to the shred's completion for it. It
can be issued again at any time, and is the same each time. --out writes it as a file; with --json it
is printed as it stands in that file.

`batpak certificate verify CERT STORE` holds a certificate against a store, or against any copy of
its segments: the same store, chain, records, keys and events. `batpak certificate show CERT` prints
one. None of the three needs a key.

The exit code is 1 when there is no such shred, when it is pending, when the log is not sound up to
its completion, when the certificate was changed, and when the log does not bear it out.";

/// Issue the certificate of a shred, or check one against a log
#[derive(Debug, Args)]
#[command(long_about = ABOUT, args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct CertificateVerb {
    #[command(subcommand)]
    asked: Option<Asked>,

    /// The directory of the store
    #[arg(value_name = "STORE", required = true)]
    dir: Option<PathBuf>,

    /// The position of the shred's intent, or `last`
    #[arg(long, value_name = "POSITION|last", default_value = "last")]
    intent: Intent,

    /// Write the certificate into this file, which must be new
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Asked {
    Show(ShowVerb),
    Verify(VerifyVerb),
}

/// Print what a certificate states, after checking that it was not changed
#[derive(Debug, Args)]
struct ShowVerb {
    /// The file of the certificate
    #[arg(value_name = "CERT")]
    file: PathBuf,
}

/// Hold a certificate against a store, or against a copy of its segments, without any key
#[derive(Debug, Args)]
struct VerifyVerb {
    /// The file of the certificate
    #[arg(value_name = "CERT")]
    file: PathBuf,

    /// The directory of the store, or of a copy that has its `segments` folder
    #[arg(value_name = "STORE")]
    dir: PathBuf,
}

/// Which shred is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Intent {
    /// The last one.
    Last,
    /// The one whose intent stands at a position.
    At(u64),
}

impl FromStr for Intent {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "last" => Ok(Self::Last),
            _ => text.parse().map(Self::At).map_err(|_| "an intent is named by its position, or as `last`"),
        }
    }
}

impl CertificateVerb {
    /// Issues, shows or checks.
    pub fn run(&self, output: &mut Output) -> Result<(), CliError> {
        match (&self.asked, &self.dir) {
            (Some(Asked::Show(verb)), _) => output.show(&CertificateLine::of(&read(&verb.file)?)?),
            (Some(Asked::Verify(verb)), _) => verb.run(output),
            (None, Some(dir)) => self.issue(dir, output),
            (None, None) => Err(CliError::Flags("name the directory of the store")),
        }
    }

    fn issue(&self, dir: &Path, output: &mut Output) -> Result<(), CliError> {
        let store = open_without_keys(dir).map_err(not_sound)?;
        let intent = match self.intent {
            Intent::At(position) => position,
            Intent::Last => last_intent(&store)?.ok_or(CliError::NoShred)?,
        };
        let certificate = issue(&store, intent)?;
        if let Some(path) = &self.out {
            Reserved::new(path)?.write(&certificate)?;
        }
        output.show(&CertificateLine::of(&certificate)?)
    }
}

impl VerifyVerb {
    fn run(&self, output: &mut Output) -> Result<(), CliError> {
        let certificate = read(&self.file)?;
        let store = open_without_keys(&self.dir).map_err(not_sound)?;
        let line = check(&store, &certificate)?;
        output.show(&line)?;
        line.verdict()
    }
}

/// Issues the certificate of a shred.
pub fn issue(store: &Store, intent: u64) -> Result<Certificate, CliError> {
    let progress = Progress::start("certificate", None);
    Ok(store.certificate(intent, &mut |done| progress.set(done))?)
}

/// Holds a certificate against a store.
pub fn check(store: &Store, certificate: &Certificate) -> Result<VerdictLine, CliError> {
    let progress = Progress::start("verify", Some(certificate.completion.position));
    let report = store.verify_certificate(certificate, &mut |done| progress.set(done))?;
    drop(progress);
    Ok(VerdictLine::new(&report, hash_of(certificate)?))
}

/// Reads a certificate from its file.
pub fn read(path: &Path) -> Result<Certificate, CliError> {
    let text = fs::read(path).map_err(|source| CliError::Input { path: path.to_owned(), source })?;
    let file: CertificateFile = serde_json::from_slice(&text)
        .map_err(|why| CliError::NoCertificate { path: path.to_owned(), why: why.to_string() })?;
    file.certificate(path)
}

/// Returns the hash that names a certificate.
pub fn hash_of(certificate: &Certificate) -> Result<CertificateHash, CliError> {
    certificate.hash().map_err(|why| CliError::Certificate(Box::new(why.into())))
}

fn last_intent(store: &Store) -> Result<Option<u64>, CliError> {
    let intents = Query::all().entity(SYSTEM_ENTITY).include_system(true).kind(EventKind::SHRED_INTENT);
    let last = store.read(&intents.reverse().limit(1).headers_only(true))?.next().transpose()?;
    Ok(last.map(|event| event.header.position))
}

/// A new file for a certificate that is still to be issued; it is removed again when none was.
#[derive(Debug)]
pub struct Reserved {
    path: PathBuf,
    file: File,
    written: bool,
}

impl Reserved {
    /// Makes the file, which must not be there yet.
    pub fn new(path: &Path) -> Result<Self, CliError> {
        let file = File::create_new(path).map_err(|source| CliError::Folder { path: path.to_owned(), source })?;
        Ok(Self { path: path.to_owned(), file, written: false })
    }

    /// Writes the certificate, synced.
    pub fn write(mut self, certificate: &Certificate) -> Result<(), CliError> {
        let form = CertificateFile::of(certificate)?;
        let write = |file: &File| -> io::Result<()> {
            let mut out = BufWriter::new(file);
            serde_json::to_writer_pretty(&mut out, &form)?;
            out.write_all(b"\n")?;
            out.flush()?;
            drop(out);
            file.sync_all()
        };
        write(&self.file).map_err(|source| CliError::Folder { path: self.path.clone(), source })?;
        self.written = true;
        Ok(())
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        if !self.written {
            // The file was made a moment ago and holds nothing that counts.
            let _ = fs::remove_file(&self.path);
        }
    }
}
