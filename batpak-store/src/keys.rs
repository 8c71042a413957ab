//! The keys of an open store: which key an event is sealed or opened with, and the keyset behind the fence.
//!
//! Invariants: the keyset lock is short, and never held during I/O or AEAD. Two first appends of a key scope share one provisional
//! leaf. A key that is missing is a shred only when a verified intent of the log names the event's key scope and key id.

use std::{collections::HashMap, sync::Arc};

use batpak_crypto::{Entropy, Nonce, PayloadKey, RootSecret};
use batpak_format::{Coordinate, EventId, EventKind, Header, KeyId, PayloadEncryption, SEAL_TAG_LEN, aad};
use batpak_keyset::{Granularity, KeyMissing, KeyScope, Keyset, LogSeen, Publication, Step, scope_for};
use bytes::Bytes;

use crate::{
    AppendError, Payload, PublishError, ReadError,
    append::{Sealed, SealedUnder},
    fence::{Fence, Fenced, Publish},
    keyset_files::KeysetFiles,
    pipeline::Pipeline,
    shreds::Shreds,
    sync::{AtomicU64, Mutex, Ordering, RwLock, lock, read},
    view::View,
};

/// A key that is lent for one seal.
#[derive(Debug)]
pub(crate) struct LentKey {
    pub(crate) key: PayloadKey,
    pub(crate) key_id: KeyId,
    /// Stands in frames that are sealed under a provisional key.
    pub(crate) commitment: Option<[u8; 32]>,
    scope: Option<KeyScope>,
    wants_publication: bool,
}

impl LentKey {
    /// Gives the key back; what it was stays known.
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
    state: Mutex<KeyState>,
    fence: Fence,
    files: KeysetFiles,
    entropy: Arc<dyn Entropy>,
    epoch: AtomicU64,
    publications: AtomicU64,
    pub(crate) shreds: RwLock<Shreds>,
}

#[derive(Debug)]
struct KeyState {
    keyset: Keyset,
    root: RootSecret,
    /// Leaves of key scopes that no committed event names yet.
    provisional: HashMap<KeyScope, KeyId>,
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
            state: Mutex::new(KeyState { keyset, root, provisional: HashMap::new() }),
            files,
            entropy,
            publications: AtomicU64::new(0),
            shreds: RwLock::new(shreds),
        }
    }

    /// The epoch of the newest durable image.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
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
    }

    /// Step 2 of an append: the key scope's current key, or a fresh leaf, which may lie above the durable reservation.
    pub(crate) fn lend(
        &self,
        coordinate: &Coordinate,
        kind: EventKind,
        id: EventId,
        view: &View,
    ) -> Result<LentKey, AppendError> {
        let shared = self.granularity != Granularity::Event;
        let scope = shared.then(|| scope_for(self.granularity, coordinate, kind, id));
        let mut state = lock(&self.state);
        let known = scope.as_ref().and_then(|scope| {
            let provisional = state.provisional.get(scope).map(|key_id| (*key_id, true));
            provisional.or_else(|| Some((view.key_of(scope)?, false)))
        });
        let (key_id, provisional) = match known {
            Some(known) => known,
            None => (self.mint(&mut state, scope.as_ref())?, true),
        };
        let wants_publication = provisional && state.keyset.wants_publication();
        let (key, commitment) = state.keyset.key_cached(key_id).map_err(|_| self.refusal(scope.as_ref(), key_id))?;
        let commitment = provisional.then(|| *commitment.as_bytes());
        Ok(LentKey { key, key_id, commitment, scope, wants_publication })
    }

    fn mint(&self, state: &mut KeyState, scope: Option<&KeyScope>) -> Result<KeyId, AppendError> {
        let key_id = state.keyset.take(&*self.entropy).map_err(|_| AppendError::SealFailed)?;
        if let Some(scope) = scope {
            state.provisional.insert(scope.clone(), key_id);
        }
        Ok(key_id)
    }

    fn refusal(&self, scope: Option<&KeyScope>, key_id: KeyId) -> AppendError {
        let shredded = scope.is_some_and(|scope| read(&self.shreds).intent(scope, key_id).is_some());
        if shredded { AppendError::ScopeShredded } else { AppendError::KeyLost { key_id } }
    }

    /// Step 5 of an append.
    pub(crate) fn pass(&self, sealed: Vec<Sealed>, pipeline: &Pipeline) -> Result<Fenced, Arc<PublishError>> {
        self.fence.pass(sealed, &Publisher { keys: self, pipeline })
    }

    /// Forgets provisional leaves that a committed event names now: from here on the index knows them.
    pub(crate) fn settle(&self, scopes: &[KeyScope]) {
        if scopes.is_empty() {
            return;
        }
        let mut state = lock(&self.state);
        for scope in scopes {
            state.provisional.remove(scope);
        }
    }

    /// Opens a stored payload, or says why it cannot be opened.
    pub(crate) fn open(
        &self,
        header: &Header<'_>,
        encryption: &PayloadEncryption,
        stored: Option<&[u8]>,
    ) -> Result<Payload, ReadError> {
        let position = header.position();
        let key = lock(&self.state).keyset.key_cached(encryption.key_id);
        match (key, stored) {
            (Ok((key, _)), Some(stored)) => unseal(&key, header, encryption, stored),
            (Ok(_), None) => Err(ReadError::Tampered { position }),
            (Err(missing), _) => Ok(self.missing(header, encryption.key_id, missing)),
        }
    }

    fn missing(&self, header: &Header<'_>, key_id: KeyId, _why: KeyMissing) -> Payload {
        let coordinate = header.coordinate();
        let scope = scope_for(self.granularity, &coordinate, header.kind(), header.id());
        match read(&self.shreds).intent(&scope, key_id) {
            Some(intent) if intent > header.position() => Payload::Shredded(crate::ShredProof { intent, key_id }),
            _ => Payload::KeyLost(key_id),
        }
    }

    fn publish(&self, seen: LogSeen, durable: &mut dyn FnMut(KeyId)) -> Result<(), PublishError> {
        let publication = {
            let mut state = lock(&self.state);
            let KeyState { keyset, root, .. } = &mut *state;
            keyset.publication(root, seen, &*self.entropy)?
        };
        for step in publication.steps() {
            match step {
                Step::Durable => durable(self.note_durable(&publication)),
                step => self.files.carry_out(step, &publication).map_err(|why| {
                    if let Step::Write(copy) | Step::Sync(copy) = step {
                        lock(&self.state).keyset.copy_failed(copy);
                    }
                    PublishError::Disk(why)
                })?,
            }
            if let Step::Sync(copy) = step
                && copy != publication.first
            {
                lock(&self.state).keyset.copy_good(copy, publication.epoch);
            }
        }
        Ok(())
    }

    fn note_durable(&self, publication: &Publication) -> KeyId {
        let mut state = lock(&self.state);
        state.keyset.durable(publication);
        self.epoch.store(publication.epoch, Ordering::Release);
        self.publications.fetch_add(1, Ordering::Relaxed);
        state.keyset.covered_below()
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

fn unseal(
    key: &PayloadKey,
    header: &Header<'_>,
    encryption: &PayloadEncryption,
    stored: &[u8],
) -> Result<Payload, ReadError> {
    let tampered = ReadError::Tampered { position: header.position() };
    let Some((ciphertext, tag)) = stored.split_last_chunk::<SEAL_TAG_LEN>() else { return Err(tampered) };
    let mut associated = Vec::with_capacity(128);
    aad(header.entity(), header.scope(), header.kind(), header.id(), &mut associated);
    let mut payload = ciphertext.to_vec();
    match key.open(&Nonce::from_bytes(encryption.nonce), &associated, &mut payload, tag) {
        Ok(()) => Ok(Payload::Open(Bytes::from(payload))),
        Err(_) => Err(tampered),
    }
}
