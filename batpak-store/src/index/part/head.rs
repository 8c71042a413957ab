//! What an index file says of itself: which events it covers, and which log it was made of.
//!
//! Invariant: a file is used only for segments that hold these very events: positions, bytes and the last chain hash agree.

use batpak_format::{ChainHash, EventId, KeyId, StoreId};

/// Bytes of an encoded head.
pub(super) const HEAD_BYTES: usize = 16 + WORDS * 8 + 32 + 16 + 16;
const WORDS: usize = 11;

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PartHead {
    pub(crate) store: StoreId,
    /// The first segment that it covers, and the last one.
    pub(crate) segment: u64,
    pub(crate) last_segment: u64,
    /// Its positions: the first, and how many.
    pub(crate) first: u64,
    pub(crate) count: u64,
    /// How many entities have their first event here.
    pub(crate) new_entities: u64,
    pub(crate) key_id_max: Option<KeyId>,
    /// The last shred intent.
    pub(crate) intent: Option<LastIntent>,
    /// The intent that the last completion of a shred names.
    pub(crate) completed: Option<u64>,
    /// Whether some intent may have been applied without its keys being gone: a completion says that keys could not be reached, or an
    /// older keyset or log was accepted.
    pub(crate) unreached: bool,
    /// Of the last event.
    pub(crate) chain_hash: ChainHash,
    /// Of the ids that are ordered by time (UUID version 7); a lowest above the highest when there is none.
    pub(crate) id_min: EventId,
    pub(crate) id_max: EventId,
}

/// The last shred intent of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LastIntent {
    pub(crate) position: u64,
    /// The one before it, as it says.
    pub(crate) previous: Option<u64>,
}

/// Whether an id is ordered by time: those of one segment lie close together, and no other segment need be asked for them.
pub(crate) const fn is_time_ordered(id: &EventId) -> bool {
    id.as_bytes()[6] >> 4 == 7
}

impl PartHead {
    /// One past its last position.
    pub(crate) const fn next(&self) -> u64 {
        self.first + self.count
    }

    /// Whether an id may stand here, by its time alone.
    pub(super) fn may_hold(&self, id: &EventId) -> bool {
        !is_time_ordered(id) || (self.id_min.as_bytes()..=self.id_max.as_bytes()).contains(&id.as_bytes())
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEAD_BYTES);
        out.extend_from_slice(self.store.as_bytes());
        let key_id = self.key_id_max.map_or(0, KeyId::as_u64);
        let has_key = u64::from(self.key_id_max.is_some());
        let (from, to) = (self.segment, self.last_segment);
        let behind = |position: Option<u64>| position.map_or(0, |position| position + 1);
        let intent = behind(self.intent.map(|intent| intent.position));
        let previous = behind(self.intent.and_then(|intent| intent.previous));
        let (completed, unreached) = (behind(self.completed), u64::from(self.unreached));
        let words: [u64; WORDS] = [
            from,
            to,
            self.first,
            self.count,
            self.new_entities,
            has_key,
            key_id,
            intent,
            previous,
            completed,
            unreached,
        ];
        words.iter().for_each(|word| out.extend_from_slice(&word.to_le_bytes()));
        out.extend_from_slice(self.chain_hash.as_bytes());
        out.extend_from_slice(self.id_min.as_bytes());
        out.extend_from_slice(self.id_max.as_bytes());
        out
    }

    /// Reads a head; none for what no encoder writes.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (store, rest) = bytes.split_first_chunk::<16>()?;
        let (words, rest) = rest.split_first_chunk::<{ WORDS * 8 }>()?;
        let (chain_hash, rest) = rest.split_first_chunk::<32>()?;
        let (id_min, rest) = rest.split_first_chunk::<16>()?;
        let id_max: &[u8; 16] = rest.try_into().ok()?;
        let mut numbers = [0; WORDS];
        for (number, word) in numbers.iter_mut().zip(words.as_chunks().0) {
            *number = u64::from_le_bytes(*word);
        }
        let [
            segment,
            last_segment,
            first,
            count,
            new_entities,
            has_key,
            key_id,
            intent,
            previous,
            completed,
            unreached,
        ] = numbers;
        let key_id_max = match (has_key, key_id) {
            (1, key_id) => Some(KeyId::from_u64(key_id)),
            (0, 0) => None,
            _ => return None,
        };
        let before = |behind: u64| behind.checked_sub(1);
        let intent = before(intent).map(|position| LastIntent { position, previous: before(previous) });
        let sound =
            segment <= last_segment && (1..=u64::from(u32::MAX)).contains(&count) && first.checked_add(count).is_some();
        sound.then_some(Self {
            store: StoreId::from_bytes(*store),
            segment,
            last_segment,
            first,
            count,
            new_entities,
            key_id_max,
            intent,
            completed: before(completed),
            unreached: unreached != 0,
            chain_hash: ChainHash::from_bytes(*chain_hash),
            id_min: EventId::from_bytes(*id_min),
            id_max: EventId::from_bytes(*id_max),
        })
    }
}
