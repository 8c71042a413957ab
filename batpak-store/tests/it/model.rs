//! Random operations against a plain list: what the store answers, and what is left after each crash.

use std::{sync::Mutex, thread, time::Duration};

use asked::{Asked, asked, selector};
use batpak_store::{
    AppendError, Durability, Encryption, Event, Granularity, PlanHash, Proposal, Query, Receipt, Selector, ShredError,
    ShredPlan, Shredding, Store, segment::MemoryDisk,
};
use list::{Answer, Draw, ENTITIES, KEYS, Model, id};
use met::Met;
use proptest::{prelude::*, test_runner::TestRunner};
use rules::rules;
use shreds::{Plan, ShredAnswer, scope_of};

use crate::kit::{Place, sound};

mod asked;
mod controls;
mod list;
mod met;
mod rules;
mod shreds;

#[derive(Clone, Debug)]
enum Op {
    Append(Draw),
    Batch(Vec<Draw>),
    /// Asked first, and appended with the permit, maybe behind another event.
    Permitted(Draw, Option<Draw>),
    Sync,
    Reopen,
    /// The process ends: what the operating system has stays.
    Kill,
    /// The machine ends: what is synced stays.
    PowerCut,
    Read,
    Ask(Asked),
    Shred(Vec<Selector>),
    Plan(Vec<Selector>),
    /// Carries out the last plan, if it still holds.
    Apply,
    Hold(Selector),
    /// Releases one of what is held; what the selector names when nothing is.
    Release(usize, Selector),
    Readmit(Selector),
    Rekey,
    Verify,
}

fn answer(result: Result<Vec<Receipt>, AppendError>) -> Answer {
    match result {
        Ok(receipts) if receipts[0].repeat.is_none() => {
            assert!(receipts.iter().all(|receipt| receipt.repeat.is_none() && receipt.gates == receipts[0].gates));
            let gates = receipts[0].gates.as_ref().map(|names| names.iter().map(ToString::to_string).collect());
            Answer::Fresh(receipts.iter().map(|receipt| receipt.position).collect(), gates)
        }
        Ok(receipts) => {
            assert!(receipts.iter().all(|receipt| receipt.gates.is_none()));
            Answer::Repeat(receipts.iter().map(|it| (it.position, it.repeat.unwrap())).collect())
        }
        Err(AppendError::Conflict { id }) => Answer::Conflict(id),
        Err(AppendError::PartlyRepeated { id }) => Answer::Partly(id),
        Err(AppendError::UnknownCause { cause }) => Answer::Unknown(cause),
        Err(AppendError::DuplicateInBatch { id }) => Answer::Twice(id),
        Err(AppendError::ScopeShredded) => Answer::Shredded,
        Err(AppendError::UnexpectedRevision { event, expected, actual }) => {
            Answer::Unexpected { event, expected, actual }
        }
        Err(AppendError::ConditionFailed { position }) => Answer::Condition(position),
        Err(AppendError::Denied { denied, recorded }) => {
            assert_eq!(denied.len(), 1, "{denied:?}");
            let (denied, code) = (&denied[0], denied[0].denial.code.to_string());
            Answer::Denied { event: denied.event, gate: denied.gate.clone(), code, recorded }
        }
        Err(other) => panic!("{other:?}"),
    }
}

fn shred_answer(result: Result<Shredding, ShredError>) -> ShredAnswer {
    match result {
        Ok(Shredding { intent, completion, key_scopes, withheld, keys, unreachable: 0, .. }) => {
            assert_eq!(completion, intent + 1);
            ShredAnswer::Done { intent, scopes: key_scopes, withheld, keys }
        }
        Ok(other) => panic!("{other:?}"),
        Err(why) => refusal(&why),
    }
}

/// What refuses a shred, or whatever else takes its turn.
fn refusal(why: &ShredError) -> ShredAnswer {
    match why {
        ShredError::Nothing => ShredAnswer::Nothing,
        ShredError::Plaintext => ShredAnswer::Plaintext,
        ShredError::WrongGranularity { asked, .. } => ShredAnswer::WrongGranularity(*asked),
        ShredError::Withheld { key_scopes } => ShredAnswer::Withheld(key_scopes.clone()),
        ShredError::AlreadyHeld { position } => ShredAnswer::AlreadyHeld(*position),
        ShredError::NotHeld => ShredAnswer::NotHeld,
        ShredError::PlanChanged { .. } => ShredAnswer::PlanChanged,
        other => panic!("{other:?}"),
    }
}

fn recorded(result: Result<u64, ShredError>) -> ShredAnswer {
    result.map_or_else(|why| refusal(&why), ShredAnswer::Recorded)
}

/// A plan says what the list says, key by key but for their names.
fn check_plan(found: &ShredPlan, plan: &Plan) {
    let listed = plan.scopes.iter().map(|it| (&it.scope, it.keys.len(), it.events, it.last));
    let scopes = found.key_scopes.iter().map(|it| (&it.key_scope, it.keys.len(), it.events, it.last_position));
    assert_eq!(scopes.collect::<Vec<_>>(), listed.collect::<Vec<_>>());
    assert_eq!(found.withheld, plan.withheld);
    assert_eq!(found.keys, plan.scopes.iter().map(|it| it.keys.len() as u64).sum::<u64>());
    assert_eq!(found.events, plan.scopes.iter().map(|it| it.events).sum::<u64>());
}

/// What is held is what the list holds.
fn check_holds(store: &Store, model: &Model) {
    let holds = store.holds().unwrap();
    let found = holds.iter().map(|hold| (hold.key_scope.clone(), hold.position));
    let listed = model.holds.iter().map(|hold| (scope_of(&hold.selector), hold.position));
    assert_eq!(found.collect::<Vec<_>>(), listed.collect::<Vec<_>>());
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
    check_holds(store, model);
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
    /// The last plan: what it is of, its hash, and what the list said.
    plan: Option<(Vec<Selector>, PlanHash, Plan)>,
    met: Met,
}

impl Run {
    fn new(granularity: Option<Granularity>) -> Self {
        let place = Place::memory();
        let model = Model::new(granularity, Self::writes_ahead(granularity));
        let mut run = Self { place, granularity, store: None, model, plan: None, met: Met::default() };
        let config = granularity.map_or_else(|| run.config(), |granularity| run.config().granularity(granularity));
        run.store = Some(Store::create(run.place.dir(), config).unwrap());
        run
    }

    /// What an append asks is in the draw; the store's own choice decides whether blocks are written ahead. With them go denials that
    /// are put on record.
    fn writes_ahead(granularity: Option<Granularity>) -> bool {
        granularity.is_none_or(|granularity| granularity == Granularity::Kind || granularity == Granularity::Entity)
    }

    fn config(&self) -> batpak_store::Config {
        let sealed = self.granularity.is_some();
        let config = if sealed { self.place.config() } else { self.place.with(Encryption::none()) };
        let ahead = Self::writes_ahead(self.granularity);
        let durability = if ahead { Durability::Synced } else { Durability::Buffered };
        config.segment_bytes(4096).durability(durability).denials_recorded(ahead)
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
            Op::Append(draw) => self.append(&store, std::slice::from_ref(draw)),
            Op::Batch(draws) => self.append(&store, draws),
            Op::Permitted(draw, between) => self.permitted(&store, draw, between.as_ref()),
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

    fn append(&mut self, store: &Store, draws: &[Draw]) {
        let listed: Vec<_> = draws.iter().map(|draw| (draw.listed(), draw.rules.gate_set())).collect();
        let new: Vec<_> = draws.iter().zip(&listed).map(|(draw, (listed, gates))| draw.event(listed, gates)).collect();
        let found = match new.as_slice() {
            [one] => store.append(one).map(|receipt| vec![receipt]),
            many => store.append_batch(many),
        };
        let expected = self.model.append(draws);
        self.met.answer(&expected);
        assert_eq!(answer(found), expected);
    }

    fn permitted(&mut self, store: &Store, draw: &Draw, between: Option<&Draw>) {
        let (listed, gates) = (draw.listed(), draw.rules.gate_set());
        let event = draw.event(&listed, &gates);
        let (found, expected) = (Proposal::new(&event).evaluate(store), self.model.decide(std::slice::from_ref(draw)));
        let permit = match (found, expected) {
            (Ok(permit), Ok(names)) => {
                assert_eq!(permit.gates().collect::<Vec<_>>(), names.unwrap_or_default());
                permit
            }
            (found, expected) => return assert_eq!(answer(Err(found.unwrap_err())), expected.unwrap_err()),
        };
        // A permit is for an id: another may have been taken meanwhile.
        between.into_iter().for_each(|between| self.append(store, std::slice::from_ref(between)));
        let expected = self.model.append(std::slice::from_ref(draw));
        self.met.answer(&expected);
        assert_eq!(answer(permit.append().map(|receipt| vec![receipt])), expected);
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
                check_holds(&reader, &self.model);
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
            Op::Rekey => match store.rekey() {
                Ok(_) => self.model.system(1),
                Err(why) => assert!(matches!(why, ShredError::Plaintext) && self.granularity.is_none(), "{why:?}"),
            },
            Op::Verify => self.verify(store),
            shreds => self.shreds(store, shreds),
        }
    }

    /// Shreds, plans and holds.
    fn shreds(&mut self, store: &Store, op: &Op) {
        let (found, expected) = match op {
            Op::Shred(selectors) => (shred_answer(store.shred(selectors, 1, "model")), self.model.shred(selectors)),
            Op::Plan(selectors) => return self.plan(store, selectors),
            Op::Apply => return self.apply(store),
            Op::Hold(selector) => (recorded(store.hold(selector, "model")), self.model.hold(selector)),
            Op::Release(at, otherwise) => {
                let held = self.model.holds.get(at % self.model.holds.len().max(1));
                let selector = held.map_or(otherwise, |hold| &hold.selector).clone();
                (recorded(store.release(&selector, "model")), self.model.release(&selector))
            }
            Op::Readmit(selector) => {
                let last = |()| store.stats().visible_mark - 1;
                (recorded(store.readmit(selector).map(last)), self.model.readmit(selector))
            }
            other => panic!("{other:?} is none of these"),
        };
        self.met.shred_answer(&expected);
        assert_eq!(found, expected);
    }

    fn plan(&mut self, store: &Store, selectors: &[Selector]) {
        match (store.plan_shred(selectors), self.model.plan(selectors)) {
            (Ok(found), Ok(plan)) => {
                check_plan(&found, &plan);
                self.plan = Some((selectors.to_vec(), found.hash, plan));
            }
            (found, plan) => assert_eq!(refusal(&found.unwrap_err()), plan.unwrap_err()),
        }
    }

    fn apply(&mut self, store: &Store) {
        let Some((selectors, hash, plan)) = self.plan.take() else { return };
        let ids_are_same = store.plan_shred(&selectors).is_ok_and(|now| now.hash == hash);
        let found = store.shred_planned(&selectors, &hash, 1, "model");
        if let Err(ShredError::PlanChanged { found, planned }) = &found {
            let now = store.plan_shred(&selectors).unwrap();
            assert_eq!((*found, *planned), (now.hash, hash));
            assert_ne!(now.hash, hash);
        }
        let expected = self.model.apply(&selectors, &plan, ids_are_same);
        self.met.planned += u64::from(matches!(expected, ShredAnswer::Done { .. }));
        self.met.shred_answer(&expected);
        assert_eq!(shred_answer(found), expected);
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
    let content = (0..KEYS, prop::bool::weighted(0.1), prop::option::weighted(0.15, 0..KEYS), modes, rules());
    content.prop_map(|(key, other, cause, durability, rules)| {
        let content = if other { key % 5 + 1 } else { key % 5 };
        Draw { key, content, cause, durability, rules }
    })
}

fn op(own: Option<Granularity>) -> impl Strategy<Value = Op> {
    let selector = || selector(own);
    let selectors = || prop::collection::vec(selector(), 1..4);
    prop_oneof![
        20 => draw().prop_map(Op::Append),
        10 => prop::collection::vec(draw(), 2..5).prop_map(Op::Batch),
        2 => (draw(), prop::option::of(draw())).prop_map(|(draw, between)| Op::Permitted(draw, between)),
        2 => Just(Op::Sync),
        2 => Just(Op::Reopen),
        4 => Just(Op::Kill),
        4 => Just(Op::PowerCut),
        2 => Just(Op::Read),
        3 => asked().prop_map(Op::Ask),
        4 => selectors().prop_map(Op::Shred),
        3 => selectors().prop_map(Op::Plan),
        3 => Just(Op::Apply),
        2 => selector().prop_map(Op::Hold),
        2 => (0..8_usize, selector()).prop_map(|(at, selector)| Op::Release(at, selector)),
        3 => selector().prop_map(Op::Readmit),
        2 => Just(Op::Rekey),
        1 => Just(Op::Verify),
    ]
}

fn granularity() -> impl Strategy<Value = Option<Granularity>> {
    prop::option::weighted(0.85, prop::sample::select(&Granularity::ALL[..]))
}

fn operations() -> impl Strategy<Value = (Option<Granularity>, Vec<Op>)> {
    granularity().prop_flat_map(|own| (Just(own), prop::collection::vec(op(own), 1..45)))
}

/// How many cases are drawn: some in `cargo test`, more where `PROPTEST_CASES` says so.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(150)
}

fn run(granularity: Option<Granularity>, ops: &[Op], all: &Mutex<Met>) {
    let mut run = Run::new(granularity);
    for op in ops {
        run.step(op);
        run.met.crashes += u64::from(matches!(op, Op::Kill | Op::PowerCut));
    }
    run.step(&Op::Reopen);
    run.step(&Op::Verify);
    run.met.operations += ops.len() as u64;
    run.met.events += run.model.listed().count() as u64;
    run.met.shredded += run.model.listed().filter(|(_, event)| event.shredded.is_some()).count() as u64;
    all.lock().unwrap().add(&run.met);
}

#[test]
fn store_does_what_the_list_does() {
    let met = Mutex::new(Met::default());
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
    let met = met.into_inner().unwrap();
    println!("property: {} cases, {met}", each as usize * threads);
    assert!(met.counts().iter().all(|(_, count)| *count > 0), "{met}");
}
