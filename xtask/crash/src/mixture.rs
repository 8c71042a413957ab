//! Files of different instants beside one another: an older keyset, log or key file put back, and the products of a provider's slots
//! with both copies of the keyset.
//!
//! Invariant: such a store is refused by name or opens with all that is right. Whatever is accepted, a shredded payload stays shut,
//! and no leaf is framed under by a second key scope.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use batpak_store::{OpenError, Payload, Query, Store};

use crate::explore::Explorer;
use crate::journal::{Fate, Journal};
use crate::ledger::Ledger;
use crate::life::{Life, Op};
use crate::place::{DIR, KEY_FILE};
use crate::random::mix;
use crate::sim::State;
use crate::sim::crash::Space;
use crate::violation::{Violation, chain};
use crate::watcher::Shot;

/// From which of the shots each part is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parts {
    pub(crate) log: usize,
    pub(crate) key_file: usize,
    pub(crate) a: usize,
    pub(crate) b: usize,
}

impl Explorer<'_> {
    /// Mixes the shots at which nothing was under way, two at a time, and those of each operation with one another.
    pub(crate) fn mixtures(&mut self, shots: &[Shot]) {
        let rests: Vec<Shot> = shots.iter().filter(|shot| shot.ended).cloned().collect();
        let mut all = Vec::new();
        for new in 0..rests.len() {
            for old in 0..new {
                all.extend([
                    Parts { log: new, key_file: new, a: old, b: old },
                    Parts { log: new, key_file: old, a: old, b: old },
                    Parts { log: new, key_file: new, a: old, b: new },
                    Parts { log: new, key_file: old, a: new, b: new },
                    Parts { log: old, key_file: new, a: new, b: new },
                ]);
            }
        }
        self.mix_all(&rests, &all);
        let last = shots.iter().map(|shot| shot.step).max().unwrap_or(0);
        for step in 0..=last {
            let under_way: Vec<Shot> = shots.iter().filter(|shot| shot.step == step).cloned().collect();
            let stride = under_way.len().div_ceil(4).max(1);
            let mut some: Vec<Shot> = under_way.into_iter().rev().step_by(stride).collect();
            some.reverse();
            let count = some.len();
            let product = (0..count * count * count).map(|n| Parts {
                log: count - 1,
                key_file: n % count,
                a: n / count % count,
                b: n / count / count,
            });
            self.mix_all(&some, &product.collect::<Vec<_>>());
        }
    }

    fn mix_all(&mut self, shots: &[Shot], all: &[Parts]) {
        for parts in all {
            if !(self.go_on)() || !self.found.is_empty() {
                return;
            }
            let newest = &shots[parts.log.max(parts.a).max(parts.b)];
            let state = mixed(shots, *parts);
            if !self.seen.is_new(&state, mix(&[newest.journal.events.len() as u64, 99])) {
                continue;
            }
            self.seen.checked.add(1);
            self.way.push(format!("mixture {parts:?} of {}", shots.len()));
            if let Err(violation) = self.mixture(&state, &shots[parts.log].journal, newest) {
                self.violated(violation);
            }
            self.way.pop();
        }
    }

    fn mixture(&self, state: &State, logged: &Journal, newest: &Shot) -> Result<(), Violation> {
        let ledger = Arc::new(Ledger::clone(&newest.ledger).rolled_back());
        let world = (logged.clone(), ledger);
        let mut life = Life::on(self.setup, state.clone(), mix(&[self.seed, 21]), world, usize::MAX);
        life.faulty = true;
        let opened = match life.open() {
            Err(OpenError::KeysetRolledBack { .. }) => life.open_with(|config| config.accept_keyset_rollback()),
            Err(OpenError::LogRolledBack { .. }) => life.open_with(|config| config.accept_log_rollback()),
            opened => opened,
        };
        let outcome = match opened {
            Ok(()) => self.accepted(&mut life, logged, newest),
            Err(why) => refused_rightly(&why),
        };
        life.kill();
        outcome
    }

    fn accepted(&self, life: &mut Life, logged: &Journal, newest: &Shot) -> Result<(), Violation> {
        let Some(store) = life.store().cloned() else { return Ok(()) };
        shut_stays_shut(&store, logged, &newest.journal)?;
        drop(store);
        life.watcher.journal(|journal| {
            journal.entities = newest.journal.entities;
            journal.ids = newest.journal.ids;
        });
        life.perform(Op::New);
        life.perform(Op::New);
        match life.watcher.violations().into_iter().next() {
            Some(violation) => Err(violation),
            None => Ok(()),
        }
    }
}

/// An event opens to what was handed in or not at all, and not when its shred returned before the log ends.
fn shut_stays_shut(store: &Store, logged: &Journal, newest: &Journal) -> Result<(), Violation> {
    let events = store.read(&Query::all()).map_err(|why| Violation::new("I3", chain(&why)))?;
    for (at, event) in events.enumerate() {
        let event = event.map_err(|why| Violation::new("I2", chain(&why)))?;
        let Some(asked) = newest.events.get(at) else {
            return Err(Violation::new("I4", "an event was never submitted"));
        };
        match event.payload {
            Payload::Open(bytes) if *bytes != *asked.payload => {
                return Err(Violation::new("I3", format!("event {at} holds another payload")));
            }
            Payload::Open(_) if logged.fate(at, &asked.entity) == Fate::Shredded => {
                return Err(Violation::new(
                    "I10",
                    format!("event {at} opens after its shred, with older files put back"),
                ));
            }
            Payload::Shredded(_) if newest.fate(at, &asked.entity) == Fate::Open => {
                return Err(Violation::new("I13", format!("event {at} reads Shredded and was not")));
            }
            _ => {}
        }
    }
    Ok(())
}

fn refused_rightly(why: &OpenError) -> Result<(), Violation> {
    match why {
        OpenError::KeysetRolledBack { .. }
        | OpenError::LogRolledBack { .. }
        | OpenError::Provider(_)
        | OpenError::KeysetCorrupt(_)
        | OpenError::UnfinishedCreation { .. } => Ok(()),
        why => Err(Violation::new("I20", format!("refused with a reason that is none: {}", chain(why)))),
    }
}

pub(crate) fn mixed(shots: &[Shot], parts: Parts) -> State {
    let visible = |at: usize| -> State {
        let state = &shots[at].state;
        let space = Space::of(state);
        space.after(&space.everything())
    };
    let mut state = visible(parts.log);
    for (path, from) in [
        (PathBuf::from(KEY_FILE), parts.key_file),
        (PathBuf::from(DIR).join("keyset.a"), parts.a),
        (PathBuf::from(DIR).join("keyset.b"), parts.b),
    ] {
        put(&mut state, &visible(from), &path);
    }
    state
}

/// Puts the bytes of one disk's file into the other's.
fn put(state: &mut State, from: &State, path: &Path) {
    if let (Ok(to), Ok(file)) = (state.find(path), from.find(path)) {
        let content = from.file(file).now.clone();
        let file = state.file_mut(to);
        file.base = content.clone();
        file.now = content;
        file.version += 1 << 32;
    }
}
