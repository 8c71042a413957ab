//! The commit: the only serial part of an append, and its cost does not grow with the payload.
//!
//! Invariants: under the commit lock, ids, causes and keys are checked against the state that the events would join, and then nothing
//! fails any more: positions, revisions and chain hashes are given out, dense and in order, to all events of a unit or to none.

use std::{collections::HashSet, fmt};

use batpak_format::{ChainHash, EventId, EventKind, FrameSeed, KeyId, Placement, StoreId, chain_hash, entity_root};
use batpak_segment::Place;
use bytes::Bytes;

use crate::{
    AppendError, Clock, Durability, ReadError, Receipt,
    append::Sealed,
    defect::{Defect, seeded},
    fence::Fenced,
    gate::Moment,
    index::{Address, Entry, LogIndex},
    keys::Keys,
    pipeline::{Ahead, Pipeline, State, Unit, UnitFacts},
    rules::{Permitted, Rules},
    segments::Roll,
    sync::{Ordering, lock, read, write},
};

/// The bytes of one unit; an address holds 32 bits of offset.
const UNIT_BYTES_MAX: u64 = (1 << 32) - (1 << 20);

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

/// How a commit ended.
#[derive(Debug)]
pub(crate) enum Committed {
    /// The events have their places.
    Placed(Placed),
    /// At least one id got into the log meanwhile; these are the ids of all the events.
    Known(Vec<EventId>),
    /// What [`Condemns::holds`] asks for does not hold; nothing was placed.
    Refused,
}

/// Events that have their places, to be waited for.
#[derive(Debug)]
pub(crate) struct Placed {
    pub(crate) ahead: Ahead,
    pub(crate) receipts: Vec<Receipt>,
}

impl Pipeline {
    /// Places events in the log, in memory; whoever waits for them sees to it that they are written.
    pub(crate) fn commit(
        &self,
        fenced: Fenced,
        durability: Durability,
        context: &CommitContext<'_>,
    ) -> Result<Committed, AppendError> {
        let bytes: u64 = fenced.events().iter().map(|event| event.frame.len() as u64).sum();
        if bytes > UNIT_BYTES_MAX {
            let events = fenced.events().len();
            return Err(AppendError::BatchTooLarge { events, bytes, bytes_max: UNIT_BYTES_MAX });
        }
        let ids = || fenced.events().iter().map(|event| event.frame.id()).collect();
        let mut state = self.admit(usize::try_from(bytes).unwrap_or(usize::MAX))?;
        let mut permitted = None;
        if let Some(rules) = context.rules {
            // Shared, so that a gate may look up keys, which are looked up through the index. Nobody changes it: the state is held.
            let index = read(&self.view.index);
            if check(&index, fenced.events(), context.keys)? {
                return Ok(Committed::Known(ids()));
            }
            permitted = rules.decide(&ids(), &state, &index)?;
        }
        if seeded(Defect::GatesBeforeTheCommit) {
            drop(state);
            state = self.admit(usize::try_from(bytes).unwrap_or(usize::MAX))?;
        }
        let mut index = write(&self.view.index);
        if context.rules.is_none() && check(&index, fenced.events(), context.keys)? {
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
        let acknowledged = durability == Durability::Deferred;
        let (unit, mut receipts) = place(&mut state, &mut index, fenced, bytes, context);
        if permitted.is_some() {
            receipts.iter_mut().for_each(|receipt| receipt.gates.clone_from(&permitted));
        }
        if unit.roll.is_some() {
            self.view.unfiled.store(true, Ordering::Release);
        }
        let ahead = state.ahead(unit.first, unit.next());
        state.queued_bytes += unit.bytes.len();
        if seeded(Defect::VisibleWhenPlaced) {
            self.view.set_visible(unit.next());
        }
        if acknowledged {
            state.acknowledged = unit.next();
            self.view.set_visible(unit.next());
        }
        state.queue.push_back(unit);
        if let Some((keys, condemns)) = context.keys.zip(context.condemns) {
            keys.condemn(condemns.keys);
        }
        Ok(Committed::Placed(Placed { ahead, receipts }))
    }

    /// Decides on the rules of an event that is not appended yet, as of now.
    pub(crate) fn decide(&self, rules: Option<&Rules<'_>>, id: EventId) -> Result<(Moment, Permitted), AppendError> {
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

/// Checks that ids stand once in the batch and causes are known: in the log, earlier in the batch, or marked external.
/// Returns whether an id is in the log already.
fn check(index: &LogIndex, events: &[Sealed], keys: Option<&Keys>) -> Result<bool, AppendError> {
    let mut known = false;
    let mut earlier: HashSet<EventId> = HashSet::new();
    for event in events {
        if let Some((keys, (scope, key_id))) = keys.zip(event.shared_key())
            && keys.is_condemned(scope, key_id)
        {
            return Err(AppendError::ScopeShredded);
        }
        let id = event.frame.id();
        known |= index.position_of(&id)?.is_some();
        for cause in event.causes.iter().filter(|cause| !cause.external) {
            if !earlier.contains(&cause.id) && index.position_of(&cause.id)?.is_none() {
                return Err(AppendError::UnknownCause { cause: cause.id });
            }
        }
        if events.len() > 1 && !earlier.insert(id) {
            return Err(AppendError::DuplicateInBatch { id });
        }
    }
    Ok(known)
}

/// Gives out positions, revisions and chain hashes. Nothing here fails.
fn place(
    state: &mut State,
    index: &mut LogIndex,
    fenced: Fenced,
    bytes: u64,
    context: &CommitContext<'_>,
) -> (Unit, Vec<Receipt>) {
    let events = fenced.into_events();
    // The completion of a shred needs no room but what was kept for it behind the intent: no new segment either.
    let completes = matches!(events.as_slice(), [event] if event.frame.kind() == EventKind::SHRED_COMPLETED);
    let place = if completes { state.tail.place_here(bytes) } else { state.tail.place(bytes) };
    let mut unit = Unit {
        first: state.next_position,
        place,
        roll: roll(state, place, context.keyset_epoch),
        bytes: Bytes::new(),
        chain_before: state.chain,
        chain_after: state.chain,
        undo: Vec::with_capacity(events.len()),
        facts: UnitFacts { completes, ..UnitFacts::default() },
    };
    let mut receipts = Vec::with_capacity(events.len());
    let mut gathered: Vec<u8> = Vec::new();
    let mut offset = place.offset;
    let single = events.len() == 1;
    for event in events {
        let address = Address { segment: place.segment, offset };
        let (receipt, frame) = place_event(state, index, event, address, context, &mut unit);
        offset += frame.len() as u64;
        receipts.push(receipt);
        if single {
            gathered = frame;
        } else {
            gathered.extend_from_slice(&frame);
        }
    }
    unit.bytes = gathered.into();
    unit.chain_after = state.chain;
    (unit, receipts)
}

fn roll(state: &State, place: Place, keyset_epoch: u64) -> Option<Roll> {
    place.rolled.then_some(Roll {
        segment: place.segment,
        first_position: state.next_position,
        chain: state.chain,
        keyset_epoch,
    })
}

fn place_event(
    state: &mut State,
    index: &mut LogIndex,
    event: Sealed,
    address: Address,
    context: &CommitContext<'_>,
    unit: &mut Unit,
) -> (Receipt, Vec<u8>) {
    let entity = event.coordinate.entity();
    let (revision, previous) = match index.loaded_head(entity) {
        Some(head) => (head.revision + 1, head.chain_hash),
        None => (0, entity_root(context.store, entity)),
    };
    let position = state.next_position;
    let time = event.time.unwrap_or_else(|| context.clock.now());
    let chain: ChainHash = chain_hash(&previous, event.frame.digest(), position, revision, time);
    let (id, event_hash) = (event.frame.id(), event.frame.event_hash());
    let placement = Placement { position, revision, time, chain_hash: chain, durable_mark: state.sync.durable };
    let seed = FrameSeed { store: context.store, segment: address.segment, offset: address.offset };
    let tags: Vec<&str> = event.tags.iter().collect();
    index.push(&Entry {
        position,
        revision,
        id,
        address,
        len: event.frame.len() as u32,
        entity,
        scope: event.coordinate.scope(),
        kind: event.frame.kind(),
        correlation: event.correlation,
        causes: event.causes.as_slice(),
        tags: &tags,
        chain_hash: chain,
        key_id: event.key_id(),
        key_scope: event.key.as_ref().and_then(|key| key.scope.as_ref()),
    });
    unit.undo.push(previous);
    unit.facts.key_id_max = unit.facts.key_id_max.max(event.key_id());
    if event.frame.kind() == EventKind::SHRED_INTENT {
        unit.facts.intent = Some(position);
    }
    state.next_position += 1;
    state.chain = chain;
    let frame = event.frame.place(&placement, &seed);
    (Receipt { id, position, revision, event_hash, chain_hash: chain, repeat: None, gates: None }, frame)
}
