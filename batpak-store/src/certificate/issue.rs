//! The walk through the log that a certificate is made in.
//!
//! Invariant: only what stands in the log goes into the certificate: an event under a key scope's key, before the first intent.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::ControlFlow,
};

use batpak_format::{
    Certificate, CertificateFormatError, CertifiedEvent, CertifiedTarget, CertifiedWorth, ChainHash, EventKind,
    EventsHasher, Frame, Header, KeyCommitment, KeyId, KeyRun, Record, ShredCompleted, ShredIntent, Timestamp,
};
use batpak_keyset::{Granularity, encode_scope};

use crate::{ReadError, Store, VerifyOptions, VerifyReport};

/// The intents of one shred, each with its position, in order.
pub(super) type Shred = Vec<(u64, ShredIntent)>;

impl Store {
    /// Reads the intents of the shred that a position names: one, or those of a batch.
    pub(super) fn shred_at(&self, position: u64) -> Result<Option<Shred>, ReadError> {
        let Some((first, count)) = self.batch_at(position)? else { return Ok(None) };
        let mut shred = Vec::new();
        for at in first..first.saturating_add(count) {
            match self.intent_at(at)? {
                Some(intent) => shred.push((at, intent)),
                None => break,
            }
        }
        let whole = shred.iter().any(|(at, _)| *at == position);
        Ok(Some(shred).filter(|_| whole))
    }

    /// Verifies the log as far as a certificate reaches, without keys.
    pub(super) fn walk_for(&self, issue: &mut Issue, progress: &mut dyn FnMut(u64)) -> Result<VerifyReport, ReadError> {
        self.verify_until(VerifyOptions::without_keys(), &mut |frame| issue.look(frame), progress)
    }

    /// The first position and the length of the batch that an event belongs to; its own when it was appended alone.
    fn batch_at(&self, position: u64) -> Result<Option<(u64, u64)>, ReadError> {
        let Some((address, bytes)) = self.frame_bytes(position)? else { return Ok(None) };
        let batch = self.decode(position, address, &bytes)?.header().batch();
        Ok(Some(match batch {
            Some(part) => (position.saturating_sub(part.index.into()), part.count.into()),
            None => (position, 1),
        }))
    }

    fn intent_at(&self, position: u64) -> Result<Option<ShredIntent>, ReadError> {
        let Some((address, bytes)) = self.frame_bytes(position)? else { return Ok(None) };
        let frame = self.decode(position, address, &bytes)?;
        match record(&frame) {
            Some(Record::ShredIntent(intent)) => Ok(Some(intent)),
            _ => Ok(None),
        }
    }
}

fn record(frame: &Frame<'_>) -> Option<Record> {
    Record::decode(frame.header().kind(), frame.payload()?).ok()
}

fn certified(header: &Header<'_>) -> CertifiedEvent {
    CertifiedEvent { position: header.position(), time: header.time(), chain_hash: header.chain_hash() }
}

/// Runs of several lists as one list, in which no two could be one.
fn merged(mut runs: Vec<KeyRun>) -> Vec<KeyRun> {
    let page = |run: &KeyRun| (run.first.compartment(), run.first.page());
    runs.sort_unstable();
    let mut merged: Vec<KeyRun> = Vec::new();
    for run in runs {
        match merged.last_mut() {
            Some(last) if page(last) == page(&run) && run.first.leaf() <= last.first.leaf() + last.count => {
                last.count = last.count.max(run.first.leaf() + run.count - last.first.leaf());
            }
            _ => merged.push(run),
        }
    }
    merged
}

/// What was gathered of a shred so far.
pub(super) struct Issue {
    store: batpak_format::StoreId,
    granularity: Option<Granularity>,
    shred: Shred,
    /// The keys of all targets, to see of most events at once that they are not meant.
    keys: Vec<KeyRun>,
    targets: Vec<CertifiedTarget>,
    commitments: Vec<BTreeSet<(KeyId, [u8; 32])>>,
    events: EventsHasher,
    genesis: Option<(Timestamp, ChainHash)>,
    intents: Vec<CertifiedEvent>,
    completion: Option<(CertifiedEvent, ShredCompleted)>,
    /// The key scope of the event looked at.
    scope: Vec<u8>,
}

impl Issue {
    /// Begins with the intents.
    pub(super) fn new(store: &Store, shred: Shred) -> Self {
        let mut runs: BTreeMap<Box<[u8]>, Vec<KeyRun>> = BTreeMap::new();
        for target in shred.iter().flat_map(|(_, intent)| &intent.targets) {
            runs.entry(target.key_scope.clone()).or_default().extend_from_slice(&target.runs);
        }
        let keys = merged(runs.values().flatten().copied().collect());
        let targets = runs.into_iter().map(|(key_scope, runs)| CertifiedTarget::new(key_scope, merged(runs)));
        let targets: Vec<_> = targets.collect();
        Self {
            store: store.info.store,
            granularity: store.info.granularity,
            shred,
            keys,
            commitments: vec![BTreeSet::new(); targets.len()],
            targets,
            events: EventsHasher::default(),
            genesis: None,
            intents: Vec::new(),
            completion: None,
            scope: Vec::new(),
        }
    }

    /// Looks at the next frame; the completion ends the walk.
    pub(super) fn look(&mut self, frame: &Frame<'_>) -> ControlFlow<()> {
        let header = frame.header();
        if header.position() == 0
            && let Some(Record::Genesis(genesis)) = record(frame)
        {
            self.genesis = Some((genesis.created, header.chain_hash()));
        }
        match self.shred.first() {
            Some((first, _)) if header.position() < *first => self.look_before(header),
            _ if self.shred.iter().any(|(position, _)| *position == header.position()) => {
                self.intents.push(certified(header));
            }
            _ if header.kind() == EventKind::SHRED_COMPLETED => return self.look_at_completion(frame),
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn look_before(&mut self, header: &Header<'_>) {
        let (Some(encryption), Some(granularity)) = (header.encryption(), self.granularity) else { return };
        let key_id = encryption.key_id;
        if !self.is_meant(key_id) {
            return;
        }
        self.scope.clear();
        encode_scope(granularity, &header.coordinate(), header.kind(), header.id(), &mut self.scope);
        let found = self.targets.binary_search_by(|target| (*target.key_scope).cmp(self.scope.as_slice()));
        let Ok(at) = found else { return };
        let (target, commitments) = (&mut self.targets[at], &mut self.commitments[at]);
        if target.has_key(key_id) {
            target.push_event(header.position());
            self.events.push(&header.chain_hash());
            commitments.extend(header.key_commitment().map(|commitment| (key_id, commitment)));
        }
    }

    fn is_meant(&self, key_id: KeyId) -> bool {
        let behind = self.keys.partition_point(|run| run.first <= key_id);
        let last = behind.checked_sub(1).and_then(|at| self.keys.get(at));
        last.is_some_and(|run| key_id.as_u64() - run.first.as_u64() < u64::from(run.count))
    }

    fn look_at_completion(&mut self, frame: &Frame<'_>) -> ControlFlow<()> {
        match record(frame) {
            Some(Record::ShredCompleted(completed))
                if self.shred.iter().any(|(position, _)| *position == completed.intent) =>
            {
                self.completion = Some((certified(frame.header()), completed));
                ControlFlow::Break(())
            }
            _ => ControlFlow::Continue(()),
        }
    }

    /// Puts the certificate together; none without a completion.
    ///
    /// # Errors
    /// [`CertificateFormatError::NotCanonical`] for a completion, or a log, that no version writes.
    pub(super) fn finish(self) -> Result<Option<Certificate>, CertificateFormatError> {
        let Some((completion, completed)) = self.completion else { return Ok(None) };
        let refused = CertificateFormatError::NotCanonical;
        let worth = CertifiedWorth::from_code(completed.destruction, completed.effective_at).ok_or(refused)?;
        let (created, genesis_chain_hash) = self.genesis.ok_or(refused)?;
        let (_, intent) = self.shred.first().ok_or(refused)?;
        let withheld: BTreeSet<_> = self.shred.iter().flat_map(|(_, intent)| intent.withheld.iter().cloned()).collect();
        let mut targets = self.targets;
        for (target, commitments) in targets.iter_mut().zip(self.commitments) {
            let named = commitments.into_iter();
            target.commitments = named.map(|(key_id, commitment)| KeyCommitment { key_id, commitment }).collect();
        }
        Ok(Some(Certificate {
            store: self.store,
            created,
            genesis_chain_hash,
            granularity: intent.granularity,
            reason: intent.reason,
            provider_kind: completed.provider_kind,
            worth,
            unreachable: completed.unreachable,
            epoch: completed.epoch,
            completion,
            events_hash: self.events.finish(),
            reference: intent.reference.clone(),
            intents: self.intents,
            targets,
            withheld: withheld.into_iter().collect(),
            sections: Vec::new(),
        }))
    }
}
