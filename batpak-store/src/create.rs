//! The creation of a store.
//!
//! Invariant: the order is provider's secret, keyset copies, directory, genesis event last. Without its genesis event it is no store:
//! open and create both refuse what a crash leaves before it. A creation that fails takes back what it made.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use batpak_format::{ChainHash, Genesis, Record, StoreId};
use batpak_keyset::{CreateKeyset, Granularity, Keyset, LogSeen};
use batpak_segment::{DiskFile, FIRST_SEGMENT, SEGMENTS_DIR, Tail};

use crate::{
    Config, Durability, OpenError, OpenReport, Store,
    holds::Holds,
    index::{LogIndex, Source},
    keys::Keys,
    keyset_files::KeysetFiles,
    layout::{LOCK_FILE, Layout, refused},
    open::{Parts, Wake},
    pipeline::Start,
    secret::ProviderContext,
    segments::{Roll, SegmentLog},
    shreds::Shreds,
    store::StoreInfo,
    view::View,
};

const HINT_BYTES_MAX: usize = 1024;

impl Store {
    /// Creates a store in a directory, which is made if it is not there, and opens it for writing.
    ///
    /// # Errors
    /// [`OpenError::AlreadyExists`] or [`OpenError::UnfinishedCreation`] when something stands there;
    /// [`OpenError::Provider`] and the others as they say. Nothing of the store is left then.
    pub fn create(dir: impl AsRef<Path>, config: Config) -> Result<Self, OpenError> {
        let dir = dir.as_ref();
        let layout = Layout::look(&*config.disk, dir)?;
        if let Some(name) = layout.files.first() {
            let name = name.clone();
            let whole = crate::inspect::genesis(&*config.disk, dir)?.is_some();
            let dir = dir.to_owned();
            return Err(if whole {
                OpenError::AlreadyExists { dir, name }
            } else {
                OpenError::UnfinishedCreation { files: layout.files }
            });
        }
        layout.check_foreign()?;
        Layout::check_outside(&*config.disk, dir)?;
        if config.provider_hint.len() > HINT_BYTES_MAX {
            return Err(OpenError::HintTooLong { bytes: config.provider_hint.len() });
        }
        let mut id = [0; 16];
        config.entropy.fill(&mut id)?;
        let mut making =
            Making { dir, config: &config, store: StoreId::from_bytes(id), made: Vec::new(), secret: false };
        let made = making.make();
        if made.is_err() {
            making.take_back();
        }
        made
    }
}

/// A creation, with what it has made so far.
struct Making<'a> {
    dir: &'a Path,
    config: &'a Config,
    store: StoreId,
    made: Vec<PathBuf>,
    secret: bool,
}

impl Making<'_> {
    fn make(&mut self) -> Result<Store, OpenError> {
        let config = self.config;
        let disk = &config.disk;
        Layout::create(&**disk, self.dir)?;
        let lock = self.lock_file()?;
        let keys = self.keys()?;
        let held = match config.encryption.provider() {
            Some(provider) => provider.hold(&self.context())?,
            None => None,
        };
        let segments = self.dir.join(SEGMENTS_DIR);
        self.made.push(batpak_segment::segment_path(&segments, FIRST_SEGMENT));
        let roll = Roll {
            segment: FIRST_SEGMENT,
            first_position: 0,
            chain: ChainHash::from_bytes([0; 32]),
            keyset_epoch: keys.as_ref().map_or(0, Keys::epoch),
        };
        let log =
            SegmentLog::create(Arc::clone(disk), &segments, self.store, &roll, config.durability == Durability::Synced)
                .map_err(refused("create a segment in", &segments))?;
        // With the genesis event it is a store, and whoever opens it may acknowledge: its names are durable by then.
        self.sync_directories()?;
        let tail = log.tail(Tail { segment: 0, offset: 0, segment_bytes: config.segment_bytes });
        let info = self.info();
        let source = Arc::new(Source::new(Arc::clone(disk), self.dir, self.store, info.granularity, true));
        let genesis = self.genesis(&info);
        let store = Parts {
            dir: self.dir,
            config,
            info,
            report: OpenReport::created(),
            view: Arc::new(View::new(source, LogIndex::new(self.store, FIRST_SEGMENT), Holds::default())),
            keys: keys.map(Arc::new),
        }
        .wake(Wake::Writer {
            start: Start { log, tail, next_position: 0, chain: roll.chain },
            locks: [Some(lock), held],
        });
        store.append_system(&Record::Genesis(genesis), Durability::Synced).map_err(OpenError::Append)?;
        Ok(store)
    }

    /// Takes back what was made, as far as the disk lets it; what stays is refused by open as an unfinished creation.
    fn take_back(&self) {
        for path in self.made.iter().rev() {
            drop(self.config.disk.remove(path));
        }
        if let Some(provider) = self.config.encryption.provider().filter(|_| self.secret) {
            provider.take_back(&self.context());
        }
    }

    fn context(&self) -> ProviderContext<'_> {
        let config = self.config;
        ProviderContext { store: self.store, dir: self.dir, disk: &*config.disk, entropy: &*config.entropy }
    }

    fn lock_file(&mut self) -> Result<Arc<dyn DiskFile>, OpenError> {
        let path = self.dir.join(LOCK_FILE);
        let lock = self.config.disk.create_new(&path, 0o600).map_err(refused("create", &path))?;
        self.made.push(path.clone());
        match lock.try_lock() {
            Ok(true) => Ok(lock),
            Ok(false) => Err(OpenError::Locked),
            Err(why) => Err(refused("lock", &path)(why)),
        }
    }

    /// The provider's secret first, then both copies of the keyset, then their directory entries.
    fn keys(&mut self) -> Result<Option<Keys>, OpenError> {
        let Some(provider) = self.config.encryption.provider() else { return Ok(None) };
        let entropy = &self.config.entropy;
        let secret = provider.create(&self.context())?;
        self.secret = true;
        let granularity = self.config.granularity.unwrap_or(Granularity::Entity);
        let create = CreateKeyset { store: self.store, granularity, provider: secret.record, secret_id: secret.id };
        let mut keyset = Keyset::create(create, &**entropy)?;
        self.made.extend(batpak_keyset::Copy::BOTH.map(|copy| self.dir.join(copy.file_name())));
        let files = KeysetFiles::create(Arc::clone(&self.config.disk), self.dir)
            .map_err(refused("create the keyset in", self.dir))?;
        keyset.set_identity(files.identity().map_err(refused("look at the keyset in", self.dir))?);
        let publication = keyset.publication(&secret.root, LogSeen::NOTHING, &**entropy)?;
        files.publish(&mut keyset, &publication).map_err(refused("write the keyset in", self.dir))?;
        self.config.disk.sync_dir(self.dir).map_err(refused("sync", self.dir))?;
        Ok(Some(Keys::new(keyset, secret.root, files, Shreds::default(), Arc::clone(entropy))))
    }

    fn sync_directories(&self) -> Result<(), OpenError> {
        let parent = self.dir.parent().unwrap_or(Path::new("."));
        for path in [self.dir, parent] {
            self.config.disk.sync_dir(path).map_err(refused("sync", path))?;
        }
        Ok(())
    }

    fn info(&self) -> StoreInfo {
        let config = self.config;
        let provider = config.encryption.provider();
        StoreInfo {
            store: self.store,
            created: config.clock.now(),
            encrypted: provider.is_some(),
            granularity: provider.map(|_| config.granularity.unwrap_or(Granularity::Entity)),
            provider: provider.map(|provider| provider.kind()),
            provider_hint: config.provider_hint.clone(),
            plaintext_bytes_max: config.plaintext_bytes_max,
            segment_bytes: config.segment_bytes,
        }
    }

    fn genesis(&self, info: &StoreInfo) -> Genesis {
        Genesis {
            store: info.store,
            created: info.created,
            encrypted: info.encrypted,
            granularity: info.granularity.map_or(0, Granularity::code),
            provider_kind: info.provider.map_or(0, batpak_keyset::ProviderKind::code),
            provider_hint: info.provider_hint.clone(),
            plaintext_bytes_max: info.plaintext_bytes_max,
            segment_bytes: info.segment_bytes,
        }
    }
}
