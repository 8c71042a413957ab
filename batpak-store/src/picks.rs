//! The positions that a query's scope, kinds and tags lead to, by the lists of the index, a window of the log at a time.
//!
//! Invariants: no event that is asked for is left out; whoever walks the positions looks at each event itself, for one dimension of the
//! query picks them. A look-up does not fail: where it cannot be made, as an event that it leads to is damaged, every event of the window
//! is looked at, and the damage is met where it stands. Memory is bounded by the window.

use std::{collections::VecDeque, ops::Range};

use crate::{Query, condition::QueryItem, view::View};

/// So many positions are looked up at a time.
const WINDOW: u64 = 1 << 16;
/// A walk over fewer positions looks at each.
const WALKED_MIN: u64 = 256;
/// The index is asked while it leaves out all but one of so many positions: reading every event in the order of the log costs less than
/// to read more of them than that one by one.
const SHARE: u64 = 8;

/// See the module.
#[derive(Debug)]
pub(crate) struct Picks {
    item: QueryItem,
    /// What is still to be walked of the last window.
    found: VecDeque<u64>,
}

impl Picks {
    /// The picks of a query over a range of positions, with its first window; none when it is better to look at every event. The
    /// range is left as what is still to be looked up.
    pub(crate) fn of(view: &View, query: &Query, range: &mut Range<u64>) -> Option<Self> {
        let names = query.scope.is_some() || !query.kinds.is_empty() || !query.tags.is_empty();
        if query.entity.is_some() || !names || range.end.saturating_sub(range.start) < WALKED_MIN {
            return None;
        }
        let item = QueryItem {
            entities: Vec::new(),
            scopes: query.scope.iter().cloned().collect(),
            kinds: query.kinds.clone(),
            tags: query.tags.clone(),
        };
        let mut picks = Self { item, found: VecDeque::new() };
        let mut rest = range.clone();
        let window = picks.look_up(view, &mut rest, query.reverse);
        if picks.found.len() as u64 * SHARE > window {
            return None;
        }
        *range = rest;
        Some(picks)
    }

    /// The next position; what is looked up for it is taken off the range.
    pub(crate) fn step(&mut self, view: &View, range: &mut Range<u64>, reverse: bool) -> Option<u64> {
        loop {
            let at = if reverse { self.found.pop_back() } else { self.found.pop_front() };
            if at.is_some() || range.is_empty() {
                return at;
            }
            self.look_up(view, range, reverse);
        }
    }

    /// Looks up the next window of the range, and returns its length.
    fn look_up(&mut self, view: &View, range: &mut Range<u64>, reverse: bool) -> u64 {
        let len = WINDOW.min(range.end - range.start);
        let window = if reverse { range.end - len..range.end } else { range.start..range.start + len };
        self.found =
            view.matching(&self.item, window.clone()).map_or_else(|_| window.clone().collect(), VecDeque::from);
        if reverse {
            range.end = window.start;
        } else {
            range.start = window.end;
        }
        len
    }
}
