//! The header of an event, owned: what a reader keeps when the frame's bytes are gone.
//!
//! Invariant: it holds all that the frame says of the event, but neither payload nor check.

use crate::causes::Causes;
use crate::content::ContentType;
use crate::coordinate::Coordinate;
use crate::encryption::PayloadEncryption;
use crate::hash::ChainHash;
use crate::id::EventId;
use crate::kind::EventKind;
use crate::statement::{BatchPart, Placement, Statement};
use crate::tags::Tags;
use crate::time::Timestamp;

/// All that a frame says of its event, the payload aside.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "tests and adapters make it; a new field must break them")]
pub struct EventHeader {
    /// The durable mark: all positions below it were known synced when the frame was written.
    pub durable_mark: u64,
    /// The event's place in the store-wide order.
    pub position: u64,
    /// The event's place in the order of its entity.
    pub revision: u64,
    /// When it was committed.
    pub time: Timestamp,
    /// The link of the entity's chain that this event closes.
    pub chain_hash: ChainHash,
    /// The event's id.
    pub id: EventId,
    /// What the event is.
    pub kind: EventKind,
    /// The version of the payload's own schema.
    pub payload_version: u16,
    /// How the payload is encoded.
    pub content_type: ContentType,
    /// Bytes of the payload as stored, also when it was dropped.
    pub payload_len: u32,
    /// Where the event belongs.
    pub coordinate: Coordinate,
    /// The event that started what this one belongs to.
    pub correlation: Option<EventId>,
    /// The events this one follows from.
    pub causes: Causes,
    /// Short strings in clear.
    pub tags: Tags,
    /// The event's place in its batch, when it has one.
    pub batch: Option<BatchPart>,
    /// Key and nonce, when the payload is ciphertext.
    pub encryption: Option<PayloadEncryption>,
    /// The commitment to the key, when it was provisional.
    pub key_commitment: Option<[u8; 32]>,
    /// Set when the payload was dropped.
    pub hollow: bool,
}

impl EventHeader {
    /// Returns what was known before the commit.
    #[must_use]
    pub const fn statement(&self) -> Statement<'_> {
        Statement {
            id: self.id,
            kind: self.kind,
            payload_version: self.payload_version,
            content_type: self.content_type,
            coordinate: &self.coordinate,
            correlation: self.correlation,
            causes: &self.causes,
            tags: &self.tags,
            batch: self.batch,
            encryption: self.encryption,
            key_commitment: self.key_commitment,
        }
    }

    /// Returns what the commit added.
    #[must_use]
    pub const fn placement(&self) -> Placement {
        Placement {
            position: self.position,
            revision: self.revision,
            time: self.time,
            chain_hash: self.chain_hash,
            durable_mark: self.durable_mark,
        }
    }
}
