//! What the service keeps: for each store a file of two checksummed slots, with store id and secret id.
//!
//! Invariants: a next secret is taken only behind the current one that the caller names; of two secrets one is whole after any cut; what is
//! answered `Done` is durable.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use batpak_store::{
    crypto::{EntropyError, OsEntropy, RootSecret, SecretId},
    format::StoreId,
    keyset::{KEY_FILE_LEN, KeyFile as Slots, KeyFileError, SectorWrite, Slot},
    segment::{Access, Disk, DiskFile},
};
use zeroize::Zeroizing;

use super::wire::{Answer, Operation, Request, Status};

/// The service's folder, mode 0700.
#[derive(Clone, Debug)]
pub struct Vault {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
}

/// Why the service could not answer otherwise.
enum Refusal {
    Status(Status),
    Disk(io::Error),
}

impl Vault {
    /// Takes a folder, which is made if it is not there.
    ///
    /// # Errors
    /// What the disk says.
    pub fn open(disk: Arc<dyn Disk>, folder: &Path) -> io::Result<Self> {
        if !disk.exists(folder)? {
            disk.create_dir(folder, 0o700)?;
            disk.sync_dir(folder.parent().unwrap_or(Path::new(".")))?;
        }
        Ok(Self { disk, folder: folder.to_owned() })
    }

    /// The file of a store.
    pub fn path(&self, store: StoreId) -> PathBuf {
        self.folder.join(format!("{store}.slots"))
    }

    /// Answers one request.
    pub fn answer(&self, request: &Request) -> Answer {
        match self.carry_out(request) {
            Ok(answer) => answer,
            Err(Refusal::Status(status)) => Answer::bare(status),
            Err(Refusal::Disk(why)) => {
                eprintln!("{}: {why}", self.path(request.store).display());
                Answer::bare(Status::Failed)
            }
        }
    }

    fn carry_out(&self, request: &Request) -> Result<Answer, Refusal> {
        let store = request.store;
        let named = request.id.ok_or(Refusal::Status(Status::Missing));
        match request.operation {
            Operation::Create => self.create(store),
            Operation::Fetch => {
                let (_, slots) = self.read(store)?;
                let id = named?;
                slots.find(id).map(|secret| given(id, secret)).ok_or(Refusal::Status(Status::Missing))
            }
            Operation::StoreNext => self.store_next(store, Some(named?)),
            Operation::Settle => self.settle(store, named?),
            Operation::Renew => match self.store_next(store, None) {
                Err(Refusal::Status(Status::Missing)) => self.create(store),
                renewed => renewed,
            },
            Operation::TakeBack => {
                let (_, slots) = self.read(store)?;
                // Only what a creation has just made.
                if slots.next().is_none() {
                    self.disk.remove(&self.path(store))?;
                    self.disk.sync_dir(&self.folder)?;
                }
                Ok(Answer::bare(Status::Done))
            }
        }
    }

    fn create(&self, store: StoreId) -> Result<Answer, Refusal> {
        let slot = fresh()?;
        let answer = given(slot.secret_id, &slot.secret);
        let path = self.path(store);
        let file = match self.disk.create_new(&path, 0o600) {
            Err(why) if why.kind() == io::ErrorKind::AlreadyExists => return Err(Refusal::Status(Status::Exists)),
            created => created?,
        };
        let kept = file
            .write_all_at(&Slots::new(store, slot).encode(), 0)
            .and_then(|()| file.sync_all())
            .and_then(|()| self.disk.sync_dir(&self.folder));
        if let Err(why) = kept {
            drop(self.disk.remove(&path));
            return Err(why.into());
        }
        Ok(answer)
    }

    /// Takes a next secret behind the current one, which must be the one named, if one is.
    fn store_next(&self, store: StoreId, named: Option<SecretId>) -> Result<Answer, Refusal> {
        let (file, mut slots) = self.read(store)?;
        let slot = fresh()?;
        let answer = given(slot.secret_id, &slot.secret);
        let current = named.unwrap_or(slots.current().secret_id);
        let sector = slots.store_next(current, slot)?;
        write(&*file, &sector)?;
        Ok(answer)
    }

    fn settle(&self, store: StoreId, keep: SecretId) -> Result<Answer, Refusal> {
        let (file, mut slots) = self.read(store)?;
        let (current, next) = (slots.current().secret_id, slots.next().map(|slot| slot.secret_id));
        if current == keep {
            if next.is_some() || slots.is_damaged() {
                write(&*file, &slots.destroy_next())?;
            }
        } else if next == Some(keep) {
            write(&*file, &slots.destroy_current(current)?)?;
        } else {
            return Err(Refusal::Status(Status::Missing));
        }
        Ok(Answer::bare(Status::Done))
    }

    fn read(&self, store: StoreId) -> Result<(Arc<dyn DiskFile>, Slots), Refusal> {
        let file = match self.disk.open(&self.path(store), Access::ReadWrite) {
            Err(why) if why.kind() == io::ErrorKind::NotFound => return Err(Refusal::Status(Status::Missing)),
            opened => opened?,
        };
        let mut bytes = Zeroizing::new(vec![0; KEY_FILE_LEN + 1]);
        let read = file.read_full_at(&mut bytes, 0)?;
        Ok((file, Slots::decode(bytes.get(..read).unwrap_or_default(), Some(store))?))
    }
}

fn fresh() -> Result<Slot, Refusal> {
    Ok(Slot { secret_id: SecretId::generate(&OsEntropy)?, secret: RootSecret::generate(&OsEntropy)? })
}

fn given(id: SecretId, secret: &RootSecret) -> Answer {
    let mut answer = Answer { id, ..Answer::bare(Status::Done) };
    answer.secret.copy_from_slice(secret.expose());
    answer
}

fn write(file: &dyn DiskFile, sector: &SectorWrite) -> io::Result<()> {
    file.write_all_at(&sector.bytes, sector.offset)?;
    file.sync_data()
}

impl From<io::Error> for Refusal {
    fn from(why: io::Error) -> Self {
        Self::Disk(why)
    }
}

impl From<EntropyError> for Refusal {
    fn from(why: EntropyError) -> Self {
        Self::Disk(io::Error::other(why))
    }
}

impl From<KeyFileError> for Refusal {
    fn from(why: KeyFileError) -> Self {
        match why {
            KeyFileError::CurrentChanged => Self::Status(Status::CurrentChanged),
            why => Self::Disk(io::Error::other(why)),
        }
    }
}
