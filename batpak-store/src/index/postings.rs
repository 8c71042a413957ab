//! Which events name an id, or have a tag: one list a key, grown at its end.
//!
//! Invariant: rows are in position order, and a list is walked from its last row back, so a key costs one table entry and a row
//! eight bytes.

use std::{collections::HashMap, hash::Hash};

use super::column::Column;

const NONE: u32 = u32::MAX;

#[derive(Clone, Copy, Debug)]
struct Row {
    position: u32,
    /// The list's row before this one.
    previous: u32,
}

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Postings<K> {
    last: HashMap<K, u32>,
    rows: Column<Row>,
}

impl<K: Copy + Eq + Hash> Postings<K> {
    pub(super) fn new() -> Self {
        Self { last: HashMap::new(), rows: Column::new() }
    }

    pub(super) fn push(&mut self, key: K, position: u32) {
        let row = u32::try_from(self.rows.len()).unwrap_or(NONE);
        let previous = self.last.insert(key, row).unwrap_or(NONE);
        self.rows.push(Row { position, previous });
    }

    /// Takes back every row of a position, which is the last one. Rare: it looks at every key.
    pub(super) fn pop(&mut self, position: u32) {
        while let Some(at) = self.rows.len().checked_sub(1)
            && let Some(row) = self.rows.get(at).filter(|row| row.position == position)
        {
            self.rows.pop();
            self.last.retain(|_, last| {
                if *last as usize == at {
                    *last = row.previous;
                }
                *last != NONE
            });
        }
    }

    /// The positions of a key's events, the last one first.
    pub(super) fn newest_first(&self, key: &K) -> impl Iterator<Item = u32> + '_ {
        let last = self.last.get(key).copied();
        let row = |at: u32| self.rows.get(at as usize);
        std::iter::successors(last.and_then(row), move |current| row(current.previous)).map(|row| row.position)
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &K> {
        self.last.keys()
    }

    pub(super) fn bytes(&self) -> usize {
        self.rows.bytes() + self.last.capacity() * (size_of::<(K, u32)>() + 1)
    }
}

#[cfg(test)]
mod tests {
    use batpak_format::EventId;

    use super::*;

    fn id(n: u8) -> EventId {
        EventId::from_key(&[n])
    }

    #[test]
    fn postings_list_positions_newest_first_and_forget_the_last_event() {
        let mut postings = Postings::new();
        postings.push(id(1), 3);
        postings.push(id(2), 3);
        postings.push(id(1), 7);
        postings.push(id(3), 7);
        let list = |postings: &Postings<EventId>, n| postings.newest_first(&id(n)).collect::<Vec<_>>();
        assert_eq!(list(&postings, 1), [7, 3]);
        postings.pop(7);
        assert_eq!((list(&postings, 1), list(&postings, 2), list(&postings, 3)), (vec![3], vec![3], vec![]));
        postings.push(id(1), 7);
        assert_eq!(list(&postings, 1), [7, 3]);
    }
}
