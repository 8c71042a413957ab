//! Opening a store: look, lock, load the keyset, recover the log, hold the two against each other, and make true what was read.
//!
//! Invariants: nothing is decided on what only the page cache may hold: a writer writes and syncs again what no durable mark covers,
//! and both copies of the keyset, unless a clean close names this length and this epoch. A read-only open takes no lock and
//! changes nothing. Encryption is a property of the store: nothing falls back to plaintext.

use std::{mem::take, path::Path, sync::Arc};

use batpak_crypto::NonceBuffer;
use batpak_keyset::{LogSeen, LogVerdict};
use batpak_segment::{Access, DiskFile, ForkMark, RecoveryMode, SEGMENTS_DIR, Tail, make_durable};

use crate::{
    Config, Durability, OpenError, OpenReport, Pending, Store, StoreInfo,
    accept::accept,
    defect::{Defect, seeded},
    index::Source,
    indexing::Indexer,
    inspect::inspect,
    keys::Keys,
    keyset_load::{LoadedKeys, judge, load, load_judged},
    layout::{LOCK_FILE, Layout, refused},
    log_read::LogRead,
    log_scan::{KnownBefore, LogScan, scan},
    pipeline::{Pipeline, Start},
    refresh::Refresh,
    secret::ProviderContext,
    segments::SegmentLog,
    store::Side,
    sync::{AtomicBool, Mutex},
    view::View,
    writer::{NONCE_BUFFERS, Writer},
};

impl Store {
    /// Opens a store for writing. One process at a time may.
    ///
    /// # Errors
    /// [`OpenError`], by variant; nothing was changed then that a later open would not change as well.
    pub fn open(dir: impl AsRef<Path>, config: Config) -> Result<Self, OpenError> {
        let dir = dir.as_ref();
        match Self::open_once(dir, &config) {
            Err(why) => {
                accept(&Opening::look(dir, &config)?, why)?;
                Self::open_once(dir, &config)
            }
            opened => opened,
        }
    }

    fn open_once(dir: &Path, config: &Config) -> Result<Self, OpenError> {
        let opening = Opening::look(dir, config)?;
        // Without keys an encrypted store can be read, and what was written to it would stand in clear.
        if opening.info.encrypted && config.encryption.provider().is_none() {
            return Err(OpenError::EncryptionExpected);
        }
        let lock = opening.lock()?;
        let (keys, held) = opening.take_keys()?.unzip();
        let mut scan = opening.scan(RecoveryMode::Repair, keys.as_ref())?;
        let mut report = OpenReport {
            torn: scan.recovered.torn,
            index_rebuilt: scan.rebuilt.clone(),
            events_read: scan.events_read,
            ..OpenReport::default()
        };
        let pending = keys.as_ref().and_then(|loaded| match loaded.keyset.compare_log(&scan.facts()) {
            LogVerdict::ShredPending { intent, .. } => Some(intent),
            _ => None,
        });
        let (keys, unreached) = opening.settle(keys, &mut scan, pending, &mut report)?.unzip();
        let mut store = opening.wake_writer(scan, keys, report, [lock, held.flatten()])?;
        // All that was read is with the operating system.
        if let Side::Writer(writer) = &store.side {
            writer.index_ended();
        }
        if let Some(intent) = pending
            && store.complete_shred(intent, unreached.unwrap_or(0))?
        {
            store.report.shred_finished = Some(intent);
        }
        Ok(store)
    }

    /// Opens a store for reading, beside a writer or without one. It takes no lock and changes nothing.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_read_only(dir: impl AsRef<Path>, config: Config) -> Result<Self, OpenError> {
        let opening = Opening::look(dir.as_ref(), &config)?;
        let (keys, scan) = opening.read_beside_a_writer()?;
        let rolled_back = keys.as_ref().is_some_and(|loaded| opening.agree(loaded, &scan).is_err());
        let report = OpenReport {
            keyset_rolled_back: rolled_back,
            clean: scan.recovered.clean_close.is_some(),
            index_rebuilt: scan.rebuilt.clone(),
            events_read: scan.events_read,
            keyset: keys.as_ref().map(|loaded| loaded.findings.clone()).unwrap_or_default(),
            ..OpenReport::default()
        };
        let refresh = Refresh::after(&scan, &config);
        let (keys, view) =
            (keys.map(|loaded| loaded.into_keys(scan.shreds, &config)), View::new(scan.source, scan.index, scan.holds));
        let parts = Parts {
            dir: opening.dir,
            config: &config,
            info: opening.info,
            report,
            view: Arc::new(view),
            keys: keys.map(Arc::new),
        };
        Ok(parts.wake(Wake::Reader(refresh)))
    }
}

/// A file that is locked as long as it is open; none where nothing needs a lock.
type Lock = Option<Arc<dyn DiskFile>>;

/// A store that is being opened.
pub(crate) struct Opening<'a> {
    pub(crate) dir: &'a Path,
    pub(crate) config: &'a Config,
    pub(crate) info: StoreInfo,
}

impl<'a> Opening<'a> {
    fn look(dir: &'a Path, config: &'a Config) -> Result<Self, OpenError> {
        let layout = Layout::look(&*config.disk, dir)?;
        let info = inspect(&*config.disk, dir, &layout)?;
        let wants_keys = config.encryption.provider().is_some();
        match (info.encrypted, wants_keys || config.without_keys) {
            (true, false) => return Err(OpenError::EncryptionExpected),
            (false, _) if wants_keys => return Err(OpenError::PlaintextStore),
            _ => {}
        }
        if let (Some(asked), Some(found)) = (config.granularity, info.granularity)
            && asked != found
        {
            return Err(OpenError::WrongGranularity { asked, found });
        }
        Ok(Self { dir, config, info })
    }

    /// The same store, to be opened once more.
    pub(crate) fn again(&self) -> Self {
        Self { dir: self.dir, config: self.config, info: self.info.clone() }
    }

    pub(crate) fn context(&self) -> ProviderContext<'_> {
        let config = self.config;
        ProviderContext { store: self.info.store, dir: self.dir, disk: &*config.disk, entropy: &*config.entropy }
    }

    fn source(&self, mode: RecoveryMode) -> Arc<Source> {
        let (disk, writable) = (Arc::clone(&self.config.disk), mode == RecoveryMode::Repair);
        Arc::new(Source::new(disk, self.dir, self.info.store, self.info.granularity, writable))
    }

    pub(crate) fn lock(&self) -> Result<Lock, OpenError> {
        let path = self.dir.join(LOCK_FILE);
        let disk = &self.config.disk;
        let lock = match disk.open(&path, Access::ReadWrite) {
            // A restored copy may have left it out; it holds nothing.
            Err(why) if why.kind() == std::io::ErrorKind::NotFound => disk.create_new(&path, 0o600),
            opened => opened,
        };
        let lock = lock.map_err(refused("open for writing", &path))?;
        match lock.try_lock() {
            Ok(true) => Ok(Some(lock)),
            Ok(false) => Err(OpenError::Locked),
            Err(why) => Err(refused("lock", &path)(why)),
        }
    }

    /// Loads the keyset for writing, under the store's lock, and keeps others from its root secret. What the keyset names decides which
    /// provider is asked, so that a wrong one is told so before it locks anything.
    fn take_keys(&self) -> Result<Option<(LoadedKeys, Lock)>, OpenError> {
        let Some(provider) = self.config.encryption.provider() else { return Ok(None) };
        let context = self.context();
        let judged = judge(&context, provider)?;
        let held = provider.hold(&context)?;
        Ok(Some((load_judged(&context, provider, &self.config.disk, &judged)?, held)))
    }

    pub(crate) fn load_keys(&self, access: Access) -> Result<Option<LoadedKeys>, OpenError> {
        match self.config.encryption.provider() {
            Some(provider) => load(&self.context(), provider, &self.config.disk, access).map(Some),
            None => Ok(None),
        }
    }

    pub(crate) fn scan(&self, mode: RecoveryMode, keys: Option<&LoadedKeys>) -> Result<LogScan, OpenError> {
        let seen = keys.map(|loaded| loaded.keyset.log_seen());
        // Without keys nothing is asked of a shred; what is read for a keyset that is to be mended knows them all.
        let applied = match (self.config.encryption.provider(), keys) {
            (None, _) => Some(u64::MAX),
            (Some(_), keys) => keys.and_then(|loaded| loaded.keyset.applied()),
        };
        scan(&self.source(mode), mode, &KnownBefore { seen, applied })
    }

    /// Loads the keyset and then reads the log; both again when a writer published between the two, for then the log
    /// may name keys that the older image does not know.
    fn read_beside_a_writer(&self) -> Result<(Option<LoadedKeys>, LogScan), OpenError> {
        let mut keys = self.load_keys(Access::Read)?;
        loop {
            let scan = self.scan(RecoveryMode::ReadOnly, keys.as_ref())?;
            let Some(loaded) = &keys else { return Ok((None, scan)) };
            let Err(refused) = self.agree(loaded, &scan) else { return Ok((keys, scan)) };
            let epoch = loaded.keyset.epoch();
            let again = self.load_keys(Access::Read)?;
            if again.as_ref().is_none_or(|again| again.keyset.epoch() <= epoch) {
                return match refused {
                    // Old keys open what they sealed; what they do not know is lost. What the log says was shredded reads so.
                    OpenError::KeysetRolledBack { .. } => Ok((keys, scan)),
                    refused => Err(refused),
                };
            }
            keys = again;
        }
    }

    /// Refuses when the keyset or the log is older than the other.
    fn agree(&self, loaded: &LoadedKeys, scan: &LogScan) -> Result<(), OpenError> {
        let epoch = loaded.keyset.epoch();
        match loaded.keyset.compare_log(&scan.facts()) {
            LogVerdict::Agrees => Ok(()),
            LogVerdict::KeysetRolledBack { .. } => Err(OpenError::KeysetRolledBack { epoch }),
            LogVerdict::LogRolledBack { seen, next_position } => {
                Err(OpenError::LogRolledBack { found: next_position, seen })
            }
            LogVerdict::ShredPending { .. } => Ok(()),
            _ => Err(OpenError::KeysetRolledBack { epoch }),
        }
    }

    /// Makes true what was read, holds keyset and log against each other, and heals what was found. Returns the keys, which take what the
    /// log says of shreds, and how many of a pending shred could not be reached.
    fn settle(
        &self,
        keys: Option<LoadedKeys>,
        scan: &mut LogScan,
        pending: Option<u64>,
        report: &mut OpenReport,
    ) -> Result<Option<(Keys, u64)>, OpenError> {
        let closed_under = scan.recovered.clean_close.map(|close| close.keyset_epoch);
        let keyset_clean =
            keys.as_ref().is_none_or(|keys| keys.is_clean() && closed_under == Some(keys.keyset.epoch()));
        report.clean = closed_under.is_some() && keyset_clean;
        if let Some(loaded) = &keys {
            self.agree(loaded, scan)?;
        }
        if closed_under.is_none() && !seeded(Defect::PageCacheTrusted) {
            let segments = self.dir.join(SEGMENTS_DIR);
            make_durable(&*self.config.disk, &segments, &scan.recovered)
                .map_err(refused("write the log in", &segments))?;
            self.mend_footer(scan).map_err(refused("write a footer in", &segments))?;
        }
        let Some(mut loaded) = keys else { return Ok(None) };
        report.keyset.clone_from(&loaded.findings);
        report.copied = loaded.was_copied();
        // Asked before anything is published: an image of this open knows more of the log than the scan was asked about.
        let verdict = loaded.keyset.compare_log(&scan.facts());
        let refuse = || refused("write the keyset in", self.dir);
        if !report.keyset.is_empty() || report.copied {
            // The other copy takes a new epoch with its new bytes: with this one, a clean close from before the damage would vouch for
            // it while only the page cache has it.
            loaded.rewrite_winner().map_err(refuse())?;
            let recovered = &scan.recovered;
            let seen = LogSeen { position: recovered.next_position, chain_hash: recovered.last_chain_hash };
            loaded.renew_page(seen, &*self.config.entropy, self.dir)?;
        } else if !keyset_clean && !seeded(Defect::PageCacheTrusted) {
            loaded.rewrite().map_err(refuse())?;
        }
        // A change of the root secret that was cut short: the image says which of the two is the current one.
        let mut destroyed = self.destroy_old_secret(&loaded)?;
        if self.finish_shred(&mut loaded, scan, verdict)? {
            destroyed = self.destroy_old_secret(&loaded)?;
        }
        let unreached = match pending {
            Some(_) => loaded.unreached(&scan.shreds, scan.previous_intent(), &*self.config.entropy)?,
            None => 0,
        };
        loaded.sweep_extents().map_err(refused("remove an extent in", self.dir))?;
        let keys = loaded.into_keys(take(&mut scan.shreds), self.config);
        keys.note_unframed(take(&mut scan.named));
        if !destroyed {
            let what = pending.map_or(Pending::Rekey, |intent| Pending::Shred { intent });
            keys.leave_pending(what, unreached);
        }
        Ok(Some((keys, unreached)))
    }

    /// Has the provider destroy every root secret but the one that the keyset is sealed under. Returns whether it did: when only that
    /// fails, the store serves all the same, with the destruction pending.
    fn destroy_old_secret(&self, loaded: &LoadedKeys) -> Result<bool, OpenError> {
        let Some(provider) = self.config.encryption.provider() else { return Ok(true) };
        match provider.settle(&self.context(), loaded.keyset.secret_id(), self.config.clock.now()) {
            Ok(_) => Ok(true),
            Err(why) if why.may_pass() => Ok(false),
            Err(why) => Err(why.into()),
        }
    }

    /// Carries out an intent that an earlier process put on record, as far as the keyset is concerned, under a new root secret. Returns
    /// whether there was something to do.
    fn finish_shred(&self, loaded: &mut LoadedKeys, scan: &LogScan, verdict: LogVerdict) -> Result<bool, OpenError> {
        let Some(provider) = self.config.encryption.provider() else { return Ok(false) };
        let LogVerdict::ShredPending { applied: false, .. } = verdict else { return Ok(false) };
        if seeded(Defect::ShredUnfinished) {
            return Ok(false);
        }
        let seen = LogSeen { position: scan.recovered.next_position, chain_hash: scan.recovered.last_chain_hash };
        let secret = provider.store_next(&self.context(), loaded.keyset.provider(), loaded.keyset.secret_id())?;
        loaded.apply(&scan.shreds, secret, seen, &self.context())?;
        Ok(true)
    }

    /// Ends the segment before the active one again if its footer was damaged; its next roll would make it corrupt.
    fn mend_footer(&self, scan: &LogScan) -> std::io::Result<()> {
        let Some((info, facts)) = &scan.unfinished else { return Ok(()) };
        let (disk, segments) = (Arc::clone(&self.config.disk), self.dir.join(SEGMENTS_DIR));
        let end = (info.number, info.log_len);
        SegmentLog::resume(disk, &segments, self.info.store, end, *facts, None, false)?
            .mend_rolled(scan.active.keyset_epoch)
    }

    pub(crate) fn wake_writer(
        self,
        scan: LogScan,
        keys: Option<Keys>,
        report: OpenReport,
        locks: [Lock; 2],
    ) -> Result<Store, OpenError> {
        let recovered = &scan.recovered;
        let segments = self.dir.join(SEGMENTS_DIR);
        let end = (recovered.active, recovered.end_offset);
        let closed = recovered.clean_close.map(|close| close.keyset_epoch);
        let ahead = self.config.durability == Durability::Synced;
        let disk = Arc::clone(&self.config.disk);
        let log = SegmentLog::resume(disk, &segments, self.info.store, end, scan.active, closed, ahead)
            .map_err(refused("open the log in", &segments))?;
        let tail = Tail { segment: end.0, offset: end.1, segment_bytes: self.info.segment_bytes };
        let start = Start { log, tail, next_position: recovered.next_position, chain: recovered.last_chain_hash };
        let parts = Parts {
            dir: self.dir,
            config: self.config,
            info: self.info,
            report,
            view: Arc::new(View::new(scan.source, scan.index, scan.holds)),
            keys: keys.map(Arc::new),
        };
        Ok(parts.wake(Wake::Writer { start, locks }))
    }
}

/// What a store is made of once everything was checked.
pub(crate) struct Parts<'a> {
    pub(crate) dir: &'a Path,
    pub(crate) config: &'a Config,
    pub(crate) info: StoreInfo,
    pub(crate) report: OpenReport,
    pub(crate) view: Arc<View>,
    pub(crate) keys: Option<Arc<Keys>>,
}

/// The side that a store wakes on.
pub(crate) enum Wake {
    Reader(Refresh),
    Writer { start: Start, locks: [Lock; 2] },
}

impl Parts<'_> {
    pub(crate) fn wake(self, wake: Wake) -> Store {
        if let Some(keys) = &self.keys {
            keys.settled.look_in(&self.view);
        }
        let side = match wake {
            Wake::Reader(refresh) => Side::Reader(Box::new(refresh)),
            Wake::Writer { start, locks } => Side::Writer(Box::new(self.writer(start, locks))),
        };
        let disk = Arc::clone(&self.config.disk);
        Store {
            dir: self.dir.to_owned(),
            config: self.config.clone(),
            segments: LogRead::new(disk, self.dir.join(SEGMENTS_DIR)),
            info: self.info,
            report: self.report,
            view: self.view,
            keys: self.keys,
            side,
        }
    }

    fn writer(&self, start: Start, locks: [Lock; 2]) -> Writer {
        let config = self.config;
        Writer {
            store: self.info.store,
            pipeline: Arc::new(Pipeline::new(start, Arc::clone(&self.view), config.in_flight_bytes_max)),
            keys: self.keys.clone(),
            durability: config.durability,
            plaintext_bytes_max: self.info.plaintext_bytes_max,
            deferred_bytes_max: config.deferred_bytes_max,
            deferred_delay: config.deferred_delay,
            clock: Arc::clone(&config.clock),
            entropy: Arc::clone(&config.entropy),
            nonces: [(); NONCE_BUFFERS].map(|()| Box::new(Mutex::new(NonceBuffer::new(config.nonce_mode)))),
            shred_turn: Mutex::new(()),
            process: ForkMark::new(),
            drainer: Mutex::new(None),
            drains: AtomicBool::new(false),
            indexer: Indexer::new(config.indexing),
            syncer: Mutex::new(None),
            writes_back: AtomicBool::new(false),
            _locks: locks.into_iter().flatten().collect(),
        }
    }
}
