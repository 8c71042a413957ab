//! The write side of the segments: what the one who holds the write turn does to them.
//!
//! Invariants: a footer is written after the frames that it vouches for are synced, and before the next segment exists; so every
//! rolled segment has a whole footer. A new segment is durable, its directory entry too, before a frame goes into it.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use batpak_format::{
    ChainHash, FooterBuilder, KeyId, SECTION_SUMMARY, SegmentEnd, SegmentHeader, SegmentSummary, StoreId,
};
use batpak_segment::{Disk, FinishError, SegmentWriter, Tail, segment_path};

use crate::{
    defect::{Defect, seeded},
    pipeline::LogFile,
    run::RunFacts,
};

/// What a new segment's header says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Roll {
    pub(crate) segment: u64,
    pub(crate) first_position: u64,
    /// Chain hash of the last event before the segment.
    pub(crate) chain: ChainHash,
    pub(crate) keyset_epoch: u64,
}

/// What the footer of the active segment will say.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts {
    pub(crate) first_position: u64,
    pub(crate) next_position: u64,
    pub(crate) chain: ChainHash,
    pub(crate) key_id_max: Option<KeyId>,
    pub(crate) intent: Option<u64>,
    pub(crate) keyset_epoch: u64,
}

/// Bytes of a shred's completion, its frame whole: 34 of the record, 136 of the frame's header, and some to spare.
const COMPLETION_BYTES: u64 = 512;

/// What a write does with the room for a shred's completion, which is kept behind the log's end from the intent on: a full disk must
/// not keep a shred from being finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CompletionRoom {
    AsBefore,
    Kept,
    Used,
}

/// A roll that failed.
#[derive(Debug)]
pub(crate) struct RollFailure {
    pub(crate) why: io::Error,
    /// Whether what the disk holds is unknown now.
    pub(crate) unknown: bool,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct SegmentLog {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    store: StoreId,
    writer: SegmentWriter,
    facts: Facts,
    /// Whether blocks are written ahead of the frames, which pays when each append is synced.
    ahead: bool,
    /// The keyset's epoch in the footer of a clean close, while the active segment ends in one.
    closed: Option<u64>,
    /// Bytes kept behind the end.
    room: u64,
    /// A segment whose creation failed, and which may stand there all the same.
    unfinished: Option<u64>,
}

impl SegmentLog {
    /// Makes the first segment of a new log.
    pub(crate) fn create(
        disk: Arc<dyn Disk>,
        dir: &Path,
        store: StoreId,
        roll: &Roll,
        ahead: bool,
    ) -> io::Result<Self> {
        let writer = SegmentWriter::create(Arc::clone(&disk), dir, &header(store, roll), ahead)?;
        Ok(Self {
            disk,
            dir: dir.to_owned(),
            store,
            writer,
            facts: Facts::of(roll),
            ahead,
            closed: None,
            room: 0,
            unfinished: None,
        })
    }

    /// Goes on in the active segment of a recovered log.
    pub(crate) fn resume(
        disk: Arc<dyn Disk>,
        dir: &Path,
        store: StoreId,
        end: (u64, u64),
        facts: Facts,
        closed: Option<u64>,
        ahead: bool,
    ) -> io::Result<Self> {
        let mut writer = SegmentWriter::resume(Arc::clone(&disk), dir, end.0, end.1)?;
        writer.set_ahead(ahead);
        Ok(Self { disk, dir: dir.to_owned(), store, writer, facts, ahead, closed, room: 0, unfinished: None })
    }

    pub(crate) fn file(&self) -> LogFile {
        self.writer.file()
    }

    /// Where the next frame goes now.
    pub(crate) fn tail(&self, tail: Tail) -> Tail {
        Tail { segment: self.writer.number(), offset: self.writer.end(), ..tail }
    }

    /// Writes frames; after a failure the caller cuts them, and the room is what it was.
    pub(crate) fn write(&mut self, offset: u64, bytes: &[u8], room: CompletionRoom) -> io::Result<()> {
        self.closed = None;
        let room = match room {
            CompletionRoom::AsBefore => self.room,
            CompletionRoom::Kept => COMPLETION_BYTES,
            CompletionRoom::Used => 0,
        };
        self.writer.write(offset, bytes)?;
        if room > 0 && !seeded(Defect::CompletionHasNoRoom) {
            self.writer.keep(room)?;
        }
        self.room = room;
        Ok(())
    }

    /// Takes what was written into the footer to come.
    pub(crate) fn note(&mut self, next: u64, chain: ChainHash, facts: RunFacts) {
        self.facts.next_position = next;
        self.facts.chain = chain;
        self.facts.key_id_max = self.facts.key_id_max.max(facts.key_id_max);
        self.facts.intent = facts.intent.or(self.facts.intent);
    }

    pub(crate) fn cut(&mut self, offset: u64) -> io::Result<()> {
        self.writer.cut(offset)
    }

    /// Ends the active segment and begins the next.
    pub(crate) fn roll(&mut self, roll: &Roll) -> Result<(), RollFailure> {
        self.end(SegmentEnd::Rolled, roll.keyset_epoch)?;
        match self.make(roll) {
            Ok(writer) => {
                self.writer = writer;
                self.facts = Facts::of(roll);
                Ok(())
            }
            Err(why) => {
                let unknown = self.writer.cut(self.writer.end()).is_err();
                Err(RollFailure { why, unknown })
            }
        }
    }

    /// Makes the next segment, in the place of one whose creation failed before and which could not be removed either.
    fn make(&mut self, roll: &Roll) -> io::Result<SegmentWriter> {
        if let Some(left) = self.unfinished {
            match self.disk.remove(&segment_path(&self.dir, left)) {
                Err(why) if why.kind() != io::ErrorKind::NotFound => return Err(why),
                _ => self.unfinished = None,
            }
        }
        let (disk, header) = (Arc::clone(&self.disk), header(self.store, roll));
        SegmentWriter::create(disk, &self.dir, &header, self.ahead)
            .inspect_err(|_| self.unfinished = Some(roll.segment))
    }

    /// Ends the log with a footer that vouches for it, unless one stands there.
    pub(crate) fn close(&mut self, keyset_epoch: u64) -> io::Result<()> {
        if self.closed == Some(keyset_epoch) {
            return Ok(());
        }
        self.end(SegmentEnd::Closed, keyset_epoch).map_err(|failure| failure.why)?;
        self.closed = Some(keyset_epoch);
        Ok(())
    }

    /// Writes the footer of a rolled segment again, which was damaged: a log holds at most one such segment, the last before the
    /// active one, and would hold two after the next roll.
    pub(crate) fn mend_rolled(mut self, keyset_epoch: u64) -> io::Result<()> {
        self.end(SegmentEnd::Rolled, keyset_epoch).map_err(|failure| failure.why)
    }

    fn end(&mut self, end: SegmentEnd, keyset_epoch: u64) -> Result<(), RollFailure> {
        let summary = SegmentSummary {
            end,
            log_len: self.writer.end(),
            first_position: self.facts.first_position,
            next_position: self.facts.next_position,
            chain_hash: self.facts.chain,
            keyset_epoch,
            key_id_max: self.facts.key_id_max,
            intent_position_last: self.facts.intent,
            epoch_max: keyset_epoch.max(self.facts.keyset_epoch),
        };
        let footer = FooterBuilder::new().section(SECTION_SUMMARY, 1, &summary.encode()).finish(self.writer.end());
        let log_end = self.writer.end();
        self.writer.finish(&footer).map_err(|refused| match refused {
            FinishError::Write(why) => {
                let unknown = self.writer.cut(log_end).is_err();
                RollFailure { why, unknown }
            }
            FinishError::Sync(why) => RollFailure { why, unknown: true },
            _ => RollFailure { why: io::ErrorKind::Other.into(), unknown: true },
        })
    }
}

impl Facts {
    pub(crate) const fn of(roll: &Roll) -> Self {
        Self {
            first_position: roll.first_position,
            next_position: roll.first_position,
            chain: roll.chain,
            key_id_max: None,
            intent: None,
            keyset_epoch: roll.keyset_epoch,
        }
    }
}

fn header(store: StoreId, roll: &Roll) -> SegmentHeader {
    SegmentHeader {
        store,
        number: roll.segment,
        first_position: roll.first_position,
        previous_chain_hash: roll.chain,
        keyset_epoch: roll.keyset_epoch,
        required_flags: 0,
        optional_flags: 0,
    }
}
