//! The commit: the only serial part of an append, and its cost does not grow with the payload.
//!
//! Invariants: under the commit lock, ids, causes and keys are checked against the state that the events would join, and then nothing
//! fails any more: positions, revisions and chain hashes are given out, dense and in order, to all events of a unit or to none.

use std::fmt;

use batpak_format::{ChainHash, EventId, EventKind, FrameSeed, KeyId, Placement, StoreId, chain_hash, entity_root};
use hashbrown::{HashTable, hash_table};
use smallvec::SmallVec;

use crate::{
    AppendError, Clock, Durability, ReadError, Receipt,
    append::{Sealed, SealedUnit},
    defect::{Defect, seeded},
    fence::Fenced,
    gate::Moment,
    index::{Address, Entry, IdHash, LogIndex},
    indexing::piece_bytes,
    keys::Keys,
    pipeline::Pipeline,
    rules::{Permitted, Rules},
    run::Beginning,
    segments::Roll,
    state::{Ahead, State},
    sync::{MutexGuard, Ordering, lock, read, write},
};

/// The bytes of one unit; an address holds 32 bits of offset.
const UNIT_BYTES_MAX: u64 = (1 << 32) - (1 << 20);
const _: () = assert!(UNIT_BYTES_MAX < u32::MAX as u64);

/// What the commit needs of the store.
#[derive(Debug)]
pub(crate) struct CommitContext<'a> {
    pub(crate) store: StoreId,
    pub(crate) clock: &'a dyn Clock,
    pub(crate) keyset_epoch: u64,
    pub(crate) keys: Option<&'a Keys>,
    /// What the unit must meet beside what every unit must.
    pub(crate) rules: Option<&'a Rules<'a>>,
    /// What goes with a shred's intent; none for every other event.
    pub(crate) condemns: Option<&'a Condemns<'a>>,
}

/// What goes with the commit of a shred's intent.
pub(crate) struct Condemns<'a> {
    /// Keys under which nothing more is placed once it is.
    pub(crate) keys: &'a [KeyId],
    /// Whether it is placed at all, by the state that it would join.
    pub(crate) holds: &'a dyn Fn(&LogIndex) -> Result<bool, ReadError>,
}

impl fmt::Debug for Condemns<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Condemns").field("keys", &self.keys.len()).finish_non_exhaustive()
    }
}

/// The receipts of a unit; of a single event without an allocation.
pub(crate) type Receipts = SmallVec<[Receipt; 1]>;

/// How a commit ended.
#[derive(Debug)]
pub(crate) enum Committed<'p> {
    /// The events have their places.
    Placed(Placed<'p>),
    /// At least one id got into the log meanwhile; these are the ids of all the events.
    Known(Vec<EventId>),
    /// What [`Condemns::holds`] asks for does not hold; nothing was placed.
    Refused,
}

/// Events that have their places, to be waited for.
#[derive(Debug)]
pub(crate) struct Placed<'p> {
    /// Still held, so that whoever waits at once takes the write turn with it.
    pub(crate) state: MutexGuard<'p, State>,
    pub(crate) ahead: Ahead,
}

impl Pipeline {
    /// Places events in the log, in memory; whoever waits for them sees to it that they are written.
    pub(crate) fn commit(
        &self,
        fenced: Fenced<'_>,
        durability: Durability,
        context: &CommitContext<'_>,
    ) -> Result<Committed<'_>, AppendError> {
        let bytes = fenced.bytes();
        if bytes as u64 > UNIT_BYTES_MAX {
            let events = fenced.events().len();
            return Err(AppendError::BatchTooLarge { events, bytes: bytes as u64, bytes_max: UNIT_BYTES_MAX });
        }
        let within = Within::of(fenced.events());
        let ids = || fenced.events().iter().map(|event| event.frame.id()).collect();
        let mut state = self.admit(bytes)?;
        let mut permitted = None;
        if let Some(rules) = context.rules {
            // Shared, so that a gate may look up keys, which are looked up through the index. Nobody changes it: the state is held.
            let index = read(&self.view.index);
            if within.check(&index, fenced.events(), context.keys)? {
                return Ok(Committed::Known(ids()));
            }
            let ids: Vec<EventId> = ids();
            permitted = rules.decide(&ids, &state, &index)?;
        }
        if seeded(Defect::GatesBeforeTheCommit) {
            drop(state);
            state = self.admit(bytes)?;
        }
        let mut index = write(&self.view.index);
        if context.rules.is_none() && within.check(&index, fenced.events(), context.keys)? {
            return Ok(Committed::Known(ids()));
        }
        if let Some(condemns) = context.condemns
            && !(condemns.holds)(&index)?
        {
            return Ok(Committed::Refused);
        }
        for event in fenced.events() {
            index.load_head(event.coordinate.entity())?;
        }
        let (first, segment) = (state.next_position, state.tail.segment);
        let (receipts, piece_end) = place(&mut state, &mut index, fenced, &within.hashes, durability, context);
        if let Some(end) = piece_end {
            self.view.piece_end.fetch_min(end, Ordering::AcqRel);
        }
        drop(index);
        if permitted.is_some() {
            receipts.iter_mut().for_each(|receipt| receipt.gates.clone_from(&permitted));
        }
        if state.tail.segment != segment {
            self.view.unfiled.store(true, Ordering::Release);
        }
        let next = state.next_position;
        let ahead = state.ahead(first, next);
        state.queued_bytes += bytes;
        if seeded(Defect::VisibleWhenPlaced) {
            self.view.set_visible(next);
        }
        if durability == Durability::Deferred {
            state.acknowledged = next;
            self.view.set_visible(next);
        }
        if let Some((keys, condemns)) = context.keys.zip(context.condemns) {
            keys.condemn(condemns.keys);
        }
        Ok(Committed::Placed(Placed { state, ahead }))
    }

    /// Decides on the rules of an event that is not appended yet, as of now.
    pub(crate) fn decide(&self, rules: Option<&Rules<'_>>, id: EventId) -> Result<(Moment, Permitted), AppendError> {
        let decided = self.decide_now(rules, id);
        if let Err(AppendError::Read(why)) = &decided {
            self.view.heal(why)?;
        }
        decided
    }

    fn decide_now(&self, rules: Option<&Rules<'_>>, id: EventId) -> Result<(Moment, Permitted), AppendError> {
        let state = self.admit(0)?;
        let index = read(&self.view.index);
        let permitted = rules.map(|rules| rules.decide(&[id], &state, &index)).transpose()?;
        Ok((state.moment(), permitted.flatten()))
    }

    /// Returns an event's place if its id is in the log or on its way there.
    pub(crate) fn known(&self, id: &EventId) -> Result<Option<Known>, ReadError> {
        if self.view.placed(id)?.is_none() {
            return Ok(None);
        }
        let mut state = lock(&self.state);
        let position = self.view.placed(id)?;
        Ok(position.map(|position| Known { position, ahead: state.ahead(position, position + 1) }))
    }

    /// Returns, as of one moment, which of these ids are in the log or on their way there; none when no id is.
    pub(crate) fn known_all(&self, ids: &[EventId]) -> Result<Option<Vec<Option<Known>>>, ReadError> {
        let mut any = false;
        for id in ids {
            any |= self.view.placed(id)?.is_some();
        }
        if !any {
            return Ok(None);
        }
        let mut state = lock(&self.state);
        let positions = ids.iter().map(|id| self.view.placed(id)).collect::<Result<Vec<_>, _>>()?;
        let mut known = |position| Known { position, ahead: state.ahead(position, position + 1) };
        Ok(Some(positions.into_iter().map(|position| position.map(&mut known)).collect()))
    }

    /// Gives up waiting for a placed unit.
    pub(crate) fn leave(&self) {
        lock(&self.state).leave();
    }
}

/// An event whose id was found.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) position: u64,
    pub(crate) ahead: Ahead,
}

/// What the events of a unit are to each other, known before the commit lock is taken.
struct Within {
    /// Of their ids, by the event's number.
    hashes: SmallVec<[IdHash; 1]>,
    /// When there are several, the number of the first event that has an id.
    numbers: HashTable<usize>,
    /// The first event whose id an earlier one has.
    duplicate: Option<usize>,
}

impl Within {
    fn of(events: &[Sealed]) -> Self {
        let id = |number: usize| events.get(number).map(|event| event.frame.id());
        let hashes: SmallVec<[IdHash; 1]> = events.iter().map(|event| IdHash::of(&event.frame.id())).collect();
        let hash_of = |number: &usize| hashes.get(*number).map_or(0, |hash| hash.as_u64());
        let (mut numbers, mut duplicate) = (HashTable::new(), None);
        if events.len() > 1 {
            numbers.reserve(events.len(), hash_of);
            for (number, hash) in hashes.iter().enumerate() {
                let same = |earlier: &usize| id(*earlier) == id(number);
                match numbers.entry(hash.as_u64(), same, hash_of) {
                    hash_table::Entry::Occupied(_) => duplicate = duplicate.or(Some(number)),
                    hash_table::Entry::Vacant(place) => drop(place.insert(number)),
                }
            }
        }
        Self { hashes, numbers, duplicate }
    }

    /// The number of the first event that has an id.
    fn number_of(&self, events: &[Sealed], id: &EventId) -> Option<usize> {
        if self.numbers.is_empty() {
            return None;
        }
        let same = |number: &usize| events.get(*number).is_some_and(|event| event.frame.id() == *id);
        self.numbers.find(IdHash::of(id).as_u64(), same).copied()
    }

    /// Checks that keys are live, ids stand once, and causes are known: in the log, earlier in the unit, or marked external. Returns
    /// whether an id is in the log already.
    fn check(&self, index: &LogIndex, events: &[Sealed], keys: Option<&Keys>) -> Result<bool, AppendError> {
        let mut known = false;
        for (number, (event, hash)) in events.iter().zip(&self.hashes).enumerate() {
            if let Some((keys, (scope, key_id))) = keys.zip(event.shared_key())
                && keys.is_condemned(scope, key_id)
            {
                return Err(AppendError::ScopeShredded);
            }
            known |= index.position_of_hashed(&event.frame.id(), *hash)?.is_some();
            let earlier = |id: &EventId| self.number_of(events, id).is_some_and(|cause| cause < number);
            for cause in event.causes.iter().filter(|cause| !cause.external) {
                if !earlier(&cause.id) && index.position_of(&cause.id)?.is_none() {
                    return Err(AppendError::UnknownCause { cause: cause.id });
                }
            }
            if self.duplicate == Some(number) {
                return Err(AppendError::DuplicateInBatch { id: event.frame.id() });
            }
        }
        Ok(known)
    }
}

/// Gives out positions, revisions and chain hashes. Nothing here fails. Returns the receipts, and where a piece of the segment ends, if
/// one does.
fn place<'u>(
    state: &mut State,
    index: &mut LogIndex,
    fenced: Fenced<'u>,
    hashes: &[IdHash],
    durability: Durability,
    context: &CommitContext<'_>,
) -> (&'u mut Receipts, Option<u64>) {
    let SealedUnit { events, bytes, receipts } = fenced.into_unit();
    // The completion of a shred needs no room but what was kept for it behind the intent: no new segment either.
    let completes = matches!(events.as_slice(), [event] if event.frame.kind() == EventKind::SHRED_COMPLETED);
    let len = bytes.len() as u64;
    let place = if completes { state.tail.place_here(len) } else { state.tail.place(len) };
    let (first, chain) = (state.next_position, state.chain);
    let roll = place.rolled.then_some(Roll {
        segment: place.segment,
        first_position: first,
        chain,
        keyset_epoch: context.keyset_epoch,
    });
    // A piece ends only where its segment goes on.
    let piece_end = if place.rolled { None } else { index.cut(piece_bytes(state.tail.segment_bytes)) };
    state.run_for(Beginning { first, place, roll, chain }, bytes.len()).facts.completes |= completes;
    receipts.reserve(events.len());
    let mut offset = place.offset;
    let mut left = bytes.as_mut_slice();
    for (event, hash) in events.iter().zip(hashes) {
        let (frame, behind) = left.split_at_mut(event.frame.len());
        let address = Address { segment: place.segment, offset };
        offset += frame.len() as u64;
        receipts.push(place_event(state, index, (event, *hash), frame, address, context));
        left = behind;
    }
    let chain = state.chain;
    let run = state.run_placed();
    run.chain_after = chain;
    run.take(bytes, durability != Durability::Deferred);
    (receipts, piece_end)
}

fn place_event(
    state: &mut State,
    index: &mut LogIndex,
    (event, id_hash): (&Sealed, IdHash),
    frame: &mut [u8],
    address: Address,
    context: &CommitContext<'_>,
) -> Receipt {
    let entity = event.coordinate.entity();
    let (revision, previous) = match index.loaded_head(entity) {
        Some(head) => (head.revision + 1, head.chain_hash),
        None => (0, entity_root(context.store, entity)),
    };
    let position = state.next_position;
    let time = event.time.unwrap_or_else(|| context.clock.now());
    let chain: ChainHash = chain_hash(&previous, event.frame.digest(), position, revision, time);
    let (id, kind, event_hash) = (event.frame.id(), event.frame.kind(), event.frame.event_hash());
    let placement = Placement { position, revision, time, chain_hash: chain, durable_mark: state.sync.durable };
    let seed = FrameSeed { store: context.store, segment: address.segment, offset: address.offset };
    let tags: SmallVec<[&str; 4]> = event.tags.iter().collect();
    let entry = Entry {
        position,
        revision,
        id,
        address,
        len: event.frame.len() as u32,
        entity,
        scope: event.coordinate.scope(),
        kind,
        correlation: event.correlation,
        causes: event.causes.as_slice(),
        tags: &tags,
        time,
        chain_hash: chain,
        key_id: event.key_id(),
        key_scope: event.key.as_ref().and_then(|key| key.scope.as_ref()),
    };
    index.push_hashed(&entry, id_hash);
    state.next_position += 1;
    state.chain = chain;
    let run = state.run_placed();
    run.undo.push(previous);
    run.facts.key_id_max = run.facts.key_id_max.max(event.key_id());
    if kind == EventKind::SHRED_INTENT {
        run.facts.intent = Some(position);
    }
    event.frame.place(frame, &placement, &seed);
    Receipt { id, position, revision, event_hash, chain_hash: chain, repeat: None, gates: None }
}
