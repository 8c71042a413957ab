//! Repeated appends: an id that is in the log already is answered with the first receipt, if the content is the same.
//!
//! Invariant: a repeat is answered only when the first event is as durable as the repeat asks; other content is a conflict, and a
//! payload that can no longer be opened is said to be unchecked, never assumed to be the same.

use batpak_format::{Causes, EventId, Tags};

use crate::{AppendError, Durability, Event, NewEvent, Payload, Receipt, Repeat, Store, commit::Known, writer::Writer};

impl Store {
    /// Answers a batch of which an id is known: then all must be. None when no id is.
    pub(crate) fn repeat_all(
        &self,
        writer: &Writer,
        ids: &[EventId],
        events: &[NewEvent<'_>],
        durability: Durability,
    ) -> Result<Option<Vec<Receipt>>, AppendError> {
        let Some(known) = writer.pipeline.known_all(ids)? else { return Ok(None) };
        let Some((id, _)) = ids.iter().zip(&known).find(|(_, known)| known.is_some()) else { return Ok(None) };
        let answer = match known.iter().map(Option::as_ref).collect::<Option<Vec<_>>>() {
            Some(all) => {
                all.iter().zip(events).map(|(known, event)| self.compare(writer, event, known, durability)).collect()
            }
            None => Err(AppendError::PartlyRepeated { id: *id }),
        };
        known.iter().flatten().for_each(|_| writer.pipeline.leave());
        answer.map(Some)
    }

    /// Answers an append whose id is known.
    pub(crate) fn repeat(
        &self,
        event: &NewEvent<'_>,
        known: &Known,
        durability: Durability,
    ) -> Result<Receipt, AppendError> {
        let writer = self.writer()?;
        let receipt = self.compare(writer, event, known, durability);
        writer.pipeline.leave();
        receipt
    }

    fn compare(
        &self,
        writer: &Writer,
        event: &NewEvent<'_>,
        known: &Known,
        durability: Durability,
    ) -> Result<Receipt, AppendError> {
        writer.wait(&known.ahead, durability.max(Durability::Buffered))?;
        let first = self.at(known.position)?.ok_or(AppendError::Closed)?;
        let header = &first.header;
        if !same_header(event, &first)? {
            return Err(AppendError::Conflict { id: header.id });
        }
        let repeat = match &first.payload {
            Payload::Open(payload) if payload == event.payload => Repeat::SameContent,
            Payload::Open(_) => return Err(AppendError::Conflict { id: header.id }),
            Payload::Shredded(_) | Payload::KeyLost(_) | Payload::Unread => Repeat::ContentUnchecked,
        };
        Ok(Receipt {
            id: header.id,
            position: header.position,
            revision: header.revision,
            event_hash: first.event_hash(),
            chain_hash: header.chain_hash,
            repeat: Some(repeat),
            gates: None,
        })
    }
}

/// Compares everything that the caller gave but the time, which a retry has anew.
fn same_header(event: &NewEvent<'_>, first: &Event) -> Result<bool, AppendError> {
    let header = &first.header;
    Ok(header.coordinate == event.coordinate
        && header.kind == event.kind
        && header.payload_version == event.payload_version
        && header.content_type == event.content_type
        && header.correlation == event.correlation
        && header.causes == Causes::new(event.causes.clone())?
        && header.tags == Tags::new(&event.tags)?)
}
