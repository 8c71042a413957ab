//! Gates: decided at the commit, in order, failing closed, and on record where that is asked for.

use std::{
    sync::{Arc, OnceLock, Weak},
    thread,
    time::Duration,
};

use batpak_store::{
    AppendError, Clock, Denial, Durability, EventKind, Expect, GATE_DEFECT, GateSet, KindsByScope, MonotoneTime,
    Payload, PayloadSize, Query, QueryItem, RatePerEntity, ReadError, RequireCauses, Store, Timestamp,
    format::{Record, SYSTEM_ENTITY},
};

use crate::kit::{Place, append, both, event, kind, payloads, sound};

fn gated(place: &Place, gates: GateSet) -> Store {
    Store::create(place.dir(), place.config().gates(gates).denials_recorded(false)).unwrap()
}

fn code(result: Result<impl std::fmt::Debug, AppendError>) -> String {
    match result {
        Err(AppendError::Denied { denied, .. }) => {
            let codes: Vec<_> = denied.iter().map(|denied| format!("{}:{}", denied.gate, denied.denial.code)).collect();
            codes.join(",")
        }
        other => panic!("not denied: {other:?}"),
    }
}

fn deny(code: &'static str) -> Result<(), Denial> {
    Err(Denial::new(code, "no"))
}

#[test]
fn gates_are_asked_in_order_and_the_first_denial_stops() {
    both(|place| {
        let gates = GateSet::new()
            .closure("short", |proposal, _| if proposal.payload().len() > 3 { deny("LONG") } else { Ok(()) })
            .closure("lower", |proposal, _| {
                if proposal.payload().iter().any(u8::is_ascii_uppercase) { deny("UPPER") } else { Ok(()) }
            });
        let store = gated(place, gates.clone());
        let before = store.stats().events;
        assert_eq!(code(store.append(&event("a", b"LONGER"))), "short:LONG");
        assert_eq!(code(store.append(&event("a", b"ABC"))), "lower:UPPER");
        assert_eq!(store.stats().events, before);
        let receipt = store.append(&event("a", b"abc")).unwrap();
        let names: Vec<String> = receipt.gates.unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(names, ["short", "lower"]);
        let counts: Vec<_> = gates.stats().iter().map(|gate| (gate.evaluated, gate.denied)).collect();
        assert_eq!(counts, [(3, 1), (2, 1)]);
        assert_eq!(store.stats().gates, gates.stats());
        sound(&store);
    });
}

#[test]
fn an_append_s_own_gates_are_asked_behind_the_store_s() {
    let place = Place::memory();
    let store = gated(&place, GateSet::new().closure("store", |_, _| Ok(())));
    let own = GateSet::new().closure("own", |_, _| deny("OWN"));
    assert_eq!(code(store.append(&event("a", b"x").gates(&own))), "own:OWN");
    let receipt = append(&store, "a", b"x");
    assert_eq!(receipt.gates.unwrap().iter().map(|name| &**name).collect::<Vec<_>>(), ["store"]);
    let plain = Place::memory().create();
    assert_eq!(append(&plain, "a", b"x").gates, None);
    // Rules that are no gates name none.
    assert_eq!(plain.append(&event("a", b"y").expect(Expect::Exactly(0))).unwrap().gates, None);
}

#[test]
fn a_gate_that_panics_denies_and_poisons_nothing() {
    both(|place| {
        let gates = GateSet::new().closure("broken", |proposal, _| {
            assert!(proposal.payload() != b"bad", "the gate meets what it does not expect");
            Ok(())
        });
        let store = gated(place, gates);
        append(&store, "a", b"good");
        assert_eq!(code(store.append(&event("a", b"bad"))), format!("broken:{GATE_DEFECT}"));
        append(&store, "a", b"good again");
        assert_eq!(payloads(&store), [&b"good"[..], b"good again"]);
        assert_eq!(store.stats().gates[0].panicked, 1);
    });
}

#[test]
fn a_batch_s_gates_see_its_earlier_events_and_deny_it_whole() {
    let place = Place::memory();
    let two = GateSet::new().closure("at-most-two", |proposal, view| {
        let entity = proposal.coordinate().entity();
        let seen = view.revision(entity).map_or(0, |revision| revision + 1);
        let head = view.head(entity).is_some();
        assert_eq!(head, seen > 0);
        if seen >= 2 { deny("THIRD") } else { Ok(()) }
    });
    let store = gated(&place, two);
    let three = [event("a", b"1"), event("a", b"2"), event("a", b"3")];
    let refused = store.append_batch(&three);
    assert!(matches!(&refused, Err(AppendError::Denied { denied, .. }) if denied[0].event == 2), "{refused:?}");
    assert_eq!(store.stream("a", 0).unwrap().count(), 0);
    let receipts = store.append_batch(&three[..2]).unwrap();
    assert_eq!(receipts[1].gates.as_ref().unwrap().len(), 1);
}

/// The amount in an event's payload.
fn amount(payload: &[u8]) -> i64 {
    i64::from_le_bytes(payload.try_into().unwrap())
}

/// Keeps the sum of an entity's amounts at zero or above, by reading them all.
fn never_below_zero() -> GateSet {
    GateSet::new().closure("balance", |proposal, view| {
        let entity = proposal.coordinate().entity();
        let mut balance = amount(proposal.payload());
        for revision in 0..view.revision(entity).map_or(0, |revision| revision + 1) {
            let id = view.at_revision(entity, revision).unwrap();
            match view.open(id).unwrap() {
                Some(Payload::Open(payload)) => balance += amount(&payload),
                other => panic!("not open: {other:?}"),
            }
        }
        if balance < 0 { deny("OVERDRAWN") } else { Ok(()) }
    })
}

#[test]
fn an_account_does_not_go_below_zero_under_racing_threads_in_any_durability() {
    for durability in [Durability::Synced, Durability::Buffered, Durability::Deferred] {
        let place = Place::memory();
        let store = Arc::new(gated(&place, never_below_zero()));
        let book = move |store: &Store, amount: i64| {
            store.append(&event("account", &amount.to_le_bytes()).durability(durability)).map(drop)
        };
        book(&store, 10).unwrap();
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let store = Arc::clone(&store);
                thread::spawn(move || (0..4).filter(|_| book(&store, -1).is_ok()).count())
            })
            .collect();
        let taken: usize = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
        assert_eq!(taken, 10);
        assert!(store.stats().gates[0].opened >= 10);
        assert_eq!(store.stats().gates[0].denied, 22);
        sound(&store);
    }
}

#[test]
fn a_gate_sees_headers_matches_and_shredded_payloads() {
    let place = Place::memory();
    let store = place.create();
    let first = store.append(&event("a", b"first").tag("red")).unwrap();
    store.shred(&[batpak_store::Selector::Entity("a".into())], 1, "").unwrap();
    drop(store);
    let gates = GateSet::new().closure("looks", move |_, view| {
        let header = view.header(first.id).unwrap().unwrap();
        assert_eq!((header.position, header.coordinate.entity()), (first.position, "a"));
        assert!(matches!(view.open(first.id), Ok(Some(Payload::Shredded(_)))));
        assert!(view.exists(&QueryItem::any().tag("red"), None));
        assert!(!view.exists(&QueryItem::any().tag("red"), Some(first.position)));
        assert!(view.contains(first.id) && view.position() > first.position);
        deny("SEEN")
    });
    let store = Store::open(place.dir(), place.config().gates(gates)).unwrap();
    assert_eq!(code(store.append(&event("b", b"x"))), "looks:SEEN");
}

#[test]
fn a_gate_that_calls_the_store_gets_an_error_and_no_deadlock() {
    let place = Place::memory();
    let back: Arc<OnceLock<Weak<Store>>> = Arc::default();
    let called = Arc::clone(&back);
    let gates = GateSet::new().closure("calls-back", move |_, _| {
        let Some(store) = called.get().and_then(Weak::upgrade) else { return Ok(()) };
        assert!(matches!(store.append(&event("b", b"x")), Err(AppendError::InsideGate)));
        assert!(matches!(store.sync(), Err(AppendError::InsideGate)));
        assert!(matches!(store.read(&Query::all()), Err(ReadError::InsideGate)));
        assert!(matches!(store.at(0), Err(ReadError::InsideGate)));
        assert!(matches!(store.follow(&Query::all()).next_timeout(Duration::ZERO), Err(ReadError::InsideGate)));
        assert!(matches!(
            store.shred(&[batpak_store::Selector::Entity("a".into())], 0, ""),
            Err(batpak_store::ShredError::Append(AppendError::InsideGate))
        ));
        deny("CALLED")
    });
    let store = Arc::new(gated(&place, gates));
    append(&store, "a", b"before");
    back.set(Arc::downgrade(&store)).unwrap();
    assert_eq!(code(store.append(&event("a", b"x"))), "calls-back:CALLED");
    assert_eq!(payloads(&store), [b"before"]);
}

#[test]
fn a_denial_goes_on_record_without_message_or_payload() {
    both(|place| {
        let gates =
            GateSet::new().closure("secret-keeper", |_, _| Err(Denial::new("NO_SECRETS", "the payload says sesame")));
        let store = Store::create(place.dir(), place.config().gates(gates).denials_recorded(true)).unwrap();
        let Err(AppendError::Denied { denied, recorded: Some(position) }) = store.append(&event("a", b"sesame")) else {
            panic!("not denied on record")
        };
        assert_eq!(denied[0].denial.message, "the payload says sesame");
        let query = Query::all().include_system(true).kind(EventKind::DENIAL);
        let events: Vec<_> = store.read(&query).unwrap().map(Result::unwrap).collect();
        assert_eq!(events.len(), 1);
        assert_eq!((events[0].header.position, events[0].header.coordinate.entity()), (position, SYSTEM_ENTITY));
        let record = Record::decode(EventKind::DENIAL, events[0].payload.open().unwrap()).unwrap();
        let Record::Denial(denial) = record else { panic!("another record") };
        assert_eq!((denial.gate.as_str(), denial.code.as_str(), denial.kind), ("secret-keeper", "NO_SECRETS", kind()));
        assert_eq!(denial.coordinate, crate::kit::at("a"));
        drop(store);
        for (path, bytes) in place.files() {
            assert!(!bytes.windows(6).any(|window| window == b"sesame"), "{}", path.display());
        }
    });
}

#[test]
fn a_bypass_is_one_unit_with_the_event_that_says_so() {
    both(|place| {
        let gates = GateSet::new().closure("closed", |_, _| deny("CLOSED"));
        let store = gated(place, gates);
        assert_eq!(code(store.append(&event("a", b"x"))), "closed:CLOSED");
        let receipt = store.append_bypassing(&event("a", b"x").key(b"k"), "ticket 4711").unwrap();
        assert_eq!(receipt.gates, None);
        let query = Query::all().include_system(true).kind(EventKind::BYPASS);
        let events: Vec<_> = store.read(&query).unwrap().map(Result::unwrap).collect();
        assert_eq!((events.len(), events[0].header.position), (1, receipt.position + 1));
        let record = Record::decode(EventKind::BYPASS, events[0].payload.open().unwrap()).unwrap();
        let Record::Bypass(bypass) = record else { panic!("another record") };
        assert_eq!((bypass.event, bypass.reason.as_str()), (receipt.id, "ticket 4711"));
        assert_eq!(bypass.gates, ["closed"]);
        // A repeat writes nothing.
        let again = store.append_bypassing(&event("a", b"x").key(b"k"), "ticket 4711").unwrap();
        assert_eq!((again.position, again.repeat.is_some()), (receipt.position, true));
        assert_eq!(store.stats().events, 3);
        sound(&store);
        drop(store);
        assert_eq!(payloads(&place.open()), [b"x"]);
    });
}

#[derive(Debug)]
struct FixedClock(i64);

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0)
    }
}

#[test]
fn built_in_gates_deny_what_they_name_and_nothing_else() {
    let place = Place::memory();
    let other = EventKind::new(2, 1).unwrap();
    let gates = GateSet::new()
        .with(PayloadSize::new().bytes_max(4).kind(other, 8))
        .with(KindsByScope::new().allow("scope-1", [kind()]))
        .with(RequireCauses::new().kind(EventKind::new(3, 1).unwrap()))
        .with(MonotoneTime)
        .with(RatePerEntity::new(2, Duration::from_micros(100)));
    let config = place.config().gates(gates).clock(Arc::new(FixedClock(1000)));
    let store = Store::create(place.dir(), config).unwrap();
    let timed = |time| event("a", b"1234").time(Timestamp::from_micros(time));
    assert_eq!(code(store.append(&event("a", b"12345"))), "payload-size:PAYLOAD_TOO_LARGE");
    let elsewhere = batpak_store::Coordinate::new("a", "scope-2").unwrap();
    let of_kind = |at, kind, payload| batpak_store::NewEvent::new(at, kind, payload);
    assert_eq!(
        code(store.append(&of_kind(crate::kit::at("a"), other, b"12345678"))),
        "kinds-by-scope:KIND_NOT_ALLOWED"
    );
    store.append(&of_kind(elsewhere.clone(), other, b"12345678")).unwrap();
    let third = EventKind::new(3, 1).unwrap();
    assert_eq!(code(store.append(&of_kind(elsewhere, third, b"x"))), "require-causes:CAUSE_REQUIRED");
    // The entity's one event has the clock's time, 1000.
    assert_eq!(code(store.append(&timed(999))), "monotone-time:TIME_RUNS_BACK");
    store.append(&timed(1000)).unwrap();
    assert_eq!(code(store.append(&timed(1001))), "rate-per-entity:RATE_EXCEEDED");
    store.append(&event("b", b"1234")).unwrap();
    drop(store);
    let later = |now| place.config().clock(Arc::new(FixedClock(now)));
    let rate = || GateSet::new().with(RatePerEntity::new(2, Duration::from_micros(100)));
    let store = Store::open(place.dir(), later(1099).gates(rate())).unwrap();
    assert_eq!(code(store.append(&event("a", b"x"))), "rate-per-entity:RATE_EXCEEDED");
    drop(store);
    let store = Store::open(place.dir(), later(1100).gates(rate())).unwrap();
    store.append(&event("a", b"x")).unwrap();
}

#[test]
fn a_permit_holds_while_nothing_was_placed_and_is_asked_again_after() {
    let place = Place::memory();
    let gates = GateSet::new().closure("one", |proposal, view| {
        if view.revision(proposal.coordinate().entity()).is_some() { deny("SECOND") } else { Ok(()) }
    });
    let store = gated(&place, gates);
    let evaluated = || store.stats().gates[0].evaluated;
    let (first, second) = (event("a", b"first"), event("a", b"second"));
    let permit = batpak_store::Proposal::new(&first).evaluate(&store).unwrap();
    assert_eq!((permit.gates().collect::<Vec<_>>(), evaluated()), (vec!["one"], 1));
    let id = permit.id();
    let receipt = permit.append().unwrap();
    assert_eq!((receipt.id, receipt.gates.unwrap().len(), evaluated()), (id, 1, 1));
    assert_eq!(code(batpak_store::Proposal::new(&second).evaluate(&store)), "one:SECOND");
    // Both permitted, one placed: the other's permit is worth nothing any more.
    let (left, right) = (event("b", b"left"), event("b", b"right"));
    let permits = [&left, &right].map(|event| batpak_store::Proposal::new(event).evaluate(&store).unwrap());
    let [left, right] = permits.map(|permit| permit.append());
    assert_eq!(left.unwrap().revision, 0);
    assert_eq!(code(right), "one:SECOND");
}

#[test]
fn evaluate_all_collects_every_denial() {
    let place = Place::memory();
    let gates =
        GateSet::new().closure("x", |_, _| deny("X")).closure("y", |_, _| Ok(())).closure("z", |_, _| deny("Z"));
    let store = gated(&place, gates);
    let event = event("a", b"p");
    assert_eq!(code(batpak_store::Proposal::new(&event).evaluate_all(&store)), "x:X,z:Z");
    assert_eq!(code(batpak_store::Proposal::new(&event).evaluate(&store)), "x:X");
    assert_eq!(store.stats().events, 1);
}
