//! Searching bytes for secrets: each whole one, and each part of at least 16 bytes.
//!
//! Every unit of 8 bytes of a secret, counted from its first, is looked up at every offset of the bytes searched; any 15
//! bytes in a row hold one of them whole. A filter answers most offsets with one look, so the cost does not grow with the
//! secrets; and where a secret was found it is not looked for again, so it does not grow with the finds.
//!
//! Invariant: secrets come out as kind, place and length only.

use core::fmt;
use core::ops::Range;

use zeroize::Zeroizing;

use crate::secret_set::{Pattern, UNIT_LEN, is_filling};
use crate::{SecretKind, SecretSet};

/// Bytes of the shortest part of a longer secret that counts.
const PART_LEN: usize = 16;
/// A part in which fewer different bytes stand is filling, or text that anything may hold.
const PART_BYTES_DIFFERENT: usize = 4;
/// Of equal units of one secret only so many are kept: a text that repeats itself is found by the first.
const UNITS_EQUAL_MAX: usize = 8;
/// Bits of the filter for each unit.
const FILTER_BITS: usize = 32;

/// A secret, or a part of one, that stands in the bytes searched. It does not say which secret of its kind it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Found {
    /// What was found.
    pub kind: SecretKind,
    /// Where it begins, in the bytes searched.
    pub at: usize,
    /// Its bytes.
    pub len: usize,
    /// Whether it is the whole secret.
    pub whole: bool,
}

/// Secrets ready to be searched for. Wiped on drop.
pub struct SecretSearch {
    bytes: Zeroizing<Vec<u8>>,
    patterns: Vec<Pattern>,
    /// Where units stand in `bytes`, in units, in the order of the units.
    units: Vec<u32>,
    /// One bit for each hash that a unit has.
    filter: Zeroizing<Vec<u64>>,
    longest: usize,
}

impl SecretSearch {
    /// Bytes before an offset that the search at this offset looks at.
    pub const BEFORE: usize = UNIT_LEN;

    pub(crate) fn over(set: SecretSet) -> Self {
        let SecretSet { bytes, patterns } = set;
        let longest = patterns.iter().map(|pattern| pattern.len).max().unwrap_or(0);
        let mut search = Self { bytes, patterns, units: Vec::new(), filter: Zeroizing::new(Vec::new()), longest };
        let mut units: Vec<u32> = search.patterns.iter().flat_map(|pattern| search.units_of(pattern)).collect();
        units.sort_unstable_by_key(|unit| search.unit(*unit));
        let words = (units.len() * FILTER_BITS).next_power_of_two().max(1 << 16) / 64;
        let mut filter = Zeroizing::new(vec![0; words]);
        for unit in &units {
            let (word, bit) = slot(search.unit(*unit), words);
            filter[word] |= bit;
        }
        (search.units, search.filter) = (units, filter);
        search
    }

    /// The units of a secret that are looked up: whole, no filling, and of equal ones the first few.
    fn units_of(&self, pattern: &Pattern) -> Vec<u32> {
        let (units, _) = self.bytes[pattern.start..pattern.start + pattern.len].as_chunks::<UNIT_LEN>();
        let first = pattern.start / UNIT_LEN;
        let mut kept: Vec<u32> = (0..units.len())
            .filter(|index| !is_filling(&units[*index]))
            .map(|index| u32::try_from(first + index).expect("a set of 32 GiB of secrets fits no memory"))
            .collect();
        kept.sort_by_key(|unit| self.unit(*unit));
        let mut equal = (None, 0);
        kept.retain(|unit| {
            let this = self.unit(*unit);
            equal = if equal.0 == Some(this) { (equal.0, equal.1 + 1) } else { (Some(this), 1) };
            equal.1 <= UNITS_EQUAL_MAX
        });
        kept
    }

    fn unit(&self, unit: u32) -> u64 {
        let at = unit as usize * UNIT_LEN;
        self.bytes[at..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
    }

    /// Bytes behind an offset that the search at this offset looks at: those of the longest secret.
    #[must_use]
    pub const fn behind(&self) -> usize {
        self.longest
    }

    /// Searches bytes: everything whose first unit begins within `within` is told to `found`, with its place in `bytes`.
    /// Bytes around the range, [`BEFORE`](Self::BEFORE) and [`behind`](Self::behind) it, are looked at where they are there,
    /// so that a secret that lies across two ranges is found once.
    pub fn find(&self, bytes: &[u8], within: Range<usize>, found: &mut dyn FnMut(Found)) {
        let last = bytes.len().saturating_sub(UNIT_LEN - 1);
        let mut recent = Recent::default();
        for at in within.start..within.end.min(last) {
            let Some(unit) = bytes[at..].first_chunk().map(|unit| u64::from_le_bytes(*unit)) else { return };
            let (word, bit) = slot(unit, self.filter.len());
            if self.filter[word] & bit != 0 {
                self.look_up(bytes, at, unit, &mut recent, found);
            }
        }
    }

    fn look_up(&self, bytes: &[u8], at: usize, unit: u64, recent: &mut Recent, found: &mut dyn FnMut(Found)) {
        let first = self.units.partition_point(|other| self.unit(*other) < unit);
        for &other in self.units[first..].iter().take_while(|other| self.unit(**other) == unit) {
            let place = other as usize * UNIT_LEN;
            let pattern = &self.patterns[self.patterns.partition_point(|pattern| pattern.start <= place) - 1];
            if recent.covers(pattern, at) {
                continue;
            }
            let Some((start, len)) = self.extend(bytes, at, pattern, place) else { continue };
            let whole = len == pattern.len;
            if !whole && len < PART_LEN {
                continue;
            }
            recent.add(pattern, start + len);
            if whole || is_telling(&bytes[start..start + len]) {
                found(Found { kind: pattern.kind, at: start, len, whole });
            }
        }
    }

    /// The longest part of a secret that stands around an offset, unless an earlier unit of it does too.
    fn extend(&self, bytes: &[u8], at: usize, pattern: &Pattern, place: usize) -> Option<(usize, usize)> {
        let secret = &self.bytes[pattern.start..pattern.start + pattern.len];
        let inside = place - pattern.start;
        let before = secret[..inside].iter().rev().zip(bytes[..at].iter().rev());
        let before = before.take(UNIT_LEN).take_while(|(one, other)| one == other).count();
        if before == UNIT_LEN {
            return None;
        }
        let behind = secret[inside..].iter().zip(&bytes[at..]).take_while(|(one, other)| one == other).count();
        Some((at - before, before + behind))
    }

    /// Looks for each secret in bytes that hold nothing else, and returns a kind that was not found: none unless the search
    /// does not work.
    #[must_use]
    pub fn missed(&self) -> Option<SecretKind> {
        let missed = |pattern: &&Pattern| {
            let mut bytes = Zeroizing::new(vec![0; pattern.len + 2 * UNIT_LEN + 1]);
            let start = UNIT_LEN + 1;
            bytes[start..start + pattern.len].copy_from_slice(&self.bytes[pattern.start..pattern.start + pattern.len]);
            let mut hits = 0;
            self.find(&bytes, 0..bytes.len(), &mut |found| {
                hits += usize::from(found.whole && found.at == start && found.kind == pattern.kind);
            });
            hits == 0
        };
        self.patterns.iter().find(missed).map(|pattern| pattern.kind)
    }
}

/// The secrets found last, each with where it ends.
#[derive(Default)]
struct Recent {
    found: [(Option<usize>, usize); 4],
    next: usize,
}

impl Recent {
    fn add(&mut self, pattern: &Pattern, end: usize) {
        self.found[self.next] = (Some(pattern.start), end);
        self.next = (self.next + 1) % self.found.len();
    }

    fn covers(&self, pattern: &Pattern, at: usize) -> bool {
        self.found.iter().any(|(start, end)| *start == Some(pattern.start) && at < *end)
    }
}

/// Whether enough different bytes stand in a part.
fn is_telling(part: &[u8]) -> bool {
    let mut seen = [0_u64; 4];
    for byte in part {
        seen[usize::from(byte >> 6)] |= 1 << (byte & 63);
    }
    seen.iter().map(|word| word.count_ones() as usize).sum::<usize>() >= PART_BYTES_DIFFERENT
}

/// The word of a filter of so many words, a power of two, and the bit in it, for a unit.
const fn slot(unit: u64, words: usize) -> (usize, u64) {
    let hash = unit.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    ((hash >> 24) as usize & (words - 1), 1 << (hash >> 58))
}

/// Prints no secret.
impl fmt::Debug for SecretSearch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretSearch({} secrets)", self.patterns.len())
    }
}

#[cfg(test)]
mod tests;
