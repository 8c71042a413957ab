//! Where the ids of a segment stand: one small table for every few thousand ids that come in their order, and one for all others.
//!
//! Ids that are ordered by time come nearly so. One table of all of them would be as large as the segment has events, and each append
//! would wait for memory to be fetched, under the commit lock; the table of the latest few thousand stays in the processor's cache, and
//! which of the small tables an id is in is told by its time.
//!
//! Invariant: the ids of a small table are above all those of the ones before, so that an id is looked for in one of them and, where there
//! are others, among these.

use batpak_format::EventId;
use hashbrown::HashTable;

use super::{IdHash, column::Column, is_time_ordered};

/// So many ids fill 4,096 places of a table.
const SPAN_IDS: usize = 3584;

/// See the module. It keeps places; the ids are in a column.
#[derive(Clone, Debug)]
pub(super) struct IdTable {
    spans: Vec<Span>,
    /// The highest id of the spans; one that was taken back may stay it.
    most: [u8; 16],
    /// Ids that are not ordered by time, and those that came late.
    others: HashTable<u32>,
}

/// Ids that came in their order.
#[derive(Clone, Debug)]
struct Span {
    /// Its ids are above, and those of the spans before are not.
    above: [u8; 16],
    /// The place of the first one; the table keeps how far behind it each stands.
    start: u32,
    places: HashTable<u16>,
}

impl Span {
    fn new(above: [u8; 16], start: u32) -> Self {
        Self { above, start, places: HashTable::with_capacity(SPAN_IDS) }
    }

    fn place(&self, behind: u16) -> u32 {
        self.start + u32::from(behind)
    }

    /// How far behind its start an id at a place would stand; none when it takes no more.
    fn behind(&self, place: u32) -> Option<u16> {
        let behind = u16::try_from(place - self.start).ok()?;
        (self.places.len() < SPAN_IDS).then_some(behind)
    }
}

impl IdTable {
    /// Makes a table with room for so many ids that come out of their order.
    pub(super) fn with_capacity(others: usize) -> Self {
        Self { spans: Vec::new(), most: [0; 16], others: HashTable::with_capacity(others) }
    }

    /// How many ids came out of their order.
    pub(super) fn others(&self) -> usize {
        self.others.len()
    }

    /// The number of the span that an id is in if it came in its order.
    fn span_of(&self, id: &EventId) -> Option<usize> {
        // One that was drawn a moment ago is mostly above all.
        if !is_time_ordered(id) || *id.as_bytes() > self.most {
            return None;
        }
        let is_below = |span: &Span| span.above < *id.as_bytes();
        // The latest ids are asked for most.
        match self.spans.last() {
            Some(last) if is_below(last) => Some(self.spans.len() - 1),
            _ => self.spans.partition_point(is_below).checked_sub(1),
        }
    }

    /// Returns the place of an id.
    pub(super) fn find(&self, id: &EventId, hash: IdHash, ids: &Column<EventId>) -> Option<u32> {
        let is_at = |place: u32| ids.get(place as usize).as_ref() == Some(id);
        let in_order = self.span_of(id).and_then(|number| {
            let span = self.spans.get(number)?;
            span.places.find(hash.as_u64(), |behind| is_at(span.place(*behind))).map(|behind| span.place(*behind))
        });
        in_order.or_else(|| self.others.find(hash.as_u64(), |place| is_at(*place)).copied())
    }

    /// Adds an id at the next place, which the column has already.
    pub(super) fn push(&mut self, id: &EventId, hash: IdHash, place: u32, ids: &Column<EventId>) {
        let is_ordered = is_time_ordered(id);
        if is_ordered && *id.as_bytes() > self.most && self.spans.last().is_none_or(|last| last.behind(place).is_none())
        {
            self.spans.push(Span::new(self.most, place));
        }
        let hash_at = |place: u32| ids.get(place as usize).map_or(0, |id| IdHash::of(&id).as_u64());
        if let Some(last) = self.spans.last_mut().filter(|last| is_ordered && *id.as_bytes() > last.above)
            && let Some(behind) = last.behind(place)
        {
            let start = last.start;
            last.places.insert_unique(hash.as_u64(), behind, |behind| hash_at(start + u32::from(*behind)));
            self.most = self.most.max(*id.as_bytes());
        } else {
            self.others.insert_unique(hash.as_u64(), place, |place| hash_at(*place));
        }
    }

    /// Takes the id at the last place back.
    pub(super) fn pop(&mut self, id: &EventId, place: u32) {
        let hash = IdHash::of(id).as_u64();
        if let Ok(found) = self.others.find_entry(hash, |at| *at == place) {
            found.remove();
        } else if let Some(last) = self.spans.last_mut() {
            let start = last.start;
            if let Ok(found) = last.places.find_entry(hash, |behind| start + u32::from(*behind) == place) {
                found.remove();
            }
            if last.places.is_empty() {
                self.spans.pop();
            }
        }
    }

    /// The bytes of memory that it holds.
    pub(super) fn bytes(&self) -> usize {
        let spans: usize = self.spans.iter().map(|span| span.places.allocation_size()).sum();
        spans + self.spans.capacity() * size_of::<Span>() + self.others.allocation_size()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Ids {
        column: Column<EventId>,
        table: IdTable,
    }

    impl Ids {
        fn new() -> Self {
            Self { column: Column::new(), table: IdTable::with_capacity(0) }
        }

        fn push(&mut self, id: EventId) {
            let place = self.column.len() as u32;
            self.column.push(id);
            self.table.push(&id, IdHash::of(&id), place, &self.column);
        }

        fn pop(&mut self) {
            let id = self.column.pop().unwrap();
            self.table.pop(&id, self.column.len() as u32);
        }

        fn find(&self, id: &EventId) -> Option<u32> {
            self.table.find(id, IdHash::of(id), &self.column)
        }

        /// Every id is where it was put, and no other is anywhere.
        fn check(&self) {
            for (place, id) in self.column.iter().enumerate() {
                assert_eq!(self.find(&id), Some(place as u32));
            }
            assert_eq!((self.find(&at(u64::MAX >> 16, 9)), self.find(&EventId::from_key(b"none"))), (None, None));
        }
    }

    fn at(millis: u64, random: u16) -> EventId {
        let mut bits = [0; 10];
        bits[..2].copy_from_slice(&random.to_be_bytes());
        EventId::time_ordered(millis, bits)
    }

    /// Seven in a millisecond, in no order there.
    fn in_time(n: u64) -> EventId {
        at(1000 + n / 7, (n as u16).wrapping_mul(40_503))
    }

    #[test]
    fn id_table_finds_ids_in_order_late_ones_and_those_without_time() {
        let mut ids = Ids::new();
        let count = 3 * SPAN_IDS as u64;
        for n in 0..count {
            ids.push(match n % 50 {
                7 => EventId::from_key(&n.to_le_bytes()),
                9 => at(n / 50, 3),
                _ => in_time(n),
            });
        }
        ids.check();
        assert!(ids.table.spans.len() >= 3, "{} spans", ids.table.spans.len());
        // Those by key, those of another time behind the first span, and few at a span's end.
        let others = ids.table.others();
        assert!((count as usize / 50 + 1..count as usize / 20).contains(&others), "{others} others");
    }

    #[test]
    fn id_table_finds_ids_in_any_order_and_behind_one_far_ahead() {
        let mut ids = Ids::new();
        ids.push(at(1 << 40, 0));
        (0..2 * SPAN_IDS as u64).for_each(|n| ids.push(in_time(n * 7_919 % 100_003)));
        ids.check();
        assert_eq!(ids.table.spans.len(), 1);
        let distant = (0..70_000).map(|n| EventId::from_key(&u64::to_le_bytes(n)));
        let mut ids = Ids::new();
        std::iter::once(at(1, 1)).chain(distant).chain([at(2, 2)]).for_each(|id| ids.push(id));
        ids.check();
        assert_eq!((ids.table.spans.len(), ids.table.others()), (2, 70_000), "a span reaches 65,536 places");
    }

    #[test]
    fn id_table_pop_takes_back_across_spans_and_goes_on() {
        let mut ids = Ids::new();
        let count = SPAN_IDS as u64 + 40;
        (0..count).for_each(|n| ids.push(in_time(n)));
        (0..60).for_each(|_| ids.pop());
        ids.check();
        assert_eq!(ids.table.spans.len(), 1);
        assert_eq!(ids.find(&in_time(count - 1)), None);
        (0..60).for_each(|n| ids.push(in_time(count + n)));
        ids.check();
        assert_eq!(ids.table.spans.len(), 2);
        while ids.column.len() > 0 {
            ids.pop();
        }
        assert!(ids.table.spans.is_empty() && ids.table.others() == 0);
    }
}
