//! The positions of all events, four bytes each.
//!
//! Invariant: positions strictly rise, so their high halves change seldom, and only where a change is kept.

use crate::column::Column;

/// Strictly rising 64-bit numbers: the low half of each, and the high half from where it changes.
#[derive(Debug, Clone)]
pub(crate) struct Positions {
    low: Column<u32>,
    /// The first event of each high half, with that half; sorted by both.
    high: Vec<(u32, u32)>,
}

impl Positions {
    pub(crate) const fn new() -> Positions {
        Positions { low: Column::new(), high: Vec::new() }
    }

    /// The position of `event`.
    ///
    /// # Panics
    ///
    /// When there is no such event.
    pub(crate) fn at(&self, event: u32) -> u64 {
        let high = match self.high.as_slice() {
            [(_, high)] => *high,
            several => several[several.partition_point(|&(first, _)| first <= event) - 1].1,
        };
        u64::from(high) << 32 | u64::from(self.low.at(event))
    }

    /// The position of the last event.
    pub(crate) fn last(&self) -> Option<u64> {
        self.low.len().checked_sub(1).map(|event| self.at(event as u32))
    }

    /// Heap bytes held.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.low.memory_bytes() + self.high.capacity() * size_of::<(u32, u32)>()
    }

    /// How many events are at positions below this one.
    pub(crate) fn below(&self, position: u64) -> u32 {
        let (mut start, mut end) = (0, self.low.len() as u32);
        while start < end {
            let middle = start + (end - start) / 2;
            if self.at(middle) < position {
                start = middle + 1;
            } else {
                end = middle;
            }
        }
        start
    }

    /// Adds the position of the next event. The caller has looked: it is above the last one.
    pub(crate) fn push(&mut self, position: u64) {
        let high = (position >> 32) as u32;
        if self.high.last().is_none_or(|&(_, last)| last != high) {
            self.high.push((self.low.len() as u32, high));
        }
        self.low.push(position as u32);
    }
}

#[cfg(test)]
mod tests {
    use super::Positions;

    #[test]
    fn positions_are_found_across_changes_of_the_high_half() {
        let given = [0, 7, u64::from(u32::MAX), 1 << 32, (1 << 32) + 1, 5 << 40, u64::MAX];
        let mut positions = Positions::new();
        assert_eq!((positions.last(), positions.below(1)), (None, 0));
        for (event, &position) in (0..).zip(&given) {
            positions.push(position);
            assert_eq!(positions.last(), Some(position));
            assert_eq!(positions.at(event), position);
        }
        for (event, &position) in (0..).zip(&given) {
            assert_eq!(positions.at(event), position);
            assert_eq!(positions.below(position), event);
            assert_eq!(
                positions.below(position.saturating_add(1)),
                if position == u64::MAX { event } else { event + 1 }
            );
        }
        assert_eq!(positions.high.len(), 4);
    }
}
