//! Ascending lists of small numbers: the events of one key, in an index file.
//!
//! ```text
//! base varint | count varint | last varint | blocks behind the first: (first u32, offset u32) each | first varint | deltas, varints
//! ```
//!
//! Invariant: no number is found that was not put; bytes that are none of [`put`]'s end a list early and never panic. A lookup decodes
//! at most one block of 128.

use std::ops::Range;

const BLOCK: usize = 128;
const SKIP_BYTES: usize = 8;

/// Adds a list; `base` is a number of the caller's for the list as a whole.
///
/// # Panics
/// When the list is empty.
pub(super) fn put(out: &mut Vec<u8>, base: u64, values: &[u32]) {
    let last = *values.last().expect("a key without events has no list");
    put_varint(out, base);
    put_varint(out, values.len() as u64);
    put_varint(out, u64::from(last));
    if values.len() == 1 {
        return;
    }
    let (mut skips, mut data) = (Vec::new(), Vec::with_capacity(values.len()));
    for (at, block) in values.chunks(BLOCK).enumerate() {
        let first = block[0];
        if at == 0 {
            put_varint(&mut data, u64::from(first));
        } else {
            skips.extend_from_slice(&first.to_le_bytes());
            skips.extend_from_slice(&(data.len() as u32).to_le_bytes());
        }
        for pair in block.windows(2) {
            put_varint(&mut data, u64::from(pair[1] - pair[0]));
        }
    }
    out.extend_from_slice(&skips);
    out.extend_from_slice(&data);
}

/// Adds a number of 7 bits a byte, the low ones first.
pub(super) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Takes a number off the front.
pub(super) fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// A list as it stands in a file.
#[derive(Clone, Copy, Debug)]
pub(super) struct List<'a> {
    pub(super) base: u64,
    count: usize,
    /// Added to every number.
    shift: u32,
    last: u32,
    skips: &'a [u8],
    data: &'a [u8],
}

impl<'a> List<'a> {
    /// Reads the list that begins here; what stands behind it does not matter. Each number is had `shift` higher than it was put.
    pub(super) fn read(mut bytes: &'a [u8], shift: u32) -> Option<Self> {
        let base = take_varint(&mut bytes)?;
        let count = usize::try_from(take_varint(&mut bytes)?).ok()?;
        let last = u32::try_from(take_varint(&mut bytes)?).ok()?.checked_add(shift)?;
        let skips = count.checked_sub(1)? / BLOCK * SKIP_BYTES;
        let (skips, data) = bytes.split_at_checked(skips)?;
        Some(Self { base, count, shift, last, skips, data })
    }

    pub(super) const fn count(&self) -> usize {
        self.count
    }

    pub(super) const fn last(&self) -> u32 {
        self.last
    }

    fn skip(&self, block: usize) -> Option<(u32, usize)> {
        let at = block.checked_sub(1)? * SKIP_BYTES;
        let (first, offset) = self.skips.get(at..at + SKIP_BYTES)?.split_first_chunk::<4>()?;
        let offset = u32::from_le_bytes(offset.try_into().ok()?);
        Some((u32::from_le_bytes(*first).checked_add(self.shift)?, offset as usize))
    }

    /// The numbers of a block.
    fn block(&self, block: usize) -> Block<'a> {
        let left = self.count.saturating_sub(block * BLOCK).min(BLOCK);
        if self.count == 1 {
            return Block { next: Some(self.last), left, data: &[] };
        }
        match block {
            0 => {
                let mut data = self.data;
                let first = take_varint(&mut data).and_then(|first| u32::try_from(first).ok()?.checked_add(self.shift));
                Block { next: first, left, data }
            }
            _ => match self.skip(block) {
                Some((first, offset)) => {
                    Block { next: Some(first), left, data: self.data.get(offset..).unwrap_or_default() }
                }
                None => Block { next: None, left: 0, data: &[] },
            },
        }
    }

    fn blocks(&self) -> usize {
        self.count.div_ceil(BLOCK)
    }

    /// The number at a place in the list.
    pub(super) fn get(&self, at: usize) -> Option<u32> {
        if at + 1 == self.count {
            return Some(self.last);
        }
        self.block(at / BLOCK).nth(at % BLOCK)
    }

    /// How many numbers are below a bound.
    pub(super) fn below(&self, bound: u32) -> usize {
        if self.last < bound {
            return self.count;
        }
        let (mut low, mut high) = (0, self.blocks().saturating_sub(1));
        // The last block whose first number is below the bound, or the first block.
        while low < high {
            let middle = low + (high - low).div_ceil(2);
            match self.skip(middle) {
                Some((first, _)) if first < bound => low = middle,
                _ => high = middle - 1,
            }
        }
        low * BLOCK + self.block(low).take_while(|value| *value < bound).count()
    }

    /// The numbers of a range; blocks before it are not decoded.
    pub(super) fn within(self, range: Range<u32>) -> impl Iterator<Item = u32> + 'a {
        let from = self.below(range.start);
        let blocks = (from / BLOCK..self.blocks()).flat_map(move |block| self.block(block));
        blocks.skip(from % BLOCK).take_while(move |value| *value < range.end)
    }

    pub(super) fn iter(self) -> impl Iterator<Item = u32> + 'a {
        (0..self.blocks()).flat_map(move |block| self.block(block))
    }

    /// The numbers, the last one first; a block is decoded at a time.
    pub(super) fn newest_first(self) -> impl Iterator<Item = u32> + 'a {
        (0..self.blocks()).rev().flat_map(move |block| {
            let mut values = [0; BLOCK];
            let mut count = 0;
            for (value, slot) in self.block(block).zip(&mut values) {
                *slot = value;
                count += 1;
            }
            values.into_iter().take(count).rev()
        })
    }
}

/// The rest of a block.
#[derive(Debug)]
struct Block<'a> {
    next: Option<u32>,
    left: usize,
    data: &'a [u8],
}

impl Iterator for Block<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let value = self.next.filter(|_| self.left > 0)?;
        self.left -= 1;
        self.next = match self.left {
            0 => None,
            _ => take_varint(&mut self.data)
                .and_then(|delta| u32::try_from(delta).ok())
                .and_then(|delta| value.checked_add(delta)),
        };
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn list_answers_as_the_numbers_themselves(
            base in any::<u64>(),
            shift in 0..1_u32 << 30,
            deltas in proptest::collection::vec(1..5000_u32, 1..600),
            probes in proptest::collection::vec(0..3_000_000_u32, 20),
        ) {
            let values: Vec<u32> = deltas.iter().scan(0, |sum, delta| { *sum += delta; Some(*sum - 1) }).collect();
            let mut bytes = vec![7, 7];
            put(&mut bytes, base, &values);
            let values: Vec<u32> = values.into_iter().map(|value| value + shift).collect();
            bytes.extend([9; 3]);
            let list = List::read(&bytes[2..], shift).unwrap();
            prop_assert_eq!((list.base, list.count(), list.last()), (base, values.len(), *values.last().unwrap()));
            prop_assert_eq!(list.iter().collect::<Vec<_>>(), values.clone());
            let mut reversed: Vec<u32> = list.newest_first().collect();
            reversed.reverse();
            prop_assert_eq!(&reversed, &values);
            for at in 0..values.len() + 1 {
                prop_assert_eq!(list.get(at), values.get(at).copied());
            }
            for (from, to) in probes.iter().zip(probes.iter().rev()) {
                let within = values.iter().copied().filter(|value| (*from..*to).contains(value));
                prop_assert_eq!(list.within(*from..*to).collect::<Vec<_>>(), within.collect::<Vec<_>>());
            }
            for bound in probes.into_iter().map(|probe| probe + shift).chain(values.iter().flat_map(|value| [*value, value + 1])) {
                prop_assert_eq!(list.below(bound), values.partition_point(|value| *value < bound));
            }
        }

        #[test]
        fn list_of_any_bytes_ends(bytes in proptest::collection::vec(any::<u8>(), 0..300), at in any::<u32>()) {
            if let Some(list) = List::read(&bytes, at) {
                // Each number takes a byte at least, so that no more come than bytes are there, and one.
                prop_assert!(list.iter().take(BLOCK * 4).count() <= BLOCK * 4);
                let _ = (list.get(at as usize), list.below(at), list.newest_first().take(BLOCK).count());
            }
        }
    }
}
