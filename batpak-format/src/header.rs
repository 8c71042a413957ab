//! The header of a checked frame, read where it stands.
//!
//! Invariant: a [`Header`] exists only for bytes whose lengths, flags and optional parts are those that the encoder
//! writes.

use crate::causes::{Cause, CausesPart};
use crate::codec::Reader;
use crate::content::ContentType;
use crate::coordinate::{Coordinate, check_name};
use crate::encryption::{KeyId, PayloadEncryption};
use crate::error::{CodecError, FrameError, NamePart};
use crate::event::EventHeader;
use crate::hash::{ChainHash, EventHash};
use crate::id::EventId;
use crate::kind::EventKind;
use crate::layout::{
    FIXED_LEN, FLAG_BATCH, FLAG_CAUSES, FLAG_CORRELATION, FLAG_HOLLOW, FLAG_KEY_COMMITMENT, FLAG_SEALED, FLAG_TAGS,
    FLAGS_KNOWN, HEADER_BYTES_MAX, PAYLOAD_BYTES_LIMIT, PLAINTEXT_BYTES_LIMIT, SEAL_TAG_LEN,
};
use crate::statement::BatchPart;
use crate::tags::TagsPart;
use crate::time::Timestamp;

/// What a frame says of its event, borrowed from the frame's bytes.
#[derive(Clone, Copy, Debug)]
pub struct Header<'a> {
    pub(crate) fixed: Fixed,
    pub(crate) header_len: usize,
    entity: &'a str,
    scope: &'a str,
    correlation: Option<EventId>,
    causes: CausesPart<'a>,
    tags: TagsPart<'a>,
    batch: Option<BatchPart>,
    encryption: Option<PayloadEncryption>,
    key_commitment: Option<[u8; 32]>,
    pub(crate) hollow_hash: Option<EventHash>,
}

/// The fields of the fixed part.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fixed {
    pub(crate) frame_len: u32,
    pub(crate) check: u32,
    durable_mark: u64,
    position: u64,
    revision: u64,
    time: Timestamp,
    chain_hash: ChainHash,
    id: EventId,
    pub(crate) flags: u16,
    kind: EventKind,
    payload_version: u16,
    content_type: ContentType,
    pub(crate) payload_len: u32,
    entity_len: u16,
    scope_len: u16,
}

impl Fixed {
    /// Reads the fixed part and checks lengths and flags against each other and the caps.
    #[inline]
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, FrameError> {
        let truncated = |_: CodecError| FrameError::Truncated { needed: FIXED_LEN as u64, found: bytes.len() as u64 };
        let fixed = Self::read_fields(&mut Reader::new(bytes)).map_err(truncated)?;
        fixed.check_flags()?;
        let limit = if fixed.has(FLAG_SEALED) { PAYLOAD_BYTES_LIMIT } else { PLAINTEXT_BYTES_LIMIT };
        if fixed.payload_len > limit {
            let tag = limit - PLAINTEXT_BYTES_LIMIT;
            let bytes = u64::from(fixed.payload_len) - u64::from(tag);
            return Err(FrameError::PayloadTooLarge { bytes, limit: u64::from(PLAINTEXT_BYTES_LIMIT) });
        }
        if fixed.has(FLAG_SEALED) && (fixed.payload_len as usize) < SEAL_TAG_LEN {
            return Err(FrameError::SealTooShort { payload_len: fixed.payload_len });
        }
        let least =
            u64::from(fixed.stored_len()) + FIXED_LEN as u64 + u64::from(fixed.entity_len) + u64::from(fixed.scope_len);
        // A frame that claims a large header would make a reader fetch what no encoder writes.
        let most = u64::from(fixed.stored_len()) + HEADER_BYTES_MAX as u64;
        if !(least..=most).contains(&u64::from(fixed.frame_len)) {
            return Err(FrameError::Length { frame_len: fixed.frame_len });
        }
        Ok(fixed)
    }

    #[inline]
    fn read_fields(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        Ok(Self {
            frame_len: reader.u32()?,
            check: reader.u32()?,
            durable_mark: reader.u64()?,
            position: reader.u64()?,
            revision: reader.u64()?,
            time: Timestamp::from_micros(reader.i64()?),
            chain_hash: ChainHash::from_bytes(reader.array()?),
            id: EventId::from_bytes(reader.array()?),
            flags: reader.u16()?,
            kind: EventKind::from_u16(reader.u16()?),
            payload_version: reader.u16()?,
            content_type: ContentType::from_u16(reader.u16()?),
            payload_len: reader.u32()?,
            entity_len: reader.u16()?,
            scope_len: reader.u16()?,
        })
    }

    fn check_flags(&self) -> Result<(), FrameError> {
        let unknown = self.flags & !FLAGS_KNOWN;
        if unknown != 0 {
            return Err(FrameError::UnknownFlags { flags: unknown });
        }
        if self.has(FLAG_KEY_COMMITMENT) && !self.has(FLAG_SEALED) {
            return Err(FrameError::CommitmentWithoutSeal);
        }
        Ok(())
    }

    pub(crate) const fn has(&self, flag: u16) -> bool {
        self.flags & flag != 0
    }

    /// Bytes of payload that the frame holds.
    pub(crate) const fn stored_len(&self) -> u32 {
        if self.has(FLAG_HOLLOW) { 0 } else { self.payload_len }
    }
}

impl<'a> Header<'a> {
    /// Reads the header of a frame whose fixed part was read and whose bytes are all there.
    #[inline]
    pub(crate) fn read(fixed: Fixed, frame: &'a [u8]) -> Result<Self, FrameError> {
        let header_len = frame.len().saturating_sub(fixed.stored_len() as usize);
        let variable = frame.get(FIXED_LEN..header_len).ok_or(FrameError::Length { frame_len: fixed.frame_len })?;
        let mut reader = Reader::new(variable);
        let cut = |_: CodecError| FrameError::NotCanonical;
        let entity = reader.bytes(usize::from(fixed.entity_len)).map_err(cut)?;
        let scope = reader.bytes(usize::from(fixed.scope_len)).map_err(cut)?;
        let header = Self {
            entity: check_name(entity, NamePart::Entity)?,
            scope: check_name(scope, NamePart::Scope)?,
            correlation: part(&fixed, FLAG_CORRELATION, || reader.array().map(EventId::from_bytes)).map_err(cut)?,
            causes: match fixed.has(FLAG_CAUSES) {
                true => CausesPart::read(&mut reader)?,
                false => CausesPart::default(),
            },
            tags: match fixed.has(FLAG_TAGS) {
                true => TagsPart::read(&mut reader)?,
                false => TagsPart::default(),
            },
            batch: match fixed.has(FLAG_BATCH) {
                true => Some(read_batch(&mut reader)?),
                false => None,
            },
            encryption: part(&fixed, FLAG_SEALED, || read_encryption(&mut reader)).map_err(cut)?,
            key_commitment: part(&fixed, FLAG_KEY_COMMITMENT, || reader.array()).map_err(cut)?,
            hollow_hash: part(&fixed, FLAG_HOLLOW, || reader.array().map(EventHash::from_bytes)).map_err(cut)?,
            fixed,
            header_len,
        };
        reader.finish().map_err(cut)?;
        Ok(header)
    }

    /// Returns the frame's length in bytes.
    #[must_use]
    pub const fn frame_len(&self) -> u32 {
        self.fixed.frame_len
    }

    /// Returns the durable mark: all positions below it were known synced when the frame was written.
    #[must_use]
    pub const fn durable_mark(&self) -> u64 {
        self.fixed.durable_mark
    }

    /// Returns the event's place in the store-wide order.
    #[must_use]
    pub const fn position(&self) -> u64 {
        self.fixed.position
    }

    /// Returns the event's place in the order of its entity.
    #[must_use]
    pub const fn revision(&self) -> u64 {
        self.fixed.revision
    }

    /// Returns when the event was committed, or the time its caller gave it.
    #[must_use]
    pub const fn time(&self) -> Timestamp {
        self.fixed.time
    }

    /// Returns the link of the entity's chain that this event closes.
    #[must_use]
    pub const fn chain_hash(&self) -> ChainHash {
        self.fixed.chain_hash
    }

    /// Returns the event's id.
    #[must_use]
    pub const fn id(&self) -> EventId {
        self.fixed.id
    }

    /// Returns the frame's flags.
    #[must_use]
    pub const fn flags(&self) -> u16 {
        self.fixed.flags
    }

    /// Returns what the event is.
    #[must_use]
    pub const fn kind(&self) -> EventKind {
        self.fixed.kind
    }

    /// Returns the version of the payload's own schema.
    #[must_use]
    pub const fn payload_version(&self) -> u16 {
        self.fixed.payload_version
    }

    /// Returns how the payload is encoded.
    #[must_use]
    pub const fn content_type(&self) -> ContentType {
        self.fixed.content_type
    }

    /// Returns the bytes of the payload as stored, also when it was dropped.
    #[must_use]
    pub const fn payload_len(&self) -> u32 {
        self.fixed.payload_len
    }

    /// Returns the entity.
    #[must_use]
    pub const fn entity(&self) -> &'a str {
        self.entity
    }

    /// Returns the scope.
    #[must_use]
    pub const fn scope(&self) -> &'a str {
        self.scope
    }

    /// Returns entity and scope in one allocation.
    #[must_use]
    pub fn coordinate(&self) -> Coordinate {
        Coordinate::from_checked(self.entity, self.scope)
    }

    /// Returns the event that started what this one belongs to.
    #[must_use]
    pub const fn correlation(&self) -> Option<EventId> {
        self.correlation
    }

    /// Returns the causes in order.
    pub fn causes(&self) -> impl ExactSizeIterator<Item = Cause> + Clone + 'a {
        self.causes.iter()
    }

    /// Returns the tags in byte order.
    pub fn tags(&self) -> impl Iterator<Item = &'a str> + Clone + 'a {
        self.tags.iter()
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

    /// Returns the commitment to the key, when it was provisional.
    #[must_use]
    pub const fn key_commitment(&self) -> Option<[u8; 32]> {
        self.key_commitment
    }

    /// Tells whether the payload was dropped.
    #[must_use]
    pub const fn is_hollow(&self) -> bool {
        self.hollow_hash.is_some()
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
            correlation: self.correlation,
            causes: self.causes.to_causes(),
            tags: self.tags.to_tags(),
            batch: self.batch,
            encryption: self.encryption,
            key_commitment: self.key_commitment,
            hollow: self.is_hollow(),
        }
    }
}

/// Reads an optional part when its flag is set.
fn part<T>(fixed: &Fixed, flag: u16, read: impl FnOnce() -> Result<T, CodecError>) -> Result<Option<T>, CodecError> {
    fixed.has(flag).then(read).transpose()
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

fn read_encryption(reader: &mut Reader<'_>) -> Result<PayloadEncryption, CodecError> {
    Ok(PayloadEncryption { key_id: KeyId::from_u64(reader.u64()?), nonce: reader.array()? })
}
