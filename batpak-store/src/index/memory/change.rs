//! How the index in memory changes: at its end, an event at a time.

use batpak_format::{ChainHash, EventId, KeyId};
use batpak_keyset::KeyScope;
use smallvec::smallvec;

use super::{MemoryPart, OwnKeys, Row, Stream};
use crate::index::{Entry, Head, IdHash, KeyHash, Times, is_time_ordered, seen::Seen};

impl MemoryPart {
    /// Whether the entity's head can be told from this part alone. It is the one that will be asked for next.
    pub(crate) fn recalls(&mut self, entity: &str) -> bool {
        let number = self.entities.recall(entity);
        let stream = number.and_then(|number| self.streams.get(number as usize));
        stream.is_some_and(|stream| !stream.positions.is_empty() || stream.before.is_some())
    }

    /// As [`MemoryPart::head`], for an entity that an event is about to be added to.
    pub(crate) fn recall_head(&mut self, entity: &str) -> Option<Head> {
        let number = self.entities.recall(entity)?;
        self.head_of(number)
    }

    /// Notes the head that an entity has before this part's events.
    pub(crate) fn note_head(&mut self, entity: &str, head: Head) {
        let number = self.entities.number(entity) as usize;
        let stream = Stream {
            positions: Vec::new(),
            chain_hash: head.chain_hash,
            first_revision: head.revision + 1,
            before: Some(head.position),
            key: None,
        };
        match self.streams.get_mut(number) {
            Some(known) => *known = stream,
            None => self.streams.push(stream),
        }
    }

    /// Goes on in another segment, while there are no events. What is noted of the one that it was in says nothing of that.
    pub(crate) fn move_to(&mut self, segment: u64) {
        debug_assert!(self.is_empty(), "events stay in their segment");
        self.segment = segment;
        (self.entities.seen, self.keys_seen) = (Seen::default(), Seen::default());
    }

    /// Adds the next event, which stands in this part's segment.
    ///
    /// # Panics
    /// When the segment passes 4 GiB, which no segment does.
    pub(crate) fn push(&mut self, entry: &Entry<'_>) {
        self.push_hashed(entry, IdHash::of(&entry.id));
    }

    /// As [`MemoryPart::push`], with the hash of the event's id at hand.
    pub(crate) fn push_hashed(&mut self, entry: &Entry<'_>, hash: IdHash) {
        debug_assert_eq!((entry.position, entry.address.segment), (self.next(), self.segment), "positions are dense");
        let place = u32::try_from(self.ids.len()).expect("a segment below 4 GiB holds fewer events");
        let offset = u32::try_from(entry.address.offset).expect("a frame begins below 4 GiB of its segment");
        self.end = entry.address.offset + u64::from(entry.len);
        let stream = self.push_stream(entry, place);
        let scope = self.scopes.number(entry.scope);
        self.rows.push(Row { offset, stream, scope });
        self.kinds.push(entry.kind);
        self.times = Some(Times::and(self.times, entry.time));
        self.push_id(entry.id, hash, place);
        self.push_edges(entry, place);
        self.by_kind.push(entry.kind, place);
        self.by_scope.push(scope, place);
        self.push_tags(entry.tags, place);
        match (entry.key_scope, entry.key_id) {
            (Some(scope), Some(key_id)) => self.push_key(scope, key_id, stream, place),
            (None, Some(key_id)) => self.push_own_key(key_id, place),
            (_, None) => {}
        }
    }

    fn push_stream(&mut self, entry: &Entry<'_>, place: u32) -> u32 {
        let number = self.entities.number(entry.entity);
        if number as usize == self.streams.len() {
            self.streams.push(Stream {
                positions: Vec::new(),
                chain_hash: entry.chain_hash,
                first_revision: entry.revision,
                before: None,
                key: None,
            });
        }
        if let Some(stream) = self.streams.get_mut(number as usize) {
            stream.positions.push(place);
            stream.chain_hash = entry.chain_hash;
        }
        number
    }

    fn push_id(&mut self, id: EventId, hash: IdHash, place: u32) {
        self.ids.push(id);
        if is_time_ordered(&id) {
            let (least, most) = self.id_range.unwrap_or((id, id));
            let by_bytes = |id: &EventId| *id.as_bytes();
            self.id_range = Some((std::cmp::min_by_key(least, id, by_bytes), std::cmp::max_by_key(most, id, by_bytes)));
        }
        self.by_id.push(&id, hash, place, &self.ids);
    }

    /// A key is of one key scope: where the entity's event before this one has it, it is noted already.
    fn push_key(&mut self, scope: &KeyScope, key_id: KeyId, stream: u32, place: u32) {
        if let Some(stream) = self.streams.get_mut(stream as usize)
            && stream.key.replace(key_id) == Some(key_id)
        {
            return;
        }
        let hash = KeyHash::of(scope.as_bytes());
        match self.keys.find_mut(hash.as_u64(), |(known, _)| known == scope) {
            Some((_, keys)) => {
                if keys.last().is_none_or(|(last, _)| *last != key_id) {
                    keys.push((key_id, place));
                }
            }
            None => {
                self.key_bytes += scope.as_bytes().len();
                let fresh = (scope.clone(), smallvec![(key_id, place)]);
                self.keys_seen.add(hash);
                self.keys.insert_unique(hash.as_u64(), fresh, |(scope, _)| KeyHash::of(scope.as_bytes()).as_u64());
            }
        }
    }

    fn push_own_key(&mut self, key_id: KeyId, place: u32) {
        let leaf = key_id.as_u64();
        match self.own_keys.last_mut() {
            Some(run) if run.first + u64::from(run.count) == leaf && run.place + run.count == place => run.count += 1,
            _ => self.own_keys.push(OwnKeys { first: leaf, count: 1, place }),
        }
    }

    fn push_edges(&mut self, entry: &Entry<'_>, place: u32) {
        self.causes.push(place, entry.causes.iter().copied());
        self.correlations.push(place, entry.correlation);
        for cause in entry.causes {
            self.caused_by.push(cause.id, place);
        }
        if let Some(correlation) = entry.correlation {
            self.correlated.push(correlation, place);
        }
    }

    fn push_tags(&mut self, tags: &[&str], place: u32) {
        let (names, tagged) = (&mut self.tag_names, &mut self.tagged);
        let numbers = tags.iter().map(|tag| {
            let number = names.number(tag);
            tagged.push(number, place);
            number
        });
        self.tags.push(place, numbers);
    }

    /// Takes the last event back; `previous` is the chain hash of the entity's event before it.
    pub(crate) fn pop(&mut self, previous: ChainHash) {
        let (Some(id), Some(row)) = (self.ids.pop(), self.rows.pop()) else { return };
        let place = self.ids.len() as u32;
        self.by_id.pop(&id, place);
        if let Some(stream) = self.streams.get_mut(row.stream as usize) {
            stream.positions.pop();
            stream.chain_hash = previous;
            stream.key = None;
        }
        self.end = u64::from(row.offset);
        self.causes.pop(place);
        self.correlations.pop(place);
        self.caused_by.pop(place);
        self.correlated.pop(place);
        if let Some(kind) = self.kinds.pop() {
            self.by_kind.pop(kind);
        }
        self.by_scope.pop(row.scope);
        self.tags.pop(place);
        self.tagged.pop(place);
        self.pop_own_key(place);
        // Rare: only a failed write takes events back, and it takes few.
        self.keys.retain(|(_, keys)| {
            keys.retain(|(_, first)| *first != place);
            !keys.is_empty()
        });
    }

    fn pop_own_key(&mut self, place: u32) {
        let Some(run) = self.own_keys.last_mut().filter(|run| run.place + run.count == place + 1) else { return };
        run.count -= 1;
        if run.count == 0 {
            self.own_keys.pop();
        }
    }
}
