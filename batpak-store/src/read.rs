//! Reading: from an id or a position to an address, to bytes, to a checked frame, to a payload in clear or the reason why not.
//!
//! Invariants: no read goes past the visible mark; a frame is used only after its check, and decoded once; a payload is in clear only
//! after its tag verified. Readers take no lock that is held during I/O by a writer.

use batpak_crypto::{Nonce, OpenFailed, PayloadKey};
use batpak_format::{EventHeader, EventId, Frame, FrameSeed, Header, SEAL_TAG_LEN, aad, aad_in_place};
use batpak_segment::SegmentReader;
use bytes::Bytes;

use crate::{
    Event, Events, Payload, Query, ReadError, Store,
    event::Stored,
    index::{Address, Stand},
    log_read::Reader,
};

/// Associated data up to this length needs no memory of its own.
const AAD_PLACE_BYTES: usize = 256;

/// What the processor asks the memory for at a time.
const LINE_BYTES: usize = 64;

/// What follows is read in one direction, which the processor sees by itself.
const ASKED_FOR_BYTES: usize = 8 * LINE_BYTES;

impl Store {
    /// Returns an event by its id, or none if it is not in the log. The store's own events can be had by their ids too.
    ///
    /// # Errors
    /// [`ReadError`]; a payload that cannot be had for want of its key is a value, not an error.
    pub fn get(&self, id: EventId) -> Result<Option<Event>, ReadError> {
        self.refuse_inside_gate()?;
        self.refresh_keys()?;
        self.find(id, |frame, bytes| self.event(frame, bytes, true))
    }

    /// Returns the event at a position, or none past the visible mark.
    ///
    /// # Errors
    /// As [`Store::get`].
    pub fn at(&self, position: u64) -> Result<Option<Event>, ReadError> {
        if position < self.view().visible() {
            self.refresh_keys()?;
        } else {
            self.refresh()?;
        }
        self.look(position, |frame, bytes| self.event(frame, bytes, true))
    }

    /// Returns what stands in clear of an event, without a key.
    ///
    /// # Errors
    /// As [`Store::get`].
    pub fn header(&self, id: EventId) -> Result<Option<EventHeader>, ReadError> {
        self.refuse_inside_gate()?;
        self.find(id, |frame, _| Ok(frame.header().to_owned()))
    }

    /// Says whether an event is in the log.
    ///
    /// # Errors
    /// [`ReadError`] when a read-only store cannot look at how the log grew.
    pub fn contains(&self, id: EventId) -> Result<bool, ReadError> {
        Ok(self.position_of(id)?.is_some())
    }

    /// Returns the position of an event.
    ///
    /// # Errors
    /// As [`Store::contains`].
    pub fn position_of(&self, id: EventId) -> Result<Option<u64>, ReadError> {
        if let Some(position) = self.view().position_of(&id)? {
            return Ok(Some(position));
        }
        self.refresh()?;
        self.view().position_of(&id)
    }

    /// Returns an entity's last event, or none if it has no event.
    ///
    /// # Errors
    /// As [`Store::get`].
    pub fn latest(&self, entity: &str) -> Result<Option<Event>, ReadError> {
        self.refresh()?;
        match self.view().latest(entity)? {
            Some(position) => self.at(position),
            None => Ok(None),
        }
    }

    /// Reads the events that a query asks for, as far as the log reaches now.
    ///
    /// # Errors
    /// As [`Store::contains`]; what fails later is an item of the iterator.
    pub fn read(&self, query: &Query) -> Result<Events<'_>, ReadError> {
        self.refresh()?;
        Events::new(self, query.clone(), 0)
    }

    /// Reads one entity's events from a revision on, and no others.
    ///
    /// # Errors
    /// As [`Store::read`].
    pub fn stream(&self, entity: &str, from_revision: u64) -> Result<Events<'_>, ReadError> {
        self.refresh()?;
        Events::new(self, Query::all().entity(entity).include_system(true), from_revision)
    }

    /// Lends the frame of an event as [`Store::look`] does: it is read once, and says itself whether it has the id.
    fn find<R>(
        &self,
        id: EventId,
        look: impl Fn(&Frame<'_>, &Bytes) -> Result<R, ReadError>,
    ) -> Result<Option<R>, ReadError> {
        let read = |stand: Stand| {
            let is = |frame: &Frame<'_>| frame.header().id() == id;
            self.look_at(stand, |frame, bytes| is(frame).then(|| look(frame, bytes)).transpose())
        };
        if let Some(found) = self.view().find(&id, read)? {
            return Ok(Some(found));
        }
        self.refresh()?;
        self.view().find(&id, read)
    }

    /// Lends the frame at a position, checked, and the bytes that it is a part of; none past the visible mark.
    pub(crate) fn look<R>(
        &self,
        position: u64,
        look: impl FnOnce(&Frame<'_>, &Bytes) -> Result<R, ReadError>,
    ) -> Result<Option<R>, ReadError> {
        self.refuse_inside_gate()?;
        let Some(stand) = self.view().stand(position)? else { return Ok(None) };
        self.look_at(stand, look).map(Some)
    }

    /// Lends the frame that stands at a place.
    #[inline]
    pub(crate) fn look_at<R>(
        &self,
        Stand { position, address, len }: Stand,
        look: impl FnOnce(&Frame<'_>, &Bytes) -> Result<R, ReadError>,
    ) -> Result<R, ReadError> {
        let own = match self.unwritten(position, address) {
            Some(bytes) => bytes,
            None => {
                let end = address.offset.saturating_add(len);
                let reader = self.reader(address.segment, end)?;
                let len = usize::try_from(len).ok();
                if let Some(map) = reader.map_below(end) {
                    let bytes = from_offset(map, address.offset);
                    ask_for(bytes, len);
                    return look(&self.decode(position, address, bytes)?, map);
                }
                self.load_frame(address, &reader, len)?
            }
        };
        look(&self.decode(position, address, &own)?, &own)
    }

    /// The map of the segment that an event stands in, or of whole frames at its beginning, which this one is of.
    pub(crate) fn map_of(&self, Stand { position, address, len }: Stand) -> Result<Option<Bytes>, ReadError> {
        if position >= self.written_mark() {
            return Ok(None);
        }
        let end = address.offset.saturating_add(len);
        Ok(self.reader(address.segment, end)?.map_below(end).cloned())
    }

    /// Returns the reader of a segment, to read up to an offset that is with the operating system.
    pub(crate) fn reader(&self, segment: u64, end: u64) -> Result<Reader<'_>, ReadError> {
        let reader = self.segments.reader(segment, || self.active_segment())?;
        // Another process may cut a log when it opens it: who does not write this one maps what is rolled.
        if reader.map_below(end).is_some() || !self.is_writer() {
            return Ok(reader);
        }
        let more = self.segments.mapped_more(&reader, end, || self.written_end(segment))?;
        Ok(more.unwrap_or(reader))
    }

    /// Where the last frame of a segment ends that is with the operating system, if the log ends there.
    fn written_end(&self, segment: u64) -> Result<Option<u64>, ReadError> {
        let Some(last) = self.written_mark().min(self.view().visible()).checked_sub(1) else { return Ok(None) };
        let last = self.view().stand(last)?.filter(|last| last.address.segment == segment);
        Ok(last.map(|last| last.address.offset.saturating_add(last.len)))
    }

    /// Bytes that begin with the frame at a position; none past the visible mark.
    pub(crate) fn frame_bytes(&self, position: u64) -> Result<Option<(Address, Bytes)>, ReadError> {
        self.refuse_inside_gate()?;
        let Some(address) = self.view().address(position)? else { return Ok(None) };
        if let Some(bytes) = self.unwritten(position, address) {
            return Ok(Some((address, bytes)));
        }
        self.written_frame(address, || self.active_segment()).map(|bytes| Some((address, bytes)))
    }

    /// Bytes that begin with a frame that is with the operating system; segments before `active` are rolled.
    pub(crate) fn written_frame(&self, address: Address, active: impl FnOnce() -> u64) -> Result<Bytes, ReadError> {
        let reader = self.segments.reader(address.segment, active)?;
        match reader.map() {
            Some(map) => Ok(map.slice_ref(from_offset(map, address.offset))),
            None => self.load_frame(address, &reader, None),
        }
    }

    fn load_frame(
        &self,
        address: Address,
        reader: &SegmentReader,
        expected: Option<usize>,
    ) -> Result<Bytes, ReadError> {
        let loaded = reader.load_at(address.offset, expected);
        loaded.map(Bytes::from).map_err(|source| self.segments.refused(address.segment, source))
    }

    /// Checks the frame at an address, and that it is the one of this position.
    // Inlined, as the decoding is: the frame is built where it is used.
    #[inline]
    pub(crate) fn decode<'b>(&self, position: u64, address: Address, bytes: &'b [u8]) -> Result<Frame<'b>, ReadError> {
        let seed = FrameSeed { store: self.info.store, segment: address.segment, offset: address.offset };
        let frame = Frame::decode(bytes, &seed).map_err(|source| ReadError::Damaged { position, source })?;
        if frame.header().position() != position {
            return Err(ReadError::Misplaced { position });
        }
        Ok(frame)
    }

    /// Makes an event of a checked frame; a payload that stands in clear stays a part of `bytes`, which the frame was decoded from.
    pub(crate) fn event(&self, frame: &Frame<'_>, bytes: &Bytes, open: bool) -> Result<Event, ReadError> {
        let header = frame.header();
        let payload = if open {
            let unseal = |key: &PayloadKey, stored: &[u8]| {
                let mut opened = Vec::new();
                unseal(key, header, stored, &mut opened).map(|()| Bytes::from(opened))
            };
            self.payload(frame, |payload| bytes.slice_ref(payload), unseal)?
        } else {
            Payload::Unread
        };
        let stored = match frame.payload() {
            None => Stored::Hash(frame.event_hash()),
            Some(_) if open && header.encryption().is_none() => Stored::InClear,
            Some(stored) => Stored::Bytes(bytes.slice_ref(stored)),
        };
        Ok(Event::new(header.to_owned(), payload, stored))
    }

    /// Opens a frame's payload into a buffer that is used again, and lends it; one that stands in clear is lent where it stands.
    #[inline]
    pub(crate) fn lend_payload<'b>(
        &self,
        frame: &Frame<'b>,
        buffer: &'b mut Vec<u8>,
        open: bool,
    ) -> Result<Payload<&'b [u8]>, ReadError> {
        if !open {
            return Ok(Payload::Unread);
        }
        let payload = self.payload(frame, Some, |key, stored| {
            unseal(key, frame.header(), stored, buffer)?;
            Ok(None)
        })?;
        Ok(payload.map(|in_clear| in_clear.unwrap_or(buffer)))
    }

    /// Says what a frame's payload is: what `in_clear` makes of one that is not sealed, or `unseal` of one that is.
    #[inline]
    pub(crate) fn payload<'b, R>(
        &self,
        frame: &Frame<'b>,
        in_clear: impl FnOnce(&'b [u8]) -> R,
        unseal: impl FnOnce(&PayloadKey, &[u8]) -> Result<R, OpenFailed>,
    ) -> Result<Payload<R>, ReadError> {
        let header = frame.header();
        // What callers wrote is sealed in an encrypted store and nowhere else; what the store wrote is sealed never.
        let sealed = self.info.encrypted && !header.kind().is_reserved();
        match (header.encryption(), frame.payload()) {
            (encryption, _) if encryption.is_some() != sealed => {
                Err(ReadError::Tampered { position: header.position() })
            }
            (None, Some(payload)) => Ok(Payload::Open(in_clear(payload))),
            (None, None) => Err(ReadError::Tampered { position: header.position() }),
            (Some(encryption), payload) => match self.keys() {
                Some(keys) => keys.open(header, &encryption, payload, unseal),
                None => Ok(Payload::Unread),
            },
        }
    }
}

/// Asks the memory for the lines that a frame of this length begins with, all at once: whoever decodes it learns from one line where the
/// next one to look at is, and would wait for each.
fn ask_for(bytes: &[u8], len: Option<usize>) {
    let lines = bytes.get(..len.unwrap_or(0).min(ASKED_FOR_BYTES)).unwrap_or_default();
    std::hint::black_box(lines.iter().step_by(LINE_BYTES).fold(0, |all, byte| all ^ byte));
}

/// The map from `offset` on, nothing beyond its end.
fn from_offset(map: &Bytes, offset: u64) -> &[u8] {
    usize::try_from(offset).ok().and_then(|offset| map.get(offset..)).unwrap_or_default()
}

/// Opens a sealed payload over the bytes of `opened`: its one buffer.
pub(crate) fn unseal(
    key: &PayloadKey,
    header: &Header<'_>,
    stored: &[u8],
    opened: &mut Vec<u8>,
) -> Result<(), OpenFailed> {
    let Some((encryption, (ciphertext, tag))) = header.encryption().zip(stored.split_last_chunk::<SEAL_TAG_LEN>())
    else {
        return Err(OpenFailed);
    };
    let (mut place, mut longer) = ([0; AAD_PLACE_BYTES], Vec::new());
    let (entity, scope, kind, id) = (header.entity(), header.scope(), header.kind(), header.id());
    let associated = match aad_in_place(entity, scope, kind, id, &mut place) {
        Some(associated) => associated,
        None => {
            aad(entity, scope, kind, id, &mut longer);
            &longer
        }
    };
    opened.clear();
    opened.extend_from_slice(ciphertext);
    key.open(&Nonce::from_bytes(encryption.nonce), associated, opened, tag)
}
