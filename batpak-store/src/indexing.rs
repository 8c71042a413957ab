//! Index files while the store runs: made when a segment has been rolled and when the store is closed, and made again when one is found
//! damaged.
//!
//! Invariants: only events that are with the operating system get into a file, and a file takes the place of the very part in memory that
//! it was made of. Nothing depends on it: what has no file is answered from memory, and a store that is opened without makes it again.

use std::{
    io::{self, ErrorKind},
    sync::Arc,
};

use batpak_format::SEGMENT_HEADER_LEN;
use batpak_segment::{Access, ScanError, ScanItem, Scanner, segment_path};

use crate::{
    ReadError,
    index::{Address, MemoryPart, Part, Room, Source},
    sync::{AtomicBool, JoinHandle, Mutex, Ordering, lock, read, spawn, write},
    view::View,
};

/// So many events of the active segment are left without a file at a close; the next open reads them.
const UNFILED_MAX: u64 = 1024;
/// So many files a segment may have; then its frames are read and it gets one.
const FILES_MAX: usize = 4;

/// Who makes the index file of a segment that was rolled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a thread of the store's own, or a thread of the caller's")]
pub enum Indexing {
    /// A thread of the store's own, which lives as long as it takes: no append waits for it.
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
        if !view.has_unfiled(written) || self.running.swap(true, Ordering::AcqRel) {
            return;
        }
        let running = Arc::clone(&self.running);
        match self.indexing {
            Indexing::Inline => {
                view.file_ended(written);
                running.store(false, Ordering::Release);
            }
            Indexing::Background => {
                let view = Arc::clone(view);
                let worker = spawn(move || {
                    view.file_ended(written);
                    running.store(false, Ordering::Release);
                });
                // The one before has done its work.
                let before = lock(&self.worker).replace(worker);
                drop(before.map(JoinHandle::join));
            }
        }
    }

    /// Makes what files are left to be made of a log that was closed.
    pub(crate) fn finish(&self, view: &View) {
        drop(lock(&self.worker).take().map(JoinHandle::join));
        view.file_ended(u64::MAX);
        view.file_active();
    }
}

impl View {
    /// Whether a rolled segment has no file. A part is one once an event behind it is written.
    fn has_unfiled(&self, written: u64) -> bool {
        self.unfiled.load(Ordering::Acquire) && read(&self.index).ended.unfiled(written).is_some()
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
            let Ok(filed) = self.source.write(part) else { return };
            write(&self.index).ended.replace(Arc::new(Part::Mapped(Box::new(filed))));
        }
    }

    /// Gives the events of the active segment a file, when there are many, for the next open.
    fn file_active(&self) {
        let index = read(&self.index);
        let (active, segment) = (&index.active, index.active.segment());
        if active.next() - active.first() <= UNFILED_MAX {
            return;
        }
        let before = index.ended.parts().iter().filter(|part| part.segment() == segment);
        let (count, first) = (before.clone().count(), before.clone().next().map(|part| part.first()));
        match first.filter(|_| count >= FILES_MAX) {
            None => drop(self.source.write(active)),
            Some(first) => {
                let (end, next) = (active.end(), active.next());
                let whole = self.source.read(segment, first, SEGMENT_HEADER_LEN as u64, end, next - first);
                drop(whole.and_then(|whole| self.source.write(&whole)));
            }
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
                damaged.push(part.segment());
            }
        }
        Ok(damaged)
    }

    /// Makes the index of a segment again whose file is damaged.
    pub(crate) fn heal(&self, why: &ReadError) -> Result<(), ReadError> {
        let ReadError::IndexDamaged { first_position, .. } = why else { return Ok(()) };
        let damaged = read(&self.index).ended.mapped(*first_position);
        let Some(head) = damaged else { return Ok(()) };
        let refused = |source| ReadError::Disk { path: segment_path(&self.source.segments, head.segment), source };
        let part = self.source.read(head.segment, head.first, head.begin, head.end, head.count).map_err(refused)?;
        let filed = if self.source.writable { self.source.write(&part).ok() } else { None };
        let part = filed.map_or_else(|| Part::Memory(Box::new(part)), |filed| Part::Mapped(Box::new(filed)));
        write(&self.index).ended.replace(Arc::new(part));
        Ok(())
    }
}

impl Source {
    /// Makes the index of so many events, from a position on, by reading their frames.
    fn read(&self, segment: u64, first: u64, begin: u64, end: u64, count: u64) -> io::Result<MemoryPart> {
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
