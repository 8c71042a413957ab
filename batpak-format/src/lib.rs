//! The byte formats of the batpak event store: events, frames, segments and records. What anyone can check.
//!
//! You probably want `batpak-store`, which composes these with keys and a disk. This crate is for whoever reads or
//! verifies a log without it: it does no I/O, holds no lock and knows no key. `FORMAT.md` beside it is the
//! specification, byte by byte.
//!
//! Start from [`Frame`]: [`Frame::decode`] checks the bytes of one event and lends what stands in them. [`FrameBuf`]
//! makes such bytes from a [`Statement`], what is known before the commit, and a [`Placement`], what the commit adds.
//!
//! ```
//! use batpak_format::{
//!     Causes, ContentType, Coordinate, EventId, EventKind, Frame, FrameBuf, FrameSeed, Placement, Statement, StoreId,
//!     Tags, Timestamp, chain_hash, entity_root,
//! };
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let store = StoreId::from_bytes([7; 16]);
//! let coordinate = Coordinate::new("order-1042", "shop")?;
//! let statement = Statement {
//!     id: EventId::from_key(b"order-1042/placed"),
//!     kind: EventKind::new(1, 1)?,
//!     payload_version: 0,
//!     content_type: ContentType::TEXT,
//!     coordinate: &coordinate,
//!     correlation: None,
//!     causes: &Causes::default(),
//!     tags: &Tags::new(["new"])?,
//!     batch: None,
//!     encryption: None,
//!     key_commitment: None,
//! };
//! let hashed = FrameBuf::new(&statement, b"two lamps")?.seal_finished();
//!
//! let (position, revision, time) = (0, 0, Timestamp::from_micros(1));
//! let chain = chain_hash(&entity_root(store, "order-1042"), hashed.digest(), position, revision, time);
//! let placement = Placement { position, revision, time, chain_hash: chain, durable_mark: 0 };
//! let seed = FrameSeed { store, segment: 1, offset: 128 };
//! let bytes = hashed.place(&placement, &seed);
//!
//! let frame = Frame::decode(&bytes, &seed)?;
//! assert_eq!(frame.payload(), Some(&b"two lamps"[..]));
//! // A frame that was moved does not check.
//! assert!(Frame::decode(&bytes, &FrameSeed { offset: 129, ..seed }).is_err());
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]
#![warn(clippy::indexing_slicing)]

pub mod codec;
pub mod layout;

mod aad;
mod causes;
mod certificate;
mod content;
mod coordinate;
mod defect;
mod edge;
mod encryption;
mod error;
mod event;
mod footer;
mod frame;
mod frame_buf;
mod hash;
mod header;
mod id;
mod kind;
mod newtype;
mod record;
mod segment;
mod statement;
mod summary;
mod tags;
mod time;
mod zeros;

pub use aad::{AAD_VERSION, aad, aad_in_place};
pub use causes::{CAUSES_MAX, Cause, Causes};
pub use certificate::{
    CERTIFICATE_LIST_MAX, CERTIFICATE_MAGIC, CERTIFICATE_SECTION_BYTES_MAX, CERTIFICATE_SECTIONS_MAX,
    CERTIFICATE_VERSION, Certificate, CertificateHash, CertificateSection, CertifiedEvent, CertifiedTarget,
    CertifiedWorth, EventsHasher, KeyCommitment, PositionRun,
};
pub use content::ContentType;
pub use coordinate::{Coordinate, NAME_BYTES_MAX, SYSTEM_ENTITY, SYSTEM_SCOPE};
#[cfg(batpak_defects)]
pub use defect::{Defect, seed};
pub use edge::{EdgeSource, EventEdges};
pub use encryption::{KeyId, PayloadEncryption};
pub use error::{
    CausesError, CertificateFormatError, CodecError, CoordinateError, FooterError, FrameError, IdError, KindError,
    NamePart, RecordError, SegmentHeaderError, TagsError,
};
pub use event::EventHeader;
pub use footer::{
    FOOTER_MAGIC, FOOTER_ROW_LEN, FOOTER_SECTIONS_MAX, FOOTER_TRAILER_LEN, FOOTER_VERSION, Footer, FooterBuilder,
    FooterRow, FooterStream, FooterTable, SECTION_REQUIRED, SECTION_SUMMARY, Section,
};
pub use frame::{Frame, FrameLen};
pub use frame_buf::{FrameBuf, FrameFacts, HashedFrame, hollow};
pub use hash::{ChainHash, EventHash, StatementDigest, chain_hash, entity_root, event_hash, merkle_leaf, merkle_node};
pub use header::Header;
pub use id::{EventId, StoreId};
pub use kind::{CATEGORY_MAX, EventKind, TYPE_ID_MAX};
pub use layout::{
    HEADER_BYTES_MAX, PAYLOAD_BYTES_LIMIT, PLAINTEXT_BYTES_LIMIT, PLAINTEXT_BYTES_MAX_DEFAULT, SEAL_TAG_LEN,
};
pub use record::{
    BYPASS_GATES_MAX, Bypass, Checkpoint, Denial, Genesis, KEY_RUNS_MAX, KEY_SCOPE_BYTES_LIMIT, KeyLossAccepted,
    KeyRun, RECORD_TEXT_BYTES_MAX, RECORD_VERSION, REFERENCE_BYTES_MAX, Record, Rekeyed, RollbackAccepted, RolledBack,
    SHRED_TARGETS_MAX, ScopeHeld, ScopeReadmitted, ScopeReleased, ShredCompleted, ShredIntent, ShredTarget, Tombstone,
};
pub use segment::{SEGMENT_HEADER_LEN, SEGMENT_MAGIC, SEGMENT_REQUIRED_FLAGS_KNOWN, SEGMENT_VERSION, SegmentHeader};
pub use statement::{BatchPart, FrameSeed, Placement, Statement};
pub use summary::{SUMMARY_LEN, SUMMARY_VERSION, SegmentEnd, SegmentSummary};
pub use tags::{TAG_BYTES_MAX, TAGS_MAX, Tags};
pub use time::Timestamp;
pub use zeros::content_len;
