//! Figures of an open store.

use batpak_format::StoreId;
use batpak_keyset::{Granularity, ProviderKind};

use crate::{
    GateStats, Pending, Store,
    gate::is_inside,
    store::Side,
    sync::{lock, read},
};

/// Figures of an open store, as of one moment.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Stats {
    /// The store.
    pub store: StoreId,
    /// Whether payloads are sealed.
    pub encrypted: bool,
    /// Which events share a key.
    pub granularity: Option<Granularity>,
    /// Who keeps the root secret.
    pub provider: Option<ProviderKind>,
    /// Events, the store's own too.
    pub events: u64,
    /// Entities, the store's own too.
    pub entities: u64,
    /// Segments.
    pub segments: u64,
    /// One past the last position that may be read.
    pub visible_mark: u64,
    /// One past the last position that is known durable; none in a read-only store.
    pub durable_mark: Option<u64>,
    /// Bytes of memory that the index holds.
    pub index_bytes: u64,
    /// Bytes that are placed and not yet written.
    pub in_flight_bytes: u64,
    /// Syncs of the log by appends since the store was opened.
    pub syncs: u64,
    /// A shred or a rekey that is begun and not finished: [`Store::resume`] finishes it, and so does the next open for writing. A
    /// read-only store sees a shred that is pending, and no rekey.
    pub pending: Option<Pending>,
    /// Holds in force.
    pub holds: u64,
    /// What was counted of the store's own gates, in order.
    pub gates: Vec<GateStats>,
    /// The keyset; none in a plaintext store, or without keys.
    pub keyset: Option<KeysetStats>,
}

/// Figures of a keyset. Nothing secret is in them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeysetStats {
    /// The epoch of the newest durable image.
    pub epoch: u64,
    /// Pages.
    pub pages: u64,
    /// Leaves that were reserved, over all pages.
    pub leaves_reserved: u64,
    /// Publications since the store was opened.
    pub publications: u64,
}

impl Store {
    /// Returns figures of the store as of now.
    ///
    /// # Panics
    /// When a gate calls it, which counts as a denial of that gate.
    pub fn stats(&self) -> Stats {
        assert!(!is_inside(), "a gate cannot ask the store for figures");
        let index = read(&self.view.index);
        let (events, entities, index_bytes) = (index.len(), index.entities(), index.bytes() as u64);
        drop(index);
        let (durable_mark, in_flight_bytes, syncs) = match &self.side {
            Side::Writer(writer) => {
                let state = lock(&writer.pipeline.state);
                (Some(state.sync.durable), state.queued_bytes as u64, state.sync.count)
            }
            Side::Reader(_) => (None, 0, 0),
        };
        Stats {
            store: self.info.store,
            encrypted: self.info.encrypted,
            granularity: self.info.granularity,
            provider: self.info.provider,
            events,
            entities,
            segments: self.active_segment(),
            visible_mark: self.view.visible(),
            durable_mark,
            index_bytes,
            in_flight_bytes,
            syncs,
            pending: self.keys().and_then(|keys| {
                let on_record = read(&keys.shreds).pending().map(|intent| Pending::Shred { intent });
                on_record.or_else(|| keys.begun().map(|begun| begun.what))
            }),
            holds: read(&self.view.holds).len(),
            gates: self.config.gates.stats(),
            keyset: self.keys().map(|keys| {
                keys.with_keyset(|keyset| KeysetStats {
                    epoch: keyset.epoch(),
                    pages: keyset.pages().count() as u64,
                    leaves_reserved: keyset.pages().map(|page| u64::from(page.reserved)).sum(),
                    publications: keys.publications(),
                })
            }),
        }
    }

    /// The number of the last segment that holds a written event; segments are numbered from 1 without a gap.
    ///
    /// Those before it are rolled. It is not: an event may be placed in a later one while this one is still written to.
    pub(crate) fn active_segment(&self) -> u64 {
        read(&self.view.index).segment_of(self.written_mark())
    }
}
