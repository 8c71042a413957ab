//! What an operation can fail with: one enum an operation, a variant only where a caller acts differently on it.
//!
//! Invariant: no message carries a key, a payload or a piece of one.

use std::{io, path::PathBuf, sync::Arc};

use batpak_format::{CausesError, EventId, EventKind, FrameError, KeyId, RecordError, StoreId, TagsError};
use batpak_keyset::{Granularity, KeysetError, LoadError};
use batpak_segment::RecoveryError;

use crate::{Denied, Expect, secret::ProviderError};

/// Why a store could not be created or opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// A store, or a part of one, stands where a new one was to be made.
    #[error("{} already holds {name}: choose an empty directory, or open the store that is there", dir.display())]
    AlreadyExists {
        /// The directory.
        dir: PathBuf,
        /// What was found in it.
        name: String,
    },
    /// The genesis event could not be written.
    #[error("the first event could not be written")]
    Append(#[source] AppendError),
    /// The disk refused.
    #[error("cannot {what} {}", path.display())]
    Disk {
        /// What was tried.
        what: &'static str,
        /// On which file or directory.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The store is encrypted, and the configuration says it is not.
    #[error("the store is encrypted: open it with the provider of its root secret")]
    EncryptionExpected,
    /// The system's source of randomness failed.
    #[error("no randomness could be had for the new store")]
    Entropy(#[from] batpak_crypto::EntropyError),
    /// A file is in the store's directory that is none of the store's.
    #[error("{name} is no file of the store: move it out of the store's directory")]
    ForeignFile {
        /// Its name.
        name: String,
    },
    /// The keyset belongs to another store.
    #[error("the keyset belongs to store {found}, the log to store {expected}: put the store's own keyset back")]
    ForeignKeyset {
        /// The store that the log belongs to.
        expected: StoreId,
        /// The store that the keyset belongs to.
        found: StoreId,
    },
    /// The genesis event does not say what a store needs to know.
    #[error("the first event is no genesis event that this version understands")]
    Genesis(#[source] Option<RecordError>),
    /// The keyset could not be made or changed.
    #[error("the keyset refused")]
    Keyset(#[from] KeysetError),
    /// Both copies of the keyset are damaged.
    #[error("both copies of the keyset are damaged: restore keyset.a and keyset.b from their latest backup")]
    KeysetCorrupt(#[source] LoadError),
    /// The keyset is gone while the log has sealed events.
    #[error("the keyset is missing: restore keyset.a and keyset.b from their latest backup, or accept the loss")]
    KeysetMissing,
    /// The keyset is older than the log.
    #[error(
        "the keyset is older than the log (epoch {epoch}): restore the latest copy of keyset.a and keyset.b, or accept the rollback"
    )]
    KeysetRolledBack {
        /// The epoch of the keyset that was found.
        epoch: u64,
    },
    /// The log is older than the keyset: events that were acknowledged are missing.
    #[error(
        "the log ends at position {found}, and the keyset has seen it reach {seen}: acknowledged events are missing; restore the log, or accept the rollback"
    )]
    LogRolledBack {
        /// Where the log ends.
        found: u64,
        /// Where the keyset saw it end.
        seen: u64,
    },
    /// The directory lies inside another store.
    #[error("{} is a store: choose a directory outside of it", outer.display())]
    InsideStore {
        /// The store around it.
        outer: PathBuf,
    },
    /// Another process has the store open for writing.
    #[error("another process has the store open for writing: close it there, or open the store read-only")]
    Locked,
    /// There is no store in the directory.
    #[error("{} holds no store: create one first", dir.display())]
    NotAStore {
        /// The directory.
        dir: PathBuf,
    },
    /// The store is in plaintext, and the configuration names a provider of a root secret.
    #[error("the store is in plaintext: open it without encryption")]
    PlaintextStore,
    /// The provider of the root secret refused.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// The hint of where the root secret is kept is too long.
    #[error("the provider hint has {bytes} bytes, at most 1,024 are kept")]
    HintTooLong {
        /// Its length in bytes.
        bytes: usize,
    },
    /// The log could not be recovered.
    #[error(transparent)]
    Recovery(Box<RecoveryError<FrameError>>),
    /// The creation of the store was cut short.
    #[error("a store was begun here and not finished ({}): remove these files and create it again", files.join(", "))]
    UnfinishedCreation {
        /// What is there.
        files: Vec<String>,
    },
    /// The store was created with another granularity.
    #[error("the store has one key per {found}, and per {asked} was asked for: open it without naming a granularity")]
    WrongGranularity {
        /// What was asked for.
        asked: Granularity,
        /// What the store was created with.
        found: Granularity,
    },
}

/// Why an append failed. Nothing of it is in the log, unless the variant says otherwise.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AppendError {
    /// A batch has more bytes than a segment can take, or more events than a batch can number.
    #[error("the batch has {events} events and {bytes} bytes, at most {bytes_max} bytes go into one segment: split it")]
    BatchTooLarge {
        /// Its events.
        events: usize,
        /// The bytes of its frames.
        bytes: u64,
        /// The bytes a batch may have.
        bytes_max: u64,
    },
    /// The store is closed, or being closed.
    #[error("the store is closed")]
    Closed,
    /// The id is in the log with other content.
    #[error("event {id} is in the log already with other content: use another id or key")]
    Conflict {
        /// The id.
        id: EventId,
    },
    /// An event stands in the log that the append's condition names.
    #[error("the event at position {position} matches the append's condition: read on from there and decide again")]
    ConditionFailed {
        /// The last position at which an event matches.
        position: u64,
    },
    /// Gates denied the append; nothing of it is in the log.
    #[error("denied by {}", denied.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))]
    Denied {
        /// What the gates said: the first denial, or all of them where all were asked for.
        denied: Vec<Denied>,
        /// Position of the first denial's event, where denials are put on record.
        recorded: Option<u64>,
    },
    /// Gates denied the append, and the denial could not be put on record.
    #[error("the append was denied, and the denial could not be put on record")]
    DenialNotRecorded {
        /// What the gates said.
        denied: Vec<Denied>,
        /// Why it is not on record.
        source: Box<AppendError>,
    },
    /// Two events of a batch have one id.
    #[error("event {id} stands twice in the batch")]
    DuplicateInBatch {
        /// The id.
        id: EventId,
    },
    /// The process was forked after the store was opened; the child has no right to write.
    #[error("this process was forked from the one that opened the store: open the store anew")]
    Forked,
    /// A gate called back into a store; it decides by its view alone.
    #[error("a gate cannot call the store: it decides by its view")]
    InsideGate,
    /// The causes are too many, or one is named twice.
    #[error("the causes are not valid")]
    InvalidCauses(#[from] CausesError),
    /// A tag is too long, empty, has control characters or stands twice, or there are too many.
    #[error("the tags are not valid")]
    InvalidTags(#[from] TagsError),
    /// The key of the event's key scope is lost, so nothing new is sealed there.
    #[error("key {key_id} of this key scope is lost: restore the keyset, or readmit the key scope")]
    KeyLost {
        /// The lost key.
        key_id: KeyId,
    },
    /// The key could not be made durable, so nothing was framed under it. The next append tries again.
    #[error("the key could not be made durable, so the event was not written")]
    KeyNotDurable(#[source] Arc<PublishError>),
    /// Some events of a batch are in the log already and others are not; batches are atomic, so this is another batch.
    #[error("event {id} of the batch is in the log already and others are not: leave it out")]
    PartlyRepeated {
        /// The first event that is there.
        id: EventId,
    },
    /// The payload is larger than the store takes.
    #[error("the payload has {bytes} bytes, the store takes at most {bytes_max}")]
    PayloadTooLarge {
        /// Its length.
        bytes: u64,
        /// What the store takes.
        bytes_max: u32,
    },
    /// An earlier failure means that what the disk holds is not known; whether this event is in the log is decided by reopening.
    #[error("an earlier write or sync failed, and what the disk holds is not known: close the store and open it again")]
    Poisoned(#[source] Arc<io::Error>),
    /// An event of the log that the append depends on could not be read: the last one of its entity, one that has its id, or a cause.
    #[error("an event of the log that the append depends on could not be read")]
    Read(#[from] ReadError),
    /// The store is open for reading only.
    #[error("the store is open for reading only")]
    ReadOnly,
    /// An event of the store itself cannot be encoded: a text that a caller gave is too long for it.
    #[error("the store's own event cannot be written")]
    Record(#[from] RecordError),
    /// The entity belongs to the store's own events.
    #[error("the entity {} belongs to the store's own events", batpak_format::SYSTEM_ENTITY)]
    ReservedEntity,
    /// The kind is in a category that the store keeps for itself.
    #[error("kind {kind} is in a reserved category: use categories 1 to 12, 14 or 15")]
    ReservedKind {
        /// The kind.
        kind: EventKind,
    },
    /// The key of the event's key scope was destroyed.
    #[error("the key scope was shredded: readmit it before appending to it")]
    ScopeShredded,
    /// The source of randomness or the cipher failed; nothing was written in clear or otherwise.
    #[error("the payload could not be sealed")]
    SealFailed,
    /// The entity's stream is not as the append expects.
    #[error("event {event} of the append expects {expected} of its entity, and {}", match actual {
        Some(revision) => format!("its last revision is {revision}"),
        None => "it has no event".to_owned(),
    })]
    UnexpectedRevision {
        /// Which event of a batch, from 0.
        event: usize,
        /// What it expects.
        expected: Expect,
        /// The revision of the entity's last event at the commit, earlier events of the batch counted; none if there is none.
        actual: Option<u64>,
    },
    /// A cause is not in the log.
    #[error("cause {cause} is not in the log: append it first, or mark it external")]
    UnknownCause {
        /// The cause.
        cause: EventId,
    },
    /// The event could not be written (no space, say), and what was written of it was cut off again.
    #[error("the event could not be written, and the log is as it was")]
    NotWritten(#[source] Arc<io::Error>),
}

/// Why a keyset image could not be made durable.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The keyset could not be encoded or sealed.
    #[error("the keyset image could not be made")]
    Keyset(#[from] KeysetError),
    /// The disk refused.
    #[error("the keyset image could not be written")]
    Disk(#[from] io::Error),
    /// The thread that published for others ended in a panic.
    #[error("the publication was abandoned")]
    Abandoned,
}

/// Why a read failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The disk refused.
    #[error("cannot read {}", path.display())]
    Disk {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The bytes of an event are damaged.
    #[error("the event at position {position} is damaged: restore the segment from a backup")]
    Damaged {
        /// Its position.
        position: u64,
        /// What is wrong with its frame.
        source: FrameError,
    },
    /// An index file is damaged. It is made again from its segments; the next call is answered.
    #[error(
        "the index file of segment {segment} from position {first_position} is damaged and is made again: try again"
    )]
    IndexDamaged {
        /// The first segment that it covers.
        segment: u64,
        /// The position of the file's first event.
        first_position: u64,
    },
    /// A gate called back into a store; it reads by its view alone.
    #[error("a gate cannot read from the store: it reads by its view")]
    InsideGate,
    /// The frame is whole and is not the event that belongs there.
    #[error("the event at position {position} is not the one that was written there")]
    Misplaced {
        /// The position.
        position: u64,
    },
    /// The key is there and the payload does not open under it, or the event names a key of another key scope.
    #[error("the payload at position {position} was tampered with")]
    Tampered {
        /// Its position.
        position: u64,
    },
    /// The keyset changed and could not be loaded again.
    #[error("the keyset changed and cannot be loaded")]
    Keyset(#[source] Box<OpenError>),
}
