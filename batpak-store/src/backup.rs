//! Backups: the log historically, the keyset as its latest copy only and apart.
//!
//! Invariants: a backup is taken while the store is used, also by another process, and holds one moment of it: log and keyset go
//! together. It is whole when its manifests are in place, and not before. A segment that was copied is never written again, so the
//! next backup into the same folder copies what is new. No root secret is in it, but under `Local`, where the image holds it.

use std::{
    io,
    path::{Path, PathBuf},
};

use batpak_crypto::SecretId;
use batpak_format::StoreId;
use batpak_segment::{Access, Disk, DiskFile, SEGMENTS_DIR, read_footer, segment_file_name, segment_path};

use crate::{
    OpenError, Store, StoreInfo,
    inspect::{describe, genesis},
};
use folder::Folder;
use manifest::{FileEntry, FileKind, Manifest, Part};
use moment::{KeysetCopy, LogEnd, Moment};

pub use error::BackupError;
pub use note::LastBackup;

pub(crate) mod error;
pub(crate) mod folder;
pub(crate) mod manifest;
mod moment;
mod note;

use error::refused;

/// Bytes that are copied at once.
const PIECE_BYTES: usize = 1 << 20;

/// Where a backup stands: the folder of the log and, apart from it, that of the keyset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupFolders {
    pub(crate) log: PathBuf,
    keyset: Option<PathBuf>,
    same_folder: bool,
}

impl BackupFolders {
    /// Names the folder of the log.
    pub fn new(log: impl Into<PathBuf>) -> Self {
        Self { log: log.into(), keyset: None, same_folder: false }
    }

    /// Names the folder of the keyset, apart from the log's: best on a medium where what is overwritten is gone.
    #[must_use]
    pub fn keyset(mut self, dir: impl Into<PathBuf>) -> Self {
        self.keyset = Some(dir.into());
        self
    }

    /// Allows log and keyset in one folder. Whoever has that folder then needs only the root secret; and where old folders are kept,
    /// so are old keysets.
    #[must_use]
    pub const fn same_folder(mut self) -> Self {
        self.same_folder = true;
        self
    }

    /// Returns what the backed up log says of its store, without a key.
    ///
    /// # Errors
    /// [`BackupError::NoBackup`], [`BackupError::Unfinished`], [`BackupError::Manifest`], [`BackupError::Open`] for a damaged genesis
    /// event.
    pub fn inspect(&self, disk: &dyn Disk) -> Result<StoreInfo, BackupError> {
        Folder::at(disk, &self.log, Part::Log).whole()?;
        let genesis = genesis(disk, &self.log).map_err(Box::new)?;
        Ok(describe(genesis.ok_or_else(|| Box::new(OpenError::Genesis(None)))?).map_err(Box::new)?)
    }

    /// Where a keyset is looked for.
    pub(crate) fn keyset_source(&self) -> Option<&Path> {
        self.keyset.as_deref().or_else(|| self.same_folder.then_some(&*self.log))
    }

    /// The keyset's folder for a store, if it is encrypted, once it is known to lie apart or need not.
    fn keyset_folder(&self, disk: &dyn Disk, encrypted: bool) -> Result<Option<PathBuf>, BackupError> {
        if !encrypted {
            return Ok(None);
        }
        let dir = self.keyset_source().ok_or(BackupError::KeysetFolderNeeded)?.to_owned();
        let (log, keyset) = (place(disk, &self.log), place(disk, &dir));
        if !self.same_folder && (keyset.starts_with(&log) || log.starts_with(&keyset)) {
            return Err(BackupError::SameFolder { dir: self.log.clone() });
        }
        Ok(Some(dir))
    }
}

/// What a backup holds, and what it cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BackupReport {
    /// The store.
    pub store: StoreId,
    /// The position behind the last event that it holds.
    pub next_position: u64,
    /// The epoch of the keyset that it holds; none in a plaintext store.
    pub epoch: Option<u64>,
    /// Segments that it holds.
    pub segments: u64,
    /// Segments that were copied or grew; the others were there.
    pub segments_copied: u64,
    /// Bytes that it holds.
    pub bytes: u64,
    /// Bytes that were written.
    pub bytes_copied: u64,
    /// Whether the store's directory took the note of it, which only `last_backup` tells of.
    pub noted: bool,
}

impl Store {
    /// Backs the store up, also while it is written to: the log into one folder, the latest keyset into another. Both are made if they
    /// are not there; an earlier backup of the same store in them is brought up to now. `progress` is told the bytes looked at so
    /// far, and how many there are.
    ///
    /// What keeps the root secret is not in the backup: a key file, a passphrase, an outside provider are kept by themselves. A
    /// key file belongs to the latest keyset: take its copy when this one is taken.
    ///
    /// # Errors
    /// [`BackupError`]. Each folder holds a whole backup then if it did before, the earlier one or the new: when they are of two times,
    /// an open of what is restored says which is older, and backing up again brings them together.
    pub fn backup(&self, to: &BackupFolders, progress: &mut dyn FnMut(u64, u64)) -> Result<BackupReport, BackupError> {
        let disk = &*self.config.disk;
        let keyset_dir = to.keyset_folder(disk, self.info.encrypted)?;
        let log_folder = Folder::at(disk, &to.log, Part::Log);
        let log_before = log_folder.look(self.info.store)?;
        let keyset_folder = keyset_dir.map(|dir| Folder::at(disk, &dir, Part::Keyset));
        let keyset_before = keyset_folder.as_ref().map(|folder| folder.look(self.info.store)).transpose()?.flatten();
        let moment = Moment::of(self)?;
        let mut log = self.manifest_of(&moment, Part::Log);
        let before = match log_before.filter(|before| before.whole) {
            Some(before) => before,
            None => log_folder.begin(&log)?,
        };
        let mut run =
            Run { disk, before: &before, folder: &log_folder, progress, done: 0, total: 0, copied: 0, segments: 0 };
        log.files = run.segments(&to.log, &self.dir.join(SEGMENTS_DIR), &moment.log)?;
        let mut report = BackupReport {
            store: log.store,
            next_position: log.next_position,
            epoch: moment.keyset.as_ref().map(|keyset| keyset.epoch),
            segments: log.files.len() as u64,
            segments_copied: run.segments,
            bytes: log.bytes_total(),
            bytes_copied: run.copied,
            noted: false,
        };
        if let (Some(folder), Some(keyset)) = (&keyset_folder, &moment.keyset) {
            let mut manifest = self.manifest_of(&moment, Part::Keyset);
            if !keyset_before.is_some_and(|before| before.whole) {
                folder.begin(&manifest)?;
            }
            manifest.files = put_keyset(folder, &manifest, keyset)?;
            folder.put_manifest(&manifest)?;
            folder.sweep(&manifest)?;
            report.bytes += manifest.bytes_total();
            report.bytes_copied += manifest.bytes_total();
        }
        log_folder.put_manifest(&log)?;
        report.noted = self.note_backup(&log);
        Ok(report)
    }

    fn manifest_of(&self, moment: &Moment, part: Part) -> Manifest {
        let keyset = moment.keyset.as_ref();
        Manifest {
            part,
            whole: true,
            store: self.info.store,
            time: self.config.clock.now(),
            next_position: moment.log.next_position,
            epoch: keyset.map_or(0, |keyset| keyset.epoch),
            secret_id: keyset.map_or(SecretId::from_bytes([0; 16]), |keyset| keyset.secret_id),
            files: Vec::new(),
        }
    }
}

/// Copies the keyset's files and returns what they are.
fn put_keyset(folder: &Folder<'_>, manifest: &Manifest, keyset: &KeysetCopy) -> Result<Vec<FileEntry>, BackupError> {
    let image = (FileKind::Image, keyset.epoch, keyset.image.as_slice());
    let extents = keyset.extents.iter().map(|(number, bytes)| (FileKind::Extent, *number, bytes.as_slice()));
    let mut files = Vec::new();
    for (kind, number, bytes) in std::iter::once(image).chain(extents) {
        let file = FileEntry { kind, number, len: bytes.len() as u64, hash: *blake3::hash(bytes).as_bytes() };
        folder.put(&manifest.file_name(&file), bytes)?;
        files.push(file);
    }
    Ok(files)
}

/// The copying of a log's segments.
struct Run<'a> {
    disk: &'a dyn Disk,
    /// The manifest that stands in the folder.
    before: &'a Manifest,
    folder: &'a Folder<'a>,
    progress: &'a mut dyn FnMut(u64, u64),
    done: u64,
    total: u64,
    copied: u64,
    segments: u64,
}

impl Run<'_> {
    /// Brings the folder's segments up to the end of the log, and returns what they are.
    fn segments(&mut self, dir: &Path, source: &Path, end: &LogEnd) -> Result<Vec<FileEntry>, BackupError> {
        let diverged = || BackupError::Diverged { dir: dir.to_owned() };
        let last = self.before.files.last().map_or(0, |file| file.number);
        if last > end.segment || self.before.next_position > end.next_position {
            return Err(diverged());
        }
        let mut sources = Vec::new();
        for number in 1..=end.segment {
            let path = segment_path(source, number);
            let file = self.disk.open(&path, Access::Read).map_err(refused("open", &path))?;
            let len = if number == end.segment { Ok(end.offset) } else { rolled_len(&*file) };
            let len = len.map_err(refused("read", &path))?;
            self.total += len;
            sources.push((number, path, len));
        }
        let mut files = Vec::new();
        for (number, path, len) in sources {
            let file = self.disk.open(&path, Access::Read).map_err(refused("open", &path))?;
            let before = self.before.files.iter().find(|file| file.number == number).copied();
            if let Some(before) = before
                && (before.len > len || (before.kind == FileKind::Segment { rolled: true } && before.len != len))
            {
                return Err(diverged());
            }
            let rolled = number < end.segment;
            let hash = match before.filter(|before| self.is_there(before, &*file)) {
                Some(before) => before.hash,
                None => self.copy(&*file, &path, number, len, before)?.ok_or_else(diverged)?,
            };
            self.done += len;
            (self.progress)(self.done, self.total);
            files.push(FileEntry { kind: FileKind::Segment { rolled }, number, len, hash });
        }
        self.folder.sync()?;
        Ok(files)
    }

    /// Whether the folder has this rolled segment already: same length, and a footer that says the same.
    fn is_there(&self, before: &FileEntry, source: &dyn DiskFile) -> bool {
        if before.kind != (FileKind::Segment { rolled: true }) {
            return false;
        }
        let path = self.folder.file(&segment_file_name(before.number));
        let Ok(there) = self.disk.open(&path, Access::Read) else { return false };
        let (Ok(Some(one)), Ok(Some(other))) = (read_footer(&*there), read_footer(source)) else { return false };
        one.summary == other.summary && one.end == other.end && there.len().is_ok_and(|len| len >= before.len)
    }

    /// Copies the first bytes of a segment, those behind what the folder has of it, and returns their hash; none when what the folder
    /// has is not how this segment begins.
    fn copy(
        &mut self,
        source: &dyn DiskFile,
        path: &Path,
        number: u64,
        len: u64,
        before: Option<FileEntry>,
    ) -> Result<Option<[u8; 32]>, BackupError> {
        let name = segment_file_name(number);
        let there = self.folder.extend(&name)?;
        let to = self.folder.file(&name);
        let kept = before.map_or(0, |before| before.len);
        let stands = there.len().map_err(refused("read", &to))?;
        // What is missing of what was backed up is written again, once it is known to be the same.
        let from = if stands < kept { 0 } else { kept };
        let mut hasher = blake3::Hasher::new();
        if let Some(before) = before {
            each_piece(source, 0..before.len, &mut |_, piece| {
                hasher.update(piece);
                Ok(())
            })
            .map_err(refused("read", path))?;
            if hasher.finalize() != before.hash {
                return Ok(None);
            }
        }
        let (done, total, progress) = (self.done, self.total, &mut *self.progress);
        each_piece(source, from..len, &mut |at, piece| {
            if at >= kept {
                hasher.update(piece);
            } else if at + piece.len() as u64 > kept {
                hasher.update(&piece[usize::try_from(kept - at).unwrap_or(piece.len())..]);
            }
            progress(done + at, total);
            there.write_all_at(piece, at)
        })
        .map_err(refused("copy to", &to))?;
        if stands > len {
            there.set_len(len).map_err(refused("cut", &to))?;
        }
        there.sync_all().map_err(refused("sync", &to))?;
        self.copied += len - from;
        self.segments += 1;
        Ok(Some(*hasher.finalize().as_bytes()))
    }
}

/// The bytes of a rolled segment, without zeros written ahead of a footer that is whole.
fn rolled_len(file: &dyn DiskFile) -> io::Result<u64> {
    match read_footer(file) {
        Ok(Some(footer)) => Ok(footer.end),
        _ => file.len(),
    }
}

/// Reads a range of a file piece by piece.
pub(crate) fn each_piece(
    file: &dyn DiskFile,
    range: std::ops::Range<u64>,
    take: &mut dyn FnMut(u64, &[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let mut piece = vec![0; PIECE_BYTES];
    let mut at = range.start;
    while at < range.end {
        let wanted = usize::try_from(range.end - at).unwrap_or(PIECE_BYTES).min(PIECE_BYTES);
        file.read_exact_at(&mut piece[..wanted], at)?;
        take(at, &piece[..wanted])?;
        at += wanted as u64;
    }
    Ok(())
}

/// Reads a file whole.
pub(crate) fn read_whole(disk: &dyn Disk, path: &Path) -> io::Result<Vec<u8>> {
    let file = disk.open(path, Access::Read)?;
    let mut bytes = vec![0; usize::try_from(file.len()?).map_err(|_| io::ErrorKind::FileTooLarge)?];
    let read = file.read_full_at(&mut bytes, 0)?;
    bytes.truncate(read);
    Ok(bytes)
}

/// The one path of a place, also of one that does not exist yet.
fn place(disk: &dyn Disk, dir: &Path) -> PathBuf {
    let absolute = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
    let known = absolute.ancestors().find_map(|above| {
        let rest = absolute.strip_prefix(above).ok()?;
        Some(disk.canonical(above).ok()?.join(rest))
    });
    known.unwrap_or(absolute)
}
