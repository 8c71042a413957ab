//! Where an event stands and how far: all that a read of it needs of the index.
//!
//! Invariant: who looks for an id reads each event that may have it, and the event itself says whether it does; so an index file's
//! hashes need no check of their own. No lock is held while an event is read.

use batpak_format::EventId;

use super::{Address, Ended, MemoryPart, Part, is_time_ordered};
use crate::ReadError;

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stand {
    pub position: u64,
    pub address: Address,
    /// Bytes of its frame, as where the next one begins tells it: not looked up in the frame.
    pub len: u64,
}

impl MemoryPart {
    /// Returns where the event at a position stands.
    pub(crate) fn stand(&self, position: u64) -> Option<Stand> {
        let address = self.address(position)?;
        let end = self.address(position + 1).map_or(self.end(), |next| next.offset);
        Some(Stand { position, address, len: end.saturating_sub(address.offset) })
    }

    /// Returns where an event stands.
    pub(crate) fn find(&self, id: &EventId) -> Option<Stand> {
        self.stand(self.position_of(id)?)
    }
}

impl Ended {
    /// Returns where the event at a position stands.
    pub(crate) fn stand(&self, position: u64) -> Result<Option<Stand>, ReadError> {
        match self.part(position) {
            Some(Part::Memory(part)) => Ok(part.stand(position)),
            Some(Part::Mapped(part)) => part.stand(position),
            None => Ok(None),
        }
    }

    /// Lends the events below a position that may have an id to `read`, from the newest part to the oldest, until it knows one.
    pub(crate) fn find<R>(
        &self,
        id: &EventId,
        below: u64,
        read: impl Fn(Stand) -> Result<Option<R>, ReadError>,
    ) -> Result<Option<R>, ReadError> {
        if is_time_ordered(id) && *id.as_bytes() > self.id_max {
            return Ok(None);
        }
        let key = self.key(id.as_bytes());
        self.newest(|part| match part {
            Part::Memory(part) => {
                let stand = part.find(id).filter(|stand| stand.position < below);
                let misplaced = |stand: Stand| ReadError::Misplaced { position: stand.position };
                stand.map(|stand| read(stand)?.ok_or_else(|| misplaced(stand))).transpose()
            }
            Part::Mapped(part) => {
                for position in part.positions_near(key, id)?.filter(|position| *position < below) {
                    if let Some(stand) = part.stand(position)?
                        && let Some(found) = read(stand)?
                    {
                        return Ok(Some(found));
                    }
                }
                Ok(None)
            }
        })
    }
}
