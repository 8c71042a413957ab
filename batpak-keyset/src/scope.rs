//! Granularities and key scopes: which events share a key.
//!
//! A key scope has one canonical byte form, and different key scopes never have equal bytes: the granularity comes
//! first, then each part with its length.

use core::fmt;
use core::str::FromStr;
use std::sync::Arc;

use batpak_format::{Coordinate, EventId, EventKind, NAME_BYTES_MAX};

use crate::error::ScopeError;

/// The longest canonical form, in bytes: a coordinate of two names of the greatest length.
pub const KEY_SCOPE_BYTES_MAX: usize = 1 + 2 * (PART_LEN_BYTES + NAME_BYTES_MAX);

/// Bytes of the length before each part.
const PART_LEN_BYTES: usize = 2;

/// Says which events share a key. It is fixed when the store is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Granularity {
    /// One key for each category of kinds.
    Category,
    /// One key for each coordinate: entity and scope together.
    Coordinate,
    /// One key for each entity.
    Entity,
    /// One key for each event.
    Event,
    /// One key for each kind.
    Kind,
    /// One key for each scope, over all entities.
    Scope,
}

impl Granularity {
    /// Every granularity, in the order of the codes.
    pub const ALL: [Self; 6] = [Self::Entity, Self::Coordinate, Self::Scope, Self::Category, Self::Kind, Self::Event];

    /// Returns the code on disk: 1 to 6.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Entity => 1,
            Self::Coordinate => 2,
            Self::Scope => 3,
            Self::Category => 4,
            Self::Kind => 5,
            Self::Event => 6,
        }
    }

    /// Reads a code.
    ///
    /// # Errors
    /// [`ScopeError::UnknownGranularity`] for any code but 1 to 6.
    pub fn from_code(code: u8) -> Result<Self, ScopeError> {
        Self::ALL
            .into_iter()
            .find(|granularity| granularity.code() == code)
            .ok_or(ScopeError::UnknownGranularity { code })
    }

    /// Tells whether every key scope of `finer` lies within one key scope of this granularity, so that a selector of
    /// this granularity names whole key scopes of the other. Equal ones cover each other. Event lies within
    /// everything, coordinate within entity and scope, kind within category; nothing else compares.
    #[must_use]
    pub fn covers(self, finer: Self) -> bool {
        use Granularity::{Category, Coordinate, Entity, Event, Kind, Scope};
        self == finer
            || match finer {
                Event => true,
                Coordinate => matches!(self, Entity | Scope),
                Kind => self == Category,
                Category | Entity | Scope => false,
            }
    }

    /// Returns the lower-case name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Category => "category",
            Self::Coordinate => "coordinate",
            Self::Entity => "entity",
            Self::Event => "event",
            Self::Kind => "kind",
            Self::Scope => "scope",
        }
    }
}

impl fmt::Display for Granularity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Granularity {
    type Err = ScopeError;

    fn from_str(name: &str) -> Result<Self, ScopeError> {
        Self::ALL.into_iter().find(|granularity| granularity.name() == name).ok_or(ScopeError::UnknownName)
    }
}

/// Names the set of events that share a key, by its canonical bytes. A clone is one reference count.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyScope(Arc<[u8]>);

impl KeyScope {
    /// Returns the canonical bytes: granularity code, then each part with its length as a little-endian u16. At most
    /// [`KEY_SCOPE_BYTES_MAX`].
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Reads canonical bytes.
    ///
    /// # Errors
    /// [`ScopeError::UnknownGranularity`] for an unknown code, [`ScopeError::NotCanonical`] for bytes that
    /// [`scope_for`] makes of no event.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ScopeError> {
        let (&code, rest) = bytes.split_first().ok_or(ScopeError::NotCanonical)?;
        Parts::read(Granularity::from_code(code)?, rest)?;
        Ok(Self(Arc::from(bytes)))
    }

    /// Returns the granularity.
    #[must_use]
    pub fn granularity(&self) -> Granularity {
        self.parts().granularity()
    }

    /// Tells whether another key scope is this one or lies within it. Decided by what both say, so an event lies within its own
    /// key scope alone: where it belongs stands in the log.
    #[must_use]
    pub fn contains(&self, other: &Self) -> bool {
        match (self.parts(), other.parts()) {
            (Parts::Entity(entity), Parts::Coordinate(of, _)) => entity == of,
            (Parts::Scope(scope), Parts::Coordinate(_, of)) => scope == of,
            (Parts::Category(category), Parts::Kind(of)) => category == of.category(),
            _ => self == other,
        }
    }

    /// Returns the event of a key scope that is one event's own.
    #[must_use]
    pub fn event(&self) -> Option<EventId> {
        match self.parts() {
            Parts::Event(id) => Some(id),
            _ => None,
        }
    }

    fn parts(&self) -> Parts<'_> {
        self.0
            .split_first()
            .and_then(|(&code, rest)| Parts::read(Granularity::from_code(code).ok()?, rest).ok())
            .expect("both constructors make canonical bytes only")
    }
}

impl fmt::Debug for KeyScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyScope({self})")
    }
}

/// Writes the granularity and the parts, as in `coordinate author-1@repository`. For people: names may hold any
/// printable character, so this does not parse.
impl fmt::Display for KeyScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.parts() {
            Parts::Category(category) => write!(f, "category {category:#x}"),
            Parts::Coordinate(entity, scope) => write!(f, "coordinate {entity}@{scope}"),
            Parts::Entity(entity) => write!(f, "entity {entity}"),
            Parts::Event(id) => write!(f, "event {id}"),
            Parts::Kind(kind) => write!(f, "kind {kind}"),
            Parts::Scope(scope) => write!(f, "scope {scope}"),
        }
    }
}

/// Returns the key scope of an event under a granularity.
#[must_use]
pub fn scope_for(granularity: Granularity, coordinate: &Coordinate, kind: EventKind, id: EventId) -> KeyScope {
    let mut bytes = Vec::new();
    encode_scope(granularity, coordinate, kind, id, &mut bytes);
    KeyScope(Arc::from(bytes))
}

/// Appends the canonical bytes of the key scope of an event: what [`scope_for`] gives, without an allocation when
/// `out` has room.
pub fn encode_scope(
    granularity: Granularity,
    coordinate: &Coordinate,
    kind: EventKind,
    id: EventId,
    out: &mut Vec<u8>,
) {
    out.push(granularity.code());
    match granularity {
        Granularity::Category => put_part(out, &[kind.category()]),
        Granularity::Coordinate => {
            put_part(out, coordinate.entity().as_bytes());
            put_part(out, coordinate.scope().as_bytes());
        }
        Granularity::Entity => put_part(out, coordinate.entity().as_bytes()),
        Granularity::Event => put_part(out, id.as_bytes()),
        Granularity::Kind => put_part(out, &kind.as_u16().to_le_bytes()),
        Granularity::Scope => put_part(out, coordinate.scope().as_bytes()),
    }
}

fn put_part(out: &mut Vec<u8>, part: &[u8]) {
    let len = u16::try_from(part.len()).expect("a name is at most 1,024 bytes, every other part is shorter");
    out.extend_from_slice(&len.to_le_bytes());
    out.extend_from_slice(part);
}

/// What canonical bytes say.
enum Parts<'a> {
    Category(u8),
    Coordinate(&'a str, &'a str),
    Entity(&'a str),
    Event(EventId),
    Kind(EventKind),
    Scope(&'a str),
}

impl<'a> Parts<'a> {
    fn read(granularity: Granularity, bytes: &'a [u8]) -> Result<Self, ScopeError> {
        let mut rest = bytes;
        let parts = match granularity {
            Granularity::Category => Self::Category(category(take_part(&mut rest)?)?),
            Granularity::Coordinate => Self::Coordinate(name(take_part(&mut rest)?)?, name(take_part(&mut rest)?)?),
            Granularity::Entity => Self::Entity(name(take_part(&mut rest)?)?),
            Granularity::Event => Self::Event(EventId::from_bytes(fixed(take_part(&mut rest)?)?)),
            Granularity::Kind => Self::Kind(EventKind::from_u16(u16::from_le_bytes(fixed(take_part(&mut rest)?)?))),
            Granularity::Scope => Self::Scope(name(take_part(&mut rest)?)?),
        };
        if rest.is_empty() { Ok(parts) } else { Err(ScopeError::NotCanonical) }
    }

    const fn granularity(&self) -> Granularity {
        match self {
            Self::Category(_) => Granularity::Category,
            Self::Coordinate(..) => Granularity::Coordinate,
            Self::Entity(_) => Granularity::Entity,
            Self::Event(_) => Granularity::Event,
            Self::Kind(_) => Granularity::Kind,
            Self::Scope(_) => Granularity::Scope,
        }
    }
}

fn take_part<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], ScopeError> {
    let (len, after) = rest.split_first_chunk().ok_or(ScopeError::NotCanonical)?;
    let len = usize::from(u16::from_le_bytes(*len));
    let (part, after) = after.split_at_checked(len).ok_or(ScopeError::NotCanonical)?;
    *rest = after;
    Ok(part)
}

fn fixed<const N: usize>(part: &[u8]) -> Result<[u8; N], ScopeError> {
    part.try_into().map_err(|_| ScopeError::NotCanonical)
}

fn category(part: &[u8]) -> Result<u8, ScopeError> {
    let [category] = fixed(part)?;
    if category <= 15 { Ok(category) } else { Err(ScopeError::NotCanonical) }
}

fn name(part: &[u8]) -> Result<&str, ScopeError> {
    let name = str::from_utf8(part).map_err(|_| ScopeError::NotCanonical)?;
    let valid = (1..=NAME_BYTES_MAX).contains(&name.len()) && !name.chars().any(char::is_control);
    if valid { Ok(name) } else { Err(ScopeError::NotCanonical) }
}
