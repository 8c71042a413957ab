//! Writing index files.
//!
//! Invariant: a file has its name only when it is whole and synced; what a crash leaves has another name, and is removed by the next
//! open.

use std::{
    ffi::OsStr,
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    sync::Arc,
};

use batpak_format::{FooterStream, SEGMENT_HEADER_LEN, SegmentEnd, SegmentHeader};
use batpak_segment::{Access, Disk, DiskFile, KnownSegment, read_footer, segment_path};

use super::{
    MappedPart, Section, Source,
    encode::{Joint, VERSION},
    shred_facts::ShredFacts,
};
use crate::index::MemoryPart;

const UNFINISHED: &str = ".tmp";
const DIR_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;
/// So many bytes are gathered before they are written.
const BUFFER_BYTES: usize = 256 << 10;
/// A large file is synced in pieces, so that a synced append beside it, and whoever is called between them, waits for one of them and not for
/// the file.
const SYNC_BYTES: u64 = 4 << 20;

impl Source {
    /// Gives parts in memory that follow one another in one segment a file, in the place of one that stands there. The caller has the turn.
    pub(crate) fn write(self: &Arc<Self>, parts: &[&MemoryPart]) -> io::Result<MappedPart> {
        let (Some(first), Some(last)) = (parts.first(), parts.last()) else {
            return Err(ErrorKind::InvalidInput.into());
        };
        let rolled = self.rolled(first.segment())?;
        let ends =
            |known: &KnownSegment| (known.footer.log_len, known.footer.next_position) == (last.end(), last.next());
        let joint = Joint::of(parts).ok_or(ErrorKind::InvalidInput)?;
        let shreds = ShredFacts::of(self, parts)?;
        let bytes = joint.encode(&self.store, rolled.filter(ends), &shreds).ok_or(ErrorKind::InvalidInput)?;
        let (unfinished, file) = self.begin(first.segment(), first.first())?;
        file.write_all_at(&bytes, 0)?;
        self.name(&unfinished, &*file, first.segment(), first.first())
    }

    /// What header and footer of a segment say, when the next one follows.
    fn rolled(&self, segment: u64) -> io::Result<Option<KnownSegment>> {
        let file = self.disk.open(&segment_path(&self.segments, segment), Access::Read)?;
        let mut header = [0; SEGMENT_HEADER_LEN];
        let read = file.read_full_at(&mut header, 0)?;
        let header = SegmentHeader::decode(header.get(..read).unwrap_or_default()).ok();
        let footer = read_footer(&*file).ok().flatten().filter(|footer| footer.summary.end == SegmentEnd::Rolled);
        Ok(header.zip(footer).map(|(header, footer)| KnownSegment {
            header,
            footer: footer.summary,
            footer_end: footer.end,
        }))
    }

    /// Makes a file that has not its name yet.
    fn begin(&self, segment: u64, first: u64) -> io::Result<(PathBuf, Arc<dyn DiskFile>)> {
        let unfinished = self.path(segment, first).with_extension(UNFINISHED.trim_start_matches('.'));
        let file = match create(&*self.disk, &unfinished) {
            Err(why) if why.kind() == ErrorKind::NotFound => {
                self.disk.create_dir(&self.dir, DIR_MODE)?;
                create(&*self.disk, &unfinished)?
            }
            created => created?,
        };
        Ok((unfinished, file))
    }

    /// Gives a file its name, and opens it. It is checked whole here, where no append waits for it.
    fn name(
        self: &Arc<Self>,
        unfinished: &Path,
        file: &dyn DiskFile,
        segment: u64,
        first: u64,
    ) -> io::Result<MappedPart> {
        file.sync_all()?;
        self.disk.rename(unfinished, &self.path(segment, first))?;
        let part = MappedPart::open(self, segment, first)?.filter(|part| part.check().is_ok());
        part.ok_or_else(|| ErrorKind::InvalidData.into())
    }

    /// Removes an index file, or what is left of one. It is derived: one that stays is of no harm.
    pub(crate) fn remove(&self, name: &OsStr) {
        drop(self.disk.remove(&self.dir.join(name)));
    }

    /// Removes files whose events another file covers now. That one has its name durably first: else a crash could take both.
    pub(crate) fn remove_covered(&self, files: impl Iterator<Item = (u64, u64)>) {
        if self.disk.sync_dir(&self.dir).is_ok() {
            files.for_each(|(segment, first)| drop(self.disk.remove(&self.path(segment, first))));
        }
    }

    /// Whether a file was being written when its process ended.
    pub(crate) fn is_unfinished(name: &OsStr) -> bool {
        name.to_str().is_some_and(|name| name.ends_with(UNFINISHED))
    }
}

/// An index file that is written section by section.
pub(super) struct Sink<'b> {
    source: Arc<Source>,
    /// The segment and the first position.
    place: (u64, u64),
    unfinished: PathBuf,
    file: Arc<dyn DiskFile>,
    stream: FooterStream,
    buffer: Vec<u8>,
    /// So many bytes of the buffer are in the checks.
    checked: usize,
    at: u64,
    synced: u64,
    /// Called after each piece of a large file.
    between: &'b mut dyn FnMut(),
    /// The first write that failed; nothing is written after it.
    failed: Option<io::Error>,
}

impl<'b> Sink<'b> {
    pub(super) fn create(
        source: &Arc<Source>,
        segment: u64,
        first: u64,
        between: &'b mut dyn FnMut(),
    ) -> io::Result<Self> {
        let (unfinished, file) = source.begin(segment, first)?;
        Ok(Self {
            source: Arc::clone(source),
            place: (segment, first),
            unfinished,
            file,
            stream: FooterStream::new(),
            buffer: Vec::with_capacity(BUFFER_BYTES),
            checked: 0,
            at: 0,
            synced: 0,
            between,
            failed: None,
        })
    }

    /// Begins a section.
    pub(super) fn section(&mut self, section: Section) {
        self.check();
        self.stream.section(section.tag(), VERSION);
    }

    /// Takes what was gathered of the section into its check.
    fn check(&mut self) {
        let more = self.buffer.get(self.checked..).filter(|more| !more.is_empty());
        more.into_iter().for_each(|more| self.stream.feed(more));
        self.checked = self.buffer.len();
    }

    /// Takes the next bytes of the section.
    pub(super) fn put(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (now, rest) = bytes.split_at(bytes.len().min(BUFFER_BYTES - self.buffer.len()));
            self.buffer.extend_from_slice(now);
            bytes = rest;
            if self.buffer.len() == BUFFER_BYTES {
                self.check();
                self.drain();
            }
        }
    }

    fn drain(&mut self) {
        if self.failed.is_none()
            && let Err(why) = self.file.write_all_at(&self.buffer, self.at)
        {
            self.failed = Some(why);
        }
        self.at += self.buffer.len() as u64;
        self.checked = 0;
        if self.failed.is_none() && self.at >= self.synced + SYNC_BYTES {
            self.failed = self.file.sync_data().err();
            self.synced = self.at;
            (self.between)();
        }
        self.buffer.clear();
    }

    /// Ends the file, gives it its name and opens it.
    pub(super) fn finish(mut self) -> io::Result<MappedPart> {
        self.check();
        let end = std::mem::take(&mut self.stream).finish(0);
        self.drain();
        self.buffer.extend_from_slice(&end);
        self.drain();
        match self.failed {
            Some(why) => Err(why),
            None => self.source.name(&self.unfinished, &*self.file, self.place.0, self.place.1),
        }
    }
}

fn create(disk: &dyn Disk, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
    match disk.create_new(path, FILE_MODE) {
        Err(why) if why.kind() == ErrorKind::AlreadyExists => {
            disk.remove(path)?;
            disk.create_new(path, FILE_MODE)
        }
        created => created,
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use batpak_segment::MemoryDisk;

    use super::*;
    use crate::{Config, Encryption, Store};

    #[test]
    fn maker_of_a_large_file_is_called_after_each_piece_of_it() {
        let config = Config::new(Encryption::none()).disk(Arc::new(MemoryDisk::new()));
        let store = Store::create("/store", config).unwrap();
        let mut calls = 0;
        let mut between = || calls += 1;
        let mut sink = Sink::create(&store.view.source, 9, 9, &mut between).unwrap();
        sink.section(Section::Head);
        sink.put(&vec![0; 9 << 20]);
        drop(sink);
        assert_eq!(calls, 2, "of 4 MiB");
    }
}
