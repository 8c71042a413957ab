//! A small log with everything in it, written by hand over the writer, and what is known of each of its frames.

use std::sync::Arc;

use batpak_format::{
    BatchPart, Causes, ChainHash, ContentType, Coordinate, EventId, EventKind, FooterBuilder, FrameBuf, FrameSeed,
    Placement, SECTION_SUMMARY, SEGMENT_HEADER_LEN, SUMMARY_VERSION, SegmentEnd, SegmentHeader, SegmentSummary,
    Statement, StoreId, Tags, Timestamp, chain_hash,
};
use batpak_segment::{
    Disk, Recovered, RecoveryError, RecoveryMode, SegmentWriter, Tail, TornReason, make_durable, recover,
};

use crate::place::Place;

pub const HEADER: u64 = SEGMENT_HEADER_LEN as u64;

pub fn store() -> StoreId {
    StoreId::from_bytes([7; 16])
}

/// Where a frame was written, and what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    pub segment: u64,
    pub offset: u64,
    pub len: u64,
    pub position: u64,
    pub mark: u64,
    /// Where the frame's batch begins, or the frame itself.
    pub batch_start: u64,
    /// The position of the first event of its batch, or its own.
    pub batch_position: u64,
}

impl Written {
    pub fn end(&self) -> u64 {
        self.offset + self.len
    }
}

pub struct Log {
    disk: Arc<dyn Disk>,
    dir: std::path::PathBuf,
    pub writer: SegmentWriter,
    pub tail: Tail,
    pub position: u64,
    pub chain: ChainHash,
    pub mark: u64,
    first_position: u64,
    pub written: Vec<Written>,
    ahead: bool,
}

impl Log {
    pub fn create(place: &Place, segment_bytes: u64, ahead: bool) -> Log {
        let chain = ChainHash::from_bytes([0; 32]);
        let writer = SegmentWriter::create(Arc::clone(&place.disk), &place.dir, &header(1, 0, chain), ahead).unwrap();
        let tail = Tail { segment: 1, offset: HEADER, segment_bytes };
        let (disk, dir) = (Arc::clone(&place.disk), place.dir.clone());
        Log { disk, dir, writer, tail, position: 0, chain, mark: 0, first_position: 0, written: Vec::new(), ahead }
    }

    /// Goes on where recovery found the end.
    pub fn resume(place: &Place, recovered: &Recovered, segment_bytes: u64) -> Log {
        let (disk, dir) = (Arc::clone(&place.disk), place.dir.clone());
        let (number, end) = (recovered.active, recovered.end_offset);
        let writer = SegmentWriter::resume(Arc::clone(&disk), &dir, number, end).unwrap();
        Log {
            disk,
            dir,
            writer,
            tail: Tail { segment: number, offset: end, segment_bytes },
            position: recovered.next_position,
            chain: recovered.last_chain_hash,
            mark: recovered.next_position,
            first_position: recovered.segments.last().unwrap().first_position,
            written: Vec::new(),
            ahead: false,
        }
    }

    pub fn append(&mut self, payload: &[u8]) {
        self.append_batch(&[payload]);
    }

    /// Writes one event, or a batch of several, in one piece.
    pub fn append_batch(&mut self, payloads: &[&[u8]]) {
        self.try_append_batch(payloads).unwrap();
    }

    pub fn try_append_batch(&mut self, payloads: &[&[u8]]) -> std::io::Result<()> {
        let count = u32::try_from(payloads.len()).unwrap();
        let part = |index| (count > 1).then_some(BatchPart { index, count });
        let events: Vec<_> = payloads.iter().zip(0..).map(|(payload, index)| (*payload, part(index))).collect();
        self.try_append_parts(&events)
    }

    /// Writes frames with batch parts as given, also such as no batch has.
    pub fn try_append_parts(&mut self, events: &[(&[u8], Option<BatchPart>)]) -> std::io::Result<()> {
        let hashed = self.hash(events);
        let place = self.tail.place(hashed.iter().map(|frame| frame.len() as u64).sum());
        if place.rolled {
            self.roll(place.segment);
        }
        let before = (self.position, self.chain, self.written.len());
        let mut bytes = Vec::new();
        for frame in hashed {
            bytes.extend(self.place_frame(frame, place.segment, place.offset, bytes.len() as u64));
        }
        let result = self.writer.write(place.offset, &bytes);
        if result.is_err() {
            (self.position, self.chain) = (before.0, before.1);
            self.written.truncate(before.2);
            self.tail.undo(&place);
        }
        result
    }

    fn hash(&self, events: &[(&[u8], Option<BatchPart>)]) -> Vec<batpak_format::HashedFrame> {
        let coordinate = Coordinate::new("entity", "scope").unwrap();
        let (causes, tags) = (Causes::default(), Tags::default());
        let mut hashed = Vec::new();
        for ((payload, batch), number) in events.iter().zip(self.position..) {
            let statement = Statement {
                id: EventId::time_ordered(number, [3; 10]),
                kind: EventKind::new(1, 1).unwrap(),
                payload_version: 1,
                content_type: ContentType::BYTES,
                coordinate: &coordinate,
                correlation: None,
                causes: &causes,
                tags: &tags,
                batch: *batch,
                encryption: None,
                key_commitment: None,
            };
            hashed.push(FrameBuf::new(&statement, payload).unwrap().seal_finished());
        }
        hashed
    }

    fn place_frame(&mut self, frame: batpak_format::HashedFrame, segment: u64, start: u64, at: u64) -> Vec<u8> {
        let time = Timestamp::from_micros(1_000);
        let position = self.position;
        self.chain = chain_hash(&self.chain, frame.digest(), position, position, time);
        let placement =
            Placement { position, revision: position, time, chain_hash: self.chain, durable_mark: self.mark };
        let offset = start + at;
        let bytes = frame.place(&placement, &FrameSeed { store: store(), segment, offset });
        let first = if at == 0 { position } else { self.written.last().unwrap().batch_position };
        self.written.push(Written {
            segment,
            offset,
            len: bytes.len() as u64,
            position,
            mark: self.mark,
            batch_start: start,
            batch_position: first,
        });
        self.position += 1;
        bytes
    }

    pub fn sync(&mut self) {
        self.writer.file().sync_data().unwrap();
        self.mark = self.position;
    }

    fn roll(&mut self, number: u64) {
        self.finish(SegmentEnd::Rolled);
        self.mark = self.position;
        self.create_next(number);
    }

    /// Begins a segment without a footer on the one before.
    pub fn create_next(&mut self, number: u64) {
        let header = header(number, self.position, self.chain);
        self.writer = SegmentWriter::create(Arc::clone(&self.disk), &self.dir, &header, self.ahead).unwrap();
        self.first_position = self.position;
        if self.tail.segment != number {
            self.tail = Tail { segment: number, offset: HEADER, ..self.tail };
        }
    }

    pub fn finish(&mut self, end: SegmentEnd) {
        let footer = self.footer(end);
        self.writer.finish(&footer).unwrap();
    }

    pub fn footer(&self, end: SegmentEnd) -> Vec<u8> {
        footer_bytes(&self.summary(end))
    }

    pub fn summary(&self, end: SegmentEnd) -> SegmentSummary {
        SegmentSummary {
            end,
            log_len: self.writer.end(),
            first_position: self.first_position,
            next_position: self.position,
            chain_hash: self.chain,
            keyset_epoch: 1,
            key_id_max: None,
            intent_position_last: None,
            epoch_max: 1,
        }
    }
}

pub fn footer_bytes(summary: &SegmentSummary) -> Vec<u8> {
    FooterBuilder::new().section(SECTION_SUMMARY, SUMMARY_VERSION, &summary.encode()).finish(summary.log_len)
}

pub fn header(number: u64, first_position: u64, previous_chain_hash: ChainHash) -> SegmentHeader {
    SegmentHeader {
        store: store(),
        number,
        first_position,
        previous_chain_hash,
        keyset_epoch: 1,
        required_flags: 0,
        optional_flags: 0,
    }
}

/// What one recovery showed: segment, offset, length and position of each frame.
pub type Shown = Vec<(u64, u64, u64, u64)>;

pub fn try_open(
    place: &Place,
    mode: RecoveryMode,
) -> (Result<Recovered, RecoveryError<std::convert::Infallible>>, Shown) {
    let mut shown = Vec::new();
    let answer = recover(place.disk.as_ref(), &place.dir, Some(store()), mode, &mut |frame| {
        shown.push((frame.segment, frame.offset, u64::from(frame.len), frame.frame.header().position()));
        Ok(())
    });
    (answer, shown)
}

pub fn open(place: &Place) -> (Recovered, Shown) {
    let (answer, shown) = try_open(place, RecoveryMode::Repair);
    (answer.unwrap(), shown)
}

/// Recovers, makes the end durable, and recovers again: the second time nothing is torn and no byte changes.
pub fn open_twice(place: &Place) -> (Recovered, Shown) {
    let (first, shown) = open(place);
    make_durable(place.disk.as_ref(), &place.dir, &first).unwrap();
    let bytes = place.snapshot();
    let (second, shown_again) = open(place);
    make_durable(place.disk.as_ref(), &place.dir, &second).unwrap();
    assert_eq!(second.torn, None);
    assert_eq!(shown, shown_again);
    assert_eq!((first.active, first.end_offset), (second.active, second.end_offset));
    assert!(bytes == place.snapshot(), "a second recovery changed a byte");
    (first, shown)
}

pub fn shown(written: &[Written]) -> Shown {
    written.iter().map(|frame| (frame.segment, frame.offset, frame.len, frame.position)).collect()
}

/// Two segments: the first rolled, the second with single events, a batch, marks, and no footer.
pub fn two_segments(place: &Place) -> Log {
    let mut log = Log::create(place, 1_600, false);
    log.append(b"one");
    log.sync();
    log.append_batch(&[b"two", b"three", b"four"]);
    log.append(&[5; 700]);
    assert_eq!(log.tail.segment, 1);
    log.append(&[6; 200]);
    assert_eq!(log.tail.segment, 2);
    log.append(b"seven");
    log.append_batch(&[b"eight", b"nine"]);
    log.sync();
    log.append(b"ten");
    log.append_batch(&[b"eleven", b"twelve", b"thirteen"]);
    log.append(b"fourteen");
    log
}

/// Segment, offset, bytes and reason of what is torn.
pub fn torn(recovered: &Recovered) -> Option<(u64, u64, u64, TornReason)> {
    recovered.torn.map(|torn| (torn.segment, torn.offset, torn.bytes, torn.reason))
}
