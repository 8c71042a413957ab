//! Typed events, folds and aggregates.

use std::{sync::Arc, thread};

use batpak_store::{
    Aggregate, AppendError, ContentType, DecodeError, Denial, EventHeader, EventPayload, EventSet, ExecuteError,
    Expect, GateSet, NewEvent, ReadError, Scenario, Selector, TypedError, Value, event_payload, event_set,
    kinds_are_distinct,
};
use serde::{Deserialize, Serialize};

use crate::kit::{Place, append, at, both, kind};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Opened {
    pub owner: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Booked {
    pub cents: i64,
}

/// Version 1 counted in whole units.
#[derive(Serialize, Deserialize)]
struct BookedV1 {
    units: i64,
}

impl From<BookedV1> for Booked {
    fn from(old: BookedV1) -> Self {
        Self { cents: old.units * 100 }
    }
}

/// The same kind as it was written then, in JSON.
#[derive(Serialize, Deserialize)]
struct OldBooked(BookedV1);

event_payload! {
    Opened: kind 1:1, version 1, encoded as JSON;
    Booked: kind 1:2, version 3, from { 1 => BookedV1 };
    OldBooked: kind 1:2, version 1, encoded as JSON;
}

event_set! {
    /// What happens to an account.
    #[derive(Clone, Debug, PartialEq)]
    pub enum AccountEvent { Opened, Booked }
}

#[derive(Debug, Default, PartialEq)]
struct Account {
    open: bool,
    cents: i64,
    shredded: u64,
}

#[derive(Debug, PartialEq)]
enum Refusal {
    NotCovered,
}

impl Aggregate for Account {
    type Event = AccountEvent;
    type Command = i64;
    type Refusal = Refusal;

    fn apply(&mut self, event: Value<AccountEvent>, _header: &EventHeader) {
        match event {
            Value::Open(AccountEvent::Opened(_)) => self.open = true,
            Value::Open(AccountEvent::Booked(booked)) => self.cents += booked.cents,
            _ => self.shredded += 1,
        }
    }

    fn decide(&self, cents: &i64) -> Result<Vec<AccountEvent>, Refusal> {
        let opened = (!self.open).then(|| Opened { owner: "nobody".into() }.into());
        match (self.cents + cents, cents) {
            (..0, _) => Err(Refusal::NotCovered),
            (_, 0) => Ok(Vec::new()),
            _ => Ok(opened.into_iter().chain([Booked { cents: *cents }.into()]).collect()),
        }
    }
}

#[test]
fn a_value_is_read_as_it_was_written_and_says_how() {
    both(|place| {
        let store = place.create();
        let opened = Opened { owner: "ada".into() };
        let first = store.append_typed(at("a"), &opened).unwrap();
        let second = store.append_typed_with(at("a"), &Booked { cents: 7 }, |event| event.cause(first.id)).unwrap();
        let read = store.get_typed::<Opened>(first.id).unwrap().unwrap();
        assert_eq!((read.value, read.header.content_type), (Value::Open(opened.clone()), ContentType::JSON));
        let read = store.get_typed::<AccountEvent>(second.id).unwrap().unwrap();
        assert_eq!(read.value, Value::Open(AccountEvent::Booked(Booked { cents: 7 })));
        let header = read.header;
        assert_eq!(header.causes.iter().next().map(|cause| cause.id), Some(first.id));
        assert_eq!((header.payload_version, header.content_type, header.kind), (3, ContentType::MSGPACK, Booked::KIND));
        let json = store.get(first.id).unwrap().unwrap();
        assert_eq!(json.payload.open().unwrap().as_ref(), br#"{"owner":"ada"}"#);
        assert!(store.get_typed::<Opened>(batpak_store::EventId::from_key(b"none")).unwrap().is_none());
    });
}

#[test]
fn earlier_versions_are_upcast_and_unknown_ones_are_named() {
    let store = Place::memory().create();
    let old = store.append_typed(at("a"), &OldBooked(BookedV1 { units: 5 })).unwrap();
    let read = store.get_typed::<Booked>(old.id).unwrap().unwrap();
    assert_eq!(read.value, Value::Open(Booked { cents: 500 }));
    let version = |version| {
        let event =
            NewEvent::new(at("a"), Booked::KIND, b"{}").payload_version(version).content_type(ContentType::JSON);
        let id = store.append(&event).unwrap().id;
        match store.get_typed::<Booked>(id) {
            Err(TypedError::Decode(why)) => why,
            other => panic!("decoded: {other:?}"),
        }
    };
    assert_eq!(version(2), DecodeError::UnknownVersion { kind: Booked::KIND, version: 2, known: 3 });
    assert_eq!(version(4), DecodeError::UnknownVersion { kind: Booked::KIND, version: 4, known: 3 });
    assert_eq!(version(3), DecodeError::Malformed);
    let bytes = NewEvent::new(at("a"), Booked::KIND, b"x").payload_version(3);
    let id = store.append(&bytes).unwrap().id;
    let unknown = store.get_typed::<Booked>(id);
    assert!(matches!(
        unknown,
        Err(TypedError::Decode(DecodeError::UnknownContentType { content_type: ContentType::BYTES }))
    ));
    assert!(matches!(
        store.get_typed::<Opened>(old.id),
        Err(TypedError::Decode(DecodeError::UnknownKind { found })) if found == Booked::KIND
    ));
}

#[test]
fn no_error_quotes_the_payload() {
    let store = Place::memory().create();
    let event = NewEvent::new(at("a"), Opened::KIND, br#"{"owner":12345678}"#);
    let id = store.append(&event.payload_version(1).content_type(ContentType::JSON)).unwrap().id;
    let why = store.get_typed::<Opened>(id).unwrap_err();
    assert!(!format!("{why:?} {why}").contains("12345678"));
    // The control: the decoder itself would have.
    assert!(serde_json::from_str::<Opened>(r#"{"owner":12345678}"#).unwrap_err().to_string().contains("12345678"));
}

#[test]
fn kinds_that_collide_are_found() {
    assert!(kinds_are_distinct(AccountEvent::KINDS));
    assert!(!kinds_are_distinct(&[Booked::KIND, Opened::KIND, OldBooked::KIND]));
}

#[test]
fn a_fold_sees_every_event_and_a_shredded_one_as_such() {
    both(|place| {
        let store = place.create();
        store.append_typed(at("a"), &Opened { owner: "ada".into() }).unwrap();
        store.append_typed(at("a"), &Booked { cents: 3 }).unwrap();
        store.append_typed(at("b"), &Booked { cents: 1000 }).unwrap();
        let loaded = store.load::<Account>("a").unwrap();
        assert_eq!((loaded.state, loaded.revision), (Account { open: true, cents: 3, shredded: 0 }, Some(1)));
        let who = Selector::Entity("a".into());
        store.shred(std::slice::from_ref(&who), 1, "").unwrap();
        store.readmit(&who).unwrap();
        store.append_typed(at("a"), &Booked { cents: 4 }).unwrap();
        let loaded = store.load::<Account>("a").unwrap();
        assert_eq!((loaded.state, loaded.revision), (Account { open: false, cents: 4, shredded: 2 }, Some(2)));
        let revisions = store.fold::<_, ReadError>("a", Vec::new(), |mut seen, event| {
            seen.push(event.header().revision());
            Ok(seen)
        });
        assert_eq!(revisions.unwrap(), [0, 1, 2]);
        assert_eq!(store.load::<Account>("nobody").unwrap().revision, None);
        append(&store, "a", b"of another kind");
        assert!(matches!(
            store.load::<Account>("a"),
            Err(TypedError::Decode(DecodeError::UnknownKind { found })) if found == kind()
        ));
    });
}

#[test]
fn racing_commands_are_decided_again_and_none_is_lost() {
    let store = Arc::new(Place::memory().create());
    store.execute::<Account>(&at("a"), &10, 1).unwrap();
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let store = Arc::clone(&store);
            thread::spawn(move || {
                let take = || store.execute::<Account>(&at("a"), &-1, 1000);
                (0..4).map(|_| take()).filter(Result::is_ok).count()
            })
        })
        .collect();
    let taken: usize = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
    assert_eq!(taken, 10);
    assert_eq!(store.load::<Account>("a").unwrap().state.cents, 0);
    assert!(matches!(store.execute::<Account>(&at("a"), &-1, 1), Err(ExecuteError::Refused(Refusal::NotCovered))));
    assert_eq!(store.execute::<Account>(&at("a"), &0, 1).unwrap(), []);
    assert!(matches!(store.execute::<Account>(&at("a"), &5, 0), Err(ExecuteError::Contended { attempts: 0 })));
}

#[test]
fn a_command_whose_append_loses_every_time_is_contended() {
    let place = Place::memory();
    let store = place.create();
    /// Appends to its own entity while it is being decided.
    #[derive(Default)]
    struct Meddler;
    thread_local! {
        static STORE: std::cell::RefCell<Option<Arc<batpak_store::Store>>> = const { std::cell::RefCell::new(None) };
    }
    impl Aggregate for Meddler {
        type Event = Booked;
        type Command = ();
        type Refusal = ();
        fn apply(&mut self, _: Value<Booked>, _: &EventHeader) {}
        fn decide(&self, (): &()) -> Result<Vec<Booked>, ()> {
            STORE.with_borrow(|store| store.as_ref().unwrap().append_typed(at("a"), &Booked { cents: 1 })).unwrap();
            Ok(vec![Booked { cents: 2 }])
        }
    }
    let store = Arc::new(store);
    STORE.set(Some(Arc::clone(&store)));
    assert!(matches!(store.execute::<Meddler>(&at("a"), &(), 3), Err(ExecuteError::Contended { attempts: 3 })));
    assert_eq!(store.stream("a", 0).unwrap().count(), 3);
    STORE.set(None);
}

#[test]
fn scenario_compares_events_refusals_and_denials() {
    let opened = || AccountEvent::from(Opened { owner: "ada".into() });
    let booked = |cents| AccountEvent::from(Booked { cents });
    Scenario::<Account>::given([opened(), booked(10)]).when(&-4).then([booked(-4)]);
    Scenario::<Account>::given([opened(), booked(10)]).when(&-11).then_refused(&Refusal::NotCovered);
    Scenario::<Account>::given([opened(), booked(10)]).shredded().when(&-1).then_refused(&Refusal::NotCovered);
    Scenario::<Account>::given([opened()]).when(&0).then([]);
    let frozen = || {
        GateSet::new().closure("frozen", |_, view| match view.position() {
            ..=2 => Ok(()),
            _ => Err(Denial::new("FROZEN", "no more")),
        })
    };
    Scenario::<Account>::given_behind(frozen(), [opened(), booked(10)]).when(&-4).then_denied("FROZEN");
    let wrong = std::panic::catch_unwind(|| {
        Scenario::<Account>::given([opened(), booked(10)]).when(&-4).then([booked(-5)]);
    });
    assert!(wrong.is_err(), "a scenario that expects another event passes");
    let wrong = std::panic::catch_unwind(|| {
        Scenario::<Account>::given([opened(), booked(10)]).when(&-4).then_refused(&Refusal::NotCovered);
    });
    assert!(wrong.is_err(), "a scenario that expects a refusal passes");
}

#[test]
fn append_errors_come_through_typed_calls() {
    let store = Place::memory().create();
    store.append_typed(at("a"), &Booked { cents: 1 }).unwrap();
    let refused = store.append_typed_with(at("a"), &Booked { cents: 1 }, |event| event.expect(Expect::NoStream));
    assert!(matches!(refused, Err(TypedError::Append(AppendError::UnexpectedRevision { .. }))));
}
