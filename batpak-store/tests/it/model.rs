//! Random operations against a plain list: what the store answers, and what is left after each crash.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::Duration,
};

use asked::{Asked, asked, selector};
use batpak_store::{
    AppendError, Durability, Encryption, Event, Granularity, Query, Receipt, Selector, ShredError, Shredding, Store,
    segment::MemoryDisk,
};
use list::{Answer, Draw, ENTITIES, KEYS, Model, ShredAnswer, id};
use proptest::{prelude::*, test_runner::TestRunner};

use crate::kit::{Place, sound};

mod asked;
mod list;

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
    Ask(Asked),
    Shred(Vec<Selector>),
    Readmit(Selector),
    Rekey,
    Verify,
}

fn answer(result: Result<Vec<Receipt>, AppendError>) -> Answer {
    match result {
        Ok(receipts) if receipts[0].repeat.is_none() => {
            assert!(receipts.iter().all(|receipt| receipt.repeat.is_none()));
            Answer::Fresh(receipts.iter().map(|receipt| receipt.position).collect())
        }
        Ok(receipts) => Answer::Repeat(receipts.iter().map(|it| (it.position, it.repeat.unwrap())).collect()),
        Err(AppendError::Conflict { id }) => Answer::Conflict(id),
        Err(AppendError::PartlyRepeated { id }) => Answer::Partly(id),
        Err(AppendError::UnknownCause { cause }) => Answer::Unknown(cause),
        Err(AppendError::DuplicateInBatch { id }) => Answer::Twice(id),
        Err(AppendError::ScopeShredded) => Answer::Shredded,
        Err(other) => panic!("{other:?}"),
    }
}

fn shred_answer(result: Result<Shredding, ShredError>) -> ShredAnswer {
    match result {
        Ok(Shredding { intent, completion, key_scopes, keys, unreachable: 0, .. }) => {
            assert_eq!(completion, intent + 1);
            ShredAnswer::Done { intent, scopes: key_scopes.len(), keys }
        }
        Err(ShredError::Nothing) => ShredAnswer::Nothing,
        Err(ShredError::Plaintext) => ShredAnswer::Plaintext,
        Err(ShredError::WrongGranularity { asked, .. }) => ShredAnswer::WrongGranularity(asked),
        other => panic!("{other:?}"),
    }
}

/// Everything that the store says of its events agrees with the list as far as the list goes.
fn check_listed(store: &Store, model: &Model, upto: usize) {
    let mut events = store.read(&Query::all().include_system(true)).unwrap();
    for (position, listed) in model.events[..upto].iter().enumerate() {
        let found: Event = events.next().unwrap().unwrap();
        assert_eq!(found.header.position, position as u64);
        match listed {
            Some(listed) => assert!(listed.is(&found), "{listed:?}, found {found:?}"),
            None => assert!(found.header.kind.is_reserved(), "{found:?}"),
        }
    }
}

/// The other ways of reading agree with the list.
fn check(store: &Store, model: &Model) {
    assert_eq!(store.stats().visible_mark, model.events.len() as u64);
    check_listed(store, model, model.events.len());
    for key in 0..KEYS {
        assert_eq!(store.position_of(id(key)).unwrap(), model.find(id(key)).map(|n| n as u64));
        let effects = model.listed().filter(|(_, event)| event.cause == Some(id(key))).map(|(at, _)| at);
        assert_eq!(store.caused_by(id(key)).unwrap(), effects.collect::<Vec<_>>());
    }
    let correlated = model.listed().filter(|(_, event)| event.correlation.is_some()).map(|(at, _)| at);
    assert_eq!(store.correlated(id(KEYS)).unwrap(), correlated.collect::<Vec<_>>());
    for entity in ENTITIES {
        let of: Vec<u64> = model.listed().filter(|(_, event)| event.at.entity() == entity).map(|(at, _)| at).collect();
        assert_eq!(store.latest(entity).unwrap().map(|event| event.header.position), of.last().copied());
        for from in [0, 1, of.len()] {
            let stream = store.stream(entity, from as u64).unwrap().map(|event| event.unwrap().header.position);
            assert_eq!(stream.collect::<Vec<_>>(), of[from.min(of.len())..]);
        }
    }
}

struct Run {
    place: Place,
    granularity: Option<Granularity>,
    store: Option<Store>,
    model: Model,
}

impl Run {
    fn new(granularity: Option<Granularity>) -> Self {
        let place = Place::memory();
        let mut run = Self { place, granularity, store: None, model: Model::new(granularity) };
        let config = granularity.map_or_else(|| run.config(), |granularity| run.config().granularity(granularity));
        run.store = Some(Store::create(run.place.dir(), config).unwrap());
        run
    }

    fn config(&self) -> batpak_store::Config {
        let sealed = self.granularity.is_some();
        let config = if sealed { self.place.config() } else { self.place.with(Encryption::none()) };
        // What an append asks is in the draw; the store's own choice decides whether blocks are written ahead.
        let ahead = self.granularity.is_none_or(|granularity| granularity == Granularity::Kind);
        config.segment_bytes(4096).durability(if ahead { Durability::Synced } else { Durability::Buffered })
    }

    fn memory(&self) -> &MemoryDisk {
        self.place.memory.as_ref().unwrap()
    }

    fn open(&mut self, least: usize) {
        let store = Store::open(self.place.dir(), self.config()).unwrap();
        self.model.cut(usize::try_from(store.stats().visible_mark).unwrap(), least);
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
            looks => self.look(&store, looks),
        }
        self.store = Some(store);
    }

    /// The operations after which nothing is appended by a caller.
    fn look(&mut self, store: &Store, op: &Op) {
        match op {
            Op::Read => {
                check(store, &self.model);
                let reader = Store::open_read_only(self.place.dir(), self.config()).unwrap();
                let seen = usize::try_from(reader.stats().visible_mark).unwrap();
                assert!((self.model.written..=self.model.events.len()).contains(&seen));
                check_listed(&reader, &self.model, seen);
            }
            Op::Ask(asked) => {
                let expected = asked.of(&self.model);
                let read = store.read(&asked.query()).unwrap().map(|event| event.unwrap().header.position);
                assert_eq!(read.collect::<Vec<_>>(), expected);
                let mut follow = store.follow(&asked.query());
                let mut followed = Vec::new();
                while let Some(event) = follow.next_timeout(Duration::ZERO).unwrap() {
                    followed.push(event.header.position);
                }
                assert_eq!(followed, asked.clone().forwards().of(&self.model));
            }
            Op::Shred(selectors) => {
                assert_eq!(shred_answer(store.shred(selectors, 1, "model")), self.model.shred(selectors));
            }
            Op::Readmit(selector) => {
                let result = store.readmit(selector);
                let answer = result.map_or_else(|why| shred_answer(Err(why)), |()| ShredAnswer::Nothing);
                assert_eq!(answer, self.model.readmit(selector));
            }
            Op::Rekey => match store.rekey() {
                Ok(_) => self.model.system(1),
                Err(why) => assert!(matches!(why, ShredError::Plaintext) && self.granularity.is_none(), "{why:?}"),
            },
            _ => self.verify(store),
        }
    }

    /// What a verification counts is what the list holds. It drains the write buffer first.
    fn verify(&mut self, store: &Store) {
        sound(store);
        self.model.reached(self.model.events.len(), Durability::Buffered);
        let report = store.verify(batpak_store::VerifyOptions::full(), &mut |_| {}).unwrap();
        let shredded = self.model.listed().filter(|(_, event)| event.shredded.is_some()).count() as u64;
        assert_eq!((report.events, report.shredded), (self.model.listed().count() as u64, shredded));
        let opened = if self.granularity.is_some() { report.events - shredded } else { 0 };
        assert_eq!(report.opened, opened);
    }
}

fn draw() -> impl Strategy<Value = Draw> {
    let modes = prop_oneof![Just(Durability::Synced), Just(Durability::Buffered), Just(Durability::Deferred)];
    // What stands under a key is mostly the same, so that repeats are met and not only conflicts.
    let content = (0..KEYS, prop::bool::weighted(0.1), prop::option::weighted(0.15, 0..KEYS), modes);
    content.prop_map(|(key, other, cause, durability)| {
        let content = if other { key % 5 + 1 } else { key % 5 };
        Draw { key, content, cause, durability }
    })
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        20 => draw().prop_map(Op::Append),
        10 => prop::collection::vec(draw(), 2..5).prop_map(Op::Batch),
        2 => Just(Op::Sync),
        2 => Just(Op::Reopen),
        4 => Just(Op::Kill),
        4 => Just(Op::PowerCut),
        2 => Just(Op::Read),
        3 => asked().prop_map(Op::Ask),
        4 => prop::collection::vec(selector(), 1..4).prop_map(Op::Shred),
        3 => selector().prop_map(Op::Readmit),
        1 => Just(Op::Rekey),
        1 => Just(Op::Verify),
    ]
}

fn granularity() -> impl Strategy<Value = Option<Granularity>> {
    prop::option::weighted(0.85, prop::sample::select(&Granularity::ALL[..]))
}

fn operations() -> impl Strategy<Value = (Option<Granularity>, Vec<Op>)> {
    (granularity(), prop::collection::vec(op(), 1..45))
}

/// How many cases are drawn: some in `cargo test`, more where `PROPTEST_CASES` says so.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(150)
}

/// What the cases were, so that nothing that was never met is taken for shown.
#[derive(Default)]
struct Met([AtomicU64; 5]);

impl Met {
    const NAMES: [&str; 5] = ["operations", "crashes", "shreds", "shredded events", "events"];

    fn add(&self, counts: [usize; 5]) {
        for (met, count) in self.0.iter().zip(counts) {
            met.fetch_add(count as u64, Ordering::Relaxed);
        }
    }

    fn counts(&self) -> [u64; 5] {
        self.0.each_ref().map(|met| met.load(Ordering::Relaxed))
    }
}

fn run(granularity: Option<Granularity>, ops: &[Op], met: &Met) {
    let mut run = Run::new(granularity);
    let (mut crashes, mut shreds) = (0, 0);
    for op in ops {
        let intents = run.model.shreds;
        run.step(op);
        crashes += usize::from(matches!(op, Op::Kill | Op::PowerCut));
        shreds += run.model.shreds - intents;
    }
    run.step(&Op::Reopen);
    run.step(&Op::Verify);
    let shredded = run.model.listed().filter(|(_, event)| event.shredded.is_some()).count();
    met.add([ops.len(), crashes, shreds, shredded, run.model.listed().count()]);
}

#[test]
fn store_does_what_the_list_does() {
    let met = Met::default();
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let each = cases().div_ceil(u32::try_from(threads).unwrap());
    let work = || {
        let config = ProptestConfig { cases: each, failure_persistence: None, ..ProptestConfig::default() };
        let drawn = TestRunner::new(config).run(&operations(), |(granularity, ops)| {
            run(granularity, &ops, &met);
            Ok(())
        });
        drawn.unwrap_or_else(|why| panic!("{why}"));
    };
    thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    let counts = met.counts();
    let shown: Vec<String> = Met::NAMES.iter().zip(counts).map(|(name, count)| format!("{count} {name}")).collect();
    println!("property: {} cases, {}", each as usize * threads, shown.join(", "));
    assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
}

/// The control: a list that says otherwise than the store is refuted, be it in a payload, a shred or an event more.
#[test]
fn list_that_is_wrong_is_refuted() {
    let wrong: [fn(&mut Model); 4] = [
        |model| model.events[1].as_mut().unwrap().payload[0] ^= 1,
        |model| model.events[1].as_mut().unwrap().shredded = None,
        |model| model.events[2].as_mut().unwrap().shredded = Some(3),
        |model| model.events.push(None),
    ];
    let events = [0, 1].map(|key| Op::Append(Draw { key, content: 1, cause: None, durability: Durability::Synced }));
    let shred = Op::Shred(vec![Selector::Entity("a".into())]);
    for (n, break_it) in wrong.into_iter().enumerate() {
        let mut run = Run::new(Some(Granularity::Entity));
        events.iter().for_each(|op| run.step(op));
        if n > 0 {
            run.step(&shred);
        }
        run.step(&Op::Read);
        break_it(&mut run.model);
        let refuted = catch_unwind(AssertUnwindSafe(|| run.step(&Op::Read)));
        assert!(refuted.is_err(), "lie {n} was believed");
    }
}
