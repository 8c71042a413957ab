//! Where each fixed field of a frame and of a segment header stands, the flags of a frame, and the caps on its sizes.
//!
//! Invariant: each offset is the previous one plus its length; FORMAT.md states the same numbers, and a test
//! holds them together.

use crate::causes::CAUSES_MAX;
use crate::coordinate::NAME_BYTES_MAX;
use crate::tags::{TAG_BYTES_MAX, TAGS_MAX};

pub use crate::segment::{
    SEGMENT_CHECK_AT, SEGMENT_EPOCH_AT, SEGMENT_FIRST_POSITION_AT, SEGMENT_HEADER_LEN_AT, SEGMENT_MAGIC_AT,
    SEGMENT_NUMBER_AT, SEGMENT_OPTIONAL_FLAGS_AT, SEGMENT_PAD_AT, SEGMENT_PREVIOUS_AT, SEGMENT_REQUIRED_FLAGS_AT,
    SEGMENT_RESERVED_AT, SEGMENT_STORE_AT, SEGMENT_VERSION_AT,
};

/// The default cap on a payload, in bytes, before sealing.
pub const PLAINTEXT_BYTES_MAX_DEFAULT: u32 = 16 << 20;
/// The highest cap that can be configured, in bytes, before sealing.
pub const PLAINTEXT_BYTES_LIMIT: u32 = 1 << 30;
/// The tag that a seal adds to a payload, in bytes.
pub const SEAL_TAG_LEN: usize = 16;
/// The largest payload as stored: the largest plaintext and a seal's tag.
pub const PAYLOAD_BYTES_LIMIT: u32 = PLAINTEXT_BYTES_LIMIT + SEAL_TAG_LEN as u32;

/// Length of the whole frame, u32; 0 where nothing was written.
pub const FRAME_LEN_AT: usize = 0;
/// Bytes of [`FRAME_LEN_AT`].
pub const FRAME_LEN_LEN: usize = 4;
/// Seeded CRC-32, u32.
pub const CHECK_AT: usize = FRAME_LEN_AT + FRAME_LEN_LEN;
/// Bytes of [`CHECK_AT`].
pub const CHECK_LEN: usize = 4;
/// Durable mark, u64.
pub const DURABLE_MARK_AT: usize = CHECK_AT + CHECK_LEN;
/// Bytes of [`DURABLE_MARK_AT`].
pub const DURABLE_MARK_LEN: usize = 8;
/// Position, u64.
pub const POSITION_AT: usize = DURABLE_MARK_AT + DURABLE_MARK_LEN;
/// Bytes of [`POSITION_AT`].
pub const POSITION_LEN: usize = 8;
/// Revision, u64.
pub const REVISION_AT: usize = POSITION_AT + POSITION_LEN;
/// Bytes of [`REVISION_AT`].
pub const REVISION_LEN: usize = 8;
/// Time in microseconds, i64.
pub const TIME_AT: usize = REVISION_AT + REVISION_LEN;
/// Bytes of [`TIME_AT`].
pub const TIME_LEN: usize = 8;
/// Chain hash.
pub const CHAIN_HASH_AT: usize = TIME_AT + TIME_LEN;
/// Bytes of [`CHAIN_HASH_AT`].
pub const CHAIN_HASH_LEN: usize = 32;
/// Event id; the first byte that the digest covers.
pub const ID_AT: usize = CHAIN_HASH_AT + CHAIN_HASH_LEN;
/// Bytes of [`ID_AT`].
pub const ID_LEN: usize = 16;
/// Flags, u16.
pub const FLAGS_AT: usize = ID_AT + ID_LEN;
/// Bytes of [`FLAGS_AT`].
pub const FLAGS_LEN: usize = 2;
/// Kind, u16.
pub const KIND_AT: usize = FLAGS_AT + FLAGS_LEN;
/// Bytes of [`KIND_AT`].
pub const KIND_LEN: usize = 2;
/// Payload version, u16.
pub const PAYLOAD_VERSION_AT: usize = KIND_AT + KIND_LEN;
/// Bytes of [`PAYLOAD_VERSION_AT`].
pub const PAYLOAD_VERSION_LEN: usize = 2;
/// Content type, u16.
pub const CONTENT_TYPE_AT: usize = PAYLOAD_VERSION_AT + PAYLOAD_VERSION_LEN;
/// Bytes of [`CONTENT_TYPE_AT`].
pub const CONTENT_TYPE_LEN: usize = 2;
/// Length of the payload as stored, u32.
pub const PAYLOAD_LEN_AT: usize = CONTENT_TYPE_AT + CONTENT_TYPE_LEN;
/// Bytes of [`PAYLOAD_LEN_AT`].
pub const PAYLOAD_LEN_LEN: usize = 4;
/// Length of the entity's name, u16.
pub const ENTITY_LEN_AT: usize = PAYLOAD_LEN_AT + PAYLOAD_LEN_LEN;
/// Bytes of [`ENTITY_LEN_AT`].
pub const ENTITY_LEN_LEN: usize = 2;
/// Length of the scope's name, u16.
pub const SCOPE_LEN_AT: usize = ENTITY_LEN_AT + ENTITY_LEN_LEN;
/// Bytes of [`SCOPE_LEN_AT`].
pub const SCOPE_LEN_LEN: usize = 2;
/// Length of the fixed part; the names begin here.
pub const FIXED_LEN: usize = SCOPE_LEN_AT + SCOPE_LEN_LEN;

/// Bytes of the correlation part.
pub const CORRELATION_LEN: usize = 16;
/// Bytes of the batch part.
pub const BATCH_LEN: usize = 8;
/// Bytes of the encryption part.
pub const ENCRYPTION_LEN: usize = 8 + 24;
/// Bytes of the key commitment part.
pub const KEY_COMMITMENT_LEN: usize = 32;
/// Bytes of the event hash part of a hollow frame.
pub const HOLLOW_LEN: usize = 32;

/// Most bytes of the causes part.
pub const CAUSES_PART_MAX: usize = 1 + CAUSES_MAX.div_ceil(8) + CAUSES_MAX * ID_LEN;
/// Most bytes of the tags part.
pub const TAGS_PART_MAX: usize = 1 + TAGS_MAX * (1 + TAG_BYTES_MAX);
/// The largest header: all parts at their largest.
pub const HEADER_BYTES_MAX: usize = FIXED_LEN
    + 2 * NAME_BYTES_MAX
    + CORRELATION_LEN
    + CAUSES_PART_MAX
    + TAGS_PART_MAX
    + BATCH_LEN
    + ENCRYPTION_LEN
    + KEY_COMMITMENT_LEN
    + HOLLOW_LEN;
/// The largest frame. A hollow frame has no payload, so no frame has every part.
pub const FRAME_BYTES_MAX: u32 = HEADER_BYTES_MAX as u32 + PAYLOAD_BYTES_LIMIT;

/// The frame has a correlation.
pub const FLAG_CORRELATION: u16 = 1 << 0;
/// The frame has causes.
pub const FLAG_CAUSES: u16 = 1 << 1;
/// The frame has tags.
pub const FLAG_TAGS: u16 = 1 << 2;
/// The event belongs to a batch.
pub const FLAG_BATCH: u16 = 1 << 3;
/// The payload is ciphertext.
pub const FLAG_SEALED: u16 = 1 << 4;
/// The frame has a key commitment.
pub const FLAG_KEY_COMMITMENT: u16 = 1 << 5;
/// The payload was dropped, and the event hash is stored.
pub const FLAG_HOLLOW: u16 = 1 << 6;
/// All flags of this version.
pub const FLAGS_KNOWN: u16 =
    FLAG_CORRELATION | FLAG_CAUSES | FLAG_TAGS | FLAG_BATCH | FLAG_SEALED | FLAG_KEY_COMMITMENT | FLAG_HOLLOW;

const _: () = assert!(FIXED_LEN == 104);
const _: () = assert!(ID_AT == 72, "the digest covers the frame from byte 72");
const _: () = assert!(FRAME_BYTES_MAX > PAYLOAD_BYTES_LIMIT, "lengths fit a u32");
