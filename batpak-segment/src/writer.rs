//! The writer of one segment: creates it, writes ranges of frames, and ends it with a footer.
//!
//! Invariants: a segment exists for its writer only once its header and its name are durable. A footer is written only
//! after a sync of everything below it has returned. Bytes at or beyond `end` are zeros, or remains of an older
//! footer, that no reader takes for frames.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use batpak_format::{SEGMENT_HEADER_LEN, SegmentHeader};

use crate::defect::{Defect, seeded};
use crate::disk::{Access, Disk, DiskFile};
use crate::error::FinishError;
use crate::name::segment_path;

/// Zeros are written ahead in pieces of this many bytes.
pub(crate) const AHEAD_BYTES: u64 = 256 << 10;

static ZEROS: [u8; AHEAD_BYTES as usize] = [0; AHEAD_BYTES as usize];

/// Writes one segment file.
///
/// `dir` is everywhere the directory of segments itself. Writes are positional and in any order; syncs are the
/// caller's, on [`SegmentWriter::file`], from any thread. After a failed sync a writer must not be used again.
pub struct SegmentWriter {
    file: Arc<dyn DiskFile>,
    number: u64,
    end: u64,
    // No byte at or after this offset was ever written; at least `end`.
    filled: u64,
    ahead: bool,
}

impl SegmentWriter {
    /// Creates the segment that `header` names, mode 0600; header and name are durable when it returns.
    ///
    /// With `ahead`, blocks are written with zeros before frames reach them, so that a sync need not allocate. The
    /// footer of the segment before the previous one must be durable by now.
    ///
    /// # Errors
    /// `AlreadyExists`, or what the disk says; the file is then removed again if the disk lets it.
    pub fn create(disk: Arc<dyn Disk>, dir: &Path, header: &SegmentHeader, ahead: bool) -> io::Result<SegmentWriter> {
        let path = segment_path(dir, header.number);
        let file = disk.create_new(&path, 0o600)?;
        let named = || if seeded(Defect::DirectoryUnsynced) { Ok(()) } else { disk.sync_dir(dir) };
        let made = file.write_all_at(&header.encode(), 0).and_then(|()| file.sync_all()).and_then(|()| named());
        if let Err(error) = made {
            // A file that stays is a creation cut short: recovery removes it.
            let _ = disk.remove(&path).and_then(|()| disk.sync_dir(dir));
            return Err(error);
        }
        let end = SEGMENT_HEADER_LEN as u64;
        Ok(SegmentWriter { file, number: header.number, end, filled: end, ahead })
    }

    /// Goes on with an existing segment whose frames end at `end`, as recovery found it, without writing ahead.
    ///
    /// # Errors
    /// What the disk says.
    pub fn resume(disk: Arc<dyn Disk>, dir: &Path, number: u64, end: u64) -> io::Result<SegmentWriter> {
        let file = disk.open(&segment_path(dir, number), Access::ReadWrite)?;
        let filled = file.len()?.max(end);
        Ok(SegmentWriter { file, number, end, filled, ahead: false })
    }

    /// Chooses whether blocks are written ahead from now on.
    pub fn set_ahead(&mut self, ahead: bool) {
        self.ahead = ahead;
    }

    /// The segment's number.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The end of all ranges given to [`SegmentWriter::write`] or [`SegmentWriter::prepare`] and not cut, in bytes.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.end
    }

    /// The file, to sync or read it from any thread.
    #[must_use]
    pub fn file(&self) -> Arc<dyn DiskFile> {
        Arc::clone(&self.file)
    }

    /// Writes a range of whole frames.
    ///
    /// # Errors
    /// What the disk says. A part may then stand in the file: [`SegmentWriter::cut`] before anything else is
    /// written at or after `offset`.
    pub fn write(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.prepare(offset, bytes.len() as u64)?;
        self.file.write_all_at(bytes, offset)
    }

    /// Makes a range ready, so that it may then be written through [`SegmentWriter::file`] by another thread:
    /// writes zeros ahead of it if it passes what is filled, and counts it as part of the segment.
    ///
    /// A range longer than a piece is not filled first: it would be written twice.
    ///
    /// # Errors
    /// What the disk says, a full disk excepted: then the range's own write decides.
    pub fn prepare(&mut self, offset: u64, len: u64) -> io::Result<()> {
        let end = offset.checked_add(len).ok_or(io::ErrorKind::FileTooLarge)?;
        self.end = self.end.max(end);
        if end <= self.filled {
            return Ok(());
        }
        let (from, to) = (self.filled, end.next_multiple_of(AHEAD_BYTES));
        self.filled = end;
        if self.ahead && len <= AHEAD_BYTES {
            // Counted first: also a failed fill may have written some of it.
            self.filled = to;
            match write_zeros(self.file.as_ref(), from, to) {
                Err(error) if error.kind() != io::ErrorKind::StorageFull => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// Makes sure that so many bytes behind the end are there to be written over, whether or not blocks are written ahead.
    ///
    /// # Errors
    /// What the disk says, a full disk too. Zeros may then stand behind the end: [`SegmentWriter::cut`] as after a write.
    pub fn keep(&mut self, room: u64) -> io::Result<()> {
        let to = self.end.checked_add(room).ok_or(io::ErrorKind::FileTooLarge)?;
        // What is filled may be counted and not there: a fill stops without an error where the disk is full.
        let from = self.file.len()?.max(self.end);
        if from < to {
            self.filled = self.filled.max(to);
            write_zeros(self.file.as_ref(), from, to)?;
        }
        Ok(())
    }

    /// Takes back everything at and after `to`: zeros stand there, synced, and the next range may begin there.
    ///
    /// Without the sync a crash could bring back a frame that was taken back, behind a new one of the same length.
    ///
    /// # Errors
    /// What the disk says. Nothing more may then be written: frames that were taken back may still stand there.
    pub fn cut(&mut self, to: u64) -> io::Result<()> {
        // The file may be shorter than what was meant to be written.
        let written = self.file.len()?.min(self.filled);
        write_zeros(self.file.as_ref(), to, written)?;
        self.file.sync_data()?;
        self.end = to;
        self.filled = to.max(written);
        Ok(())
    }

    /// Ends the segment: syncs it, writes `footer_bytes` at its end, cuts the file there, and syncs again.
    ///
    /// # Errors
    /// [`FinishError::Sync`], after which the segment must not be written again; [`FinishError::Write`], after which it may, once
    /// it was cut at its end.
    pub fn finish(&mut self, footer_bytes: &[u8]) -> Result<(), FinishError> {
        self.file.sync_data().map_err(FinishError::Sync)?;
        self.write_footer(footer_bytes).map_err(FinishError::Write)?;
        self.file.sync_all().map_err(FinishError::Sync)
    }

    fn write_footer(&mut self, footer_bytes: &[u8]) -> io::Result<()> {
        let end = self.end.checked_add(footer_bytes.len() as u64).ok_or(io::ErrorKind::FileTooLarge)?;
        self.filled = self.filled.max(end);
        self.file.write_all_at(footer_bytes, self.end)?;
        self.file.set_len(end)?;
        self.filled = end;
        Ok(())
    }
}

impl fmt::Debug for SegmentWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SegmentWriter").field("number", &self.number).field("end", &self.end).finish_non_exhaustive()
    }
}

/// Writes zeros from `from` up to `to`; nothing when `to` is not above `from`.
pub(crate) fn write_zeros(file: &dyn DiskFile, from: u64, to: u64) -> io::Result<()> {
    let mut at = from;
    while at < to {
        let piece = (to - at).min(AHEAD_BYTES - at % AHEAD_BYTES);
        let zeros = usize::try_from(piece).ok().and_then(|len| ZEROS.get(..len)).unwrap_or(&ZEROS);
        file.write_all_at(zeros, at)?;
        at += zeros.len() as u64;
    }
    Ok(())
}
