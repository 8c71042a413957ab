//! The errors of the formats, one small enum for each thing that is decoded or checked.
//!
//! Invariant: they carry lengths, codes and ids, never bytes of a payload or a name.

use crate::id::EventId;
use crate::kind::EventKind;

/// A cursor met the end too early, or did not meet it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CodecError {
    /// More bytes stand after the last field.
    #[error("bytes are left after the last field")]
    TrailingBytes,
    /// A field, or as many elements as a count states, would pass the end.
    #[error("the bytes end inside a field")]
    Truncated,
}

/// Which of the two names of a coordinate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a coordinate has two names")]
pub enum NamePart {
    /// The entity, whose events form one stream.
    Entity,
    /// The scope the entity belongs to.
    Scope,
}

impl std::fmt::Display for NamePart {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Entity => "entity",
            Self::Scope => "scope",
        })
    }
}

/// A name that no coordinate can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CoordinateError {
    /// The name holds a control character.
    #[error("the {part} name holds a control character")]
    ControlCharacter {
        /// Which name.
        part: NamePart,
    },
    /// The name is empty.
    #[error("the {part} name is empty")]
    Empty {
        /// Which name.
        part: NamePart,
    },
    /// The name is not UTF-8.
    #[error("the {part} name is not utf-8")]
    NotUtf8 {
        /// Which name.
        part: NamePart,
    },
    /// The name is longer than [`NAME_BYTES_MAX`](crate::NAME_BYTES_MAX).
    #[error("the {part} name has {bytes} bytes, at most 1024 are allowed")]
    TooLong {
        /// Which name.
        part: NamePart,
        /// Its length in bytes.
        bytes: usize,
    },
}

/// A category, type or text that names no kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KindError {
    /// The category is above 15.
    #[error("category {category} is above 15")]
    CategoryOutOfRange {
        /// The category given.
        category: u16,
    },
    /// The text is not `CATEGORY:TYPE` with decimal or 0x-hex numbers.
    #[error("a kind is written CATEGORY:TYPE, each decimal or 0x hex")]
    Malformed,
    /// The type is above 4095.
    #[error("type {type_id} is above 4095")]
    TypeOutOfRange {
        /// The type given.
        type_id: u16,
    },
}

/// A text that is no id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdError {
    /// The text is not a UUID: 32 hex digits in groups of 8, 4, 4, 4 and 12.
    #[error("an id is written as a uuid: 8-4-4-4-12 hex digits")]
    Malformed,
}

/// Causes that no event can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CausesError {
    /// The same id stands twice.
    #[error("cause {id} stands twice")]
    Duplicate {
        /// The id.
        id: EventId,
    },
    /// More than [`CAUSES_MAX`](crate::CAUSES_MAX) causes.
    #[error("{count} causes, at most 64 are allowed")]
    TooMany {
        /// How many were given.
        count: usize,
    },
}

/// Tags that no event can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TagsError {
    /// A tag holds a control character.
    #[error("a tag holds a control character")]
    ControlCharacter,
    /// The same tag stands twice.
    #[error("a tag stands twice")]
    Duplicate,
    /// A tag is empty.
    #[error("a tag is empty")]
    Empty,
    /// A stored tag is not UTF-8.
    #[error("a tag is not utf-8")]
    NotUtf8,
    /// A tag is longer than [`TAG_BYTES_MAX`](crate::TAG_BYTES_MAX).
    #[error("a tag has {bytes} bytes, at most 128 are allowed")]
    TooLong {
        /// Its length in bytes.
        bytes: usize,
    },
    /// More than [`TAGS_MAX`](crate::TAGS_MAX) tags.
    #[error("{count} tags, at most 16 are allowed")]
    TooMany {
        /// How many were counted; [`Tags::new`](crate::Tags::new) stops at the first above the cap.
        count: usize,
    },
    /// Stored tags are not in byte order.
    #[error("stored tags are not in order")]
    Unsorted,
}

/// Bytes that are no valid frame, or an event that no frame can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The frame is hollow already.
    #[error("the frame is hollow already")]
    AlreadyHollow,
    /// A batch part needs `index < count` and `count >= 2`.
    #[error("batch part {index} of {count} cannot be")]
    Batch {
        /// The part's index.
        index: u32,
        /// The number of events in the batch.
        count: u32,
    },
    /// The causes are not valid.
    #[error(transparent)]
    Causes(#[from] CausesError),
    /// The frame check does not match these bytes at this place.
    #[error("the frame check does not match")]
    Check,
    /// A key commitment stands on a frame that is not sealed.
    #[error("a key commitment needs a sealed payload")]
    CommitmentWithoutSeal,
    /// The coordinate is not valid.
    #[error(transparent)]
    Coordinate(#[from] CoordinateError),
    /// No frame was written here: the length is 0.
    #[error("no frame was written here")]
    Empty,
    /// The lengths of frame, header and payload cannot be, or do not agree.
    #[error("frame length {frame_len} cannot be")]
    Length {
        /// The length the frame states.
        frame_len: u32,
    },
    /// An optional part is written in a way the encoder never does.
    #[error("an optional part of the frame is not canonical")]
    NotCanonical,
    /// The payload is above the cap.
    #[error("payload of {bytes} bytes is above the limit of {limit}")]
    PayloadTooLarge {
        /// The payload's length in bytes, without the tag of a seal.
        bytes: u64,
        /// The cap, in bytes.
        limit: u64,
    },
    /// A sealed payload is shorter than its tag.
    #[error("a sealed payload of {payload_len} bytes is shorter than its tag")]
    SealTooShort {
        /// The stored length in bytes.
        payload_len: u32,
    },
    /// The tags are not valid.
    #[error(transparent)]
    Tags(#[from] TagsError),
    /// The bytes end inside the frame.
    #[error("frame needs {needed} bytes, {found} are there")]
    Truncated {
        /// Bytes needed.
        needed: u64,
        /// Bytes there.
        found: u64,
    },
    /// Flags are set that this version does not know; all frame flags are required features.
    #[error("unknown frame flags {flags:#06x}")]
    UnknownFlags {
        /// The unknown flags.
        flags: u16,
    },
}

/// Bytes that are no segment header of a known version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SegmentHeaderError {
    /// The first bytes are not the magic of a segment.
    #[error("not a segment: the magic is missing")]
    BadMagic,
    /// The check does not match.
    #[error("the segment header's check does not match")]
    Check,
    /// Reserved bytes are not zero, or the header length is not that of its version.
    #[error("the segment header is not canonical")]
    NotCanonical,
    /// The bytes end inside the header.
    #[error("the bytes end inside the segment header")]
    Truncated,
    /// A required feature is not known to this version.
    #[error("unknown required segment features {flags:#010x}")]
    UnknownRequiredFlags {
        /// The unknown flags.
        flags: u32,
    },
    /// The version is not known.
    #[error("unknown segment version {version}")]
    UnknownVersion {
        /// The version found.
        version: u16,
    },
}

/// Bytes that start like a footer from the end, and are no valid one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FooterError {
    /// The check of the table or of a section does not match.
    #[error("a footer check does not match")]
    Check,
    /// The section stands twice.
    #[error("footer section {tag} stands twice")]
    DuplicateSection {
        /// The section's tag.
        tag: u16,
    },
    /// The lengths of footer, log and file do not agree, or a section passes the footer's end.
    #[error("the footer's lengths do not agree")]
    Length,
    /// A field of the table or of a known section holds what the encoder never writes.
    #[error("the footer is not canonical")]
    NotCanonical,
    /// More of the file's end is needed.
    #[error("the last {needed} bytes of the file are needed")]
    TailTooShort {
        /// How many bytes of the file's end are needed.
        needed: u64,
    },
    /// A required section is not known to this version.
    #[error("unknown required footer section {tag}")]
    UnknownRequiredSection {
        /// The section's tag.
        tag: u16,
    },
    /// The version of the footer, or of a known section, is not known.
    #[error("unknown footer version {version}")]
    UnknownVersion {
        /// The version found.
        version: u16,
    },
}

/// Bytes that are no record of their kind, or a record that cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// The coordinate in it is not valid.
    #[error(transparent)]
    Coordinate(#[from] CoordinateError),
    /// The bytes end inside a field, or go on after the last.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// Runs of key ids are unsorted, overlap, are empty or pass the end of a page.
    #[error("runs of key ids must be sorted, disjoint and within a page")]
    KeyRuns,
    /// A field holds a value that the encoder never writes.
    #[error("the record is not canonical")]
    NotCanonical,
    /// A text is not UTF-8.
    #[error("a text in the record is not utf-8")]
    NotUtf8,
    /// A text, key scope or list is longer than its cap.
    #[error("a field of {len} is above its cap of {max}")]
    TooLong {
        /// Its length: bytes of a text or key scope, elements of a list.
        len: usize,
        /// Its cap.
        max: usize,
    },
    /// The kind has no record.
    #[error("kind {kind} has no record")]
    UnknownKind {
        /// The kind.
        kind: EventKind,
    },
    /// The record's version is not known.
    #[error("unknown record version {version}")]
    UnknownVersion {
        /// The version found.
        version: u8,
    },
}

/// Bytes that are no certificate, or a certificate that cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateFormatError {
    /// The first bytes are not the magic of a certificate.
    #[error("not a certificate: the magic is missing")]
    BadMagic,
    /// The bytes end inside a field.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// Runs of key ids are unsorted, overlap, are empty or pass the end of a page.
    #[error("runs of key ids must be sorted, disjoint and within a page")]
    KeyRuns,
    /// A field holds a value that the encoder never writes.
    #[error("the certificate is not canonical")]
    NotCanonical,
    /// The reference is not UTF-8.
    #[error("the reference in the certificate is not utf-8")]
    NotUtf8,
    /// Runs of positions are unsorted, overlap, are empty or could be one.
    #[error("runs of positions must be sorted, disjoint and apart")]
    PositionRuns,
    /// A text, key scope, section or list is longer than its cap.
    #[error("a field of {len} is above its cap of {max}")]
    TooLong {
        /// Its length: bytes of a text, key scope or section, elements of a list.
        len: usize,
        /// Its cap.
        max: usize,
    },
    /// A required section is not known to this version.
    #[error("unknown required section {tag} of the certificate")]
    UnknownRequiredSection {
        /// The section's tag.
        tag: u16,
    },
    /// The version is not known.
    #[error("unknown certificate version {version}")]
    UnknownVersion {
        /// The version found.
        version: u16,
    },
}

impl From<RecordError> for CertificateFormatError {
    /// Takes the refusal of a part that certificates share with records.
    fn from(error: RecordError) -> Self {
        match error {
            RecordError::Codec(error) => Self::Codec(error),
            RecordError::KeyRuns => Self::KeyRuns,
            RecordError::NotUtf8 => Self::NotUtf8,
            RecordError::TooLong { len, max } => Self::TooLong { len, max },
            _ => Self::NotCanonical,
        }
    }
}
