//! From the shots of a run to crash states, and what is checked of each: the readers, the recovery, a second recovery, a crash inside
//! the recovery, and a store that goes on.
//!
//! Invariant: a crash state is checked once for what is expected of it, however often it comes up.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use batpak_store::Store;

use crate::journal::Journal;
use crate::keyset::{self, Belief};
use crate::ledger::Ledger;
use crate::life::{Life, Op};
use crate::lock;
use crate::oracle::{judge, verify};
use crate::place::{DIR, Setup};
use crate::random::{Count, mix};
use crate::sim::State;
use crate::sim::crash::Space;
use crate::violation::{Violation, chain};
use crate::watcher::Shot;

/// How much of what there is gets visited.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Breadth {
    /// Crash points of one run.
    pub(crate) shots: usize,
    /// States of one crash point.
    pub(crate) states: usize,
    /// Of so many states one is recovered with crashes inside.
    pub(crate) inside: u64,
    /// Of so many states one goes on, crashes and recovers again.
    pub(crate) rounds: u64,
    /// Crashes inside crashes.
    pub(crate) depth: u32,
}

/// States that were seen, and what was found; shared by threads.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    images: [Mutex<HashSet<u64>>; 16],
    checks: [Mutex<HashSet<u64>>; 16],
    pub(crate) checked: Count,
}

impl Seen {
    pub(crate) fn distinct(&self) -> u64 {
        self.images.iter().map(|images| lock(images).len() as u64).sum()
    }

    /// Whether the state comes up for the first time with this expectation.
    pub(crate) fn is_new(&self, state: &State, expectation: u64) -> bool {
        let hash = state.hash();
        let first = hash.as_bytes().first_chunk().copied().unwrap_or_default();
        let image = u64::from_le_bytes(first);
        lock(&self.images[image as usize % 16]).insert(image);
        let check = mix(&[image, expectation]);
        lock(&self.checks[check as usize % 16]).insert(check)
    }
}

/// A violation with the way to it.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) violation: Violation,
    pub(crate) way: Vec<String>,
}

/// One exploration.
pub(crate) struct Explorer<'a> {
    pub(crate) setup: Setup,
    pub(crate) seed: u64,
    pub(crate) breadth: Breadth,
    pub(crate) seen: &'a Seen,
    /// Whether there is time left.
    pub(crate) go_on: &'a (dyn Fn() -> bool + Sync),
    pub(crate) found: Vec<Found>,
    pub(crate) way: Vec<String>,
}

/// The world of a crash state: what is expected, and what was framed before.
struct World<'a> {
    journal: &'a Journal,
    ledger: &'a Arc<Ledger>,
    /// Whether only the process ended.
    killed: bool,
    /// Whether nothing was under way.
    at_rest: bool,
}

impl Explorer<'_> {
    /// Visits the crash states of every shot.
    pub(crate) fn shots(&mut self, shots: &[Shot], depth: u32) {
        for (at, shot) in shots.iter().enumerate() {
            if !(self.go_on)() || !self.found.is_empty() {
                return;
            }
            let way = format!(
                "shot {at} of {}: operation {}{}",
                shots.len(),
                shot.step,
                if shot.ended { ", ended" } else { "" }
            );
            self.way.push(way);
            self.shot(shot, depth);
            self.way.pop();
        }
    }

    /// Visits few states of a few of the shots.
    fn some_shots(&mut self, shots: &[Shot], depth: u32, most: usize) {
        let stride = shots.len().div_ceil(most.max(1)).max(1);
        let first = mix(&[self.seed, self.seen.checked.get()]) as usize % stride;
        let narrow = Breadth { states: 3, ..self.breadth };
        let wide = std::mem::replace(&mut self.breadth, narrow);
        let some: Vec<Shot> = shots.iter().skip(first).step_by(stride).cloned().collect();
        self.shots(&some, depth);
        self.breadth = wide;
    }

    fn shot(&mut self, shot: &Shot, depth: u32) {
        let space = Space::of(&shot.state);
        let world = |killed| World { journal: &shot.journal, ledger: &shot.ledger, killed, at_rest: shot.ended };
        for (at, crash) in space.crashes(mix(&[self.seed, depth.into()]), self.breadth.states).iter().enumerate() {
            self.way.push(format!("power cut {at}: {}", space.shown(crash)));
            self.state(&space.after(crash), &world(false), depth);
            self.way.pop();
            if !self.found.is_empty() {
                return;
            }
        }
        self.way.push("kill".to_owned());
        let mut state = shot.state.clone();
        state.unlock_all();
        self.state(&state, &world(true), depth);
        self.way.pop();
    }

    pub(crate) fn violated(&mut self, violation: Violation) {
        self.found.push(Found { violation, way: self.way.clone() });
    }

    fn state(&mut self, state: &State, world: &World<'_>, depth: u32) {
        if !self.seen.is_new(state, mix(&[world.journal.expectation(world.killed), world.at_rest.into()])) {
            return;
        }
        let number = self.seen.checked.add(1);
        if let Err(violation) = self.check(state, world, depth, number) {
            self.violated(violation);
        }
    }

    /// Everything that must hold of one crash state.
    fn check(&mut self, state: &State, world: &World<'_>, depth: u32, number: u64) -> Result<(), Violation> {
        let journal = world.journal;
        let least = if world.killed { journal.written } else { journal.durable };
        if journal.created && self.setup.is_sealed() {
            keyset::judged(state, Belief::Visible).map_err(|why| Violation::new("I15", why))?;
        }
        self.read_only(state, world, least)?;
        let inside = depth < self.breadth.depth && number.is_multiple_of(self.breadth.inside);
        let on = depth < self.breadth.depth && number.is_multiple_of(self.breadth.rounds);
        let keep_from = if inside { 0 } else { usize::MAX };
        let seed = mix(&[self.seed, 11, depth.into(), journal.ids]);
        // What a power cut took is not there for a kill that follows.
        let kept = Journal { written: least, ..journal.clone() };
        let mut life = Life::on(self.setup, state.clone(), seed, (kept, Arc::clone(world.ledger)), keep_from);
        match life.open() {
            Ok(()) => {}
            // A creation that did not return may be refused.
            Err(_) if !journal.created => return Ok(()),
            Err(why) => return Err(Violation::new("I3", format!("the store does not open: {}", chain(&why)))),
        }
        let Some(store) = life.store().cloned() else { return Ok(()) };
        let seen = judge(&store, journal, least)?;
        verify(&store)?;
        drop(store);
        let recovered = life.disk.state();
        let resolved = journal.resolved(seen.count, &seen.shredded);
        self.keys_after(&recovered, &resolved)?;
        if let Some(violation) = life.watcher.violations().into_iter().next() {
            return Err(violation);
        }
        let shots = life.watcher.take_shots();
        let ledger = life.watcher.ledger();
        if on {
            life.watcher.journal(|journal| *journal = resolved.clone());
            self.go_on_and_crash(life, depth)?;
        } else {
            life.kill();
        }
        self.second_open(&recovered, &resolved, &ledger)?;
        if world.at_rest && self.setup.is_sealed() {
            self.rot(state, world, number)?;
        }
        if inside {
            self.way.push("inside the recovery".to_owned());
            self.some_shots(&shots, depth + 1, 6);
            self.way.pop();
        }
        Ok(())
    }

    /// A reader opens it, sees what must be there, and changes nothing.
    fn read_only(&self, state: &State, world: &World<'_>, least: usize) -> Result<(), Violation> {
        let journal = world.journal;
        let seed = mix(&[self.seed, 12]);
        let life = Life::on(self.setup, state.clone(), seed, (journal.clone(), Arc::clone(world.ledger)), 0);
        let config = self.setup.config(&life.disk, seed);
        match Store::open_read_only(DIR, config) {
            Ok(reader) => {
                judge(&reader, journal, least).map_err(|violation| {
                    Violation::new(violation.invariant, format!("a reader: {}", violation.what))
                })?;
            }
            Err(_) if !journal.created => {}
            Err(why) => return Err(Violation::new("I18", format!("a reader cannot open it: {}", chain(&why)))),
        }
        match life.watcher.take_shots().first() {
            Some(_) => Err(Violation::new("I18", "a reader changes the disk")),
            None => Ok(()),
        }
    }

    /// After a recovery no shredded key is derivable from anything, and no old secret is kept.
    fn keys_after(&self, recovered: &State, journal: &Journal) -> Result<(), Violation> {
        if !self.setup.is_sealed() || !journal.created {
            return Ok(());
        }
        keyset::old_secrets_are_gone(recovered).map_err(|why| Violation::new("I12", why))?;
        let keyset = keyset::load(recovered, Belief::Durable).map_err(|why| Violation::new("I15", why))?;
        for key_id in keyset::shredded_keys(recovered) {
            if keyset.key(key_id).is_ok() {
                return Err(Violation::new("I10", format!("key {key_id} is derivable after its shred")));
            }
        }
        Ok(())
    }

    /// Ends the process and opens again: no byte is another.
    fn second_open(&self, recovered: &State, journal: &Journal, ledger: &Arc<Ledger>) -> Result<(), Violation> {
        let mut state = recovered.clone();
        state.unlock_all();
        let seed = mix(&[self.seed, 13]);
        let mut life = Life::on(self.setup, state.clone(), seed, (journal.clone(), Arc::clone(ledger)), usize::MAX);
        life.open().map_err(|why| Violation::new("I17", format!("it does not open again: {}", chain(&why))))?;
        let again = life.disk.state();
        life.kill();
        match state.difference(&again) {
            Some(path) => Err(Violation::new("I17", format!("a second open changes {}", path.display()))),
            None => Ok(()),
        }
    }

    /// With nothing under way either copy of the keyset may rot.
    fn rot(&self, state: &State, world: &World<'_>, number: u64) -> Result<(), Violation> {
        let mut rotten = state.clone();
        let copy = if number.is_multiple_of(2) { "keyset.a" } else { "keyset.b" };
        let path = std::path::PathBuf::from(DIR).join(copy);
        let Ok(file) = rotten.find(&path) else { return Ok(()) };
        let file = rotten.file_mut(file);
        let (len, call) = (file.now.len, 0);
        file.write(&vec![0xa5; len as usize], 0, call);
        file.sync();
        if world.journal.poisoned || world.journal.struck {
            return Ok(());
        }
        let ledger = (world.journal.clone(), Arc::clone(world.ledger));
        let mut life = Life::on(self.setup, rotten, mix(&[self.seed, 14]), ledger, usize::MAX);
        let opened = life.open().map_err(|why| chain(&why));
        let judged = opened.and_then(|()| match life.store() {
            Some(store) => judge(store, world.journal, 0).map(drop).map_err(|violation| violation.to_string()),
            None => Ok(()),
        });
        life.kill();
        judged.map_err(|why| Violation::new("I15", format!("with {copy} rotten: {why}")))
    }

    /// Writes on after the recovery, and crashes again.
    fn go_on_and_crash(&mut self, life: Life, depth: u32) -> Result<(), Violation> {
        let setup = self.setup;
        let (journal, ledger) = (life.watcher.journal(|journal| journal.clone()), life.watcher.ledger());
        let mut first = life;
        let state = {
            let mut state = first.disk.state();
            state.unlock_all();
            state
        };
        first.kill();
        let seed = mix(&[self.seed, 15, depth.into(), journal.ids]);
        let mut life = Life::on(setup, state, seed, (journal, ledger), 0);
        life.open().map_err(|why| Violation::new("I17", format!("it does not open again: {}", chain(&why))))?;
        for (step, op) in [Op::Old, Op::New].into_iter().enumerate() {
            life.watcher.step(step);
            life.perform(op);
            life.rest();
        }
        let shots = life.watcher.take_shots();
        let violations = life.watcher.violations();
        life.kill();
        if let Some(violation) = violations.into_iter().next() {
            return Err(violation);
        }
        self.way.push("after the recovery".to_owned());
        self.some_shots(&shots, depth + 1, 6);
        self.way.pop();
        Ok(())
    }
}
