//! The events that an event follows from.
//!
//! Invariant: at most 64, no id twice, in the order the caller gave.

use crate::codec::Reader;
use crate::error::{CausesError, FrameError};
use crate::id::EventId;

/// The most causes an event can have.
pub const CAUSES_MAX: usize = 64;

const ID_LEN: usize = 16;

/// One cause: an event id, and whether that event lives outside of this store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_structs, reason = "the two fields are the format of a cause")]
pub struct Cause {
    /// The event this one follows from.
    pub id: EventId,
    /// Set when that event is not in this store.
    pub external: bool,
}

/// The causes of an event: up to [`CAUSES_MAX`], each once, in the caller's order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Causes(Box<[Cause]>);

impl Causes {
    /// Checks number and ids.
    ///
    /// # Errors
    /// [`CausesError::TooMany`] above [`CAUSES_MAX`]; [`CausesError::Duplicate`] when an id stands twice.
    pub fn new(causes: Vec<Cause>) -> Result<Self, CausesError> {
        if causes.len() > CAUSES_MAX {
            return Err(CausesError::TooMany { count: causes.len() });
        }
        refuse_duplicates(causes.iter().map(|cause| cause.id))?;
        Ok(Self(causes.into()))
    }

    /// Returns the causes in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Cause> + Clone + '_ {
        self.0.iter().copied()
    }

    /// Returns the causes in order, as one piece.
    #[must_use]
    pub const fn as_slice(&self) -> &[Cause] {
        &self.0
    }

    /// Returns how many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Tells whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the bytes of the frame's causes part: 0 when empty.
    pub(crate) fn part_len(&self) -> usize {
        match self.len() {
            0 => 0,
            count => 1 + count.div_ceil(8) + count * ID_LEN,
        }
    }

    /// Appends the frame's causes part; nothing when empty.
    pub(crate) fn put_part(&self, out: &mut Vec<u8>) {
        if self.is_empty() {
            return;
        }
        out.push(u8::try_from(self.len()).expect("there are at most 64 causes"));
        for eight in self.0.chunks(8) {
            let bits = eight.iter().enumerate().fold(0, |bits, (at, cause)| bits | u8::from(cause.external) << at);
            out.push(bits);
        }
        for cause in &self.0 {
            out.extend_from_slice(cause.id.as_bytes());
        }
    }
}

/// The causes part of a checked frame.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct CausesPart<'a> {
    external: &'a [u8],
    ids: &'a [[u8; ID_LEN]],
}

impl<'a> CausesPart<'a> {
    /// Reads and checks the part.
    pub(crate) fn read(reader: &mut Reader<'a>) -> Result<Self, FrameError> {
        let part = Self::read_bounded(reader).map_err(|_| FrameError::NotCanonical)?;
        let count = part.ids.len();
        if count > CAUSES_MAX {
            return Err(CausesError::TooMany { count }.into());
        }
        let unused = (count.div_ceil(8) * 8 - count) as u32;
        let last = part.external.last().ok_or(FrameError::NotCanonical)?;
        if last.leading_zeros() < unused {
            return Err(FrameError::NotCanonical);
        }
        refuse_duplicates(part.ids.iter().map(|id| EventId::from_bytes(*id)))?;
        Ok(part)
    }

    fn read_bounded(reader: &mut Reader<'a>) -> Result<Self, crate::error::CodecError> {
        let count = usize::from(reader.u8()?);
        let external = reader.bytes(count.div_ceil(8))?;
        let (ids, _) = reader.bytes(count * ID_LEN)?.as_chunks();
        Ok(Self { external, ids })
    }

    /// Returns the causes in order.
    pub(crate) fn iter(self) -> impl ExactSizeIterator<Item = Cause> + Clone + 'a {
        self.ids.iter().enumerate().map(move |(at, id)| Cause {
            id: EventId::from_bytes(*id),
            external: self.external.get(at / 8).is_some_and(|bits| bits >> (at % 8) & 1 == 1),
        })
    }

    /// Copies the part.
    pub(crate) fn to_causes(self) -> Causes {
        Causes(self.iter().collect())
    }
}

/// Refuses an id that stands twice: at most 2,016 comparisons, and no memory.
fn refuse_duplicates(ids: impl Iterator<Item = EventId> + Clone) -> Result<(), CausesError> {
    for (at, id) in ids.clone().enumerate() {
        if ids.clone().take(at).any(|earlier| earlier == id) {
            return Err(CausesError::Duplicate { id });
        }
    }
    Ok(())
}
