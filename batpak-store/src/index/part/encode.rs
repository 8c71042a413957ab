//! The bytes of an index file, made of parts in memory that follow one another in one segment.
//!
//! Invariants: what the parts answer, the file answers. It does not tell where one part ended and the next began: the same events make the
//! same bytes.

use batpak_format::{EventId, EventKind, FooterBuilder, KeyId, StoreId};

use batpak_segment::KnownSegment;

use super::{
    Section, Span,
    head::PartHead,
    keyed::{KeyedBuilder, hash},
    list::put_varint,
    shred_facts::ShredFacts,
    table::{self, Slots},
};
use crate::index::{
    Times,
    memory::{MemoryPart, join_runs},
    names::Names,
};

/// The version of every section's layout.
pub(super) const VERSION: u16 = 3;

/// Parts that are encoded as one, each with the place of its first event.
#[derive(Debug)]
pub(super) struct Joint<'a>(Vec<(&'a MemoryPart, u32)>);

impl<'a> Joint<'a> {
    /// None when there is no event, or one part does not go on where the one before it ends.
    pub(super) fn of(parts: &[&'a MemoryPart]) -> Option<Self> {
        let first = parts.first()?;
        let follow = parts.windows(2).all(|pair| {
            let begin = pair[1].rows.get(0).map(|row| u64::from(row.offset));
            (pair[1].segment, pair[1].first(), begin) == (pair[0].segment, pair[0].next(), Some(pair[0].end))
        });
        let placed = |part: &&'a MemoryPart| Some((*part, u32::try_from(part.first() - first.first()).ok()?));
        let placed = parts.iter().map(placed).collect::<Option<Vec<_>>>()?;
        (follow && !first.is_empty()).then_some(Self(placed))
    }

    /// The index file of these events, with what their segment says of itself if it ends with them; none when there are too many.
    pub(super) fn encode(&self, store: &StoreId, rolled: Option<KnownSegment>, shreds: &ShredFacts) -> Option<Vec<u8>> {
        let head = shreds.head(self.head(*store)?);
        let begin = u64::from(self.0.first()?.0.rows.get(0)?.offset);
        let (segment, end, first, chain_hash) = (head.segment, self.0.last()?.0.end, head.first, head.chain_hash);
        let mut spans = Vec::new();
        Span { segment, begin, end, first, times: self.times()?, chain_hash, rolled }.encode(&mut spans);
        let offsets: Vec<u8> =
            self.0.iter().flat_map(|(part, _)| part.rows.iter()).flat_map(|row| row.offset.to_le_bytes()).collect();
        let mut footer = FooterBuilder::new().section(Section::Head.tag(), VERSION, &head.encode()).section(
            Section::Offsets.tag(),
            VERSION,
            &offsets,
        );
        let mut ids: Vec<(u64, u32)> = self
            .0
            .iter()
            .flat_map(|(part, _)| part.ids.iter())
            .zip(0..)
            .map(|(id, at)| (hash(store, id.as_bytes()), at))
            .collect();
        let mut table = Vec::new();
        table::put(&mut table, Slots::Narrow, &mut ids);
        footer = footer.section(Section::Ids.tag(), VERSION, &table);
        for (section, builder) in self.keyed(store) {
            if let Some(bytes) = builder.finish() {
                footer = footer.section(section.tag(), VERSION, &bytes);
            }
        }
        footer = footer.section(Section::Named.tag(), VERSION, &named_bytes(&shreds.named(self.named())));
        footer = footer.section(Section::Records.tag(), VERSION, &self.records_bytes());
        footer = footer.section(Section::Spans.tag(), VERSION, &spans);
        if let Some(bytes) = shreds.section(store) {
            footer = footer.section(Section::Shreds.tag(), VERSION, &bytes);
        }
        Some(footer.finish(0))
    }

    fn parts(&self) -> impl Iterator<Item = &'a MemoryPart> {
        self.0.iter().map(|(part, _)| *part)
    }

    fn times(&self) -> Option<Times> {
        let times = self.parts().filter_map(MemoryPart::times);
        times.reduce(|times, more| Times { least: times.least.min(more.least), most: times.most.max(more.most) })
    }

    fn head(&self, store: StoreId) -> Option<PartHead> {
        let ((first, _), (last, place)) = (self.0.first()?, self.0.last()?);
        let count = last.rows.len();
        let last_row = last.rows.get(count.checked_sub(1)?)?;
        let by_bytes = |id: &EventId| *id.as_bytes();
        let least = self.parts().filter_map(|part| Some(part.id_range()?.0)).min_by_key(by_bytes);
        let most = self.parts().filter_map(|part| Some(part.id_range()?.1)).max_by_key(by_bytes);
        Some(PartHead {
            store,
            segment: first.segment,
            last_segment: first.segment,
            first: first.first(),
            count: u64::from(*place) + count as u64,
            new_entities: self.parts().map(MemoryPart::new_entities).sum(),
            key_id_max: self.named().last().map(|(first, count)| KeyId::from_u64(first + u64::from(*count) - 1)),
            intent: None,
            completed: None,
            unreached: false,
            chain_hash: last.streams.get(last_row.stream as usize)?.chain_hash,
            id_min: least.unwrap_or(EventId::from_bytes([0xff; 16])),
            id_max: most.unwrap_or(EventId::from_bytes([0; 16])),
        })
    }

    fn keyed(&self, store: &StoreId) -> [(Section, KeyedBuilder); 7] {
        let names = |names: &'a Names| names.iter().map(str::as_bytes).zip(0_u32..);
        let ids = |id: &'a EventId| (id.as_bytes().as_slice(), id);
        let entities = self.join(
            store,
            |part| names(&part.entities),
            |part, number, list, _| {
                let Some(stream) = part.streams.get(number as usize) else { return 0 };
                list.extend_from_slice(&stream.positions);
                stream.first_revision
            },
        );
        let scopes = self.join(
            store,
            |part| names(&part.scopes),
            |part, number, list, _| in_order(list, part.by_scope.newest_first(&number)),
        );
        let kinds = self.join(
            store,
            |part| part.by_kind.keys().map(|kind| (kind.as_u16().to_le_bytes(), *kind)),
            |part, kind, list, _| in_order(list, part.by_kind.newest_first(&kind)),
        );
        let tags = self.join(
            store,
            |part| names(&part.tag_names),
            |part, number, list, _| in_order(list, part.tagged.newest_first(&number)),
        );
        let causes = self.join(
            store,
            |part| part.caused_by.keys().map(ids),
            |part, id, list, _| in_order(list, part.caused_by.newest_first(id)),
        );
        let correlations = self.join(
            store,
            |part| part.correlated.keys().map(ids),
            |part, id, list, _| in_order(list, part.correlated.newest_first(id)),
        );
        let key_scopes = self.join(
            store,
            |part| part.keys.iter().map(|(scope, keys)| (scope.as_bytes(), keys)),
            |_, keys, list, last| {
                // Each part notes the key that it found first, which may be the one before it.
                let new = keys.iter().filter(|(key_id, _)| last.replace(*key_id) != Some(*key_id));
                list.extend(new.map(|(_, place)| *place));
                0
            },
        );
        let builders = [entities, scopes, kinds, tags, causes, correlations, key_scopes];
        let mut sections = Section::KEYED.into_iter().zip(builders);
        std::array::from_fn(|_| sections.next().expect("there is a builder for each of the seven"))
    }

    /// Gathers one list for each key that a part has: `list` adds the places of one in a part, and returns the base of the list.
    fn join<K: AsRef<[u8]> + Ord, H: Copy, I: Iterator<Item = (K, H)>>(
        &self,
        store: &StoreId,
        keys: impl Fn(&'a MemoryPart) -> I,
        list: impl Fn(&'a MemoryPart, H, &mut Vec<u32>, &mut Option<KeyId>) -> u64,
    ) -> KeyedBuilder {
        let mut all: Vec<(u64, K, usize, H)> = Vec::new();
        for (at, (part, _)) in self.0.iter().enumerate() {
            all.extend(keys(part).map(|(key, handle)| (hash(store, key.as_ref()), key, at, handle)));
        }
        if self.0.len() > 1 {
            all.sort_unstable_by(|one, other| (one.0, &one.1, one.2).cmp(&(other.0, &other.1, other.2)));
        }
        let mut builder = KeyedBuilder::default();
        let (mut here, mut places) = (Vec::new(), Vec::new());
        for same in all.chunk_by(|one, other| (one.0, &one.1) == (other.0, &other.1)) {
            let (mut base, mut last_key) = (0, None);
            places.clear();
            for (_, _, at, handle) in same {
                let Some((part, first)) = self.0.get(*at) else { continue };
                here.clear();
                let own = list(part, *handle, &mut here, &mut last_key);
                if places.is_empty() {
                    base = own;
                }
                places.extend(here.iter().map(|place| place + first));
            }
            builder.add(same[0].0, base, &places);
        }
        builder
    }

    /// The keys that events here name, in runs: the first one, and how many.
    fn named(&self) -> Vec<(u64, u32)> {
        let mut runs: Vec<(u64, u32)> = self.parts().flat_map(MemoryPart::named).collect();
        join_runs(&mut runs);
        runs
    }

    /// The places of the store's own events, 32 bits each.
    fn records_bytes(&self) -> Vec<u8> {
        let kinds = self.parts().flat_map(|part| part.kinds.iter()).zip(0_u32..);
        kinds.filter(|(kind, _)| is_taken_in(*kind)).flat_map(|(_, place)| place.to_le_bytes()).collect()
    }
}

/// Adds places that come with the newest first; an event that has a key twice stands twice among them. The base is 0.
fn in_order(list: &mut Vec<u32>, newest_first: impl Iterator<Item = u32>) -> u64 {
    list.extend(newest_first);
    list.reverse();
    list.dedup();
    0
}

/// Runs of key ids: the distance from the end of the run before, and the length, varints.
fn named_bytes(runs: &[(u64, u32)]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut end = 0;
    for (first, count) in runs {
        put_varint(&mut out, first - end);
        put_varint(&mut out, u64::from(*count));
        end = first + u64::from(*count);
    }
    out
}

/// Whether every open must know what an event of this kind says.
const fn is_taken_in(kind: EventKind) -> bool {
    matches!(kind, EventKind::SCOPE_HELD | EventKind::SCOPE_RELEASED)
}
