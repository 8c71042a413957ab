//! The associated data of a seal: what a ciphertext is bound to.
//!
//! Invariant: the encoding is injective, so a ciphertext opens for one coordinate, kind and event id only.

use crate::id::EventId;
use crate::kind::EventKind;

/// The version of the encoding: its first byte.
pub const AAD_VERSION: u8 = 1;

/// Appends version, entity, scope, kind and id, each with its length before it.
///
/// # Panics
/// When a name is longer than 65,535 bytes; a [`Coordinate`](crate::Coordinate)'s names never are.
pub fn aad(entity: &str, scope: &str, kind: EventKind, id: EventId, out: &mut Vec<u8>) {
    out.reserve(1 + 4 * 2 + entity.len() + scope.len() + 2 + 16);
    out.push(AAD_VERSION);
    let kind = kind.as_u16().to_le_bytes();
    for part in [entity.as_bytes(), scope.as_bytes(), &kind, id.as_bytes()] {
        let len = u16::try_from(part.len()).expect("a checked name has at most 1,024 bytes");
        out.extend_from_slice(&len.to_le_bytes());
        out.extend_from_slice(part);
    }
}
