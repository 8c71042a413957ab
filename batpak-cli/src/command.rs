//! The command line: the flags that every verb takes, and the verbs.
//!
//! Invariant: a flag that names a key source names a place or a variable, and never holds a secret.

use clap::{Parser, Subcommand};

use crate::accept::Accept;
use crate::append::Append;
use crate::backup::Backup;
use crate::certificate::CertificateVerb;
use crate::demo::Demo;
use crate::drill::Drill;
use crate::get::Get;
use crate::graph::GraphVerb;
use crate::hold::{Hold, Holds, Release};
use crate::import::Import;
use crate::init::Init;
use crate::keys::KeysVerb;
use crate::leakcheck::Leakcheck;
use crate::open::Keys;
use crate::read::Read;
use crate::readmit::Readmit;
use crate::rekey::Rekey;
use crate::restore::Restore;
use crate::resume::Resume;
use crate::shred::Shred;
use crate::stats::Stats;
use crate::verify::Verify;

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  the answer is no: not found, conflict, unknown cause, shredded key scope, nothing to shred,
     another plan, held, not held, verification failed, no such shred, certificate changed or
     not borne out, a drill or a search for leaks that found something
  2  the command or its input is wrong: malformed id, kind or import line, payload too large,
     shred without --yes or --apply, or by what the store has no keys for
  3  the store or the disk refused

Start with `batpak demo`.";

const JSON_AND_EXIT_CODES: &str = "\
With --json:
  An event (get, read) has position, revision, id, entity, scope, kind, time, time_us,
  content_type, payload_version, correlation, causes, tags, batch, payload_bytes, key_id,
  event_hash, chain_hash, and payload, which is one of
    open      the payload stands in data when it is UTF-8, else in data_base64
    shredded  its key was destroyed; intent is the position of the event that says so
    key_lost  its key is not in the keyset, and no shred of it is on record
  A receipt (append) has id, position, revision, event_hash, chain_hash and repeat.
  Events of graph have position, id, entity, scope, kind, correlation, causes and layer.
  The other verbs print one object of counts. An error is one object on standard error, with
  error and exit. batpak-cli/README.md describes every field.

Exit codes:
  0  done
  1  the answer is no: not found, conflict, unknown cause, shredded key scope, nothing to shred,
     another plan, held, not held, verification failed, no such shred, certificate changed or
     not borne out, a drill or a search for leaks that found something
  2  the command or its input is wrong: malformed id, kind or import line, payload too large,
     shred without --yes or --apply, or by what the store has no keys for
  3  the store or the disk refused

Start with `batpak demo`.";

/// batpak keeps append-only, hash-chained logs of events, each payload sealed under a key that can be destroyed.
#[derive(Debug, Parser)]
#[command(name = "batpak", version, after_help = EXIT_CODES, after_long_help = JSON_AND_EXIT_CODES)]
pub struct Cli {
    /// Print one JSON object a line; `batpak --help` describes them
    #[arg(long, global = true, display_order = 100)]
    pub json: bool,

    #[command(flatten)]
    pub keys: Keys,

    #[command(subcommand)]
    pub verb: Verb,
}

/// What is to be done.
#[derive(Debug, Subcommand)]
pub enum Verb {
    Init(Init),
    Append(Append),
    Import(Import),
    Get(Get),
    Read(Read),
    Verify(Verify),
    Stats(Stats),
    Graph(GraphVerb),
    Shred(Shred),
    Certificate(CertificateVerb),
    Readmit(Readmit),
    Hold(Hold),
    Release(Release),
    Holds(Holds),
    Rekey(Rekey),
    Resume(Resume),
    Accept(Accept),
    Keys(KeysVerb),
    Backup(Backup),
    Restore(Restore),
    Drill(Drill),
    Leakcheck(Leakcheck),
    Demo(Demo),
}
