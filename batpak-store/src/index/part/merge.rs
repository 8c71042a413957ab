//! One index file made of several that follow one another.
//!
//! It is made of what they say alone: no frame is read. Tables are merged by their hashes; offsets and lists are copied as they are.
//! Memory: a buffer of 256 KiB, and a few bytes for each segment; the files themselves are read from their maps.
//!
//! Invariant: what the files answer, the merged one answers. A file that is damaged is not merged.

use std::{io::ErrorKind, iter::Peekable, sync::Arc};

use super::{
    MappedPart, PartHead, Section, Source, Span, keyed,
    list::{put_varint, take_varint},
    table::{self, Slots},
    write::Sink,
};
use crate::ReadError;

impl Source {
    /// Puts one file in the place of several that follow one another; those behind the first are left over then. The caller has the turn,
    /// and is called `between` pieces of the work: the largest merges take seconds.
    pub(crate) fn merge(
        self: &Arc<Self>,
        parts: &[&MappedPart],
        between: &mut dyn FnMut(),
    ) -> Result<MappedPart, ReadError> {
        for part in parts {
            part.check()?;
            between();
        }
        let merged = Merge::of(parts).ok_or(ErrorKind::InvalidInput);
        let refused = |source| ReadError::Disk { path: self.dir.clone(), source };
        let merged = merged.map_err(|why| refused(why.into()))?;
        let (segment, first) = (merged.head.segment, merged.head.first);
        let mut sink = Sink::create(self, segment, first, between).map_err(refused)?;
        merged.put(&mut sink)?;
        sink.finish().map_err(refused)
    }
}

/// What is merged, and what the merged file says of itself.
struct Merge<'a> {
    head: PartHead,
    spans: Vec<Span>,
    /// With the place of the first event of each.
    parts: Vec<(&'a MappedPart, u32)>,
}

impl<'a> Merge<'a> {
    /// None when they do not follow one another, or are too many events.
    fn of(all: &[&'a MappedPart]) -> Option<Self> {
        let (first, last) = (all.first()?, all.last()?);
        let mut head =
            PartHead { last_segment: last.head.last_segment, chain_hash: last.head.chain_hash, ..first.head };
        (head.count, head.new_entities) = (0, 0);
        let (mut spans, mut parts): (Vec<Span>, _) = (Vec::new(), Vec::with_capacity(all.len()));
        for part in all {
            let own = &part.head;
            if own.first != head.next() || spans.last().is_some_and(|last| !part.spans[0].follows(last)) {
                return None;
            }
            parts.push((*part, u32::try_from(head.count).ok()?));
            // What was said of a segment that went on all the same holds no more.
            if let Some(last) = spans.last_mut().filter(|last| last.segment == own.segment) {
                last.rolled = None;
            }
            spans.extend_from_slice(&part.spans);
            head.count += own.count;
            head.new_entities += own.new_entities;
            head.key_id_max = head.key_id_max.max(own.key_id_max);
            head.intent = own.intent.or(head.intent);
            head.completed = own.completed.or(head.completed);
            head.unreached |= own.unreached;
            head.id_min = std::cmp::min_by_key(head.id_min, own.id_min, |id| *id.as_bytes());
            head.id_max = std::cmp::max_by_key(head.id_max, own.id_max, |id| *id.as_bytes());
        }
        u32::try_from(head.count).ok().map(|_| Self { head, spans, parts })
    }

    fn put(&self, sink: &mut Sink<'_>) -> Result<(), ReadError> {
        sink.section(Section::Head);
        sink.put(&self.head.encode());
        sink.section(Section::Offsets);
        for (part, _) in &self.parts {
            sink.put(part.section(Section::Offsets)?);
        }
        sink.section(Section::Ids);
        let mut ids = Vec::with_capacity(self.parts.len());
        for (part, first) in &self.parts {
            ids.extend(part.table(Section::Ids)?.map(|(table, _)| (table, *first)));
        }
        table::put_merged(&ids, Slots::Narrow, self.head.count as u32 - 1, &mut |bytes| sink.put(bytes));
        for section in Section::KEYED.into_iter().chain([Section::Shreds]) {
            let mut keyed = Vec::with_capacity(self.parts.len());
            for (part, _) in &self.parts {
                keyed.push((part.keyed(section)?, part.spans.len()));
            }
            if keyed.iter().any(|(keyed, _)| keyed.is_some()) {
                sink.section(section);
                keyed::put_merged(&keyed, &mut |bytes| sink.put(bytes));
            }
        }
        sink.section(Section::Named);
        let runs = self.parts.iter().map(|(part, _)| part.section(Section::Named).map(|bytes| Runs { bytes, end: 0 }));
        put_runs(runs.collect::<Result<_, _>>()?, &mut |bytes| sink.put(bytes));
        sink.section(Section::Records);
        for (part, first) in &self.parts {
            for place in part.section(Section::Records)?.as_chunks().0 {
                sink.put(&(u32::from_le_bytes(*place) + first).to_le_bytes());
            }
        }
        sink.section(Section::Spans);
        let mut spans = Vec::new();
        self.spans.iter().for_each(|span| span.encode(&mut spans));
        sink.put(&spans);
        Ok(())
    }
}

/// Runs of key ids: the first one, and one past the last.
#[derive(Clone, Copy, Debug)]
struct Runs<'a> {
    bytes: &'a [u8],
    end: u64,
}

impl Iterator for Runs<'_> {
    type Item = (u64, u64);

    fn next(&mut self) -> Option<(u64, u64)> {
        let first = self.end.checked_add(take_varint(&mut self.bytes)?)?;
        self.end = first.checked_add(take_varint(&mut self.bytes)?)?;
        Some((first, self.end))
    }
}

/// Puts the runs of several files as those of one: in order, none touching the next.
fn put_runs(all: Vec<Runs<'_>>, put: &mut dyn FnMut(&[u8])) {
    let mut all: Vec<Peekable<Runs<'_>>> = all.into_iter().map(Iterator::peekable).collect();
    let mut next = || {
        let least = all.iter_mut().filter_map(|runs| Some((*runs.peek()?, runs))).min_by_key(|(run, _)| *run);
        least.and_then(|(_, runs)| runs.next())
    };
    let (mut before, mut open) = (0, next());
    while let Some((first, mut end)) = open {
        // A run is read as so many keys, 32 bits.
        open = next();
        while let Some((_, more)) =
            open.filter(|(more, to)| *more <= end && to.max(&end) - first <= u64::from(u32::MAX))
        {
            end = end.max(more);
            open = next();
        }
        let first = first.max(before);
        if first < end {
            let mut run = Vec::new();
            put_varint(&mut run, first - before);
            put_varint(&mut run, end - first);
            put(&run);
            before = end;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn bytes_of(keys: &BTreeSet<u64>) -> Vec<u8> {
        let (mut bytes, mut end) = (Vec::new(), 0);
        for key in keys {
            put_varint(&mut bytes, key - end);
            put_varint(&mut bytes, 1);
            end = key + 1;
        }
        bytes
    }

    proptest! {
        #[test]
        fn merged_runs_name_the_keys_of_all_and_no_others(
            all in proptest::collection::vec(proptest::collection::btree_set(0..300_u64, 0..100), 1..5),
        ) {
            let encoded: Vec<_> = all.iter().map(bytes_of).collect();
            let mut merged = Vec::new();
            put_runs(
                encoded.iter().map(|bytes| Runs { bytes, end: 0 }).collect(),
                &mut |bytes| merged.extend_from_slice(bytes),
            );
            let runs: Vec<_> = Runs { bytes: &merged, end: 0 }.collect();
            let named: Vec<u64> = runs.iter().flat_map(|(first, end)| *first..*end).collect();
            let expected: Vec<u64> = all.iter().flatten().copied().collect::<BTreeSet<_>>().into_iter().collect();
            prop_assert_eq!(named, expected);
            prop_assert!(runs.windows(2).all(|pair| pair[0].1 < pair[1].0), "runs that touch are one");
        }
    }
}
