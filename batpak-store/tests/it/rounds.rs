//! Crash, recover, append, crash, recover, ten rounds: nothing acknowledged as synced is lost, nothing is there twice, no key serves two
//! entities.

use std::collections::{BTreeMap, HashMap};

use batpak_store::{Durability, EventId, Granularity, NewEvent, Query, Store, format::KeyId};

use crate::kit::{Place, event, open, payloads, sound};

/// What was appended in one order, and how much of it a crash may take.
#[derive(Default)]
struct Oracle {
    /// Ids and payloads by position, the store's own event left out: the log as far as it was acknowledged.
    log: Vec<(EventId, Vec<u8>)>,
    /// So many of them are synced.
    synced: usize,
    /// Under which keys frames stood, also frames that a crash took: of each key, whose it is.
    owners: HashMap<KeyId, String>,
    lost: usize,
}

impl Oracle {
    fn append(&mut self, store: &Store, entity: &str, payload: &[u8], durability: Durability) {
        let receipt = store.append(&event(entity, payload).durability(durability)).unwrap();
        self.log.push((receipt.id, payload.to_vec()));
        assert_eq!(receipt.position, self.log.len() as u64, "positions are dense");
        if durability == Durability::Synced {
            self.synced = self.log.len();
        }
        self.own(store, receipt.id, entity);
    }

    fn append_batch(&mut self, store: &Store, batch: &[(&str, Vec<u8>)], durability: Durability) {
        let events: Vec<NewEvent<'_>> =
            batch.iter().map(|(entity, payload)| event(entity, payload).durability(durability)).collect();
        let receipts = store.append_batch(&events).unwrap();
        for ((entity, payload), receipt) in batch.iter().zip(receipts) {
            self.log.push((receipt.id, payload.clone()));
            self.own(store, receipt.id, entity);
        }
        if durability == Durability::Synced {
            self.synced = self.log.len();
        }
    }

    fn own(&mut self, store: &Store, id: EventId, entity: &str) {
        let key_id = store.header(id).unwrap().unwrap().encryption.unwrap().key_id;
        let owner = self.owners.entry(key_id).or_insert_with(|| entity.to_owned());
        assert_eq!(owner, entity, "{key_id:?} is used for two key scopes");
    }

    /// Holds a recovered store against what was acknowledged, and forgets what the crash took.
    fn check(&mut self, store: &Store) {
        let read: Vec<_> = store.read(&Query::all()).unwrap().map(Result::unwrap).collect();
        assert!(read.len() >= self.synced, "{} of {} synced events are there", read.len(), self.synced);
        assert!(read.len() <= self.log.len());
        let mut revisions: BTreeMap<String, u64> = BTreeMap::new();
        for (n, (event, (id, payload))) in read.iter().zip(&self.log).enumerate() {
            assert_eq!((event.header.id, &open(event)), (*id, payload), "event {n}");
            assert_eq!(event.header.position, n as u64 + 1);
            let revision = revisions.entry(event.header.coordinate.entity().to_owned()).or_default();
            assert_eq!(event.header.revision, *revision);
            *revision += 1;
        }
        self.lost += self.log.len() - read.len();
        self.log.truncate(read.len());
        self.synced = read.len();
        sound(store);
    }
}

fn crash(place: &Place, store: Store) {
    place.memory.as_ref().unwrap().crash();
    drop(store);
}

fn ten_rounds(end: Durability) {
    let place = Place::memory();
    let mut oracle = Oracle::default();
    let mut store = place.create();
    let (mut n, mut segments) = (0_u32, 0);
    for round in 0..10_u32 {
        for step in 0..12 {
            n += 1;
            let durability = [Durability::Synced, Durability::Buffered, Durability::Deferred][(step % 3) as usize];
            // Old entities, and each round some that no event names yet.
            let entity = if step % 4 == 0 { format!("round-{round}-{step}") } else { format!("old-{}", step % 5) };
            oracle.append(&store, &entity, &n.to_le_bytes().repeat(30), durability);
        }
        let fresh = format!("batch-{round}");
        let batch = [("old-1", vec![1; 90]), (&*fresh, vec![2; 90]), ("old-2", vec![3; 90])];
        oracle.append_batch(&store, &batch, if round % 2 == 0 { Durability::Synced } else { end });
        for step in 0..3 {
            oracle.append(&store, &format!("late-{round}-{step}"), b"late", end);
        }
        segments = segments.max(store.stats().segments);
        crash(&place, store);
        store = place.open();
        oracle.check(&store);
    }
    assert!(segments > 2, "the log must roll");
    assert_eq!(oracle.lost == 0, end == Durability::Synced, "a crash takes what was not synced, and nothing else");
    store.close().unwrap();
    oracle.check(&place.open());
    assert_eq!(oracle.synced, oracle.log.len());
}

#[test]
fn ten_crashes_lose_nothing_that_was_synced() {
    for end in [Durability::Synced, Durability::Buffered, Durability::Deferred] {
        ten_rounds(end);
    }
}

#[test]
fn ten_crashes_never_give_a_leaf_to_two_events() {
    let place = Place::memory();
    let mut store = place.create_per(Granularity::Event);
    let mut owners: HashMap<KeyId, EventId> = HashMap::new();
    for round in 0..10_u8 {
        for n in 0..20_u8 {
            let durability = if n < 10 { Durability::Synced } else { Durability::Buffered };
            let receipt = store.append(&event("a", &[round, n]).durability(durability)).unwrap();
            let key_id = store.header(receipt.id).unwrap().unwrap().encryption.unwrap().key_id;
            assert_eq!(owners.insert(key_id, receipt.id), None, "{key_id:?} was used before");
        }
        crash(&place, store);
        store = place.open();
        let read = payloads(&store);
        for n in 0..10 {
            assert!(read.contains(&vec![round, n]), "synced events are there");
        }
        sound(&store);
    }
    // One short process a round, at most 64 leaves burned by each: they share the first page.
    assert!(owners.keys().all(|key_id| key_id.page() == 1));
}

#[test]
fn crash_is_one() {
    // The control: the disk does forget what was not synced.
    let place = Place::memory();
    let store = place.create();
    let receipt = store.append(&event("a", b"gone").durability(Durability::Buffered)).unwrap();
    crash(&place, store);
    assert_eq!(place.open().get(receipt.id).unwrap(), None);
}
