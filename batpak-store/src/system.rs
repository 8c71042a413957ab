//! The store's own events: mechanism, never sealed, under an entity that callers cannot write to.
//!
//! Invariant: they take positions and stand in the chain like every event, and their payload is a record of a reserved kind.

use batpak_format::{BatchPart, Causes, ContentType, Coordinate, FrameBuf, Record, Statement, Tags};

use crate::{
    AppendError, Durability, Receipt, Store,
    append::{Sealed, SealedUnit},
    commit::{Committed, Condemns},
    fence::Fenced,
    writer::Writer,
};

impl Store {
    /// Appends an event of the store itself.
    pub(crate) fn append_system(&self, record: &Record, durability: Durability) -> Result<Receipt, AppendError> {
        let written = self.append_records(std::slice::from_ref(record), durability, None)?;
        // Its id was drawn a moment ago, and it is placed on no condition.
        written.and_then(|mut receipts| receipts.pop()).ok_or(AppendError::SealFailed)
    }

    /// Appends the intent of a shred, or a batch of them, synced; none when what it is placed on does not hold, and nothing was written.
    pub(crate) fn append_intents(
        &self,
        intents: &[Record],
        condemns: &Condemns<'_>,
    ) -> Result<Option<Vec<Receipt>>, AppendError> {
        self.append_records(intents, Durability::Synced, Some(condemns))
    }

    fn append_records(
        &self,
        records: &[Record],
        durability: Durability,
        condemns: Option<&Condemns<'_>>,
    ) -> Result<Option<Vec<Receipt>>, AppendError> {
        let writer = self.writer()?;
        let events = records.len();
        let count = u32::try_from(events).map_err(|_| AppendError::BatchTooLarge { events, bytes: 0, bytes_max: 0 })?;
        let part = |index| (count > 1).then_some(BatchPart { index, count });
        let mut unit = SealedUnit::default();
        for (record, index) in records.iter().zip(0..) {
            writer.own_event(record, part(index), &mut unit)?;
        }
        match writer.commit_condemning(Fenced::plain(&mut unit), durability, condemns)? {
            Committed::Placed(placed) => {
                match condemns {
                    Some(_) => writer.finish_intents(placed)?,
                    None => writer.finish(placed, durability)?,
                }
                Ok(Some(std::mem::take(&mut unit.receipts).into_vec()))
            }
            Committed::Known(_) | Committed::Refused => Ok(None),
        }
    }
}

impl Writer {
    /// Takes an event of the store itself into a unit; in clear.
    pub(crate) fn own_event(
        &self,
        record: &Record,
        batch: Option<BatchPart>,
        unit: &mut SealedUnit,
    ) -> Result<(), AppendError> {
        let (coordinate, causes) = (Coordinate::system(), Causes::default());
        let statement = Statement {
            id: self.fresh_id()?,
            kind: record.kind(),
            payload_version: 0,
            content_type: ContentType::SYSTEM,
            coordinate: &coordinate,
            correlation: None,
            causes: &causes,
            tags: &Tags::default(),
            batch,
            encryption: None,
            key_commitment: None,
        };
        let payload = record.encode()?;
        let frame = FrameBuf::new(&statement, &payload).map_err(|_| AppendError::SealFailed)?.seal_finished();
        let frame = unit.take_frame(frame);
        unit.events.push(Sealed {
            frame,
            coordinate,
            correlation: None,
            causes: Causes::default(),
            tags: Tags::default(),
            time: None,
            key: None,
        });
        Ok(())
    }
}
