//! Where the next frames go: placing as pure arithmetic.
//!
//! Invariant: placed ranges follow one another without gap or overlap inside a segment, and no placed range lies
//! in two segments. A batch is one range, so it is never split.

use batpak_format::SEGMENT_HEADER_LEN;

/// The end of the log while it is being written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tail {
    /// The segment that the next frame goes to, unless it rolls.
    pub segment: u64,
    /// Where in it, in bytes.
    pub offset: u64,
    /// A segment that holds a frame rolls when the next range would pass this many bytes.
    pub segment_bytes: u64,
}

/// A byte range given to one frame, or to all frames of one batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Place {
    /// The segment of the range.
    pub segment: u64,
    /// Where the range starts, in bytes.
    pub offset: u64,
    /// Whether the range is the first of a new segment, which must be created before it is written.
    pub rolled: bool,
    before: (u64, u64),
}

impl Tail {
    /// Gives the next `len` bytes, in a new segment when they would pass `segment_bytes` in one that already
    /// holds a frame. A range longer than a segment stands alone in one.
    ///
    /// # Panics
    /// When segment numbers or offsets pass 2^64, which no disk holds.
    pub fn place(&mut self, len: u64) -> Place {
        let before = (self.segment, self.offset);
        let holds_frame = self.offset > SEGMENT_HEADER_LEN as u64;
        let rolled = holds_frame && len > self.segment_bytes.saturating_sub(self.offset);
        if rolled {
            self.segment += 1;
            self.offset = SEGMENT_HEADER_LEN as u64;
        }
        let place = Place { segment: self.segment, offset: self.offset, rolled, before };
        self.offset += len;
        place
    }

    /// Gives the next `len` bytes in the segment that is being written, also past `segment_bytes`: for what must not need a new one.
    ///
    /// # Panics
    /// When offsets pass 2^64, which no disk holds.
    pub fn place_here(&mut self, len: u64) -> Place {
        let place =
            Place { segment: self.segment, offset: self.offset, rolled: false, before: (self.segment, self.offset) };
        self.offset += len;
        place
    }

    /// Takes back `place` and every place given after it.
    pub fn undo(&mut self, place: &Place) {
        (self.segment, self.offset) = place.before;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: u64 = SEGMENT_HEADER_LEN as u64;

    #[test]
    fn place_here_stays_in_the_segment_where_place_rolls() {
        let mut tail = tail(HEADER + 90);
        let before = tail;
        let place = tail.place_here(50);
        assert_eq!((place.segment, place.offset, place.rolled), (before.segment, HEADER + 90, false));
        assert_eq!((tail.segment, tail.offset), (before.segment, HEADER + 140));
        tail.undo(&place);
        assert_eq!(tail, before);
        assert!(tail.place(50).rolled);
    }

    fn tail(offset: u64) -> Tail {
        Tail { segment: 7, offset, segment_bytes: HEADER + 100 }
    }

    #[test]
    fn tail_fills_a_segment_to_its_last_byte() {
        let mut tail = tail(HEADER);
        let first = tail.place(60);
        assert_eq!((first.segment, first.offset, first.rolled), (7, HEADER, false));
        let second = tail.place(40);
        assert_eq!((second.segment, second.offset, second.rolled), (7, HEADER + 60, false));
        let third = tail.place(1);
        assert_eq!((third.segment, third.offset, third.rolled), (8, HEADER, true));
    }

    #[test]
    fn tail_gives_an_oversized_range_a_segment_of_its_own() {
        let mut tail = tail(HEADER);
        let first = tail.place(1_000);
        assert_eq!((first.segment, first.rolled), (7, false));
        let second = tail.place(1_000);
        assert_eq!((second.segment, second.offset, second.rolled), (8, HEADER, true));
    }

    #[test]
    fn tail_undo_takes_back_all_later_places() {
        let mut tail = tail(HEADER + 50);
        let before = tail;
        let first = tail.place(50);
        let second = tail.place(50);
        assert!(!first.rolled && second.rolled);
        tail.undo(&second);
        assert_eq!((tail.segment, tail.offset), (7, HEADER + 100));
        let _ = tail.place(50);
        tail.undo(&first);
        assert_eq!(tail, before);
    }

    #[test]
    fn tail_that_is_past_its_size_rolls() {
        let mut tail = tail(HEADER + 101);
        assert!(tail.place(1).rolled);
    }
}
