//! The times of the events of a segment, or of a piece of one.
//!
//! Invariant: no event has a time outside of them. Callers may give times in any order, so that within them nothing is said; and those of
//! an event that was taken back may stay.

use std::ops::Range;

use batpak_format::Timestamp;

use super::{LogIndex, Part};

/// The lowest and the highest of some times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Times {
    pub(crate) least: Timestamp,
    pub(crate) most: Timestamp,
}

impl Times {
    /// With one more.
    pub(crate) fn and(times: Option<Self>, time: Timestamp) -> Self {
        let Self { least, most } = times.unwrap_or(Self { least: time, most: time });
        Self { least: least.min(time), most: most.max(time) }
    }

    /// Whether one of them may not be before `since`, and be before `until`.
    fn reach(self, since: Option<Timestamp>, until: Option<Timestamp>) -> bool {
        since.is_none_or(|since| self.most >= since) && until.is_none_or(|until| self.least < until)
    }
}

impl LogIndex {
    /// Leaves out of a range of positions the segments before the first one, and behind the last one, with an event of these times.
    pub(crate) fn within_times(
        &self,
        positions: Range<u64>,
        since: Option<Timestamp>,
        until: Option<Timestamp>,
    ) -> Range<u64> {
        let mut within: Option<Range<u64>> = None;
        let mut look = |first: u64, next: u64, times: Option<Times>| {
            if times.is_some_and(|times| times.reach(since, until)) {
                within = Some(within.as_ref().map_or(first, |within| within.start)..next);
            }
        };
        for part in self.ended.parts() {
            match &**part {
                Part::Memory(part) => look(part.first(), part.next(), part.times()),
                Part::Mapped(part) => {
                    part.spans_of_positions().for_each(|(at, times)| look(at.start, at.end, Some(times)))
                }
            }
        }
        look(self.active.first(), self.active.next(), self.active.times());
        let within = within.unwrap_or(positions.start..positions.start);
        let start = positions.start.max(within.start);
        start..positions.end.min(within.end).max(start)
    }
}
