//! The frames of a floor's file, walked through a memory map.
//!
//! Invariant: a frame that does not check ends the walk, as the end of the file does.
#![allow(unsafe_code, reason = "a file is mapped")]

use std::fs::File;

use crate::Outcome;

/// Bytes before the body: its length and its check.
pub(super) const HEAD: usize = 8;

/// Returns the body of a frame that checks.
pub(super) fn checked(frame: &[u8]) -> Option<&[u8]> {
    let (head, rest) = frame.split_first_chunk::<HEAD>()?;
    let [l0, l1, l2, l3, c0, c1, c2, c3] = *head;
    let body = rest.get(..u32::from_le_bytes([l0, l1, l2, l3]) as usize)?;
    let check = u32::from_le_bytes([c0, c1, c2, c3]);
    (!body.is_empty() && crc32fast::hash(body) == check).then_some(body)
}

/// Shows each body of the file; returns how many there are, and where they end.
pub(super) fn walk(file: &File, mut visit: impl FnMut(&[u8])) -> Outcome<(u64, u64)> {
    if file.metadata()?.len() == 0 {
        return Ok((0, 0));
    }
    // SAFETY: the file belongs to this measurement; it is appended to, and never cut, while it is mapped.
    let map = unsafe { memmap2::Mmap::map(file)? };
    map.advise(memmap2::Advice::Sequential)?;
    let (mut at, mut count) = (0, 0);
    while let Some(body) = map.get(at..).and_then(checked) {
        visit(body);
        at += HEAD + body.len();
        count += 1;
    }
    Ok((count, at as u64))
}
