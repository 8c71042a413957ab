//! The store's own events: mechanism, never sealed, under an entity that callers cannot write to.
//!
//! Invariant: they take positions and stand in the chain like every event, and their payload is a record of a reserved kind.

use batpak_format::{Causes, ContentType, Coordinate, FrameBuf, KeyId, Record, Statement, Tags};

use crate::{
    AppendError, Durability, Receipt, Store, append::Sealed, commit::Committed, fence::Fenced, ticket::Ticket,
};

impl Store {
    /// Appends an event of the store itself.
    pub(crate) fn append_system(&self, record: &Record, durability: Durability) -> Result<Receipt, AppendError> {
        self.append_condemning(record, durability, &[])
    }

    /// Appends an event of the store itself after which nothing is placed under some keys.
    pub(crate) fn append_condemning(
        &self,
        record: &Record,
        durability: Durability,
        condemns: &[KeyId],
    ) -> Result<Receipt, AppendError> {
        let writer = self.writer()?;
        let (coordinate, causes) = (Coordinate::system(), Causes::default());
        let statement = Statement {
            id: writer.fresh_id()?,
            kind: record.kind(),
            payload_version: 0,
            content_type: ContentType::SYSTEM,
            coordinate: &coordinate,
            correlation: None,
            causes: &causes,
            tags: &Tags::default(),
            batch: None,
            encryption: None,
            key_commitment: None,
        };
        let payload = record.encode()?;
        let frame = FrameBuf::new(&statement, &payload).map_err(|_| AppendError::SealFailed)?.seal_finished();
        let sealed = Sealed {
            frame,
            coordinate: coordinate.clone(),
            correlation: None,
            causes: Causes::default(),
            time: None,
            key: None,
        };
        match writer.commit_condemning(Fenced::plain(vec![sealed]), durability, condemns)? {
            Committed::Placed(placed) => Ticket::placed(self, placed, durability).wait(),
            // Its id was drawn a moment ago.
            Committed::Known(_) => Err(AppendError::SealFailed),
        }
    }
}
