//! `batpak import git`: one event a commit.
//!
//! Invariant: who the author is, and what the message says, stand only in the payload; a commit is known by its id, so it is
//! appended once, whatever stopped the imports before.

use std::{collections::HashSet, path::PathBuf};

use base64::{Engine, engine::general_purpose::STANDARD};
use batpak_store::{
    Cause, ContentType, Coordinate, EventId, EventKind, NewEvent, ReadError, Store, Timestamp,
    format::{CAUSES_MAX, CoordinateError},
};
use clap::Args;
use serde::Serialize;

use crate::{
    durability::DurabilityFlag,
    error::{CliError, Exit},
    import::{
        CHUNK_EVENTS_MAX, Counts, ImportError, ImportLine,
        authors::{Authors, Identity},
        chunk_bytes_max,
        history::{Commit, Repository},
        line::id_of,
    },
    open::Keys,
    output::Output,
    progress::Progress,
};

/// The kind of a commit: category 1, type 1.
const KIND: EventKind = EventKind::from_u16(0x1001);

const ABOUT: &str = "\
Append the commits of a git repository, one event each, parents before children

Entity is author-1, author-2, ... in order of first appearance; scope is the repository's name;
kind is 1:1; causes are the parents, in git's order (a parent that was not walked, beyond a
shallow boundary say, is marked external); the key is the commit id, so `batpak get STORE --key
COMMIT-ID` finds a commit; the time is the committer's. The payload is JSON with author (name
and e-mail after the mailmap), authored, committed and message, so who the author is stands only
in sealed payloads. Where a text is not UTF-8, its bytes stand beside it in a field that ends in
_base64.

The same history twice adds nothing; commits that came since are added. Entity, scope, times,
causes and the hashes of the commit ids are stored in clear, and no shred takes them away.";

/// Append the commits of a git repository, one event each
#[derive(Debug, Args)]
#[command(long_about = ABOUT)]
pub struct ImportGit {
    /// The directory of the store
    #[arg(value_name = "STORE")]
    dir: PathBuf,

    /// The repository, or a directory in it
    #[arg(value_name = "REPO")]
    repo: PathBuf,

    /// The scope of the events, instead of the repository's name; stored in clear
    #[arg(long)]
    scope: Option<String>,

    /// The commits of all refs, not only of HEAD
    #[arg(long)]
    all: bool,

    /// When each chunk is acknowledged; at its end an import syncs everything, whichever this is
    #[arg(long, value_enum, default_value_t)]
    durability: DurabilityFlag,
}

/// Why a commit cannot be an event.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// It has more parents than an event has causes.
    #[error("it has {parents} parents, an event has at most {CAUSES_MAX} causes")]
    TooManyParents { parents: usize },
    /// Its message is larger than the store takes.
    #[error("its payload has {bytes} bytes, the store takes at most {bytes_max}")]
    PayloadTooLarge { bytes: usize, bytes_max: u32 },
    /// The scope is no name.
    #[error("the scope is not valid, choose one with --scope")]
    Scope(#[source] CoordinateError),
    /// The store could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The payload could not be written as JSON.
    #[error("its payload cannot be written as JSON")]
    Json(#[from] serde_json::Error),
}

impl CommitError {
    /// Returns the exit code.
    pub const fn exit(&self) -> Exit {
        match self {
            Self::Scope(_) | Self::PayloadTooLarge { .. } => Exit::Usage,
            _ => Exit::Refused,
        }
    }
}

impl ImportGit {
    /// Imports the commits.
    pub fn run(&self, keys: &Keys, output: &mut Output) -> Result<(), CliError> {
        let repo = Repository::find(&self.repo).map_err(|source| ImportError::History { added: 0, source })?;
        let store = keys.open(&self.dir, self.durability.into())?;
        let counts = import(&store, &repo, self.scope.as_deref(), self.all)?;
        store.close()?;
        output.show(&ImportLine::from(&counts))
    }
}

/// Imports the commits of a repository, under its name unless another scope is given.
///
/// # Errors
/// [`ImportError`]; the chunks before the one at hand stay.
pub fn import(store: &Store, repo: &Repository, scope: Option<&str>, all: bool) -> Result<Counts, ImportError> {
    let mut chunk = Chunk::new(store, scope.unwrap_or(repo.name()))?;
    let unread = |source| ImportError::History { added: 0, source };
    if !repo.has_commits(all).map_err(unread)? {
        return Ok(chunk.counts);
    }
    // Counting walks the history once more, which takes git about as long as telling it.
    let total = if Progress::is_shown() { Some(repo.count(all).map_err(unread)?) } else { None };
    let progress = Progress::start("import", total);
    let bytes_max = chunk_bytes_max(store.info());
    let mut walk = repo.walk(all).map_err(unread)?;
    loop {
        let added = chunk.counts.added;
        let next = walk.next().map_err(|source| ImportError::History { added, source })?;
        let Some(commit) = next else {
            chunk.write()?;
            return Ok(chunk.counts);
        };
        chunk.push(&commit).map_err(|source| ImportError::Commit { commit: commit.id, added, source })?;
        if chunk.drafts.len() == CHUNK_EVENTS_MAX || chunk.bytes >= bytes_max {
            chunk.write()?;
        }
        progress.set(chunk.counts.seen());
    }
}

/// Commits that are appended together.
struct Chunk<'a> {
    store: &'a Store,
    scope: &'a str,
    authors: Authors,
    drafts: Vec<Draft>,
    ids: HashSet<EventId>,
    bytes: u64,
    counts: Counts,
}

/// The event of a commit.
struct Draft {
    coordinate: Coordinate,
    id: EventId,
    causes: Vec<Cause>,
    time: Timestamp,
    payload: Vec<u8>,
}

impl<'a> Chunk<'a> {
    fn new(store: &'a Store, scope: &'a str) -> Result<Self, ImportError> {
        let refused = |source: ReadError| ImportError::Refused { added: 0, source: source.into() };
        Ok(Self {
            store,
            scope,
            authors: Authors::learn(store).map_err(refused)?,
            drafts: Vec::new(),
            ids: HashSet::new(),
            bytes: 0,
            counts: Counts::start(),
        })
    }

    /// Takes a commit; one that is in the store only tells who its author is there.
    fn push(&mut self, commit: &Commit) -> Result<(), CommitError> {
        let id = id_of(&commit.id);
        let identity = Identity { email: lossy(&commit.email).0, name: lossy(&commit.name).0 };
        if self.store.contains(id)? {
            if !self.authors.knows(&identity)
                && let Some(header) = self.store.header(id)?
            {
                self.authors.learn_one(identity, header.coordinate.entity());
            }
            self.counts.repeated += 1;
            return Ok(());
        }
        let payload = payload(commit, &identity)?;
        let bytes_max = self.store.info().plaintext_bytes_max;
        if payload.len() as u64 > u64::from(bytes_max) {
            return Err(CommitError::PayloadTooLarge { bytes: payload.len(), bytes_max });
        }
        let causes = self.causes(commit)?;
        let coordinate = Coordinate::new(self.authors.entity_of(&identity), self.scope).map_err(CommitError::Scope)?;
        self.bytes += (payload.len() + self.scope.len() + 17 * causes.len() + 512) as u64;
        let time = Timestamp::from_micros(commit.committed_s.saturating_mul(1_000_000));
        self.ids.insert(id);
        self.drafts.push(Draft { coordinate, id, causes, time, payload });
        Ok(())
    }

    /// Returns the parents as causes: external unless they are in the store or in this chunk. Git lets a commit name a parent
    /// twice; an event names a cause once.
    fn causes(&self, commit: &Commit) -> Result<Vec<Cause>, CommitError> {
        let mut causes: Vec<Cause> = Vec::with_capacity(commit.parents.len());
        for parent in &commit.parents {
            let id = id_of(parent);
            if causes.iter().all(|cause| cause.id != id) {
                let external = !self.ids.contains(&id) && !self.store.contains(id)?;
                causes.push(Cause { id, external });
            }
        }
        if causes.len() > CAUSES_MAX {
            return Err(CommitError::TooManyParents { parents: causes.len() });
        }
        Ok(causes)
    }

    /// Appends the chunk as one batch.
    fn write(&mut self) -> Result<(), ImportError> {
        if self.drafts.is_empty() {
            return Ok(());
        }
        let events: Vec<_> = self.drafts.iter().map(Draft::event).collect();
        let added = self.counts.added;
        self.store.append_batch(&events).map_err(|source| ImportError::Refused { added, source })?;
        self.counts.added += self.drafts.len() as u64;
        self.drafts.clear();
        self.ids.clear();
        self.bytes = 0;
        Ok(())
    }
}

impl Draft {
    fn event(&self) -> NewEvent<'_> {
        let mut event = NewEvent::new(self.coordinate.clone(), KIND, &self.payload)
            .id(self.id)
            .time(self.time)
            .content_type(ContentType::JSON);
        for cause in &self.causes {
            event = if cause.external { event.external_cause(cause.id) } else { event.cause(cause.id) };
        }
        event
    }
}

/// What a commit's payload says.
#[derive(Serialize)]
struct CommitPayload<'a> {
    author: Person<'a>,
    authored: Option<&'a str>,
    committed: Option<&'a str>,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_base64: Option<String>,
}

#[derive(Serialize)]
struct Person<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name_base64: Option<String>,
    email: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    email_base64: Option<String>,
}

fn payload(commit: &Commit, identity: &Identity) -> Result<Vec<u8>, CommitError> {
    let (message, message_base64) = lossy(&commit.message);
    Ok(serde_json::to_vec(&CommitPayload {
        author: Person {
            name: &identity.name,
            name_base64: lossy(&commit.name).1,
            email: &identity.email,
            email_base64: lossy(&commit.email).1,
        },
        authored: Some(commit.authored.as_str()).filter(|date| !date.is_empty()),
        committed: Some(commit.committed.as_str()).filter(|date| !date.is_empty()),
        message,
        message_base64,
    })?)
}

/// Returns bytes as text, and as base64 too when they are not UTF-8.
fn lossy(bytes: &[u8]) -> (String, Option<String>) {
    match str::from_utf8(bytes) {
        Ok(text) => (text.to_owned(), None),
        Err(_) => (String::from_utf8_lossy(bytes).into_owned(), Some(STANDARD.encode(bytes))),
    }
}
