//! Why a value could not be made a payload, or a payload a value.
//!
//! Invariant: what the encoding's library said is dropped, because it quotes the data.

use batpak_format::{ContentType, EventKind};

use crate::{AppendError, ReadError};

/// Why a value could not be encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// The value cannot be said in the encoding: a map with keys that are no strings in JSON, say.
    #[error("a value of kind {kind} cannot be encoded")]
    Refused {
        /// The kind.
        kind: EventKind,
    },
    /// The type names an encoding that is not built in.
    #[error("content type {} is not built in: turn on the feature json or msgpack", content_type.as_u16())]
    UnknownContentType {
        /// What it names.
        content_type: ContentType,
    },
}

/// Why a payload could not be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The bytes are no value of the type.
    #[error("the payload is no value of its type")]
    Malformed,
    /// The payload has an encoding that is not built in.
    #[error("content type {} is not built in: turn on the feature json or msgpack", content_type.as_u16())]
    UnknownContentType {
        /// What the event says.
        content_type: ContentType,
    },
    /// The event is of a kind that the type, or the set of types, does not have.
    #[error("an event of kind {found} is none of the types that are read here")]
    UnknownKind {
        /// The event's kind.
        found: EventKind,
    },
    /// The payload was written in a version that the type does not know.
    #[error(
        "kind {kind} is known up to version {known}, and the payload has version {version}: read it with newer code"
    )]
    UnknownVersion {
        /// The kind.
        kind: EventKind,
        /// The payload's version.
        version: u16,
        /// The type's version.
        known: u16,
    },
}

/// Why a typed append or read failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TypedError {
    /// The append failed.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// The payload could not be decoded.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The value could not be encoded.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The read failed.
    #[error(transparent)]
    Read(#[from] ReadError),
}
