//! The associated data of a seal: what a ciphertext is bound to.
//!
//! Invariant: the encoding is injective, so a ciphertext opens for one coordinate, kind and event id only.

use crate::id::EventId;
use crate::kind::EventKind;
use crate::layout::{ID_LEN, KIND_LEN};

/// The version of the encoding: its first byte.
pub const AAD_VERSION: u8 = 1;

/// Bytes of the length before each part.
const LEN_BYTES: usize = 2;

/// Appends version, entity, scope, kind and id, each with its length before it.
///
/// # Panics
/// When a name is longer than 65,535 bytes; a [`Coordinate`](crate::Coordinate)'s names never are.
pub fn aad(entity: &str, scope: &str, kind: EventKind, id: EventId, out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + aad_len(entity, scope), 0);
    let place = out.get_mut(start..).unwrap_or_default();
    aad_in_place(entity, scope, kind, id, place).expect("as many bytes were added as are written");
}

/// Writes what [`aad`] appends to the beginning of `place` and returns it; none when the place is too short.
///
/// # Panics
/// As [`aad`].
pub fn aad_in_place<'p>(
    entity: &str,
    scope: &str,
    kind: EventKind,
    id: EventId,
    place: &'p mut [u8],
) -> Option<&'p [u8]> {
    let place = place.get_mut(..aad_len(entity, scope))?;
    let (version, mut left) = place.split_first_mut()?;
    *version = AAD_VERSION;
    let kind = kind.as_u16().to_le_bytes();
    for part in [entity.as_bytes(), scope.as_bytes(), &kind, id.as_bytes()] {
        let len = u16::try_from(part.len()).expect("a checked name has at most 1,024 bytes");
        let (len_place, rest) = left.split_first_chunk_mut::<LEN_BYTES>()?;
        *len_place = len.to_le_bytes();
        let (part_place, rest) = rest.split_at_mut_checked(part.len())?;
        part_place.copy_from_slice(part);
        left = rest;
    }
    Some(place)
}

/// Bytes of the associated data: version, and four parts with their lengths.
const fn aad_len(entity: &str, scope: &str) -> usize {
    1 + 4 * LEN_BYTES + entity.len() + scope.len() + KIND_LEN + ID_LEN
}
