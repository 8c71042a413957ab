//! A directory that was copied while its store rested, opened as a second store, while the first one went on.
//!
//! Invariant: it opens with all that was there, unless the key file that both share has moved on, and mints nothing that the first one
//! has minted since or mints afterwards.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use batpak_store::{OpenError, ProviderError};

use crate::explore::Explorer;
use crate::ledger::Ledger;
use crate::life::{Life, Op};
use crate::mixture::{Parts, mixed};
use crate::oracle::judge;
use crate::place::{DIR, Sealing};
use crate::random::mix;
use crate::sim::State;
use crate::violation::{Violation, chain};
use crate::watcher::Shot;

impl Explorer<'_> {
    /// Copies the store at each instant at which nothing was under way, and opens the copy at each later one.
    pub(crate) fn copies(&mut self, shots: &[Shot]) {
        let rests: Vec<Shot> = shots.iter().filter(|shot| shot.ended).cloned().collect();
        let shares: &[bool] = if self.setup.sealing == Sealing::Local { &[false] } else { &[false, true] };
        for now in 0..rests.len() {
            for (then, shared) in (0..=now).flat_map(|then| shares.iter().map(move |shared| (then, *shared))) {
                if !(self.go_on)() || !self.found.is_empty() {
                    return;
                }
                let key_file = if shared { now } else { then };
                let state = copied(mixed(&rests, Parts { log: then, key_file, a: then, b: then }));
                if !self.seen.is_new(&state, mix(&[rests[now].journal.events.len() as u64, 98, shared.into()])) {
                    continue;
                }
                self.seen.checked.add(1);
                self.way.push(format!("a copy of rest {then} opened at rest {now}, key file shared: {shared}"));
                if let Err(violation) = self.copy(&state, &rests[then], &rests[now], shared) {
                    self.violated(violation);
                }
                self.way.pop();
            }
        }
    }

    fn copy(&self, state: &State, then: &Shot, now: &Shot, shared: bool) -> Result<(), Violation> {
        let ledger = Arc::new(Ledger::clone(&now.ledger).rolled_back());
        let world = (then.journal.clone(), ledger);
        let mut copy = Life::on(self.setup, state.clone(), mix(&[self.seed, 31]), world, usize::MAX);
        match copy.open() {
            Ok(()) => {}
            // What unlocks the copied keyset is destroyed: the copy is as dead as every other of before.
            Err(OpenError::Provider(ProviderError::Missing)) if shared => return Ok(()),
            Err(why) => return Err(Violation::new("I3", format!("a copy does not open: {}", chain(&why)))),
        }
        let Some(store) = copy.store().cloned() else { return Ok(()) };
        judge(&store, &then.journal, then.journal.written)?;
        let told = store.open_report().copied;
        drop(store);
        // Of its own, so that nothing that the first store has written since is named the same.
        copy.watcher.journal(|journal| {
            (journal.entities, journal.ids) = (now.journal.entities + 10_000, now.journal.ids + 10_000);
        });
        let ledger = went_on(copy)?;
        let world = (now.journal.clone(), Arc::new(Ledger::clone(&ledger).rolled_back()));
        let mut state = now.state.clone();
        state.unlock_all();
        let mut first = Life::on(self.setup, state, mix(&[self.seed, 32]), world, usize::MAX);
        first.open().map_err(|why| Violation::new("I3", format!("beside a copy it does not open: {}", chain(&why))))?;
        went_on(first)?;
        if told { Ok(()) } else { Err(Violation::new("I7", "a copy is taken for the original")) }
    }
}

/// Appends under keys of before and fresh ones; returns everything that was ever framed.
fn went_on(mut life: Life) -> Result<Arc<Ledger>, Violation> {
    for op in [Op::New, Op::Old, Op::New] {
        life.perform(op);
    }
    let (violations, ledger) = (life.watcher.violations(), life.watcher.ledger());
    life.kill();
    violations.into_iter().next().map_or(Ok(ledger), Err)
}

/// The same files, each made anew.
fn copied(mut state: State) -> State {
    let of_store = |path: &&PathBuf| path.starts_with(Path::new(DIR));
    let paths: Vec<_> = state.visible().map(|(path, _)| path).filter(of_store).cloned().collect();
    for path in paths {
        if let Ok(number) = state.find(&path) {
            state.file_mut(number).identity += 1 << 40;
        }
    }
    state.unlock_all();
    state
}
