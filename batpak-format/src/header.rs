//! The header of a checked frame, read where it stands.
//!
//! Invariant: a [`Header`] exists only for bytes whose lengths, flags and optional parts are those that the encoder
//! writes.

use std::fmt;

use crate::causes::{Cause, CausesPart};
use crate::codec::Reader;
use crate::content::ContentType;
use crate::coordinate::{Coordinate, check_names};
use crate::encryption::{KeyId, PayloadEncryption};
use crate::error::{CodecError, FrameError};
use crate::event::EventHeader;
use crate::hash::{ChainHash, EventHash};
use crate::id::EventId;
use crate::kind::EventKind;
use crate::layout::{
    CHAIN_HASH_AT, CHECK_AT, CONTENT_TYPE_AT, CORRELATION_LEN, DURABLE_MARK_AT, ENCRYPTION_LEN, ENTITY_LEN_AT,
    FIXED_LEN, FLAG_BATCH, FLAG_CAUSES, FLAG_CORRELATION, FLAG_HOLLOW, FLAG_KEY_COMMITMENT, FLAG_SEALED, FLAG_TAGS,
    FLAGS_AT, FLAGS_KNOWN, FRAME_LEN_AT, HEADER_BYTES_MAX, HOLLOW_LEN, ID_AT, KEY_COMMITMENT_LEN, KIND_AT,
    PAYLOAD_BYTES_LIMIT, PAYLOAD_LEN_AT, PAYLOAD_VERSION_AT, PLAINTEXT_BYTES_LIMIT, POSITION_AT, REVISION_AT,
    SCOPE_LEN_AT, SEAL_TAG_LEN, TIME_AT,
};
use crate::statement::BatchPart;
use crate::tags::TagsPart;
use crate::time::Timestamp;

/// What a frame says of its event, borrowed from the frame's bytes: a field is read when it is asked for.
#[derive(Clone, Copy)]
pub struct Header<'a> {
    fixed: Fixed<'a>,
    pub(crate) header_len: usize,
    /// Entity and scope, side by side.
    names: &'a str,
    parts: Parts<'a>,
}

/// The optional parts, where they stand.
#[derive(Clone, Copy, Default)]
struct Parts<'a> {
    correlation: Option<&'a [u8; CORRELATION_LEN]>,
    causes: CausesPart<'a>,
    tags: TagsPart<'a>,
    batch: Option<BatchPart>,
    encryption: Option<&'a [u8; ENCRYPTION_LEN]>,
    key_commitment: Option<&'a [u8; KEY_COMMITMENT_LEN]>,
    hollow_hash: Option<&'a [u8; HOLLOW_LEN]>,
}

/// The fixed part.
#[derive(Clone, Copy)]
pub(crate) struct Fixed<'a>(&'a [u8; FIXED_LEN]);

impl<'a> Fixed<'a> {
    /// Takes the fixed part and checks lengths and flags against each other and the caps.
    #[inline]
    pub(crate) fn read(bytes: &'a [u8]) -> Result<Self, FrameError> {
        let truncated = FrameError::Truncated { needed: FIXED_LEN as u64, found: bytes.len() as u64 };
        let fixed = Self(bytes.first_chunk().ok_or(truncated)?);
        fixed.check_flags()?;
        let (frame_len, payload_len) = (fixed.frame_len(), fixed.payload_len());
        let limit = if fixed.has(FLAG_SEALED) { PAYLOAD_BYTES_LIMIT } else { PLAINTEXT_BYTES_LIMIT };
        if payload_len > limit {
            let tag = limit - PLAINTEXT_BYTES_LIMIT;
            let bytes = u64::from(payload_len) - u64::from(tag);
            return Err(FrameError::PayloadTooLarge { bytes, limit: u64::from(PLAINTEXT_BYTES_LIMIT) });
        }
        if fixed.has(FLAG_SEALED) && (payload_len as usize) < SEAL_TAG_LEN {
            return Err(FrameError::SealTooShort { payload_len });
        }
        let stored_len = u64::from(fixed.stored_len());
        let least = stored_len + FIXED_LEN as u64 + fixed.entity_len() as u64 + fixed.scope_len() as u64;
        // A frame that claims a large header would make a reader fetch what no encoder writes.
        let most = stored_len + HEADER_BYTES_MAX as u64;
        if !(least..=most).contains(&u64::from(frame_len)) {
            return Err(FrameError::Length { frame_len });
        }
        Ok(fixed)
    }

    fn check_flags(self) -> Result<(), FrameError> {
        let unknown = self.flags() & !FLAGS_KNOWN;
        if unknown != 0 {
            return Err(FrameError::UnknownFlags { flags: unknown });
        }
        if self.has(FLAG_KEY_COMMITMENT) && !self.has(FLAG_SEALED) {
            return Err(FrameError::CommitmentWithoutSeal);
        }
        Ok(())
    }

    /// Returns the `N` bytes from `AT` on.
    const fn field<const AT: usize, const N: usize>(self) -> [u8; N] {
        const { assert!(AT + N <= FIXED_LEN, "the field lies within the fixed part") };
        match self.0.split_at(AT).1.first_chunk() {
            Some(field) => *field,
            None => [0; N],
        }
    }

    pub(crate) const fn frame_len(self) -> u32 {
        u32::from_le_bytes(self.field::<FRAME_LEN_AT, _>())
    }

    pub(crate) const fn check(self) -> u32 {
        u32::from_le_bytes(self.field::<CHECK_AT, _>())
    }

    const fn flags(self) -> u16 {
        u16::from_le_bytes(self.field::<FLAGS_AT, _>())
    }

    const fn payload_len(self) -> u32 {
        u32::from_le_bytes(self.field::<PAYLOAD_LEN_AT, _>())
    }

    const fn entity_len(self) -> usize {
        u16::from_le_bytes(self.field::<ENTITY_LEN_AT, _>()) as usize
    }

    const fn scope_len(self) -> usize {
        u16::from_le_bytes(self.field::<SCOPE_LEN_AT, _>()) as usize
    }

    const fn has(self, flag: u16) -> bool {
        self.flags() & flag != 0
    }

    /// Bytes of payload that the frame holds.
    pub(crate) const fn stored_len(self) -> u32 {
        if self.has(FLAG_HOLLOW) { 0 } else { self.payload_len() }
    }
}

impl<'a> Parts<'a> {
    /// Reads and checks the parts that the flags name, to the last byte.
    fn read(fixed: Fixed<'a>, mut reader: Reader<'a>) -> Result<Self, FrameError> {
        let reader = &mut reader;
        let mut parts = Self::default();
        if fixed.has(FLAG_CORRELATION) {
            parts.correlation = Some(part(reader)?);
        }
        if fixed.has(FLAG_CAUSES) {
            parts.causes = CausesPart::read(reader)?;
        }
        if fixed.has(FLAG_TAGS) {
            parts.tags = TagsPart::read(reader)?;
        }
        if fixed.has(FLAG_BATCH) {
            parts.batch = Some(read_batch(reader)?);
        }
        if fixed.has(FLAG_SEALED) {
            parts.encryption = Some(part(reader)?);
        }
        if fixed.has(FLAG_KEY_COMMITMENT) {
            parts.key_commitment = Some(part(reader)?);
        }
        if fixed.has(FLAG_HOLLOW) {
            parts.hollow_hash = Some(part(reader)?);
        }
        if reader.remaining() == 0 { Ok(parts) } else { Err(FrameError::NotCanonical) }
    }
}

impl<'a> Header<'a> {
    /// Reads the header of a frame whose fixed part was read and whose bytes are all there.
    #[inline]
    pub(crate) fn read(fixed: Fixed<'a>, frame: &'a [u8]) -> Result<Self, FrameError> {
        let header_len = frame.len().saturating_sub(fixed.stored_len() as usize);
        let variable = frame.get(FIXED_LEN..header_len).ok_or(FrameError::Length { frame_len: fixed.frame_len() })?;
        let entity_len = fixed.entity_len();
        let split = variable.split_at_checked(entity_len + fixed.scope_len());
        let (names, optional) = split.ok_or(FrameError::NotCanonical)?;
        let names = check_names(names, entity_len)?;
        // Most frames that are not sealed have no part.
        let parts = match (fixed.flags(), optional) {
            (0, []) => Parts::default(),
            _ => Parts::read(fixed, Reader::new(optional))?,
        };
        Ok(Self { fixed, header_len, names, parts })
    }

    /// Returns the frame's length in bytes.
    #[must_use]
    pub const fn frame_len(&self) -> u32 {
        self.fixed.frame_len()
    }

    /// Returns the durable mark: all positions below it were known synced when the frame was written.
    #[must_use]
    pub const fn durable_mark(&self) -> u64 {
        u64::from_le_bytes(self.fixed.field::<DURABLE_MARK_AT, _>())
    }

    /// Returns the event's place in the store-wide order.
    #[must_use]
    pub const fn position(&self) -> u64 {
        u64::from_le_bytes(self.fixed.field::<POSITION_AT, _>())
    }

    /// Returns the event's place in the order of its entity.
    #[must_use]
    pub const fn revision(&self) -> u64 {
        u64::from_le_bytes(self.fixed.field::<REVISION_AT, _>())
    }

    /// Returns when the event was committed, or the time its caller gave it.
    #[must_use]
    pub const fn time(&self) -> Timestamp {
        Timestamp::from_micros(i64::from_le_bytes(self.fixed.field::<TIME_AT, _>()))
    }

    /// Returns the link of the entity's chain that this event closes.
    #[must_use]
    pub const fn chain_hash(&self) -> ChainHash {
        ChainHash::from_bytes(self.fixed.field::<CHAIN_HASH_AT, _>())
    }

    /// Returns the event's id.
    #[must_use]
    pub const fn id(&self) -> EventId {
        EventId::from_bytes(self.fixed.field::<ID_AT, _>())
    }

    /// Returns the frame's flags.
    #[must_use]
    pub const fn flags(&self) -> u16 {
        self.fixed.flags()
    }

    /// Returns what the event is.
    #[must_use]
    pub const fn kind(&self) -> EventKind {
        EventKind::from_u16(u16::from_le_bytes(self.fixed.field::<KIND_AT, _>()))
    }

    /// Returns the version of the payload's own schema.
    #[must_use]
    pub const fn payload_version(&self) -> u16 {
        u16::from_le_bytes(self.fixed.field::<PAYLOAD_VERSION_AT, _>())
    }

    /// Returns how the payload is encoded.
    #[must_use]
    pub const fn content_type(&self) -> ContentType {
        ContentType::from_u16(u16::from_le_bytes(self.fixed.field::<CONTENT_TYPE_AT, _>()))
    }

    /// Returns the bytes of the payload as stored, also when it was dropped.
    #[must_use]
    pub const fn payload_len(&self) -> u32 {
        self.fixed.payload_len()
    }

    /// Returns the entity.
    #[must_use]
    pub const fn entity(&self) -> &'a str {
        self.names.split_at(self.fixed.entity_len()).0
    }

    /// Returns the scope.
    #[must_use]
    pub const fn scope(&self) -> &'a str {
        self.names.split_at(self.fixed.entity_len()).1
    }

    /// Returns entity and scope in one allocation.
    #[must_use]
    pub fn coordinate(&self) -> Coordinate {
        Coordinate::from_joined(self.names, self.fixed.entity_len())
    }

    /// Returns the event that started what this one belongs to.
    #[must_use]
    pub const fn correlation(&self) -> Option<EventId> {
        match self.parts.correlation {
            Some(id) => Some(EventId::from_bytes(*id)),
            None => None,
        }
    }

    /// Returns the causes in order.
    pub fn causes(&self) -> impl ExactSizeIterator<Item = Cause> + Clone + 'a {
        self.parts.causes.iter()
    }

    /// Returns the tags in byte order.
    pub fn tags(&self) -> impl Iterator<Item = &'a str> + Clone + 'a {
        self.parts.tags.iter()
    }

    /// Returns the event's place in its batch.
    #[must_use]
    pub const fn batch(&self) -> Option<BatchPart> {
        self.parts.batch
    }

    /// Returns key id and nonce, when the payload is ciphertext.
    #[must_use]
    pub fn encryption(&self) -> Option<PayloadEncryption> {
        let (key_id, nonce) = self.parts.encryption?.split_first_chunk()?;
        let key_id = KeyId::from_u64(u64::from_le_bytes(*key_id));
        Some(PayloadEncryption { key_id, nonce: *nonce.first_chunk()? })
    }

    /// Tells whether the payload is ciphertext.
    #[must_use]
    pub const fn is_sealed(&self) -> bool {
        self.parts.encryption.is_some()
    }

    /// Returns the commitment to the key, when it was provisional.
    #[must_use]
    pub const fn key_commitment(&self) -> Option<[u8; 32]> {
        self.parts.key_commitment.copied()
    }

    /// Tells whether the payload was dropped.
    #[must_use]
    pub const fn is_hollow(&self) -> bool {
        self.parts.hollow_hash.is_some()
    }

    /// Returns the hash that a hollow frame keeps.
    pub(crate) fn hollow_hash(&self) -> Option<EventHash> {
        self.parts.hollow_hash.map(|hash| EventHash::from_bytes(*hash))
    }

    /// Copies the header out of the frame's bytes.
    #[must_use]
    pub fn to_owned(&self) -> EventHeader {
        EventHeader {
            durable_mark: self.durable_mark(),
            position: self.position(),
            revision: self.revision(),
            time: self.time(),
            chain_hash: self.chain_hash(),
            id: self.id(),
            kind: self.kind(),
            payload_version: self.payload_version(),
            content_type: self.content_type(),
            payload_len: self.payload_len(),
            coordinate: self.coordinate(),
            correlation: self.correlation(),
            causes: self.parts.causes.to_causes(),
            tags: self.parts.tags.to_tags(),
            batch: self.batch(),
            encryption: self.encryption(),
            key_commitment: self.key_commitment(),
            hollow: self.is_hollow(),
        }
    }
}

/// Prints what stands in it.
impl fmt::Debug for Header<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.to_owned(), f)
    }
}

/// Takes a part of fixed length.
fn part<'a, const N: usize>(reader: &mut Reader<'a>) -> Result<&'a [u8; N], FrameError> {
    reader.bytes(N).ok().and_then(|bytes| bytes.first_chunk()).ok_or(FrameError::NotCanonical)
}

fn read_batch(reader: &mut Reader<'_>) -> Result<BatchPart, FrameError> {
    let cut = |_: CodecError| FrameError::NotCanonical;
    let (index, count) = (reader.u32().map_err(cut)?, reader.u32().map_err(cut)?);
    check_batch(BatchPart { index, count })
}

/// Refuses a batch part that no event of a batch has.
pub(crate) const fn check_batch(batch: BatchPart) -> Result<BatchPart, FrameError> {
    let BatchPart { index, count } = batch;
    if count < 2 || index >= count { Err(FrameError::Batch { index, count }) } else { Ok(batch) }
}
