//! Payloads as bytes.
//!
//! Invariant: plaintext that is made here is wiped when it is dropped; decoding copies what it needs and nothing else.

use batpak_format::{ContentType, Coordinate};
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use super::{DecodeError, EncodeError, EventPayload};
use crate::NewEvent;

/// The bytes of a payload, and how they are encoded.
#[derive(Clone, Copy)]
pub struct Encoded<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) content_type: ContentType,
}

impl Encoded<'_> {
    /// How values are encoded where their type does not say: MessagePack if it is built in, else JSON.
    pub const CONTENT_TYPE: ContentType =
        if cfg!(feature = "msgpack") { ContentType::MSGPACK } else { ContentType::JSON };

    /// Decodes a value of any type, as an upcaster does with the layout that a type had.
    ///
    /// # Errors
    /// [`DecodeError::Malformed`]; [`DecodeError::UnknownContentType`] for an encoding that is not built in.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, DecodeError> {
        match self.content_type {
            #[cfg(feature = "json")]
            ContentType::JSON => serde_json::from_slice(self.bytes).map_err(|_| DecodeError::Malformed),
            #[cfg(feature = "msgpack")]
            ContentType::MSGPACK => rmp_serde::from_slice(self.bytes).map_err(|_| DecodeError::Malformed),
            content_type => Err(DecodeError::UnknownContentType { content_type }),
        }
    }
}

/// Shows how long the payload is, never what it holds.
impl std::fmt::Debug for Encoded<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Encoded({} bytes)", self.bytes.len())
    }
}

/// A value that is encoded and stands ready to be appended; wiped when it is dropped.
pub struct Prepared {
    bytes: Zeroizing<Vec<u8>>,
    kind: batpak_format::EventKind,
    version: u16,
    content_type: ContentType,
}

impl Prepared {
    /// Encodes a value.
    ///
    /// # Errors
    /// [`EncodeError`].
    pub fn new<T: EventPayload>(value: &T) -> Result<Self, EncodeError> {
        Ok(Self {
            bytes: Zeroizing::new(encode(value)?),
            kind: T::KIND,
            version: T::VERSION,
            content_type: T::CONTENT_TYPE,
        })
    }

    /// Makes an event of it, to which the caller adds what else it has to say.
    pub fn event(&self, coordinate: Coordinate) -> NewEvent<'_> {
        NewEvent::new(coordinate, self.kind, &self.bytes).payload_version(self.version).content_type(self.content_type)
    }
}

fn encode<T: EventPayload>(value: &T) -> Result<Vec<u8>, EncodeError> {
    match T::CONTENT_TYPE {
        #[cfg(feature = "json")]
        ContentType::JSON => serde_json::to_vec(value).map_err(|_| EncodeError::Refused { kind: T::KIND }),
        // With the names of fields, so that a layout may gain a field that has a default.
        #[cfg(feature = "msgpack")]
        ContentType::MSGPACK => rmp_serde::to_vec_named(value).map_err(|_| EncodeError::Refused { kind: T::KIND }),
        content_type => Err(EncodeError::UnknownContentType { content_type }),
    }
}

/// Shows the kind, never the value.
impl std::fmt::Debug for Prepared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Prepared({} bytes of kind {})", self.bytes.len(), self.kind)
    }
}
