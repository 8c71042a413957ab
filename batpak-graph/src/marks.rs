//! Sets of events, and one value for some events, held in pages.
//!
//! Invariant: memory follows the pages touched, and not the graph: eight bytes for 4,096 events that are not.

const BITS: u32 = 64;
const WORDS: usize = 64;
const PAGE: u32 = BITS * WORDS as u32;

/// A set of event numbers that can be swept in order while it grows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Marks {
    pages: Vec<Option<Box<[u64; WORDS]>>>,
}

impl Marks {
    /// Makes an empty set of numbers below `end`.
    pub(crate) fn below(end: u32) -> Marks {
        Marks { pages: vec![None; end.div_ceil(PAGE) as usize] }
    }

    pub(crate) fn contains(&self, event: u32) -> bool {
        let page = self.pages.get((event / PAGE) as usize);
        page.is_some_and(|page| page.as_ref().is_some_and(|words| words[word(event)] & bit(event) != 0))
    }

    /// Adds `event` and says whether it is new.
    pub(crate) fn insert(&mut self, event: u32) -> bool {
        let words = self.pages[(event / PAGE) as usize].get_or_insert_with(|| Box::new([0; WORDS]));
        let found = &mut words[word(event)];
        let is_new = *found & bit(event) == 0;
        *found |= bit(event);
        is_new
    }

    /// The highest number below `end`.
    pub(crate) fn highest_below(&self, end: u32) -> Option<u32> {
        let last = end.checked_sub(1)?;
        let mut at = (last / PAGE) as usize;
        let mut first_word = word(last);
        let mut mask = u64::MAX >> (BITS - 1 - last % BITS);
        loop {
            if let Some(words) = &self.pages[at] {
                for index in (0..=first_word).rev() {
                    let found = words[index] & mask;
                    if found != 0 {
                        return Some(number(at, index, BITS - 1 - found.leading_zeros()));
                    }
                    mask = u64::MAX;
                }
            }
            (at, first_word, mask) = (at.checked_sub(1)?, WORDS - 1, u64::MAX);
        }
    }

    /// The lowest number at or above `start`.
    pub(crate) fn lowest_from(&self, start: u32) -> Option<u32> {
        let mut first_word = word(start);
        let mut mask = u64::MAX << (start % BITS);
        for at in (start / PAGE) as usize..self.pages.len() {
            if let Some(words) = &self.pages[at] {
                for (index, bits) in words.iter().enumerate().skip(first_word) {
                    let found = bits & mask;
                    if found != 0 {
                        return Some(number(at, index, found.trailing_zeros()));
                    }
                    mask = u64::MAX;
                }
            }
            (first_word, mask) = (0, u64::MAX);
        }
        None
    }

    /// All numbers, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> {
        let mut from = Some(0);
        std::iter::from_fn(move || {
            let found = self.lowest_from(from?)?;
            from = found.checked_add(1);
            Some(found)
        })
    }
}

fn word(event: u32) -> usize {
    (event % PAGE / BITS) as usize
}

fn bit(event: u32) -> u64 {
    1 << (event % BITS)
}

fn number(page: usize, word: usize, bit: u32) -> u32 {
    page as u32 * PAGE + word as u32 * BITS + bit
}

const VALUES: usize = 1024;

/// A `u32` for some events; zero for all others.
#[derive(Debug, Clone, Default)]
pub(crate) struct Values {
    pages: Vec<Option<Box<[u32; VALUES]>>>,
}

impl Values {
    /// Makes the values of numbers below `end`.
    pub(crate) fn below(end: u32) -> Values {
        Values { pages: vec![None; (end as usize).div_ceil(VALUES)] }
    }

    pub(crate) fn value(&self, event: u32) -> u32 {
        let page = self.pages.get(event as usize / VALUES);
        page.and_then(|page| page.as_ref()).map_or(0, |values| values[event as usize % VALUES])
    }

    pub(crate) fn set(&mut self, event: u32, value: u32) {
        let page = self.pages[event as usize / VALUES].get_or_insert_with(|| Box::new([0; VALUES]));
        page[event as usize % VALUES] = value;
    }
}

#[cfg(test)]
mod tests {
    use super::{Marks, PAGE, Values};

    #[test]
    fn marks_sweep_both_ways_over_pages() {
        let numbers = [0, 1, 63, 64, 4_095, 4_096, 5 * PAGE, 7 * PAGE + 4_095];
        let mut marks = Marks::below(8 * PAGE);
        for number in numbers {
            assert!(marks.insert(number));
            assert!(!marks.insert(number));
        }
        assert_eq!(marks.iter().collect::<Vec<_>>(), numbers);
        let mut down = Vec::new();
        let mut end = 8 * PAGE;
        while let Some(found) = marks.highest_below(end) {
            down.push(found);
            end = found;
        }
        down.reverse();
        assert_eq!(down, numbers);
        assert!(marks.contains(64) && !marks.contains(65) && !marks.contains(u32::MAX));
    }

    #[test]
    fn marks_see_what_is_added_during_a_sweep() {
        let mut marks = Marks::below(100);
        marks.insert(70);
        assert_eq!(marks.highest_below(100), Some(70));
        marks.insert(69);
        assert_eq!(marks.highest_below(70), Some(69));
        assert_eq!(marks.highest_below(69), None);
        assert_eq!(marks.highest_below(0), None);
    }

    #[test]
    fn values_are_zero_until_set() {
        let mut values = Values::below(3_000);
        values.set(2_999, 7);
        assert_eq!((values.value(2_999), values.value(0), values.value(9_999)), (7, 0, 0));
    }
}
