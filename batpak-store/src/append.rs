//! The straight line of an append: each step is one call and changes one type.
//!
//! Invariant: seal, then fence, then frame. A payload is sealed before it is hashed and framed; [`Fence::pass`](crate::fence::Fence::pass)
//! alone makes what [`Pipeline::commit`](crate::pipeline::Pipeline) takes; plaintext never leaves this file.

use std::{io, sync::Arc};

use batpak_crypto::PayloadKey;
use batpak_format::{
    BatchPart, Causes, Coordinate, EventId, FrameBuf, FrameFacts, HashedFrame, KeyId, PayloadEncryption, Statement,
    Tags, Timestamp, aad,
};
use batpak_keyset::KeyScope;
use smallvec::SmallVec;

use crate::{
    AppendError, Durability, NewEvent, Receipt, Store, Ticket,
    commit::{Committed, Placed, Receipts},
    keys::LentKey,
    rules::{Asked, Rules},
    scratch,
    sync::both,
    view::View,
    writer::Writer,
};

/// Room for the header of an event with names of usual length.
const HEADER_BYTES_USUAL: usize = 256;

/// From so many bytes of payload on, a batch is sealed and hashed on two cores. Starting a thread costs as much as sealing and hashing 20 to
/// 30 KiB.
const TWO_CORES_BYTES_MIN: usize = 128 * 1024;

/// A validated event: its sizes, kind, causes and tags are within bounds, and it has its id.
#[derive(Debug)]
pub(crate) struct Draft<'a> {
    pub(crate) event: &'a NewEvent<'a>,
    pub(crate) id: EventId,
    pub(crate) causes: Causes,
    pub(crate) tags: Tags,
    pub(crate) batch: Option<BatchPart>,
}

/// A draft with the key that will seal it; without one in a plaintext store.
#[derive(Debug)]
pub(crate) struct Keyed<'a, 'k> {
    draft: Draft<'a>,
    key: Option<LentKey<'k>>,
}

/// An event whose payload is sealed (in a plaintext store: as it is) and hashed, encoded but for what the commit decides.
#[derive(Debug)]
pub(crate) struct Sealed {
    pub(crate) frame: FrameFacts,
    pub(crate) coordinate: Coordinate,
    pub(crate) correlation: Option<EventId>,
    pub(crate) causes: Causes,
    pub(crate) tags: Tags,
    pub(crate) time: Option<Timestamp>,
    pub(crate) key: Option<SealedUnder>,
}

/// Events that are appended as one, with their frames one behind the other, and what the caller gets for them.
#[derive(Debug, Default)]
pub(crate) struct SealedUnit {
    pub(crate) events: SmallVec<[Sealed; 1]>,
    pub(crate) bytes: Vec<u8>,
    /// Empty until the events have their places.
    pub(crate) receipts: Receipts,
}

impl SealedUnit {
    /// Makes room for events with so many bytes of payload in all; a single one brings its own.
    pub(crate) fn for_events(count: usize, payload_bytes: usize) -> Self {
        let several = count > 1;
        let bytes = if several { Vec::with_capacity(payload_bytes + count * HEADER_BYTES_USUAL) } else { Vec::new() };
        Self { events: SmallVec::with_capacity(count), bytes, receipts: Receipts::new() }
    }

    /// Takes the events of another unit behind its own.
    fn append(&mut self, other: &mut Self) {
        self.bytes.extend_from_slice(&other.bytes);
        self.events.append(&mut other.events);
    }

    /// Takes the bytes of the next event's frame.
    pub(crate) fn take_frame(&mut self, frame: HashedFrame) -> FrameFacts {
        let (facts, bytes) = frame.into_parts();
        if self.bytes.capacity() == 0 {
            self.bytes = bytes;
        } else {
            self.bytes.extend_from_slice(&bytes);
            scratch::give_frame(bytes);
        }
        facts
    }
}

impl Drop for SealedUnit {
    /// Keeps the buffer for the thread's next event: its own, or the one that it was exchanged for.
    fn drop(&mut self) {
        scratch::give_frame(std::mem::take(&mut self.bytes));
    }
}

/// What remains of a grant when its key has done its work.
#[derive(Debug)]
pub(crate) struct SealedUnder {
    pub(crate) key_id: KeyId,
    /// Absent for keys that no other event will share.
    pub(crate) scope: Option<KeyScope>,
    /// Whether no committed event named the key when it was lent.
    pub(crate) provisional: bool,
    pub(crate) wants_publication: bool,
}

impl Sealed {
    pub(crate) fn key_id(&self) -> Option<KeyId> {
        self.key.as_ref().map(|key| key.key_id)
    }

    /// Key scope and key of an event whose key others share.
    pub(crate) fn shared_key(&self) -> Option<(&KeyScope, KeyId)> {
        let key = self.key.as_ref()?;
        Some((key.scope.as_ref()?, key.key_id))
    }

    /// The key scope of a leaf that the index does not know before the commit.
    pub(crate) fn minted(&self) -> Option<&KeyScope> {
        self.key.as_ref().filter(|key| key.provisional)?.scope.as_ref()
    }

    pub(crate) fn wants_publication(&self) -> bool {
        self.key.as_ref().is_some_and(|key| key.wants_publication)
    }
}

impl Store {
    /// Appends an event and returns when it is as durable as the event, or else the store, asks.
    ///
    /// An id that is in the log already with the same content is answered with the first receipt, marked as a repeat.
    ///
    /// # Errors
    /// [`AppendError`]; nothing of the event is in the log, except with [`AppendError::Poisoned`], where reopening decides.
    pub fn append(&self, event: &NewEvent<'_>) -> Result<Receipt, AppendError> {
        self.append_as(event, None, Asked::UntilDenied)
    }

    /// Places an event and returns at once with a ticket to wait on, so that one thread keeps many appends in flight.
    ///
    /// The order of the events is that of the calls. Writing begins at the latest with the first wait, `sync`, `close`, or when
    /// the bytes in flight reach their bound; then a call helps writing before it goes on.
    ///
    /// # Errors
    /// As [`Store::append`]; what fails after placing is told by [`Ticket::wait`].
    pub fn submit(&self, event: &NewEvent<'_>) -> Result<Ticket<'_>, AppendError> {
        let writer = self.writer()?;
        let durability = event.durability.unwrap_or(writer.durability);
        let mut unit = SealedUnit::default();
        let submitted = self.start(writer, event, &mut unit, None, Asked::UntilDenied, durability)?;
        let receipts = std::mem::take(&mut unit.receipts);
        Ok(match submitted {
            Submitted::Placed(placed) => Ticket::placed(self, placed, receipts, durability),
            Submitted::Answered => Ticket::answered(receipts),
        })
    }

    /// The straight line of one event, to its end; `id` where it has been given one already.
    pub(crate) fn append_as(
        &self,
        event: &NewEvent<'_>,
        id: Option<EventId>,
        asked: Asked,
    ) -> Result<Receipt, AppendError> {
        let writer = self.writer()?;
        let durability = event.durability.unwrap_or(writer.durability);
        let mut unit = SealedUnit::default();
        if let Submitted::Placed(placed) = self.start(writer, event, &mut unit, id, asked, durability)? {
            writer.finish(placed, durability)?;
        }
        unit.receipts.pop().ok_or(AppendError::Closed)
    }

    /// The straight line of one event until it has its place.
    fn start<'s>(
        &'s self,
        writer: &'s Writer,
        event: &NewEvent<'_>,
        unit: &mut SealedUnit,
        id: Option<EventId>,
        asked: Asked,
        durability: Durability,
    ) -> Result<Submitted<'s>, AppendError> {
        let draft = writer.validate(event, id, None)?;
        // An id that was drawn a moment ago is looked for at the commit only.
        if (event.id.is_some() || id.is_some())
            && let Some(known) = writer.pipeline.known(&draft.id)?
        {
            unit.receipts.push(self.repeat(event, &known, durability)?);
            return Ok(Submitted::Answered);
        }
        writer.seal(writer.key(draft, self.view())?, unit)?;
        self.place(writer, unit, std::slice::from_ref(event), asked, durability)
    }

    /// Appends events as one: all of them or none, in one segment, under one fence, one commit and one sync.
    ///
    /// It is as durable as the strongest of its events asks. A batch whose ids are all in the log with the same content is
    /// answered with the first receipts, marked as repeats.
    ///
    /// # Errors
    /// As [`Store::append`]; [`AppendError::PartlyRepeated`] when some ids are there and others are not.
    pub fn append_batch(&self, events: &[NewEvent<'_>]) -> Result<Vec<Receipt>, AppendError> {
        let writer = self.writer()?;
        let Some(durability) = events.iter().map(|event| event.durability.unwrap_or(writer.durability)).max() else {
            return Ok(Vec::new());
        };
        let drafts = writer.validate_batch(events)?;
        if events.iter().any(|event| event.id.is_some()) {
            let ids: Vec<EventId> = drafts.iter().map(|draft| draft.id).collect();
            if let Some(receipts) = self.repeat_all(writer, &ids, events, durability)? {
                return Ok(receipts);
            }
        }
        let mut unit = self.seal_all(writer, drafts)?;
        if let Submitted::Placed(placed) = self.place(writer, &mut unit, events, Asked::UntilDenied, durability)? {
            writer.finish(placed, durability)?;
        }
        Ok(std::mem::take(&mut unit.receipts).into_vec())
    }

    /// Steps 2 to 4 of a batch; of a large one on two cores.
    fn seal_all(&self, writer: &Writer, mut drafts: Vec<Draft<'_>>) -> Result<SealedUnit, AppendError> {
        let bytes = |drafts: &[Draft<'_>]| drafts.iter().map(|draft| draft.event.payload.len()).sum::<usize>();
        let in_order = |drafts: Vec<Draft<'_>>, room: usize| {
            let mut unit = SealedUnit::for_events(drafts.len(), room);
            for draft in drafts {
                writer.seal(writer.key(draft, self.view())?, &mut unit)?;
            }
            Ok(unit)
        };
        let payload_bytes = bytes(&drafts);
        if payload_bytes < TWO_CORES_BYTES_MIN || drafts.len() == 1 {
            return in_order(drafts, payload_bytes);
        }
        let mut before = 0;
        let half = drafts.iter().position(|draft| {
            before += draft.event.payload.len();
            2 * before >= payload_bytes
        });
        let second = drafts.split_off(half.unwrap_or(0) + 1);
        let second_bytes = bytes(&second);
        // The first one has room for both.
        let (second, first) = both(|| in_order(second, second_bytes), || in_order(drafts, payload_bytes));
        let mut unit = first?;
        unit.append(&mut second?);
        Ok(unit)
    }

    /// Steps 5 and 6: fence and commit. An id that got into the log meanwhile is answered as a repeat, outside every lock.
    pub(crate) fn place<'s>(
        &self,
        writer: &'s Writer,
        unit: &mut SealedUnit,
        events: &[NewEvent<'_>],
        asked: Asked,
        durability: Durability,
    ) -> Result<Submitted<'s>, AppendError> {
        let fenced = writer.fence(unit)?;
        let rules = Rules::of(self, events, asked);
        let committed = writer.commit(fenced, durability, rules.as_ref());
        match committed.map_err(|why| self.on_record(why, events, durability))? {
            Committed::Placed(placed) => Ok(Submitted::Placed(writer.settled(placed, unit))),
            // Only a shred's intent is placed on such a condition.
            Committed::Refused => Err(AppendError::ScopeShredded),
            Committed::Known(ids) => {
                // An event of the store itself, behind those of the caller, has a fresh id.
                let ids = ids.get(..events.len()).unwrap_or_default();
                match self.repeat_all(writer, ids, events, durability)? {
                    Some(receipts) => {
                        unit.receipts = receipts.into();
                        Ok(Submitted::Answered)
                    }
                    // The events that had the ids at the commit were taken back since: their write failed.
                    None => Err(AppendError::NotWritten(Arc::new(io::ErrorKind::Interrupted.into()))),
                }
            }
        }
    }
}

/// A unit that has its places, or is answered with those that it had before; either way its receipts are with it.
#[derive(Debug)]
pub(crate) enum Submitted<'p> {
    Placed(Placed<'p>),
    Answered,
}

impl Writer {
    /// Step 1: sizes, reserved kind and entity, causes and tags; no lock.
    pub(crate) fn validate<'a>(
        &self,
        event: &'a NewEvent<'a>,
        id: Option<EventId>,
        batch: Option<BatchPart>,
    ) -> Result<Draft<'a>, AppendError> {
        self.check_process()?;
        if event.payload.len() > self.plaintext_bytes_max as usize {
            let bytes = event.payload.len() as u64;
            return Err(AppendError::PayloadTooLarge { bytes, bytes_max: self.plaintext_bytes_max });
        }
        if event.kind.is_reserved() {
            return Err(AppendError::ReservedKind { kind: event.kind });
        }
        if event.coordinate.is_system() {
            return Err(AppendError::ReservedEntity);
        }
        Ok(Draft {
            event,
            id: match id.or(event.id) {
                Some(id) => id,
                None => self.fresh_id()?,
            },
            causes: Causes::new(event.causes.clone())?,
            tags: Tags::new(&event.tags)?,
            batch,
        })
    }

    fn validate_batch<'a>(&self, events: &'a [NewEvent<'a>]) -> Result<Vec<Draft<'a>>, AppendError> {
        let too_large = || AppendError::BatchTooLarge {
            events: events.len(),
            bytes: events.iter().map(|event| event.payload.len() as u64).sum(),
            bytes_max: u64::from(u32::MAX),
        };
        let count = u32::try_from(events.len()).map_err(|_| too_large())?;
        let part = |index| (count > 1).then_some(BatchPart { index, count });
        events.iter().zip(0..).map(|(event, index)| self.validate(event, None, part(index))).collect()
    }

    /// Step 2: the current key of the event's key scope, or a fresh leaf; short locks only.
    pub(crate) fn key<'a>(&self, draft: Draft<'a>, view: &View) -> Result<Keyed<'a, '_>, AppendError> {
        let keys = self.keys.as_ref();
        let key = keys.map(|keys| keys.lend(&draft.event.coordinate, draft.event.kind, draft.id, view));
        let key = key.transpose().map_err(|why| match why {
            AppendError::ScopeShredded => self.pipeline.refusal(),
            other => other,
        });
        Ok(Keyed { draft, key: key? })
    }

    /// Step 3 and 4: nonce first, then seal in place, then hash what will be stored; no lock.
    pub(crate) fn seal(&self, keyed: Keyed<'_, '_>, unit: &mut SealedUnit) -> Result<(), AppendError> {
        let Keyed { draft, key } = keyed;
        let event = draft.event;
        let nonce = key.as_ref().map(|_| self.nonce()).transpose()?;
        let encryption = key.as_ref().zip(nonce);
        let statement = Statement {
            id: draft.id,
            kind: event.kind,
            payload_version: event.payload_version,
            content_type: event.content_type,
            coordinate: &event.coordinate,
            correlation: event.correlation,
            causes: &draft.causes,
            tags: &draft.tags,
            batch: draft.batch,
            encryption: encryption
                .as_ref()
                .map(|(lent, nonce)| PayloadEncryption { key_id: lent.key_id, nonce: *nonce.as_bytes() }),
            key_commitment: key.as_ref().and_then(|lent| lent.commitment),
        };
        let frame = FrameBuf::reusing(&statement, event.payload, scratch::take_frame());
        let mut frame = frame.map_err(|_| AppendError::SealFailed)?;
        if let Some((lent, nonce)) = &encryption {
            let key = lent.key().ok_or(AppendError::SealFailed)?;
            seal_in_place(&mut frame, key, nonce, &statement)?;
        }
        let frame = unit.take_frame(frame.seal_finished());
        unit.events.push(Sealed {
            frame,
            coordinate: event.coordinate.clone(),
            correlation: event.correlation,
            causes: draft.causes,
            tags: draft.tags,
            time: event.time,
            key: key.map(LentKey::into_sealed_under),
        });
        Ok(())
    }
}

/// Seals the payload inside its frame; on a failure the plaintext there is wiped.
fn seal_in_place(
    frame: &mut FrameBuf,
    key: &PayloadKey,
    nonce: &batpak_crypto::Nonce,
    statement: &Statement<'_>,
) -> Result<(), AppendError> {
    let coordinate = statement.coordinate;
    let sealed = scratch::with_bytes(|associated| {
        aad(coordinate.entity(), coordinate.scope(), statement.kind, statement.id, associated);
        key.seal(nonce, associated, frame.plaintext_mut())
    });
    match sealed {
        Ok(tag) => {
            frame.set_tag(&tag);
            Ok(())
        }
        Err(_) => {
            frame.wipe();
            Err(AppendError::SealFailed)
        }
    }
}
