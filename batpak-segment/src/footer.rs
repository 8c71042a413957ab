//! Finding the footer of a segment file.
//!
//! Invariant: a footer counts only when it is whole, reaches exactly to the last byte of the file that is not zero, and
//! its summary states where it begins. Anything else at the end of a file is no footer, and no error by itself.

use std::io;

use batpak_format::{
    FOOTER_TRAILER_LEN, Footer, FooterError, SECTION_SUMMARY, SEGMENT_HEADER_LEN, SegmentSummary, content_len,
};

use crate::disk::DiskFile;
use crate::error::FooterReadError;

const PIECE_BYTES: u64 = 64 << 10;

/// A footer that is whole, and where it stands.
#[derive(Debug)]
#[non_exhaustive]
pub struct WholeFooter {
    /// What the footer states about the log up to its own begin.
    pub summary: SegmentSummary,
    /// All its sections.
    pub footer: Footer,
    /// The byte after the footer, where the file's content ends.
    pub end: u64,
}

/// Reads the footer of a segment file, looking past zeros at the file's end, which were written ahead.
///
/// `None` when there is none that is whole: none was written, it was cut short, frames were written over it, or it is
/// of an unknown version. (A log that must not be written by who does not know its footers says so in its
/// segment headers.)
///
/// # Errors
/// [`FooterReadError::RequiredSection`], [`FooterReadError::Io`].
pub fn read_footer(file: &dyn DiskFile) -> Result<Option<WholeFooter>, FooterReadError> {
    let end = content_end(file, file.len()?)?;
    let mut tail_len = FOOTER_TRAILER_LEN as u64;
    // A footer that reaches into the segment's header is none; so no more is read than the file has.
    while tail_len <= end.saturating_sub(SEGMENT_HEADER_LEN as u64) {
        let tail = read_range(file, end - tail_len, tail_len)?;
        match Footer::decode_tail(&tail, end) {
            Ok(footer) => return Ok(footer.and_then(|footer| with_summary(footer, end))),
            Err(FooterError::TailTooShort { needed }) if needed > tail_len => tail_len = needed,
            Err(FooterError::UnknownRequiredSection { tag }) => {
                return Err(FooterReadError::RequiredSection { tag });
            }
            Err(_) => return Ok(None),
        }
    }
    Ok(None)
}

fn with_summary(footer: Footer, end: u64) -> Option<WholeFooter> {
    let section = footer.section(SECTION_SUMMARY)?;
    let summary = SegmentSummary::decode(section.version, &section.bytes).ok()?;
    (summary.log_len == footer.log_len()).then_some(WholeFooter { summary, footer, end })
}

/// The byte after the last one below `len` that is not zero.
pub(crate) fn content_end(file: &dyn DiskFile, len: u64) -> io::Result<u64> {
    let mut end = len;
    while end > 0 {
        let start = (end - 1) / PIECE_BYTES * PIECE_BYTES;
        let piece = read_range(file, start, end - start)?;
        match content_len(&piece) {
            0 => {}
            len => return Ok(start + len as u64),
        }
        end = start;
    }
    Ok(0)
}

/// The bytes of a range, as far as the file goes.
pub(crate) fn read_range(file: &dyn DiskFile, at: u64, len: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(len).map_err(|_| io::ErrorKind::OutOfMemory)?];
    let read = file.read_full_at(&mut bytes, at)?;
    bytes.truncate(read);
    Ok(bytes)
}
