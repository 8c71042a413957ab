//! Reading: from an id or a position to an address, to bytes, to a checked frame, to a payload in clear or the reason why not.
//!
//! Invariants: no read goes past the visible mark; a frame is used only after its check; a payload is in clear only after its tag
//! verified. Readers take no lock that is held during I/O by a writer.

use batpak_format::{EventHeader, EventId, Frame, FrameSeed};
use bytes::Bytes;

use crate::{Event, Payload, Query, ReadError, Store, index::Address};

impl Store {
    /// Returns an event by its id, or none if it is not in the log. The store's own events can be had by their ids too.
    ///
    /// # Errors
    /// [`ReadError`]; a payload that cannot be had for want of its key is a value, not an error.
    pub fn get(&self, id: EventId) -> Result<Option<Event>, ReadError> {
        match self.position_of(id)? {
            Some(position) => match self.at(position)? {
                // A reader may have seen frames of a write that failed and was taken back.
                Some(event) if event.header.id != id => Err(ReadError::Misplaced { position }),
                found => Ok(found),
            },
            None => Ok(None),
        }
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
        match self.frame_bytes(position)? {
            Some((address, bytes)) => {
                let frame = self.decode(position, address, &bytes)?;
                self.event(&frame, &bytes, true).map(Some)
            }
            None => Ok(None),
        }
    }

    /// Returns what stands in clear of an event, without a key.
    ///
    /// # Errors
    /// As [`Store::get`].
    pub fn header(&self, id: EventId) -> Result<Option<EventHeader>, ReadError> {
        let Some(position) = self.position_of(id)? else { return Ok(None) };
        let Some((address, bytes)) = self.frame_bytes(position)? else { return Ok(None) };
        Ok(Some(self.decode(position, address, &bytes)?.header().to_owned()))
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

    /// Bytes that begin with the frame at a position; none past the visible mark.
    pub(crate) fn frame_bytes(&self, position: u64) -> Result<Option<(Address, Bytes)>, ReadError> {
        self.refuse_inside_gate()?;
        let Some(address) = self.view().address(position)? else { return Ok(None) };
        if let Some(bytes) = self.unwritten(position, address) {
            return Ok(Some((address, bytes)));
        }
        self.written_frame(position, address, self.active_segment()).map(|bytes| Some((address, bytes)))
    }

    /// Bytes that begin with a frame that is with the operating system; segments before `active` are rolled.
    pub(crate) fn written_frame(&self, position: u64, address: Address, active: u64) -> Result<Bytes, ReadError> {
        self.segments.frame(address, address.segment >= active).map_err(|defect| defect.at(position))
    }

    /// Checks the frame at an address, and that it is the one of this position.
    pub(crate) fn decode<'b>(&self, position: u64, address: Address, bytes: &'b [u8]) -> Result<Frame<'b>, ReadError> {
        let seed = FrameSeed { store: self.info.store, segment: address.segment, offset: address.offset };
        let frame = Frame::decode(bytes, &seed).map_err(|source| ReadError::Damaged { position, source })?;
        if frame.header().position() != position {
            return Err(ReadError::Misplaced { position });
        }
        Ok(frame)
    }

    /// Makes an event of a checked frame.
    pub(crate) fn event(&self, frame: &Frame<'_>, bytes: &Bytes, open: bool) -> Result<Event, ReadError> {
        let payload = if open { self.payload(frame, bytes)? } else { Payload::Unread };
        Ok(Event { header: frame.header().to_owned(), event_hash: frame.event_hash(), payload })
    }

    /// Opens a frame's payload; one that stands in clear is a part of `bytes`, which the frame was decoded from.
    pub(crate) fn payload(&self, frame: &Frame<'_>, bytes: &Bytes) -> Result<Payload, ReadError> {
        let header = frame.header();
        // What callers wrote is sealed in an encrypted store and nowhere else; what the store wrote is sealed never.
        let sealed = self.info.encrypted && !header.kind().is_reserved();
        match (header.encryption(), frame.payload()) {
            (encryption, _) if encryption.is_some() != sealed => {
                Err(ReadError::Tampered { position: header.position() })
            }
            (None, Some(payload)) => Ok(Payload::Open(bytes.slice_ref(payload))),
            (None, None) => Err(ReadError::Tampered { position: header.position() }),
            (Some(encryption), payload) => match self.keys() {
                Some(keys) => keys.open(header, &encryption, payload),
                None => Ok(Payload::Unread),
            },
        }
    }
}

/// The events of a read, in the order that was asked for.
#[derive(Debug)]
pub struct Events<'a> {
    store: &'a Store,
    query: Query,
    /// What is still to be walked: revisions of an entity, or positions.
    next: u64,
    end: u64,
    left: u64,
    failed: bool,
    /// The position looked at last.
    pub(crate) looked: u64,
}

impl<'a> Events<'a> {
    pub(crate) fn new(store: &'a Store, query: Query, from_revision: u64) -> Result<Self, ReadError> {
        let visible = store.view().visible();
        let to = query.to.unwrap_or(visible).min(visible);
        let (next, end) = match &query.entity {
            Some(entity) => {
                let below = |position| store.view().revisions_below(entity, position);
                (below(query.from)?.max(from_revision), below(to)?)
            }
            None => (query.from, to),
        };
        let left = query.limit.unwrap_or(u64::MAX);
        Ok(Self { store, query, next, end, left, failed: false, looked: 0 })
    }

    /// The next place to look at, as a position.
    fn step(&mut self) -> Result<Option<u64>, ReadError> {
        if self.next >= self.end {
            return Ok(None);
        }
        let at = if self.query.reverse {
            self.end -= 1;
            self.end
        } else {
            self.next += 1;
            self.next - 1
        };
        match &self.query.entity {
            Some(entity) => self.store.view().position_at(entity, at),
            None => Ok(Some(at)),
        }
    }

    fn load(&self, position: u64) -> Result<Option<Event>, ReadError> {
        let Some((address, bytes)) = self.store.frame_bytes(position)? else { return Ok(None) };
        let frame = self.store.decode(position, address, &bytes)?;
        if !self.query.matches(frame.header()) {
            return Ok(None);
        }
        self.store.event(&frame, &bytes, !self.query.headers_only).map(Some)
    }
}

impl Iterator for Events<'_> {
    type Item = Result<Event, ReadError>;

    /// Ends after the first error: what follows a damaged event is read by asking from the position after it.
    fn next(&mut self) -> Option<Self::Item> {
        while self.left > 0 && !self.failed {
            let loaded = match self.step() {
                Ok(None) => return None,
                Ok(Some(position)) => {
                    self.looked = position;
                    self.load(position)
                }
                Err(error) => Err(error),
            };
            match loaded {
                Ok(Some(event)) => {
                    self.left -= 1;
                    return Some(Ok(event));
                }
                Ok(None) => {}
                Err(error) => {
                    self.failed = true;
                    return Some(Err(error));
                }
            }
        }
        None
    }
}
