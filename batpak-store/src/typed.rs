//! Typed events: a Rust type for each kind of event, encoded as MessagePack or JSON, read again in every version it ever had.
//!
//! Invariants: a type has one kind and one version, and two types of a set never share a kind, which is checked when the set is
//! compiled. A payload whose version or encoding is not known is an error that says so; it is never read as something else. No error
//! tells anything of a payload, what its decoder said about it included.

mod encoding;
mod error;
mod macros;
mod set;
mod value;

use batpak_format::{ContentType, EventKind};
use serde::{Serialize, de::DeserializeOwned};

pub use encoding::{Encoded, Prepared};
pub use error::{DecodeError, EncodeError, TypedError};
pub use set::{EventSet, kinds_are_distinct};
pub use value::{Typed, Value};

/// A type whose values are payloads of events of one kind.
///
/// [`event_payload!`](crate::event_payload) implements it.
pub trait EventPayload: Serialize + DeserializeOwned {
    /// The kind of the events.
    const KIND: EventKind;
    /// The version of the type's layout, written with each event. It grows with every change that older code cannot read.
    const VERSION: u16;
    /// How values are encoded: [`ContentType::MSGPACK`] or [`ContentType::JSON`]. Reading follows what each event says of itself.
    const CONTENT_TYPE: ContentType;

    /// Makes a value from a payload of an earlier version.
    ///
    /// # Errors
    /// [`DecodeError::UnknownVersion`] for a version that the type does not know, as for all without this method.
    fn upcast(version: u16, payload: Encoded<'_>) -> Result<Self, DecodeError> {
        let _ = payload;
        Err(DecodeError::UnknownVersion { kind: Self::KIND, version, known: Self::VERSION })
    }
}
