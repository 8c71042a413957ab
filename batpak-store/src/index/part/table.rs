//! Hash tables of an index file: from a key's hash to numbers that belong to it, or to another key of nearly the same hash.
//!
//! ```text
//! count u32 | bucket bits u8 | value bits u8 | 0 u16 | begin of each bucket, and the end: u32 each | slots: u32 each
//! ```
//!
//! A slot is the value in its low bits and, above it, the bits of the hash that follow those which choose the bucket. Eight slots a
//! bucket at most on average; so a key that is not there finds a slot once in 2^(29 - log2 count) lookups or less, and who asks checks
//! the event itself.
//!
//! Invariant: every value that was put under a hash is found under it. Bytes that are none of [`put`]'s find nothing, and never panic.

const HEAD_BYTES: usize = 8;
const PER_BUCKET: usize = 8;

/// Adds a table of hashes and their values, which it sorts.
pub(super) fn put(out: &mut Vec<u8>, entries: &mut [(u64, u32)]) {
    entries.sort_unstable();
    let buckets = (entries.len() / PER_BUCKET).max(1).next_power_of_two();
    let bucket_bits = buckets.trailing_zeros();
    let value_max = entries.iter().map(|(_, value)| *value).max().unwrap_or(0);
    let value_bits = (u32::BITS - value_max.leading_zeros()).max(1);
    out.extend_from_slice(&(entries.len() as u32).to_le_bytes());
    out.extend_from_slice(&[bucket_bits as u8, value_bits as u8, 0, 0]);
    let mut begin = 0;
    for bucket in 0..buckets as u64 {
        out.extend_from_slice(&(begin as u32).to_le_bytes());
        let rest = entries.get(begin..).unwrap_or_default();
        begin += rest.iter().take_while(|(hash, _)| bucket_of(*hash, bucket_bits) == bucket).count();
    }
    out.extend_from_slice(&(begin as u32).to_le_bytes());
    for (hash, value) in entries {
        out.extend_from_slice(&(mark_of(*hash, bucket_bits, value_bits) | *value).to_le_bytes());
    }
}

/// The top bits of a hash.
const fn bucket_of(hash: u64, bucket_bits: u32) -> u64 {
    if bucket_bits == 0 { 0 } else { hash >> (u64::BITS - bucket_bits) }
}

/// The bits of a hash below those of its bucket, where a slot has them.
const fn mark_of(hash: u64, bucket_bits: u32, value_bits: u32) -> u32 {
    if value_bits >= u32::BITS {
        return 0;
    }
    ((hash << bucket_bits) >> u32::BITS) as u32 >> value_bits << value_bits
}

/// Where the parts of a table stand in its section.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    bucket_bits: u32,
    value_bits: u32,
    slots: usize,
    end: usize,
}

impl Shape {
    /// Reads how long a table is that begins here; none when the section is shorter.
    pub(super) fn read(section: &[u8]) -> Option<Self> {
        let [c0, c1, c2, c3, bucket_bits, value_bits, ..] = *section.first_chunk::<HEAD_BYTES>()?;
        let count = u32::from_le_bytes([c0, c1, c2, c3]) as usize;
        let (bucket_bits, value_bits) = (u32::from(bucket_bits), u32::from(value_bits));
        let begins = 1_usize.checked_shl(bucket_bits)?.checked_add(1)?.checked_mul(4)?;
        let slots = begins.checked_add(HEAD_BYTES)?;
        let end = slots.checked_add(count.checked_mul(4)?)?;
        let fits = end <= section.len() && value_bits <= u32::BITS && bucket_bits < u32::BITS;
        fits.then_some(Self { bucket_bits, value_bits, slots, end })
    }

    /// The table of this shape, and what stands behind it.
    pub(super) fn of(self, section: &[u8]) -> (Table<'_>, &[u8]) {
        let part = |from: usize, to: usize| section.get(from..to).unwrap_or_default();
        let table = Table { shape: self, begins: part(HEAD_BYTES, self.slots), slots: part(self.slots, self.end) };
        (table, section.get(self.end..).unwrap_or_default())
    }
}

/// A table as it stands in a file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Table<'a> {
    shape: Shape,
    begins: &'a [u8],
    slots: &'a [u8],
}

impl<'a> Table<'a> {
    /// The values that may belong to a key with this hash.
    pub(super) fn find(self, hash: u64) -> impl Iterator<Item = u32> + 'a {
        let bucket = bucket_of(hash, self.shape.bucket_bits) as usize;
        let begin = word(self.begins, bucket).unwrap_or(0) as usize;
        let end = word(self.begins, bucket + 1).unwrap_or(0) as usize;
        let mark = mark_of(hash, self.shape.bucket_bits, self.shape.value_bits);
        let values = self.value_mask();
        (begin..end)
            .map_while(move |at| word(self.slots, at))
            .filter(move |slot| slot & !values == mark)
            .map(move |slot| slot & values)
    }

    /// All values.
    pub(super) fn values(self) -> impl Iterator<Item = u32> + 'a {
        let values = self.value_mask();
        self.slots.as_chunks().0.iter().map(move |slot| u32::from_le_bytes(*slot) & values)
    }

    const fn value_mask(&self) -> u32 {
        if self.shape.value_bits >= u32::BITS { u32::MAX } else { (1 << self.shape.value_bits) - 1 }
    }
}

/// The number at a place among numbers of 32 bits.
pub(super) fn word(words: &[u8], at: usize) -> Option<u32> {
    let start = at.checked_mul(4)?;
    let bytes = words.get(start..start.checked_add(4)?)?;
    Some(u32::from_le_bytes(bytes.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn table_finds_every_value_and_hardly_another(
            mut entries in proptest::collection::vec((any::<u64>(), 0..1_u32 << 20), 0..2000),
            absent in proptest::collection::vec(any::<u64>(), 50),
        ) {
            let mut bytes = Vec::new();
            put(&mut bytes, &mut entries);
            bytes.push(1);
            let (table, rest) = Shape::read(&bytes).unwrap().of(&bytes);
            prop_assert_eq!(rest, &[1]);
            for (hash, value) in &entries {
                prop_assert!(table.find(*hash).any(|found| found == *value));
            }
            let mut values: Vec<u32> = table.values().collect();
            values.sort_unstable();
            let mut put: Vec<u32> = entries.iter().map(|(_, value)| *value).collect();
            put.sort_unstable();
            prop_assert_eq!(values, put);
            let strangers: usize = absent.iter().map(|hash| table.find(*hash).count()).sum();
            prop_assert!(strangers <= 3, "{strangers} of 50");
        }

        #[test]
        fn table_of_any_bytes_ends(bytes in proptest::collection::vec(any::<u8>(), 0..300), hash in any::<u64>()) {
            if let Some((table, _)) = Shape::read(&bytes).map(|shape| shape.of(&bytes)) {
                prop_assert!(table.find(hash).count() <= bytes.len() / 4 && table.values().count() <= bytes.len() / 4);
            }
        }
    }

    #[test]
    fn table_holds_values_of_all_bits_and_equal_hashes() {
        let mut bytes = Vec::new();
        put(&mut bytes, &mut [(5, u32::MAX), (5, 0), (u64::MAX, 1)]);
        let (table, _) = Shape::read(&bytes).unwrap().of(&bytes);
        assert!([u32::MAX, 0, 1].iter().all(|value| table.find(5).any(|found| found == *value)));
        let mut bytes = Vec::new();
        put(&mut bytes, &mut []);
        assert_eq!(Shape::read(&bytes).unwrap().of(&bytes).0.find(5).count(), 0);
    }
}
