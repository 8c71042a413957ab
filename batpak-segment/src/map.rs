//! Memory maps of files that no longer change.
//!
//! Invariant: a mapped file is trusted not to be cut or changed while it is
//! mapped; this crate maps segments whose footer is whole, and of one that its own process writes the frames that are
//! written; it never cuts or writes below a whole footer, nor below frames that were written.
#![expect(unsafe_code, reason = "a memory map is sound only while nobody cuts or changes the file")]

use std::io;

use bytes::Bytes;
use memmap2::{MmapAsRawDesc, MmapOptions};

/// Maps the first `len` bytes of a file that is at least that long.
pub(crate) fn map_file(file: impl MmapAsRawDesc, len: u64) -> io::Result<Bytes> {
    let len = usize::try_from(len).map_err(|_| io::ErrorKind::OutOfMemory)?;
    if len == 0 {
        return Ok(Bytes::new());
    }
    // SAFETY: the caller has checked that the file holds `len` bytes. It stands in a directory that belongs to
    // the store, whose writer never cuts or rewrites bytes below a whole footer, nor frames that were written;
    // other processes are trusted not to, as the crate's front page states.
    let map = unsafe { MmapOptions::new().len(len).map(file)? };
    Ok(Bytes::from_owner(map))
}
