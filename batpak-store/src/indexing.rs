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
    ffi::OsString,
    io::{self, ErrorKind},
    sync::Arc,
};

use batpak_segment::{Access, ScanError, ScanItem, Scanner, segment_path};

use crate::{
    ReadError,
    index::{Address, FILES_MAX, MappedPart, MemoryPart, Part, Room, Source, Span},
    sync::{AtomicBool, JoinHandle, Mutex, MutexGuard, Ordering, lock, read, try_lock, try_spawn, write},
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
        let is_due = view.has_work(written) || view.is_piece_due() || view.has_unfinished();
        if !is_due || self.running.swap(true, Ordering::AcqRel) {
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
        view.remove_unfinished();
        view.file_ended(u64::MAX);
        view.merge_files(u64::MAX);
        view.file_active();
    }
}

/// Held by who writes, merges or removes files.
type Turn<'t> = MutexGuard<'t, Vec<OsString>>;

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

    /// Gives each rolled segment its file.
    fn file_ended(&self, written: u64) {
        while self.file_rolled(&lock(&self.source.writing), written) {}
    }

    /// Gives the first rolled segment without a file its file. What cannot be written now is written after the next roll, at the close, or by
    /// the next open.
    fn file_rolled(&self, _: &Turn<'_>, written: u64) -> bool {
        // Before the look: a segment that is begun meanwhile sets it again, or is seen below.
        self.unfiled.store(false, Ordering::Release);
        let (unfiled, later) = {
            let index = read(&self.index);
            (index.unfiled(written), index.unfiled(u64::MAX).is_some())
        };
        let Some(unfiled) = unfiled else {
            if later {
                self.unfiled.store(true, Ordering::Release);
            }
            return false;
        };
        let parts: Vec<&MemoryPart> = unfiled.iter().filter_map(|part| part.memory()).collect();
        let Ok(filed) = self.source.write(&parts) else { return false };
        write(&self.index).ended.replace(&[Part::file(filed)]);
        self.remove_pieces(&parts, 1);
        true
    }

    /// Whether an earlier process began files and did not end them; nobody removes them while another has the turn.
    fn has_unfinished(&self) -> bool {
        try_lock(&self.source.writing).is_some_and(|unfinished| !unfinished.is_empty())
    }

    fn remove_unfinished(&self) {
        lock(&self.source.writing).drain(..).for_each(|name| self.source.remove(&name));
    }

    /// Makes the files that are due.
    fn file_all(&self, written: u64) {
        self.remove_unfinished();
        self.file_pieces();
        self.file_ended(written);
        self.merge_files(written);
    }

    /// Gives each piece of the active segment its file that has become durable.
    fn file_pieces(&self) {
        while self.file_piece(&lock(&self.source.writing)) {}
    }

    /// Gives the first piece without a file its file, once it is durable. What cannot be written now is written with the next piece.
    fn file_piece(&self, _: &Turn<'_>) -> bool {
        let piece = {
            let index = read(&self.index);
            let filed = self.pieces_filed.load(Ordering::Acquire);
            let next = index.pieces().iter().find(|part| part.next() > filed).cloned();
            // With the lock: a piece that ends meanwhile sets it after this.
            self.piece_end.store(next.as_ref().map_or(u64::MAX, |part| part.next()), Ordering::Release);
            next.filter(|part| part.next() <= self.durable())
        };
        let Some(part) = piece.as_ref().and_then(|piece| piece.memory()) else { return false };
        if self.source.write(&[part]).is_err() {
            self.piece_end.store(u64::MAX, Ordering::Release);
            return false;
        }
        self.pieces_filed.store(part.next(), Ordering::Release);
        true
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

    /// Merges files until few are left; pieces and rolled segments get theirs meanwhile. What cannot be merged now is merged after the next
    /// roll.
    fn merge_files(&self, written: u64) {
        loop {
            let turn = lock(&self.source.writing);
            let Some(group) = read(&self.index).mergeable(written) else { return };
            let files: Vec<&MappedPart> = group.iter().filter_map(|part| part.mapped()).collect();
            let mut between = || self.file_between(&turn);
            match self.source.merge(&files, &mut between) {
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

    /// Makes the files that became due while a merge goes on, so that what the next open reads does not grow with what is merged.
    fn file_between(&self, turn: &Turn<'_>) {
        if self.is_piece_due() {
            while self.file_piece(turn) {}
        }
        if self.unfiled.load(Ordering::Acquire) {
            while self.file_rolled(turn, self.written()) {}
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
        if files.len() > FILES_MAX && self.source.merge(&files, &mut || ()).is_ok() {
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
#[allow(clippy::unwrap_used, reason = "helpers of tests panic where a test would")]
mod tests {
    use std::{path::Path, sync::Arc, time::Duration};

    use batpak_segment::{Disk, MemoryDisk};

    use crate::{
        Config, Coordinate, Durability, Encryption, EventKind, Indexing, Local, NewEvent, Store,
        index::Part,
        store::Side,
        sync::{Ordering, lock, read, write},
    };

    fn store(disk: &MemoryDisk) -> Store {
        let config = Config::new(Encryption::sealed(Local::new()))
            .disk(Arc::new(disk.clone()))
            .segment_bytes(4096)
            .deferred_buffer(1 << 20, Duration::from_secs(3600))
            .indexing(Indexing::Inline);
        Store::create("/store", config).unwrap()
    }

    fn event() -> NewEvent<'static> {
        NewEvent::new(Coordinate::new("a", "s").unwrap(), EventKind::new(1, 1).unwrap(), &[1; 500])
    }

    #[test]
    fn what_becomes_due_while_files_are_merged_gets_its_file_between_pieces_of_the_merge() {
        let disk = MemoryDisk::new();
        let store = store(&disk);
        let Side::Writer(writer) = &store.side else { panic!("it is a writer") };
        let files = || disk.list(Path::new("/store/index")).map_or(0, |files| files.len()) as u64;
        // As while a merge goes on: whoever has work for the indexer leaves it there.
        writer.indexer.running.store(true, Ordering::Release);
        for _ in 0..20 {
            store.append(&event().durability(Durability::Synced)).unwrap();
        }
        assert_eq!(files(), 0);
        let view = &store.view;
        let turn = lock(&view.source.writing);
        view.file_between(&turn);
        let pieces = files() + 1 - store.stats().segments;
        assert!(pieces > 0 && store.stats().segments > 2, "each rolled segment, and the pieces of the last one");
        assert!(!view.is_piece_due() && !view.unfiled.load(Ordering::Acquire));
        let ended = read(&view.index).ended.clone();
        let filed: Vec<_> = ended.parts().iter().filter_map(|part| part.mapped()).collect();
        let mut calls = 0;
        view.source.merge(&filed, &mut || calls += 1).unwrap();
        assert_eq!(calls as u64, store.stats().segments - 1, "after each file was checked");
    }

    #[test]
    fn append_that_goes_into_the_next_segment_makes_the_file_of_the_one_before() {
        let disk = MemoryDisk::new();
        let store = store(&disk);
        while store.stats().segments < 4 {
            store.append(&event().durability(Durability::Buffered)).unwrap();
            let files = disk.list(Path::new("/store/index")).map_or(0, |files| files.len());
            assert_eq!(files as u64, store.stats().segments - 1);
        }
    }

    #[test]
    fn small_files_are_merged_before_large_ones() {
        let store = store(&MemoryDisk::new());
        let (Side::Writer(writer), view) = (&store.side, &store.view) else { panic!("it is a writer") };
        writer.indexer.running.store(true, Ordering::Release);
        while store.stats().segments < 22 {
            store.append(&event().durability(Durability::Buffered)).unwrap();
        }
        view.file_ended(u64::MAX);
        let mut merged = Vec::new();
        loop {
            let Some(group) = read(&view.index).mergeable(u64::MAX) else { break };
            let files: Vec<_> = group.iter().filter_map(|part| part.mapped()).collect();
            let file = view.source.merge(&files, &mut || ()).unwrap();
            merged.push(file.segments());
            write(&view.index).ended.replace(&[Part::file(file)]);
        }
        assert_eq!(merged, [4, 4, 4, 4, 4, 16]);
    }

    #[test]
    fn segment_whose_events_may_be_taken_back_gets_no_index_file() {
        let disk = MemoryDisk::new();
        let store = store(&disk);
        let event = event();
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
