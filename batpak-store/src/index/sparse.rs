//! Lists that few events have: for each such event its position and where its list begins.
//!
//! Invariant: positions grow, so an event is found by halving; an event without a list costs nothing.

use super::column::Column;

/// Lists of plain values by position.
#[derive(Clone, Debug)]
pub(super) struct Sparse<T> {
    /// Position, and where its values begin.
    starts: Column<(u32, u32)>,
    values: Column<T>,
}

impl<T: Copy> Sparse<T> {
    pub(super) const fn new() -> Self {
        Self { starts: Column::new(), values: Column::new() }
    }

    /// Gives a position its values; none are none.
    pub(super) fn push(&mut self, position: u32, values: impl IntoIterator<Item = T>) {
        let start = u32::try_from(self.values.len()).expect("four billion values do not fit in memory");
        values.into_iter().for_each(|value| self.values.push(value));
        if self.values.len() > start as usize {
            self.starts.push((position, start));
        }
    }

    /// Takes back the values of a position, which is the last one.
    pub(super) fn pop(&mut self, position: u32) {
        let Some(at) = self.starts.len().checked_sub(1) else { return };
        if let Some((_, start)) = self.starts.get(at).filter(|(last, _)| *last == position) {
            self.starts.pop();
            while self.values.len() > start as usize {
                self.values.pop();
            }
        }
    }

    /// The values of a position.
    pub(super) fn get(&self, position: u32) -> impl Iterator<Item = T> + '_ {
        let (mut low, mut high) = (0, self.starts.len());
        while low < high {
            let middle = low + (high - low) / 2;
            match self.starts.get(middle) {
                Some((at, _)) if at < position => low = middle + 1,
                _ => high = middle,
            }
        }
        let start = self.starts.get(low).filter(|(at, _)| *at == position).map_or(0, |(_, start)| start as usize);
        let found = self.starts.get(low).is_some_and(|(at, _)| at == position);
        let end = self.starts.get(low + 1).map_or(self.values.len(), |(_, next)| next as usize);
        let range = if found { start..end } else { 0..0 };
        range.filter_map(|at| self.values.get(at))
    }

    pub(super) fn bytes(&self) -> usize {
        self.starts.bytes() + self.values.bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sparse_finds_the_values_of_each_position_and_none_between() {
        let mut sparse = Sparse::new();
        sparse.push(2, [10, 11]);
        sparse.push(3, []);
        sparse.push(9, [12]);
        let get = |position| sparse.get(position).collect::<Vec<_>>();
        assert_eq!((get(2), get(3), get(9)), (vec![10, 11], vec![], vec![12]));
        assert_eq!((get(0), get(10)), (vec![], vec![]));
    }

    #[test]
    fn sparse_pop_takes_only_the_last_position() {
        let mut sparse = Sparse::new();
        sparse.push(2, [10, 11]);
        sparse.push(9, [12]);
        sparse.pop(8);
        assert_eq!(sparse.get(9).collect::<Vec<_>>(), [12]);
        sparse.pop(9);
        assert_eq!(sparse.get(9).collect::<Vec<_>>(), [0; 0]);
        sparse.push(4, [13]);
        assert_eq!(sparse.get(2).chain(sparse.get(4)).collect::<Vec<_>>(), [10, 11, 13]);
    }
}
