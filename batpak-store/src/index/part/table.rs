//! Hash tables of an index file: from a key's hash to numbers that belong to it, or to another key of nearly the same hash.
//!
//! ```text
//! count u32 | bucket bits u8 | value bits u8 | mark bits u8 | slot bytes u8 | begin of each bucket, and the end: u32 each | slots
//! ```
//!
//! A slot of 4 or 8 bytes is the value in its low bits and, above it, the bits of the hash that follow those which choose the bucket.
//! Eight slots a bucket at most on average. So a key that is not there finds a slot of 4 bytes once in 2^(29 - log2 count) lookups or
//! less, and who asks checks the event itself.
//!
//! Tables are merged by what they say alone: the bits of the hash that all of them have become those of the merged one. Slots of 4 bytes
//! have 28 bits at least at every size, since bucket bits grow as value bits do; where values are offsets, which grow otherwise, slots
//! of 8 bytes have 32 at least.
//!
//! Invariant: every value that was put under a hash is found under it, the one that was put last first when all are of one hash. Bytes
//! that are none of ours find nothing, and never panic.

const HEAD_BYTES: usize = 8;
const PER_BUCKET: usize = 8;

/// How wide the slots of a table are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slots {
    /// For places.
    Narrow,
    /// For offsets of lists.
    Wide,
}

impl Slots {
    const fn bytes(self) -> usize {
        match self {
            Self::Narrow => 4,
            Self::Wide => 8,
        }
    }

    /// The bits of a value, when this is the highest, and those of the hash above it.
    fn bits(self, value_max: u32) -> (u32, u32) {
        match self {
            Self::Narrow => {
                let value_bits = (u32::BITS - value_max.leading_zeros()).max(1);
                (value_bits, u32::BITS - value_bits)
            }
            Self::Wide => (u32::BITS, u32::BITS),
        }
    }
}

fn bucket_bits(count: usize) -> u32 {
    (count / PER_BUCKET).max(1).next_power_of_two().trailing_zeros()
}

/// Adds a table of hashes and their values, which it sorts.
pub(super) fn put(out: &mut Vec<u8>, width: Slots, entries: &mut [(u64, u32)]) {
    entries.sort_unstable();
    let (value_bits, mark_bits) = width.bits(entries.iter().map(|(_, value)| *value).max().unwrap_or(0));
    let shape = Shape::new(entries.len(), bucket_bits(entries.len()), value_bits, mark_bits, width);
    let mut put = |bytes: &[u8]| out.extend_from_slice(bytes);
    put(&shape.head());
    shape.put_begins(entries.iter().map(|(hash, _)| *hash), &mut put);
    entries.iter().for_each(|(hash, value)| shape.put_slot(*hash, *value, &mut put));
}

/// The top bits of a hash.
const fn bucket_of(hash: u64, bucket_bits: u32) -> u64 {
    if bucket_bits == 0 { 0 } else { hash >> (u64::BITS - bucket_bits) }
}

/// Where the parts of a table stand in its section.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    count: usize,
    bucket_bits: u32,
    value_bits: u32,
    mark_bits: u32,
    slot_bytes: usize,
    slots: usize,
    end: usize,
}

impl Shape {
    const fn new(count: usize, bucket_bits: u32, value_bits: u32, mark_bits: u32, width: Slots) -> Self {
        let slot_bytes = width.bytes();
        let slots = HEAD_BYTES + ((1 << bucket_bits) + 1) * 4;
        Self { count, bucket_bits, value_bits, mark_bits, slot_bytes, slots, end: slots + count * slot_bytes }
    }

    /// Reads how long a table is that begins here; none when the section is shorter.
    pub(super) fn read(section: &[u8]) -> Option<Self> {
        let [c0, c1, c2, c3, bits @ .., slot_bytes] = *section.first_chunk::<HEAD_BYTES>()?;
        let count = u32::from_le_bytes([c0, c1, c2, c3]) as usize;
        let [bucket_bits, value_bits, mark_bits] = bits.map(u32::from);
        let slot_bytes = usize::from(slot_bytes);
        let begins = 1_usize.checked_shl(bucket_bits)?.checked_add(1)?.checked_mul(4)?;
        let slots = begins.checked_add(HEAD_BYTES)?;
        let end = slots.checked_add(count.checked_mul(slot_bytes)?)?;
        let fits = end <= section.len()
            && matches!(slot_bytes, 4 | 8)
            && value_bits <= u32::BITS
            && value_bits + mark_bits <= slot_bytes as u32 * 8
            && bucket_bits + mark_bits <= u64::BITS
            && bucket_bits < u32::BITS;
        fits.then_some(Self { count, bucket_bits, value_bits, mark_bits, slot_bytes, slots, end })
    }

    /// The table of this shape, and what stands behind it.
    pub(super) fn of(self, section: &[u8]) -> (Table<'_>, &[u8]) {
        let part = |from: usize, to: usize| section.get(from..to).unwrap_or_default();
        let table = Table { shape: self, begins: part(HEAD_BYTES, self.slots), slots: part(self.slots, self.end) };
        (table, section.get(self.end..).unwrap_or_default())
    }

    fn head(&self) -> [u8; HEAD_BYTES] {
        let [c0, c1, c2, c3] = (self.count as u32).to_le_bytes();
        let [bucket, value, mark] = [self.bucket_bits, self.value_bits, self.mark_bits].map(|bits| bits as u8);
        [c0, c1, c2, c3, bucket, value, mark, self.slot_bytes as u8]
    }

    /// Puts where each bucket begins, and the end; the hashes are in order.
    fn put_begins(&self, hashes: impl Iterator<Item = u64>, put: &mut dyn FnMut(&[u8])) {
        let (mut bucket, mut at) = (0, 0_u32);
        for hash in hashes {
            while bucket <= bucket_of(hash, self.bucket_bits) {
                put(&at.to_le_bytes());
                bucket += 1;
            }
            at += 1;
        }
        while bucket <= 1 << self.bucket_bits {
            put(&at.to_le_bytes());
            bucket += 1;
        }
    }

    fn put_slot(&self, hash: u64, value: u32, put: &mut dyn FnMut(&[u8])) {
        let slot = (self.mark_of(hash) << self.value_bits) | u64::from(value);
        put(slot.to_le_bytes().get(..self.slot_bytes).unwrap_or_default());
    }

    /// The bits of a hash below those of its bucket, which a slot has.
    const fn mark_of(&self, hash: u64) -> u64 {
        if self.mark_bits == 0 { 0 } else { (hash << self.bucket_bits) >> (u64::BITS - self.mark_bits) }
    }

    /// How many bits of each hash the table tells.
    const fn hash_bits(&self) -> u32 {
        self.bucket_bits + self.mark_bits
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
    fn slot(self, at: usize) -> Option<u64> {
        match self.shape.slot_bytes {
            4 => word(self.slots, at).map(u64::from),
            _ => {
                let start = at.checked_mul(8)?;
                let bytes = self.slots.get(start..start.checked_add(8)?)?;
                Some(u64::from_le_bytes(bytes.try_into().ok()?))
            }
        }
    }

    /// The values that may belong to a key with this hash, the one that was put last first.
    pub(super) fn find(self, hash: u64) -> impl Iterator<Item = u32> + 'a {
        let bucket = bucket_of(hash, self.shape.bucket_bits) as usize;
        let begin = word(self.begins, bucket).unwrap_or(0) as usize;
        let end = word(self.begins, bucket + 1).unwrap_or(0) as usize;
        let (mark, value_bits, values) = (self.shape.mark_of(hash), self.shape.value_bits, self.value_mask());
        (begin..end.min(self.shape.count))
            .rev()
            .filter_map(move |at| self.slot(at))
            .filter(move |slot| slot >> value_bits == mark)
            .map(move |slot| (slot & values) as u32)
    }

    /// All values.
    pub(super) fn values(self) -> impl Iterator<Item = u32> + 'a {
        let values = self.value_mask();
        (0..self.shape.count).filter_map(move |at| self.slot(at)).map(move |slot| (slot & values) as u32)
    }

    const fn value_mask(&self) -> u64 {
        (1 << self.shape.value_bits) - 1
    }

    /// The hashes, as far as they are told, and the values, in order.
    fn entries(self) -> Entries<'a> {
        Entries { table: self, at: 0, bucket: 0 }
    }
}

/// See [`Table::entries`].
#[derive(Clone, Debug)]
struct Entries<'a> {
    table: Table<'a>,
    at: usize,
    bucket: usize,
}

impl Iterator for Entries<'_> {
    type Item = (u64, u32);

    fn next(&mut self) -> Option<(u64, u32)> {
        let (table, shape) = (self.table, self.table.shape);
        let slot = table.slot(self.at).filter(|_| self.at < shape.count)?;
        while word(table.begins, self.bucket + 1)? as usize <= self.at {
            self.bucket += 1;
        }
        self.at += 1;
        let hash = ((self.bucket as u64) << shape.mark_bits) | (slot >> shape.value_bits);
        let hash = hash.checked_shl(u64::BITS - shape.hash_bits()).unwrap_or(0);
        Some((hash, (slot & table.value_mask()) as u32))
    }
}

/// Puts one table of what several hold, the oldest first, each with what is added to its values.
pub(super) fn put_merged(tables: &[(Table<'_>, u32)], width: Slots, value_max: u32, put: &mut dyn FnMut(&[u8])) {
    let count = tables.iter().map(|(table, _)| table.shape.count).sum();
    let filled = tables.iter().filter(|(table, _)| table.shape.count > 0);
    let known = filled.map(|(table, _)| table.shape.hash_bits()).min().unwrap_or(u32::BITS);
    let (value_bits, mark_bits) = width.bits(value_max);
    let bucket_bits = bucket_bits(count).min(known);
    let shape = Shape::new(count, bucket_bits, value_bits, mark_bits.min(known - bucket_bits), width);
    put(&shape.head());
    let merged = || Merged::new(tables, u64::MAX.checked_shl(u64::BITS - known).unwrap_or(0));
    shape.put_begins(merged().map(|(hash, _)| hash), put);
    merged().for_each(|(hash, value)| shape.put_slot(hash, value, put));
}

/// The entries of several tables in order; those of one hash in the order of the tables.
struct Merged<'a> {
    sources: Vec<Source<'a>>,
    mask: u64,
}

/// What is left of one of them.
struct Source<'a> {
    next: Option<(u64, u32)>,
    rest: Entries<'a>,
    /// Added to its values.
    add: u32,
}

impl<'a> Merged<'a> {
    fn new(tables: &[(Table<'a>, u32)], mask: u64) -> Self {
        let source = |(table, add): &(Table<'a>, u32)| {
            let mut rest = table.entries();
            Source { next: rest.next(), rest, add: *add }
        };
        Self { sources: tables.iter().map(source).collect(), mask }
    }
}

impl Iterator for Merged<'_> {
    type Item = (u64, u32);

    fn next(&mut self) -> Option<(u64, u32)> {
        let mask = self.mask;
        let sources = self.sources.iter_mut().filter(|source| source.next.is_some());
        // Of equal ones the first is taken.
        let source = sources.min_by_key(|source| source.next.map(|(hash, _)| hash & mask))?;
        let (hash, value) = std::mem::replace(&mut source.next, source.rest.next())?;
        Some((hash & mask, value.saturating_add(source.add)))
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
            put(&mut bytes, Slots::Narrow, &mut entries);
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

        /// The control is the count of strangers: a merged table that had lost the hashes would find every value.
        #[test]
        fn merged_table_finds_what_its_tables_found_the_last_first(
            wide in any::<bool>(),
            parts in proptest::collection::vec(proptest::collection::vec((any::<u64>(), 0..5_u64), 0..400), 1..6),
            absent in proptest::collection::vec(any::<u64>(), 50),
        ) {
            let width = if wide { Slots::Wide } else { Slots::Narrow };
            // Some hashes stand in several tables, as one key's do.
            let hash = |(hash, few): &(u64, u64)| if *few == 0 { hash % 7 } else { *hash };
            let mut all: Vec<(u64, u32)> = Vec::new();
            let mut tables = Vec::new();
            for part in &parts {
                let add = all.len() as u32;
                let mut entries: Vec<(u64, u32)> = part.iter().map(hash).zip(0..).collect();
                all.extend(entries.iter().map(|(hash, value)| (*hash, value + add)));
                let mut bytes = Vec::new();
                put(&mut bytes, width, &mut entries);
                tables.push((bytes, add));
            }
            let merge = |tables: &[(Vec<u8>, u32)], value_max: u32| {
                let tables: Vec<_> = tables
                    .iter()
                    .map(|(bytes, add)| (Shape::read(bytes).unwrap().of(bytes).0, *add))
                    .collect();
                let mut bytes = Vec::new();
                put_merged(&tables, width, value_max, &mut |more| bytes.extend_from_slice(more));
                bytes
            };
            let value_max = all.len().saturating_sub(1) as u32;
            let bytes = merge(&tables, value_max);
            // Merged again: nothing is lost.
            let (front, back) = tables.split_at(tables.len() / 2);
            let again = merge(&[(merge(front, value_max), 0), (merge(back, value_max), 0)], value_max);
            for bytes in [bytes, again] {
                let (table, rest) = Shape::read(&bytes).unwrap().of(&bytes);
                prop_assert!(rest.is_empty());
                for (hash, _) in &all {
                    let expected: Vec<u32> =
                        all.iter().rev().filter(|(other, _)| other == hash).map(|(_, value)| *value).collect();
                    let found: Vec<u32> = table.find(*hash).filter(|value| expected.contains(value)).collect();
                    prop_assert_eq!(found, expected);
                }
                let strangers: usize = absent.iter().map(|hash| table.find(*hash).count()).sum();
                prop_assert!(strangers <= 3, "{strangers} of 50");
            }
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
        put(&mut bytes, Slots::Narrow, &mut [(5, u32::MAX), (5, 0), (u64::MAX, 1)]);
        let (table, _) = Shape::read(&bytes).unwrap().of(&bytes);
        assert!([u32::MAX, 0, 1].iter().all(|value| table.find(5).any(|found| found == *value)));
        let mut bytes = Vec::new();
        put(&mut bytes, Slots::Narrow, &mut []);
        assert_eq!(Shape::read(&bytes).unwrap().of(&bytes).0.find(5).count(), 0);
    }
}
