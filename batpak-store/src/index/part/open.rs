//! Opening index files.
//!
//! Invariant: only the table, the head and the segments are read; what they say decides whether the file is of use.

use std::{io, sync::Arc};

use batpak_format::{FooterRow, FooterTable};
use batpak_segment::Access;

use super::{MappedPart, PartHead, Section, Source, Span, encode::VERSION, source::Frames};
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
        let whole = |at: usize| rows[at].as_ref().filter(|row| row.is_whole(&bytes)).map(|row| row.bytes(&bytes));
        let head = whole(0).and_then(PartHead::decode);
        let spans = whole(Section::Spans.tag() as usize - Section::Head.tag() as usize).and_then(Span::decode_all);
        let Some((head, spans)) = head.zip(spans) else { return Ok(None) };
        if (head.store, head.segment, head.first) != (source.store, segment, first) || !agree(&head, &spans) {
            return Ok(None);
        }
        let first_places = spans.iter().map(|span| (span.first - head.first) as u32).collect();
        let frames = spans.iter().map(|span| Frames::new(Arc::clone(source), span.segment)).collect();
        let (checked, shapes, source) = (AtomicU64::new(0), Default::default(), Arc::clone(source));
        Ok(Some(Self { head, rows, bytes, checked, shapes, source, spans, first_places, frames }))
    }
}

/// Whether the head says what the entries say.
fn agree(head: &PartHead, spans: &[Span]) -> bool {
    let (Some(one), Some(last)) = (spans.first(), spans.last()) else { return false };
    (one.segment, one.first) == (head.segment, head.first)
        && (last.segment, last.chain_hash) == (head.last_segment, head.chain_hash)
        && last.first < head.next()
}
