//! Random operations against a plain list: what the store answers, and what is left after each crash.

use batpak_store::{
    AppendError, Durability, Encryption, EventId, Granularity, NewEvent, Query, Receipt, Repeat, Store,
    segment::MemoryDisk,
};
use proptest::prelude::*;

use crate::kit::{Place, event, open, sound};

const ENTITIES: [&str; 3] = ["a", "b", "c"];

/// One event to append. Keys and causes are drawn from few, so that they are met again.
#[derive(Clone, Debug)]
struct Draw {
    entity: usize,
    key: u8,
    content: u8,
    cause: Option<u8>,
    durability: Durability,
}

#[derive(Clone, Debug)]
enum Op {
    Append(Draw),
    Batch(Vec<Draw>),
    Sync,
    Reopen,
    /// The process ends: what the operating system has stays.
    Kill,
    /// The machine ends: what is synced stays.
    PowerCut,
    Read,
}

/// An event of the list.
#[derive(Clone, Debug, PartialEq)]
struct Listed {
    id: EventId,
    entity: &'static str,
    payload: Vec<u8>,
    cause: Option<EventId>,
}

/// What the log must be: a list, and how much of it must be there after a kill and after a power cut.
#[derive(Default)]
struct Model {
    events: Vec<Listed>,
    /// For each event where its batch begins.
    unit: Vec<usize>,
    written: usize,
    synced: usize,
}

/// What an append must answer.
#[derive(Debug, PartialEq)]
enum Answer {
    Fresh(Vec<u64>),
    Repeat(Vec<u64>),
    Conflict(EventId),
    Partly(EventId),
    Unknown(EventId),
    Twice(EventId),
}

fn id(key: u8) -> EventId {
    EventId::from_key(&[key])
}

impl Draw {
    fn listed(&self) -> Listed {
        let payload = vec![self.content; 100 + usize::from(self.content) * 150];
        Listed { id: id(self.key), entity: ENTITIES[self.entity], payload, cause: self.cause.map(id) }
    }

    fn event<'a>(&self, listed: &'a Listed) -> NewEvent<'a> {
        let new = event(listed.entity, &listed.payload).id(listed.id).durability(self.durability);
        listed.cause.map_or(new.clone(), |cause| new.cause(cause))
    }
}

impl Model {
    fn find(&self, id: EventId) -> Option<usize> {
        self.events.iter().position(|event| event.id == id)
    }

    fn append(&mut self, batch: &[Listed], durability: Durability) -> Answer {
        let found: Vec<_> = batch.iter().map(|event| self.find(event.id)).collect();
        if let Some(first) = found.iter().position(Option::is_some) {
            return self.repeat(batch, &found, batch[first].id, durability);
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
        self.events.extend_from_slice(batch);
        self.unit.extend(batch.iter().map(|_| from));
        self.reached(self.events.len(), durability);
        Answer::Fresh((from..self.events.len()).map(|n| n as u64 + 1).collect())
    }

    fn repeat(&mut self, batch: &[Listed], found: &[Option<usize>], first: EventId, asks: Durability) -> Answer {
        let Some(found) = found.iter().copied().collect::<Option<Vec<_>>>() else { return Answer::Partly(first) };
        for (event, at) in batch.iter().zip(&found) {
            // What is compared is waited for first.
            self.reached(at + 1, asks.max(Durability::Buffered));
            if self.events[*at] != *event {
                return Answer::Conflict(event.id);
            }
        }
        Answer::Repeat(found.iter().map(|at| *at as u64 + 1).collect())
    }

    fn reached(&mut self, below: usize, durability: Durability) {
        if durability >= Durability::Buffered {
            self.written = self.written.max(below);
        }
        if durability == Durability::Synced {
            self.synced = self.synced.max(below);
        }
    }

    /// Takes over what a crash has left: all that must be there, then as much as there is, whole batches only.
    fn cut(&mut self, left: usize, least: usize) {
        assert!((least..=self.events.len()).contains(&left), "{left} of {}, at least {least}", self.events.len());
        assert!(left == self.events.len() || self.unit[left] == left, "a batch was cut in two");
        self.events.truncate(left);
        self.unit.truncate(left);
        (self.written, self.synced) = (left, left);
    }
}

fn answer(result: Result<Vec<Receipt>, AppendError>) -> Answer {
    match result {
        Ok(receipts) => {
            let positions = receipts.iter().map(|receipt| receipt.position).collect();
            match receipts[0].repeat {
                None => Answer::Fresh(positions),
                Some(Repeat::SameContent) => Answer::Repeat(positions),
                Some(other) => panic!("{other:?}"),
            }
        }
        Err(AppendError::Conflict { id }) => Answer::Conflict(id),
        Err(AppendError::PartlyRepeated { id }) => Answer::Partly(id),
        Err(AppendError::UnknownCause { cause }) => Answer::Unknown(cause),
        Err(AppendError::DuplicateInBatch { id }) => Answer::Twice(id),
        Err(other) => panic!("{other:?}"),
    }
}

/// Everything that the store says of its events, as a list.
fn list(store: &Store) -> Vec<Listed> {
    let events = store.read(&Query::all()).unwrap().map(Result::unwrap).enumerate();
    let mut revisions = [0; ENTITIES.len()];
    let listed = events.map(|(n, event)| {
        let entity = ENTITIES.iter().position(|entity| *entity == event.header.coordinate.entity()).unwrap();
        assert_eq!((event.header.position, event.header.revision), (n as u64 + 1, revisions[entity]));
        revisions[entity] += 1;
        let cause = event.header.causes.iter().next().map(|cause| cause.id);
        Listed { id: event.header.id, entity: ENTITIES[entity], payload: open(&event), cause }
    });
    listed.collect()
}

/// The other ways of reading agree with the list.
fn check(store: &Store, model: &Model) {
    assert_eq!(list(store), model.events);
    for key in 0..KEYS {
        assert_eq!(store.position_of(id(key)).unwrap(), model.find(id(key)).map(|n| n as u64 + 1));
        let naming = |event: &Listed| event.cause == Some(id(key));
        let effects: Vec<_> = (1..).zip(&model.events).filter(|(_, event)| naming(event)).map(|(at, _)| at).collect();
        assert_eq!(store.caused_by(id(key)).unwrap(), effects);
    }
    for entity in ENTITIES {
        let last = model.events.iter().rposition(|event| event.entity == entity).map(|n| n as u64 + 1);
        assert_eq!(store.latest(entity).unwrap().map(|event| event.header.position), last);
        let count = model.events.iter().filter(|event| event.entity == entity).count();
        assert_eq!(store.stream(entity, 0).unwrap().count(), count);
    }
}

struct Run {
    place: Place,
    sealed: bool,
    store: Option<Store>,
    model: Model,
}

impl Run {
    fn config(&self) -> batpak_store::Config {
        let config = if self.sealed { self.place.config() } else { self.place.with(Encryption::none()) };
        // What an append asks is in the draw; the store's own choice decides whether blocks are written ahead.
        config.segment_bytes(4096).durability(if self.sealed { Durability::Buffered } else { Durability::Synced })
    }

    fn memory(&self) -> &MemoryDisk {
        self.place.memory.as_ref().unwrap()
    }

    fn open(&mut self, least: usize) {
        let store = Store::open(self.place.dir(), self.config()).unwrap();
        self.model.cut(usize::try_from(store.stats().events).unwrap() - 1, least);
        check(&store, &self.model);
        self.store = Some(store);
    }

    fn step(&mut self, op: &Op) {
        let store = self.store.take().unwrap();
        match op {
            Op::Append(draw) => {
                let listed = draw.listed();
                let result = store.append(&draw.event(&listed)).map(|receipt| vec![receipt]);
                assert_eq!(answer(result), self.model.append(&[listed], draw.durability));
            }
            Op::Batch(draws) => {
                let listed: Vec<_> = draws.iter().map(Draw::listed).collect();
                let new: Vec<_> = draws.iter().zip(&listed).map(|(draw, listed)| draw.event(listed)).collect();
                let durability = draws.iter().map(|draw| draw.durability).max().unwrap();
                assert_eq!(answer(store.append_batch(&new)), self.model.append(&listed, durability));
            }
            Op::Sync => {
                store.sync().unwrap();
                self.model.reached(self.model.events.len(), Durability::Synced);
            }
            Op::Reopen => {
                store.close().unwrap();
                return self.open(self.model.events.len());
            }
            Op::Kill => {
                self.place = Place::on(self.memory().copy());
                drop(store);
                return self.open(self.model.written);
            }
            Op::PowerCut => {
                self.memory().crash();
                drop(store);
                return self.open(self.model.synced);
            }
            Op::Read => {
                check(&store, &self.model);
                let reader = Store::open_read_only(self.place.dir(), self.config()).unwrap();
                let seen = list(&reader);
                assert!(seen.len() >= self.model.written);
                assert_eq!(seen, self.model.events[..seen.len()]);
            }
        }
        self.store = Some(store);
    }
}

const KEYS: u8 = 24;

fn draw() -> impl Strategy<Value = Draw> {
    let modes = prop_oneof![Just(Durability::Synced), Just(Durability::Buffered), Just(Durability::Deferred)];
    // What stands under a key is mostly the same, so that repeats are met and not only conflicts.
    let content = (0..KEYS, prop::bool::weighted(0.1), prop::option::weighted(0.15, 0..KEYS), modes);
    content.prop_map(|(key, other, cause, durability)| {
        let content = if other { key % 5 + 1 } else { key % 5 };
        Draw { entity: usize::from(key) % ENTITIES.len(), key, content, cause, durability }
    })
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        10 => draw().prop_map(Op::Append),
        5 => prop::collection::vec(draw(), 2..5).prop_map(Op::Batch),
        1 => Just(Op::Sync),
        1 => Just(Op::Reopen),
        2 => Just(Op::Kill),
        2 => Just(Op::PowerCut),
        1 => Just(Op::Read),
    ]
}

fn cases() -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(150);
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn store_does_what_the_list_does(sealed in prop::option::of(any::<bool>()), ops in prop::collection::vec(op(), 1..45)) {
        let mut run = Run { place: Place::memory(), sealed: sealed.is_some(), store: None, model: Model::default() };
        let granularity = if sealed == Some(true) { Granularity::Event } else { Granularity::Entity };
        run.store = Some(Store::create(run.place.dir(), run.config().granularity(granularity)).unwrap());
        for op in &ops {
            run.step(op);
        }
        run.step(&Op::Reopen);
        sound(run.store.as_ref().unwrap());
    }
}
