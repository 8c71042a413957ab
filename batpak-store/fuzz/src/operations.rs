//! Any sequence of operations, cut by a crash at any call of the disk: what was acknowledged as synced is there, what is there was
//! submitted, batches whole and in order, and what was shredded stays shredded.

use std::io;

use batpak_format_fuzz::Seeds;
use batpak_store::{Durability, NewEvent, Payload, Selector, Store, VerifyOptions, segment::DiskOp};

use crate::place::{DIR, Place, event, events};

/// One event that was submitted.
#[derive(Debug)]
struct Submitted {
    number: u32,
    entity: u8,
    payload: Vec<u8>,
    unit: u32,
    /// How many events its batch has.
    of: usize,
    /// Its append returned.
    placed: bool,
    /// It was acknowledged as synced.
    acked: bool,
    shredded: Shredded,
}

/// What is known of a shred of the event's entity behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shredded {
    No,
    /// It was begun, and ended in an error.
    Perhaps,
    Yes,
}

struct Run {
    place: Place,
    store: Option<Store>,
    submitted: Vec<Submitted>,
    sealed: bool,
    next: u32,
}

/// The first byte says whether the store is sealed. Then operations of two bytes: which, and with what.
pub fn look(data: &[u8]) {
    let Some((choice, operations)) = data.split_first() else { return };
    let sealed = choice & 1 == 1;
    let place = Place::new(sealed);
    let store = Store::create(DIR, place.config()).unwrap_or_else(|why| panic!("{why}"));
    let mut run = Run { place, store: Some(store), submitted: Vec::new(), sealed, next: 0 };
    for operation in operations.chunks_exact(2).take(128) {
        run.step(operation[0], operation[1]);
    }
    run.crash();
}

impl Run {
    fn step(&mut self, what: u8, with: u8) {
        match what % 10 {
            0 => self.append(1, with, Durability::Synced),
            1 => self.append(1, with, Durability::Buffered),
            2 => self.append(1, with, Durability::Deferred),
            3 => self.append(u32::from(with % 4) + 2, with, Durability::Synced),
            4 => {
                let synced = self.store.as_ref().is_some_and(|store| store.sync().is_ok());
                if synced {
                    self.submitted.iter_mut().for_each(|event| event.acked = event.placed);
                }
            }
            5 => self.shred(with % 4),
            6 => drop(self.store.as_ref().map(|store| store.readmit(&Selector::Entity(format!("e{}", with % 4))))),
            7 => drop(self.store.as_ref().map(|store| store.rekey())),
            8 => self.arm(with),
            _ if with & 1 == 0 => self.crash(),
            _ => {
                drop(self.store.take());
                self.crash();
            }
        }
    }

    fn append(&mut self, count: u32, with: u8, durability: Durability) {
        let Some(store) = &self.store else { return };
        let (unit, entity) = (self.next, with % 4);
        let payload = vec![with; usize::from(with) * 4];
        let numbers = self.next..self.next + count;
        self.next += count;
        let new: Vec<NewEvent<'_>> =
            numbers.clone().map(|number| event(entity, number, &payload).durability(durability)).collect();
        let placed = store.append_batch(&new).is_ok();
        let acked = placed && durability == Durability::Synced;
        for number in numbers {
            let (payload, shredded, of) = (payload.clone(), Shredded::No, count as usize);
            self.submitted.push(Submitted { number, entity, payload, unit, of, placed, acked, shredded });
        }
    }

    fn shred(&mut self, entity: u8) {
        let Some(store) = &self.store else { return };
        let done = store.shred(&[Selector::Entity(format!("e{entity}"))], 0, "").is_ok();
        for event in self.submitted.iter_mut().filter(|event| event.entity == entity) {
            event.shredded = match event.shredded {
                _ if done => Shredded::Yes,
                Shredded::No => Shredded::Perhaps,
                known => known,
            };
        }
    }

    /// From so many changing calls on, every call fails, as when the machine stops.
    fn arm(&mut self, mut left: u8) {
        self.place.disk.fail(Box::new(move |call| {
            if matches!(call.op, DiskOp::Open | DiskOp::Read) {
                return None;
            }
            left = left.saturating_sub(1);
            (left == 0).then(|| io::ErrorKind::Other.into())
        }));
    }

    /// The machine stops; what is synced stays. Then the store is opened and looked at.
    fn crash(&mut self) {
        self.place.disk.crash();
        self.place.disk.clear_hooks();
        drop(self.store.take());
        let store = Store::open(DIR, self.place.config()).unwrap_or_else(|why| panic!("{why:?}"));
        self.check(&store);
        self.store = Some(store);
    }

    fn check(&mut self, store: &Store) {
        let found: Vec<_> = events(store).into_iter().filter(|event| !event.header.kind.is_reserved()).collect();
        let mut at = 0;
        let mut kept = Vec::new();
        for event in std::mem::take(&mut self.submitted) {
            let id = batpak_store::EventId::from_key(&event.number.to_le_bytes());
            let Some(there) = found.get(at).filter(|there| there.header.id == id) else {
                assert!(!event.acked, "{event:?} was acknowledged and is gone");
                continue;
            };
            at += 1;
            let state = match &there.payload {
                Payload::Open(bytes) if bytes.as_ref() == event.payload => Shredded::No,
                Payload::Shredded(_) => Shredded::Yes,
                other => panic!("{event:?} reads {other:?}"),
            };
            match event.shredded {
                Shredded::Perhaps => assert!(self.sealed || state == Shredded::No),
                known => assert_eq!(state, known, "{event:?}"),
            }
            kept.push(Submitted { placed: true, acked: true, shredded: state, ..event });
        }
        assert_eq!(at, found.len(), "an event is there that nobody submitted, or out of order");
        for unit in kept.chunk_by(|a, b| a.unit == b.unit) {
            assert!(unit.iter().all(|event| event.of == unit.len()), "a batch is whole or not there: {unit:?}");
        }
        self.submitted = kept;
        let report = store.verify(VerifyOptions::full(), &mut |_| {});
        assert!(report.is_ok_and(|report| report.is_sound()));
    }
}

/// Sequences with a crash somewhere.
pub fn seeds() -> Seeds {
    let sequences: [(&str, &[u8]); 6] = [
        ("appends", &[0, 1, 1, 2, 2, 3, 3, 9, 4, 0, 9, 0]),
        ("shred", &[0, 1, 0, 5, 0, 2, 5, 1, 6, 1, 0, 1, 9, 1]),
        ("shred-cut", &[0, 1, 0, 2, 8, 9, 5, 1, 9, 0, 0, 2]),
        ("rekey-cut", &[0, 1, 8, 6, 7, 0, 9, 0, 0, 1]),
        ("roll-cut", &[0, 250, 0, 251, 0, 252, 8, 4, 0, 253, 9, 0, 0, 254]),
        ("deferred", &[2, 1, 2, 2, 3, 3, 2, 9, 9, 0, 2, 4, 9, 1]),
    ];
    let seed = |(name, sequence): (&str, &[u8])| {
        [(format!("{name}-sealed"), [&[1], sequence].concat()), (format!("{name}-plain"), [&[0], sequence].concat())]
    };
    sequences.into_iter().flat_map(seed).collect()
}
