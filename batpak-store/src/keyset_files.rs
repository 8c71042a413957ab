//! The keyset's files: two copies of the image and the extents, written as a publication says.
//!
//! Invariant: every step is one call of the disk, in the order of the publication; nothing here decides anything.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use batpak_keyset::{Copy, CopyIdentity, ExtentWrite, Keyset, Publication, Step};
use batpak_segment::{Access, Disk, DiskFile};

/// Directory of the extents, in the store's.
pub(crate) const EXTENTS_DIR: &str = "extents";
const FILE_MODE: u32 = 0o600;
/// Zeros are written ahead in pieces of this size.
static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];

/// See the module.
#[derive(Debug)]
pub(crate) struct KeysetFiles {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    a: Arc<dyn DiskFile>,
    b: Arc<dyn DiskFile>,
}

impl KeysetFiles {
    /// Makes both files of a new store, empty.
    pub(crate) fn create(disk: Arc<dyn Disk>, dir: &Path) -> io::Result<Self> {
        let make = |copy: Copy| disk.create_new(&dir.join(copy.file_name()), FILE_MODE);
        let (a, b) = (make(Copy::A)?, make(Copy::B)?);
        Ok(Self { disk, dir: dir.to_owned(), a, b })
    }

    /// Opens both files. One that is missing is not made yet, for a refusal writes nothing: the one that is there stands for both until
    /// [`KeysetFiles::make_missing`].
    pub(crate) fn open(disk: Arc<dyn Disk>, dir: &Path, access: Access) -> io::Result<Self> {
        let open = |copy: Copy| {
            let file = |copy: Copy| disk.open(&dir.join(copy.file_name()), access);
            match file(copy) {
                Err(why) if why.kind() == io::ErrorKind::NotFound => file(copy.other()),
                opened => opened,
            }
        };
        let (a, b) = (open(Copy::A)?, open(Copy::B)?);
        Ok(Self { disk, dir: dir.to_owned(), a, b })
    }

    /// Makes a file that is missing, to be healed from the other.
    pub(crate) fn make_missing(&mut self) -> io::Result<()> {
        for copy in Copy::BOTH {
            let path = self.dir.join(copy.file_name());
            match self.disk.create_new(&path, FILE_MODE) {
                Err(why) if why.kind() == io::ErrorKind::AlreadyExists => {}
                made => {
                    let file = made?;
                    self.disk.sync_dir(&self.dir)?;
                    *match copy {
                        Copy::A => &mut self.a,
                        Copy::B => &mut self.b,
                    } = file;
                }
            }
        }
        Ok(())
    }

    pub(crate) fn file(&self, copy: Copy) -> &dyn DiskFile {
        match copy {
            Copy::A => &*self.a,
            Copy::B => &*self.b,
        }
    }

    /// Carries out a whole publication while nobody else uses the keyset: at creation and at open.
    pub(crate) fn publish(&self, keyset: &mut Keyset, publication: &Publication) -> io::Result<()> {
        for step in publication.steps() {
            self.carry_out(step, publication)?;
            match step {
                Step::Durable => keyset.durable(publication),
                Step::Sync(copy) if copy != publication.first => keyset.copy_good(copy, publication.epoch),
                Step::RemoveExtent { number } => keyset.extent_removed(number),
                _ => {}
            }
        }
        Ok(())
    }

    /// Carries out one step of a publication.
    pub(crate) fn carry_out(&self, step: Step, publication: &Publication) -> io::Result<()> {
        match step {
            Step::Write(copy) => self.write(copy, &publication.image, publication.file_len),
            Step::Sync(copy) => self.file(copy).sync_data(),
            Step::WriteExtent { .. } | Step::SyncExtent { .. } | Step::SyncExtentsDir => match &publication.extent {
                Some(extent) => self.carry_out_extent(step, extent),
                None => Ok(()),
            },
            Step::RemoveExtent { number } => self.remove_extent(number),
            _ => Ok(()),
        }
    }

    /// Carries out one step of writing an extent.
    pub(crate) fn carry_out_extent(&self, step: Step, extent: &ExtentWrite) -> io::Result<()> {
        match step {
            Step::WriteExtent { .. } => self.write_extent(extent),
            Step::SyncExtent { number } => self.disk.open(&self.extent(number), Access::ReadWrite)?.sync_all(),
            Step::SyncExtentsDir => self.disk.sync_dir(&self.dir.join(EXTENTS_DIR)),
            _ => Ok(()),
        }
    }

    /// Writes an image at the start of a copy, and zeros behind it up to `file_len` where the file is shorter.
    pub(crate) fn write(&self, copy: Copy, image: &[u8], file_len: u64) -> io::Result<()> {
        let file = self.file(copy);
        let len = file.len()?;
        file.write_all_at(image, 0)?;
        write_zeros(file, len.max(image.len() as u64), file_len)
    }

    /// Writes zeros behind what a copy holds where it is shorter than `file_len`, and syncs them: the image to come needs no space then.
    pub(crate) fn grow(&self, copy: Copy, file_len: u64) -> io::Result<()> {
        let file = self.file(copy);
        let len = file.len()?;
        if len < file_len {
            write_zeros(file, len, file_len)?;
            file.sync_all()?;
        }
        Ok(())
    }

    fn write_extent(&self, extent: &ExtentWrite) -> io::Result<()> {
        let path = self.extent(extent.number);
        // An unnamed file of this number is what an earlier try left.
        match self.disk.remove(&path) {
            Err(why) if why.kind() != io::ErrorKind::NotFound => return Err(why),
            _ => {}
        }
        self.disk.create_new(&path, FILE_MODE)?.write_all_at(&extent.bytes, 0)
    }

    /// Reads an extent whole.
    pub(crate) fn read_extent(&self, number: u64) -> io::Result<Vec<u8>> {
        let file = self.disk.open(&self.extent(number), Access::Read)?;
        let len = usize::try_from(file.len()?).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let mut bytes = vec![0; len];
        let read = file.read_full_at(&mut bytes, 0)?;
        bytes.truncate(read);
        Ok(bytes)
    }

    /// The numbers of the extents that are there, named or not.
    pub(crate) fn extents(&self) -> io::Result<Vec<u64>> {
        let names = match self.disk.list(&self.dir.join(EXTENTS_DIR)) {
            // A restored copy may have left an empty directory out.
            Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            listed => listed?,
        };
        let number = |name: &str| name.parse().ok().filter(|number: &u64| extent_name(*number) == name);
        Ok(names
            .iter()
            .filter(|entry| !entry.is_dir)
            .filter_map(|entry| entry.name.to_str().and_then(number))
            .collect())
    }

    /// Removes an extent that neither copy of the image names.
    pub(crate) fn remove_extent(&self, number: u64) -> io::Result<()> {
        match self.disk.remove(&self.extent(number)) {
            Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        }
    }

    /// Which file `keyset.a` is.
    pub(crate) fn identity(&self) -> io::Result<CopyIdentity> {
        let identity = self.a.identity()?;
        Ok(CopyIdentity { inode: identity.inode, birth_ns: identity.birth_ns })
    }

    fn extent(&self, number: u64) -> PathBuf {
        self.dir.join(EXTENTS_DIR).join(extent_name(number))
    }
}

fn write_zeros(file: &dyn DiskFile, mut at: u64, end: u64) -> io::Result<()> {
    while at < end {
        let piece = usize::try_from(end - at).unwrap_or(ZEROS.len()).min(ZEROS.len());
        file.write_all_at(&ZEROS[..piece], at)?;
        at += piece as u64;
    }
    Ok(())
}

fn extent_name(number: u64) -> String {
    format!("{number:020}")
}

/// A first copy of a keyset where none is: it gets its name when it is whole, and the next open heals the other copy from it.
#[derive(Debug)]
pub(crate) struct NewCopy<'a> {
    disk: &'a dyn Disk,
    dir: &'a Path,
    file: Arc<dyn DiskFile>,
}

impl<'a> NewCopy<'a> {
    /// The name that it has until it is whole; a hidden file is left alone by every open.
    const NAME: &'static str = ".keyset.new";

    pub(crate) fn create(disk: &'a dyn Disk, dir: &'a Path) -> io::Result<Self> {
        let path = dir.join(Self::NAME);
        match disk.remove(&path) {
            Err(why) if why.kind() != io::ErrorKind::NotFound => return Err(why),
            _ => {}
        }
        Ok(Self { disk, dir, file: disk.create_new(&path, FILE_MODE)? })
    }

    pub(crate) fn identity(&self) -> io::Result<CopyIdentity> {
        let identity = self.file.identity()?;
        Ok(CopyIdentity { inode: identity.inode, birth_ns: identity.birth_ns })
    }

    /// Writes the image, and gives the file its name.
    pub(crate) fn finish(self, publication: &Publication) -> io::Result<()> {
        self.file.write_all_at(&publication.image, 0)?;
        self.file.sync_all()?;
        self.disk.rename(&self.dir.join(Self::NAME), &self.dir.join(Copy::A.file_name()))?;
        self.disk.sync_dir(self.dir)
    }
}
