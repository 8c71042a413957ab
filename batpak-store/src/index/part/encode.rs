//! The bytes of an index file, made of a part in memory.
//!
//! Invariant: what the part answers, the file answers.

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
use crate::index::memory::MemoryPart;

/// The version of every section's layout.
pub(super) const VERSION: u16 = 3;

impl MemoryPart {
    /// The index file of these events, with what their segment says of itself if it ends with them; none when there are no events.
    pub(super) fn encode(&self, store: &StoreId, rolled: Option<KnownSegment>, shreds: &ShredFacts) -> Option<Vec<u8>> {
        let head = shreds.head(self.part_head(*store)?);
        let begin = u64::from(self.rows.get(0)?.offset);
        let (segment, end, first, chain_hash) = (self.segment, self.end, head.first, head.chain_hash);
        let mut spans = Vec::new();
        Span { segment, begin, end, first, times: self.times()?, chain_hash, rolled }.encode(&mut spans);
        let offsets: Vec<u8> = self.rows.iter().flat_map(|row| row.offset.to_le_bytes()).collect();
        let mut footer = FooterBuilder::new().section(Section::Head.tag(), VERSION, &head.encode()).section(
            Section::Offsets.tag(),
            VERSION,
            &offsets,
        );
        let mut ids: Vec<(u64, u32)> =
            self.ids.iter().zip(0..).map(|(id, at)| (hash(store, id.as_bytes()), at)).collect();
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

    fn part_head(&self, store: StoreId) -> Option<PartHead> {
        let last_row = self.rows.get(self.rows.len().checked_sub(1)?)?;
        let ids = self.id_range();
        Some(PartHead {
            store,
            segment: self.segment,
            last_segment: self.segment,
            first: self.first(),
            count: self.rows.len() as u64,
            new_entities: self.new_entities(),
            key_id_max: self.named().last().map(|(first, count)| KeyId::from_u64(first + u64::from(*count) - 1)),
            intent: None,
            completed: None,
            unreached: false,
            chain_hash: self.streams.get(last_row.stream as usize)?.chain_hash,
            id_min: ids.map_or(EventId::from_bytes([0xff; 16]), |(least, _)| least),
            id_max: ids.map_or(EventId::from_bytes([0; 16]), |(_, most)| most),
        })
    }

    fn keyed(&self, store: &StoreId) -> [(Section, KeyedBuilder); 7] {
        let mut sections = Section::KEYED.map(|section| (section, KeyedBuilder::default()));
        let [entities, scopes, kinds, tags, causes, correlations, key_scopes] = &mut sections;
        for (name, stream) in self.entities.iter().zip(&self.streams) {
            entities.1.add(hash(store, name.as_bytes()), stream.first_revision, &stream.positions);
        }
        let mut list: Vec<u32> = Vec::new();
        let mut put = |builder: &mut KeyedBuilder, key: &[u8], newest_first: &mut dyn Iterator<Item = u32>| {
            list.clear();
            list.extend(newest_first);
            list.reverse();
            // An event that has a key twice stands twice in its list.
            list.dedup();
            builder.add(hash(store, key), 0, &list);
        };
        for (name, number) in self.scopes.iter().zip(0..) {
            put(&mut scopes.1, name.as_bytes(), &mut self.by_scope.newest_first(&number));
        }
        for kind in self.by_kind.keys() {
            put(&mut kinds.1, &kind.as_u16().to_le_bytes(), &mut self.by_kind.newest_first(kind));
        }
        for (name, number) in self.tag_names.iter().zip(0..) {
            put(&mut tags.1, name.as_bytes(), &mut self.tagged.newest_first(&number));
        }
        for id in self.caused_by.keys() {
            put(&mut causes.1, id.as_bytes(), &mut self.caused_by.newest_first(id));
        }
        for id in self.correlated.keys() {
            put(&mut correlations.1, id.as_bytes(), &mut self.correlated.newest_first(id));
        }
        for (scope, keys) in &self.keys {
            put(&mut key_scopes.1, scope.as_bytes(), &mut keys.iter().rev().map(|(_, first)| *first));
        }
        sections
    }

    /// The places of the store's own events, 32 bits each.
    fn records_bytes(&self) -> Vec<u8> {
        let own = self.kinds.iter().zip(0_u32..).filter(|(kind, _)| is_taken_in(*kind));
        own.flat_map(|(_, place)| place.to_le_bytes()).collect()
    }
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
