//! A disk that does little at a time, is interrupted, or is full.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use batpak_format::SegmentEnd;
use batpak_segment::{
    Access, DirEntryName, Disk, DiskFile, FileIdentity, RecoveryError, RecoveryMode, make_durable, segment_file_name,
};
use bytes::Bytes;

use crate::log::{Log, open, open_twice, shown, try_open, two_segments};
use crate::place::Place;

#[derive(Debug, Default)]
struct Faults {
    /// Reads and writes do a few bytes at a time, and every third call is interrupted.
    choppy: bool,
    /// Bytes that files may still grow by.
    room: Option<u64>,
    /// Bytes of segment 2 that a writer is about to write.
    late: Option<Late>,
    /// A segment that is listed, and removed before it is opened.
    removed: Option<u64>,
    /// So many listings leave the first segment out.
    gaps: usize,
    calls: usize,
}

impl Faults {
    /// How many of `len` bytes this call may do.
    fn allow(&mut self, len: usize) -> io::Result<usize> {
        self.calls += 1;
        if !self.choppy {
            return Ok(len);
        }
        if self.calls.is_multiple_of(3) {
            Err(ErrorKind::Interrupted.into())
        } else {
            Ok(len.min(1 + self.calls * 7 % 97))
        }
    }
}

/// Bytes that the first reads see as zeros.
#[derive(Debug)]
struct Late {
    range: std::ops::Range<u64>,
    reads: usize,
    /// Reads of them so far.
    seen: usize,
}

#[derive(Clone, Debug)]
struct FaultyDisk {
    disk: Arc<dyn Disk>,
    faults: Arc<Mutex<Faults>>,
}

impl FaultyDisk {
    fn place(faults: Faults) -> (Place, Arc<Mutex<Faults>>) {
        let faults = Arc::new(Mutex::new(faults));
        let disk = Arc::new(batpak_segment::MemoryDisk::new());
        (Place::on(Arc::new(FaultyDisk { disk, faults: Arc::clone(&faults) })), faults)
    }

    fn wrap(&self, path: &Path, file: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        let is_second = path.ends_with(segment_file_name(2));
        Arc::new(FaultyFile { file, is_second, faults: Arc::clone(&self.faults) })
    }
}

impl Disk for FaultyDisk {
    fn create_new(&self, path: &Path, mode: u32) -> io::Result<Arc<dyn DiskFile>> {
        Ok(self.wrap(path, self.disk.create_new(path, mode)?))
    }
    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn DiskFile>> {
        Ok(self.wrap(path, self.disk.open(path, access)?))
    }
    fn create_dir(&self, path: &Path, mode: u32) -> io::Result<()> {
        self.disk.create_dir(path, mode)
    }
    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntryName>> {
        let mut names = self.disk.list(dir)?;
        let mut faults = self.faults.lock().unwrap();
        if faults.gaps > 0 {
            faults.gaps -= 1;
            names.retain(|entry| entry.name != segment_file_name(1).as_str());
        }
        let removed = faults.removed.map(segment_file_name);
        names.extend(removed.map(|name| DirEntryName { name: name.into(), is_dir: false }));
        Ok(names)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        self.disk.remove(path)
    }
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.disk.sync_dir(dir)
    }
    fn exists(&self, path: &Path) -> io::Result<bool> {
        self.disk.exists(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename(from, to)
    }
    fn mode(&self, path: &Path) -> io::Result<u32> {
        self.disk.mode(path)
    }
    fn canonical(&self, path: &Path) -> io::Result<PathBuf> {
        self.disk.canonical(path)
    }
}

#[derive(Debug)]
struct FaultyFile {
    file: Arc<dyn DiskFile>,
    is_second: bool,
    faults: Arc<Mutex<Faults>>,
}

impl DiskFile for FaultyFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut faults = self.faults.lock().unwrap();
        let len = faults.allow(buf.len())?;
        let read = self.file.read_at(&mut buf[..len], offset)?;
        if let Some(late) = faults.late.as_mut().filter(|_| self.is_second) {
            let unwritten: Vec<_> = (offset..).take(read).map(|at| late.range.contains(&at)).collect();
            late.seen += usize::from(unwritten.contains(&true));
            if late.seen <= late.reads {
                let bytes = buf.iter_mut().zip(unwritten).filter(|(_, unwritten)| *unwritten);
                bytes.for_each(|(byte, _)| *byte = 0);
            }
        }
        Ok(read)
    }
    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<usize> {
        let mut faults = self.faults.lock().unwrap();
        let mut len = faults.allow(buf.len())?;
        let file_len = self.file.len()?;
        if let Some(room) = faults.room {
            let fits = usize::try_from((file_len + room).saturating_sub(offset)).unwrap();
            len = len.min(fits);
            if len == 0 {
                return Err(ErrorKind::StorageFull.into());
            }
        }
        let written = self.file.write_at(&buf[..len], offset)?;
        let growth = self.file.len()? - file_len;
        faults.room = faults.room.map(|room| room - growth);
        Ok(written)
    }
    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }
    fn sync_all(&self) -> io::Result<()> {
        self.file.sync_all()
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
    fn identity(&self) -> io::Result<FileIdentity> {
        self.file.identity()
    }
    fn try_lock(&self) -> io::Result<bool> {
        self.file.try_lock()
    }
    fn map(&self, len: u64) -> io::Result<Bytes> {
        self.file.map(len)
    }
}

#[test]
fn choppy_disk_holds_the_same_bytes_in_the_end() {
    let (choppy, _) = FaultyDisk::place(Faults { choppy: true, ..Faults::default() });
    let plain = Place::memory();
    let log = two_segments(&choppy);
    two_segments(&plain);
    assert_eq!(choppy.snapshot(), plain.snapshot());

    // A torn tail is found and cut alike.
    let second = plain.read(2);
    for place in [&choppy, &plain] {
        place.put(2, &second[..second.len() - 5]);
        let (recovered, frames) = open_twice(place);
        assert_eq!(frames, shown(&log.written[..log.written.len() - 1]));
        assert!(recovered.torn.is_some());
    }
    assert_eq!(choppy.snapshot(), plain.snapshot());
}

#[test]
fn full_disk_fails_one_append_which_is_cut_and_appends_go_on() {
    for ahead in [false, true] {
        for room in (0..400).step_by(7) {
            let (place, faults) = FaultyDisk::place(Faults::default());
            let mut log = Log::create(&place, 1 << 20, ahead);
            log.append(&[1; 300_000]);
            log.sync();
            let end = log.writer.end();
            faults.lock().unwrap().room = Some(room);
            let error = log.try_append_batch(&[&[2; 200], &[3; 200]]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::StorageFull);
            log.writer.cut(end).unwrap();
            assert_eq!((log.writer.end(), log.tail.offset), (end, end));
            let (recovered, frames) = open(&place);
            assert_eq!((frames, recovered.torn), (shown(&log.written), None));

            faults.lock().unwrap().room = None;
            log.append(b"space is back");
            log.finish(SegmentEnd::Closed);
            let (recovered, frames) = open_twice(&place);
            assert_eq!((frames, recovered.torn), (shown(&log.written), None));
            assert!(recovered.clean_close.is_some());
        }
    }
}

#[test]
fn full_disk_does_not_ask_for_space_ahead() {
    let (place, faults) = FaultyDisk::place(Faults::default());
    let mut log = Log::create(&place, 1 << 20, true);
    faults.lock().unwrap().room = Some(1_000);
    log.append(b"fits");
    let (recovered, frames) = open(&place);
    assert_eq!((frames, recovered.torn), (shown(&log.written), None));
}

#[test]
fn torn_tail_on_a_full_disk_is_cut_without_space() {
    let (place, faults) = FaultyDisk::place(Faults::default());
    let log = two_segments(&place);
    let second = place.read(2);
    place.put(2, &second[..second.len() - 5]);
    faults.lock().unwrap().room = Some(0);
    let (recovered, _) = open(&place);
    make_durable(place.disk.as_ref(), &place.dir, &recovered).unwrap();
    let (recovered, frames) = open(&place);
    assert_eq!((frames, recovered.torn), (shown(&log.written[..log.written.len() - 1]), None));
}

#[test]
fn reader_beside_a_writer_takes_late_bytes_for_the_end_and_not_for_damage() {
    let (place, faults) = FaultyDisk::place(Faults::default());
    let log = two_segments(&place);
    let (mut ends, mut corrupt) = (0, 0);
    for late in log.written.iter().filter(|frame| frame.segment == 2) {
        for reads in 0..12 {
            let range = late.offset..late.end();
            faults.lock().unwrap().late = Some(Late { range, reads, seen: 0 });
            let (answer, frames) = try_open(&place, RecoveryMode::ReadOnly);
            assert_eq!(frames, shown(&log.written[..frames.len()]));
            let seen = faults.lock().unwrap().late.take().unwrap().seen;
            match answer {
                Ok(recovered) => {
                    assert!(frames.len() == log.written.len() || frames.len() as u64 == late.batch_position);
                    assert_eq!(recovered.next_position, frames.len() as u64);
                    ends += usize::from(frames.len() < log.written.len());
                }
                // Every read saw zeros, also the last one, after the frame that states the bytes to be durable.
                Err(RecoveryError::Corrupt { segment: 2, offset, .. }) => {
                    assert_eq!(offset, late.offset);
                    assert!(late.position < log.mark && seen <= reads, "{seen} reads, {reads} of them early");
                    corrupt += 1;
                }
                Err(error) => panic!("{error:?}"),
            }
        }
    }
    assert!(ends > 10 && corrupt > 10, "{ends} ends, {corrupt} refusals");
}

#[test]
fn segment_that_is_gone_when_opened_ends_the_log_for_a_reader_only() {
    let (place, faults) = FaultyDisk::place(Faults::default());
    let mut log = two_segments(&place);
    log.finish(SegmentEnd::Rolled);
    faults.lock().unwrap().removed = Some(3);
    let (answer, frames) = try_open(&place, RecoveryMode::ReadOnly);
    assert_eq!((frames, answer.unwrap().active), (shown(&log.written), 2));
    let (answer, _) = try_open(&place, RecoveryMode::Repair);
    assert!(
        matches!(&answer, Err(RecoveryError::Io { source, .. }) if source.kind() == ErrorKind::NotFound),
        "{answer:?}"
    );
}

#[test]
fn directory_that_is_read_while_it_changes_is_listed_again_for_a_reader_only() {
    let (place, faults) = FaultyDisk::place(Faults::default());
    let log = two_segments(&place);
    let with_gaps = |gaps, mode| {
        faults.lock().unwrap().gaps = gaps;
        let (answer, frames) = try_open(&place, mode);
        let left = faults.lock().unwrap().gaps;
        (answer.map(drop).map_err(|error| format!("{error:?}")), frames, left)
    };
    let gap = Err("SegmentGap { expected: 1, found: 2 }".to_owned());
    assert_eq!(with_gaps(7, RecoveryMode::ReadOnly), (Ok(()), shown(&log.written), 0));
    assert_eq!(with_gaps(9, RecoveryMode::ReadOnly), (gap.clone(), vec![], 1));
    assert_eq!(with_gaps(2, RecoveryMode::Repair), (gap, vec![], 1));
}
