//! A change of the root secret cut at every call of the disk, the provider's own calls too, and the open that finishes it cut again.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use batpak_store::{
    EventId, EventKind, Payload, Query, Selector, Store,
    keyset::KeyFile as Slots,
    segment::{DiskOp, MemoryDisk},
};

use crate::{
    keepers::Keeper,
    kit::{Place, append, sound},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Rekey,
    Shred,
}

/// What a cut left.
#[derive(Default, Debug)]
struct Tally {
    nothing: u32,
    finished: u32,
    recoveries: u32,
}

/// Lets so many calls that change something through, and fails all behind them; tells whether one was failed.
fn cut_after(disk: &MemoryDisk, mut left: u32) -> Arc<AtomicBool> {
    let cut = Arc::new(AtomicBool::new(false));
    let note = Arc::clone(&cut);
    disk.fail(Box::new(move |call| {
        if matches!(call.op, DiskOp::Read | DiskOp::Open) {
            return None;
        }
        if left == 0 {
            note.store(true, Ordering::Relaxed);
            return Some(std::io::ErrorKind::StorageFull.into());
        }
        left -= 1;
        None
    }));
    cut
}

fn open(keeper: Keeper, place: &Place) -> Store {
    Store::open(place.dir(), keeper.config(place)).unwrap()
}

struct Life {
    keeper: Keeper,
    change: Change,
    victim: EventId,
    other: EventId,
}

impl Life {
    /// Whether the change is done by now; what stands then is whole, and one root secret is left.
    fn check(&self, place: &Place) -> bool {
        let store = open(self.keeper, place);
        let count = |kind| store.read(&Query::all().kind(kind).include_system(true)).unwrap().count();
        let shredded = count(EventKind::SHRED_INTENT) == 1;
        assert_eq!(count(EventKind::SHRED_COMPLETED), usize::from(shredded));
        let payload = |id| store.get(id).unwrap().unwrap().payload;
        assert!(matches!(payload(self.other), Payload::Open(_)));
        match shredded {
            true => assert!(matches!(payload(self.victim), Payload::Shredded(_))),
            false => assert!(matches!(payload(self.victim), Payload::Open(_))),
        }
        let slots = Slots::decode(&place.read(&self.keeper.slots(place)), None).unwrap();
        assert!(slots.next().is_none() && !slots.is_damaged());
        sound(&store);
        store.close().unwrap();
        shredded
    }

    /// Cuts the change at each of its calls, and the open behind it at each of its own.
    fn cut_everywhere(&self, start: &MemoryDisk, recoveries: bool) -> Tally {
        let mut tally = Tally::default();
        for call in 0.. {
            let place = Place::on(start.copy());
            let disk = place.memory.clone().unwrap();
            let store = open(self.keeper, &place);
            let cut = cut_after(&disk, call);
            match self.change {
                Change::Rekey => drop(store.rekey()),
                Change::Shred => drop(store.shred(&[Selector::Entity("a".into())], 0, "")),
            }
            disk.crash();
            disk.clear_hooks();
            drop(store);
            let after = disk.copy();
            let done = self.check(&place);
            *(if done { &mut tally.finished } else { &mut tally.nothing }) += 1;
            for again in (0..).take_while(|_| recoveries) {
                let place = Place::on(after.copy());
                let disk = place.memory.clone().unwrap();
                let cut = cut_after(&disk, again);
                let opened = Store::open(place.dir(), self.keeper.config(&place)).is_ok();
                disk.crash();
                disk.clear_hooks();
                assert_eq!(self.check(&place), done, "call {call}, then {again}");
                tally.recoveries += 1;
                if opened || !cut.load(Ordering::Relaxed) {
                    break;
                }
            }
            if !cut.load(Ordering::Relaxed) {
                return tally;
            }
        }
        unreachable!("the loop ends with a change that is not cut")
    }
}

fn cut(keeper: Keeper, change: Change, recoveries: bool) -> Tally {
    let place = Place::memory();
    let store = Store::create(place.dir(), keeper.config(&place)).unwrap();
    let (victim, other) = (append(&store, "a", b"victim").id, append(&store, "b", b"other").id);
    store.close().unwrap();
    let tally = Life { keeper, change, victim, other }.cut_everywhere(place.memory.as_ref().unwrap(), recoveries);
    println!("{keeper:?}, {change:?}: {tally:?}");
    tally
}

#[test]
fn shred_under_an_outside_provider_did_nothing_or_is_finished_whatever_cuts_it() {
    let tally = cut(Keeper::Outside, Change::Shred, true);
    assert!(tally.nothing >= 5 && tally.finished > 5 && tally.recoveries > 100, "{tally:?}");
}

#[test]
fn rekey_under_an_outside_provider_leaves_one_secret_whatever_cuts_it() {
    let tally = cut(Keeper::Outside, Change::Rekey, true);
    assert!(tally.nothing > 8 && tally.finished == 0 && tally.recoveries > 50, "{tally:?}");
}

#[test]
fn changes_under_a_passphrase_and_a_key_file_did_nothing_or_are_finished_whatever_cuts_them() {
    let shred = cut(Keeper::PassphraseKeyFile, Change::Shred, false);
    assert!(shred.nothing >= 5 && shred.finished > 5, "{shred:?}");
    cut(Keeper::PassphraseKeyFile, Change::Rekey, false);
}
