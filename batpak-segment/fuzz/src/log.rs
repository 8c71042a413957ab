//! A log of any segments: frames as the input says, each with a check that holds at its place.

use std::{path::Path, sync::Arc};

use batpak_format::{
    BatchPart, ChainHash, FooterBuilder, FrameBuf, FrameSeed, Placement, SECTION_SUMMARY, SEGMENT_HEADER_LEN,
    SUMMARY_VERSION, SegmentEnd, SegmentHeader, SegmentSummary, Timestamp,
};
use batpak_format_fuzz::samples::{STORE, plain};
use batpak_segment::{Disk, MemoryDisk, segment_path};

pub const DIR: &str = "/segments";

/// A disk with an empty folder for segments.
pub fn disk() -> MemoryDisk {
    let disk = MemoryDisk::new();
    disk.create_dir(Path::new(DIR), 0o700).unwrap_or_else(|why| panic!("{why}"));
    disk
}

pub fn put(disk: &MemoryDisk, number: u64, bytes: &[u8]) {
    let file = disk.create_new(&segment_path(Path::new(DIR), number), 0o600);
    let written = file.and_then(|file| file.write_all_at(bytes, 0));
    written.unwrap_or_else(|why| panic!("{why}"));
}

pub fn read(disk: &MemoryDisk, number: u64) -> Option<Vec<u8>> {
    let file = disk.open(&segment_path(Path::new(DIR), number), batpak_segment::Access::Read).ok()?;
    let mut bytes = vec![0; usize::try_from(file.len().ok()?).ok()?];
    file.read_exact_at(&mut bytes, 0).ok()?;
    Some(bytes)
}

/// Makes segments one after the other.
#[derive(Default)]
pub struct Writer {
    pub segments: Vec<Vec<u8>>,
    position: u64,
    first_position: u64,
    chain: u8,
}

impl Writer {
    /// Carries out what the bytes say; two bytes an instruction.
    pub fn carry_out(&mut self, instructions: &[u8]) {
        for instruction in instructions.chunks_exact(2) {
            self.instruct(instruction[0], instruction[1]);
        }
    }

    fn instruct(&mut self, what: u8, with: u8) {
        match what % 8 {
            0 => self.header(i64::from(with as i8)),
            1 => self.footer(if with & 1 == 0 { SegmentEnd::Rolled } else { SegmentEnd::Closed }, with >> 1),
            2 => self.frame(Some(BatchPart { index: u32::from(with & 3), count: u32::from(with >> 4) }), 0, 0),
            3 => self.frame(None, i64::from(with as i8), 0),
            4 => self.frame(None, 0, with),
            5 => self.last().resize_with_zeros(usize::from(with)),
            6 => {
                let keep = self.last().len().saturating_sub(usize::from(with));
                self.last().truncate(keep);
            }
            _ => {
                let at = self.last().len().wrapping_sub(1 + usize::from(with));
                if let Some(byte) = self.last().get_mut(at) {
                    *byte ^= 1;
                }
            }
        }
    }

    fn last(&mut self) -> &mut Vec<u8> {
        if self.segments.is_empty() {
            self.segments.push(Vec::new());
        }
        self.segments.last_mut().unwrap_or_else(|| unreachable!("one was put there"))
    }

    fn chain(&self) -> ChainHash {
        ChainHash::from_bytes([self.chain; 32])
    }

    fn header(&mut self, off: i64) {
        let header = SegmentHeader {
            store: STORE,
            number: self.segments.len() as u64 + 1,
            first_position: self.position.wrapping_add_signed(off),
            previous_chain_hash: self.chain(),
            keyset_epoch: 1,
            required_flags: 0,
            optional_flags: 0,
        };
        self.first_position = self.position;
        self.segments.push(header.encode().to_vec());
    }

    fn frame(&mut self, batch: Option<BatchPart>, off: i64, mark: u8) {
        let batch = batch.filter(|part| part.index < part.count && part.count > 1);
        let mut header = plain("e", "s");
        header.batch = batch;
        let Ok(frame) = FrameBuf::new(&header.statement(), &[mark; 24]) else { return };
        let (segment, offset) = (self.segments.len().max(1) as u64, self.last().len() as u64);
        self.chain = self.chain.wrapping_add(1);
        let position = self.position.wrapping_add_signed(off);
        let placement = Placement {
            position,
            revision: position,
            time: Timestamp::from_micros(1),
            chain_hash: self.chain(),
            durable_mark: self.position.saturating_sub(u64::from(mark)),
        };
        let bytes = frame.seal_finished().place(&placement, &FrameSeed { store: STORE, segment, offset });
        self.last().extend_from_slice(&bytes);
        self.position = self.position.wrapping_add(1);
    }

    fn footer(&mut self, end: SegmentEnd, shorter: u8) {
        let log_len = (self.last().len() as u64).saturating_sub(u64::from(shorter));
        let summary = SegmentSummary {
            end,
            log_len,
            first_position: self.first_position,
            next_position: self.position,
            chain_hash: self.chain(),
            keyset_epoch: 1,
            key_id_max: None,
            intent_position_last: None,
            epoch_max: 1,
        };
        let footer = FooterBuilder::new().section(SECTION_SUMMARY, SUMMARY_VERSION, &summary.encode());
        self.last().extend_from_slice(&footer.finish(log_len));
    }
}

trait Zeros {
    fn resize_with_zeros(&mut self, by: usize);
}

impl Zeros for Vec<u8> {
    fn resize_with_zeros(&mut self, by: usize) {
        self.resize(self.len() + by, 0);
    }
}

/// The disk as the trait that the crate takes.
pub fn shared(disk: &MemoryDisk) -> Arc<dyn Disk> {
    Arc::new(disk.clone())
}

/// Bytes of the header of a segment.
pub const HEADER: u64 = SEGMENT_HEADER_LEN as u64;
