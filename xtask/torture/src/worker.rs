//! The process that is killed: it opens a store, does what its script says, and tells of each call after it has returned.
//!
//! Invariant: unless it is told to break a rule, it says nothing before it is so.

use std::error::Error;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use std::{io, iter, process, thread};

use batpak_store::{
    AppendError, Config, Coordinate, Durability, Encryption, EventKind, KeyFile, NewEvent, OpenError, Payload,
    ProviderError, Query, Selector, ShredError, Store,
};
use rustix::process::{Signal, set_parent_process_death_signal};

use crate::Outcome;
use crate::breakage::{Breakage, Unsynced};
use crate::line::{Ended, Line};
use crate::oracle::recovered_end;
use crate::script::{Operation, Script, Submitted, payload};

/// Small, so that a script fills several.
const SEGMENT_BYTES: u64 = 16 * 1024;
/// Failures after which a patient worker waits for a word from outside.
pub(crate) const FAILURES_UNTIL_TOLD: u32 = 5;
/// Calls that are still made of a poisoned store: none of them may be acknowledged.
const AFTER_POISON: u32 = 5;

/// Milliseconds in which a process that was started has become another program.
const LOCKED_MAX: u32 = 2_000;

/// How a store in `place` is created and opened.
pub(crate) fn config(place: &Path) -> Config {
    Config::new(Encryption::sealed(KeyFile::new(place.join("root.key")))).segment_bytes(SEGMENT_BYTES)
}

/// Opens a store for writing. A process that a thread of the oracle is starting shares the oracle's open files, and with them
/// its locks, until it has become another program; so long a store that was closed counts as open.
pub(crate) fn open(place: &Path, config: Config) -> Result<Store, OpenError> {
    let mut left = LOCKED_MAX;
    loop {
        match Store::open(place.join("store"), config.clone()) {
            Err(OpenError::Locked | OpenError::Provider(ProviderError::InUse { .. })) if left > 0 => {
                left -= 1;
                thread::sleep(Duration::from_millis(1));
            }
            opened => return opened,
        }
    }
}

/// The coordinate of all events of an entity.
pub(crate) fn coordinate(entity: &str) -> Outcome<Coordinate> {
    Ok(Coordinate::new(entity, "torture")?)
}

/// Does the script on the store in `place`, which is created when there is none.
///
/// # Errors
///
/// When the store breaks a promise that the worker can see by itself.
pub(crate) fn run(place: &Path, script: Script, breakage: Breakage) -> Outcome {
    // Nobody would read what it says.
    set_parent_process_death_signal(Some(Signal::KILL))?;
    say(&Line::Process { id: process::id() });
    let worker = Worker { place, script, breakage, poisoned: AtomicU32::new(0), failed: AtomicU32::new(0) };
    if script.threads == 1 { worker.alone() } else { worker.together() }
}

fn say(line: &Line) {
    println!("{line}");
}

struct Worker<'a> {
    place: &'a Path,
    script: Script,
    breakage: Breakage,
    /// Calls since the first that found the store poisoned.
    poisoned: AtomicU32,
    /// Calls that failed.
    failed: AtomicU32,
}

impl Worker<'_> {
    fn alone(&self) -> Outcome {
        let Some(mut store) = self.open()? else { return Ok(()) };
        for at in 0..self.script.operations {
            let operation = self.script.operation(0, at);
            if operation == Operation::Reopen {
                // What a close that fails leaves behind is the next open's matter.
                let _ = store.close();
                match self.open()? {
                    Some(opened) => store = opened,
                    None => return Ok(()),
                }
                say(&Line::Done { thread: 0, at, ended: Ended::Acknowledged { positions: Vec::new() } });
            } else if !self.step(&store, 0, at, &operation)? {
                break;
            }
        }
        close(store)
    }

    fn together(&self) -> Outcome {
        let Some(store) = self.open()? else { return Ok(()) };
        let each = |thread| {
            for at in 0..self.script.operations {
                let operation = self.script.operation(thread, at);
                match self.step(&store, thread, at, &operation) {
                    Ok(true) => {}
                    Ok(false) => break,
                    Err(failure) => return Err(failure.to_string()),
                }
            }
            Ok(())
        };
        let each = &each;
        thread::scope(|scope| {
            let threads: Vec<_> = (0..self.script.threads).map(|it| scope.spawn(move || each(it))).collect();
            threads.into_iter().try_for_each(|it| it.join().map_err(|_| "a thread panicked".to_owned())?)
        })?;
        close(store)
    }

    fn open(&self) -> Outcome<Option<Store>> {
        let mut config = config(self.place);
        if self.breakage == Breakage::Unsynced {
            config = config.disk(std::sync::Arc::new(Unsynced::default()));
        }
        let opened = match open(self.place, config.clone()) {
            Err(OpenError::NotAStore { .. }) => Store::create(self.place.join("store"), config),
            opened => opened,
        };
        match opened {
            Ok(store) => {
                say(&Line::Open { end: recovered_end(&store) });
                Ok(Some(store))
            }
            Err(error) => {
                say(&Line::NotOpen { why: words(&error) });
                Ok(None)
            }
        }
    }

    /// Whether the thread goes on.
    fn step(&self, store: &Store, thread: u16, at: u32, operation: &Operation) -> Outcome<bool> {
        if self.breakage == Breakage::Early && is_sure(operation) {
            let positions = guessed(store, operation);
            say(&Line::Done { thread, at, ended: Ended::Acknowledged { positions } });
            thread::sleep(Duration::from_micros(500));
            return self.carry_out(store, operation).map(|_| true);
        }
        let guessed = guessed(store, operation);
        let mut ended = self.carry_out(store, operation)?;
        if self.breakage == Breakage::Swallow && !matches!(ended, Ended::Acknowledged { .. } | Ended::Refused) {
            ended = Ended::Acknowledged { positions: guessed };
        }
        let undecided = matches!(ended, Ended::Undecided { .. });
        let failed = matches!(ended, Ended::Failed { .. });
        say(&Line::Done { thread, at, ended });
        if failed && self.script.patient && self.failed.fetch_add(1, Ordering::Relaxed) + 1 == FAILURES_UNTIL_TOLD {
            io::stdin().read_line(&mut String::new())?;
        }
        Ok(!undecided || self.poisoned.fetch_add(1, Ordering::Relaxed) < AFTER_POISON)
    }

    fn carry_out(&self, store: &Store, operation: &Operation) -> Outcome<Ended> {
        Ok(match operation {
            Operation::Append { events, durability } => append(store, events, *durability)?,
            Operation::Readmit { entity } => {
                let readmitted = store.readmit(&Selector::Entity(entity.clone()));
                shred_ended(readmitted.map(|()| Vec::new()))
            }
            Operation::Rekey => shred_ended(store.rekey().map(|_| Vec::new())),
            Operation::Reopen => Ended::Acknowledged { positions: Vec::new() },
            Operation::Shred { entity } => {
                let shredded = store.shred(&[Selector::Entity(entity.clone())], 1, "torture");
                shred_ended(shredded.map(|it| vec![it.intent, it.completion]))
            }
            Operation::Sync => append_ended(store.sync().map(|()| Vec::new())),
        })
    }
}

/// Whether an operation is an append that nothing but a fault can keep from being acknowledged.
fn is_sure(operation: &Operation) -> bool {
    match operation {
        Operation::Append { events, .. } => events.iter().all(|event| event.entity.starts_with("new-")),
        _ => false,
    }
}

/// The positions that an append will have when nobody else appends.
fn guessed(store: &Store, operation: &Operation) -> Vec<u64> {
    let next = store.stats().visible_mark;
    match operation {
        Operation::Append { events, .. } => (next..next + events.len() as u64).collect(),
        _ => Vec::new(),
    }
}

pub(crate) fn append(store: &Store, events: &[Submitted], durability: Durability) -> Outcome<Ended> {
    let payloads: Vec<Vec<u8>> = events.iter().map(|event| payload(event.id, event.bytes)).collect();
    let kind = EventKind::new(1, 7)?;
    let submitted = events.iter().zip(&payloads).map(|(event, payload)| {
        Ok(NewEvent::new(coordinate(&event.entity)?, kind, payload).id(event.id).durability(durability))
    });
    let submitted = submitted.collect::<Outcome<Vec<_>>>()?;
    let appended = match submitted.as_slice() {
        [one] => store.append(one).map(|receipt| vec![receipt.position]),
        batch => store.append_batch(batch).map(|receipts| receipts.iter().map(|it| it.position).collect()),
    };
    if let (Ok(_), Some((event, payload))) = (&appended, events.iter().zip(&payloads).next_back()) {
        read_back(store, event, payload)?;
    }
    Ok(append_ended(appended))
}

/// What was acknowledged is there at once; a disk that fails the read is no broken promise.
fn read_back(store: &Store, event: &Submitted, expected: &[u8]) -> Outcome {
    match store.get(event.id) {
        Ok(Some(found)) if found.payload == Payload::Open(expected.to_vec().into()) => Ok(()),
        Ok(found) => Err(format!("{} reads back as {:?}", event.id, found.map(|it| it.header.position)).into()),
        Err(_) => Ok(()),
    }
}

fn append_ended(ended: Result<Vec<u64>, AppendError>) -> Ended {
    match ended {
        Ok(positions) => Ended::Acknowledged { positions },
        Err(AppendError::ScopeShredded) => Ended::Refused,
        Err(error @ AppendError::Poisoned(_)) => Ended::Undecided { why: words(&error) },
        Err(error) => Ended::Failed { why: words(&error) },
    }
}

fn shred_ended(ended: Result<Vec<u64>, ShredError>) -> Ended {
    match ended {
        Ok(positions) => Ended::Acknowledged { positions },
        Err(error @ ShredError::Append(AppendError::Poisoned(_))) => Ended::Undecided { why: words(&error) },
        Err(error @ ShredError::Pending { intent, .. }) => Ended::Pending { intent: Some(intent), why: words(&error) },
        Err(error @ ShredError::RekeyPending(_)) => Ended::Pending { intent: None, why: words(&error) },
        Err(error) => Ended::Failed { why: words(&error) },
    }
}

fn close(store: Store) -> Outcome {
    // The last look at the log in this process.
    if let Ok(events) = store.read(&Query::all().limit(10)) {
        let _ = events.count();
    }
    if store.close().is_ok() {
        say(&Line::Closed);
    }
    Ok(())
}

/// An error and its sources on one line, without the character that ends one.
fn words(error: &(dyn Error + 'static)) -> String {
    let all: Vec<String> = iter::successors(Some(error), |error| (*error).source()).map(|it| it.to_string()).collect();
    all.join(": ").replace(['\n', ';'], ",")
}
