//! What is known of an event before its commit, and what the commit adds.
//!
//! Invariant: the digest covers all of a [`Statement`] and the event hash; the chain hash covers the digest and
//! the position, revision and time of a [`Placement`].

use crate::causes::Causes;
use crate::content::ContentType;
use crate::coordinate::Coordinate;
use crate::encryption::PayloadEncryption;
use crate::hash::ChainHash;
use crate::id::{EventId, StoreId};
use crate::kind::EventKind;
use crate::tags::Tags;
use crate::time::Timestamp;

/// All that is known of an event before its commit, its payload aside.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "an event cannot be stated in part: a new field must break its makers")]
pub struct Statement<'a> {
    /// The event's id.
    pub id: EventId,
    /// What the event is.
    pub kind: EventKind,
    /// The version of the payload's own schema, the caller's to choose.
    pub payload_version: u16,
    /// How the payload is encoded.
    pub content_type: ContentType,
    /// Where the event belongs.
    pub coordinate: &'a Coordinate,
    /// The event that started what this one belongs to.
    pub correlation: Option<EventId>,
    /// The events this one follows from.
    pub causes: &'a Causes,
    /// Short strings in clear.
    pub tags: &'a Tags,
    /// The event's place in its batch, when it has one.
    pub batch: Option<BatchPart>,
    /// Key and nonce, when the payload is to be sealed.
    pub encryption: Option<PayloadEncryption>,
    /// The commitment to the key, when it was still provisional as the payload was sealed.
    pub key_commitment: Option<[u8; 32]>,
}

/// The place of an event in its batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_structs, reason = "the two fields are the format of a batch part")]
pub struct BatchPart {
    /// The event's number in the batch, from 0; below `count`.
    pub index: u32,
    /// How many events the batch has, at least 2.
    pub count: u32,
}

/// What the commit adds to an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "an event cannot be placed in part: a new field must break its makers")]
pub struct Placement {
    /// The event's place in the store-wide order.
    pub position: u64,
    /// The event's place in the order of its entity.
    pub revision: u64,
    /// When it was committed.
    pub time: Timestamp,
    /// The link of the entity's chain that this event closes.
    pub chain_hash: ChainHash,
    /// The durable mark: all positions below it were known synced.
    pub durable_mark: u64,
}

/// Where a frame stands: the seed of its check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the three fields are the seed; another would change every check")]
pub struct FrameSeed {
    /// The store.
    pub store: StoreId,
    /// The segment's number.
    pub segment: u64,
    /// The frame's first byte, counted from the start of the segment's file.
    pub offset: u64,
}

impl FrameSeed {
    /// Bytes that the check covers.
    pub(crate) const LEN: usize = 32;

    /// Returns the bytes that the check covers.
    pub(crate) fn to_bytes(self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        bytes[..16].copy_from_slice(self.store.as_bytes());
        bytes[16..24].copy_from_slice(&self.segment.to_le_bytes());
        bytes[24..].copy_from_slice(&self.offset.to_le_bytes());
        bytes
    }
}
