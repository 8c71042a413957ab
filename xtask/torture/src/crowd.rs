//! Eight threads on one store: appends, batches, reads, shreds, readmissions, rolls and verifications at the same time, and
//! the history of it held against the rules.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use batpak_store::format::Record;
use batpak_store::keyset::{Granularity, scope_for};
use batpak_store::{
    AppendError, Durability, EventId, EventKind, NewEvent, Payload, Query, Selector, Store, VerifyOptions,
};

use crate::breakage::Breakage;
use crate::history::{Call, Seen, What};
use crate::linear::check;
use crate::random::Random;
use crate::script::payload;
use crate::tally::Counted;
use crate::worker::{config, coordinate};
use crate::{Outcome, evidence};

const THREADS: usize = 8;
const SCOPES: usize = 24;
/// Reads look among the last so many events of a key scope, and now and then anywhere.
const RECENT: usize = 64;
/// Between two verifications of a thread.
const VERIFY_EVERY: Duration = Duration::from_millis(700);
/// Lies told of the history, each of which the check has to find.
const LIES: usize = 200;

/// Runs the threads for so long, in a place below `ground`.
///
/// # Errors
///
/// When a call fails, or its answer fits in no order.
pub(crate) fn run(ground: &Path, seed: u64, lasting: Duration) -> Outcome<Counted> {
    let place = ground.join("crowd");
    fs::create_dir_all(&place)?;
    let store = Store::create(place.join("store"), config(&place).segment_bytes(256 * 1024))?;
    let crowd = Crowd {
        store: &store,
        begun: Instant::now(),
        lasting,
        events: AtomicU64::new(0),
        submitted: (0..SCOPES).map(|_| Mutex::new(Vec::new())).collect(),
        verifications: AtomicU64::new(0),
    };
    let ended: Vec<Result<Vec<Call>, String>> = thread::scope(|scope| {
        let crowd = &crowd;
        let threads: Vec<_> = (0..THREADS).map(|thread| scope.spawn(move || crowd.work(thread, seed))).collect();
        threads.into_iter().map(|it| it.join().unwrap_or_else(|_| Err("a thread panicked".to_owned()))).collect()
    });
    let mut history = Vec::new();
    for calls in ended {
        history.extend(calls.map_err(|why| evidence::report(&place, Breakage::None, &why))?);
    }
    let verifications = crowd.verifications.load(Ordering::Relaxed);
    drop(crowd);
    store.close()?;
    let store = Store::open(place.join("store"), config(&place))?;
    let segments = store.stats().segments;
    complete(&store, &mut history)?;
    store.close()?;
    let count = check(&history).map_err(|why| evidence::report(&place, Breakage::None, &why))?;
    evidence::discard(&place);
    let caught = lies(&mut history, seed);
    let of = |is_such: fn(&What) -> bool| history.iter().filter(|call| is_such(&call.what)).count();
    let note = format!(
        "calls of {THREADS} threads: {} appended, {} refused, {} read, {} shreds, {} readmissions, {verifications} verifications, \
         {segments} segments; {caught} of {LIES} lies found",
        of(|what| matches!(what, What::Appended { .. })),
        of(|what| matches!(what, What::Refused)),
        of(|what| matches!(what, What::Got { .. } | What::Latest { .. })),
        of(|what| matches!(what, What::Shredded { .. })),
        of(|what| matches!(what, What::Readmitted { .. })),
    );
    Ok(Counted { count, note, caught_after: (caught == LIES).then_some(1) })
}

struct Crowd<'a> {
    store: &'a Store,
    begun: Instant,
    lasting: Duration,
    /// Numbers the events.
    events: AtomicU64,
    /// Of each key scope, the events that somebody has begun to append.
    submitted: Vec<Mutex<Vec<u64>>>,
    verifications: AtomicU64,
}

/// One thread's part.
struct Member<'a> {
    crowd: &'a Crowd<'a>,
    random: Random,
    calls: Vec<Call>,
}

impl Crowd<'_> {
    fn work(&self, thread: usize, seed: u64) -> Result<Vec<Call>, String> {
        let mut member = Member { crowd: self, random: Random::new(seed ^ (thread as u64) << 32), calls: Vec::new() };
        let mut verified = Instant::now();
        while self.begun.elapsed() < self.lasting {
            member.step(thread).map_err(|why| why.to_string())?;
            if thread == 0 && verified.elapsed() > VERIFY_EVERY {
                let report = self.store.verify(VerifyOptions::full(), &mut |_| {}).map_err(|why| why.to_string())?;
                if !report.is_sound() {
                    return Err(format!(
                        "verification beside appends finds {:?}, {} lost",
                        report.problems.first(),
                        report.lost
                    ));
                }
                self.verifications.fetch_add(1, Ordering::Relaxed);
                verified = Instant::now();
            }
        }
        Ok(member.calls)
    }

    fn now(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// A new event of a scope, which readers may look for from now on.
    fn event(&self, scope: usize) -> u64 {
        let event = self.events.fetch_add(1, Ordering::Relaxed);
        self.submitted[scope].lock().unwrap_or_else(PoisonError::into_inner).push(event);
        event
    }
}

impl Member<'_> {
    fn step(&mut self, thread: usize) -> Outcome {
        let scope = self.random.below(SCOPES);
        match self.random.below(200) {
            0..80 => self.append(&[scope]),
            80..95 => {
                let scopes: Vec<usize> = (0..2 + self.random.below(3)).map(|_| self.random.below(SCOPES)).collect();
                self.append(&scopes)
            }
            95..175 => self.get(scope),
            175..196 => self.latest(scope),
            // One thread shreds and readmits a scope, so that the order of its readmissions is its own.
            196 => self.shred(scope / THREADS * THREADS + thread),
            _ => self.readmit(scope / THREADS * THREADS + thread),
        }
    }

    fn call(&mut self, scope: usize, invoked: u64, what: What) {
        let returned = self.crowd.now();
        self.calls.push(Call { scope, invoked, returned, what });
    }

    fn append(&mut self, scopes: &[usize]) -> Outcome {
        let durability = [Durability::Synced, Durability::Buffered, Durability::Buffered, Durability::Deferred];
        let durability = durability[self.random.below(durability.len())];
        let events: Vec<u64> = scopes.iter().map(|scope| self.crowd.event(*scope)).collect();
        let payloads: Vec<Vec<u8>> = events.iter().map(|event| payload(id(*event), bytes(*event))).collect();
        let kind = EventKind::new(1, 7)?;
        let submitted = scopes.iter().zip(&events).zip(&payloads).map(|((scope, event), payload)| {
            Ok(NewEvent::new(coordinate(&entity(*scope))?, kind, payload).id(id(*event)).durability(durability))
        });
        let submitted = submitted.collect::<Outcome<Vec<_>>>()?;
        let invoked = self.crowd.now();
        let appended = match submitted.as_slice() {
            [one] => self.crowd.store.append(one).map(|receipt| vec![receipt]),
            batch => self.crowd.store.append_batch(batch),
        };
        match appended {
            Ok(receipts) => {
                for ((scope, event), receipt) in scopes.iter().zip(events).zip(receipts) {
                    self.call(*scope, invoked, What::Appended { event, position: receipt.position });
                }
            }
            // Of a batch it is not known which scope refused.
            Err(AppendError::ScopeShredded) => {
                if let [scope] = scopes {
                    self.call(*scope, invoked, What::Refused);
                }
            }
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    fn get(&mut self, scope: usize) -> Outcome {
        let event = {
            let submitted = self.crowd.submitted[scope].lock().unwrap_or_else(PoisonError::into_inner);
            let oldest = if self.random.below(8) == 0 { 0 } else { submitted.len().saturating_sub(RECENT) };
            match submitted.len() - oldest {
                0 => return Ok(()),
                many => submitted[oldest + self.random.below(many)],
            }
        };
        let invoked = self.crowd.now();
        let found = self.crowd.store.get(id(event))?;
        let seen = seen(event, scope, found);
        self.call(scope, invoked, What::Got { event, seen });
        Ok(())
    }

    fn latest(&mut self, scope: usize) -> Outcome {
        let invoked = self.crowd.now();
        let latest = self.crowd.store.latest(&entity(scope))?;
        self.call(scope, invoked, What::Latest { position: latest.map(|event| event.header.position) });
        Ok(())
    }

    fn shred(&mut self, scope: usize) -> Outcome {
        let invoked = self.crowd.now();
        let shredding = self.crowd.store.shred(&[Selector::Entity(entity(scope))], 1, "crowd")?;
        self.call(scope, invoked, What::Shredded { position: shredding.intent });
        Ok(())
    }

    fn readmit(&mut self, scope: usize) -> Outcome {
        let invoked = self.crowd.now();
        self.crowd.store.readmit(&Selector::Entity(entity(scope)))?;
        // Its position is found in the log, when all is over.
        self.call(scope, invoked, What::Readmitted { position: u64::MAX });
        Ok(())
    }
}

/// Fills in where the readmissions stand, and adds what the store says of every event when all is over.
fn complete(store: &Store, history: &mut Vec<Call>) -> Outcome {
    let mut readmissions: BTreeMap<Vec<u8>, Vec<u64>> = BTreeMap::new();
    for event in store.read(&Query::all().kind(EventKind::SCOPE_READMITTED).include_system(true))? {
        let event = event?;
        let bytes = event.payload.open().ok_or("a record of the store's own is sealed")?;
        if let Record::ScopeReadmitted(record) = Record::decode(event.header.kind, bytes)? {
            readmissions.entry(record.key_scope.to_vec()).or_default().push(event.header.position);
        }
    }
    for scope in 0..SCOPES {
        let (kind, any) = (EventKind::new(1, 7)?, EventId::from_bytes([1; 16]));
        let key_scope = scope_for(Granularity::Entity, &coordinate(&entity(scope))?, kind, any);
        let mut positions = readmissions.remove(key_scope.as_bytes()).unwrap_or_default().into_iter();
        let is_readmission = |call: &&mut Call| call.scope == scope && matches!(call.what, What::Readmitted { .. });
        for call in history.iter_mut().filter(is_readmission) {
            let position = positions.next().ok_or("a readmission is not on record")?;
            call.what = What::Readmitted { position };
        }
        if positions.next().is_some() {
            return Err("a readmission is on record that nobody made".into());
        }
    }
    let end = history.iter().map(|call| call.returned).max().unwrap_or(0) + 1;
    let appended: Vec<(usize, u64)> = history
        .iter()
        .filter_map(|call| match call.what {
            What::Appended { event, .. } => Some((call.scope, event)),
            _ => None,
        })
        .collect();
    for (scope, event) in appended {
        let seen = seen(event, scope, store.get(id(event))?);
        history.push(Call { scope, invoked: end, returned: end, what: What::Got { event, seen } });
    }
    Ok(())
}

fn seen(event: u64, scope: usize, found: Option<batpak_store::Event>) -> Seen {
    let Some(found) = found else { return Seen::Absent };
    if found.header.coordinate.entity() != entity(scope) {
        return Seen::Wrong;
    }
    match found.payload {
        Payload::Open(bytes_found) if bytes_found[..] == payload(id(event), bytes(event))[..] => Seen::Open,
        Payload::Shredded(_) => Seen::Shredded,
        _ => Seen::Wrong,
    }
}

/// Tells lies, one at a time, of what was seen after everything, and returns how many the check finds.
fn lies(history: &mut [Call], seed: u64) -> usize {
    let mut random = Random::new(seed);
    let all: Vec<usize> = (0..history.len()).filter(|at| matches!(history[*at].what, What::Got { .. })).collect();
    let last = history.iter().map(|call| call.invoked).max().unwrap_or(0);
    let all: Vec<usize> = all.into_iter().filter(|at| history[*at].invoked == last).collect();
    let mut found = 0;
    for _ in 0..LIES {
        if all.is_empty() {
            break;
        }
        let at = all[random.below(all.len())];
        let truth = history[at];
        let What::Got { event, seen } = truth.what else { break };
        let others: Vec<Seen> =
            [Seen::Absent, Seen::Open, Seen::Shredded, Seen::Wrong].into_iter().filter(|it| *it != seen).collect();
        history[at].what = What::Got { event, seen: others[random.below(others.len())] };
        // Only the scope it is told of.
        let scope: Vec<Call> = history.iter().filter(|call| call.scope == truth.scope).copied().collect();
        found += usize::from(check(&scope).is_err());
        history[at] = truth;
    }
    found
}

fn entity(scope: usize) -> String {
    format!("crowd-{scope}")
}

fn id(event: u64) -> EventId {
    EventId::from_bytes((u128::from(event) + 1).to_be_bytes())
}

fn bytes(event: u64) -> usize {
    // Another length for each event, so that one taken for another is seen.
    16 + usize::try_from(event % 257).unwrap_or(0)
}
