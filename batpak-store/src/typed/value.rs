//! Events with values in place of bytes.
//!
//! Invariant: a payload that cannot be had stays a value with its reason, as in [`Payload`](crate::Payload).

use batpak_format::{ContentType, Coordinate, EventHeader, EventId, EventKind, KeyId};

use super::{DecodeError, EncodeError, Encoded, EventPayload, EventSet, Prepared, TypedError};
use crate::{Event, EventView, NewEvent, Payload, Receipt, ShredProof, Store};

/// A value, or why it cannot be had.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Value<T> {
    /// The value.
    Open(T),
    /// Its key was destroyed, and the log says so.
    Shredded(ShredProof),
    /// Its key is lost, and no shred of it is on record.
    KeyLost(KeyId),
    /// It was not asked for, or the store was opened without keys.
    Unread,
}

impl<T> Value<T> {
    /// Returns the value, if it can be had.
    pub fn open(self) -> Option<T> {
        match self {
            Self::Open(value) => Some(value),
            Self::Shredded(_) | Self::KeyLost(_) | Self::Unread => None,
        }
    }
}

/// An event that was read, with its value.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Typed<T> {
    /// Everything that stands in clear.
    pub header: EventHeader,
    /// The value, or why it cannot be had.
    pub value: Value<T>,
}

impl Event {
    /// Decodes the payload as a type, or as one of a set of types.
    ///
    /// # Errors
    /// [`DecodeError`], also when the payload cannot be had but the kind or version is unknown.
    pub fn decode<S: EventSet>(&self) -> Result<Value<S>, DecodeError> {
        let EventHeader { kind, payload_version, content_type, .. } = self.header;
        decode(kind, payload_version, content_type, &self.payload)
    }
}

impl EventView<'_> {
    /// Decodes the payload as a type, or as one of a set of types.
    ///
    /// # Errors
    /// As [`Event::decode`].
    pub fn decode<S: EventSet>(&self) -> Result<Value<S>, DecodeError> {
        let header = self.header();
        decode(header.kind(), header.payload_version(), header.content_type(), self.payload())
    }
}

fn decode<S: EventSet, B: AsRef<[u8]>>(
    kind: EventKind,
    version: u16,
    content_type: ContentType,
    payload: &Payload<B>,
) -> Result<Value<S>, DecodeError> {
    match payload {
        Payload::Open(bytes) => {
            S::decode(kind, version, Encoded { bytes: bytes.as_ref(), content_type }).map(Value::Open)
        }
        _ if !S::KINDS.contains(&kind) => Err(DecodeError::UnknownKind { found: kind }),
        Payload::Shredded(proof) => Ok(Value::Shredded(*proof)),
        Payload::KeyLost(key_id) => Ok(Value::KeyLost(*key_id)),
        Payload::Unread => Ok(Value::Unread),
    }
}

impl Store {
    /// Appends a value as an event.
    ///
    /// # Errors
    /// [`TypedError::Encode`], [`TypedError::Append`].
    pub fn append_typed<T: EventPayload>(&self, coordinate: Coordinate, value: &T) -> Result<Receipt, TypedError> {
        self.append_typed_with(coordinate, value, |event| event)
    }

    /// Appends a value as an event to which the caller adds what else it has to say: causes, tags, an expected revision.
    ///
    /// # Errors
    /// As [`Store::append_typed`].
    pub fn append_typed_with<T: EventPayload>(
        &self,
        coordinate: Coordinate,
        value: &T,
        with: impl FnOnce(NewEvent<'_>) -> NewEvent<'_>,
    ) -> Result<Receipt, TypedError> {
        let prepared = Prepared::new(value)?;
        Ok(self.append(&with(prepared.event(coordinate)))?)
    }

    /// Returns an event with its value, or none if it is not in the log.
    ///
    /// # Errors
    /// [`TypedError::Decode`], [`TypedError::Read`].
    pub fn get_typed<S: EventSet>(&self, id: EventId) -> Result<Option<Typed<S>>, TypedError> {
        let Some(event) = self.get(id)? else { return Ok(None) };
        let value = event.decode()?;
        Ok(Some(Typed { header: event.header, value }))
    }
}

/// One type is a set of one.
impl<T: EventPayload> EventSet for T {
    const KINDS: &'static [EventKind] = &[T::KIND];

    fn decode(kind: EventKind, version: u16, payload: Encoded<'_>) -> Result<Self, DecodeError> {
        if kind != T::KIND {
            return Err(DecodeError::UnknownKind { found: kind });
        }
        if version == T::VERSION { payload.decode() } else { T::upcast(version, payload) }
    }

    fn prepare(&self) -> Result<Prepared, EncodeError> {
        Prepared::new(self)
    }
}
