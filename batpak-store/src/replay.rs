//! Replay: the events of a query lent one after the other, read where they stand.
//!
//! Invariants: each frame is decoded once, in the order of the log, and found by where the one before it ends; the index is asked
//! once a segment, or once a piece of the active one. Nothing is allocated for an event: a sealed payload is opened into one buffer
//! that is used again. What is read, and what is refused, is what a get of each position reads and refuses.

use std::ops::ControlFlow;

use batpak_format::{Frame, FrameError, FrameSeed};
use zeroize::Zeroizing;

use crate::{EventView, Query, ReadError, Store, events::Walk, index::Address, keys::Keys};

/// What is read of the active segment at a time: it stays in a core's cache.
const PIECE_BYTES: usize = 256 * 1024;

impl Store {
    /// Shows the events that a query asks for to a visitor, as far as the log reaches now, until the visitor breaks. The way to read
    /// many events: nothing is copied or allocated for one.
    ///
    /// Returns what the visitor broke with, or else, of a query that goes forwards, the position where a later replay goes on. To
    /// read on several threads, [split](Store::split) the query.
    ///
    /// ```
    /// # use std::ops::ControlFlow;
    /// # use batpak_store::{Query, ReadError, Store};
    /// fn bytes_of(store: &Store, scope: &str) -> Result<usize, ReadError> {
    ///     let mut bytes = 0;
    ///     let ended = store.replay(&Query::all().scope(scope), |event| {
    ///         bytes += event.payload().open().map_or(0, |payload| payload.len());
    ///         ControlFlow::<()>::Continue(())
    ///     });
    ///     ended.map(|_| bytes)
    /// }
    /// ```
    ///
    /// # Errors
    /// [`ReadError`], as [`Store::get`]; the events before the one that cannot be read were shown.
    pub fn replay<B>(
        &self,
        query: &Query,
        mut visit: impl FnMut(EventView<'_>) -> ControlFlow<B>,
    ) -> Result<ControlFlow<B, u64>, ReadError> {
        self.refresh()?;
        let _reading = self.keys().filter(|_| !query.headers_only).map(Keys::read_on);
        let walk = Walk::new(self, query.clone(), 0)?;
        let mut replay = Replay { store: self, walk, opened: Zeroizing::default(), piece: Vec::new() };
        if replay.walk.is_scattered() { replay.scattered(&mut visit) } else { replay.in_order(&mut visit) }
    }

    /// Splits a query into at most so many that together ask for the same events, in order: each for a range of positions of about the
    /// same length, to be read on threads of the caller's own. One with a limit, and one that ends before it begins, is not split.
    ///
    /// # Errors
    /// [`ReadError`] when a read-only store cannot look at how the log grew.
    pub fn split(&self, query: &Query, parts: usize) -> Result<Vec<Query>, ReadError> {
        self.refresh()?;
        let visible = self.view().visible();
        let (from, to) = (query.from, query.to.unwrap_or(visible).min(visible));
        let parts = u64::try_from(parts).unwrap_or(u64::MAX).clamp(1, to.saturating_sub(from).max(1));
        if parts == 1 || query.limit.is_some() {
            return Ok(vec![query.clone()]);
        }
        let bound = |part: u64| {
            from + u64::try_from(u128::from(to - from) * u128::from(part) / u128::from(parts)).unwrap_or(to)
        };
        let mut split: Vec<Query> =
            (0..parts).map(|part| query.clone().from(bound(part)).to(bound(part + 1))).collect();
        if query.reverse {
            split.reverse();
        }
        Ok(split)
    }
}

struct Replay<'s> {
    store: &'s Store,
    walk: Walk,
    /// The payload that was opened last.
    opened: Zeroizing<Vec<u8>>,
    piece: Vec<u8>,
}

/// Frames that stand side by side, from the one at an address on; the last one may be cut.
#[derive(Clone, Copy)]
struct Stretch<'b> {
    address: Address,
    bytes: &'b [u8],
    /// Positions from here on are not looked at.
    end: u64,
}

impl Replay<'_> {
    /// Goes from position to position.
    fn scattered<B>(
        &mut self,
        visit: &mut impl FnMut(EventView<'_>) -> ControlFlow<B>,
    ) -> Result<ControlFlow<B, u64>, ReadError> {
        let mut next = self.walk.query.from;
        while let Some(position) = self.walk.step(self.store)? {
            let (store, walk, opened) = (self.store, &mut self.walk, &mut self.opened);
            let shown = store.look(position, |frame, _| show(store, walk, opened, frame, visit))?;
            if let Some(ControlFlow::Break(broke)) = shown {
                return Ok(ControlFlow::Break(broke));
            }
            next = position + 1;
        }
        // Whether or not an event was asked for, all up to here were looked at.
        let ended = self.walk.left > 0 && self.walk.picks.is_some() && !self.walk.query.reverse;
        Ok(ControlFlow::Continue(if ended { self.walk.end } else { next }))
    }

    /// Goes through the log as it stands, from segment to segment.
    fn in_order<B>(
        &mut self,
        visit: &mut impl FnMut(EventView<'_>) -> ControlFlow<B>,
    ) -> Result<ControlFlow<B, u64>, ReadError> {
        while self.walk.next < self.walk.end && self.walk.left > 0 {
            let position = self.walk.next;
            let Some(address) = self.store.view().address(position)? else { break };
            let flow = match self.store.unwritten(position, address) {
                Some(bytes) => self.stretch(Stretch { address, bytes: &bytes, end: self.walk.end }, visit)?,
                None => self.written(address, visit)?,
            };
            if let ControlFlow::Break(broke) = flow {
                return Ok(ControlFlow::Break(broke));
            }
        }
        Ok(ControlFlow::Continue(self.walk.next))
    }

    /// Shows what is with the operating system, up to the end of the segment or of a piece of it.
    fn written<B>(
        &mut self,
        address: Address,
        visit: &mut impl FnMut(EventView<'_>) -> ControlFlow<B>,
    ) -> Result<ControlFlow<B>, ReadError> {
        let store = self.store;
        let refused = |source| store.segments.refused(address.segment, source);
        // What the write buffer holds is not on the disk yet.
        let end = self.walk.end.min(store.written_mark()).max(self.walk.next + 1);
        // A map ends where a frame does.
        let begun = address.offset.saturating_add(1);
        let reader = store.reader(address.segment, begun)?;
        if let Some(map) = reader.map_below(begun) {
            let bytes = usize::try_from(address.offset).ok().and_then(|offset| map.get(offset..)).unwrap_or_default();
            return self.stretch(Stretch { address, bytes, end }, visit);
        }
        let mut piece = std::mem::take(&mut self.piece);
        piece.resize(PIECE_BYTES, 0);
        let read = reader.read_piece(address.offset, &mut piece).map_err(refused)?;
        let bytes = piece.get(..read).unwrap_or_default();
        // A frame that is longer than a piece is read on its own.
        let whole = matches!(Frame::peek_len(bytes), Ok(batpak_format::FrameLen::Len(len)) if len as usize > read);
        let flow = if whole {
            let bytes = reader.load_at(address.offset, None).map_err(refused)?;
            self.stretch(Stretch { address, bytes: &bytes, end }, visit)
        } else {
            self.stretch(Stretch { address, bytes, end }, visit)
        };
        self.piece = piece;
        flow
    }

    /// Shows the frames of a stretch that are whole; the first one must be.
    fn stretch<B>(
        &mut self,
        stretch: Stretch<'_>,
        visit: &mut impl FnMut(EventView<'_>) -> ControlFlow<B>,
    ) -> Result<ControlFlow<B>, ReadError> {
        let Address { segment, offset } = stretch.address;
        let store = self.store;
        let mut at = 0;
        while self.walk.next < stretch.end && self.walk.left > 0 {
            let position = self.walk.next;
            let seed = FrameSeed { store: store.info.store, segment, offset: offset + at as u64 };
            let frame = match Frame::decode(stretch.bytes.get(at..).unwrap_or_default(), &seed) {
                Ok(frame) => frame,
                Err(FrameError::Truncated { .. }) if at > 0 => break,
                Err(source) => return Err(ReadError::Damaged { position, source }),
            };
            if frame.header().position() != position {
                return Err(ReadError::Misplaced { position });
            }
            if let ControlFlow::Break(broke) = show(store, &mut self.walk, &mut self.opened, &frame, visit)? {
                return Ok(ControlFlow::Break(broke));
            }
            self.walk.next += 1;
            at += frame.len();
        }
        Ok(ControlFlow::Continue(()))
    }
}

/// Shows a frame's event if it is asked for.
fn show<B>(
    store: &Store,
    walk: &mut Walk,
    opened: &mut Vec<u8>,
    frame: &Frame<'_>,
    visit: &mut impl FnMut(EventView<'_>) -> ControlFlow<B>,
) -> Result<ControlFlow<B>, ReadError> {
    if !walk.takes(frame.header()) {
        return Ok(ControlFlow::Continue(()));
    }
    let payload = store.lend_payload(frame, opened, !walk.query.headers_only)?;
    Ok(visit(EventView::new(frame, payload)))
}
