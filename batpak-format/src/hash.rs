//! The hashes that hold events together: event hash, statement digest, chain hash, Merkle leaf and node.
//!
//! Invariant: every hash is taken over what is stored, so it verifies without keys and after a shred.

use std::fmt;

use crate::id::StoreId;
use crate::newtype::{byte_newtype, write_hex};
use crate::time::Timestamp;

const ENTITY_ROOT_CONTEXT: &str = "batpak-format v1 entity root";
const MERKLE_LEAF_LABEL: &[u8; 32] = b"batpak-format v1 merkle leaf    ";
const MERKLE_NODE_LABEL: &[u8; 32] = b"batpak-format v1 merkle node    ";

byte_newtype! {
    /// BLAKE3 of a payload as stored: of the ciphertext and its tag when sealed.
    EventHash, 32
}

byte_newtype! {
    /// The link of an entity's hash chain that an event closes.
    ChainHash, 32
}

byte_newtype! {
    /// BLAKE3 over all that is known of an event before its commit.
    StatementDigest, 32
}

impl fmt::Display for EventHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, self.as_bytes())
    }
}

impl fmt::Display for ChainHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, self.as_bytes())
    }
}

impl fmt::Display for StatementDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, self.as_bytes())
    }
}

/// Hashes a payload as stored, in one piece.
#[must_use]
pub fn event_hash(payload_as_stored: &[u8]) -> EventHash {
    EventHash::from_bytes(*blake3::hash(payload_as_stored).as_bytes())
}

/// Returns the chain hash that stands before an entity's first event.
///
/// BLAKE3's key derivation mode over the store id and the entity's name.
#[must_use]
pub fn entity_root(store: StoreId, entity: &str) -> ChainHash {
    let mut hasher = blake3::Hasher::new_derive_key(ENTITY_ROOT_CONTEXT);
    hasher.update(store.as_bytes());
    hasher.update(entity.as_bytes());
    ChainHash::from_bytes(*hasher.finalize().as_bytes())
}

/// Returns the next link of an entity's chain.
///
/// BLAKE3 keyed by the previous link over 56 bytes, which is one block: this is all that the commit lock hashes.
#[must_use]
pub fn chain_hash(
    previous: &ChainHash,
    digest: &StatementDigest,
    position: u64,
    revision: u64,
    time: Timestamp,
) -> ChainHash {
    let block = placed(digest, position, revision, time);
    ChainHash::from_bytes(*blake3::keyed_hash(previous.as_bytes(), &block).as_bytes())
}

/// Returns the leaf of an event in the store-wide Merkle log.
///
/// BLAKE3 keyed by a label over the same 56 bytes as the chain hash. The digest covers key id, nonce and event
/// hash, so a hollow frame has the leaf of the frame it was.
#[must_use]
pub fn merkle_leaf(position: u64, revision: u64, time: Timestamp, digest: &StatementDigest) -> [u8; 32] {
    let block = placed(digest, position, revision, time);
    *blake3::keyed_hash(MERKLE_LEAF_LABEL, &block).as_bytes()
}

/// Returns the node above two leaves or nodes of the Merkle log.
///
/// BLAKE3 keyed by another label than a leaf's, over left and right.
#[must_use]
pub fn merkle_node(left: &[u8; 32], right: &[u8; 32]) -> [u8; 32] {
    let mut block = [0; 64];
    let (first, second) = block.split_at_mut(32);
    first.copy_from_slice(left);
    second.copy_from_slice(right);
    *blake3::keyed_hash(MERKLE_NODE_LABEL, &block).as_bytes()
}

/// Joins a digest and what the commit added to it.
fn placed(digest: &StatementDigest, position: u64, revision: u64, time: Timestamp) -> [u8; 56] {
    let mut block = [0; 56];
    block[..32].copy_from_slice(digest.as_bytes());
    block[32..40].copy_from_slice(&position.to_le_bytes());
    block[40..48].copy_from_slice(&revision.to_le_bytes());
    block[48..].copy_from_slice(&time.as_micros().to_le_bytes());
    block
}
