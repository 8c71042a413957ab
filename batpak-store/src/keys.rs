//! The keys of an open store: which key an event is sealed or opened with, and the keyset behind the fence.
//!
//! Invariants: the keyset lock is short, and never held during I/O or AEAD. Two first appends of a key scope share one provisional
//! leaf. A key that is missing is a shred only when a verified intent of the log names the event's key scope and key id.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use batpak_crypto::{Entropy, KeyRoom, OpenFailed, PayloadKey, RootSecret};
use batpak_format::{Coordinate, EventId, EventKind, Header, KeyId, KeyRun, PayloadEncryption};
use batpak_keyset::{Copy, Granularity, KeyScope, Keyset, LogSeen, Publication, Step, scope_for};

use crate::{
    AppendError, Payload, PublishError, ReadError, ShredProof,
    append::{Sealed, SealedUnder, SealedUnit},
    defect::{Defect, note_minted, seeded, steps},
    fence::{Fence, Fenced, Publish},
    key_cache::{CachedKey, KeyCache, ReadingOn},
    keyset_files::KeysetFiles,
    pending::Begun,
    pipeline::Pipeline,
    scratch,
    selection::Selection,
    settled::Settled,
    shreds::{Shreds, Standing},
    sync::{AtomicU64, Mutex, MutexGuard, Ordering, RwLock, Signal, lock, read},
    view::View,
};

/// So many wiped places are kept for keys.
const ROOMS: usize = 64;

#[cfg(all(test, not(loom)))]
mod tests;

/// A key that is lent for one seal, and given back when it is dropped.
#[derive(Debug)]
pub(crate) struct LentKey<'k> {
    pub(crate) key_id: KeyId,
    /// Stands in frames that are sealed under a provisional key.
    pub(crate) commitment: Option<[u8; 32]>,
    scope: Option<KeyScope>,
    wants_publication: bool,
    lease: Lease<'k>,
}

impl LentKey<'_> {
    /// The key, for one seal.
    pub(crate) fn key(&self) -> Option<&PayloadKey> {
        self.lease.key.as_ref()
    }

    /// What stays known of the key when it has done its work.
    pub(crate) fn into_sealed_under(self) -> SealedUnder {
        SealedUnder {
            key_id: self.key_id,
            provisional: self.commitment.is_some(),
            scope: self.scope,
            wants_publication: self.wants_publication,
        }
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Keys {
    pub(crate) granularity: Granularity,
    pub(crate) state: Mutex<KeyState>,
    pub(crate) fence: Fence,
    pub(crate) files: KeysetFiles,
    pub(crate) entropy: Arc<dyn Entropy>,
    epoch: AtomicU64,
    publications: AtomicU64,
    pub(crate) shreds: RwLock<Shreds>,
    /// What is left out of it.
    pub(crate) settled: Settled,
    /// Keys that a placed intent names, until the record of shreds has them.
    pub(crate) condemned: RwLock<HashSet<KeyId>>,
    pub(crate) changed: Signal,
    /// Keys for whoever reads many events.
    pub(crate) cache: KeyCache,
}

#[derive(Debug)]
pub(crate) struct KeyState {
    pub(crate) keyset: Keyset,
    pub(crate) root: RootSecret,
    /// Leaves of key scopes that no committed event names yet.
    pub(crate) provisional: HashMap<KeyScope, KeyId>,
    /// How often each key is lent now: a list as short as the calls under way are many.
    pub(crate) lent: Vec<(KeyId, u32)>,
    /// Wiped places of keys that were lent.
    pub(crate) rooms: Vec<KeyRoom>,
    /// What a shred is about to destroy: appends there wait.
    pub(crate) marked: Selection,
    /// A shred or a rekey that can only be finished.
    pub(crate) begun: Option<Begun>,
    /// Leaves of earlier processes that no event names; the next shred destroys them.
    pub(crate) unframed: Vec<KeyRun>,
}

impl Keys {
    pub(crate) fn new(
        keyset: Keyset,
        root: RootSecret,
        files: KeysetFiles,
        shreds: Shreds,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        Self {
            granularity: keyset.granularity(),
            fence: Fence::new(keyset.covered_below()),
            epoch: AtomicU64::new(keyset.epoch()),
            state: Mutex::new(KeyState {
                keyset,
                root,
                provisional: HashMap::new(),
                lent: Vec::new(),
                rooms: Vec::new(),
                marked: Selection::default(),
                begun: None,
                unframed: Vec::new(),
            }),
            files,
            entropy,
            publications: AtomicU64::new(0),
            settled: Settled::new(shreds.settled()),
            shreds: RwLock::new(shreds),
            condemned: RwLock::new(HashSet::new()),
            changed: Signal::new(),
            cache: KeyCache::new(),
        }
    }

    /// The epoch of the newest durable image.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// The epoch that a clean close may vouch for in both copies: none, 0, when one of them is not known to hold it. A copy whose sync
    /// failed looks whole to whoever reads it next.
    pub(crate) fn epoch_to_vouch_for(&self) -> u64 {
        if self.with_keyset(Keyset::copies_good) { self.epoch() } else { 0 }
    }

    pub(crate) fn publications(&self) -> u64 {
        self.publications.load(Ordering::Relaxed)
    }

    /// Looks at the keyset under its lock.
    pub(crate) fn with_keyset<R>(&self, look: impl FnOnce(&Keyset) -> R) -> R {
        look(&lock(&self.state).keyset)
    }

    /// Puts a keyset in place that was loaded again, in a read-only store.
    pub(crate) fn replace(&self, keyset: Keyset, root: RootSecret) {
        let mut state = lock(&self.state);
        let epoch = keyset.epoch();
        state.keyset = keyset;
        state.root = root;
        self.epoch.store(epoch, Ordering::Release);
        self.cache.forget();
    }

    /// Step 2 of an append: the key scope's current key, or a fresh leaf, which may lie above the durable reservation.
    pub(crate) fn lend(
        &self,
        coordinate: &Coordinate,
        kind: EventKind,
        id: EventId,
        view: &View,
    ) -> Result<LentKey<'_>, AppendError> {
        let shared = self.granularity != Granularity::Event;
        let scope = shared.then(|| scratch::key_scope(self.granularity, coordinate, kind, id));
        let mut state = self.unmarked(scope.as_ref());
        let known = match &scope {
            Some(scope) => self.current(&state, scope, view)?,
            None => None,
        };
        let (mut key_id, mut provisional) = match known {
            Some(known) => known,
            None => (self.mint(&mut state, scope.as_ref())?, true),
        };
        let room = state.rooms.pop().unwrap_or_default();
        let mut derived = state.keyset.key_cached_in(key_id, room);
        if derived.is_err() && !provisional && self.takes_fresh(scope.as_ref())? {
            (key_id, provisional) = (self.mint(&mut state, scope.as_ref())?, true);
            derived = state.keyset.key_cached_in(key_id, KeyRoom::default());
        }
        let (key, commitment) = derived.map_err(|_| AppendError::KeyLost { key_id })?;
        let wants_publication = provisional && state.keyset.wants_publication();
        let commitment = provisional.then(|| *commitment.as_bytes());
        let mut lease = state.lease(self, key_id);
        lease.key = Some(key);
        Ok(LentKey { lease, key_id, commitment, scope, wants_publication })
    }

    /// The key that an append to a key scope is sealed under now; none when it takes a fresh one.
    fn current(&self, state: &KeyState, scope: &KeyScope, view: &View) -> Result<Option<(KeyId, bool)>, AppendError> {
        if let Some(key_id) = state.provisional.get(scope) {
            return Ok(Some((*key_id, true)));
        }
        let standing = read(&self.shreds).standing(scope);
        if standing == Some(Standing::Refused) {
            return Err(AppendError::ScopeShredded);
        }
        let Some(key_id) = view.key_of(scope)? else {
            // One that no event names may have been shredded all the same.
            if standing.is_none() && self.settled.standing(scope)? == Some(Standing::Refused) {
                return Err(AppendError::ScopeShredded);
            }
            return Ok(None);
        };
        let gone = standing == Some(Standing::Readmitted) && state.keyset.key(key_id).is_err();
        Ok((!gone).then_some((key_id, false)))
    }

    /// Whether a key scope without a key that is there was readmitted; an error when it was shredded since.
    fn takes_fresh(&self, scope: Option<&KeyScope>) -> Result<bool, AppendError> {
        match scope.map(|scope| self.standing(scope)).transpose()?.flatten() {
            Some(Standing::Refused) => Err(AppendError::ScopeShredded),
            Some(Standing::Readmitted) => Ok(true),
            None => Ok(false),
        }
    }

    /// What the last record that names a key scope says of it.
    pub(crate) fn standing(&self, scope: &KeyScope) -> Result<Option<Standing>, ReadError> {
        let recent = read(&self.shreds).standing(scope);
        if recent.is_some() { Ok(recent) } else { self.settled.standing(scope) }
    }

    /// Returns the position of the intent that names a key of a key scope.
    pub(crate) fn intent(&self, scope: &KeyScope, key_id: KeyId) -> Result<Option<u64>, ReadError> {
        let recent = read(&self.shreds).intent(scope, key_id);
        if recent.is_some() { Ok(recent) } else { self.settled.intent(scope, key_id) }
    }

    /// Takes the keyset lock once no shred has the key scope marked.
    fn unmarked(&self, scope: Option<&KeyScope>) -> MutexGuard<'_, KeyState> {
        let mut state = lock(&self.state);
        while !state.marked.is_empty() && scope.is_some_and(|scope| state.marked.covers(scope)) {
            state = self.changed.wait(state);
        }
        state
    }

    /// Notes that a lent key has done its work; it is wiped by now.
    fn give_back(&self, key_id: KeyId, room: Option<KeyRoom>) {
        let mut state = lock(&self.state);
        if state.rooms.len() < ROOMS {
            state.rooms.extend(room);
        }
        if let Some(at) = state.lent.iter().position(|(lent, _)| *lent == key_id)
            && let Some((_, times)) = state.lent.get_mut(at)
        {
            *times -= 1;
            if *times == 0 {
                state.lent.swap_remove(at);
                self.changed.notify_all();
            }
        }
    }

    /// Tells whether events under a key can no longer be placed. One that was destroyed before the store was opened was never lent.
    pub(crate) fn is_condemned(&self, scope: &KeyScope, key_id: KeyId) -> bool {
        if seeded(Defect::CondemnedPlaced) {
            return false;
        }
        let condemned = read(&self.condemned);
        let shreds = read(&self.shreds);
        (!condemned.is_empty() && condemned.contains(&key_id))
            || (shreds.names(key_id) && shreds.intent(scope, key_id).is_some())
    }

    fn mint(&self, state: &mut KeyState, scope: Option<&KeyScope>) -> Result<KeyId, AppendError> {
        let key_id = state.keyset.take(&*self.entropy).map_err(|_| AppendError::SealFailed)?;
        note_minted(key_id);
        if let Some(scope) = scope {
            state.provisional.insert(scope.clone(), key_id);
        }
        Ok(key_id)
    }

    /// Step 5 of an append.
    pub(crate) fn pass<'u>(
        &self,
        unit: &'u mut SealedUnit,
        pipeline: &Pipeline,
    ) -> Result<Fenced<'u>, Arc<PublishError>> {
        self.fence.pass(unit, &Publisher { keys: self, pipeline })
    }

    /// Forgets provisional leaves that a committed event names now: from here on the index knows them.
    pub(crate) fn settle(&self, events: &[Sealed]) {
        let mut state = lock(&self.state);
        for scope in events.iter().filter_map(Sealed::minted) {
            state.provisional.remove(scope);
        }
    }

    /// Opens a stored payload with `unseal`, or says why it cannot be opened.
    pub(crate) fn open<R>(
        &self,
        header: &Header<'_>,
        encryption: &PayloadEncryption,
        stored: Option<&[u8]>,
        unseal: impl FnOnce(&PayloadKey, &[u8]) -> Result<R, OpenFailed>,
    ) -> Result<Payload<R>, ReadError> {
        let position = header.position();
        if let Some(proof) = self.proof(header, encryption.key_id) {
            return Ok(Payload::Shredded(proof));
        }
        let open = |key: &PayloadKey| {
            let stored = stored.ok_or(ReadError::Tampered { position })?;
            unseal(key, stored).map(Payload::Open).map_err(|_| ReadError::Tampered { position })
        };
        let cached = self.cache.get(encryption.key_id);
        if let Some(key) = cached.as_ref().and_then(CachedKey::key) {
            return open(key);
        }
        drop(cached);
        let (key, derived, _lease) = {
            let mut state = lock(&self.state);
            let key = state.keyset.key_cached(encryption.key_id);
            (key, self.cache.generation(), state.lease(self, encryption.key_id))
        };
        match key {
            Ok((key, _)) => {
                let opened = open(&key)?;
                self.cache.keep(derived, encryption.key_id, key);
                Ok(opened)
            }
            // A shred may have come between the two looks; its intent is on record before a key of it goes.
            Err(_) => {
                let proof = match self.proof(header, encryption.key_id).filter(|_| !seeded(Defect::ProofAskedOnce)) {
                    None => self.settled_proof(header, encryption.key_id)?,
                    proof => proof,
                };
                Ok(proof.map_or(Payload::KeyLost(encryption.key_id), Payload::Shredded))
            }
        }
    }

    /// Lets derived keys stay until what is returned is dropped: for whoever reads many events.
    pub(crate) fn read_on(&self) -> ReadingOn<'_> {
        self.cache.read_on()
    }

    /// Where the log says that an event's key was destroyed, if the keyset need not have applied it. Asked before the key is, so that a
    /// reader whose keyset is older than the log answers as the log does.
    fn proof(&self, header: &Header<'_>, key_id: KeyId) -> Option<ShredProof> {
        if seeded(Defect::ShreddedAtMark) && !lock(&self.state).marked.is_empty() {
            return Some(ShredProof { intent: header.position() + 1, key_id });
        }
        let shreds = read(&self.shreds);
        if !shreds.names(key_id) {
            return None;
        }
        let scope = scope_for(self.granularity, &header.coordinate(), header.kind(), header.id());
        let intent = shreds.intent(&scope, key_id).filter(|intent| *intent > header.position())?;
        Some(ShredProof { intent, key_id })
    }

    /// As [`Keys::proof`], of what the keyset has applied: asked once the key is gone.
    fn settled_proof(&self, header: &Header<'_>, key_id: KeyId) -> Result<Option<ShredProof>, ReadError> {
        let scope = scope_for(self.granularity, &header.coordinate(), header.kind(), header.id());
        let intent = self.settled.intent(&scope, key_id)?.filter(|intent| *intent > header.position());
        Ok(intent.map(|intent| ShredProof { intent, key_id }))
    }

    pub(crate) fn publish(&self, seen: LogSeen, durable: &mut dyn FnMut(KeyId)) -> Result<(), PublishError> {
        let publication = {
            let mut state = lock(&self.state);
            let KeyState { keyset, root, .. } = &mut *state;
            keyset.publication(root, seen, &*self.entropy)?
        };
        for step in steps(&publication) {
            match step {
                Step::Durable => durable(self.note_durable(&publication)),
                step => self.files.carry_out(step, &publication).map_err(|why| {
                    if let Step::Write(copy) | Step::Sync(copy) = step {
                        lock(&self.state).keyset.copy_failed(copy);
                    }
                    PublishError::Disk(why)
                })?,
            }
            match step {
                Step::Sync(copy) if copy != publication.first => {
                    lock(&self.state).keyset.copy_good(copy, publication.epoch);
                }
                Step::RemoveExtent { number } => lock(&self.state).keyset.extent_removed(number),
                _ => {}
            }
        }
        Ok(())
    }

    /// Syncs both copies: what [`Defect::SyncAfterWrite`] has left until now.
    pub(crate) fn sync_late(&self) {
        for copy in Copy::BOTH {
            drop(self.files.file(copy).sync_data());
        }
    }

    fn note_durable(&self, publication: &Publication) -> KeyId {
        let mut state = lock(&self.state);
        state.keyset.durable(publication);
        self.epoch.store(publication.epoch, Ordering::Release);
        self.publications.fetch_add(1, Ordering::Relaxed);
        if seeded(Defect::CoversWhatCameLater) {
            return KeyId::from_u64(u64::MAX);
        }
        state.keyset.covered_below()
    }
}

impl KeyState {
    /// Counts a key as lent until the lease is dropped.
    fn lease<'k>(&mut self, keys: &'k Keys, key_id: KeyId) -> Lease<'k> {
        match self.lent.iter_mut().find(|(lent, _)| *lent == key_id) {
            Some((_, times)) => *times += 1,
            None => self.lent.push((key_id, 1)),
        }
        Lease { keys, key_id, key: None }
    }
}

/// A key that is out of the keyset for now: a shred waits until it is back.
#[derive(Debug)]
pub(crate) struct Lease<'k> {
    keys: &'k Keys,
    key_id: KeyId,
    /// The key itself, when it is lent for a seal.
    key: Option<PayloadKey>,
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        let room = self.key.take().map(PayloadKey::into_room);
        self.keys.give_back(self.key_id, room);
    }
}

/// What the fence publishes with: the keys, and how far the log is durable.
struct Publisher<'a> {
    keys: &'a Keys,
    pipeline: &'a Pipeline,
}

impl Publish for Publisher<'_> {
    fn publish(&self, durable: &mut dyn FnMut(KeyId)) -> Result<(), PublishError> {
        self.keys.publish(self.pipeline.log_seen(), durable)
    }

    fn is_due(&self) -> bool {
        self.keys.with_keyset(Keyset::wants_publication)
    }
}
