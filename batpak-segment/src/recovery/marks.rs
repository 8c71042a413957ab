//! How far the log is known durable, while its frames are read.
//!
//! Invariant: the frames remembered are exactly those at or above the highest mark.

use std::collections::VecDeque;

/// The highest durable mark so far, and where the frames stand that it does not cover.
#[derive(Default)]
pub(super) struct Marks {
    highest: u64,
    // Position, segment, offset; fewer bytes than the frames themselves have.
    uncovered: VecDeque<(u64, u64, u64)>,
}

impl Marks {
    /// Notes a frame that stays, and the mark in it. A mark above the frame's own position says nothing more than it.
    pub(super) fn frame(&mut self, position: u64, mark: u64, segment: u64, offset: u64) {
        self.raise(mark.min(position));
        if position >= self.highest {
            self.uncovered.push_back((position, segment, offset));
        }
    }

    /// Notes that all positions below `to` are durable.
    pub(super) fn raise(&mut self, to: u64) {
        self.highest = self.highest.max(to);
        while self.uncovered.front().is_some_and(|(position, ..)| *position < self.highest) {
            self.uncovered.pop_front();
        }
    }

    /// The highest mark.
    pub(super) fn highest(&self) -> u64 {
        self.highest
    }

    /// Segment and offset of the first frame that no mark covers.
    pub(super) fn first_uncovered(&self) -> Option<(u64, u64)> {
        self.uncovered.front().map(|(_, segment, offset)| (*segment, *offset))
    }
}
