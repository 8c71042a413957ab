//! Opening index files.
//!
//! Invariant: only the table and the head are read; what the head says decides whether the file is of use.

use std::{io, sync::Arc};

use batpak_format::{FooterRow, FooterTable};
use batpak_segment::Access;

use super::{MappedPart, PartHead, Section, Source, encode::VERSION, source::Frames};
use crate::sync::AtomicU64;

impl MappedPart {
    /// Opens the index file of a segment's events from a position on; none for what no index file is, or one of another version, or damaged.
    pub(crate) fn open(source: &Arc<Source>, segment: u64, first: u64) -> io::Result<Option<Self>> {
        let path = source.path(segment, first);
        let file = source.disk.open(&path, Access::Read)?;
        let len = file.len()?;
        let bytes = file.map(len)?;
        let Ok(Some(table)) = FooterTable::decode_tail(&bytes, len) else { return Ok(None) };
        let mut rows = [None; Section::ALL.len()];
        for (slot, section) in rows.iter_mut().zip(Section::ALL) {
            *slot = table.row(section.tag()).copied();
            if slot.as_ref().map_or(section.is_needed(), |row: &FooterRow| row.version() != VERSION) {
                return Ok(None);
            }
        }
        let head = rows[0].filter(|row| row.is_whole(&bytes)).and_then(|row| PartHead::decode(row.bytes(&bytes)));
        let Some(head) = head.filter(|head| (head.store, head.segment, head.first) == (source.store, segment, first))
        else {
            return Ok(None);
        };
        let frames = Frames::new(Arc::clone(source), segment);
        Ok(Some(Self { head, rows, bytes, checked: AtomicU64::new(0), shapes: Default::default(), frames }))
    }
}
