//! Selectors: how a caller names the key scopes that are to be shredded, held or readmitted.
//!
//! Invariant: a selector is one key scope, of the store's granularity or a coarser one that stands for every key scope under it; the
//! store's own events can be named by none.

use batpak_format::{Coordinate, EventId, EventKind, REFERENCE_BYTES_MAX, SYSTEM_ENTITY};
use batpak_keyset::{Granularity, KeyScope, scope_for};

use crate::{ShredError, selection::Selection};

/// A name where a selector does not look at it.
const ANY: &str = "any";

/// Names events whose keys are to be destroyed: all the key scopes that lie within it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Selector {
    /// Every event of a category, 0 to 15.
    Category(u8),
    /// Every event at a coordinate.
    Coordinate(Coordinate),
    /// Every event of an entity.
    Entity(String),
    /// One event.
    Event(EventId),
    /// Every event of a kind.
    Kind(EventKind),
    /// Every event of a scope.
    Scope(String),
}

/// Refuses a reference that is too long to be kept.
pub(crate) fn check_reference(reference: &str) -> Result<(), ShredError> {
    match reference.len() {
        0..=REFERENCE_BYTES_MAX => Ok(()),
        bytes => Err(ShredError::ReferenceTooLong { bytes }),
    }
}

/// The key scopes that selectors name in a store of a granularity.
pub(crate) fn selected(granularity: Granularity, selectors: &[Selector]) -> Result<Selection, ShredError> {
    let named = selectors.iter().map(|selector| selected_one(granularity, selector)).collect::<Result<_, _>>()?;
    Ok(Selection::new(granularity, named))
}

/// The key scope that a selector is, refused when it cuts through those of a store of this granularity.
pub(crate) fn selected_one(granularity: Granularity, selector: &Selector) -> Result<KeyScope, ShredError> {
    let scope = key_scope(selector)?;
    let asked = scope.granularity();
    if asked.covers(granularity) { Ok(scope) } else { Err(ShredError::WrongGranularity { granularity, asked }) }
}

/// The key scope that a selector is, whatever the granularity of the store.
fn key_scope(selector: &Selector) -> Result<KeyScope, ShredError> {
    let (any_kind, any_id) = (EventKind::from_u16(0), EventId::from_bytes([0; 16]));
    let named = |granularity, entity: &str, scope: &str| {
        Ok(scope_for(granularity, &Coordinate::new(entity, scope)?, any_kind, any_id))
    };
    let any = || Coordinate::new(ANY, ANY);
    let own = match selector {
        Selector::Category(category) => EventKind::new(*category, 0).map_or(true, EventKind::is_reserved),
        Selector::Coordinate(at) => at.is_system(),
        Selector::Entity(entity) => entity == SYSTEM_ENTITY,
        Selector::Kind(kind) => kind.is_reserved(),
        Selector::Event(_) | Selector::Scope(_) => false,
    };
    if own {
        return Err(ShredError::Reserved);
    }
    match selector {
        Selector::Entity(entity) => named(Granularity::Entity, entity, ANY),
        Selector::Scope(scope) => named(Granularity::Scope, ANY, scope),
        Selector::Coordinate(at) => named(Granularity::Coordinate, at.entity(), at.scope()),
        Selector::Event(id) => Ok(scope_for(Granularity::Event, &any()?, any_kind, *id)),
        Selector::Kind(kind) => Ok(scope_for(Granularity::Kind, &any()?, *kind, any_id)),
        Selector::Category(category) => {
            let kind = EventKind::new(*category, 0).unwrap_or(any_kind);
            Ok(scope_for(Granularity::Category, &any()?, kind, any_id))
        }
    }
}
