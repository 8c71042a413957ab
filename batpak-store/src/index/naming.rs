//! Which records of shreds name a key scope, as far as index files know.
//!
//! Invariant: it is asked only below a position: what stands behind is known from memory.

use std::sync::Arc;

use batpak_format::Frame;

use super::{Ended, Part, Source};
use crate::ReadError;

impl Ended {
    /// The positions below a bound of the records that say that a key scope was shredded, or readmitted, in order: hardly ever of one that
    /// names others alone.
    pub(crate) fn naming(&self, source: &Arc<Source>, key_scope: &[u8], below: u64) -> Result<Vec<u64>, ReadError> {
        let key = self.key(key_scope);
        let mut positions = Vec::new();
        for part in self.parts().iter().take_while(|part| part.first() < below) {
            match &**part {
                Part::Mapped(part) => positions.extend(part.naming(key)?),
                Part::Memory(part) => {
                    let places = source.shred_places(part, key_scope)?;
                    positions.extend(places.iter().map(|place| part.first() + u64::from(*place)));
                }
            }
        }
        positions.retain(|position| *position < below);
        positions.sort_unstable();
        Ok(positions)
    }

    /// Lends the frame at a position of a part.
    pub(crate) fn frame_at<R>(
        &self,
        source: &Arc<Source>,
        position: u64,
        read: impl FnOnce(&Frame<'_>) -> R,
    ) -> Result<Option<R>, ReadError> {
        match self.part(position) {
            Some(Part::Mapped(part)) => part.frame_at(position, read),
            Some(Part::Memory(part)) => source.frame_of(part, position, read),
            None => Ok(None),
        }
    }
}
