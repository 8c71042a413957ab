//! An account that cannot go below zero, whoever books at the same time: its balance is kept by a gate.
//!
//! `cargo run -p batpak-store --example account --features json`
//!
//! The gate runs under the commit lock, against the log that the booking would join. It folds the bookings that it has not seen yet, so
//! each payload is opened once, and keeps the sum; what it keeps is a cache, made again from the log by the next process.

use std::{collections::HashMap, sync::Mutex, thread};

use batpak_store::{
    AppendError, Config, Coordinate, Denial, Encryption, EventId, EventPayload, Gate, GateSet, GateView, KeyFile,
    Payload, Proposal, Store, TypedError, event_payload,
};
use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize)]
struct Booked {
    cents: i64,
}

event_payload! {
    Booked: kind 1:2, version 1, encoded as JSON;
}

/// What the gate knows of an account: the sum up to an event, which is named so that one that was taken back is noticed.
#[derive(Clone, Copy, Default)]
struct Seen {
    events: u64,
    last: Option<EventId>,
    cents: i64,
}

#[derive(Default)]
struct NeverBelowZero {
    seen: Mutex<HashMap<String, Seen>>,
}

impl NeverBelowZero {
    /// The balance, with the bookings that were not seen yet.
    fn balance(&self, entity: &str, view: &GateView<'_>) -> Result<i64, Denial> {
        let mut accounts = self.seen.lock().map_err(|_| unreadable())?;
        let known = accounts.get(entity).copied().unwrap_or_default();
        let still_there =
            |seen: &Seen| seen.last == seen.events.checked_sub(1).and_then(|at| view.at_revision(entity, at));
        let mut seen = if still_there(&known) { known } else { Seen::default() };
        while let Some(id) = view.at_revision(entity, seen.events) {
            let Ok(Some(Payload::Open(payload))) = view.open(id) else { return Err(unreadable()) };
            let booked: Booked = serde_json::from_slice(&payload).map_err(|_| unreadable())?;
            seen = Seen { events: seen.events + 1, last: Some(id), cents: seen.cents + booked.cents };
        }
        accounts.insert(entity.to_owned(), seen);
        Ok(seen.cents)
    }
}

impl Gate for NeverBelowZero {
    fn name(&self) -> &str {
        "never-below-zero"
    }

    fn evaluate(&self, proposal: &Proposal<'_>, view: &GateView<'_>) -> Result<(), Denial> {
        if proposal.kind() != Booked::KIND {
            return Ok(());
        }
        let booked: Booked = serde_json::from_slice(proposal.payload()).map_err(|_| unreadable())?;
        let balance = self.balance(proposal.coordinate().entity(), view)?;
        if balance + booked.cents < 0 {
            return Err(Denial::new("OVERDRAWN", format!("the balance is {balance}")));
        }
        Ok(())
    }
}

/// What cannot be counted is not booked.
fn unreadable() -> Denial {
    Denial::new("UNREADABLE", "a booking cannot be read")
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let scratch = tempfile::tempdir()?;
    let config = Config::new(Encryption::sealed(KeyFile::new(scratch.path().join("root.key"))))
        .gates(GateSet::new().with(NeverBelowZero::default()))
        .denials_recorded(true);
    let store = Store::create(scratch.path().join("bank"), config)?;
    let account = Coordinate::new("account-7", "bank")?;
    store.append_typed(account.clone(), &Booked { cents: 1000 })?;

    // 8 threads take 100 as often as they can; together they would take 4,000.
    let taken: usize = thread::scope(|threads| {
        let take = || {
            let booked = |result: &Result<_, TypedError>| match result {
                Ok(_) => true,
                Err(TypedError::Append(AppendError::Denied { .. })) => false,
                Err(why) => panic!("neither booked nor denied: {why}"),
            };
            (0..5).map(|_| store.append_typed(account.clone(), &Booked { cents: -100 })).filter(booked).count()
        };
        let threads: Vec<_> = (0..8).map(|_| threads.spawn(take)).collect();
        threads.into_iter().map(|thread| thread.join().expect("a thread that panics has shown a defect")).sum()
    });

    let balance = store.fold("account-7", 0, |sum, event| {
        let booked = event.decode::<Booked>()?.open().map_or(0, |booked| booked.cents);
        Ok::<_, TypedError>(sum + booked)
    })?;
    println!("{taken} bookings of 40 went through, the balance is {balance}");
    assert_eq!((taken, balance), (10, 0));
    for gate in store.stats().gates {
        println!(
            "{}: asked {} times, denied {}, opened {} payloads, longest {:?}",
            gate.name, gate.evaluated, gate.denied, gate.opened, gate.longest
        );
    }
    Ok(())
}
