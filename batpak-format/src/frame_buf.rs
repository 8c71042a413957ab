//! A frame as it is written: header and payload encoded once, in one allocation of the final size.
//!
//! Invariant: what the commit adds touches the header only, so its cost does not grow with the payload. A plaintext
//! that was to be sealed is sealed or wiped, on every path.

use std::hint::black_box;

use crate::encryption::PayloadEncryption;
use crate::error::FrameError;
use crate::frame::{Frame, header_check, payload_check, statement_digest};
use crate::hash::{EventHash, StatementDigest, event_hash};
use crate::header::check_batch;
use crate::id::EventId;
use crate::kind::EventKind;
use crate::layout::{
    BATCH_LEN, CHAIN_HASH_AT, CHECK_AT, CONTENT_TYPE_AT, CORRELATION_LEN, DURABLE_MARK_AT, ENCRYPTION_LEN,
    ENTITY_LEN_AT, FIXED_LEN, FLAG_BATCH, FLAG_CAUSES, FLAG_CORRELATION, FLAG_HOLLOW, FLAG_KEY_COMMITMENT, FLAG_SEALED,
    FLAG_TAGS, FLAGS_AT, FRAME_LEN_AT, HOLLOW_LEN, ID_AT, KEY_COMMITMENT_LEN, KIND_AT, PAYLOAD_LEN_AT,
    PAYLOAD_VERSION_AT, PLAINTEXT_BYTES_LIMIT, POSITION_AT, REVISION_AT, SCOPE_LEN_AT, SEAL_TAG_LEN, TIME_AT,
};
use crate::statement::{BatchPart, FrameSeed, Placement, Statement};

/// A frame that is being made: the payload may be sealed where it stands. Dropped before its tag is set, it wipes what
/// was to be sealed.
pub struct FrameBuf {
    bytes: Vec<u8>,
    header_len: usize,
    id: EventId,
    kind: EventKind,
    batch: Option<BatchPart>,
    encryption: Option<PayloadEncryption>,
    awaits_tag: bool,
}

impl FrameBuf {
    /// Encodes a statement and copies the plaintext behind it. Where the statement names a key, room for the tag
    /// follows.
    ///
    /// # Errors
    /// [`FrameError::PayloadTooLarge`] above [`PLAINTEXT_BYTES_LIMIT`], [`FrameError::Batch`],
    /// [`FrameError::CommitmentWithoutSeal`]; nothing was allocated.
    pub fn new(statement: &Statement<'_>, plaintext: &[u8]) -> Result<Self, FrameError> {
        Self::reusing(statement, plaintext, Vec::new())
    }

    /// As [`FrameBuf::new`], in a buffer that was used before: with room for the frame, nothing is allocated. What it
    /// holds is overwritten.
    ///
    /// # Errors
    /// As [`FrameBuf::new`]; the buffer is then dropped.
    pub fn reusing(statement: &Statement<'_>, plaintext: &[u8], buffer: Vec<u8>) -> Result<Self, FrameError> {
        let limit = u64::from(PLAINTEXT_BYTES_LIMIT);
        let plaintext_len = u32::try_from(plaintext.len()).ok().filter(|len| *len <= PLAINTEXT_BYTES_LIMIT);
        let plaintext_len =
            plaintext_len.ok_or(FrameError::PayloadTooLarge { bytes: plaintext.len() as u64, limit })?;
        if statement.key_commitment.is_some() && statement.encryption.is_none() {
            return Err(FrameError::CommitmentWithoutSeal);
        }
        if let Some(batch) = statement.batch {
            check_batch(batch)?;
        }
        let tag_len = if statement.encryption.is_some() { SEAL_TAG_LEN } else { 0 };
        let header_len = header_len(statement);
        let frame_len = header_len + plaintext.len() + tag_len;
        let mut bytes = buffer;
        bytes.clear();
        bytes.reserve_exact(frame_len);
        // Header and payload are below their caps, and FRAME_BYTES_MAX, the sum of these, is a u32.
        bytes.extend_from_slice(&fixed_part(statement, frame_len as u32, plaintext_len + tag_len as u32));
        put_parts(&mut bytes, statement);
        debug_assert_eq!(bytes.len(), header_len, "the header has the length that was computed");
        bytes.extend_from_slice(plaintext);
        bytes.extend_from_slice([0; SEAL_TAG_LEN].get(..tag_len).unwrap_or_default());
        let Statement { id, kind, batch, encryption, .. } = *statement;
        Ok(Self { bytes, header_len, id, kind, batch, encryption, awaits_tag: encryption.is_some() })
    }

    /// Returns the payload without the room for the tag, to be sealed in place.
    pub fn plaintext_mut(&mut self) -> &mut [u8] {
        let end = self.bytes.len() - self.tag_len();
        self.bytes.get_mut(self.header_len..end).unwrap_or_default()
    }

    /// Puts the tag behind the ciphertext. Without an encryption in the statement there is no room, and nothing is put.
    pub fn set_tag(&mut self, tag: &[u8; SEAL_TAG_LEN]) {
        if self.encryption.is_some() {
            let at = self.bytes.len() - SEAL_TAG_LEN;
            put(&mut self.bytes, at, tag);
            self.awaits_tag = false;
        }
    }

    /// Overwrites the payload with zeros: for a seal that failed.
    pub fn wipe(&mut self) {
        if let Some(payload) = self.bytes.get_mut(self.header_len..) {
            payload.fill(0);
            black_box(payload);
        }
    }

    /// Ends the encoding: hashes what will be stored. No lock is needed for it.
    ///
    /// # Panics
    /// When the statement names a key and no tag was set: a plaintext must not pass for ciphertext.
    #[inline]
    #[must_use]
    pub fn seal_finished(self) -> HashedFrame {
        assert!(!self.awaits_tag, "a payload that was to be sealed has its tag");
        let mut buf = self;
        let bytes = std::mem::take(&mut buf.bytes);
        let (header, payload) = bytes.split_at(buf.header_len);
        let event_hash = event_hash(payload);
        let facts = FrameFacts {
            header_len: buf.header_len,
            frame_len: bytes.len(),
            id: buf.id,
            kind: buf.kind,
            batch: buf.batch,
            encryption: buf.encryption,
            event_hash,
            digest: statement_digest(header.get(ID_AT..).unwrap_or_default(), &event_hash),
            payload_check: payload_check(payload),
        };
        HashedFrame { facts, bytes }
    }

    const fn tag_len(&self) -> usize {
        if self.encryption.is_some() { SEAL_TAG_LEN } else { 0 }
    }
}

impl Drop for FrameBuf {
    fn drop(&mut self) {
        if self.awaits_tag {
            self.wipe();
        }
    }
}

/// Prints no payload: it may still be plaintext.
impl std::fmt::Debug for FrameBuf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FrameBuf").field("id", &self.id).field("bytes", &self.bytes.len()).finish_non_exhaustive()
    }
}

/// What is known of a frame that is complete but for what the commit adds, apart from its bytes.
#[derive(Clone, Debug)]
pub struct FrameFacts {
    header_len: usize,
    frame_len: usize,
    id: EventId,
    kind: EventKind,
    batch: Option<BatchPart>,
    encryption: Option<PayloadEncryption>,
    event_hash: EventHash,
    digest: StatementDigest,
    payload_check: crc32fast::Hasher,
}

impl FrameFacts {
    /// Returns the hash of the payload as stored.
    #[must_use]
    pub const fn event_hash(&self) -> EventHash {
        self.event_hash
    }

    /// Returns the digest of all that is known before the commit.
    #[must_use]
    pub const fn digest(&self) -> &StatementDigest {
        &self.digest
    }

    /// Returns the event's id.
    #[must_use]
    pub const fn id(&self) -> EventId {
        self.id
    }

    /// Returns what the event is.
    #[must_use]
    pub const fn kind(&self) -> EventKind {
        self.kind
    }

    /// Returns the event's place in its batch.
    #[must_use]
    pub const fn batch(&self) -> Option<BatchPart> {
        self.batch
    }

    /// Returns key id and nonce, when the payload is ciphertext.
    #[must_use]
    pub const fn encryption(&self) -> Option<PayloadEncryption> {
        self.encryption
    }

    /// Returns the frame's length in bytes.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a frame is never empty")]
    pub const fn len(&self) -> usize {
        self.frame_len
    }

    /// Adds to the frame's bytes what the commit decided, and the check for the place that the frame will stand at.
    ///
    /// # Panics
    /// When `frame` has another length than the frame: it is not the one.
    pub fn place(&self, frame: &mut [u8], placement: &Placement, seed: &FrameSeed) {
        assert_eq!(frame.len(), self.frame_len, "these are the bytes of another frame");
        put(frame, DURABLE_MARK_AT, &placement.durable_mark.to_le_bytes());
        put(frame, POSITION_AT, &placement.position.to_le_bytes());
        put(frame, REVISION_AT, &placement.revision.to_le_bytes());
        put(frame, TIME_AT, &placement.time.as_micros().to_le_bytes());
        put(frame, CHAIN_HASH_AT, placement.chain_hash.as_bytes());
        let header = frame.get(..self.header_len).unwrap_or_default();
        let check = header_check(self.payload_check.clone(), seed, header);
        put(frame, CHECK_AT, &check.to_le_bytes());
    }
}

/// A frame that is complete but for what the commit adds. It is read as its [`FrameFacts`].
pub struct HashedFrame {
    facts: FrameFacts,
    bytes: Vec<u8>,
}

impl HashedFrame {
    /// Adds what the commit decided, and the check for the place that the frame will stand at.
    #[must_use]
    pub fn place(mut self, placement: &Placement, seed: &FrameSeed) -> Vec<u8> {
        self.facts.place(&mut self.bytes, placement, seed);
        self.bytes
    }

    /// Parts the frame into what is known of it and its bytes, so that many frames may stand in one buffer.
    #[inline]
    #[must_use]
    pub fn into_parts(self) -> (FrameFacts, Vec<u8>) {
        (self.facts, self.bytes)
    }
}

impl std::ops::Deref for HashedFrame {
    type Target = FrameFacts;

    fn deref(&self) -> &FrameFacts {
        &self.facts
    }
}

/// Prints no payload: in a plaintext store it is one.
impl std::fmt::Debug for HashedFrame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HashedFrame").field("facts", &self.facts).finish_non_exhaustive()
    }
}

/// Makes the hollow form of a frame: the same event without its payload. Digest, chain hash and Merkle leaf stay.
///
/// # Errors
/// Those of [`Frame::decode`]; [`FrameError::AlreadyHollow`].
pub fn hollow(frame: &[u8], seed: &FrameSeed) -> Result<Vec<u8>, FrameError> {
    let frame = Frame::decode(frame, seed)?;
    if frame.header().is_hollow() {
        return Err(FrameError::AlreadyHollow);
    }
    let header_len = frame.header().header_len;
    let mut bytes = frame.bytes().get(..header_len).unwrap_or_default().to_vec();
    bytes.extend_from_slice(frame.event_hash().as_bytes());
    // The header of a frame that was decoded is below its cap of a few KiB.
    let frame_len = (header_len + HOLLOW_LEN) as u32;
    put(&mut bytes, FRAME_LEN_AT, &frame_len.to_le_bytes());
    put(&mut bytes, FLAGS_AT, &(frame.header().flags() | FLAG_HOLLOW).to_le_bytes());
    let check = header_check(payload_check(&[]), seed, &bytes);
    put(&mut bytes, CHECK_AT, &check.to_le_bytes());
    Ok(bytes)
}

/// The length of the header that a statement is encoded to.
fn header_len(statement: &Statement<'_>) -> usize {
    let optional = |present: bool, len: usize| if present { len } else { 0 };
    FIXED_LEN
        + statement.coordinate.entity().len()
        + statement.coordinate.scope().len()
        + optional(statement.correlation.is_some(), CORRELATION_LEN)
        + statement.causes.part_len()
        + statement.tags.part_len()
        + optional(statement.batch.is_some(), BATCH_LEN)
        + optional(statement.encryption.is_some(), ENCRYPTION_LEN)
        + optional(statement.key_commitment.is_some(), KEY_COMMITMENT_LEN)
}

/// The fixed part, but for what the commit adds.
fn fixed_part(statement: &Statement<'_>, frame_len: u32, payload_len: u32) -> [u8; FIXED_LEN] {
    let name_len =
        |name: &str| u16::try_from(name.len()).expect("a checked name has at most 1,024 bytes").to_le_bytes();
    let mut fixed = [0; FIXED_LEN];
    put(&mut fixed, FRAME_LEN_AT, &frame_len.to_le_bytes());
    put(&mut fixed, ID_AT, statement.id.as_bytes());
    put(&mut fixed, FLAGS_AT, &flags(statement).to_le_bytes());
    put(&mut fixed, KIND_AT, &statement.kind.as_u16().to_le_bytes());
    put(&mut fixed, PAYLOAD_VERSION_AT, &statement.payload_version.to_le_bytes());
    put(&mut fixed, CONTENT_TYPE_AT, &statement.content_type.as_u16().to_le_bytes());
    put(&mut fixed, PAYLOAD_LEN_AT, &payload_len.to_le_bytes());
    put(&mut fixed, ENTITY_LEN_AT, &name_len(statement.coordinate.entity()));
    put(&mut fixed, SCOPE_LEN_AT, &name_len(statement.coordinate.scope()));
    fixed
}

/// Appends the header behind the fixed part.
fn put_parts(out: &mut Vec<u8>, statement: &Statement<'_>) {
    out.extend_from_slice(statement.coordinate.joined().as_bytes());
    if let Some(correlation) = statement.correlation {
        out.extend_from_slice(correlation.as_bytes());
    }
    statement.causes.put_part(out);
    statement.tags.put_part(out);
    if let Some(batch) = statement.batch {
        out.extend_from_slice(&batch.index.to_le_bytes());
        out.extend_from_slice(&batch.count.to_le_bytes());
    }
    if let Some(encryption) = &statement.encryption {
        out.extend_from_slice(&encryption.key_id.as_u64().to_le_bytes());
        out.extend_from_slice(&encryption.nonce);
    }
    if let Some(commitment) = &statement.key_commitment {
        out.extend_from_slice(commitment);
    }
}

fn flags(statement: &Statement<'_>) -> u16 {
    let parts = [
        (FLAG_CORRELATION, statement.correlation.is_some()),
        (FLAG_CAUSES, !statement.causes.is_empty()),
        (FLAG_TAGS, !statement.tags.is_empty()),
        (FLAG_BATCH, statement.batch.is_some()),
        (FLAG_SEALED, statement.encryption.is_some()),
        (FLAG_KEY_COMMITMENT, statement.key_commitment.is_some()),
    ];
    parts.iter().filter(|(_, present)| *present).fold(0, |flags, (flag, _)| flags | flag)
}

/// Overwrites a field of the fixed part.
#[inline]
fn put(bytes: &mut [u8], at: usize, field: &[u8]) {
    if let Some(place) = bytes.get_mut(at..at + field.len()) {
        place.copy_from_slice(field);
    }
}
