//! What an event is: a category of 4 bits and a type of 12.
//!
//! Invariant: every `u16` is a kind; the numbers of the reserved kinds never change.

use std::fmt;
use std::str::FromStr;

use crate::error::KindError;

/// The highest category.
pub const CATEGORY_MAX: u8 = 0xF;
/// The highest type within a category.
pub const TYPE_ID_MAX: u16 = 0xFFF;

const TYPE_BITS: u32 = 12;
const CATEGORY_SYSTEM: u8 = 0x0;
const CATEGORY_EFFECT: u8 = 0xD;

/// Names what an event is. Categories 0x0 (system) and 0xD (effect) are reserved for the store.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventKind(u16);

impl EventKind {
    /// Says what a store is: written once, as its first event.
    pub const GENESIS: Self = Self(0x0001);
    /// The decision to destroy the keys of some key scopes.
    pub const SHRED_INTENT: Self = Self(0x0002);
    /// A shred is done, with what the provider of the root secret said.
    pub const SHRED_COMPLETED: Self = Self(0x0003);
    /// A shredded key scope may take new keys.
    pub const SCOPE_READMITTED: Self = Self(0x0004);
    /// A key scope must not be shredded for now.
    pub const SCOPE_HELD: Self = Self(0x0005);
    /// A held key scope may be shredded again.
    pub const SCOPE_RELEASED: Self = Self(0x0006);
    /// The loss of keys was accepted.
    pub const KEY_LOSS_ACCEPTED: Self = Self(0x0007);
    /// An older keyset or log than expected was accepted.
    pub const ROLLBACK_ACCEPTED: Self = Self(0x0008);
    /// The keyset was sealed under a new root secret.
    pub const REKEYED: Self = Self(0x0009);
    /// The root of the Merkle log at a position.
    pub const CHECKPOINT: Self = Self(0x000A);
    /// A gate refused an append.
    pub const DENIAL: Self = Self(0x000B);
    /// An append went past gates, with the reason.
    pub const BYPASS: Self = Self(0x000C);
    /// Events whose payloads were dropped.
    pub const TOMBSTONE: Self = Self(0x000D);
    /// Pinned and never written: opening appends no event.
    pub const OPEN_COMPLETED: Self = Self(0x000E);
    /// Pinned and never written: closing appends no event.
    pub const CLOSE_COMPLETED: Self = Self(0x000F);
    /// Pinned and never written: a batch shows in its frames.
    pub const BATCH_BEGIN: Self = Self(0x0010);
    /// Pinned and never written: a batch shows in its frames.
    pub const BATCH_COMMIT: Self = Self(0x0011);

    /// Joins a category (0 to 15) and a type (0 to 4095).
    ///
    /// # Errors
    /// [`KindError::CategoryOutOfRange`] or [`KindError::TypeOutOfRange`].
    pub const fn new(category: u8, type_id: u16) -> Result<Self, KindError> {
        if category > CATEGORY_MAX {
            return Err(KindError::CategoryOutOfRange { category: category as u16 });
        }
        if type_id > TYPE_ID_MAX {
            return Err(KindError::TypeOutOfRange { type_id });
        }
        Ok(Self((category as u16) << TYPE_BITS | type_id))
    }

    /// Takes a kind as it stands on disk.
    #[must_use]
    pub const fn from_u16(value: u16) -> Self {
        Self(value)
    }

    /// Returns the kind as it stands on disk.
    #[must_use]
    pub const fn as_u16(self) -> u16 {
        self.0
    }

    /// Returns the category, 0 to 15.
    #[must_use]
    pub const fn category(self) -> u8 {
        (self.0 >> TYPE_BITS) as u8
    }

    /// Returns the type within the category, 0 to 4095.
    #[must_use]
    pub const fn type_id(self) -> u16 {
        self.0 & TYPE_ID_MAX
    }

    /// Tells whether only the store may append this kind.
    #[must_use]
    pub const fn is_reserved(self) -> bool {
        matches!(self.category(), CATEGORY_SYSTEM | CATEGORY_EFFECT)
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.category(), self.type_id())
    }
}

impl fmt::Debug for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EventKind({self})")
    }
}

impl FromStr for EventKind {
    type Err = KindError;

    /// Reads `CATEGORY:TYPE`, each decimal or hex with `0x`.
    fn from_str(text: &str) -> Result<Self, KindError> {
        let (category, type_id) = text.split_once(':').ok_or(KindError::Malformed)?;
        let category = number(category)?;
        let category = u8::try_from(category).map_err(|_| KindError::CategoryOutOfRange { category })?;
        Self::new(category, number(type_id)?)
    }
}

/// Reads a decimal or 0x-hex number without sign.
fn number(text: &str) -> Result<u16, KindError> {
    let (digits, radix) = match text.strip_prefix("0x") {
        Some(hex) => (hex, 16),
        None => (text, 10),
    };
    if !digits.chars().all(|digit| digit.is_digit(radix)) {
        return Err(KindError::Malformed);
    }
    u16::from_str_radix(digits, radix).map_err(|_| KindError::Malformed)
}
