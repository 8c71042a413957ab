//! What an open learns from the log, in one pass: the index, the shreds and holds on record, and the facts that the keyset is held against.
//!
//! Invariant: only frames that stay in the log are taken in.

use std::path::Path;

use batpak_format::{ChainHash, EventKind, Frame, FrameError, KeyId, Record, StoreId};
use batpak_keyset::{Granularity, IntentFacts, LogFacts, LogSeen, scope_for};
use batpak_segment::{Disk, Recovered, RecoveredFrame, RecoveryMode, SegmentInfo, recover};

use crate::{
    OpenError,
    holds::Holds,
    index::{Address, Entry, Index, MemoryIndex},
    segments::Facts,
    shreds::Shreds,
    unframed::NamedLeaves,
};

/// See the module.
#[derive(Debug)]
pub(crate) struct LogScan {
    pub(crate) recovered: Recovered,
    pub(crate) index: MemoryIndex,
    pub(crate) shreds: Shreds,
    pub(crate) holds: Holds,
    pub(crate) named: NamedLeaves,
    /// What the footer of the active segment will say.
    pub(crate) active: Facts,
    /// The segment before the active one, when its footer is not whole, and what it will say.
    pub(crate) unfinished: Option<(SegmentInfo, Facts)>,
    key_id_max: Option<KeyId>,
    last_intent: Option<IntentFacts>,
    seen_chain_hash: Option<ChainHash>,
}

impl LogScan {
    /// The highest keyset epoch that the log names.
    pub(crate) fn epoch_max(&self) -> u64 {
        let footers = self.recovered.segments.iter().filter_map(|info| Some(info.footer?.epoch_max));
        self.recovered.segments.iter().map(|info| info.keyset_epoch).chain(footers).max().unwrap_or(0)
    }

    /// Position of the last shred intent.
    pub(crate) fn last_intent(&self) -> Option<u64> {
        self.last_intent.map(|intent| intent.position)
    }

    /// What the keyset is held against.
    pub(crate) fn facts(&self) -> LogFacts {
        LogFacts {
            key_id_max: self.key_id_max,
            last_intent: self.last_intent,
            next_position: self.recovered.next_position,
            seen_chain_hash: self.seen_chain_hash,
        }
    }
}

/// Takes frames in as they are recovered.
#[derive(Debug)]
pub(crate) struct Intake {
    pub(crate) index: MemoryIndex,
    pub(crate) shreds: Shreds,
    holds: Holds,
    named: NamedLeaves,
    granularity: Option<Granularity>,
    seen: Option<LogSeen>,
    active: Option<(u64, Facts)>,
    before: Option<(u64, Facts)>,
    key_id_max: Option<KeyId>,
    last_intent: Option<IntentFacts>,
    seen_chain_hash: Option<ChainHash>,
}

/// Recovers the log and takes in what it holds.
pub(crate) fn scan(
    disk: &dyn Disk,
    segments: &Path,
    store: StoreId,
    mode: RecoveryMode,
    granularity: Option<Granularity>,
    seen: Option<LogSeen>,
) -> Result<LogScan, OpenError> {
    let mut intake = Intake {
        index: MemoryIndex::new(),
        shreds: Shreds::default(),
        holds: Holds::default(),
        named: NamedLeaves::default(),
        granularity,
        seen,
        active: None,
        before: None,
        key_id_max: None,
        last_intent: None,
        seen_chain_hash: None,
    };
    let recovered = recover(disk, segments, Some(store), mode, &mut |frame| intake.take(&frame))
        .map_err(|why| OpenError::Recovery(Box::new(why)))?;
    let unfinished = intake.unfinished(&recovered.segments);
    let fresh = recovered.segments.last().map(|last| Facts {
        first_position: last.first_position,
        next_position: recovered.next_position,
        chain: recovered.last_chain_hash,
        key_id_max: None,
        intent: None,
        keyset_epoch: last.keyset_epoch,
    });
    let gathered = intake.active.filter(|(segment, _)| *segment == recovered.active).map(|(_, facts)| facts);
    let active = match (gathered, fresh) {
        (Some(gathered), Some(fresh)) => Facts { key_id_max: gathered.key_id_max, intent: gathered.intent, ..fresh },
        (_, Some(fresh)) => fresh,
        (_, None) => return Err(OpenError::Genesis(None)),
    };
    Ok(LogScan {
        recovered,
        index: intake.index,
        shreds: intake.shreds,
        holds: intake.holds,
        named: intake.named,
        active,
        unfinished,
        key_id_max: intake.key_id_max,
        last_intent: intake.last_intent,
        seen_chain_hash: intake.seen_chain_hash,
    })
}

impl Intake {
    fn take(&mut self, recovered: &RecoveredFrame<'_>) -> Result<(), FrameError> {
        let frame = recovered.frame;
        let header = frame.header();
        let address = Address { segment: recovered.segment, offset: recovered.offset };
        index_frame(&mut self.index, self.granularity, frame, address);
        if self.seen.is_some_and(|seen| seen.position == header.position() + 1) {
            self.seen_chain_hash = Some(header.chain_hash());
        }
        let key_id = header.encryption().map(|encryption| encryption.key_id);
        self.key_id_max = self.key_id_max.max(key_id);
        if let Some(key_id) = key_id {
            self.named.note(key_id);
        }
        if self.active.as_ref().is_none_or(|(segment, _)| *segment != recovered.segment) {
            let empty = Facts {
                first_position: header.position(),
                next_position: header.position(),
                chain: header.chain_hash(),
                key_id_max: None,
                intent: None,
                keyset_epoch: 0,
            };
            self.before = self.active.replace((recovered.segment, empty));
        }
        if let Some((_, facts)) = &mut self.active {
            facts.next_position = header.position() + 1;
            facts.chain = header.chain_hash();
            facts.key_id_max = facts.key_id_max.max(key_id);
        }
        if header.kind().is_reserved() {
            self.take_system(frame);
        }
        Ok(())
    }

    /// The segment before the last, if its footer is not whole, with what was gathered of its frames.
    fn unfinished(&self, segments: &[SegmentInfo]) -> Option<(SegmentInfo, Facts)> {
        let [.., info, _] = segments else { return None };
        let gathered = [self.before, self.active].into_iter().flatten().find(|(segment, _)| *segment == info.number);
        let (_, facts) = gathered.filter(|_| info.footer.is_none())?;
        Some((info.clone(), Facts { keyset_epoch: info.keyset_epoch, ..facts }))
    }

    /// Takes in what the store itself wrote; a record that does not decode is left to verification.
    fn take_system(&mut self, frame: &Frame<'_>) {
        let header = frame.header();
        let (position, kind) = (header.position(), header.kind());
        let Some(Ok(record)) = frame.payload().map(|payload| Record::decode(kind, payload)) else { return };
        match record {
            Record::ScopeHeld(held) => self.holds.hold(position, &held.key_scope, held.reference),
            Record::ScopeReleased(released) => self.holds.release(&released.key_scope),
            Record::ShredIntent(intent) => {
                self.shreds.add(position, &intent);
                intent.targets.iter().flat_map(|target| &target.runs).for_each(|run| self.named.note_run(run));
                let previous = intent.previous_intent;
                self.last_intent = Some(IntentFacts { position, completed: false, previous });
                if let Some((_, facts)) = &mut self.active {
                    facts.intent = Some(position);
                }
            }
            Record::ScopeReadmitted(readmitted) => self.shreds.readmit(&readmitted.key_scope),
            Record::ShredCompleted(completed) if kind == EventKind::SHRED_COMPLETED => {
                self.shreds.complete(completed.intent);
                if let Some(last) = self.last_intent.as_mut().filter(|last| last.position == completed.intent) {
                    last.completed = true;
                }
            }
            _ => {}
        }
    }
}

/// Puts a frame into the index.
pub(crate) fn index_frame(
    index: &mut MemoryIndex,
    granularity: Option<Granularity>,
    frame: &Frame<'_>,
    address: Address,
) {
    let header = frame.header();
    let causes: Vec<_> = header.causes().collect();
    let tags: Vec<_> = header.tags().collect();
    let shared = granularity.filter(|granularity| *granularity != Granularity::Event);
    let scope = shared.zip(header.encryption()).map(|(granularity, encryption)| {
        (scope_for(granularity, &header.coordinate(), header.kind(), header.id()), encryption.key_id)
    });
    index.push(Entry {
        position: header.position(),
        id: header.id(),
        address,
        entity: header.entity(),
        scope: header.scope(),
        kind: header.kind(),
        correlation: header.correlation(),
        causes: &causes,
        tags: &tags,
        chain_hash: header.chain_hash(),
        key: scope.as_ref().map(|(scope, key_id)| (scope, *key_id)),
    });
}
