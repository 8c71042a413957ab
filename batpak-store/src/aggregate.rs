//! Aggregates: state that is folded from one entity's events, and commands that are decided against it.
//!
//! Invariant: what a command decided is appended only at the revision that it was decided against; else it is decided again.

use batpak_format::{Coordinate, EventHeader};

use crate::{AppendError, EventSet, Expect, NewEvent, Receipt, Store, TypedError, Value};

/// State of one entity, made of its events alone.
///
/// ```
/// use batpak_store::{Aggregate, EventHeader, Value, event_payload, event_set};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// pub struct Booked { pub cents: i64 }
/// event_payload! { Booked: kind 1:2, version 1; }
///
/// #[derive(Default)]
/// struct Account { cents: i64 }
///
/// impl Aggregate for Account {
///     type Event = Booked;
///     type Command = i64;
///     type Refusal = &'static str;
///
///     fn apply(&mut self, event: Value<Booked>, _header: &EventHeader) {
///         if let Value::Open(booked) = event {
///             self.cents += booked.cents;
///         }
///     }
///
///     fn decide(&self, cents: &i64) -> Result<Vec<Booked>, &'static str> {
///         if self.cents + cents < 0 { Err("not covered") } else { Ok(vec![Booked { cents: *cents }]) }
///     }
/// }
/// ```
pub trait Aggregate: Default {
    /// What can happen to it.
    type Event: EventSet;
    /// What can be asked of it.
    type Command;
    /// Why a command is refused.
    type Refusal;

    /// Takes in the next event; of a shredded one there is only its header.
    fn apply(&mut self, event: Value<Self::Event>, header: &EventHeader);

    /// Decides a command: the events that follow from it, or none, or a refusal.
    ///
    /// # Errors
    /// The refusal.
    fn decide(&self, command: &Self::Command) -> Result<Vec<Self::Event>, Self::Refusal>;
}

/// An aggregate as it was loaded.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Loaded<A> {
    /// Its state.
    pub state: A,
    /// The revision of its last event; none if it has no event.
    pub revision: Option<u64>,
}

/// Why a command was not carried out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExecuteError<R> {
    /// Others appended to the entity each time between the decision and its append.
    #[error("others appended to the entity {attempts} times in a row: try again later")]
    Contended {
        /// How often it was decided.
        attempts: u32,
    },
    /// The aggregate refused the command.
    #[error("the command was refused")]
    Refused(R),
    /// The store could not be read, or refused the append.
    #[error(transparent)]
    Store(#[from] TypedError),
}

impl Store {
    /// Loads an aggregate by folding its entity's events.
    ///
    /// # Errors
    /// [`TypedError::Read`], [`TypedError::Decode`] for an event that is none of the aggregate's types.
    pub fn load<A: Aggregate>(&self, entity: &str) -> Result<Loaded<A>, TypedError> {
        let empty = Loaded { state: A::default(), revision: None };
        self.fold(entity, empty, |mut loaded, event| {
            loaded.state.apply(event.decode()?, &event.header().to_owned());
            loaded.revision = Some(event.header().revision());
            Ok(loaded)
        })
    }

    /// Loads an aggregate, decides a command, and appends what follows as one batch, at the revision that was decided against. When
    /// others were faster it is loaded and decided again, at most `attempts` times in all.
    ///
    /// # Errors
    /// [`ExecuteError`].
    pub fn execute<A: Aggregate>(
        &self,
        coordinate: &Coordinate,
        command: &A::Command,
        attempts: u32,
    ) -> Result<Vec<Receipt>, ExecuteError<A::Refusal>> {
        for _ in 0..attempts {
            let loaded = self.load::<A>(coordinate.entity())?;
            let decided = loaded.state.decide(command).map_err(ExecuteError::Refused)?;
            match self.append_decided(coordinate, loaded.revision, &decided) {
                Err(TypedError::Append(AppendError::UnexpectedRevision { .. })) => {}
                done => return Ok(done?),
            }
        }
        Err(ExecuteError::Contended { attempts })
    }

    fn append_decided<E: EventSet>(
        &self,
        coordinate: &Coordinate,
        revision: Option<u64>,
        decided: &[E],
    ) -> Result<Vec<Receipt>, TypedError> {
        let prepared = decided.iter().map(EventSet::prepare).collect::<Result<Vec<_>, _>>()?;
        let expected = revision.map_or(Expect::NoStream, Expect::Exactly);
        let events = prepared.iter().enumerate().map(|(at, prepared)| {
            let event = prepared.event(coordinate.clone());
            // The first one holds for all: they are one batch.
            if at == 0 { event.expect(expected) } else { event }
        });
        Ok(self.append_batch(&events.collect::<Vec<NewEvent<'_>>>())?)
    }
}
