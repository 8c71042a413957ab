//! The key scopes that a command line names, for `shred` and `readmit`.
//!
//! Invariant: an event is counted for a name exactly when the store's own selector of that name takes it in.

use std::fmt;

use batpak_store::{Coordinate, EventHeader, EventId, EventKind, Granularity, Selector};
use clap::Args;

use crate::error::CliError;

/// A name where only the other half of a coordinate is looked at.
const ANY: &str = "any";

/// The flags that name key scopes.
#[derive(Clone, Debug, Args)]
pub struct Selection {
    /// Every event of this entity
    #[arg(long, value_name = "E")]
    entity: Vec<String>,

    /// Every event of this scope; with exactly one --entity, every event at that coordinate
    #[arg(long, value_name = "S")]
    scope: Option<String>,

    /// Every event of this category of kinds, 0 to 15
    #[arg(long, value_name = "C", value_parser = clap::value_parser!(u8).range(0..=15))]
    category: Vec<u8>,

    /// Every event of this kind
    #[arg(long, value_name = "CAT:TYPE")]
    kind: Vec<EventKind>,
}

impl Selection {
    /// Returns what is named, each once.
    ///
    /// # Errors
    /// [`CliError::Command`] for a name that no entity or scope can have, [`CliError::Flags`] for a scope beside several entities.
    pub fn named(&self) -> Result<Vec<Named>, CliError> {
        let mut named = match (self.entity.as_slice(), &self.scope) {
            ([entity], Some(scope)) => vec![Named::Coordinate(coordinate(entity, scope)?)],
            ([], Some(scope)) => vec![Named::Scope(coordinate(ANY, scope)?.scope().to_owned())],
            ([_, _, ..], Some(_)) => {
                return Err(CliError::Flags(
                    "--scope goes with one --entity, as a coordinate, or stands without any: give the others on their own",
                ));
            }
            (entities, None) => {
                let named = |entity: &String| Ok(Named::Entity(coordinate(entity, ANY)?.entity().to_owned()));
                entities.iter().map(named).collect::<Result<_, CliError>>()?
            }
        };
        named.extend(self.category.iter().map(|category| Named::Category(*category)));
        named.extend(self.kind.iter().map(|kind| Named::Kind(*kind)));
        Ok(named)
    }
}

fn coordinate(entity: &str, scope: &str) -> Result<Coordinate, CliError> {
    Coordinate::new(entity, scope).map_err(|wrong| CliError::Command(format!("--entity or --scope: {wrong}")))
}

/// One thing that a command line names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named {
    /// A category of kinds.
    Category(u8),
    /// A coordinate.
    Coordinate(Coordinate),
    /// An entity.
    Entity(String),
    /// One event.
    Event(EventId),
    /// A kind.
    Kind(EventKind),
    /// A scope.
    Scope(String),
}

impl Named {
    /// Tells whether an event is among what is named.
    pub fn holds(&self, header: &EventHeader) -> bool {
        match self {
            Self::Category(category) => header.kind.category() == *category,
            Self::Coordinate(at) => header.coordinate == *at,
            Self::Entity(entity) => header.coordinate.entity() == entity,
            Self::Event(id) => header.id == *id,
            Self::Kind(kind) => header.kind == *kind,
            Self::Scope(scope) => header.coordinate.scope() == scope,
        }
    }

    /// Returns the granularity whose key scopes these are.
    pub const fn granularity(&self) -> Granularity {
        match self {
            Self::Category(_) => Granularity::Category,
            Self::Coordinate(_) => Granularity::Coordinate,
            Self::Entity(_) => Granularity::Entity,
            Self::Event(_) => Granularity::Event,
            Self::Kind(_) => Granularity::Kind,
            Self::Scope(_) => Granularity::Scope,
        }
    }

    /// Returns the store's selector.
    pub fn selector(&self) -> Selector {
        match self.clone() {
            Self::Category(category) => Selector::Category(category),
            Self::Coordinate(at) => Selector::Coordinate(at),
            Self::Entity(entity) => Selector::Entity(entity),
            Self::Event(id) => Selector::Event(id),
            Self::Kind(kind) => Selector::Kind(kind),
            Self::Scope(scope) => Selector::Scope(scope),
        }
    }
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Category(category) => write!(f, "category {category}"),
            Self::Coordinate(at) => write!(f, "coordinate {}@{}", at.entity(), at.scope()),
            Self::Entity(entity) => write!(f, "entity {entity}"),
            Self::Event(id) => write!(f, "event {id}"),
            Self::Kind(kind) => write!(f, "kind {kind}"),
            Self::Scope(scope) => write!(f, "scope {scope}"),
        }
    }
}
