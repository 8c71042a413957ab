//! The index files that stand in a store's directory, as an open finds them.
//!
//! Invariant: a file is taken only when it fits the log: it goes on where the file before it ends, and where it ends the log has the
//! same event, or the footer states the same end. What files say of segments that are not opened leads to one that is: the recovery sees
//! to that. Of files that cover the same events, which a crash may leave, the widest is taken.

use std::{
    collections::BTreeSet,
    ffi::OsString,
    io::{self, ErrorKind},
    sync::Arc,
};

use batpak_format::{SEGMENT_HEADER_LEN, SegmentHeader, SegmentSummary};
use batpak_segment::{KnownSegment, Unopened};

use super::{MappedPart, Source, Span};
use crate::sync::lock;

/// A reader lists the directory so often when files go that it wants: a writer merges them.
const LISTINGS: u32 = 8;

/// See the module.
#[derive(Debug)]
pub(crate) struct Shelf {
    source: Arc<Source>,
    /// Those that the directory holds, and those of them that may be used.
    found: BTreeSet<(u64, u64)>,
    files: BTreeSet<(u64, u64)>,
    offered: Vec<MappedPart>,
    taken: BTreeSet<(u64, u64)>,
    others: Vec<OsString>,
}

impl Shelf {
    /// Lists the directory; one that cannot be listed is as good as empty.
    pub(crate) fn look(source: Arc<Source>) -> Self {
        let (files, others) = list(&source);
        Self { source, found: files.clone(), files, offered: Vec::new(), taken: BTreeSet::new(), others }
    }

    /// The segments from one on, below a limit, that files say everything of: as many as whole files cover.
    pub(crate) fn offer(&mut self, unopened: Unopened) -> Vec<KnownSegment> {
        for _ in 0..LISTINGS {
            match self.offered_once(unopened) {
                Ok(known) => return known,
                // The writer beside this reader has merged it with others since the directory was listed.
                Err(_) => self.files = list(&self.source).0,
            }
        }
        Vec::new()
    }

    fn offered_once(&mut self, unopened: Unopened) -> io::Result<Vec<KnownSegment>> {
        self.offered.clear();
        let (mut place, mut known) = ((unopened.segment, unopened.first_position), Vec::new());
        while self.files.contains(&place) {
            let part = match MappedPart::open(&self.source, place.0, place.1) {
                Err(why) if !self.source.writable && why.kind() == ErrorKind::NotFound => return Err(why),
                opened => opened.ok().flatten(),
            };
            let fits = |part: &MappedPart| part.is_whole() && part.head().last_segment < unopened.limit;
            let Some(part) = part.filter(fits) else { break };
            let Some(segments) = segments(part.spans()) else { break };
            known.extend(segments);
            place = (part.head().last_segment + 1, part.head().next());
            self.offered.push(part);
        }
        Ok(known)
    }

    /// The files that were offered last.
    pub(crate) fn take_offered(&mut self) -> Vec<MappedPart> {
        let parts = std::mem::take(&mut self.offered);
        self.taken.extend(parts.iter().map(|part| (part.head().segment, part.head().first)));
        parts
    }

    /// The files that cover a segment from its first event on, and no other segment, as far as each of them fits the log, and the footer if
    /// that is whole.
    pub(crate) fn take(&mut self, segment: &SegmentHeader, footer: Option<&SegmentSummary>) -> Vec<MappedPart> {
        let mut parts: Vec<MappedPart> = Vec::new();
        let (mut first, mut begin) = (segment.first_position, SEGMENT_HEADER_LEN as u64);
        let limit = footer.map_or((u64::MAX, u64::MAX), |footer| (footer.log_len, footer.next_position));
        while begin < limit.0 && self.files.contains(&(segment.number, first)) {
            let Ok(Some(part)) = MappedPart::open(&self.source, segment.number, first) else { break };
            let (head, Some((from, end))) = (part.head(), part.bounds()) else { break };
            let here = head.last_segment == segment.number && from == begin;
            if !here || end > limit.0 || head.next() > limit.1 || !part.fits(footer) {
                break;
            }
            (first, begin) = (head.next(), end);
            parts.push(part);
        }
        self.taken.extend(parts.iter().map(|part| (segment.number, part.head().first)));
        parts
    }

    /// Notes a file that was made meanwhile.
    pub(crate) fn keep(&mut self, segment: u64, first: u64) {
        self.taken.insert((segment, first));
    }

    /// Gives up a file that was taken and turned out to be damaged, and those taken behind it.
    pub(crate) fn refuse(&mut self, segment: u64, first: u64) {
        self.files.remove(&(segment, first));
        self.taken.retain(|taken| *taken < (segment, first));
    }

    /// Removes the files that were not taken, and leaves the unfinished ones to who writes files.
    pub(crate) fn clear(&mut self) {
        for (segment, first) in self.found.difference(&self.taken) {
            if let Some(name) = self.source.path(*segment, *first).file_name() {
                self.source.remove(name);
            }
        }
        *lock(&self.source.writing) = std::mem::take(&mut self.others);
    }
}

/// The index files of a directory, and what is left of others; one that cannot be listed is as good as empty.
fn list(source: &Source) -> (BTreeSet<(u64, u64)>, Vec<OsString>) {
    let (mut files, mut others) = (BTreeSet::new(), Vec::new());
    for entry in source.disk.list(&source.dir).unwrap_or_default() {
        match Source::parse(&entry.name) {
            Some(place) => drop(files.insert(place)),
            None if Source::is_unfinished(&entry.name) => others.push(entry.name),
            None => {}
        }
    }
    (files, others)
}

/// What the entries of a file say of its segments; none when one is missing.
fn segments(spans: &[Span]) -> Option<Vec<KnownSegment>> {
    let next = spans.iter().skip(1).map(|span| Some(span.segment)).chain([None]);
    let ends = spans.iter().zip(next).filter(|(span, next)| Some(span.segment) != *next);
    // What was said of a segment that went on all the same holds no more.
    let known = |(span, _): (&Span, _)| span.rolled.filter(|known| known.footer.log_len == span.end);
    ends.map(known).collect()
}

impl MappedPart {
    /// Whether the log has this part's last event where the part has it.
    fn fits(&self, footer: Option<&SegmentSummary>) -> bool {
        let (head, Some((_, end))) = (self.head(), self.bounds()) else { return false };
        if let Some(footer) = footer.filter(|footer| footer.log_len == end) {
            return head.next() == footer.next_position && head.chain_hash == footer.chain_hash;
        }
        let last = head.next() - 1;
        let same = self.frame_at(last, |frame| frame.header().chain_hash() == head.chain_hash);
        let ends =
            self.address(last).ok().flatten().zip(self.frame_at(last, |frame| frame.len() as u64).ok().flatten());
        matches!(same, Ok(Some(true))) && ends.is_some_and(|(address, len)| address.offset + len == end)
    }
}
