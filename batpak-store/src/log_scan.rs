//! What an open learns from the log, in one pass: the index, the shreds and holds on record, and the facts that the keyset is held against.
//!
//! Invariant: only frames that stay in the log are taken in.

use std::sync::Arc;

use batpak_format::{
    ChainHash, EventKind, Frame, FrameError, KeyId, KeyRun, Record, SegmentEnd, SegmentHeader, SegmentSummary,
};
use batpak_keyset::{IntentFacts, LogFacts, LogSeen};
use batpak_segment::{
    FIRST_SEGMENT, Known, KnownSegment, LogVisitor, Recovered, RecoveredFrame, RecoveryMode, SegmentInfo, Unopened,
    recover_from,
};

use crate::{
    OpenError, ReadError,
    holds::Holds,
    index::{Address, LastIntent, LogIndex, MappedPart, Shelf, Source},
    segments::Facts,
    settled::SettledBelow,
    shreds::Shreds,
    unframed::NamedLeaves,
};

/// See the module.
#[derive(Debug)]
pub(crate) struct LogScan {
    pub(crate) source: Arc<Source>,
    pub(crate) recovered: Recovered,
    pub(crate) index: LogIndex,
    /// Rolled segments whose index had to be made again.
    pub(crate) rebuilt: Vec<u64>,
    /// Events whose frames were read one by one.
    pub(crate) events_read: u64,
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

    /// Position of the last intent of the shred before the last one.
    pub(crate) fn previous_intent(&self) -> Option<u64> {
        self.last_intent?.previous
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

/// What is known of the keyset before the log is read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KnownBefore {
    /// How much of the log it knows.
    pub(crate) seen: Option<LogSeen>,
    /// Position of the last intent that it has applied.
    pub(crate) applied: Option<u64>,
}

/// Takes frames in as they are recovered.
#[derive(Debug)]
struct Intake {
    source: Arc<Source>,
    shelf: Shelf,
    index: LogIndex,
    /// The last segment that has a footer: its index may become a file.
    footered: u64,
    rebuilt: Vec<u64>,
    events_read: u64,
    shreds: Shreds,
    holds: Holds,
    named: NamedLeaves,
    before_log: KnownBefore,
    /// Whether what intents name may be there though the keyset has applied them.
    unreached: bool,
    active: Option<(u64, Facts)>,
    before: Option<(u64, Facts)>,
    key_id_max: Option<KeyId>,
    last_intent: Option<IntentFacts>,
    seen_chain_hash: Option<ChainHash>,
}

/// Recovers the log and takes in what it holds.
pub(crate) fn scan(source: &Arc<Source>, mode: RecoveryMode, known: &KnownBefore) -> Result<LogScan, OpenError> {
    let (scan, unsettled) = scan_once(source, mode, known)?;
    if !unsettled {
        return Ok(scan);
    }
    // Rare: a shred that was cut short, keys that could not be reached, or an older keyset or log that was accepted.
    let (mut again, _) = scan_once(source, mode, &KnownBefore { applied: None, ..*known })?;
    again.rebuilt = scan.rebuilt;
    Ok(again)
}

/// As [`scan`]; also whether what was settled must be in memory.
fn scan_once(source: &Arc<Source>, mode: RecoveryMode, known: &KnownBefore) -> Result<(LogScan, bool), OpenError> {
    let mut intake = Intake {
        source: Arc::clone(source),
        shelf: Shelf::look(Arc::clone(source)),
        index: LogIndex::new(source.store, FIRST_SEGMENT),
        footered: 0,
        rebuilt: Vec::new(),
        events_read: 0,
        shreds: Shreds::default(),
        holds: Holds::default(),
        named: NamedLeaves::default(),
        before_log: *known,
        unreached: false,
        active: None,
        before: None,
        key_id_max: None,
        last_intent: None,
        seen_chain_hash: None,
    };
    let recovered = recover_from(&*source.disk, &source.segments, Some(source.store), mode, &mut intake)
        .map_err(|why| OpenError::Recovery(Box::new(why)))?;
    if source.writable {
        intake.shelf.clear();
    }
    let (unfinished, unsettled) = (intake.unfinished(&recovered.segments), intake.is_unsettled());
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
    // A segment that holds no event yet is the active one all the same.
    if intake.index.active.segment() != recovered.active {
        intake.index.begin(recovered.active);
    }
    let scan = LogScan {
        recovered,
        source: intake.source,
        index: intake.index,
        rebuilt: intake.rebuilt,
        events_read: intake.events_read,
        shreds: intake.shreds,
        holds: intake.holds,
        named: intake.named,
        active,
        unfinished,
        key_id_max: intake.key_id_max,
        last_intent: intake.last_intent,
        seen_chain_hash: intake.seen_chain_hash,
    };
    Ok((scan, unsettled))
}

impl LogVisitor for Intake {
    type Error = FrameError;

    fn offer(&mut self, unopened: Unopened) -> Vec<KnownSegment> {
        self.shelf.offer(unopened)
    }

    fn take_offered(&mut self) -> Result<usize, FrameError> {
        self.end_segment();
        let mut taken = 0;
        for part in self.shelf.take_offered() {
            let (segment, first, segments) = (part.head().segment, part.head().first, part.segments() as usize);
            if self.take_part(part).is_err() {
                self.shelf.refuse(segment, first);
                break;
            }
            taken += segments;
        }
        Ok(taken)
    }

    fn known(&mut self, segment: &SegmentHeader, footer: Option<&SegmentSummary>) -> Result<Option<Known>, FrameError> {
        self.end_segment();
        let rolled = footer.filter(|footer| footer.end == SegmentEnd::Rolled);
        if rolled.is_some() {
            self.footered = segment.number;
        }
        let mut known = None;
        for part in self.shelf.take(segment, footer) {
            let head = part.head();
            let Some((_, end)) = part.bounds() else { break };
            let next = Known { end, next_position: head.next(), chain_hash: head.chain_hash };
            let first = head.first;
            if self.take_part(part).is_err() {
                self.shelf.refuse(segment.number, first);
                break;
            }
            known = Some(next);
        }
        if rolled.is_some_and(|footer| known.is_none_or(|known| known.end < footer.log_len)) {
            self.rebuilt.push(segment.number);
        }
        Ok(known)
    }

    fn frame(&mut self, recovered: RecoveredFrame<'_>) -> Result<(), FrameError> {
        let frame = recovered.frame;
        let header = frame.header();
        self.events_read += 1;
        if recovered.segment != self.index.active.segment() {
            self.end_segment();
        }
        let address = Address { segment: recovered.segment, offset: recovered.offset };
        index_frame(&mut self.index, &self.source, frame, address);
        if self.before_log.seen.is_some_and(|seen| seen.position == header.position() + 1) {
            self.seen_chain_hash = Some(header.chain_hash());
        }
        let key_id = header.encryption().map(|encryption| encryption.key_id);
        self.key_id_max = self.key_id_max.max(key_id);
        if let Some(key_id) = key_id {
            self.named.note(key_id);
        }
        let facts = self.facts(recovered.segment, header.position());
        facts.next_position = header.position() + 1;
        facts.chain = header.chain_hash();
        facts.key_id_max = facts.key_id_max.max(key_id);
        if header.kind().is_reserved() {
            self.take_system(frame);
        }
        Ok(())
    }
}

impl Intake {
    /// What is gathered of a segment, whose next event stands at a position.
    fn facts(&mut self, segment: u64, position: u64) -> &mut Facts {
        if self.active.as_ref().is_none_or(|(active, _)| *active != segment) {
            let empty = Facts {
                first_position: position,
                next_position: position,
                chain: ChainHash::from_bytes([0; 32]),
                key_id_max: None,
                intent: None,
                keyset_epoch: 0,
            };
            self.before = self.active.replace((segment, empty));
        }
        &mut self.active.as_mut().expect("it was set just now").1
    }

    /// Gives what was read of a rolled segment its file, so that no more than one segment's index is in memory.
    fn end_segment(&mut self) {
        let ended = self.index.active.segment();
        if !self.source.writable || self.footered != ended || self.index.active.is_empty() {
            return;
        }
        if let Ok(part) = self.source.write(&[&self.index.active]) {
            self.shelf.keep(ended, part.head().first);
            if self.settles(&part) {
                self.settle(&part);
            }
            self.index.end(part);
        }
    }

    /// Takes in what an index file says, in the place of its frames; an error when it, or a frame it leads to, is damaged.
    fn take_part(&mut self, part: MappedPart) -> Result<(), ReadError> {
        let head = *part.head();
        let settles = self.settles(&part);
        let mut records = Vec::new();
        let mut take = |frame: &Frame<'_>| {
            let header = frame.header();
            let payload = frame.payload().unwrap_or_default();
            records.push((header.position(), header.kind(), Record::decode(header.kind(), payload)));
        };
        part.records(&mut take)?;
        if !settles {
            part.shred_records(&mut take)?;
        }
        let named = part.named()?;
        let seen = self.before_log.seen.and_then(|seen| seen.position.checked_sub(1));
        let seen = seen.filter(|seen| (head.first..head.next()).contains(seen));
        let chain = |seen| part.frame_at(seen, |frame| frame.header().chain_hash());
        let seen_chain_hash = seen.map(chain).transpose()?.flatten();
        self.seen_chain_hash = seen_chain_hash.or(self.seen_chain_hash);
        self.key_id_max = self.key_id_max.max(head.key_id_max);
        named.iter().for_each(|(first, count)| {
            self.named.note_run(&KeyRun { first: KeyId::from_u64(*first), count: *count });
        });
        // Of a segment that went on the last one gathers the facts.
        let rolled = part.spans().last().and_then(|span| span.rolled).map(|known| known.footer);
        let facts = self.facts(head.last_segment, rolled.map_or(head.first, |footer| footer.first_position));
        facts.next_position = head.next();
        facts.chain = head.chain_hash;
        facts.key_id_max = facts.key_id_max.max(rolled.map_or(head.key_id_max, |footer| footer.key_id_max));
        if settles {
            self.settle(&part);
        }
        for (position, kind, record) in records {
            if let Ok(record) = record {
                self.take_record(position, kind, record);
            }
        }
        if let Some((rolled, (_, facts))) = rolled.zip(self.active.as_mut()) {
            facts.intent = rolled.intent_position_last;
        }
        self.index.begin(head.segment);
        self.index.end(part);
        Ok(())
    }

    /// Whether what a file says of shreds, and everything before it, may be looked up: the keyset has applied it.
    fn settles(&self, part: &MappedPart) -> bool {
        let head = part.head();
        head.first == self.shreds.settled().position
            && head.intent.is_none_or(|intent| Some(intent.position) <= self.before_log.applied)
    }

    /// Leaves what a file says of shreds to look-ups. Nothing behind it was taken in yet.
    fn settle(&mut self, part: &MappedPart) {
        let head = part.head();
        if let Some(LastIntent { position, previous }) = head.intent {
            self.note_intent(position, previous);
            self.shreds.note_intent(position);
        }
        if let Some(intent) = head.completed {
            self.complete(intent);
        }
        self.unreached |= head.unreached;
        let any = self.shreds.settled().any || part.names_scopes();
        self.shreds.settle(SettledBelow { position: head.next(), any });
    }

    /// Whether keys may be there that a settled intent names, or it is to be said how many are.
    fn is_unsettled(&self) -> bool {
        let settled = self.shreds.settled();
        let is_pending = |last: IntentFacts| !last.completed && last.position < settled.position;
        settled.any && (self.unreached || self.last_intent.is_some_and(is_pending))
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
        if let Some(Ok(record)) = frame.payload().map(|payload| Record::decode(kind, payload)) {
            self.take_record(position, kind, record);
        }
    }

    fn take_record(&mut self, position: u64, kind: EventKind, record: Record) {
        match record {
            Record::ScopeHeld(held) => self.holds.hold(position, &held.key_scope, held.reference),
            Record::ScopeReleased(released) => self.holds.release(&released.key_scope),
            Record::ShredIntent(intent) => {
                self.shreds.add(position, &intent);
                intent.targets.iter().flat_map(|target| &target.runs).for_each(|run| self.named.note_run(run));
                self.note_intent(position, intent.previous_intent);
            }
            Record::ScopeReadmitted(readmitted) => self.shreds.readmit(&readmitted.key_scope),
            Record::ShredCompleted(completed) if kind == EventKind::SHRED_COMPLETED => {
                self.unreached |= completed.unreachable > 0;
                self.complete(completed.intent);
            }
            Record::RollbackAccepted(_) => self.unreached = true,
            _ => {}
        }
    }

    fn note_intent(&mut self, position: u64, previous: Option<u64>) {
        self.last_intent = Some(IntentFacts { position, completed: false, previous });
        if let Some((_, facts)) = &mut self.active {
            facts.intent = Some(position);
        }
    }

    fn complete(&mut self, intent: u64) {
        self.shreds.complete(intent);
        if let Some(last) = self.last_intent.as_mut().filter(|last| last.position == intent) {
            last.completed = true;
        }
    }
}

/// Puts a frame into the index.
pub(crate) fn index_frame(index: &mut LogIndex, source: &Source, frame: &Frame<'_>, address: Address) {
    source.with_entry(frame, address, |entry| index.push(entry));
}
