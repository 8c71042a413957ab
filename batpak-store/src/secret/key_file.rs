//! The root secret in a file outside the store's directory, best on another medium.
//!
//! Invariants: the file belongs to one store, is created exclusively with mode 0600, is refused inside the store's directory and when
//! others may read it, and is locked while a writer is open. Each change is one sector, synced.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use batpak_crypto::{RootSecret, SecretId};
use batpak_format::Timestamp;
use batpak_keyset::{KEY_FILE_LEN, KeyFile as Slots, KeyFileError, ProviderKind, ProviderRecord, SectorWrite, Slot};
use batpak_segment::{Access, DiskFile};
use zeroize::Zeroizing;

use super::{Destruction, NewSecret, ProviderContext, ProviderError, RootSecretProvider};

const FILE_MODE: u32 = 0o600;
const OTHERS: u32 = 0o077;

/// Keeps the root secret in a file. Without the file the store's payloads cannot be opened: back it up apart from the store, and
/// again after every shred and rekey.
#[derive(Clone, Debug)]
pub struct KeyFile {
    path: PathBuf,
}

impl KeyFile {
    /// Names the file.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Returns the file's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The secret with an id, as the file has it now.
    pub(super) fn secret(&self, context: &ProviderContext<'_>, id: SecretId) -> Result<RootSecret, ProviderError> {
        let (_, slots) = self.open(context, Access::Read)?;
        let secret = slots.find(id).ok_or(ProviderError::Missing)?;
        Ok(RootSecret::from_bytes(Zeroizing::new(*secret.expose())))
    }

    fn open(&self, context: &ProviderContext<'_>, access: Access) -> Result<(Arc<dyn DiskFile>, Slots), ProviderError> {
        self.check_place(context)?;
        let file = match context.disk.open(&self.path, access) {
            Err(why) if why.kind() == io::ErrorKind::NotFound => {
                return Err(ProviderError::KeyFileMissing { path: self.path.clone() });
            }
            opened => opened.map_err(self.refused())?,
        };
        let mode = context.disk.mode(&self.path).map_err(self.refused())?;
        if mode & OTHERS != 0 {
            return Err(ProviderError::Exposed { path: self.path.clone(), mode });
        }
        // One byte more than a key file has, so that a longer file is seen to be none.
        let mut bytes = Zeroizing::new(vec![0; KEY_FILE_LEN + 1]);
        let read = file.read_full_at(&mut bytes, 0).map_err(self.refused())?;
        let bytes = bytes.get(..read).unwrap_or_default();
        let slots = Slots::decode(bytes, Some(context.store)).map_err(|why| match why {
            KeyFileError::Foreign { found } => ProviderError::ForeignKeyFile { path: self.path.clone(), found },
            source => ProviderError::KeyFile { path: self.path.clone(), source },
        })?;
        Ok((file, slots))
    }

    /// Refuses a file inside the store's directory: every copy of the store would carry its key along.
    fn check_place(&self, context: &ProviderContext<'_>) -> Result<(), ProviderError> {
        let place = |path: &Path| context.disk.canonical(path);
        let parent = match self.path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let parent = place(parent).map_err(self.refused())?;
        let dir = place(context.dir).map_err(self.refused())?;
        if parent.starts_with(dir) {
            return Err(ProviderError::InsideStore { path: self.path.clone() });
        }
        Ok(())
    }

    fn refused(&self) -> impl Fn(io::Error) -> ProviderError + '_ {
        |source| ProviderError::Disk { path: self.path.clone(), source }
    }

    fn write(&self, file: &dyn DiskFile, sector: &SectorWrite) -> Result<(), ProviderError> {
        file.write_all_at(&sector.bytes, sector.offset).and_then(|()| file.sync_data()).map_err(self.refused())
    }
}

impl RootSecretProvider for KeyFile {
    fn kind(&self) -> ProviderKind {
        ProviderKind::KeyFile
    }

    fn create(&self, context: &ProviderContext<'_>) -> Result<NewSecret, ProviderError> {
        self.check_place(context)?;
        let root = RootSecret::generate(context.entropy)?;
        let id = SecretId::generate(context.entropy)?;
        let secret = RootSecret::from_bytes(Zeroizing::new(*root.expose()));
        let slots = Slots::new(context.store, Slot { secret_id: id, secret });
        let file = match context.disk.create_new(&self.path, FILE_MODE) {
            Err(why) if why.kind() == io::ErrorKind::AlreadyExists => {
                return Err(ProviderError::Exists { path: self.path.clone() });
            }
            created => created.map_err(self.refused())?,
        };
        let parent = self.path.parent().unwrap_or(Path::new("."));
        let kept = file
            .write_all_at(&slots.encode(), 0)
            .and_then(|()| file.sync_all())
            .and_then(|()| context.disk.sync_dir(parent));
        if let Err(why) = kept {
            drop(context.disk.remove(&self.path));
            return Err(self.refused()(why));
        }
        Ok(NewSecret { id, root, record: ProviderRecord::key_file() })
    }

    fn renew(&self, context: &ProviderContext<'_>) -> Result<NewSecret, ProviderError> {
        let (file, mut slots) = match self.open(context, Access::ReadWrite) {
            Err(ProviderError::KeyFileMissing { .. }) => return self.create(context),
            opened => opened?,
        };
        let root = RootSecret::generate(context.entropy)?;
        let id = SecretId::generate(context.entropy)?;
        let secret = RootSecret::from_bytes(Zeroizing::new(*root.expose()));
        let unusable = |source| ProviderError::KeyFile { path: self.path.clone(), source };
        let current = slots.current().secret_id;
        let next = slots.store_next(current, Slot { secret_id: id, secret }).map_err(unusable)?;
        self.write(&*file, &next)?;
        Ok(NewSecret { id, root, record: ProviderRecord::key_file() })
    }

    fn take_back(&self, context: &ProviderContext<'_>) {
        drop(context.disk.remove(&self.path));
    }

    fn unlock(
        &self,
        context: &ProviderContext<'_>,
        _record: &ProviderRecord,
        id: SecretId,
    ) -> Result<RootSecret, ProviderError> {
        self.secret(context, id)
    }

    fn store_next(
        &self,
        context: &ProviderContext<'_>,
        _record: &ProviderRecord,
        current: SecretId,
    ) -> Result<NewSecret, ProviderError> {
        let (file, mut slots) = self.open(context, Access::ReadWrite)?;
        let root = RootSecret::generate(context.entropy)?;
        let id = SecretId::generate(context.entropy)?;
        let secret = RootSecret::from_bytes(Zeroizing::new(*root.expose()));
        let sector = slots.store_next(current, Slot { secret_id: id, secret }).map_err(|why| match why {
            KeyFileError::CurrentChanged => ProviderError::CurrentChanged,
            source => ProviderError::KeyFile { path: self.path.clone(), source },
        })?;
        self.write(&*file, &sector)?;
        Ok(NewSecret { id, root, record: ProviderRecord::key_file() })
    }

    fn settle(
        &self,
        context: &ProviderContext<'_>,
        keep: SecretId,
        now: Timestamp,
    ) -> Result<Destruction, ProviderError> {
        let (file, mut slots) = self.open(context, Access::ReadWrite)?;
        let (current, next) = (slots.current().secret_id, slots.next().map(|slot| slot.secret_id));
        if current == keep {
            // Also where nothing stands: the page cache may show a destruction that the disk does not have.
            let sector = slots.destroy_next();
            self.write(&*file, &sector)?;
        } else if next == Some(keep) {
            let sector = slots
                .destroy_current(current)
                .map_err(|source| ProviderError::KeyFile { path: self.path.clone(), source })?;
            self.write(&*file, &sector)?;
        } else {
            return Err(ProviderError::Missing);
        }
        Ok(Destruction::OldCopiesDeadFrom(now))
    }

    fn hold(&self, context: &ProviderContext<'_>) -> Result<Option<Arc<dyn DiskFile>>, ProviderError> {
        let (file, _) = self.open(context, Access::ReadWrite)?;
        match file.try_lock() {
            Ok(true) => Ok(Some(file)),
            Ok(false) => Err(ProviderError::InUse { path: self.path.clone() }),
            Err(why) => Err(self.refused()(why)),
        }
    }
}
