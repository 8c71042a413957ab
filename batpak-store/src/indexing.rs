//! Index files while the store runs: made when a segment has been rolled and when the store is closed, merged as they become many, and
//! made again when one is found damaged.
//!
//! Invariants: only events that are with the operating system get into a file, and a file takes the place of the very part in memory that
//! it was made of. Nothing depends on it: what has no file is answered from memory, and a store that is opened without makes it again.

use std::{
    io::{self, ErrorKind},
    sync::Arc,
};

use batpak_segment::{Access, ScanError, ScanItem, Scanner, segment_path};

use crate::{
    ReadError,
    index::{Address, MappedPart, MemoryPart, Part, Room, Source, Span},
    sync::{AtomicBool, JoinHandle, Mutex, Ordering, lock, read, try_spawn, write},
    view::View,
};

/// So many events of the active segment are left without a file at a close; the next open reads them.
const UNFILED_MAX: u64 = 1024;
/// So many files a segment may have that goes on; then they are merged.
const FILES_MAX: usize = 4;

/// Who makes the index file of a segment that was rolled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a thread of the store's own, or a thread of the caller's")]
pub enum Indexing {
    /// A thread of the store's own, which lives as long as it takes: no append waits for it. When the operating system gives no thread, as
    /// [`Indexing::Inline`].
    #[default]
    Background,
    /// The append that went into the next segment, before it returns: the store starts no thread.
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
        if !view.has_work(written) || self.running.swap(true, Ordering::AcqRel) {
            return;
        }
        let running = Arc::clone(&self.running);
        match self.indexing {
            Indexing::Inline => {
                view.file_ended(written);
                view.merge_files();
                running.store(false, Ordering::Release);
            }
            Indexing::Background => {
                let theirs = Arc::clone(view);
                let started = try_spawn(move || {
                    theirs.file_ended(written);
                    theirs.merge_files();
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
                        view.file_ended(written);
                        view.merge_files();
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
        view.merge_files();
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
        let ended = &index.ended;
        let has_work = ended.unfiled(written).is_some() || ended.mergeable().is_some();
        if !has_work && ended.unfiled(u64::MAX).is_none() {
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
                let ended = &read(&self.index).ended;
                (ended.unfiled(written), ended.unfiled(u64::MAX).is_some())
            };
            let Some(unfiled) = unfiled else {
                if later {
                    self.unfiled.store(true, Ordering::Release);
                }
                return;
            };
            let Part::Memory(part) = &*unfiled else { return };
            let _turn = lock(&self.source.writing);
            let Ok(filed) = self.source.write(part) else { return };
            write(&self.index).ended.replace(&[Part::file(filed)]);
        }
    }

    /// Merges files until few are left. What cannot be merged now is merged after the next roll.
    fn merge_files(&self) {
        loop {
            let turn = lock(&self.source.writing);
            let Some(group) = read(&self.index).ended.mergeable() else { return };
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
        let (active, segment) = (&index.active, index.active.segment());
        if active.next() - active.first() <= UNFILED_MAX {
            return;
        }
        let Ok(filed) = self.source.write(active) else { return };
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
            let filed = if self.source.writable { self.source.write(&part).ok() } else { None };
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
        assert_eq!(files() as u64, store.stats().segments - 1, "the control: once they are written, each gets one");
    }
}
