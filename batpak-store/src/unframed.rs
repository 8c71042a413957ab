//! Leaves of earlier processes that no event names: they were reserved, perhaps taken, and nothing that is in the log is sealed under
//! them.
//!
//! A process that was stopped may have sealed a payload under a leaf whose frame never became part of the log: recovery cut it, or it
//! was never written whole. The key scope it was for is known to nobody any more, but the leaf can still be derived, and so could what
//! the cut frame left on the medium be opened, after a shred of its key scope too. So the next shred of each process destroys all of
//! these leaves, under no key scope. It costs next to nothing: a process leaves at most two runs of them behind, and no event reads
//! otherwise for it. Leaves that this process took and that no frame names are left to the next one; those that key scopes share are
//! found as provisional keys already.
//!
//! Invariant: a leaf that a frame of the log names is never among them, nor one that an intent names, nor one of this process.

use std::ops::Range;

use batpak_format::{KeyId, KeyRun};
use batpak_keyset::{PageState, PageSummary};

/// So many ranges are gathered before they are put in order for the first time.
const GATHERED_MIN: usize = 1 << 10;

/// The leaves that a log names, by frames and by intents.
#[derive(Debug, Default)]
pub(crate) struct NamedLeaves {
    /// Of key ids; may overlap and be out of order behind the first `ordered`.
    ranges: Vec<Range<u64>>,
    ordered: usize,
}

impl NamedLeaves {
    pub(crate) fn note(&mut self, key_id: KeyId) {
        self.note_run(&KeyRun { first: key_id, count: 1 });
    }

    pub(crate) fn note_run(&mut self, run: &KeyRun) {
        let first = run.first.as_u64();
        let end = first.saturating_add(u64::from(run.count));
        match self.ranges.last_mut() {
            Some(last) if (last.start..=last.end).contains(&first) => last.end = last.end.max(end),
            _ => self.ranges.push(first..end),
        }
        if self.ranges.len() >= GATHERED_MIN.max(2 * self.ordered) {
            self.order();
        }
    }

    /// Sorts and joins the ranges, so that they take no more room than the keys of the log need.
    fn order(&mut self) {
        self.ranges.sort_unstable_by_key(|range| range.start);
        let mut joined: Vec<Range<u64>> = Vec::with_capacity(self.ranges.len());
        for range in self.ranges.drain(..) {
            match joined.last_mut() {
                Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
                _ => joined.push(range),
            }
        }
        self.ordered = joined.len();
        self.ranges = joined;
    }

    /// The reserved leaves of these pages that are not named and can be derived, as runs in order.
    pub(crate) fn others(mut self, pages: impl Iterator<Item = PageSummary>) -> Vec<KeyRun> {
        self.order();
        let mut runs = Vec::new();
        let derived = |page: &PageSummary| {
            !matches!(
                page.state,
                PageState::Gone | PageState::Unreadable { .. } | PageState::Extent { loaded: false, .. }
            )
        };
        for page in pages.filter(derived) {
            let start = KeyId::new(0, page.first, 0).as_u64();
            let end = start + u64::from(page.reserved);
            let from = self.ranges.partition_point(|range| range.end <= start);
            let mut at = start;
            for named in self.ranges.iter().skip(from).take_while(|range| range.start < end) {
                runs.extend(run(at..named.start));
                at = at.max(named.end);
            }
            runs.extend(run(at..end));
        }
        runs
    }
}

fn run(leaves: Range<u64>) -> Option<KeyRun> {
    let count = u32::try_from(leaves.end.checked_sub(leaves.start)?).ok().filter(|count| *count > 0)?;
    Some(KeyRun { first: KeyId::from_u64(leaves.start), count })
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn page(number: u32, reserved: u32, state: PageState) -> PageSummary {
        PageSummary { first: number, count: 1, leaves: 4096, reserved, leaves_left: None, nodes: None, state }
    }

    #[test]
    fn named_leaves_leave_the_other_reserved_ones_as_runs() {
        let mut named = NamedLeaves::default();
        // Out of order, repeated, and of an intent.
        for leaf in [3, 4, 3, 0, 9] {
            named.note(KeyId::new(0, 7, leaf));
        }
        named.note_run(&KeyRun { first: KeyId::new(0, 7, 20), count: 1000 });
        named.note(KeyId::new(0, 9, 0));
        let pages = [
            page(6, 2, PageState::Whole),
            page(7, 64, PageState::Punctured),
            page(8, 64, PageState::Gone),
            page(9, 1, PageState::Whole),
            page(10, 5, PageState::Unreadable { number: 1 }),
        ];
        let runs: Vec<_> =
            named.others(pages.into_iter()).iter().map(|run| (run.first.page(), run.first.leaf(), run.count)).collect();
        assert_eq!(runs, [(6, 0, 2), (7, 1, 2), (7, 5, 4), (7, 10, 10)]);
    }

    #[test]
    fn named_leaves_take_no_more_room_than_the_keys_need() {
        let mut named = NamedLeaves::default();
        for n in 0..200_000 {
            named.note(KeyId::new(0, 1, (n * 7) % 4096));
        }
        assert!(named.ranges.len() <= 2 * GATHERED_MIN.max(4096), "{}", named.ranges.len());
        assert_eq!(named.others([page(1, 4096, PageState::Whole)].into_iter()), []);
    }
}
