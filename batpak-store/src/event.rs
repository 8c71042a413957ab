//! What a caller hands in and gets back: a new event, a receipt, an event that was read.
//!
//! Invariant: a payload that cannot be opened is a value with its reason, and never an empty or a missing payload.

use std::sync::Arc;

use batpak_format::{
    Cause, ChainHash, ContentType, Coordinate, EventHash, EventHeader, EventId, EventKind, KeyId, Timestamp, event_hash,
};
use bytes::Bytes;

use crate::{AppendCondition, Durability, Expect, GateSet};

/// An event to be appended. The payload is borrowed: it is copied once, into its frame, and sealed there.
///
/// Entity, scope, kind, tags, causes, ids and the caller's key stand in clear in the log, and no shred takes them away: personal
/// data belongs in the payload.
#[derive(Clone, Debug)]
pub struct NewEvent<'a> {
    pub(crate) coordinate: Coordinate,
    pub(crate) kind: EventKind,
    pub(crate) payload: &'a [u8],
    pub(crate) id: Option<EventId>,
    pub(crate) correlation: Option<EventId>,
    pub(crate) causes: Vec<Cause>,
    pub(crate) tags: Vec<String>,
    pub(crate) time: Option<Timestamp>,
    pub(crate) payload_version: u16,
    pub(crate) content_type: ContentType,
    pub(crate) durability: Option<Durability>,
    pub(crate) expect: Option<Expect>,
    pub(crate) condition: Option<AppendCondition>,
    pub(crate) gates: Option<&'a GateSet>,
}

impl<'a> NewEvent<'a> {
    /// Makes an event with a fresh id, the time of its commit, payload version 0 and [`ContentType::BYTES`].
    pub fn new(coordinate: Coordinate, kind: EventKind, payload: &'a [u8]) -> Self {
        Self {
            coordinate,
            kind,
            payload,
            id: None,
            correlation: None,
            causes: Vec::new(),
            tags: Vec::new(),
            time: None,
            payload_version: 0,
            content_type: ContentType::BYTES,
            durability: None,
            expect: None,
            condition: None,
            gates: None,
        }
    }

    /// Sets the id. An append with an id that is there already is answered with the first receipt.
    #[must_use]
    pub fn id(mut self, id: EventId) -> Self {
        self.id = Some(id);
        self
    }

    /// Makes the id from the caller's own key, so that a repeated append finds the first one ([`EventId::from_key`]).
    #[must_use]
    pub fn key(self, key: &[u8]) -> Self {
        self.id(EventId::from_key(key))
    }

    /// Sets the correlation: an id that events of one undertaking share.
    #[must_use]
    pub fn correlation(mut self, id: EventId) -> Self {
        self.correlation = Some(id);
        self
    }

    /// Adds an event of this store that this one follows from; an unknown one is refused at the commit.
    #[must_use]
    pub fn cause(mut self, id: EventId) -> Self {
        self.causes.push(Cause { id, external: false });
        self
    }

    /// Adds a cause that lies outside this store; it is not looked up.
    #[must_use]
    pub fn external_cause(mut self, id: EventId) -> Self {
        self.causes.push(Cause { id, external: true });
        self
    }

    /// Adds a tag.
    #[must_use]
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.tags.push(tag.into());
        self
    }

    /// Sets the time of the event; without it the event has the clock's time at its commit.
    #[must_use]
    pub fn time(mut self, time: Timestamp) -> Self {
        self.time = Some(time);
        self
    }

    /// Sets the version of the payload's own layout, which the store carries and does not read.
    #[must_use]
    pub fn payload_version(mut self, version: u16) -> Self {
        self.payload_version = version;
        self
    }

    /// Sets what the payload is.
    #[must_use]
    pub fn content_type(mut self, content_type: ContentType) -> Self {
        self.content_type = content_type;
        self
    }

    /// Sets when this append is acknowledged; without it the store's own setting holds.
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = Some(durability);
        self
    }

    /// Sets what must hold of the entity's stream at the commit, earlier events of the same batch counted. A repeat of an event that is
    /// in the log is answered whatever is expected.
    #[must_use]
    pub fn expect(mut self, expect: Expect) -> Self {
        self.expect = (expect != Expect::Any).then_some(expect);
        self
    }

    /// Sets what must not stand in the log at the commit; other events of the same batch do not count.
    #[must_use]
    pub fn condition(mut self, condition: AppendCondition) -> Self {
        self.condition = Some(condition);
        self
    }

    /// Sets gates for this event, asked behind the store's own.
    #[must_use]
    pub fn gates(mut self, gates: &'a GateSet) -> Self {
        self.gates = (!gates.is_empty()).then_some(gates);
        self
    }
}

/// What an append returns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The event's id.
    pub id: EventId,
    /// Its place in the order of the store, from 0.
    pub position: u64,
    /// Its place in the order of its entity, from 0.
    pub revision: u64,
    /// The BLAKE3 of the payload as stored.
    pub event_hash: EventHash,
    /// The entity's chain up to and with this event.
    pub chain_hash: ChainHash,
    /// Whether this append found its id in the log already.
    pub repeat: Option<Repeat>,
    /// The gates that permitted the event (for a batch: its events), in order; none where none was asked, and for a repeat.
    pub gates: Option<Arc<[Arc<str>]>>,
}

/// How far a repeated append was compared with the event that holds its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Repeat {
    /// Header and payload are the same.
    SameContent,
    /// The header is the same; the first payload can no longer be opened, so it could not be compared.
    ContentUnchecked,
}

/// An event that was read.
#[derive(Clone, Debug)]
pub struct Event {
    /// Everything that stands in clear.
    pub header: EventHeader,
    /// The payload, or why it cannot be had.
    pub payload: Payload,
    stored: Stored,
}

/// What the event hash is made of.
#[derive(Clone)]
pub(crate) enum Stored {
    /// The payload as stored: a part of the segment's map, where there is one.
    Bytes(Bytes),
    /// The hash, known already.
    Hash(EventHash),
    /// The payload in clear, which is what is stored.
    InClear,
}

/// Prints no payload: it may be plaintext.
impl std::fmt::Debug for Stored {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Stored(..)")
    }
}

impl Event {
    pub(crate) fn new(header: EventHeader, payload: Payload, stored: Stored) -> Self {
        Self { header, payload, stored }
    }

    /// Computes the BLAKE3 of the payload as stored: of the ciphertext when it is sealed, also when it cannot be opened.
    pub fn event_hash(&self) -> EventHash {
        match (&self.stored, &self.payload) {
            (Stored::Hash(hash), _) => *hash,
            (Stored::InClear, Payload::Open(bytes)) | (Stored::Bytes(bytes), _) => event_hash(bytes),
            (Stored::InClear, _) => event_hash(&[]),
        }
    }
}

/// Headers tell events apart: the chain hash covers the payload as stored. What can be had of it may differ.
impl PartialEq for Event {
    fn eq(&self, other: &Self) -> bool {
        self.header == other.header && self.payload == other.payload
    }
}

impl Eq for Event {}

/// A payload, or why it cannot be had: on its own, or as a part of what [`Store::replay`](crate::Store::replay) lends.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Payload<B = Bytes> {
    /// The payload in clear.
    Open(B),
    /// Its key was destroyed, and the log says so.
    Shredded(ShredProof),
    /// Its key is not in the keyset, and no shred of it is on record: an alarm, and never to be taken for a shred.
    KeyLost(KeyId),
    /// It was not asked for ([`Query::headers_only`](crate::Query::headers_only)), or the store was opened without keys.
    Unread,
}

impl<B> Payload<B> {
    /// Returns the payload in clear, if it can be had.
    pub fn open(&self) -> Option<&B> {
        match self {
            Self::Open(bytes) => Some(bytes),
            Self::Shredded(_) | Self::KeyLost(_) | Self::Unread => None,
        }
    }

    /// The same answer, with what `convert` makes of a payload in clear.
    pub(crate) fn map<C>(self, convert: impl FnOnce(B) -> C) -> Payload<C> {
        match self {
            Self::Open(bytes) => Payload::Open(convert(bytes)),
            Self::Shredded(proof) => Payload::Shredded(proof),
            Self::KeyLost(key_id) => Payload::KeyLost(key_id),
            Self::Unread => Payload::Unread,
        }
    }
}

/// Shows how long a payload is, never what it holds: events end up in logs.
impl<B: AsRef<[u8]>> std::fmt::Debug for Payload<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Open(bytes) => write!(f, "Open({} bytes)", bytes.as_ref().len()),
            Self::Shredded(proof) => f.debug_tuple("Shredded").field(proof).finish(),
            Self::KeyLost(key_id) => f.debug_tuple("KeyLost").field(key_id).finish(),
            Self::Unread => f.write_str("Unread"),
        }
    }
}

/// Where the log says that a key was destroyed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShredProof {
    /// Position of the shred intent that names the event's key scope and key id.
    pub intent: u64,
    /// The key that was destroyed.
    pub key_id: KeyId,
}
