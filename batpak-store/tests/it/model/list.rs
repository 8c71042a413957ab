//! The plain list that the store is held against: its events, which of their keys are destroyed, and how much a crash must leave.

use std::collections::BTreeSet;

use batpak_store::{
    Coordinate, Durability, Event, EventId, EventKind, Granularity, NewEvent, Payload, Repeat, Selector,
    keyset::{KeyScope, scope_for},
};

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
    granularity: Option<Granularity>,
    /// Key scopes that take no events.
    refused: BTreeSet<KeyScope>,
    /// Key scopes that have a key though none of their events is in the log.
    provisional: BTreeSet<KeyScope>,
}

/// What an append must answer.
#[derive(Debug, PartialEq)]
pub enum Answer {
    Fresh(Vec<u64>),
    Repeat(Vec<(u64, Repeat)>),
    Conflict(EventId),
    Partly(EventId),
    Shredded,
    Unknown(EventId),
    Twice(EventId),
}

/// What a shred must answer.
#[derive(Debug, PartialEq, Eq)]
pub enum ShredAnswer {
    Done { intent: u64, scopes: usize, keys: u64 },
    Nothing,
    Plaintext,
    WrongGranularity(Granularity),
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

/// The granularity that a selector is of.
pub fn granularity(selector: &Selector) -> Granularity {
    match selector {
        Selector::Category(_) => Granularity::Category,
        Selector::Coordinate(_) => Granularity::Coordinate,
        Selector::Entity(_) => Granularity::Entity,
        Selector::Event(_) => Granularity::Event,
        Selector::Kind(_) => Granularity::Kind,
        Selector::Scope(_) => Granularity::Scope,
        other => panic!("{other:?}"),
    }
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
            shredded: None,
        }
    }

    pub fn event<'a>(&self, listed: &'a Listed) -> NewEvent<'a> {
        let mut event = NewEvent::new(listed.at.clone(), listed.kind, &listed.payload).id(listed.id);
        event = event.durability(self.durability);
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
    pub fn new(granularity: Option<Granularity>) -> Self {
        Self {
            events: vec![None],
            unit: vec![0],
            written: 1,
            synced: 1,
            shreds: 0,
            granularity,
            refused: BTreeSet::new(),
            provisional: BTreeSet::new(),
        }
    }

    pub fn find(&self, id: EventId) -> Option<usize> {
        self.events.iter().position(|event| event.as_ref().is_some_and(|event| event.id == id))
    }

    /// The events of callers, with their positions.
    pub fn listed(&self) -> impl Iterator<Item = (u64, &Listed)> {
        (0..self.events.len() as u64).zip(&self.events).filter_map(|(at, event)| Some((at, event.as_ref()?)))
    }

    fn scope(&self, event: &Listed) -> Option<KeyScope> {
        Some(scope_for(self.granularity?, &event.at, event.kind, event.id))
    }

    pub fn append(&mut self, batch: &[Listed], durability: Durability) -> Answer {
        let found: Vec<_> = batch.iter().map(|event| self.find(event.id)).collect();
        if let Some(first) = found.iter().position(Option::is_some) {
            return self.repeat(batch, &found, batch[first].id, durability);
        }
        if let Some(refused) = self.take_keys(batch) {
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
        let from = self.events.len();
        for event in batch {
            let revision = self.listed().filter(|(_, other)| other.at.entity() == event.at.entity()).count() as u64;
            if let Some(scope) = self.scope(event) {
                self.provisional.remove(&scope);
            }
            self.events.push(Some(Listed { revision, ..event.clone() }));
            self.unit.push(from);
        }
        self.reached(self.events.len(), durability);
        Answer::Fresh((from..self.events.len()).map(|n| n as u64).collect())
    }

    /// Each event takes the key of its key scope, or a fresh one, before anything else is looked at.
    fn take_keys(&mut self, batch: &[Listed]) -> Option<Answer> {
        if self.granularity == Some(Granularity::Event) {
            return None;
        }
        for event in batch {
            let scope = self.scope(event)?;
            if self.refused.contains(&scope) && !self.provisional.contains(&scope) {
                return Some(Answer::Shredded);
            }
            let has_key = |listed: &Listed| listed.shredded.is_none() && self.scope(listed).as_ref() == Some(&scope);
            if !self.listed().any(|(_, listed)| has_key(listed)) {
                self.provisional.insert(scope);
            }
        }
        None
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
            self.unit.push(self.events.len());
            self.events.push(None);
        }
        self.reached(self.events.len(), Durability::Synced);
    }

    pub fn shred(&mut self, selectors: &[Selector]) -> ShredAnswer {
        let Some(own) = self.granularity else { return ShredAnswer::Plaintext };
        if let Some(asked) = selectors.iter().map(granularity).find(|asked| !asked.covers(own)) {
            return ShredAnswer::WrongGranularity(asked);
        }
        // All that is placed is synced first, whatever comes of it.
        self.reached(self.events.len(), Durability::Synced);
        let covers = |event: &Listed| selectors.iter().any(|selector| selects(selector, event));
        let live = |event: &Listed| own != Granularity::Event || event.shredded.is_none();
        let victims = self.listed().filter(|(_, event)| covers(event) && live(event));
        let mut scopes: BTreeSet<KeyScope> = victims.filter_map(|(_, event)| self.scope(event)).collect();
        if own != Granularity::Event {
            // What is shredded already has nothing left to lose, unless it is named itself.
            scopes.retain(|scope| self.has_key(scope) || !self.refused.contains(scope));
            let named = selectors.iter().filter(|selector| granularity(selector) == own).map(scope_of);
            scopes.extend(named);
            let minted =
                self.provisional.iter().filter(|scope| selectors.iter().any(|it| scope_of(it).contains(scope)));
            scopes.extend(minted.cloned().collect::<Vec<_>>());
        }
        if scopes.is_empty() {
            return ShredAnswer::Nothing;
        }
        let intent = self.events.len() as u64;
        let keys = scopes.iter().filter(|scope| self.has_key(scope)).count() as u64;
        for position in 0..self.events.len() {
            let scope = self.events[position].as_ref().and_then(|event| self.scope(event));
            if let (Some(scope), Some(event)) = (scope, &mut self.events[position])
                && scopes.contains(&scope)
            {
                event.shredded.get_or_insert(intent);
            }
        }
        self.provisional.retain(|scope| !scopes.contains(scope));
        let answer = ShredAnswer::Done { intent, scopes: scopes.len(), keys };
        self.refused.extend(scopes);
        self.shreds += 1;
        self.system(2);
        answer
    }

    fn has_key(&self, scope: &KeyScope) -> bool {
        let sealed = |event: &Listed| event.shredded.is_none() && self.scope(event).as_ref() == Some(scope);
        self.provisional.contains(scope) || self.listed().any(|(_, event)| sealed(event))
    }

    /// Says whether the selector names a key scope of the store, and lets it take new keys.
    pub fn readmit(&mut self, selector: &Selector) -> ShredAnswer {
        match self.granularity {
            None => ShredAnswer::Plaintext,
            Some(own) if granularity(selector) != own => ShredAnswer::WrongGranularity(granularity(selector)),
            Some(_) => {
                self.refused.remove(&scope_of(selector));
                self.system(1);
                ShredAnswer::Nothing
            }
        }
    }

    /// Takes over what a crash has left: all that must be there, then as much as there is, whole batches only.
    pub fn cut(&mut self, left: usize, least: usize) {
        assert!((least..=self.events.len()).contains(&left), "{left} of {}, at least {least}", self.events.len());
        assert!(left == self.events.len() || self.unit[left] == left, "a batch was cut in two");
        self.events.truncate(left);
        self.unit.truncate(left);
        (self.written, self.synced) = (left, left);
        // A key that no event in the log names is not taken again.
        self.provisional.clear();
    }
}

/// Whether an event belongs to what a selector names.
fn selects(selector: &Selector, event: &Listed) -> bool {
    match selector {
        Selector::Category(category) => event.kind.category() == *category,
        Selector::Coordinate(at) => event.at == *at,
        Selector::Entity(entity) => event.at.entity() == entity,
        Selector::Event(id) => event.id == *id,
        Selector::Kind(kind) => event.kind == *kind,
        Selector::Scope(scope) => event.at.scope() == scope,
        other => panic!("{other:?}"),
    }
}

/// The key scope that a selector is the name of.
fn scope_of(selector: &Selector) -> KeyScope {
    let (any, none) = (Coordinate::new("any", "any").unwrap(), id(0));
    let named = |at: &Coordinate, kind| scope_for(granularity(selector), at, kind, none);
    match selector {
        Selector::Category(category) => named(&any, EventKind::new(*category, 0).unwrap()),
        Selector::Coordinate(at) => named(at, kind(0)),
        Selector::Entity(entity) => named(&Coordinate::new(entity, "any").unwrap(), kind(0)),
        Selector::Event(id) => scope_for(Granularity::Event, &any, kind(0), *id),
        Selector::Kind(kind) => named(&any, *kind),
        Selector::Scope(scope) => named(&Coordinate::new("any", scope).unwrap(), kind(0)),
        other => panic!("{other:?}"),
    }
}
