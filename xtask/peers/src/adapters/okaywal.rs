//! okaywal 0.3: an append is an entry of one chunk, a batch an entry of many. It has no commit without a flush, and no index: the places
//! are kept here.

use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError};

use okaywal::{Configuration, Entry, EntryId, LogManager, LogPosition, ReadChunkResult, SegmentReader, WriteAheadLog};

use crate::Outcome;
use crate::log::{EventLog, EventRef, Item, Options, Visit};

/// Bytes that it writes ahead of its log.
const AHEAD: u32 = 64 << 20;

type Places = Arc<Mutex<Vec<LogPosition>>>;

/// Notes the place of every chunk that is found at an open; nothing is ever moved elsewhere.
#[derive(Debug)]
struct Notes(Places);

impl LogManager for Notes {
    fn recover(&mut self, entry: &mut Entry<'_>) -> io::Result<()> {
        let mut found = Vec::new();
        loop {
            match entry.read_chunk()? {
                ReadChunkResult::Chunk(mut chunk) => {
                    found.push(chunk.log_position());
                    chunk.read_all()?;
                    if !chunk.check_crc()? {
                        return Ok(());
                    }
                }
                ReadChunkResult::EndOfEntry => break,
                ReadChunkResult::AbortedEntry => return Ok(()),
            }
        }
        add(&self.0, found);
        Ok(())
    }

    fn checkpoint_to(&mut self, _: EntryId, _: &mut SegmentReader, _: &WriteAheadLog) -> io::Result<()> {
        Ok(())
    }
}

fn add(places: &Places, found: Vec<LogPosition>) {
    places.lock().unwrap_or_else(PoisonError::into_inner).extend(found);
}

/// A write-ahead log.
pub(crate) struct OkayWal {
    wal: WriteAheadLog,
    places: Places,
}

impl OkayWal {
    /// Opens it; it reads everything.
    pub(crate) fn open(options: &Options<'_>) -> Outcome<OkayWal> {
        let places = Places::default();
        let wal = Configuration::default_for(options.dir.join("wal"))
            .preallocate_bytes(AHEAD)
            .checkpoint_after_bytes(u64::MAX)
            .open(Notes(Arc::clone(&places)))?;
        Ok(OkayWal { wal, places })
    }

    fn show(&self, place: LogPosition, buffer: &mut Vec<u8>, visit: Visit<'_>) -> Outcome {
        buffer.clear();
        let mut reader = self.wal.read_at(place)?;
        reader.read_to_end(buffer)?;
        if !reader.crc_is_valid()? {
            return Err("a chunk does not check".into());
        }
        visit(buffer);
        Ok(())
    }
}

impl EventLog for OkayWal {
    fn append(&self, item: Item<'_>) -> Outcome<EventRef> {
        let mut event = Vec::with_capacity(1);
        self.append_batch(&[item], &mut event)?;
        event.pop().ok_or_else(|| "one event was appended".into())
    }

    fn append_batch(&self, items: &[Item<'_>], events: &mut Vec<EventRef>) -> Outcome {
        let mut entry = self.wal.begin_entry()?;
        let write = |(_, payload): &Item<'_>| entry.write_chunk(payload).map(|chunk| chunk.position);
        let found = items.iter().map(write).collect::<io::Result<Vec<_>>>()?;
        entry.commit()?;
        for place in &found {
            let mut reference = [0; 16];
            place.serialize_to(&mut reference[..])?;
            events.push(EventRef::from_le_bytes(reference));
        }
        add(&self.places, found);
        Ok(())
    }

    fn sync(&self) -> Outcome {
        Ok(())
    }

    fn get(&self, event: EventRef, visit: Visit<'_>) -> Outcome {
        let place = LogPosition::deserialize_from(&event.to_le_bytes()[..])?;
        self.show(place, &mut Vec::new(), visit)
    }

    fn replay(&self, visit: Visit<'_>) -> Outcome<u64> {
        let places = self.places.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut buffer = Vec::new();
        for place in &places {
            self.show(*place, &mut buffer, visit)?;
        }
        Ok(places.len() as u64)
    }

    fn close(self: Box<Self>) -> Outcome {
        Ok(self.wal.shutdown()?)
    }
}
