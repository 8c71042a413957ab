//! The plain list that the store is held against: its events, and how much of it a crash must leave.

use std::collections::{BTreeMap, BTreeSet};

use batpak_store::{
    Coordinate, Durability, Event, EventId, EventKind, Expect, GateSet, Granularity, NewEvent, Payload, Repeat,
    keyset::KeyScope,
};

use super::{rules::Rules, shreds::Hold};

/// Ids are made of so many keys, so that they are met again.
pub const KEYS: u8 = 24;
pub const ENTITIES: [&str; 3] = ["a", "b", "c"];
pub const SCOPES: [&str; 2] = ["s", "t"];
pub const KINDS: [(u8, u16); 3] = [(1, 7), (1, 8), (2, 7)];

/// One event to append. What stands in clear follows from the key, but for the cause.
#[derive(Clone, Debug)]
pub struct Draw {
    pub key: u8,
    pub content: u8,
    pub cause: Option<u8>,
    pub durability: Durability,
    pub rules: Rules,
}

/// An event of the list.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed {
    pub id: EventId,
    pub at: Coordinate,
    pub kind: EventKind,
    pub payload: Vec<u8>,
    pub cause: Option<EventId>,
    pub correlation: Option<EventId>,
    pub tag: Option<&'static str>,
    pub revision: u64,
    /// Numbers the keys in the order in which they were minted.
    pub key: u64,
    /// Position of the intent that destroyed its key.
    pub shredded: Option<u64>,
}

/// What the log must be.
pub struct Model {
    /// By position; none where an event of the store itself stands.
    pub events: Vec<Option<Listed>>,
    /// For each event where its batch begins.
    unit: Vec<usize>,
    pub written: usize,
    pub synced: usize,
    /// How many shreds were done.
    pub shreds: usize,
    /// None for a plaintext store.
    pub granularity: Option<Granularity>,
    /// Whether a denial becomes an event.
    pub denials_recorded: bool,
    /// Key scopes that take no events.
    pub refused: BTreeSet<KeyScope>,
    /// Key scopes that have a key though none of their events is in the log.
    pub provisional: BTreeMap<KeyScope, u64>,
    /// How many keys were minted.
    pub minted: u64,
    /// Keys of before the last opens that no event names. An id that was not published with its key stands for the next one.
    pub forgotten: BTreeSet<u64>,
    /// In the order of the log.
    pub holds: Vec<Hold>,
}

/// What an append must answer.
#[derive(Debug, PartialEq)]
pub enum Answer {
    /// Positions, and the gates that permitted.
    Fresh(Vec<u64>, Option<Vec<String>>),
    Repeat(Vec<(u64, Repeat)>),
    Conflict(EventId),
    Partly(EventId),
    Shredded,
    Unknown(EventId),
    Twice(EventId),
    Unexpected {
        event: usize,
        expected: Expect,
        actual: Option<u64>,
    },
    Condition(u64),
    Denied {
        event: usize,
        gate: String,
        code: String,
        recorded: Option<u64>,
    },
}

pub fn id(key: u8) -> EventId {
    EventId::from_key(&[key])
}

pub fn at(key: u8) -> Coordinate {
    Coordinate::new(ENTITIES[usize::from(key) % 3], SCOPES[usize::from(key) / 3 % 2]).unwrap()
}

pub fn kind(key: u8) -> EventKind {
    let (category, kind) = KINDS[usize::from(key) / 6 % 3];
    EventKind::new(category, kind).unwrap()
}

impl Draw {
    pub fn listed(&self) -> Listed {
        Listed {
            id: id(self.key),
            at: at(self.key),
            kind: kind(self.key),
            payload: vec![self.content; 100 + usize::from(self.content) * 150],
            cause: self.cause.map(id),
            correlation: self.key.is_multiple_of(5).then(|| id(KEYS)),
            tag: self.key.is_multiple_of(2).then_some("even"),
            revision: 0,
            key: 0,
            shredded: None,
        }
    }

    pub fn event<'a>(&self, listed: &'a Listed, gates: &'a GateSet) -> NewEvent<'a> {
        let mut event = NewEvent::new(listed.at.clone(), listed.kind, &listed.payload).id(listed.id);
        event = self.rules.onto(event.durability(self.durability)).gates(gates);
        event = listed.cause.map_or(event.clone(), |cause| event.cause(cause));
        event = listed.correlation.map_or(event.clone(), |id| event.correlation(id));
        listed.tag.map_or(event.clone(), |tag| event.tag(tag))
    }
}

impl Listed {
    /// Whether an event that was read is this one.
    pub fn is(&self, found: &Event) -> bool {
        let header = &found.header;
        let payload = match (&found.payload, self.shredded) {
            (Payload::Open(bytes), None) => bytes.as_ref() == self.payload,
            (Payload::Shredded(proof), Some(intent)) => proof.intent == intent,
            _ => false,
        };
        let tags: Vec<&str> = header.tags.iter().collect();
        payload
            && (header.id, &header.coordinate, header.kind) == (self.id, &self.at, self.kind)
            && (header.revision, header.correlation) == (self.revision, self.correlation)
            && header.causes.iter().next().map(|cause| cause.id) == self.cause
            && tags.first().copied() == self.tag
    }

    fn same_header(&self, other: &Self) -> bool {
        self.cause == other.cause
    }
}

impl Model {
    /// A new log: the genesis event and nothing else.
    pub fn new(granularity: Option<Granularity>, denials_recorded: bool) -> Self {
        Self {
            events: vec![None],
            unit: vec![0],
            written: 1,
            synced: 1,
            shreds: 0,
            granularity,
            denials_recorded,
            refused: BTreeSet::new(),
            provisional: BTreeMap::new(),
            minted: 0,
            forgotten: BTreeSet::new(),
            holds: Vec::new(),
        }
    }

    pub fn find(&self, id: EventId) -> Option<usize> {
        self.events.iter().position(|event| event.as_ref().is_some_and(|event| event.id == id))
    }

    /// The events of callers, with their positions.
    pub fn listed(&self) -> impl Iterator<Item = (u64, &Listed)> {
        (0..self.events.len() as u64).zip(&self.events).filter_map(|(at, event)| Some((at, event.as_ref()?)))
    }

    /// Revision of an entity's last event.
    pub fn head(&self, entity: &str) -> Option<u64> {
        (self.listed().filter(|(_, event)| event.at.entity() == entity).count() as u64).checked_sub(1)
    }

    pub fn append(&mut self, draws: &[Draw]) -> Answer {
        let batch: Vec<Listed> = draws.iter().map(Draw::listed).collect();
        let durability = draws.iter().map(|draw| draw.durability).max().unwrap();
        let found: Vec<_> = batch.iter().map(|event| self.find(event.id)).collect();
        if let Some(first) = found.iter().position(Option::is_some) {
            return self.repeat(&batch, &found, batch[first].id, durability);
        }
        if let Some(refused) = self.take_keys(&batch) {
            return refused;
        }
        for (n, event) in batch.iter().enumerate() {
            let earlier = |id| batch[..n].iter().any(|event| event.id == id);
            match event.cause {
                Some(cause) if self.find(cause).is_none() && !earlier(cause) => return Answer::Unknown(cause),
                _ if earlier(event.id) => return Answer::Twice(event.id),
                _ => {}
            }
        }
        match self.decide(draws) {
            Ok(gates) => Answer::Fresh(self.place(&batch, durability), gates),
            Err(refused) => self.put_on_record(refused, durability),
        }
    }

    fn place(&mut self, batch: &[Listed], durability: Durability) -> Vec<u64> {
        let from = self.events.len();
        for event in batch {
            let revision = self.head(event.at.entity()).map_or(0, |head| head + 1);
            let key = self.key_for(event);
            self.events.push(Some(Listed { revision, key, ..event.clone() }));
            self.unit.push(from);
        }
        self.reached(self.events.len(), durability);
        (from as u64..self.events.len() as u64).collect()
    }

    /// A denial becomes an event of the store where that is asked for, as durable as the append.
    fn put_on_record(&mut self, refused: Answer, durability: Durability) -> Answer {
        match refused {
            Answer::Denied { event, gate, code, recorded: None } if self.denials_recorded => {
                let recorded = Some(self.own_event(durability));
                Answer::Denied { event, gate, code, recorded }
            }
            other => other,
        }
    }

    fn repeat(&mut self, batch: &[Listed], found: &[Option<usize>], first: EventId, asks: Durability) -> Answer {
        let Some(found) = found.iter().copied().collect::<Option<Vec<_>>>() else { return Answer::Partly(first) };
        let mut repeats = Vec::new();
        for (event, at) in batch.iter().zip(&found) {
            // What is compared is waited for first.
            self.reached(at + 1, asks.max(Durability::Buffered));
            let Some(there) = &self.events[*at] else { panic!("an event of the store has no key of a caller") };
            let same = event.same_header(there) && (there.shredded.is_some() || there.payload == event.payload);
            if !same {
                return Answer::Conflict(event.id);
            }
            let unchecked = there.shredded.map(|_| Repeat::ContentUnchecked);
            repeats.push((*at as u64, unchecked.unwrap_or(Repeat::SameContent)));
        }
        Answer::Repeat(repeats)
    }

    pub fn reached(&mut self, below: usize, durability: Durability) {
        if durability >= Durability::Buffered {
            self.written = self.written.max(below);
        }
        if durability == Durability::Synced {
            self.synced = self.synced.max(below);
        }
    }

    /// Appends events of the store itself, synced.
    pub fn system(&mut self, count: usize) {
        for _ in 0..count {
            self.own_event(Durability::Synced);
        }
    }

    fn own_event(&mut self, durability: Durability) -> u64 {
        let position = self.events.len();
        self.unit.push(position);
        self.events.push(None);
        self.reached(self.events.len(), durability);
        position as u64
    }

    /// Takes over what a crash has left: all that must be there, then as much as there is, whole batches only.
    pub fn cut(&mut self, left: usize, least: usize) {
        assert!((least..=self.events.len()).contains(&left), "{left} of {}, at least {least}", self.events.len());
        assert!(left == self.events.len() || self.unit[left] == left, "a batch was cut in two");
        self.events.truncate(left);
        self.unit.truncate(left);
        (self.written, self.synced) = (left, left);
        // A key that no event in the log names is gone. Its id is taken again if no image was published while it was there.
        self.forgotten.extend(std::mem::take(&mut self.provisional).into_values());
    }
}
