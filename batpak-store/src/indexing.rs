//! Index files while the store runs: made when a segment has been rolled, of each piece of the active one, and when the store is closed;
//! merged as they become many, and made again when one is found damaged.
//!
//! The file of a piece is for the next open alone, if this process has no end: that open reads only what stands behind the last piece. The
//! piece stays in memory until its segment is rolled; then one file of the whole segment, the same as if there had been no pieces, takes
//! the place of their parts in memory, and their files are removed. If the files answered lookups meanwhile, that one would have to
//! be merged of them, with a list for each key and piece, or made by reading the segment again.
//!
//! Invariants: only events that are durable get into a file, so that no power cut takes away what one states; and a file takes the place
//! of the very parts in memory that it was made of. Nothing depends on it: what has no file is answered from memory, and a store that is
//! opened without makes it again.

use std::{
    io::{self, ErrorKind},
    sync::Arc,
};

use batpak_segment::{Access, ScanError, ScanItem, Scanner, segment_path};

use crate::{
    ReadError,
    index::{Address, FILES_MAX, MappedPart, MemoryPart, Part, Room, Source, Span},
    sync::{AtomicBool, JoinHandle, Mutex, Ordering, lock, read, try_spawn, write},
    view::View,
};

/// So many events of the active segment are left without a file at a close; the next open reads them.
const UNFILED_MAX: u64 = 1024;
/// The active segment gets a file for each piece of so many bytes at most. An open after an unclean end reads what of two is not filed yet:
/// some ms. Smaller ones would be more syncs of files, and more parts to ask for what is in none.
const PIECE_BYTES_MAX: u64 = 4 << 20;
const PIECE_BYTES_MIN: u64 = 1 << 10;
const PIECES: u64 = 4;

/// The active segment gets a file for each piece of so many bytes.
pub(crate) fn piece_bytes(segment_bytes: u64) -> u64 {
    (segment_bytes / PIECES).clamp(PIECE_BYTES_MIN, PIECE_BYTES_MAX)
}

/// Who makes the index files of a segment that was rolled, and of the pieces of the active one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a thread of the store's own, or a thread of the caller's")]
pub enum Indexing {
    /// A thread of the store's own, which lives as long as it takes: no append waits for it. When the operating system gives no thread, as
    /// [`Indexing::Inline`].
    #[default]
    Background,
    /// The append that went into the next segment, or after which a piece was durable, before it returns: the store starts no thread.
    Inline,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Indexer {
    indexing: Indexing,
    running: Arc<AtomicBool>,
    worker: Mutex<Option<JoinHandle<()>>>,
}

impl Indexer {
    pub(crate) fn new(indexing: Indexing) -> Self {
        Self { indexing, running: Arc::new(AtomicBool::new(false)), worker: Mutex::new(None) }
    }

    /// Whether the store may start threads.
    pub(crate) fn has_thread(&self) -> bool {
        self.indexing == Indexing::Background
    }

    /// Has files made of the segments that were rolled since; `written` is one past the last position that is with the operating
    /// system.
    pub(crate) fn look(&self, view: &Arc<View>, written: u64) {
        if !view.has_work(written) && !view.is_piece_due() || self.running.swap(true, Ordering::AcqRel) {
            return;
        }
        let running = Arc::clone(&self.running);
        match self.indexing {
            Indexing::Inline => {
                view.file_all(written);
                running.store(false, Ordering::Release);
            }
            Indexing::Background => {
                let theirs = Arc::clone(view);
                let started = try_spawn(move || {
                    theirs.file_all(written);
                    running.store(false, Ordering::Release);
                });
                match started {
                    Ok(worker) => {
                        // The one before has done its work.
                        let before = lock(&self.worker).replace(worker);
                        drop(before.map(JoinHandle::join));
                    }
                    // No thread is to be had.
                    Err(_) => {
                        view.file_all(written);
                        self.running.store(false, Ordering::Release);
                    }
                }
            }
        }
    }

    /// Makes what files are left to be made of a log that was closed.
    pub(crate) fn finish(&self, view: &View) {
        drop(lock(&self.worker).take().map(JoinHandle::join));
        view.file_ended(u64::MAX);
        view.merge_files(u64::MAX);
        view.file_active();
    }
}

impl View {
    /// Whether a rolled segment has no file, or there are files to be merged. A part is a rolled segment's once an event behind it is written.
    fn has_work(&self, written: u64) -> bool {
        if !self.unfiled.load(Ordering::Acquire) {
            return false;
        }
        let index = read(&self.index);
        let has_work = index.unfiled(written).is_some() || index.mergeable(written).is_some();
        if !has_work && index.unfiled(u64::MAX).is_none() && index.mergeable(u64::MAX).is_none() {
            // With the lock: a segment that is begun meanwhile sets it after this.
            self.unfiled.store(false, Ordering::Release);
        }
        has_work
    }

    /// Gives each rolled segment its file. What cannot be written now is written after the next roll, at the close, or by the next open.
    fn file_ended(&self, written: u64) {
        // Before the look: a segment that is begun meanwhile sets it again, or is seen below.
        self.unfiled.store(false, Ordering::Release);
        loop {
            let (unfiled, later) = {
                let index = read(&self.index);
                (index.unfiled(written), index.unfiled(u64::MAX).is_some())
            };
            let Some(unfiled) = unfiled else {
                if later {
                    self.unfiled.store(true, Ordering::Release);
                }
                return;
            };
            let parts: Vec<&MemoryPart> = unfiled.iter().filter_map(|part| part.memory()).collect();
            let _turn = lock(&self.source.writing);
            let Ok(filed) = self.source.write(&parts) else { return };
            write(&self.index).ended.replace(&[Part::file(filed)]);
            self.remove_pieces(&parts, 1);
        }
    }

    /// Makes the files that are due.
    fn file_all(&self, written: u64) {
        self.file_pieces();
        self.file_ended(written);
        self.merge_files(written);
    }

    /// Gives each piece of the active segment its file that has become durable. What cannot be written now is written with the next piece.
    fn file_pieces(&self) {
        loop {
            let piece = {
                let index = read(&self.index);
                let filed = self.pieces_filed.load(Ordering::Acquire);
                let next = index.pieces().iter().find(|part| part.next() > filed).cloned();
                // With the lock: a piece that ends meanwhile sets it after this.
                self.piece_end.store(next.as_ref().map_or(u64::MAX, |part| part.next()), Ordering::Release);
                next.filter(|part| part.next() <= self.durable())
            };
            let Some(piece) = piece else { return };
            let Some(part) = piece.memory() else { return };
            let _turn = lock(&self.source.writing);
            if self.source.write(&[part]).is_err() {
                self.piece_end.store(u64::MAX, Ordering::Release);
                return;
            }
            self.pieces_filed.store(part.next(), Ordering::Release);
        }
    }

    /// Removes the files of pieces but for so many first ones, whose place another file has taken. The caller has the turn.
    fn remove_pieces(&self, parts: &[&MemoryPart], first: usize) {
        let filed = self.pieces_filed.load(Ordering::Acquire);
        let filed = parts.iter().skip(first).filter(|part| part.next() <= filed);
        let mut files = filed.map(|part| (part.segment(), part.first())).peekable();
        if files.peek().is_some() {
            self.source.remove_covered(files);
        }
    }

    /// Merges files until few are left. What cannot be merged now is merged after the next roll.
    fn merge_files(&self, written: u64) {
        loop {
            let turn = lock(&self.source.writing);
            let Some(group) = read(&self.index).mergeable(written) else { return };
            let files: Vec<&MappedPart> = group.iter().filter_map(|part| part.mapped()).collect();
            match self.source.merge(&files) {
                Ok(merged) => {
                    write(&self.index).ended.replace(&[Part::file(merged)]);
                    let covered = files.iter().skip(1).map(|file| (file.head().segment, file.head().first));
                    self.source.remove_covered(covered);
                }
                Err(why) => {
                    drop(turn);
                    drop(self.heal(&why));
                    return;
                }
            }
        }
    }

    /// Gives the events of the active segment a file, when there are many, for the next open.
    fn file_active(&self) {
        let _turn = lock(&self.source.writing);
        let index = read(&self.index);
        let segment = index.active.segment();
        let pieces = index.pieces().iter().filter_map(|part| part.memory());
        let parts: Vec<&MemoryPart> = pieces.chain([&index.active]).filter(|part| !part.is_empty()).collect();
        let Some(first) = parts.first() else { return };
        if index.active.next() - first.first() <= UNFILED_MAX {
            self.remove_pieces(&parts, 0);
            return;
        }
        let Ok(filed) = self.source.write(&parts) else { return };
        self.remove_pieces(&parts, 1);
        let before = index.ended.parts().iter().filter_map(|part| part.mapped());
        let mut files: Vec<&MappedPart> = before.filter(|file| file.head().segment == segment).collect();
        files.push(&filed);
        if files.len() > FILES_MAX && self.source.merge(&files).is_ok() {
            self.source.remove_covered(files.iter().skip(1).map(|file| (segment, file.head().first)));
        }
    }

    /// Checks every index file, and makes the damaged ones again; returns their segments.
    pub(crate) fn check_files(&self) -> Result<Vec<u64>, ReadError> {
        let ended = read(&self.index).ended.clone();
        let mut damaged = Vec::new();
        for part in ended.parts() {
            if let Part::Mapped(mapped) = &**part
                && let Err(why) = mapped.check()
            {
                self.heal(&why)?;
                damaged.extend(mapped.head().segment..=mapped.head().last_segment);
            }
        }
        Ok(damaged)
    }

    /// Makes the index of the segments again whose file is damaged, one file each; they are merged again after the next roll. When several
    /// find the damage, the first one does it.
    pub(crate) fn heal(&self, why: &ReadError) -> Result<(), ReadError> {
        let ReadError::IndexDamaged { first_position, .. } = why else { return Ok(()) };
        let _turn = lock(&self.source.writing);
        let Some(part) = read(&self.index).ended.file_at(*first_position) else { return Ok(()) };
        let Some(file) = part.mapped().filter(|file| file.check().is_err()) else { return Ok(()) };
        let spans = file.spans();
        let ends = spans.iter().skip(1).map(|span| span.first).chain([file.head().next()]);
        let mut parts: Vec<Arc<Part>> = Vec::with_capacity(spans.len());
        for (span, next) in spans.iter().zip(ends) {
            let refused = |source| ReadError::Disk { path: segment_path(&self.source.segments, span.segment), source };
            let part = self.source.read(span, next - span.first).map_err(refused)?;
            let filed = if self.source.writable { self.source.write(&[&part]).ok() } else { None };
            parts.push(filed.map_or_else(|| Arc::new(Part::Memory(Box::new(part))), Part::file));
        }
        write(&self.index).ended.replace(&parts);
        self.unfiled.store(true, Ordering::Release);
        Ok(())
    }
}

impl Source {
    /// Makes the index of so many events of a segment by reading their frames.
    fn read(&self, span: &Span, count: u64) -> io::Result<MemoryPart> {
        let Span { segment, first, begin, end, .. } = *span;
        let file = self.disk.open(&segment_path(&self.segments, segment), Access::Read)?;
        let broken = |why| match why {
            ScanError::Io(why) => why,
            _ => ErrorKind::InvalidData.into(),
        };
        let mut scanner = Scanner::new(file, self.store, segment, begin, end).map_err(broken)?;
        let mut part = MemoryPart::new(segment, first, Room::default());
        while part.next() < first + count {
            match scanner.next().map_err(broken)? {
                ScanItem::Frame { offset, frame } if frame.header().position() == part.next() => {
                    self.with_entry(&frame, Address { segment, offset }, |entry| part.push(entry));
                }
                _ => return Err(ErrorKind::InvalidData.into()),
            }
        }
        Ok(part)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::{path::Path, sync::Arc, time::Duration};

    use batpak_segment::{Disk, MemoryDisk};

    use crate::{Config, Coordinate, Durability, Encryption, EventKind, Indexing, Local, NewEvent, Store, store::Side};

    #[test]
    fn segment_whose_events_may_be_taken_back_gets_no_index_file() {
        let disk = MemoryDisk::new();
        let config = Config::new(Encryption::sealed(Local::new()))
            .disk(Arc::new(disk.clone()))
            .segment_bytes(4096)
            .deferred_buffer(1 << 20, Duration::from_secs(3600))
            .indexing(Indexing::Inline);
        let store = Store::create("/store", config).unwrap();
        let coordinate = Coordinate::new("a", "s").unwrap();
        let event = NewEvent::new(coordinate, EventKind::new(1, 1).unwrap(), &[1; 500]);
        for _ in 0..20 {
            store.append(&event.clone().durability(Durability::Deferred)).unwrap();
        }
        assert!(
            store.view.visible() > store.view.written() + 10,
            "they are in the write buffer, over several segments"
        );
        let Side::Writer(writer) = &store.side else { panic!("it is a writer") };
        let files = || disk.list(Path::new("/store/index")).map_or(0, |files| files.len());
        writer.index_ended();
        assert_eq!(files(), 0);
        store.sync().unwrap();
        store.append(&event.durability(Durability::Buffered)).unwrap();
        assert_eq!(files() as u64, store.stats().segments, "the control: each, and a piece of the last one");
    }
}
