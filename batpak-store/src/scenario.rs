//! A test kit for aggregates: given events, when a command, then events, a refusal, or a denial.
//!
//! Invariant: what runs is the store, on a disk in memory, with its gates and its commit.

use std::{fmt::Debug, sync::Arc};

use batpak_format::Coordinate;
use batpak_segment::MemoryDisk;

use crate::{
    Aggregate, AppendError, Config, Encryption, EventSet, ExecuteError, GateSet, Local, Receipt, Store, TypedError,
    Value,
};

/// One entity with a past. Everything here panics where a test has failed.
///
/// ```
/// # use batpak_store::{Aggregate, EventHeader, Value, event_payload};
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Debug, PartialEq, Serialize, Deserialize)]
/// # pub struct Booked { pub cents: i64 }
/// # event_payload! { Booked: kind 1:2, version 1; }
/// # #[derive(Default)]
/// # struct Account { cents: i64 }
/// # impl Aggregate for Account {
/// #     type Event = Booked;
/// #     type Command = i64;
/// #     type Refusal = &'static str;
/// #     fn apply(&mut self, event: Value<Booked>, _header: &EventHeader) {
/// #         if let Value::Open(booked) = event { self.cents += booked.cents; }
/// #     }
/// #     fn decide(&self, cents: &i64) -> Result<Vec<Booked>, &'static str> {
/// #         if self.cents + cents < 0 { Err("not covered") } else { Ok(vec![Booked { cents: *cents }]) }
/// #     }
/// # }
/// use batpak_store::Scenario;
///
/// Scenario::<Account>::given([Booked { cents: 100 }]).when(&-30).then([Booked { cents: -30 }]);
/// Scenario::<Account>::given([Booked { cents: 100 }]).when(&-130).then_refused(&"not covered");
/// ```
#[derive(Debug)]
pub struct Scenario<A: Aggregate> {
    store: Store,
    coordinate: Coordinate,
    aggregate: std::marker::PhantomData<A>,
}

/// What became of a command.
#[derive(Debug)]
#[must_use = "a scenario that is not compared shows nothing"]
pub struct Outcome<A: Aggregate> {
    store: Store,
    result: Result<Vec<Receipt>, ExecuteError<A::Refusal>>,
}

impl<A: Aggregate> Scenario<A> {
    /// An entity to which these events happened, in a store without gates.
    ///
    /// # Panics
    /// When the events cannot be appended.
    pub fn given(events: impl IntoIterator<Item = A::Event>) -> Self {
        Self::given_behind(GateSet::new(), events)
    }

    /// An entity to which these events happened, in a store with these gates, which the events pass too.
    ///
    /// # Panics
    /// When the events cannot be appended.
    pub fn given_behind(gates: GateSet, events: impl IntoIterator<Item = A::Event>) -> Self {
        let config = Config::new(Encryption::sealed(Local::new())).disk(Arc::new(MemoryDisk::new())).gates(gates);
        let store = Store::create("/scenario", config).unwrap_or_else(|why| panic!("no store: {why}"));
        let coordinate = Coordinate::new("entity", "scenario").unwrap_or_else(|why| panic!("no coordinate: {why}"));
        for event in events {
            let prepared = event.prepare().unwrap_or_else(|why| panic!("a given event is not encoded: {why}"));
            let appended = store.append(&prepared.event(coordinate.clone()));
            appended.unwrap_or_else(|why| panic!("a given event is not appended: {why}"));
        }
        Self { store, coordinate, aggregate: std::marker::PhantomData }
    }

    /// Destroys the key of the entity: what was given is shredded, as it will be one day.
    ///
    /// # Panics
    /// When nothing was given.
    #[must_use]
    pub fn shredded(self) -> Self {
        let entity = crate::Selector::Entity(self.coordinate.entity().to_owned());
        let shredded = self.store.shred(std::slice::from_ref(&entity), 0, "").and_then(|_| self.store.readmit(&entity));
        shredded.unwrap_or_else(|why| panic!("not shredded: {why}"));
        self
    }

    /// Gives the command.
    pub fn when(self, command: &A::Command) -> Outcome<A> {
        let result = self.store.execute::<A>(&self.coordinate, command, 1);
        Outcome { store: self.store, result }
    }
}

impl<A: Aggregate> Outcome<A>
where
    A::Refusal: Debug,
{
    /// Exactly these events followed.
    ///
    /// # Panics
    /// When others followed, or none because of a refusal.
    #[track_caller]
    pub fn then(self, expected: impl IntoIterator<Item = A::Event>)
    where
        A::Event: Debug + PartialEq,
    {
        let receipts = match self.result {
            Ok(receipts) => receipts,
            Err(why) => panic!("the command was not carried out: {why:?}"),
        };
        let value = |receipt: &Receipt| match self.store.get_typed::<A::Event>(receipt.id) {
            Ok(Some(event)) => event.value,
            other => panic!("the event cannot be read: {other:?}"),
        };
        let found: Vec<_> = receipts.iter().map(value).collect();
        assert_eq!(found, expected.into_iter().map(Value::Open).collect::<Vec<_>>());
    }

    /// The aggregate refused, with this.
    ///
    /// # Panics
    /// When it did not.
    #[track_caller]
    pub fn then_refused(self, expected: &A::Refusal)
    where
        A::Refusal: PartialEq,
    {
        match self.result {
            Err(ExecuteError::Refused(refusal)) => assert_eq!(&refusal, expected),
            other => panic!("the command was not refused: {other:?}"),
        }
    }

    /// A gate denied what followed, with this code first.
    ///
    /// # Panics
    /// When none did.
    #[track_caller]
    pub fn then_denied(self, code: &str) {
        match self.result {
            Err(ExecuteError::Store(TypedError::Append(AppendError::Denied { denied, .. }))) => {
                assert_eq!(denied.first().map(|denied| &*denied.denial.code), Some(code));
            }
            other => panic!("no gate denied it: {other:?}"),
        }
    }
}
