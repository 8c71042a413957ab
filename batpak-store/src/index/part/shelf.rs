//! The index files that stand in a store's directory, as an open finds them.
//!
//! Invariant: a file is taken only when it fits the log: it goes on where the file before it ends, and where it ends the log has the
//! same event, or the footer states the same end.

use std::{collections::BTreeSet, ffi::OsString, sync::Arc};

use batpak_format::{SEGMENT_HEADER_LEN, SegmentHeader, SegmentSummary};

use super::{MappedPart, Source};

/// See the module.
#[derive(Debug)]
pub(crate) struct Shelf {
    source: Arc<Source>,
    files: BTreeSet<(u64, u64)>,
    taken: BTreeSet<(u64, u64)>,
    others: Vec<OsString>,
}

impl Shelf {
    /// Lists the directory; one that cannot be listed is as good as empty.
    pub(crate) fn look(source: Arc<Source>) -> Self {
        let (mut files, mut others) = (BTreeSet::new(), Vec::new());
        for entry in source.disk.list(&source.dir).unwrap_or_default() {
            match Source::parse(&entry.name) {
                Some(place) => drop(files.insert(place)),
                None if Source::is_unfinished(&entry.name) => others.push(entry.name),
                None => {}
            }
        }
        Self { source, files, taken: BTreeSet::new(), others }
    }

    /// The files that cover a segment from its first event on, as far as they fit its footer.
    pub(crate) fn take(&mut self, segment: &SegmentHeader, footer: &SegmentSummary) -> Vec<MappedPart> {
        let mut parts: Vec<MappedPart> = Vec::new();
        let (mut first, mut begin) = (segment.first_position, SEGMENT_HEADER_LEN as u64);
        while begin < footer.log_len && self.files.contains(&(segment.number, first)) {
            let Ok(Some(part)) = MappedPart::open(&self.source, segment.number, first) else { break };
            let head = part.head();
            if head.begin != begin || head.end > footer.log_len || head.next() > footer.next_position {
                break;
            }
            (first, begin) = (head.next(), head.end);
            parts.push(part);
        }
        while parts.last().is_some_and(|last| !last.fits(footer)) {
            parts.pop();
        }
        self.taken.extend(parts.iter().map(|part| (segment.number, part.head().first)));
        parts
    }

    /// Notes a file that was made meanwhile.
    pub(crate) fn keep(&mut self, segment: u64, first: u64) {
        self.taken.insert((segment, first));
    }

    /// Gives up a file that was taken and turned out to be damaged, and those behind it.
    pub(crate) fn refuse(&mut self, segment: u64, first: u64) {
        self.taken.retain(|taken| taken.0 != segment || taken.1 < first);
    }

    /// Removes the files that were not taken.
    pub(crate) fn clear(&self) {
        for (segment, first) in self.files.difference(&self.taken) {
            if let Some(name) = self.source.path(*segment, *first).file_name() {
                self.source.remove(name);
            }
        }
        self.others.iter().for_each(|name| self.source.remove(name));
    }
}

impl MappedPart {
    /// Whether the log has this part's last event where the part has it.
    fn fits(&self, footer: &SegmentSummary) -> bool {
        let head = self.head();
        if head.end == footer.log_len {
            return head.next() == footer.next_position && head.chain_hash == footer.chain_hash;
        }
        let (last, end) = (head.next() - 1, head.end);
        let same = self.frame_at(last, |frame| frame.header().chain_hash() == head.chain_hash);
        let ends =
            self.address(last).ok().flatten().zip(self.frame_at(last, |frame| frame.len() as u64).ok().flatten());
        matches!(same, Ok(Some(true))) && ends.is_some_and(|(address, len)| address.offset + len == end)
    }
}
