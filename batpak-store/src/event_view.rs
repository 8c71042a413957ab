//! An event that is lent: what stands in clear is read where the frame stands, and a payload where it stands or was opened.
//!
//! Invariant: nothing is allocated to show it, and nothing of it is kept longer than the visit.

use batpak_format::{EventHash, Frame, Header};
use bytes::Bytes;

use crate::{Event, Payload, event::Stored};

/// One event as [`Store::replay`](crate::Store::replay) shows it, for as long as the visit lasts.
#[derive(Clone, Debug)]
pub struct EventView<'a> {
    frame: &'a Frame<'a>,
    payload: Payload<&'a [u8]>,
}

impl<'a> EventView<'a> {
    pub(crate) fn new(frame: &'a Frame<'a>, payload: Payload<&'a [u8]>) -> Self {
        Self { frame, payload }
    }

    /// Returns everything that stands in clear.
    pub fn header(&self) -> &'a Header<'a> {
        self.frame.header()
    }

    /// Returns the payload, or why it cannot be had.
    pub fn payload(&self) -> &Payload<&'a [u8]> {
        &self.payload
    }

    /// Computes the BLAKE3 of the payload as stored.
    pub fn event_hash(&self) -> EventHash {
        self.frame.event_hash()
    }

    /// Copies the event.
    pub fn to_event(&self) -> Event {
        let payload = self.payload.clone().map(Bytes::copy_from_slice);
        let in_clear = self.header().encryption().is_none() && payload.open().is_some();
        let stored = if in_clear { Stored::InClear } else { Stored::Hash(self.event_hash()) };
        Event::new(self.header().to_owned(), payload, stored)
    }
}
