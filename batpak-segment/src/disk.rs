//! The disk as batpak sees it: the [`Disk`] and [`DiskFile`] traits, and [`RealDisk`].
//!
//! Invariant: of all the libraries, this module alone names `std::fs`. Every durable effect is one call of these
//! traits, so another implementation behind them sees, and can fail, delay or reorder, each of them.

use std::ffi::OsString;
use std::fmt::Debug;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;

use crate::growth::Growth;
use crate::map::map_file;

/// What an existing file is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reading only.
    Read,
    /// Reading and writing.
    ReadWrite,
}

/// One entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirEntryName {
    /// The entry's last path component.
    pub name: OsString,
    /// Whether the entry is a directory (a symbolic link is not one).
    pub is_dir: bool,
}

/// Which file this is: a copy of a directory has other inodes or other birth times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileIdentity {
    /// The inode number, 0 where there is none.
    pub inode: u64,
    /// Nanoseconds from 1970 to the file's creation, 0 where the file system does not say.
    pub birth_ns: u64,
}

/// A place that holds files: the real disk, one in memory, or one that fails on purpose.
///
/// Paths are the caller's, absolute or relative. A created, renamed or removed entry is durable only after
/// [`Disk::sync_dir`] of its directory has returned.
pub trait Disk: Debug + Send + Sync {
    /// Creates a file that must not exist yet, with these permission bits, open for reading and writing.
    ///
    /// # Errors
    /// `AlreadyExists` when the path is taken, else what the disk says.
    fn create_new(&self, path: &Path, mode: u32) -> io::Result<Arc<dyn DiskFile>>;

    /// Opens an existing regular file.
    ///
    /// # Errors
    /// `NotFound`, `InvalidInput` when it is not a regular file, else what the disk says.
    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn DiskFile>>;

    /// Creates a directory with these permission bits; its parent must exist.
    ///
    /// # Errors
    /// `AlreadyExists` when the path is taken, else what the disk says.
    fn create_dir(&self, path: &Path, mode: u32) -> io::Result<()>;

    /// Lists a directory, sorted by name.
    ///
    /// # Errors
    /// `NotFound`, or what the disk says.
    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntryName>>;

    /// Removes a file.
    ///
    /// # Errors
    /// `NotFound`, or what the disk says.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes the entries of a directory durable.
    ///
    /// # Errors
    /// What the disk says. After a failure nothing is known of the entries changed since the last success.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// Whether anything stands at this path.
    ///
    /// # Errors
    /// What the disk says when it cannot tell.
    fn exists(&self, path: &Path) -> io::Result<bool>;

    /// Renames a file, replacing what stands at `to`.
    ///
    /// # Errors
    /// `NotFound`, or what the disk says.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// The permission bits of a path (the low 12 bits of its Unix mode).
    ///
    /// # Errors
    /// `NotFound`, or what the disk says.
    fn mode(&self, path: &Path) -> io::Result<u32>;

    /// The one absolute path of what stands here, symbolic links resolved.
    ///
    /// # Errors
    /// `NotFound`, or what the disk says.
    fn canonical(&self, path: &Path) -> io::Result<PathBuf>;
}

/// An open file; all reads and writes name their offset, so it is shared freely.
#[expect(clippy::len_without_is_empty, reason = "a file's length is asked of the disk and may fail")]
pub trait DiskFile: Debug + Send + Sync {
    /// Reads at most `buf.len()` bytes; fewer is legal, none means the end of the file.
    ///
    /// # Errors
    /// What the disk says; `Interrupted` means nothing was read.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes at most `buf.len()` bytes; fewer is legal. A write beyond the end leaves zeros between.
    ///
    /// # Errors
    /// What the disk says; `Interrupted` means nothing was written.
    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<usize>;

    /// Makes the file's bytes, and the size needed to read them, durable.
    ///
    /// # Errors
    /// What the disk says. After a failure nothing written since the last success is known to be durable, and
    /// a later success proves nothing about it.
    fn sync_data(&self) -> io::Result<()>;

    /// Makes the file's bytes and all it says about itself durable.
    ///
    /// # Errors
    /// As [`DiskFile::sync_data`].
    fn sync_all(&self) -> io::Result<()>;

    /// Cuts the file, or extends it with zeros.
    ///
    /// # Errors
    /// What the disk says.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// The file's length in bytes.
    ///
    /// # Errors
    /// What the disk says.
    fn len(&self) -> io::Result<u64>;

    /// Which file this is.
    ///
    /// # Errors
    /// What the disk says.
    fn identity(&self) -> io::Result<FileIdentity>;

    /// Takes the file's exclusive lock, held until this handle is dropped; false when another handle has it.
    ///
    /// # Errors
    /// What the disk says when it cannot lock at all.
    fn try_lock(&self) -> io::Result<bool>;

    /// The first `len` bytes as one buffer that outlives the handle: a memory map where there is one.
    ///
    /// The file must not be cut below `len`, nor those bytes changed, while the buffer is alive.
    ///
    /// # Errors
    /// `UnexpectedEof` when the file is shorter, else what the disk says.
    fn map(&self, len: u64) -> io::Result<Bytes>;

    /// Fills `buf`, over short reads and interruptions.
    ///
    /// # Errors
    /// `UnexpectedEof` when the file ends before, else what the disk says.
    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        if self.read_full_at(buf, offset)? == buf.len() { Ok(()) } else { Err(ErrorKind::UnexpectedEof.into()) }
    }

    /// Fills `buf` as far as the file goes, over short reads and interruptions; returns the bytes read.
    ///
    /// # Errors
    /// What the disk says.
    fn read_full_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut done = 0;
        while let Some(rest) = buf.get_mut(done..).filter(|rest| !rest.is_empty()) {
            match self.read_at(rest, offset + done as u64) {
                Ok(0) => break,
                Ok(read) => done += read,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    /// Writes all of `buf`, over short writes and interruptions.
    ///
    /// # Errors
    /// `WriteZero` when the disk takes no byte, else what it says; a part may then have been written.
    fn write_all_at(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        let mut done = 0;
        while let Some(rest) = buf.get(done..).filter(|rest| !rest.is_empty()) {
            match self.write_at(rest, offset + done as u64) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => done += written,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// The file system of this machine.
///
/// On Linux a sync of a directory, or of bytes that a file did not have before, sets the modification time twice
/// afterwards (two calls of `utimensat`), so that a journal that failed under the sync is noticed.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealDisk;

impl Disk for RealDisk {
    fn create_new(&self, path: &Path, mode: u32) -> io::Result<Arc<dyn DiskFile>> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
        #[cfg(not(unix))]
        let _ = mode;
        Ok(Arc::new(RealFile { file: options.open(path)?, growth: Growth::new(0) }))
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn DiskFile>> {
        // Opening a FIFO would wait for its other end.
        let metadata = fs::metadata(path)?;
        if !metadata.is_file() {
            return Err(ErrorKind::InvalidInput.into());
        }
        let write = access == Access::ReadWrite;
        let file = OpenOptions::new().read(true).write(write).open(path)?;
        Ok(Arc::new(RealFile { file, growth: Growth::new(metadata.len()) }))
    }

    fn create_dir(&self, path: &Path, mode: u32) -> io::Result<()> {
        #[cfg_attr(not(unix), expect(unused_mut, reason = "only Unix directories have a mode"))]
        let mut builder = DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, mode);
        #[cfg(not(unix))]
        let _ = mode;
        builder.create(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntryName>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            names.push(DirEntryName { name: entry.file_name(), is_dir: entry.file_type()?.is_dir() });
        }
        names.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(names)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        // The parent of a bare file name is written as nothing.
        let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
        if !cfg!(unix) {
            return Ok(());
        }
        let dir = File::open(dir)?;
        dir.sync_all()?;
        confirm(&dir)
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        fs::exists(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn mode(&self, path: &Path) -> io::Result<u32> {
        let permissions = fs::metadata(path)?.permissions();
        #[cfg(unix)]
        let mode = std::os::unix::fs::PermissionsExt::mode(&permissions) & 0o7777;
        #[cfg(not(unix))]
        let mode = if permissions.readonly() { 0o400 } else { 0o600 };
        Ok(mode)
    }

    fn canonical(&self, path: &Path) -> io::Result<PathBuf> {
        fs::canonicalize(path)
    }
}

#[derive(Debug)]
struct RealFile {
    file: File,
    growth: Growth,
}

impl DiskFile for RealFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        #[cfg(unix)]
        return std::os::unix::fs::FileExt::read_at(&self.file, buf, offset);
        #[cfg(windows)]
        return std::os::windows::fs::FileExt::seek_read(&self.file, buf, offset);
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<usize> {
        #[cfg(unix)]
        let written = std::os::unix::fs::FileExt::write_at(&self.file, buf, offset)?;
        #[cfg(windows)]
        let written = std::os::windows::fs::FileExt::seek_write(&self.file, buf, offset)?;
        self.growth.wrote(offset, offset + written as u64);
        Ok(written)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.growth.synced(|| self.file.sync_data(), || confirm(&self.file))
    }

    fn sync_all(&self) -> io::Result<()> {
        self.growth.synced(|| self.file.sync_all(), || confirm(&self.file))
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        // Also where it fails: how far it came is not known.
        self.growth.cut(len);
        self.file.set_len(len)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn identity(&self) -> io::Result<FileIdentity> {
        let metadata = self.file.metadata()?;
        #[cfg(unix)]
        let inode = std::os::unix::fs::MetadataExt::ino(&metadata);
        #[cfg(not(unix))]
        let inode = 0;
        let birth = metadata.created().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let birth_ns = birth.and_then(|since| u64::try_from(since.as_nanos()).ok()).unwrap_or(0);
        Ok(FileIdentity { inode, birth_ns })
    }

    fn try_lock(&self) -> io::Result<bool> {
        match self.file.try_lock() {
            Ok(()) => Ok(true),
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    fn map(&self, len: u64) -> io::Result<Bytes> {
        // A map touched past the end of its file is a signal and not an error.
        if self.len()? < len {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        map_file(&self.file, len)
    }
}

/// Fails when the file system stopped taking changes before or during the sync that has just returned.
///
/// The first change makes ext4 notice that its journal has failed, and is let pass; the second is refused. On why it is
/// asked at all see [`Growth`].
fn confirm(synced: &File) -> io::Result<()> {
    if !cfg!(target_os = "linux") {
        return Ok(());
    }
    for _ in 0..2 {
        match synced.set_modified(SystemTime::now()) {
            // Who may write a file may not be its owner; and there are file systems without times.
            Err(error) if matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::Unsupported) => return Ok(()),
            changed => changed?,
        }
    }
    Ok(())
}
