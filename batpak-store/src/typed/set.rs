//! Sets of event types: all that can happen to one kind of thing.

use batpak_format::EventKind;

use super::{DecodeError, EncodeError, Encoded, Prepared};

/// A type, or an enum over types, that events of several kinds are read as.
///
/// [`event_set!`](crate::event_set) implements it for an enum, and refuses at compile time two types that share a kind.
pub trait EventSet: Sized {
    /// The kinds.
    const KINDS: &'static [EventKind];

    /// Makes a value from a payload.
    ///
    /// # Errors
    /// [`DecodeError`].
    fn decode(kind: EventKind, version: u16, payload: Encoded<'_>) -> Result<Self, DecodeError>;

    /// Encodes the value.
    ///
    /// # Errors
    /// [`EncodeError`].
    fn prepare(&self) -> Result<Prepared, EncodeError>;
}

/// Tells whether no kind stands twice; for a check at compile time over types of several modules.
#[must_use]
pub const fn kinds_are_distinct(kinds: &[EventKind]) -> bool {
    let mut left = 0;
    while left < kinds.len() {
        let mut right = left + 1;
        while right < kinds.len() {
            if kinds[left].as_u16() == kinds[right].as_u16() {
                return false;
            }
            right += 1;
        }
        left += 1;
    }
    true
}
