//! Where an event belongs: its entity and its scope.
//!
//! Invariant: both names of a [`Coordinate`] have 1 to 1,024 bytes of UTF-8 without control characters.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, OnceLock};

use crate::error::{CoordinateError, NamePart};

/// The longest entity or scope name, in bytes.
pub const NAME_BYTES_MAX: usize = 1024;
/// The entity that the store's own records stand under; callers cannot append to it.
pub const SYSTEM_ENTITY: &str = "$batpak";
/// The scope that the store's own records stand under.
pub const SYSTEM_SCOPE: &str = "$batpak";

/// Names the entity stream an event belongs to, and the scope around it.
///
/// A clone is one reference count.
#[derive(Clone)]
pub struct Coordinate {
    names: Arc<str>,
    entity_len: u16,
}

impl Coordinate {
    /// Checks both names and keeps them in one allocation.
    ///
    /// The system's names are accepted, since decoding needs them; the store refuses them from its callers.
    ///
    /// # Errors
    /// [`CoordinateError`] when a name is empty, longer than [`NAME_BYTES_MAX`] or holds a control character.
    pub fn new(entity: &str, scope: &str) -> Result<Self, CoordinateError> {
        check_name(entity.as_bytes(), NamePart::Entity)?;
        check_name(scope.as_bytes(), NamePart::Scope)?;
        Ok(Self::from_checked(entity, scope))
    }

    /// Joins two names that were checked before.
    pub(crate) fn from_checked(entity: &str, scope: &str) -> Self {
        let mut names = String::with_capacity(entity.len() + scope.len());
        names.push_str(entity);
        names.push_str(scope);
        Self {
            names: names.into(),
            entity_len: u16::try_from(entity.len()).expect("a checked name has at most 1,024 bytes"),
        }
    }

    /// Takes two checked names that stand side by side, in one allocation and one copy.
    pub(crate) fn from_joined(names: &str, entity_len: usize) -> Self {
        Self {
            names: names.into(),
            entity_len: u16::try_from(entity_len).expect("a checked name has at most 1,024 bytes"),
        }
    }

    /// Returns the coordinate of the store's own records.
    #[must_use]
    pub fn system() -> Self {
        static SYSTEM: OnceLock<Coordinate> = OnceLock::new();
        SYSTEM.get_or_init(|| Self::from_checked(SYSTEM_ENTITY, SYSTEM_SCOPE)).clone()
    }

    /// Tells whether this is the store's own entity.
    #[must_use]
    pub fn is_system(&self) -> bool {
        self.entity() == SYSTEM_ENTITY
    }

    /// Returns the entity: the name of the stream.
    #[must_use]
    pub fn entity(&self) -> &str {
        self.names.split_at(usize::from(self.entity_len)).0
    }

    /// Entity and scope, side by side.
    pub(crate) fn joined(&self) -> &str {
        &self.names
    }

    /// Returns the scope.
    #[must_use]
    pub fn scope(&self) -> &str {
        self.names.split_at(usize::from(self.entity_len)).1
    }
}

/// Checks one name as it stands in bytes.
#[inline]
pub(crate) fn check_name(bytes: &[u8], part: NamePart) -> Result<&str, CoordinateError> {
    if bytes.is_empty() {
        return Err(CoordinateError::Empty { part });
    }
    if bytes.len() > NAME_BYTES_MAX {
        return Err(CoordinateError::TooLong { part, bytes: bytes.len() });
    }
    let name = std::str::from_utf8(bytes).map_err(|_| CoordinateError::NotUtf8 { part })?;
    if has_control(name) {
        return Err(CoordinateError::ControlCharacter { part });
    }
    Ok(name)
}

/// Checks an entity and a scope that stand side by side, in one pass where nothing is wrong with them.
#[inline]
pub(crate) fn check_names(bytes: &[u8], entity_len: usize) -> Result<&str, CoordinateError> {
    let (entity, scope) = bytes.split_at_checked(entity_len).unwrap_or_default();
    let lengths = 1..=NAME_BYTES_MAX;
    if lengths.contains(&entity.len())
        && lengths.contains(&scope.len())
        && let Ok(names) = std::str::from_utf8(bytes)
        && names.is_char_boundary(entity_len)
        && !has_control(names)
    {
        return Ok(names);
    }
    // One of them is refused, and the error says which.
    check_name(entity, NamePart::Entity)?;
    check_name(scope, NamePart::Scope)?;
    std::str::from_utf8(bytes).map_err(|_| CoordinateError::NotUtf8 { part: NamePart::Scope })
}

/// Tells whether a text holds a control character (Unicode's category Cc).
#[inline]
pub(crate) fn has_control(text: &str) -> bool {
    // Most names are printable ASCII, and one pass over bytes, without a branch for each, settles those.
    let printable_ascii = text.bytes().fold(true, |all, byte| all & matches!(byte, 0x20..=0x7e));
    !printable_ascii && text.chars().any(char::is_control)
}

impl PartialEq for Coordinate {
    fn eq(&self, other: &Self) -> bool {
        self.entity_len == other.entity_len && self.names == other.names
    }
}

impl Eq for Coordinate {}

impl PartialOrd for Coordinate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Coordinate {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.entity(), self.scope()).cmp(&(other.entity(), other.scope()))
    }
}

impl Hash for Coordinate {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.entity().hash(state);
        self.scope().hash(state);
    }
}

impl fmt::Debug for Coordinate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Coordinate").field("entity", &self.entity()).field("scope", &self.scope()).finish()
    }
}

impl fmt::Display for Coordinate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.entity(), self.scope())
    }
}
